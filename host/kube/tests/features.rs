//! The feature table, asked on the wire.

mod wire;

use std::collections::BTreeSet;
use std::time::Duration;

use plimsoll_apiserver::{Fault, Rule as FaultRule};
use plimsoll_kube::{
    ApiError, Feature, FeatureOptions, FeatureState, FeatureTable, ObjectName, Patch, Resource, check_features,
    denied_rule, watch_features,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use wire::{Alone, Wire, until};

fn options(wire: &Wire) -> FeatureOptions {
    // Not every server has those.
    let absent = [Feature::ClusterApi, Feature::Karpenter, Feature::NodeMetrics, Feature::PodMetrics];
    FeatureOptions {
        namespace: wire.namespace.clone(),
        lease: "plimsoll".to_owned(),
        status: "plimsoll-status".to_owned(),
        launches: "plimsoll-launches".to_owned(),
        configured: Feature::ALL.into_iter().filter(|feature| !absent.contains(feature)).collect(),
    }
}

fn off(table: &FeatureTable) -> Vec<&'static str> {
    let is_off = |state: &FeatureState| matches!(state, FeatureState::Off { .. });
    table.rows().filter(|(_, state)| is_off(state)).map(|(feature, _)| feature.label()).collect()
}

#[tokio::test]
async fn with_every_permission_everything_is_on() {
    let wire = Wire::start().await;
    let options = options(&wire);
    let table = check_features(&wire.api().await, &options, None).await;
    for (feature, state) in table.rows().filter(|(feature, _)| options.configured.contains(feature)) {
        let expected = FeatureState::Enabled { without: Vec::new(), note: String::new() };
        assert_eq!(*state, expected, "{feature}");
    }
}

#[tokio::test]
async fn what_is_not_served_is_named() {
    let wire = Wire::start().await;
    let configured = BTreeSet::from([Feature::Watch, Feature::ClusterApi, Feature::Karpenter, Feature::NodeMetrics]);
    let options = FeatureOptions { configured, ..options(&wire) };
    let table = check_features(&wire.api().await, &options, None).await;
    assert_eq!(off(&table), ["cluster-api", "karpenter", "node-metrics"], "{table}");
    let sentence = "off  the API server does not serve /apis/karpenter.sh/v1: Karpenter is not there";
    assert_eq!(table.state(Feature::Karpenter).to_string(), sentence);
}

#[tokio::test]
async fn without_any_permission_everything_is_off_and_each_rule_is_named() {
    let wire = Wire::start().await;
    if let Some(server) = wire.hooks() {
        for (_, _, rule) in options(&wire).rules() {
            let resource = match &*rule.subresource {
                "" => rule.resource.to_string(),
                part => format!("{}/{part}", rule.resource),
            };
            server.deny("nobody", &rule.verb, &rule.group, &resource);
        }
    }
    let options = options(&wire);
    let table = check_features(&wire.api_as("nobody").await, &options, None).await;
    let expected: Vec<_> = options.configured.iter().filter(|feature| **feature != Feature::Rivals).collect();
    assert_eq!(off(&table).len(), expected.len(), "{table}");
    for (feature, _, rule) in options.rules() {
        if feature != Feature::Watch && feature != Feature::Drain && feature != Feature::Events {
            assert!(table.state(feature).to_string().contains(&rule.to_string()), "{rule} is not named:\n{table}");
        }
    }
    assert!(!table.may_read(&Resource::PODS) && !table.may_read(&Resource::JOBS));
}

#[tokio::test]
async fn each_permission_that_is_taken_away_turns_off_what_needs_it() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    let api = wire.api_as("a").await;
    for (verb, group, resource, expected) in [
        ("list", "", "pods", "watch"),
        ("patch", "", "nodes", "drain"),
        ("create", "", "pods/eviction", "drain"),
        ("patch", "", "pods", "warm-up"),
        ("delete", "", "nodes", "cleanup simulated"),
        ("update", "certificates.k8s.io", "certificatesigningrequests/approval", "csr-approval"),
        ("approve", "certificates.k8s.io", "signers", "csr-approval"),
        ("update", "coordination.k8s.io", "leases", "lease"),
        ("create", "events.k8s.io", "events", "events"),
        ("create", "", "configmaps", "launches status"),
        ("list", "policy", "poddisruptionbudgets", ""),
    ] {
        server.deny("a", verb, group, resource);
        let table = check_features(&api, &options(&wire), None).await;
        assert_eq!(off(&table).join(" "), expected, "without {verb} {resource}:\n{table}");
        server.deny_nothing();
    }
}

