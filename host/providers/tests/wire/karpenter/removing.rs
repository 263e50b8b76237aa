//! NodeClaims go.

use plimsoll_apiserver::{Fault, Rule};
use plimsoll_planner::drain::RemovalOutcome;
use plimsoll_providers::{InstanceState, MachineState, NodeGroupProvider as _};
use serde_json::{Value, json};

use super::{CLAIMS, names, pool, provider, start};
use crate::cluster::Cluster;
use crate::support::{intent, removal, removed};

/// Two claims with nodes, which Karpenter's finalizer keeps until the machine is gone.
async fn claims() -> Cluster {
    let cluster = start().await;
    provider(&cluster).launch(&cluster.permit(), &intent("l1", "web", 2, None)).await;
    for (name, node, id) in [("l1-0", "n1", "aws:///i-1"), ("l1-1", "n2", "aws:///i-2")] {
        let status =
            json!({"nodeName": node, "providerID": id, "conditions": [{"type": "Launched", "status": "True"}]});
        let joined = |claim: &mut Value| {
            claim["status"] = status;
            claim["metadata"]["finalizers"] = json!(["karpenter.sh/termination"]);
        };
        cluster.store().update(CLAIMS, "", name, joined).expect("there");
    }
    cluster.server.clear_requests();
    cluster
}

fn deletes(cluster: &Cluster) -> usize {
    cluster.server.requests().iter().filter(|request| request.verb == "delete").count()
}

/// What Karpenter does once the machine is gone.
fn finish(cluster: &Cluster, name: &str) {
    cluster.store().update(CLAIMS, "", name, |claim| claim["metadata"]["finalizers"] = json!([])).expect("there");
}

#[tokio::test]
async fn the_claim_of_the_node_goes() {
    for removal in [
        removal("n1", Some("aws:///i-1"), Some("web"), None),
        removal("n1", None, Some("web"), None),
        removal("n1", Some("aws:///i-1"), None, None),
    ] {
        let cluster = claims().await;
        let provider = provider(&cluster);
        assert_eq!(provider.removal_baseline(&removal).await, Ok(None));
        for _ in 0..2 {
            assert_eq!(provider.remove(&cluster.permit(), &removal).await, RemovalOutcome::Accepted);
            assert_eq!(deletes(&cluster), 1);
        }
        let inventory = provider.inventory().await.expect("an inventory");
        assert_eq!(inventory.groups[0].target, 1);
        assert_eq!(inventory.groups[0].instances[0].state, InstanceState::Deleting);
        assert_eq!(inventory.machine_state("n1", removal.provider_id.as_deref()), MachineState::Deleting);
        assert_eq!(inventory.machine_state("n2", Some("aws:///i-2")), MachineState::Present);
        finish(&cluster, "l1-0");
        assert_eq!(names(&cluster), ["l1-1"]);
        let expected = if removal.group.is_some() { "Gone" } else { "Invalid" };
        assert_eq!(removed(&provider.remove(&cluster.permit(), &removal).await), expected);
        let inventory = provider.inventory().await.expect("an inventory");
        assert_eq!(inventory.machine_state("n1", removal.provider_id.as_deref()), MachineState::Gone);
        assert_eq!(deletes(&cluster), 1);
    }
}

#[tokio::test]
async fn another_machine_of_the_name_stays() {
    let cluster = claims().await;
    let outcome =
        provider(&cluster).remove(&cluster.permit(), &removal("n1", Some("aws:///i-0"), Some("web"), None)).await;
    assert_eq!((outcome, deletes(&cluster)), (RemovalOutcome::Gone, 0));
    let twice = |claim: &mut Value| claim["status"]["providerID"] = "aws:///i-1".into();
    cluster.store().update(CLAIMS, "", "l1-1", twice).expect("there");
    let outcome =
        provider(&cluster).remove(&cluster.permit(), &removal("n1", Some("aws:///i-1"), Some("web"), None)).await;
    assert_eq!((removed(&outcome), deletes(&cluster)), ("Invalid", 0), "{outcome:?}");
}

