//! The world that makes our own server a cluster. A real cluster has controllers of its own.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use plimsoll_apiserver::world::{World, WorldConfig, live};
use plimsoll_apiserver::{Options, Store, WallClock};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, LIMIT, Namespace};

/// A server with a world that is quick.
async fn living(test: &str) -> Option<(Endpoint, tokio::task::JoinHandle<()>)> {
    let server = Endpoint::hooked(Options::default(), test).await?;
    let store: Store = server.hooks().store().clone();
    let quick = Duration::from_millis(100);
    let world = World::new(WorldConfig { pod_start: quick, pod_stop: quick, ..WorldConfig::default() }).unwrap();
    let clock = Arc::new(WallClock);
    let task = tokio::spawn(async move { match live(&world, &store, &*clock).await {} });
    Some((server, task))
}

fn deployment(replicas: i64) -> Value {
    json!({ "metadata": { "name": "web" }, "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
        "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [
            { "name": "c", "image": "i", "resources": { "requests": { "cpu": "1" } } }] } } } })
}

fn node(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "status": { "capacity": { "cpu": "2", "memory": "8Gi", "pods": "10" } } })
}

fn pods(store: &Store, ns: &Namespace, phase: &str) -> usize {
    store.list("pods", &ns.name).iter().filter(|pod| pod["status"]["phase"] == phase).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_lives_waits_for_nodes_and_keeps_its_budget() {
    let Some((server, task)) = living("a_deployment_lives").await else { return };
    let ns = server.namespace().await;
    let store = server.hooks().store().clone();
    server.call(Method::POST, "/api/v1/nodes", Some(node("n1"))).await.expect(201);
    let budget = json!({ "metadata": { "name": "b" }, "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": "web" } } } });
    server.call(Method::POST, &ns.path("policy/v1/poddisruptionbudgets"), Some(budget)).await.expect(201);
    server.call(Method::POST, &ns.path("apps/v1/deployments"), Some(deployment(3))).await.expect(201);
    assert!(store.wait_until(LIMIT, |store| pods(store, &ns, "Running") == 2).await, "two have room");
    let waiting = |store: &Store| {
        store.list("pods", &ns.name).iter().any(|pod| pod["status"]["conditions"][0]["reason"] == "Unschedulable")
    };
    assert!(store.wait_until(LIMIT, waiting).await, "the third is told why it waits");
    server.call(Method::POST, "/api/v1/nodes", Some(node("n2"))).await.expect(201);
    assert!(store.wait_until(LIMIT, |store| pods(store, &ns, "Running") == 3).await, "the third runs on the new node");
    let allowed = |store: &Store| {
        store
            .get("poddisruptionbudgets.policy", &ns.name, "b")
            .is_some_and(|one| one["status"]["disruptionsAllowed"] == 1)
    };
    assert!(store.wait_until(LIMIT, allowed).await);
    let name = store.list("pods", &ns.name)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name } });
    server.call(Method::POST, &format!("{}/{name}/eviction", ns.path("pods")), Some(eviction)).await.expect(201);
    let gone = |store: &Store| store.get("pods", &ns.name, &name).is_none() && pods(store, &ns, "Running") == 3;
    assert!(store.wait_until(LIMIT, gone).await, "another takes its place");
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_deleted_takes_its_pods_along() {
    let Some((server, task)) = living("a_node_that_is_deleted").await else { return };
    let ns = server.namespace().await;
    let store = server.hooks().store().clone();
    server.call(Method::POST, "/api/v1/nodes", Some(node("n1"))).await.expect(201);
    server.call(Method::POST, &ns.path("apps/v1/deployments"), Some(deployment(2))).await.expect(201);
    assert!(store.wait_until(LIMIT, |store| pods(store, &ns, "Running") == 2).await);
    server.call(Method::DELETE, "/api/v1/nodes/n1", None).await.expect(200);
    assert!(
        store.wait_until(LIMIT, |store| pods(store, &ns, "Pending") == 2 && pods(store, &ns, "Running") == 0).await
    );
    task.abort();
}