#[tokio::test]
async fn a_refusal_at_run_time_turns_the_feature_off() {
    let wire = Wire::start().await;
    if let Some(server) = wire.hooks() {
        server.deny("nobody", "patch", "", "nodes");
    }
    // Whoever asks has everything; whoever acts has not. So it is with an authorizer that is asked in vain.
    let features =
        watch_features(wire.api().await, options(&wire), Duration::from_secs(3_600), CancellationToken::new()).await;
    assert!(features.is_on(Feature::Drain));
    let alone = Alone::new();
    let node = ObjectName::of_cluster(&wire::unique("n"));
    let patch = json!({"spec": {"unschedulable": true}});
    let api = wire.api_as("nobody").await;
    let error = api.patch(&alone.permit(), &Resource::NODES, &node, None, Patch::Merge, &patch).await;
    let error = error.expect_err("is refused");
    assert!(matches!(error, ApiError::Forbidden(_)), "{error:?}");
    let mut changes = features.subscribe();
    let rule = features.failed(&error).expect("a rule is named");
    assert_eq!(rule.to_string(), "patch nodes");
    assert!(changes.has_changed().expect("is open"));
    assert!(changes.borrow_and_update().state(Feature::Drain).to_string().contains("missing: patch nodes"));
    assert_eq!(off(&features.table()), ["drain"]);
    assert_eq!(features.failed(&ApiError::NoAnswer("x".to_owned())), None);
    // Of some failures only the sentence is left.
    let sentence = "pods \"p\" is forbidden: User \"a\" cannot patch resource \"pods\" in API group \"\" in the namespace \"shop\"";
    assert_eq!(features.refused(sentence).expect("a rule is named").to_string(), "patch pods in namespace shop");
    assert_eq!(off(&features.table()), ["drain", "warm-up"]);
    assert_eq!(features.refused("this replica does not lead"), None);
}

#[tokio::test]
async fn refusals_in_a_namespace_are_read_too() {
    let wire = Wire::start().await;
    if let Some(server) = wire.hooks() {
        server.deny("nobody", "get", "coordination.k8s.io", "leases");
    }
    let error = wire.api_as("nobody").await.get(&Resource::LEASES, &wire.name("x")).await.expect_err("is refused");
    let rule = denied_rule(&error).expect("a rule is named");
    assert_eq!(rule.to_string(), format!("get leases (coordination.k8s.io) in namespace {}", wire.namespace));
}

#[tokio::test]
async fn where_nothing_can_be_asked_everything_is_taken_for_granted() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    server.deny("a", "create", "authorization.k8s.io", "selfsubjectaccessreviews");
    let table = check_features(&wire.api_as("a").await, &options(&wire), None).await;
    assert!(off(&table).is_empty(), "{table}");
    assert!(table.to_string().contains("permissions taken for granted: "), "{table}");
}

#[tokio::test]
async fn what_was_known_stays_while_the_api_server_fails() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    let api = wire.api_as("a").await;
    server.deny("a", "patch", "", "nodes");
    let before = check_features(&api, &options(&wire), None).await;
    assert_eq!(off(&before), ["drain"]);
    server.faults().add(FaultRule::on("*", "selfsubjectaccessreviews"), Fault::Status { code: 500, retry_after: None });
    let configured = BTreeSet::from([Feature::Drain]);
    let few = FeatureOptions { configured, ..options(&wire) };
    let after = check_features(&api, &few, Some(&before)).await;
    assert_eq!(off(&after), ["drain"], "{after}");
}

#[tokio::test]
async fn permissions_that_come_back_are_noticed() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    server.deny("a", "patch", "", "nodes");
    let shutdown = CancellationToken::new();
    let every = Duration::from_millis(100);
    let features = watch_features(wire.api_as("a").await, options(&wire), every, shutdown.clone()).await;
    assert!(!features.is_on(Feature::Drain));
    server.deny_nothing();
    until("drain is on", async || features.is_on(Feature::Drain)).await;
    shutdown.cancel();
}
