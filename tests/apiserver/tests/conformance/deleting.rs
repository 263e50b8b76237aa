//! Deleting: at once, with grace, with finalizers, under conditions, many at a time.

use http::Method;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, config_map, meta, pod, version};

#[tokio::test]
async fn what_has_no_grace_goes_at_once() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let created = server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let status = server.call(Method::DELETE, &format!("{path}/a"), None).await.expect(200);
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(status["details"], json!({ "name": "a", "kind": "configmaps", "uid": meta(&created, "uid") }));
    server.call(Method::DELETE, &format!("{path}/a"), None).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_deletion_can_have_conditions() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let created = server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let delete = async |preconditions: Value| {
        let body = json!({ "preconditions": preconditions });
        server.call(Method::DELETE, &format!("{path}/a"), Some(body)).await
    };
    let status = delete(json!({ "uid": "somebody" })).await.refused(409, "Conflict");
    assert!(status["message"].as_str().unwrap().contains("the UID in the precondition (somebody) does not match"));
    delete(json!({ "resourceVersion": "1" })).await.refused(409, "Conflict");
    let right = json!({ "uid": meta(&created, "uid"), "resourceVersion": meta(&created, "resourceVersion") });
    delete(right).await.expect(200);
    ns.clean(&server).await;
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_one_is_gone() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = format!("{path}/a");
    let mut body = config_map("a", "1");
    body["metadata"]["finalizers"] = json!(["test.example/hold"]);
    let created = server.call(Method::POST, &path, Some(body)).await.expect(201);
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={}", version(&created))).await;
    let deleted = server.call(Method::DELETE, &a, None).await.expect(200);
    assert_eq!(deleted["kind"], "ConfigMap");
    assert!(!meta(&deleted, "deletionTimestamp").is_empty());
    assert_eq!(deleted["metadata"]["deletionGracePeriodSeconds"], 0);
    watch.expect("MODIFIED", "a").await;
    let again = server.call(Method::DELETE, &a, None).await.expect(200);
    assert_eq!(version(&again), version(&deleted), "a second deletion changes nothing");
    let more = json!({ "metadata": { "finalizers": ["test.example/hold", "test.example/more"] } });
    server.merge(&a, &more).await.refused(422, "Invalid");
    server.merge(&a, &json!({ "metadata": { "finalizers": null } })).await.expect(200);
    let gone = watch.expect("DELETED", "a").await;
    assert!(version(&gone) > version(&deleted));
    server.read(&a).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_pod_without_a_node_goes_at_once_in_two_events() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("pods");
    let created = server.call(Method::POST, &path, Some(pod("p"))).await.expect(201);
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={}", version(&created))).await;
    let deleted = server.call(Method::DELETE, &format!("{path}/p"), None).await.expect(200);
    assert_eq!((&deleted["kind"], &deleted["metadata"]["deletionGracePeriodSeconds"]), (&json!("Pod"), &json!(0)));
    let marked = watch.expect("MODIFIED", "p").await;
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    let gone = watch.expect("DELETED", "p").await;
    assert!(version(&gone) > version(&marked));
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_pod_on_a_node_has_its_grace_and_can_only_lose_it() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let mut body = pod("p");
    body["spec"]["nodeName"] = "no-such-node".into();
    let p = format!("{}/p", ns.path("pods"));
    server.call(Method::POST, &ns.path("pods"), Some(body)).await.expect(201);
    let grace = |pod: &Value| pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let deleted = server.call(Method::DELETE, &p, None).await.expect(200);
    assert_eq!(grace(&deleted), Some(30));
    let shorter = server.call(Method::DELETE, &format!("{p}?gracePeriodSeconds=10"), None).await.expect(200);
    assert_eq!(grace(&shorter), Some(10));
    assert!(meta(&shorter, "deletionTimestamp") < meta(&deleted, "deletionTimestamp"));
    let longer = server.call(Method::DELETE, &format!("{p}?gracePeriodSeconds=60"), None).await.expect(200);
    assert_eq!((grace(&longer), version(&longer)), (Some(10), version(&shorter)));
    server.read(&p).await.expect(200);
    let now = json!({ "gracePeriodSeconds": 0 });
    server.call(Method::DELETE, &p, Some(now)).await.expect(200);
    server.read(&p).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_finished_pod_goes_at_once() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let mut body = pod("p");
    body["spec"]["nodeName"] = "no-such-node".into();
    let p = format!("{}/p", ns.path("pods"));
    server.call(Method::POST, &ns.path("pods"), Some(body)).await.expect(201);
    server.merge(&format!("{p}/status"), &json!({ "status": { "phase": "Succeeded" } })).await.expect(200);
    server.call(Method::DELETE, &p, None).await.expect(200);
    server.read(&p).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn many_are_deleted_by_selector() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("secrets");
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let body = json!({ "metadata": { "name": name, "labels": { "app": app } } });
        server.call(Method::POST, &path, Some(body)).await.expect(201);
    }
    let list = server.call(Method::DELETE, &format!("{path}?labelSelector=app%3Dx"), None).await.expect(200);
    assert_eq!(list["kind"], "SecretList");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let left = server.read(&path).await.expect(200);
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_namespace_that_ends_takes_nothing_new() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let mut held = config_map("held", "1");
    held["metadata"]["finalizers"] = json!(["test.example/hold"]);
    server.call(Method::POST, &ns.path("configmaps"), Some(held)).await.expect(201);
    let path = format!("/api/v1/namespaces/{}", ns.name);
    let ending = server.call(Method::DELETE, &path, None).await.expect(200);
    assert_eq!((&ending["kind"], &ending["status"]["phase"]), (&json!("Namespace"), &json!("Terminating")));
    let status = server.call(Method::POST, &ns.path("configmaps"), Some(config_map("b", "1"))).await;
    let status = status.refused(403, "Forbidden");
    assert_eq!(status["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let free = json!({ "metadata": { "finalizers": null } });
    server.merge(&format!("{}/held", ns.path("configmaps")), &free).await.expect(200);
}

#[tokio::test]
async fn a_deletion_in_the_foreground_waits_for_its_finalizer() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let body = json!({ "propagationPolicy": "Foreground" });
    let deleted = server.call(Method::DELETE, &format!("{path}/a"), Some(body)).await.expect(200);
    assert_eq!(deleted["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let odd = server.call(Method::DELETE, &format!("{path}/a?propagationPolicy=Sideways"), None).await;
    odd.refused(422, "Invalid");
    server.merge(&format!("{path}/a"), &json!({ "metadata": { "finalizers": null } })).await.expect(200);
    ns.clean(&server).await;
}
