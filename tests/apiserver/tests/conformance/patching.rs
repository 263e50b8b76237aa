//! Patches of every kind.

use http::Method;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, Namespace, version};

const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

async fn deployment(server: &Endpoint, ns: &Namespace) -> String {
    let body = json!({ "metadata": { "name": "d", "finalizers": ["x.io/a", "x.io/b"] }, "spec": {
        "selector": { "matchLabels": { "a": "b" } },
        "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [
            { "name": "a", "image": "1", "args": ["p"], "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }] },
            { "name": "b", "image": "1" }
        ] } } } });
    server.call(Method::POST, &ns.path("apps/v1/deployments"), Some(body)).await.expect(201);
    format!("{}/d", ns.path("apps/v1/deployments"))
}

fn containers(deployment: &Value) -> Value {
    let all = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let kept = |container: &Value| json!([container["name"], container["image"], container["args"], container["env"]]);
    all.iter().map(kept).collect()
}

fn in_pod(spec: Value) -> Value {
    json!({ "spec": { "template": { "spec": spec } } })
}

#[tokio::test]
async fn operations_apply_all_or_not_at_all() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = deployment(&server, &ns).await;
    let before = server.read(&path).await.expect(200);
    for operations in [
        json!([{ "op": "replace", "path": "/spec/replicas", "value": 7 }, { "op": "test", "path": "/spec/paused", "value": true }]),
        json!([{ "op": "remove", "path": "/spec/nothing" }]),
        json!([{ "op": "add", "path": "/spec/no/where", "value": 1 }]),
        json!([{ "op": "explode", "path": "/spec" }]),
    ] {
        let status = server.patch(&path, JSON, &operations).await.refused(422, "Invalid");
        assert_eq!(status["message"], "the server rejected our request due to an error in our request");
    }
    server.patch(&path, JSON, &json!({ "op": "test" })).await.refused(400, "BadRequest");
    assert_eq!(server.read(&path).await.expect(200), before);
    let operations = json!([
        { "op": "test", "path": "/spec/replicas", "value": 1 },
        { "op": "replace", "path": "/spec/replicas", "value": 7 },
        { "op": "add", "path": "/metadata/annotations", "value": { "x": "y" } }
    ]);
    let after = server.patch(&path, JSON, &operations).await.expect(200);
    assert_eq!((&after["spec"]["replicas"], &after["metadata"]["annotations"]), (&json!(7), &json!({ "x": "y" })));
    server.merge(&path, &json!({ "metadata": { "finalizers": null } })).await.expect(200);
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_merge_patch_replaces_lists_and_removes_nulls() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = deployment(&server, &ns).await;
    let patch = json!({ "metadata": { "finalizers": null, "labels": { "l": "1" } } });
    let after = server.merge(&path, &patch).await.expect(200);
    assert_eq!((after["metadata"].get("finalizers"), &after["metadata"]["labels"]), (None, &json!({ "l": "1" })));
    let after =
        server.merge(&path, &in_pod(json!({ "containers": [{ "name": "c", "image": "2" }] }))).await.expect(200);
    assert_eq!(containers(&after), json!([["c", "2", null, null]]));
    let same = server.merge(&path, &json!({ "metadata": { "labels": { "l": "1" } } })).await.expect(200);
    assert_eq!(version(&same), version(&after), "no change, no new version");
    server.merge(&path, &json!([])).await.refused(400, "BadRequest");
    server
        .merge(&path, &json!({ "metadata": { "resourceVersion": "1" }, "spec": { "replicas": 9 } }))
        .await
        .refused(409, "Conflict");
    server.patch(&path, "application/json", &json!({})).await.refused(415, "UnsupportedMediaType");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_strategic_patch_merges_lists_by_key() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = deployment(&server, &ns).await;
    let change = async |patch: Value| server.patch(&path, STRATEGIC, &patch).await;
    let after = change(in_pod(json!({
        "$setElementOrder/containers": [{ "name": "b" }, { "name": "a" }],
        "containers": [{ "name": "a", "image": "2", "args": ["q"], "env": [{ "name": "X", "$patch": "delete" }, { "name": "Z", "value": "3" }] }]
    })))
    .await
    .expect(200);
    let env = json!([{ "name": "Z", "value": "3" }, { "name": "Y", "value": "2" }]);
    assert_eq!(containers(&after), json!([["b", "1", null, null], ["a", "2", ["q"], env]]));
    let after = change(in_pod(json!({ "containers": [{ "name": "b", "$patch": "delete" }] }))).await.expect(200);
    assert_eq!(containers(&after), json!([["a", "2", ["q"], env]]));
    let after = change(in_pod(json!({ "containers": [{ "$patch": "replace" }, { "name": "c", "image": "3" }] })))
        .await
        .expect(200);
    assert_eq!(containers(&after), json!([["c", "3", null, null]]));
    change(in_pod(json!({ "containers": [{ "image": "nameless" }] }))).await.refused(500, "");
    let finalizers =
        async |patch: Value| change(json!({ "metadata": patch })).await.expect(200)["metadata"]["finalizers"].clone();
    assert_eq!(finalizers(json!({ "finalizers": ["x.io/c"] })).await, json!(["x.io/c", "x.io/a", "x.io/b"]));
    assert_eq!(
        finalizers(json!({ "$deleteFromPrimitiveList/finalizers": ["x.io/a", "x.io/c"] })).await,
        json!(["x.io/b"])
    );
    assert_eq!(finalizers(json!({ "finalizers": null })).await, json!(null));
    ns.clean(&server).await;
}

#[tokio::test]
async fn taints_are_replaced_and_conditions_of_nodes_merged() {
    let server = Endpoint::get().await;
    let name = server.name("node");
    let path = format!("/api/v1/nodes/{name}");
    let body = json!({ "metadata": { "name": name }, "spec": { "taints": [{ "key": "a", "effect": "NoSchedule" }] } });
    server.call(Method::POST, "/api/v1/nodes", Some(body)).await.expect(201);
    let patch = json!({ "spec": { "taints": [{ "key": "b", "effect": "NoSchedule" }] } });
    let after = server.patch(&path, STRATEGIC, &patch).await.expect(200);
    assert_eq!(after["spec"]["taints"], patch["spec"]["taints"]);
    let status = format!("{path}/status");
    let of = |conditions: Value| json!({ "status": { "conditions": conditions } });
    server
        .patch(&status, STRATEGIC, &of(json!([{ "type": "A", "status": "True" }, { "type": "B", "status": "True" }])))
        .await
        .expect(200);
    let patch = of(json!([{ "type": "C", "status": "True" }, { "type": "A", "status": "False" }]));
    let after = server.patch(&status, STRATEGIC, &patch).await.expect(200);
    let conditions = after["status"]["conditions"].as_array().unwrap();
    let found: Vec<Value> = conditions.iter().map(|one| json!([one["type"], one["status"]])).collect();
    assert_eq!(found, [json!(["C", "True"]), json!(["A", "False"]), json!(["B", "True"])]);
    server.call(Method::DELETE, &path, None).await.expect(200);
}
