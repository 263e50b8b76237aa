//! Bindings and scales.

use http::Method;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, Namespace, meta, pod, version};

fn binding(name: &str, node: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name }, "target": { "kind": "Node", "name": node } })
}

async fn deployment(server: &Endpoint, ns: &Namespace) -> Value {
    let body = json!({ "metadata": { "name": "d" }, "spec": { "replicas": 2,
        "selector": { "matchLabels": { "a": "b" }, "matchExpressions": [{ "key": "z", "operator": "In", "values": ["2", "1"] }] },
        "template": { "metadata": { "labels": { "a": "b", "z": "1" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } } } });
    server.call(Method::POST, &ns.path("apps/v1/deployments"), Some(body)).await.expect(201)
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = format!("{}/p", ns.path("pods"));
    server.call(Method::POST, &ns.path("pods"), Some(pod("p"))).await.expect(201);
    let bind = async |body| server.call(Method::POST, &format!("{path}/binding"), Some(body)).await;
    bind(binding("q", "n1")).await.refused(400, "BadRequest");
    bind(binding("p", "")).await.refused(500, "");
    let mut other = binding("p", "n1");
    other["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    bind(other).await.refused(409, "Conflict");
    assert_eq!(bind(binding("p", "n1")).await.expect(201)["status"], "Success");
    let bound = server.read(&path).await.expect(200);
    assert_eq!(bound["spec"]["nodeName"], "n1");
    let condition = &bound["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("PodScheduled"), &json!("True")));
    let status = bind(binding("p", "n1")).await.refused(409, "Conflict");
    assert!(status["message"].as_str().unwrap().ends_with("pod p is already assigned to node \"n1\""), "{status}");
    let missing =
        server.call(Method::POST, &format!("{}/none/binding", ns.path("pods")), Some(binding("none", "n1"))).await;
    missing.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_scale_shows_replicas_and_selector_of_its_object() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let deployment = deployment(&server, &ns).await;
    let path = format!("{}/d/scale", ns.path("apps/v1/deployments"));
    let scale = server.read(&path).await.expect(200);
    assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        assert_eq!(meta(&scale, field), meta(&deployment, field));
    }
    assert_eq!(scale["spec"], json!({ "replicas": 2 }));
    assert_eq!(scale["status"]["selector"], "a=b,z in (1,2)");
    server.read(&format!("{}/none/scale", ns.path("apps/v1/deployments"))).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn writing_a_scale_writes_its_object_under_the_same_version() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let before = deployment(&server, &ns).await;
    let path = format!("{}/d/scale", ns.path("apps/v1/deployments"));
    let put = async |metadata: Value, replicas: i64| {
        let body = json!({ "metadata": metadata, "spec": { "replicas": replicas } });
        server.call(Method::PUT, &path, Some(body)).await
    };
    put(json!({ "name": "d", "namespace": ns.name, "resourceVersion": "1" }), 3).await.refused(409, "Conflict");
    put(json!({ "name": "d", "namespace": ns.name }), -3).await.refused(422, "Invalid");
    let versioned = json!({ "name": "d", "namespace": ns.name, "resourceVersion": meta(&before, "resourceVersion") });
    let scale = put(versioned.clone(), 3).await.expect(200);
    put(versioned, 4).await.refused(409, "Conflict");
    let after = server.read(&format!("{}/d", ns.path("apps/v1/deployments"))).await.expect(200);
    assert_eq!((&after["spec"]["replicas"], version(&after)), (&json!(3), version(&scale)));
    assert_eq!(after["metadata"]["generation"], 2);
    let scale = server.merge(&path, &json!({ "spec": { "replicas": 5 } })).await.expect(200);
    assert_eq!(scale["spec"]["replicas"], 5);
    let same = server.merge(&path, &json!({ "spec": { "replicas": 5 } })).await.expect(200);
    assert_eq!(version(&same), version(&scale), "no change, no new version");
    let none = put(json!({ "name": "d", "namespace": ns.name }), 0).await.expect(200);
    assert_eq!(none["spec"], json!({}), "zero is left out");
    ns.clean(&server).await;
}
