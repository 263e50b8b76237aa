//! Nodes: marked, released, deleted, asked for.

use plimsoll_apiserver::{Fault, Partition, Rule, Who};
use plimsoll_kube::{
    ApiError, Leadership, Purpose, Resource, Term, delete_node, mark_node, release_node, request_drain,
    withdraw_request,
};
use plimsoll_model::well_known;
use plimsoll_planner::drain::{DrainId, NodeRef, WriteAnswer};
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn drain(id: &str, cluster: &str, deadline: u64) -> String {
    json!({"id": id, "cluster": cluster, "deadline": deadline}).to_string()
}

fn id(text: &str) -> DrainId {
    DrainId(text.into())
}

fn annotation<'a>(node: &'a Value, key: &str) -> Option<&'a str> {
    node["metadata"]["annotations"][key].as_str()
}

fn draining(node: &Value) -> Vec<&Value> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    taints.filter(|taint| taint["key"] == well_known::DRAINING).collect()
}

#[tokio::test]
async fn a_node_is_marked_once_and_released_as_it_was() {
    let cluster = Cluster::start().await;
    let Cluster { api, node, .. } = &cluster;
    let permit = cluster.permit();
    let other = json!({"key": "dedicated", "value": "x", "effect": "NoSchedule"});
    cluster.patch(&Resource::NODES, &cluster.node_name(), None, json!({"spec": {"taints": [other]}})).await;
    for deadline in [1, 1, 2] {
        let text = drain("d1", "shop", deadline);
        assert_eq!(mark_node(api, &permit, node, "shop", &text).await, WriteAnswer::Done);
        let marked = cluster.node().await;
        assert_eq!(marked["spec"]["unschedulable"], true);
        assert_eq!(annotation(&marked, well_known::DRAIN), Some(&*text));
        let taints = draining(&marked);
        assert_eq!(taints, [&json!({"key": well_known::DRAINING, "value": "d1", "effect": "NoSchedule"})]);
        assert!(marked["spec"]["taints"].as_array().expect("taints").contains(&other));
    }
    let other_one = release_node(api, &permit, node, Some(&id("d2"))).await;
    assert!(matches!(&other_one, WriteAnswer::Otherwise(said) if said.contains("d1")), "{other_one:?}");
    let unread = release_node(api, &permit, node, None).await;
    assert!(matches!(unread, WriteAnswer::Otherwise(_)), "{unread:?}");
    assert_eq!(cluster.node().await["spec"]["unschedulable"], true);
    for _ in 0..2 {
        assert_eq!(release_node(api, &permit, node, Some(&id("d1"))).await, WriteAnswer::Done);
        let released = cluster.node().await;
        assert_eq!(annotation(&released, well_known::DRAIN), None);
        assert_ne!(released["spec"]["unschedulable"], true);
        assert!(draining(&released).is_empty());
        assert!(released["spec"]["taints"].as_array().expect("taints").contains(&other));
    }
    cluster.clean().await;
}

#[tokio::test]
async fn what_a_person_cordoned_stays_cordoned() {
    let cluster = Cluster::start().await;
    let Cluster { api, node, .. } = &cluster;
    let permit = cluster.permit();
    cluster.patch(&Resource::NODES, &cluster.node_name(), None, json!({"spec": {"unschedulable": true}})).await;
    for deadline in [1, 2] {
        let text = drain("d1", "shop", deadline);
        assert_eq!(mark_node(api, &permit, node, "shop", &text).await, WriteAnswer::Done);
        assert_eq!(annotation(&cluster.node().await, well_known::WAS_CORDONED), Some("true"));
    }
    assert_eq!(release_node(api, &permit, node, Some(&id("d1"))).await, WriteAnswer::Done);
    let released = cluster.node().await;
    assert_eq!(released["spec"]["unschedulable"], true);
    assert_eq!(annotation(&released, well_known::WAS_CORDONED), None);
    assert!(draining(&released).is_empty());
    // And the next drain finds it as the person left it.
    cluster.patch(&Resource::NODES, &cluster.node_name(), None, json!({"spec": {"unschedulable": null}})).await;
    assert_eq!(mark_node(api, &permit, node, "shop", &drain("d2", "shop", 3)).await, WriteAnswer::Done);
    assert_eq!(release_node(api, &permit, node, Some(&id("d2"))).await, WriteAnswer::Done);
    assert_ne!(cluster.node().await["spec"]["unschedulable"], true);
    cluster.clean().await;
}

