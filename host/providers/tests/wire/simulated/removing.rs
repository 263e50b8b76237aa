//! Simulated machines go.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_apiserver::{Fault as ServerFault, Options, Rule, Store};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_providers::{
    InstanceState, MachineState, NodeGroupProvider, RemovalFault, RemovalSettings, Simulated, SimulatedSettings,
};
use serde_json::json;

use super::{NEVER, SOON, names, settings, simulated};
use crate::cluster::{Cluster, LIMIT};
use crate::support::{intent, removal, removed};

fn going(delay: Duration) -> SimulatedSettings {
    SimulatedSettings { removal: RemovalSettings { delay, fail: None, first: None }, ..settings(SOON) }
}

fn of(node: &str) -> Removal {
    removal(node, Some(&format!("plimsoll-sim://zone-a/{node}")), Some("a"), None)
}

/// A cluster with the nodes `l1-0` and `l1-1`, and nobody that runs.
async fn with_nodes(settings: SimulatedSettings) -> (Cluster, Arc<Simulated>) {
    let cluster = Cluster::start(Options::default()).await;
    let provider = simulated(&cluster, settings);
    let running = cluster.run(provider.clone());
    provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    let written = |store: &Store| {
        let record = store.get("configmaps", "plimsoll", super::RECORD).unwrap_or_default();
        record["data"]["l1"].as_str().is_some_and(|launch| launch.contains("\"pending\":[]"))
    };
    assert!(cluster.store().wait_until(LIMIT, written).await);
    drop(running);
    (cluster, provider)
}

#[tokio::test]
async fn the_node_goes_after_a_while() {
    let (cluster, provider) = with_nodes(going(Duration::from_millis(200))).await;
    assert_eq!(provider.removal_baseline(&of("l1-0")).await, Ok(None));
    for _ in 0..3 {
        assert_eq!(provider.remove(&cluster.permit(), &of("l1-0")).await, RemovalOutcome::Accepted);
    }
    let inventory = provider.inventory().await.expect("an inventory");
    assert_eq!((inventory.groups[0].target, inventory.groups[0].instances.len()), (1, 2));
    assert_eq!(inventory.groups[0].instances[0].state, InstanceState::Deleting);
    assert!(inventory.machines[0].deleting && !inventory.machines[1].deleting);
    for id in [Some("plimsoll-sim://zone-a/l1-0"), None] {
        assert_eq!(inventory.machine_state("l1-0", id), MachineState::Deleting);
    }
    assert_eq!(inventory.machine_state("l1-1", None), MachineState::Present);
    assert_eq!(names(cluster.store()).len(), 2);
    let _running = cluster.run(provider.clone());
    assert!(cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 1).await);
    assert_eq!(names(cluster.store()), ["l1-1"]);
    let end = std::time::Instant::now() + LIMIT;
    while provider.remove(&cluster.permit(), &of("l1-0")).await != RemovalOutcome::Gone {
        assert!(std::time::Instant::now() < end, "it is never gone");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let inventory = provider.inventory().await.expect("an inventory");
    assert_eq!(inventory.machine_state("l1-0", None), MachineState::Gone);
    assert_eq!(inventory.machines.len(), 1);
    // The launch, repeated, does not bring it back.
    provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    provider.launch(&cluster.permit(), &intent("l2", "a", 1, None)).await;
    assert!(cluster.store().wait_until(LIMIT, |store| store.get("nodes", "", "l2-0").is_some()).await);
    assert_eq!(names(cluster.store()), ["l1-1", "l2-0"]);
}

#[tokio::test]
async fn it_goes_after_a_restart() {
    let (cluster, provider) = with_nodes(going(Duration::ZERO)).await;
    provider.remove(&cluster.permit(), &of("l1-1")).await;
    drop(provider);
    assert_eq!(names(cluster.store()).len(), 2);
    let next = simulated(&cluster, going(NEVER));
    assert_eq!(next.remove(&cluster.permit(), &of("l1-1")).await, RemovalOutcome::Accepted);
    let _running = cluster.run(next);
    assert!(cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 1).await);
    assert_eq!(names(cluster.store()), ["l1-0"]);
}

