//! The replacement of a pod is started while the pod still serves.

use plimsoll_apiserver::{Fault, Rule};
use plimsoll_kube::{Resource, evict, start_replacement};
use plimsoll_model::{Millis, Timestamp, well_known};
use plimsoll_planner::drain::{DrainId, EvictionAnswer, PodRef, Warmup, WriteAnswer};
use serde_json::{Value, json};

use crate::cluster::{Cluster, SERVICES, SLICES, uid};
use crate::wire::until;

const WRITTEN: &str = r#"{"drain":"d1"}"#;

/// A Deployment of one pod behind a Service.
async fn deploy(cluster: &Cluster) -> (PodRef, Warmup) {
    let labels = json!({"app": "web"});
    let metadata = json!({"name": "web", "namespace": cluster.wire.namespace});
    let node = json!({"plimsoll.dev/test": &*cluster.node.name});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
                         "spec": {"selector": labels, "ports": [{"port": 80}]}});
    cluster.wire.create(&SERVICES, service).await;
    let pod = json!({"metadata": {"labels": labels}, "spec": {
        "nodeSelector": node, "containers": [{"name": "c", "image": "i"}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}});
    cluster.wire.create(&Resource::DEPLOYMENTS, deployment).await;
    until("its pod is bound", async || pods(cluster).await.iter().any(is_bound)).await;
    let pods = pods(cluster).await;
    let pod = &pods[0];
    let owner = &pod["metadata"]["ownerReferences"][0];
    let warmup = Warmup {
        drain: DrainId("d1".into()),
        replica_set: owner["name"].as_str().expect("a name").into(),
        replica_set_uid: owner["uid"].as_str().expect("a UID").to_owned(),
        hash: pod["metadata"]["labels"][well_known::POD_TEMPLATE_HASH].as_str().expect("a hash").into(),
        since: Timestamp(0),
        warmup: Millis::from_secs(60),
    };
    let pod = cluster.pod_ref(pod);
    cluster.make_ready(&pod.name).await;
    until("it serves", async || ready_endpoints(cluster).await == 1).await;
    (pod, warmup)
}

async fn pods(cluster: &Cluster) -> Vec<Value> {
    cluster.api.list(&Resource::PODS, &cluster.wire.namespace, "app=web").await.expect("pods")
}

fn is_bound(pod: &Value) -> bool {
    pod["spec"]["nodeName"].is_string()
}

async fn ready_endpoints(cluster: &Cluster) -> usize {
    let slices =
        cluster.api.list(&SLICES, &cluster.wire.namespace, "kubernetes.io/service-name=web").await.expect("slices");
    let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true).count()
}

