//! Nodes that go, through `plimsoll run`: what a user sees, and what happens to the cluster on the way.

use std::process::Command;

use serde_json::{Value, json};

use crate::running::cluster::{Cluster, Replica, config};
use crate::support::plimsoll;

/// Nodes that go as soon as they can, with evictions within two seconds.
const QUICK: &str = "provider: {kind: simulated, delay: 300ms, removal: {delay: 100ms}}
gracePeriod: 1s
scaleDown: {interval: 1s, evaluationPeriods: 2, maxPercentage: 50}
drain: {spread: 2s, retryInterval: 1s, forceDeleteAfter: 3s}
";

/// A pod of a deployment's replica set, as the tests need it.
fn deployment(name: &str, replicas: u32, cpu: &str, labels: Value) -> Value {
    let mut all = json!({"app": name});
    all.as_object_mut().unwrap().extend(labels.as_object().cloned().unwrap_or_default());
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": all},
                "spec": {"containers": [{"name": "c", "image": "example.com/c:1", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]},
            },
        },
    })
}

fn names(cluster: &Cluster) -> Vec<String> {
    cluster.nodes().iter().map(|node| node["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

fn scale(cluster: &Cluster, app: &str, replicas: u32) {
    let change = |object: &mut Value| object["spec"]["replicas"] = replicas.into();
    cluster.server.store().update("deployments.apps", "default", app, change).unwrap();
}

fn annotation(cluster: &Cluster, node: &str, key: &str) -> Option<String> {
    let node = cluster.server.store().get("nodes", "", node)?;
    node["metadata"]["annotations"][key].as_str().map(str::to_owned)
}

fn annotate(cluster: &Cluster, node: &str, key: &str, value: &str) {
    let change = |object: &mut Value| object["metadata"]["annotations"][key] = value.into();
    cluster.server.store().update("nodes", "", node, change).unwrap();
}

/// The pods whose evictions were accepted.
fn evicted(cluster: &Cluster) -> Vec<String> {
    let mut all = cluster.server.requests();
    all.retain(|logged| logged.subresource == "eviction" && (200..300).contains(&logged.code));
    all.into_iter().map(|logged| logged.name).collect()
}

/// Two nodes with two pods each, of which two pods are too many.
async fn crowded(more: &str) -> (Cluster, Replica) {
    let cluster = Cluster::start(&config(more)).await;
    cluster.server.store().apply(deployment("web", 4, "900m", json!({}))).unwrap();
    let first = cluster.replica("a");
    cluster.until("four pods run", &[&first], |cluster| cluster.running() == (4, 4)).await;
    assert_eq!(cluster.nodes().len(), 2);
    (cluster, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_needed_is_drained_and_it_is_said_why() {
    let (cluster, first) = crowded(QUICK).await;
    scale(&cluster, "web", 2);
    cluster
        .until("one node is left with both pods", &[&first], |cluster| {
            cluster.nodes().len() == 1 && cluster.running() == (2, 2)
        })
        .await;
    cluster
        .until("the Events tell it", &[&first], |cluster| {
            let said = cluster.event_reasons();
            ["NodeDraining", "NodeTerminating", "NodeRemoved"].iter().all(|reason| said.iter().any(|is| is == reason))
        })
        .await;
    let left = names(&cluster).remove(0);
    cluster
        .until("the status says why the other stays", &[&first], |cluster| {
            let status = cluster.status("t");
            status["drains"].as_object().is_some_and(|drains| drains.is_empty())
                && status["nodes"]["NoPlaceToMovePods"]["examples"][left.as_str()].is_string()
        })
        .await;
    // The same reason from the outside.
    let output = Command::new(plimsoll())
        .args(["explain", "node", &left, "--cluster", "live", "--server", &cluster.server.url(), "-o", "json"])
        .arg("--config")
        .arg(&cluster.config)
        .env_remove("PLIMSOLL_APISERVER_CA")
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(said["reason"], "NoPlaceToMovePods", "{said:#}");
}

/// Acceptance scenario 25: wherever the leader is killed, the other replica goes on with the same deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_finished_by_whoever_leads_next() {
    for step in [1, 2, 3, 5] {
        let (cluster, mut first) = crowded(QUICK).await;
        let second = cluster.replica("b");
        let before = cluster.effects("plimsoll-a").len();
        scale(&cluster, "web", 2);
        cluster
            .until("a step", &[&first], |cluster| {
                cluster.effects("plimsoll-a").len() >= before + step || cluster.nodes().len() == 1
            })
            .await;
        let marked = |cluster: &Cluster| -> Option<String> {
            let drain = names(cluster).iter().find_map(|node| annotation(cluster, node, "plimsoll.dev/drain"))?;
            let drain: Value = serde_json::from_str(&drain).unwrap();
            Some(drain["deadline"].to_string())
        };
        first.kill();
        let deadline = marked(&cluster);
        cluster
            .until("the other replica has finished", &[&first, &second], |cluster| {
                if let (Some(before), Some(now)) = (&deadline, marked(cluster)) {
                    assert_eq!(*before, now, "the deadline has changed");
                }
                cluster.nodes().len() == 1 && cluster.running() == (2, 2)
            })
            .await;
        let mut all = evicted(&cluster);
        let asked = all.len();
        all.sort();
        all.dedup();
        assert_eq!(asked, all.len(), "killed at step {step}: a pod was evicted twice");
    }
}

/// Acceptance scenarios 5 and 6, and C12: protected nodes stay, each with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn protected_nodes_stay_and_say_why() {
    let cluster = Cluster::start(&config(QUICK)).await;
    let restricted = json!({"spotinst.io/restrict-scale-down": "true"});
    cluster.server.store().apply(deployment("keep", 1, "1500m", restricted)).unwrap();
    cluster.server.store().apply(deployment("web", 2, "900m", json!({}))).unwrap();
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    });
    let first = cluster.replica("a");
    cluster.until("three pods run", &[&first], |cluster| cluster.running() == (3, 3)).await;
    cluster.server.store().apply(budget).unwrap();
    scale(&cluster, "web", 1);
    cluster
        .until("both reasons are told", &[&first], |cluster| {
            let said = cluster.event_reasons();
            ["RestrictScaleDown", "PdbBlocked"].iter().all(|reason| said.iter().any(|is| is == reason))
        })
        .await;
    assert_eq!(cluster.nodes().len(), 2);
    assert!(evicted(&cluster).is_empty());
}

/// Acceptance scenario 24: the cloud takes a machine back, and its pods have a new node before they are evicted.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_node_gets_its_replacement_first() {
    let (cluster, first) = crowded(QUICK).await;
    let old = names(&cluster);
    let taken = old[0].clone();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(40);
    annotate(&cluster, &taken, "plimsoll.dev/interruption", &until.to_string());
    cluster
        .until("another node is launched", &[&first], |cluster| names(cluster).iter().any(|n| !old.contains(n)))
        .await;
    cluster
        .until("the node is gone and all pods run", &[&first], |cluster| {
            !names(cluster).contains(&taken) && cluster.running() == (4, 4)
        })
        .await;
    assert!(jiff::Timestamp::now() < until, "in time");
    assert_eq!(cluster.nodes().len(), 2, "nothing is launched twice");
    assert!(cluster.event_reasons().iter().any(|reason| reason == "NodeInterrupted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_drains_a_node_and_takes_it_back() {
    let (cluster, first) = crowded(&QUICK.replace("spread: 2s", "spread: 200s")).await;
    let node = names(&cluster).remove(0);
    let ask = |more: &[&str]| {
        let output = Command::new(plimsoll())
            .args(["drain", &node, "--server", &cluster.server.url()])
            .args(more)
            .env_remove("PLIMSOLL_APISERVER_CA")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    ask(&["--reason", "a new kernel"]);
    let drains = |cluster: &Cluster| annotation(cluster, &node, "plimsoll.dev/drain");
    cluster.until("it is drained", &[&first], |cluster| drains(cluster).is_some()).await;
    assert!(drains(&cluster).unwrap().contains("a new kernel"));
    ask(&["--cancel"]);
    cluster
        .until("it takes pods again", &[&first], |cluster| {
            let node = cluster.server.store().get("nodes", "", &node).unwrap();
            drains(cluster).is_none() && node["spec"]["unschedulable"] != true
        })
        .await;
    let unknown = Command::new(plimsoll())
        .args(["drain", "nobody", "--server", &cluster.server.url()])
        .env_remove("PLIMSOLL_APISERVER_CA")
        .output()
        .unwrap();
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no node nobody"));
}

/// Without the permission to evict nothing is drained, and the rest works.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_permission_nothing_is_drained() {
    let cluster = Cluster::start(&config(QUICK)).await;
    cluster.server.deny("plimsoll-a", "create", "", "pods/eviction");
    cluster.server.store().apply(deployment("web", 4, "900m", json!({}))).unwrap();
    let first = cluster.replica("a");
    cluster.until("four pods run", &[&first], |cluster| cluster.running() == (4, 4)).await;
    scale(&cluster, "web", 2);
    cluster
        .until("it is planned and not done", &[&first], |cluster| {
            let outcome = cluster.status("t")["decisions"]["scale-down"]["outcome"].to_string();
            outcome.contains("would be drained") && outcome.contains("permission")
        })
        .await;
    assert!(evicted(&cluster).is_empty());
    assert!(names(&cluster).iter().all(|node| annotation(&cluster, node, "plimsoll.dev/drain").is_none()));
}

/// Acceptance scenarios 3 and 5: a budget that is not respected is tried first all the same, and an eviction that is
/// refused for too long becomes a deletion, which is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_eviction_becomes_a_deletion_in_the_end() {
    let (cluster, first) = crowded(&QUICK.replace("maxPercentage: 50", "maxPercentage: 50, respectPdb: false")).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}},
    });
    cluster.server.store().apply(budget).unwrap();
    scale(&cluster, "web", 2);
    cluster.until("one node is left", &[&first], |cluster| cluster.nodes().len() == 1).await;
    assert!(evicted(&cluster).is_empty(), "the budget allows none");
    let said = cluster.event_reasons();
    for reason in ["EvictionBlocked", "ForceDeleted"] {
        assert!(said.iter().any(|is| is == reason), "{reason}: {said:?}");
    }
}
