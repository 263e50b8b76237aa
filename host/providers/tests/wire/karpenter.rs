//! Karpenter on the fake API server.

mod removing;

use plimsoll_apiserver::{Fault, Options, Rule};
use plimsoll_planner::launch::{LaunchFailure, LaunchOutcome};
use plimsoll_providers::{
    InstanceState, Karpenter, KarpenterGroup, KarpenterSettings, NodeClassRef, NodeGroupProvider as _, ProviderError,
    TaintSetting,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::support::{intent, label, request};

const CLAIMS: &str = "nodeclaims.karpenter.sh";

fn pool(name: &str) -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {"limits": {"cpu": "40"}, "template": {
            "metadata": {"labels": {"team": "shop"}},
            "spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                "startupTaints": [{"key": "net", "effect": "NoExecute"}],
                "requirements": [],
            },
        }},
    })
}

async fn start() -> Cluster {
    let cluster = Cluster::start(Options::default()).await;
    cluster.store().create(pool("web")).expect("created");
    cluster
}

fn provider(cluster: &Cluster) -> Karpenter {
    Karpenter::new(cluster.api.clone(), KarpenterSettings::default())
}

fn names(cluster: &Cluster) -> Vec<String> {
    let claims = cluster.store().list(CLAIMS, "");
    claims.iter().map(|claim| claim["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_launch_is_claims_with_names_of_their_own() {
    let cluster = start().await;
    let provider = provider(&cluster);
    assert_eq!(provider.baseline(&request("web", 2)).await, Ok(None));
    for _ in 0..2 {
        let outcome = provider.launch(&cluster.permit(), &intent("l1", "web", 2, None)).await;
        assert_eq!(outcome, LaunchOutcome::Accepted { nodes: Vec::new() });
        assert_eq!(names(&cluster), ["l1-0", "l1-1"]);
    }
    let claim = cluster.store().get(CLAIMS, "", "l1-1").expect("a claim");
    let only = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    assert_eq!(
        claim["spec"],
        json!({
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "requirements": [
                only("node.kubernetes.io/instance-type", "m5.large"),
                only("topology.kubernetes.io/zone", "zone-a"),
                only("karpenter.sh/capacity-type", "spot"),
                only("kubernetes.io/arch", "arm64"),
                only("kubernetes.io/os", "linux"),
            ],
            "expireAfter": "Never",
            "taints": [{"key": "team", "value": "shop", "effect": "NoSchedule"}],
            "startupTaints": [{"key": "net", "effect": "NoExecute"}],
        })
    );
    assert_eq!(
        claim["metadata"]["labels"],
        json!({
            "plimsoll.dev/launch": "l1", "plimsoll.dev/node-group": "web", "team": "shop",
        })
    );
    assert_eq!(claim["metadata"]["annotations"], json!({"plimsoll.dev/decision": "d-1", "plimsoll.dev/term": "1"}));
}

#[tokio::test]
async fn the_settings_come_before_the_pool() {
    let cluster = start().await;
    let class = |name: &str| {
        let text = |text: &str| text.to_owned();
        NodeClassRef { group: text("g"), kind: text("K"), name: text(name) }
    };
    let own = KarpenterGroup {
        node_class_ref: Some(class("own")),
        startup_taints: Some(vec![TaintSetting { key: "s".into(), value: "v".into(), effect: "NoSchedule".into() }]),
        requests: [("cpu".to_owned(), "2".to_owned())].into(),
    };
    let settings = KarpenterSettings {
        node_class_ref: Some(class("all")),
        termination_grace_period: Some("30m".to_owned()),
        expire_after: "720h".to_owned(),
        groups: [("web".to_owned(), own)].into(),
    };
    let provider = Karpenter::new(cluster.api.clone(), settings);
    for (id, group) in [("l1", "web"), ("l2", "without-pool")] {
        assert_eq!(label(&provider.launch(&cluster.permit(), &intent(id, group, 1, None)).await), "Accepted");
    }
    let spec = |name: &str| cluster.store().get(CLAIMS, "", name).expect("a claim")["spec"].clone();
    let own = spec("l1-0");
    assert_eq!(own["nodeClassRef"]["name"], "own");
    assert_eq!(own["startupTaints"], json!([{"key": "s", "value": "v", "effect": "NoSchedule"}]));
    assert_eq!(own["resources"], json!({"requests": {"cpu": "2"}}));
    assert_eq!((&own["expireAfter"], &own["terminationGracePeriod"]), (&json!("720h"), &json!("30m")));
    let other = spec("l2-0");
    assert_eq!((&other["nodeClassRef"]["name"], &other["startupTaints"]), (&json!("all"), &Value::Null));
}

#[tokio::test]
async fn without_a_node_class_nothing_is_made() {
    let cluster = start().await;
    let outcome = provider(&cluster).launch(&cluster.permit(), &intent("l1", "nobody", 1, None)).await;
    let LaunchOutcome::Failed(LaunchFailure::Invalid(text)) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("provider.groups.nobody.nodeClassRef"), "{text}");
    assert_eq!(cluster.store().count(CLAIMS), 0);
}

#[tokio::test]
async fn a_claim_of_somebody_else_is_not_taken_for_ours() {
    let cluster = start().await;
    let theirs = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": "l1-0", "labels": {"plimsoll.dev/launch": "l0"}}, "spec": {},
    });
    cluster.store().create(theirs).expect("created");
    let outcome = provider(&cluster).launch(&cluster.permit(), &intent("l1", "web", 2, None)).await;
    assert_eq!((label(&outcome), names(&cluster)), ("Invalid", vec!["l1-0".to_owned()]));
}