#[tokio::test]
async fn a_claim_that_was_made_anew_stays() {
    let cluster = claims().await;
    let slow = Fault::Latency(std::time::Duration::from_millis(500));
    cluster.server.faults().add(Rule::on("delete", "nodeclaims").times(1), slow);
    let provider = provider(&cluster);
    let permit = cluster.permit();
    let removal = removal("n1", Some("aws:///i-1"), Some("web"), None);
    let meanwhile = async {
        while !cluster.server.requests().iter().any(|request| request.verb == "list") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        let mut claim = cluster.store().get(CLAIMS, "", "l1-0").expect("there");
        cluster.store().force_delete(CLAIMS, "", "l1-0");
        claim["metadata"] = json!({"name": "l1-0", "labels": claim["metadata"]["labels"]});
        claim["status"] = json!({});
        cluster.store().create(claim).expect("made anew");
    };
    let (outcome, ()) = tokio::join!(provider.remove(&permit, &removal), meanwhile);
    assert_eq!((removed(&outcome), names(&cluster).len()), ("Unknown", 2), "{outcome:?}");
    assert_eq!(provider.remove(&permit, &removal).await, RemovalOutcome::Gone);
    assert_eq!(names(&cluster).len(), 2);
}

#[tokio::test]
async fn a_pool_of_a_fixed_size_keeps_its_nodes() {
    let cluster = claims().await;
    let of_pool = |claim: &mut Value| claim["metadata"]["labels"] = json!({"karpenter.sh/nodepool": "fixed"});
    cluster.store().update(CLAIMS, "", "l1-0", of_pool).expect("there");
    let mut fixed = pool("fixed");
    fixed["spec"]["replicas"] = 2.into();
    cluster.store().create(fixed).expect("created");
    let removal = removal("n1", Some("aws:///i-1"), Some("fixed"), None);
    let outcome = provider(&cluster).remove(&cluster.permit(), &removal).await;
    assert!(matches!(&outcome, RemovalOutcome::Failed(failure) if failure.message().contains("NodePool fixed")));
    assert_eq!(deletes(&cluster), 0);
    let free = |pool: &mut Value| pool["spec"]["replicas"] = Value::Null;
    cluster.store().update("nodepools.karpenter.sh", "", "fixed", free).expect("there");
    assert_eq!(provider(&cluster).remove(&cluster.permit(), &removal).await, RemovalOutcome::Accepted);
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    let status = |code| Fault::Status { code, retry_after: None };
    for (verb, fault, expected, going) in [
        ("delete", status(403), "Unauthorized", false),
        ("delete", status(409), "Unknown", false),
        ("delete", status(422), "Invalid", false),
        ("delete", status(429), "RateLimited", false),
        ("delete", status(500), "Unknown", false),
        ("delete", Fault::DropBeforeWrite, "Unknown", false),
        ("delete", Fault::DropAfterWrite, "Unknown", true),
        ("list", status(403), "Unknown", false),
    ] {
        let cluster = claims().await;
        let removal = removal("n1", Some("aws:///i-1"), Some("web"), None);
        cluster.server.faults().add(Rule::on(verb, "nodeclaims").times(1), fault.clone());
        let outcome = provider(&cluster).remove(&cluster.permit(), &removal).await;
        let claim = cluster.store().get(CLAIMS, "", "l1-0").expect("there");
        let found = (removed(&outcome), claim["metadata"].get("deletionTimestamp").is_some());
        assert_eq!(found, (expected, going), "{verb} {fault:?}: {outcome:?}");
        cluster.server.faults().clear();
        let again = provider(&cluster).remove(&cluster.permit(), &removal).await;
        assert_eq!(again, RemovalOutcome::Accepted, "{verb} {fault:?}");
    }
    let cluster = claims().await;
    let permit = cluster.permit();
    cluster.setter.resign();
    let removal = removal("n1", Some("aws:///i-1"), Some("web"), None);
    assert_eq!(removed(&provider(&cluster).remove(&permit, &removal).await), "Unknown");
    assert_eq!(deletes(&cluster), 0);
}