#[tokio::test]
async fn what_is_none_of_its_machines_stays() {
    let (cluster, provider) = with_nodes(going(Duration::ZERO)).await;
    for (removal, expected) in [
        (removal("other", Some("aws:///i-1"), Some("a"), None), "Invalid"),
        (removal("other", None, None, None), "Invalid"),
        (removal("l1-0", Some("aws:///i-1"), Some("a"), None), "Invalid"),
        (removal("l1-00", None, Some("a"), None), "Invalid"),
        (removal("l1-7", None, Some("a"), None), "Invalid"),
        // Its launch is over, and forgotten.
        (of("l0-0"), "Gone"),
    ] {
        let outcome = provider.remove(&cluster.permit(), &removal).await;
        assert_eq!(removed(&outcome), expected, "{removal:?}: {outcome:?}");
    }
    // A node that somebody deleted has no machine any more.
    cluster.store().delete("nodes", "", "l1-1");
    assert_eq!(provider.remove(&cluster.permit(), &of("l1-1")).await, RemovalOutcome::Gone);
    // Somebody else's node of the same name is left alone.
    provider.remove(&cluster.permit(), &of("l1-0")).await;
    cluster.store().delete("nodes", "", "l1-0");
    let theirs = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "l1-0"}, "spec": {"providerID": "aws:///i-1"},
    });
    cluster.store().create(theirs).expect("created");
    let _running = cluster.run(provider.clone());
    let noted = |store: &Store| {
        let record = store.get("configmaps", "plimsoll", super::RECORD).unwrap_or_default();
        record["data"]["l1"].as_str().is_some_and(|launch| launch.contains("\"gone\":[0]"))
    };
    assert!(cluster.store().wait_until(LIMIT, noted).await);
    assert_eq!(names(cluster.store()), ["l1-0"]);
}

#[tokio::test]
async fn a_machine_without_a_node_never_gets_one() {
    let cluster = Cluster::start(Options::default()).await;
    let late = SimulatedSettings { delay: Duration::from_millis(300), ..going(Duration::ZERO) };
    let provider = simulated(&cluster, late);
    provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    assert_eq!(provider.remove(&cluster.permit(), &of("l1-0")).await, RemovalOutcome::Accepted);
    let _running = cluster.run(provider.clone());
    assert!(cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 1).await);
    assert_eq!(names(cluster.store()), ["l1-1"]);
    assert_eq!(provider.inventory().await.expect("an inventory").machines.len(), 1);
}

#[tokio::test]
async fn removals_fail_on_purpose() {
    for (fail, expected) in
        [(RemovalFault::Refused, ("Other", "Accepted")), (RemovalFault::NoAnswer, ("Unknown", "Accepted"))]
    {
        let mut settings = going(NEVER);
        settings.removal.fail = Some(fail);
        settings.removal.first = Some(1);
        let (cluster, provider) = with_nodes(settings).await;
        let first = provider.remove(&cluster.permit(), &of("l1-0")).await;
        let noted = provider.inventory().await.expect("an inventory").machines[0].deleting;
        assert_eq!((removed(&first), noted), (expected.0, fail == RemovalFault::NoAnswer), "{fail:?}");
        let second = provider.remove(&cluster.permit(), &of("l1-0")).await;
        assert_eq!(removed(&second), expected.1, "{fail:?}");
    }
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_told_apart() {
    for (verb, fault, expected, noted) in [
        ("update", ServerFault::DropAfterWrite, "Unknown", true),
        ("update", ServerFault::DropBeforeWrite, "Unknown", false),
        ("update", ServerFault::Status { code: 500, retry_after: None }, "Unknown", false),
        ("update", ServerFault::Status { code: 403, retry_after: None }, "Unauthorized", false),
        ("update", ServerFault::Status { code: 409, retry_after: None }, "Accepted", true),
        ("get", ServerFault::Status { code: 403, retry_after: None }, "Unknown", false),
    ] {
        let (cluster, provider) = with_nodes(going(NEVER)).await;
        cluster.server.faults().add(Rule::on(verb, "configmaps").times(1), fault.clone());
        let outcome = provider.remove(&cluster.permit(), &of("l1-0")).await;
        cluster.server.faults().clear();
        let found = (removed(&outcome), provider.inventory().await.expect("an inventory").machines[0].deleting);
        assert_eq!(found, (expected, noted), "{verb} {fault:?}: {outcome:?}");
        assert_eq!(provider.remove(&cluster.permit(), &of("l1-0")).await, RemovalOutcome::Accepted);
    }
    let (cluster, provider) = with_nodes(going(NEVER)).await;
    let permit = cluster.permit();
    cluster.setter.resign();
    assert_eq!(removed(&provider.remove(&permit, &of("l1-0")).await), "Unknown");
    assert!(!provider.inventory().await.expect("an inventory").machines[0].deleting);
}
