//! Server-side apply.

use http::Method;
use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint, Namespace, version};

const APPLY: &str = "application/apply-patch+yaml";

fn path(ns: &Namespace) -> String {
    format!("{}/d", ns.path("apps/v1/deployments"))
}

fn body(spec: Value) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" }, "spec": spec })
}

fn whole(image: &str, replicas: i64) -> Value {
    body(json!({ "replicas": replicas, "selector": { "matchLabels": { "a": "b" } }, "template": {
        "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "x", "image": image }] } } }))
}

async fn apply(server: &Endpoint, ns: &Namespace, query: &str, body: &Value) -> Answer {
    server.patch(&format!("{}?{query}", path(ns)), APPLY, body).await
}

fn fields(object: &Value, manager: &str, operation: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let own = |entry: &&Value| entry["manager"] == manager && entry["operation"] == operation;
    entries.iter().find(own).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

#[tokio::test]
async fn applying_creates_and_owns_and_gives_up() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let mut first = whole("1", 2);
    first["metadata"]["labels"] = json!({ "l": "1" });
    let created = apply(&server, &ns, "fieldManager=a", &first).await.expect(201);
    assert_eq!(fields(&created, "a", "Apply")["f:metadata"], json!({ "f:labels": { "f:l": {} } }));
    let containers = json!({ "k:{\"name\":\"x\"}": { ".": {}, "f:name": {}, "f:image": {} } });
    assert_eq!(fields(&created, "a", "Apply")["f:spec"]["f:template"]["f:spec"]["f:containers"], containers);
    let same = apply(&server, &ns, "fieldManager=a", &first).await.expect(200);
    assert_eq!(version(&same), version(&created), "the same again is no change");
    let after = apply(&server, &ns, "fieldManager=a", &whole("1", 2)).await.expect(200);
    assert_eq!(after["metadata"].get("labels"), None, "what is no longer named is gone");
    ns.clean(&server).await;
}

#[tokio::test]
async fn another_manager_is_a_conflict_unless_forced() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    apply(&server, &ns, "fieldManager=a", &whole("1", 2)).await.expect(201);
    let status = apply(&server, &ns, "fieldManager=b", &body(json!({ "replicas": 3 }))).await.refused(409, "Conflict");
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
    let cause =
        json!([{ "reason": "FieldManagerConflict", "message": "conflict with \"a\"", "field": ".spec.replicas" }]);
    assert_eq!(status["details"]["causes"], cause);
    let forced = apply(&server, &ns, "fieldManager=b&force=true", &body(json!({ "replicas": 3 }))).await.expect(200);
    assert_eq!(forced["spec"]["replicas"], 3);
    assert_eq!(fields(&forced, "b", "Apply"), json!({ "f:spec": { "f:replicas": {} } }));
    assert_eq!(fields(&forced, "a", "Apply")["f:spec"].get("f:replicas"), None);
    ns.clean(&server).await;
}

#[tokio::test]
async fn an_update_takes_fields_over() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    apply(&server, &ns, "fieldManager=a", &whole("1", 2)).await.expect(201);
    let scaled = server
        .merge(&format!("{}?fieldManager=hand", path(&ns)), &json!({ "spec": { "replicas": 9 } }))
        .await
        .expect(200);
    assert_eq!(fields(&scaled, "hand", "Update"), json!({ "f:spec": { "f:replicas": {} } }));
    let status = apply(&server, &ns, "fieldManager=a", &whole("1", 2)).await.refused(409, "Conflict");
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"hand\" using apps/v1: .spec.replicas");
    ns.clean(&server).await;
}

#[tokio::test]
async fn list_items_have_managers_of_their_own() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    apply(&server, &ns, "fieldManager=a", &whole("1", 2)).await.expect(201);
    let side = |containers: Value| body(json!({ "template": { "spec": { "containers": containers } } }));
    let names = |object: &Value| -> Value {
        let all = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        all.iter().map(|container| container["name"].clone()).collect()
    };
    let both = apply(&server, &ns, "fieldManager=b", &side(json!([{ "name": "y", "image": "1" }]))).await.expect(200);
    assert_eq!(names(&both), json!(["x", "y"]));
    let alone = apply(&server, &ns, "fieldManager=b", &side(json!([]))).await.expect(200);
    assert_eq!(names(&alone), json!(["x"]));
    ns.clean(&server).await;
}

#[tokio::test]
async fn what_cannot_be_applied_is_refused() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let status = apply(&server, &ns, "", &whole("1", 2)).await.refused(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "fieldManager");
    apply(&server, &ns, "fieldManager=a", &json!({ "spec": {} })).await.refused(400, "BadRequest");
    let mut managed = whole("1", 2);
    managed["metadata"]["managedFields"] = json!([{ "manager": "a" }]);
    apply(&server, &ns, "fieldManager=a", &managed).await.refused(400, "BadRequest");
    server.call(Method::POST, &ns.path("apps/v1/deployments"), Some(whole("1", 2))).await.expect(201);
    let forced = server.merge(&format!("{}?force=true", path(&ns)), &json!({})).await;
    forced.refused(422, "Invalid");
    ns.clean(&server).await;
}