#[tokio::test]
async fn a_pod_serves_on_while_its_replacement_starts() {
    let cluster = Cluster::start().await;
    let (api, permit) = (&cluster.api, cluster.permit());
    let (pod, warmup) = deploy(&cluster).await;
    cluster.budget("b", "web", json!({"minAvailable": 1})).await;
    for _ in 0..2 {
        assert_eq!(start_replacement(api, &permit, &pod, &warmup, WRITTEN).await, WriteAnswer::Done);
    }
    let mut second = Value::Null;
    until("the ReplicaSet lets it go and starts another", async || {
        assert_eq!(ready_endpoints(&cluster).await, 1, "it serves on");
        let first = cluster.pod(&pod.name).await.expect("the first is there");
        let is_new = |one: &&Value| uid(one) != pod.uid.to_string() && is_bound(one);
        second = pods(&cluster).await.iter().find(is_new).cloned().unwrap_or_default();
        first["metadata"]["ownerReferences"].is_null() && !second.is_null()
    })
    .await;
    let first = cluster.pod(&pod.name).await.expect("the first is there");
    assert_eq!(first["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(first["metadata"]["annotations"][well_known::WARMING_UP], WRITTEN);
    let owner = &second["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["uid"], &owner["controller"]), (&json!(warmup.replica_set_uid), &json!(true)));
    assert_eq!(pods(&cluster).await.len(), 2, "one in its place, and no more");
    let early = evict(api, &permit, &pod, None).await;
    assert!(matches!(early, EvictionAnswer::Budget { .. }), "the only one that is ready: {early:?}");
    cluster.make_ready(second["metadata"]["name"].as_str().expect("a name")).await;
    until("both serve", async || ready_endpoints(&cluster).await == 2).await;
    until("the budget allows it", async || evict(api, &permit, &pod, None).await == EvictionAnswer::Accepted).await;
    until("the second serves alone", async || {
        let ready = ready_endpoints(&cluster).await;
        assert!(ready >= 1, "somebody always serves");
        ready == 1
    })
    .await;
    cluster.finish(&pod).await;
    until("the first is gone", async || pods(&cluster).await.len() == 1).await;
    assert_eq!(uid(&pods(&cluster).await[0]), uid(&second));
    assert_eq!(start_replacement(api, &permit, &pod, &warmup, WRITTEN).await, WriteAnswer::Gone);
    cluster.clean().await;
}

#[tokio::test]
async fn a_pod_that_is_not_the_one_of_the_replica_set_is_left_alone() {
    let cluster = Cluster::start().await;
    let (api, permit) = (&cluster.api, cluster.permit());
    let bare = cluster.running("bare", "web").await;
    let (pod, warmup) = deploy_beside(&cluster).await;
    let other = start_replacement(api, &permit, &bare, &warmup, WRITTEN).await;
    assert!(matches!(&other, WriteAnswer::Otherwise(said) if said.contains("does not control")), "{other:?}");
    let renewed = Warmup { replica_set_uid: "r2".to_owned(), ..warmup.clone() };
    let other = start_replacement(api, &permit, &pod, &renewed, WRITTEN).await;
    assert!(matches!(other, WriteAnswer::Otherwise(_)), "{other:?}");
    let gone = PodRef { uid: bare.uid.clone(), ..pod.clone() };
    assert_eq!(start_replacement(api, &permit, &gone, &warmup, WRITTEN).await, WriteAnswer::Gone);
    assert_eq!(evict(api, &permit, &pod, None).await, EvictionAnswer::Accepted);
    let leaving = start_replacement(api, &permit, &pod, &warmup, WRITTEN).await;
    assert!(matches!(&leaving, WriteAnswer::Otherwise(said) if said.contains("deleted")), "{leaving:?}");
    assert_eq!(
        cluster.pod(&pod.name).await.expect("has time")["metadata"]["annotations"].get(well_known::WARMING_UP),
        None
    );
    cluster.clean().await;
}

/// A pod of a ReplicaSet without controllers at work.
async fn deploy_beside(cluster: &Cluster) -> (PodRef, Warmup) {
    let uid = "99999999-2222-3333-4444-555555555555";
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-abc-x", "namespace": cluster.wire.namespace,
            "labels": {"app": "web", well_known::POD_TEMPLATE_HASH: "abc"}, "finalizers": ["plimsoll.dev/test"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-abc", "uid": uid, "controller": true}],
        },
        "spec": {"nodeName": &*cluster.node.name, "containers": [{"name": "c", "image": "i"}]},
    });
    let pod = cluster.wire.create(&Resource::PODS, object).await;
    let warmup = Warmup {
        drain: DrainId("d1".into()),
        replica_set: "web-abc".into(),
        replica_set_uid: uid.to_owned(),
        hash: "abc".into(),
        since: Timestamp(0),
        warmup: Millis::from_secs(60),
    };
    (cluster.pod_ref(&pod), warmup)
}

#[tokio::test]
async fn a_lost_answer_starts_no_second_replacement() {
    let cluster = Cluster::start().await;
    let Some(server) = cluster.wire.hooks() else { return };
    let (api, permit) = (&cluster.api, cluster.permit());
    let (pod, warmup) = deploy(&cluster).await;
    for fault in [
        Fault::DropBeforeWrite,
        Fault::Status { code: 429, retry_after: Some(1) },
        Fault::Status { code: 500, retry_after: None },
        Fault::DropAfterWrite,
    ] {
        server.faults().add(Rule::on("patch", "pods").named(&pod.name).times(1), fault.clone());
        let lost = start_replacement(api, &permit, &pod, &warmup, WRITTEN).await;
        assert!(matches!(lost, WriteAnswer::Unknown(_)), "{fault:?}: {lost:?}");
    }
    until("another is started", async || pods(&cluster).await.len() == 2).await;
    assert_eq!(start_replacement(api, &permit, &pod, &warmup, WRITTEN).await, WriteAnswer::Done);
    let other = Warmup { drain: DrainId("d2".into()), ..warmup };
    let other = start_replacement(api, &permit, &pod, &other, r#"{"drain":"d2"}"#).await;
    assert!(matches!(&other, WriteAnswer::Otherwise(said) if said.contains("d1")), "{other:?}");
    assert_eq!(pods(&cluster).await.len(), 2);
    let denied = cluster.wire.api_as("nobody").await;
    server.deny("nobody", "patch", "", "pods");
    let fresh = pods(&cluster).await.into_iter().find(|one| uid(one) != pod.uid.to_string()).expect("the second");
    let forbidden = start_replacement(&denied, &permit, &cluster.pod_ref(&fresh), &other_of(&fresh), WRITTEN).await;
    assert!(matches!(forbidden, WriteAnswer::Forbidden(_)), "{forbidden:?}");
    cluster.clean().await;
}

fn other_of(pod: &Value) -> Warmup {
    let owner = &pod["metadata"]["ownerReferences"][0];
    Warmup {
        drain: DrainId("d1".into()),
        replica_set: "web".into(),
        replica_set_uid: owner["uid"].as_str().expect("a UID").to_owned(),
        hash: pod["metadata"]["labels"][well_known::POD_TEMPLATE_HASH].as_str().expect("a hash").into(),
        since: Timestamp(0),
        warmup: Millis::from_secs(60),
    }
}