#[tokio::test]
async fn pools_and_claims_are_the_inventory() {
    let cluster = start().await;
    let provider = provider(&cluster);
    provider.launch(&cluster.permit(), &intent("l1", "web", 2, None)).await;
    let set = |name: &str, status: Value| {
        cluster.store().update(CLAIMS, "", name, |claim| claim["status"] = status).expect("there");
    };
    set(
        "l1-0",
        json!({"providerID": "aws:///i-1", "nodeName": "n1", "conditions": [
            {"type": "Launched", "status": "True"},
        ]}),
    );
    set(
        "l1-1",
        json!({"conditions": [
            {"type": "Launched", "status": "False", "reason": "InsufficientCapacity", "message": "no m5.large"},
        ]}),
    );
    let of_pool = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": "web-x7z", "labels": {"karpenter.sh/nodepool": "web"}}, "spec": {},
    });
    cluster.store().create(of_pool).expect("created");
    let inventory = provider.inventory().await.expect("an inventory");
    let group = &inventory.groups[0];
    assert_eq!((group.id.as_str(), group.max, group.target), ("web", 40, 3));
    let states: Vec<_> = group.instances.iter().map(|instance| (instance.id.as_str(), &instance.state)).collect();
    assert_eq!(
        states,
        [
            ("aws:///i-1", &InstanceState::Running),
            ("l1-1", &InstanceState::Failed(LaunchFailure::NoCapacity("no m5.large".to_owned()))),
            ("web-x7z", &InstanceState::Creating),
        ]
    );
    assert_eq!(inventory.machines[0].node.as_deref(), Some("n1"));
    assert_eq!(inventory.machines[2].group.as_deref(), Some("web"));
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    let status = |code| Fault::Status { code, retry_after: None };
    for (rule, fault, expected, made) in [
        (Rule::on("create", "nodeclaims").named("l1-0"), status(403), "Unauthorized", 0),
        (Rule::on("create", "nodeclaims").times(1), status(403), "Unauthorized", 0),
        (Rule::on("create", "nodeclaims").times(1), status(422), "Invalid", 0),
        (Rule::on("create", "nodeclaims").times(1), status(429), "RateLimited", 0),
        (Rule::on("create", "nodeclaims").times(1), status(500), "Unknown", 0),
        (Rule::on("create", "nodeclaims").times(1), Fault::DropBeforeWrite, "Unknown", 0),
        (Rule::on("create", "nodeclaims").times(1), Fault::DropAfterWrite, "Unknown", 1),
        (Rule::on("get", "nodepools").times(1), status(403), "Unknown", 0),
    ] {
        let cluster = start().await;
        let provider = provider(&cluster);
        cluster.server.faults().add(rule, fault.clone());
        let outcome = provider.launch(&cluster.permit(), &intent("l1", "web", 2, None)).await;
        // The name of a new object is in its body, where a rule by name may not see it.
        if names(&cluster).len() == 2 {
            continue;
        }
        assert_eq!((label(&outcome), names(&cluster).len()), (expected, made), "{fault:?}: {outcome:?}");
        cluster.server.faults().clear();
        let again = provider.launch(&cluster.permit(), &intent("l1", "web", 2, None)).await;
        assert_eq!((label(&again), names(&cluster).len()), ("Accepted", 2), "{fault:?}");
    }
}

