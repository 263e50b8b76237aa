//! Objects, their metadata, and the versions that guard them.

use http::Method;
use serde_json::json;

use crate::endpoint::{Endpoint, config_map, meta, pod, version};

#[tokio::test]
async fn a_new_object_gets_uid_time_and_version() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let first = server.call(Method::POST, &ns.path("configmaps"), Some(config_map("a", "1"))).await.expect(201);
    let second = server.call(Method::POST, &ns.path("configmaps"), Some(config_map("b", "1"))).await.expect(201);
    assert_eq!((&first["kind"], &first["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    assert_eq!(meta(&first, "uid").len(), 36);
    assert_ne!(meta(&first, "uid"), meta(&second, "uid"));
    assert!(meta(&first, "creationTimestamp").ends_with('Z'));
    assert_eq!(meta(&first, "namespace"), ns.name);
    assert!(version(&second) > version(&first), "one counter for everything");
    assert_eq!(server.read(&format!("{}/a", ns.path("configmaps"))).await.expect(200), first);
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_generated_name_begins_as_asked_and_differs() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "generateName": "gen-" } });
    let first = server.call(Method::POST, &ns.path("configmaps"), Some(body.clone())).await.expect(201);
    let second = server.call(Method::POST, &ns.path("configmaps"), Some(body)).await.expect(201);
    assert!(meta(&first, "name").starts_with("gen-") && meta(&first, "name").len() == 9, "{first}");
    assert_eq!(meta(&first, "generateName"), "gen-");
    assert_ne!(meta(&first, "name"), meta(&second, "name"));
    ns.clean(&server).await;
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_with_its_reason() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let post = async |body| server.call(Method::POST, &path, Some(body)).await;
    post(config_map("a", "1")).await.expect(201);
    let status = post(config_map("a", "2")).await.refused(409, "AlreadyExists");
    assert_eq!(status["message"], "configmaps \"a\" already exists");
    assert_eq!(status["details"], json!({ "name": "a", "kind": "configmaps" }));

    let status = post(json!({ "metadata": {} })).await.refused(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.name");
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldValueRequired");
    post(config_map("A_b", "1")).await.refused(422, "Invalid");
    post(json!({ "metadata": { "name": "x", "namespace": "other" } })).await.refused(400, "BadRequest");
    post(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" } })).await.refused(400, "BadRequest");
    post(json!({ "apiVersion": "v2", "kind": "ConfigMap", "metadata": { "name": "x" } }))
        .await
        .refused(400, "BadRequest");
    let versioned = json!({ "metadata": { "name": "x", "resourceVersion": "5" } });
    post(versioned).await.refused(500, "");
    let nowhere =
        server.call(Method::POST, "/api/v1/namespaces/not-there/configmaps", Some(config_map("a", "1"))).await;
    let status = nowhere.refused(404, "NotFound");
    assert_eq!(status["message"], "namespaces \"not-there\" not found");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let dry = format!("{path}?dryRun=All");
    let would_be = server.call(Method::POST, &dry, Some(config_map("a", "1"))).await.expect(201);
    assert_eq!(meta(&would_be, "uid").len(), 36);
    assert_eq!(meta(&would_be, "resourceVersion"), "");
    server.read(&format!("{path}/a")).await.refused(404, "NotFound");
    server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let put = server.call(Method::PUT, &format!("{path}/a?dryRun=All"), Some(config_map("a", "2"))).await.expect(200);
    assert_eq!(put["data"]["value"], "2");
    server.call(Method::DELETE, &format!("{path}/a?dryRun=All"), None).await.expect(200);
    assert_eq!(server.read(&format!("{path}/a")).await.expect(200)["data"]["value"], "1");
    let other = server.call(Method::POST, &format!("{path}?dryRun=Some"), Some(config_map("b", "1"))).await;
    other.refused(422, "Invalid");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_put_needs_the_present_version_if_it_names_one() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = format!("{path}/a");
    let created = server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let mut stale = created.clone();
    stale["data"]["value"] = "2".into();
    let put = server.call(Method::PUT, &a, Some(stale.clone())).await.expect(200);
    assert!(version(&put) > version(&created));
    assert_eq!(meta(&put, "uid"), meta(&created, "uid"));
    stale["data"]["value"] = "3".into();
    let status = server.call(Method::PUT, &a, Some(stale.clone())).await.refused(409, "Conflict");
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("the object has been modified; please apply your changes to the latest version"),
        "{message}"
    );
    // Without a version it is unconditional, for this kind.
    let put = server.call(Method::PUT, &a, Some(config_map("a", "4"))).await.expect(200);
    assert_eq!(put["data"]["value"], "4");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_patch_with_a_version_is_conditional_too() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let created = server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let a = format!("{path}/a");
    let patch =
        json!({ "metadata": { "resourceVersion": meta(&created, "resourceVersion") }, "data": { "value": "2" } });
    server.merge(&a, &patch).await.expect(200);
    server.merge(&a, &patch).await.refused(409, "Conflict");
    server.merge(&a, &json!({ "metadata": { "name": "b" } })).await.refused(400, "BadRequest");
    server.merge(&a, &json!({ "metadata": { "uid": "b" } })).await.refused(422, "Invalid");
    server.merge(&format!("{path}/b"), &json!({})).await.refused(404, "NotFound");
    server.patch(&a, "application/json", &json!({})).await.refused(415, "UnsupportedMediaType");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_put_must_be_about_the_object_in_the_path() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = format!("{path}/a");
    server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let status = server.call(Method::PUT, &a, Some(config_map("b", "1"))).await.refused(400, "BadRequest");
    assert_eq!(status["message"], "the name of the object (b) does not match the name on the URL (a)");
    server.call(Method::PUT, &a, Some(json!({ "metadata": {} }))).await.refused(400, "BadRequest");
    let elsewhere = json!({ "metadata": { "name": "a", "namespace": "other" } });
    server.call(Method::PUT, &a, Some(elsewhere)).await.refused(400, "BadRequest");
    let somebody = json!({ "metadata": { "name": "a", "uid": "not-this-one" } });
    server.call(Method::PUT, &a, Some(somebody)).await.refused(409, "Conflict");
    server.call(Method::PUT, &format!("{path}/c"), Some(config_map("c", "1"))).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_lease_is_never_replaced_without_a_version() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("coordination.k8s.io/v1/leases");
    let lease = json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": "a", "leaseDurationSeconds": 15 } });
    let created = server.call(Method::POST, &path, Some(lease.clone())).await.expect(201);
    let status = server.call(Method::PUT, &format!("{path}/l"), Some(lease)).await.refused(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.resourceVersion");
    assert_eq!(status["details"]["causes"][0]["message"], "Invalid value: 0: must be specified for an update");
    let mut held = created.clone();
    held["spec"]["renewTime"] = "2026-01-02T03:04:05.000006Z".into();
    let put = server.call(Method::PUT, &format!("{path}/l"), Some(held)).await.expect(200);
    assert_eq!(put["spec"]["renewTime"], "2026-01-02T03:04:05.000006Z");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_no_write() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = format!("{path}/a");
    let created = server.call(Method::POST, &path, Some(config_map("a", "1"))).await.expect(201);
    let put = server.call(Method::PUT, &a, Some(created.clone())).await.expect(200);
    assert_eq!(version(&put), version(&created));
    let patched = server.merge(&a, &json!({ "data": { "value": "1" } })).await.expect(200);
    assert_eq!(version(&patched), version(&created));
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={}", version(&created))).await;
    server.merge(&a, &json!({ "data": { "value": "2" } })).await.expect(200);
    assert_eq!(watch.expect("MODIFIED", "a").await["data"]["value"], "2", "the first event is that of the change");
    ns.clean(&server).await;
}

#[tokio::test]
async fn the_generation_counts_changes_of_the_specification_only() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("apps/v1/deployments");
    let d = format!("{path}/d");
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" },
        "spec": {
            "selector": { "matchLabels": { "app": "d" } },
            "template": { "metadata": { "labels": { "app": "d" } }, "spec": pod("x")["spec"] },
        },
    });
    let created = server.call(Method::POST, &path, Some(deployment)).await.expect(201);
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(created["spec"]["replicas"], 1, "a default is filled in");
    let labelled = server.merge(&d, &json!({ "metadata": { "labels": { "a": "b" } } })).await.expect(200);
    assert_eq!(labelled["metadata"]["generation"], 1);
    let scaled = server.merge(&d, &json!({ "spec": { "replicas": 3 } })).await.expect(200);
    assert_eq!(scaled["metadata"]["generation"], 2);
    let status = json!({ "status": { "observedGeneration": 2, "replicas": 3 } });
    let observed = server.merge(&format!("{d}/status"), &status).await.expect(200);
    assert_eq!((&observed["metadata"]["generation"], &observed["status"]["replicas"]), (&json!(2), &json!(3)));
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_lease_that_is_not_there_is_created_by_a_put() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("coordination.k8s.io/v1/leases");
    let lease = json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": "a" } });
    let created = server.call(Method::PUT, &format!("{path}/l"), Some(lease)).await.expect(201);
    assert_eq!(created["spec"]["holderIdentity"], "a");
    // Unless it is said to be one that was there.
    let lost = json!({ "metadata": { "name": "m", "uid": "0b4f2d5e-0000-4000-8000-000000000001" } });
    server.call(Method::PUT, &format!("{path}/m"), Some(lost)).await.expect(409);
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_new_node_is_tainted_until_it_is_seen_to_be_ready() {
    let server = Endpoint::get().await;
    let node = server.name("node");
    let body = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node } });
    let created = server.call(Method::POST, "/api/v1/nodes", Some(body)).await.expect(201);
    let taint = json!([{ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" }]);
    assert_eq!(created["spec"]["taints"], taint);
    server.call(Method::DELETE, &format!("/api/v1/nodes/{node}"), None).await.expect(200);
}

#[tokio::test]
async fn what_a_client_may_not_set_stays() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let mut body = config_map("a", "1");
    body["metadata"]["uid"] = "mine".into();
    body["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    body["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    let created = server.call(Method::POST, &path, Some(body)).await.expect(201);
    assert_ne!(meta(&created, "uid"), "mine");
    assert_ne!(meta(&created, "creationTimestamp"), "2001-01-01T00:00:00Z");
    assert!(created["metadata"].get("deletionTimestamp").is_none());
    let put = json!({ "metadata": { "name": "a", "creationTimestamp": "2001-01-01T00:00:00Z" } });
    let put = server.call(Method::PUT, &format!("{path}/a"), Some(put)).await.expect(200);
    assert_eq!(meta(&put, "creationTimestamp"), meta(&created, "creationTimestamp"));
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_new_pod_gets_defaults_and_is_pending() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let mut body = pod("p");
    body["status"] = json!({ "phase": "Running" });
    body["spec"]["containers"][0]["resources"] = json!({ "limits": { "cpu": "1", "memory": "1Gi" } });
    let created = server.call(Method::POST, &ns.path("pods"), Some(body)).await.expect(201);
    let spec = &created["spec"];
    assert_eq!(created["status"]["phase"], "Pending");
    assert_eq!(created["status"]["qosClass"], "Guaranteed");
    assert_eq!(spec["restartPolicy"], "Always");
    assert_eq!(spec["terminationGracePeriodSeconds"], 30);
    assert_eq!(spec["schedulerName"], "default-scheduler");
    assert_eq!(spec["priority"], 0);
    assert_eq!(spec["containers"][0]["resources"]["requests"], json!({ "cpu": "1", "memory": "1Gi" }));
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "IfNotPresent");
    let keys: Vec<&str> =
        spec["tolerations"].as_array().unwrap().iter().filter_map(|one| one["key"].as_str()).collect();
    assert_eq!(keys, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_pod_gets_the_priority_of_its_class() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let class = server.name("class");
    let body = json!({ "metadata": { "name": class }, "value": 1234, "preemptionPolicy": "Never" });
    server.call(Method::POST, "/apis/scheduling.k8s.io/v1/priorityclasses", Some(body)).await.expect(201);
    let mut body = pod("p");
    body["spec"]["priorityClassName"] = class.clone().into();
    let created = server.call(Method::POST, &ns.path("pods"), Some(body.clone())).await.expect(201);
    assert_eq!((&created["spec"]["priority"], &created["spec"]["preemptionPolicy"]), (&json!(1234), &json!("Never")));
    body["metadata"]["name"] = "q".into();
    body["spec"]["priorityClassName"] = "nobody-has-this".into();
    server.call(Method::POST, &ns.path("pods"), Some(body)).await.refused(403, "Forbidden");
    server.call(Method::DELETE, &format!("/apis/scheduling.k8s.io/v1/priorityclasses/{class}"), None).await.expect(200);
    ns.clean(&server).await;
}

#[tokio::test]
async fn the_specification_of_a_pod_stays_as_it_was() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    server.call(Method::POST, &ns.path("pods"), Some(pod("p"))).await.expect(201);
    let p = format!("{}/p", ns.path("pods"));
    server.merge(&p, &json!({ "spec": { "nodeName": "n1" } })).await.refused(422, "Invalid");
    let image = json!({ "spec": { "containers": [{ "name": "c", "image": "registry.example/other:1" }] } });
    let patched = server.patch(&p, "application/strategic-merge-patch+json", &image).await.expect(200);
    assert_eq!(patched["spec"]["containers"][0]["image"], "registry.example/other:1");
    ns.clean(&server).await;
}

#[tokio::test]
async fn events_are_the_same_in_both_of_their_groups() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e" },
        "eventTime": "2026-01-02T03:04:05.000006Z", "reportingController": "plimsoll", "reportingInstance": "p-1",
        "action": "ScaleUp", "reason": "Tested", "note": "a note", "type": "Normal",
        "regarding": { "kind": "Pod", "name": "p", "namespace": ns.name },
    });
    let created = server.call(Method::POST, &ns.path("events.k8s.io/v1/events"), Some(event)).await.expect(201);
    assert_eq!(created["note"], "a note");
    let core = server.read(&format!("{}/e", ns.path("events"))).await.expect(200);
    assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("a note"), &json!("p")));
    assert_eq!((&core["reportingComponent"], &core["apiVersion"]), (&json!("plimsoll"), &json!("v1")));
    let list = server.read(&ns.path("events.k8s.io/v1/events")).await.expect(200);
    assert_eq!(list["items"][0]["regarding"]["name"], "p");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_body_that_is_no_object_is_a_bad_request() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    for body in [json!([]), json!("text"), json!({ "metadata": [] }), json!({ "metadata": { "name": 5 } })] {
        let answer = server.call(Method::POST, &path, Some(body.clone())).await;
        assert_eq!(answer.code, 400, "{body}: {}", answer.body);
    }
    let labels = json!({ "metadata": { "name": "a", "labels": { "a": 5 } } });
    assert_eq!(server.call(Method::POST, &path, Some(labels)).await.code, 400);
    let spec = json!({ "metadata": { "name": "a" }, "spec": "text" });
    assert_eq!(server.call(Method::POST, &ns.path("pods"), Some(spec)).await.code, 400);
    ns.clean(&server).await;
}