#[tokio::test]
async fn the_drain_of_another_plimsoll_stands_and_what_cannot_be_read_is_released_on_demand() {
    let cluster = Cluster::start().await;
    let Cluster { api, node, .. } = &cluster;
    let permit = cluster.permit();
    let theirs = drain("x1", "bank", 1);
    assert_eq!(mark_node(api, &permit, node, "bank", &theirs).await, WriteAnswer::Done);
    let ours = mark_node(api, &permit, node, "shop", &drain("d1", "shop", 1)).await;
    assert!(matches!(&ours, WriteAnswer::Otherwise(said) if said.contains("bank")), "{ours:?}");
    let ours = release_node(api, &permit, node, Some(&id("d1"))).await;
    assert!(matches!(&ours, WriteAnswer::Otherwise(said) if said.contains("bank")), "{ours:?}");
    assert_eq!(annotation(&cluster.node().await, well_known::DRAIN), Some(&*theirs));
    let garbage = json!({"metadata": {"annotations": {well_known::DRAIN: "{"}}});
    cluster.patch(&Resource::NODES, &cluster.node_name(), None, garbage).await;
    let unread = release_node(api, &permit, node, Some(&id("x1"))).await;
    assert!(matches!(unread, WriteAnswer::Otherwise(_)), "{unread:?}");
    assert_eq!(release_node(api, &permit, node, None).await, WriteAnswer::Done);
    let released = cluster.node().await;
    assert_ne!(released["spec"]["unschedulable"], true);
    assert!(draining(&released).is_empty() && annotation(&released, well_known::DRAIN).is_none());
    cluster.clean().await;
}

#[tokio::test]
async fn another_node_of_the_name_is_left_alone() {
    let cluster = Cluster::start().await;
    let Cluster { api, node, .. } = &cluster;
    let permit = cluster.permit();
    let before = NodeRef { name: node.name.clone(), uid: "11111111-2222-3333-4444-555555555555".to_owned() };
    let text = drain("d1", "shop", 1);
    assert_eq!(mark_node(api, &permit, &before, "shop", &text).await, WriteAnswer::Gone);
    assert_eq!(release_node(api, &permit, &before, None).await, WriteAnswer::Gone);
    assert_eq!(delete_node(api, &permit, &before).await, WriteAnswer::Gone);
    assert_ne!(cluster.node().await["spec"]["unschedulable"], true);
    assert_eq!(delete_node(api, &permit, node).await, WriteAnswer::Done);
    assert_eq!(delete_node(api, &permit, node).await, WriteAnswer::Gone);
    assert_eq!(mark_node(api, &permit, node, "shop", &text).await, WriteAnswer::Gone);
    assert_eq!(release_node(api, &permit, node, Some(&id("d1"))).await, WriteAnswer::Gone);
    assert_eq!(request_drain(api, &node.name, None).await, WriteAnswer::Gone);
    assert_eq!(withdraw_request(api, &node.name).await, WriteAnswer::Gone);
    cluster.clean().await;
}

#[tokio::test]
async fn a_person_asks_for_a_drain_and_takes_it_back() {
    let cluster = Cluster::start().await;
    let Cluster { api, node, .. } = &cluster;
    for reason in [Some("disk makes noises"), None] {
        assert_eq!(request_drain(api, &node.name, reason).await, WriteAnswer::Done);
        let asked = cluster.node().await;
        assert_eq!(annotation(&asked, well_known::DRAIN_REQUESTED), Some(reason.unwrap_or_default()));
        assert_ne!(asked["spec"]["unschedulable"], true);
    }
    for _ in 0..2 {
        assert_eq!(withdraw_request(api, &node.name).await, WriteAnswer::Done);
        assert_eq!(annotation(&cluster.node().await, well_known::DRAIN_REQUESTED), None);
    }
    cluster.clean().await;
}

#[tokio::test]
async fn nobody_else_marks_nodes() {
    let cluster = Cluster::start().await;
    let Cluster { api, node, wire, .. } = &cluster;
    let text = drain("d1", "shop", 1);
    if let Some(server) = wire.server() {
        server.deny("nobody", "*", "", "nodes");
    }
    let other = wire.api_as("nobody").await;
    let permit = cluster.permit();
    for answer in [
        mark_node(&other, &permit, node, "shop", &text).await,
        release_node(&other, &permit, node, None).await,
        delete_node(&other, &permit, node).await,
        request_drain(&other, &node.name, None).await,
    ] {
        assert!(matches!(&answer, WriteAnswer::Forbidden(said) if said.contains("resource \"nodes\"")), "{answer:?}");
    }
    // A leader that has lost its lease.
    let (setter, leadership) = Leadership::new(false);
    setter.lead(Term { number: 1, until: None });
    let lost = leadership.permit(Purpose::Effect).expect("leads");
    setter.resign();
    for answer in [
        mark_node(api, &lost, node, "shop", &text).await,
        release_node(api, &lost, node, None).await,
        delete_node(api, &lost, node).await,
    ] {
        assert_eq!(answer, WriteAnswer::Unknown("this replica does not lead".to_owned()));
    }
    assert_eq!(annotation(&cluster.node().await, well_known::DRAIN), None);
    cluster.clean().await;
}