#[tokio::test]
async fn half_a_launch_is_no_failure() {
    let cluster = start().await;
    let provider = provider(&cluster);
    let permit = cluster.permit();
    assert_eq!(label(&provider.launch(&permit, &intent("l1", "web", 1, None)).await), "Accepted");
    cluster.server.deny("*", "create", "karpenter.sh", "nodeclaims");
    let whole = intent("l1", "web", 3, None);
    let outcome = provider.launch(&permit, &whole).await;
    assert!(matches!(&outcome, LaunchOutcome::Unknown(text) if text.contains("1 of 3")), "{outcome:?}");
    cluster.server.deny_nothing();
    assert_eq!(label(&provider.launch(&permit, &whole).await), "Accepted");
    assert_eq!(names(&cluster).len(), 3);
}

#[tokio::test]
async fn without_karpenter_or_leadership_nothing_is_made() {
    let cluster = start().await;
    let permit = cluster.permit();
    cluster.setter.resign();
    assert_eq!(label(&provider(&cluster).launch(&permit, &intent("l1", "web", 1, None)).await), "Unknown");
    assert_eq!(cluster.store().count(CLAIMS), 0);
    let server = plimsoll_apiserver::ApiServer::start(Options::default()).await.expect("a server");
    let provider = Karpenter::new(crate::cluster::connect(&server, None).await, KarpenterSettings::default());
    let error = provider.inventory().await.expect_err("not served");
    assert!(matches!(&error, ProviderError::NotServed(text) if text.contains("karpenter.sh")), "{error}");
    cluster.lead(2);
    assert_eq!(label(&provider.launch(&cluster.permit(), &intent("l1", "web", 1, None)).await), "Invalid");
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        Just(Some(Fault::DropAfterWrite)),
        Just(Some(Fault::DropBeforeWrite)),
        Just(Some(Fault::Status { code: 500, retry_after: None })),
        Just(None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to writes, the same intents end with exactly their claims.
    #[test]
    fn nothing_is_lost_and_nothing_doubled(faults in proptest::collection::vec(fault(), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let found = runtime.block_on(async {
            let cluster = start().await;
            let mut faults = faults.into_iter();
            for id in ["l0", "l1"] {
                for tries in 0.. {
                    assert!(tries < 12, "it never ends");
                    if let Some(Some(fault)) = faults.next() {
                        cluster.server.faults().add(Rule::on("create", "*").times(1), fault);
                    }
                    // Each try is a process of its own.
                    let outcome = provider(&cluster).launch(&cluster.permit(), &intent(id, "web", 2, None)).await;
                    if label(&outcome) == "Accepted" {
                        break;
                    }
                }
            }
            names(&cluster)
        });
        prop_assert_eq!(found, ["l0-0", "l0-1", "l1-0", "l1-1"]);
    }
}