#[tokio::test]
async fn somebody_elses_changes_are_kept() {
    let cluster = Cluster::start().await;
    let Cluster { api, node, .. } = &cluster;
    let (permit, name, nodes) = (cluster.permit(), cluster.node_name(), Resource::NODES);
    for round in 0..5 {
        let text = drain("d1", "shop", round);
        let label = format!("r{round}");
        let (marked, _) = tokio::join!(
            mark_node(api, &permit, node, "shop", &text),
            cluster.patch(
                &nodes,
                &name,
                None,
                json!({"metadata": {"labels": {&label: "x"}}, "spec": {"taints": [
                {"key": &label, "effect": "NoExecute"}]}})
            ),
        );
        assert_eq!(marked, WriteAnswer::Done);
        let text = drain("d1", "shop", round + 100);
        assert_eq!(mark_node(api, &permit, node, "shop", &text).await, WriteAnswer::Done);
        let object = cluster.node().await;
        assert_eq!(object["metadata"]["labels"][&label], "x");
        assert!(object["spec"]["taints"].as_array().expect("taints").iter().any(|taint| taint["key"] == *label));
        assert_eq!(draining(&object).len(), 1);
    }
    cluster.clean().await;
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_not_for_ever() {
    let cluster = Cluster::start().await;
    let Some(server) = cluster.wire.hooks() else { return };
    let Cluster { api, node, .. } = &cluster;
    let (permit, text) = (cluster.permit(), drain("d1", "shop", 1));
    let conflict = Fault::Status { code: 409, retry_after: None };
    server.faults().add(Rule::on("patch", "nodes").times(2), conflict.clone());
    assert_eq!(mark_node(api, &permit, node, "shop", &text).await, WriteAnswer::Done);
    let rule = server.faults().add(Rule::on("patch", "nodes"), conflict);
    let endless = release_node(api, &permit, node, Some(&id("d1"))).await;
    assert!(matches!(endless, WriteAnswer::Unknown(_)), "{endless:?}");
    server.faults().remove(rule);
    assert_eq!(release_node(api, &permit, node, Some(&id("d1"))).await, WriteAnswer::Done);
    cluster.clean().await;
}

#[tokio::test]
async fn lost_answers_are_found_out_by_doing_it_again() {
    let cluster = Cluster::start().await;
    let Some(server) = cluster.wire.hooks() else { return };
    let Cluster { api, node, .. } = &cluster;
    let (permit, text) = (cluster.permit(), drain("d1", "shop", 1));
    for (fault, writes) in [
        (Fault::DropAfterWrite, 1),
        (Fault::DropBeforeWrite, 2),
        (Fault::Status { code: 503, retry_after: None }, 2),
        (Fault::Status { code: 429, retry_after: Some(7) }, 2),
    ] {
        let patches = |server: &plimsoll_apiserver::ApiServer| {
            server.requests().iter().filter(|request| request.verb == "patch" && request.name == *node.name).count()
        };
        let before = patches(server);
        server.faults().add(Rule::on("patch", "nodes").named(&node.name).times(1), fault.clone());
        let lost = mark_node(api, &permit, node, "shop", &text).await;
        assert!(matches!(lost, WriteAnswer::Unknown(_)), "{fault:?}: {lost:?}");
        assert_eq!(mark_node(api, &permit, node, "shop", &text).await, WriteAnswer::Done);
        assert_eq!(patches(server) - before, writes, "{fault:?}: written once");
        server.faults().add(Rule::on("patch", "nodes").named(&node.name).times(1), fault.clone());
        let lost = release_node(api, &permit, node, Some(&id("d1"))).await;
        assert!(matches!(lost, WriteAnswer::Unknown(_)), "{fault:?}: {lost:?}");
        assert_eq!(release_node(api, &permit, node, Some(&id("d1"))).await, WriteAnswer::Done);
        assert!(draining(&cluster.node().await).is_empty());
    }
    server.faults().partition(Who::All, Partition::Refuse);
    let cut = mark_node(api, &permit, node, "shop", &text).await;
    assert!(matches!(cut, WriteAnswer::Unknown(_)), "{cut:?}");
    server.faults().heal();
    server.faults().add(Rule::on("delete", "nodes").times(1), Fault::DropAfterWrite);
    assert!(matches!(delete_node(api, &permit, node).await, WriteAnswer::Unknown(_)));
    assert_eq!(delete_node(api, &permit, node).await, WriteAnswer::Gone);
    let gone = api.get(&Resource::NODES, &cluster.node_name()).await;
    assert!(matches!(gone, Err(ApiError::NotFound(_))));
    cluster.clean().await;
}
