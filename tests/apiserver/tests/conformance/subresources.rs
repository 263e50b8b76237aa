//! Status apart from the object.

use http::Method;
use serde_json::json;

use crate::endpoint::{Endpoint, version};

#[tokio::test]
async fn the_object_and_its_status_are_written_apart() {
    let server = Endpoint::get().await;
    let node = server.name("node");
    let path = format!("/api/v1/nodes/{node}");
    let body = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": node },
        "status": { "capacity": { "cpu": "4" } },
    });
    let created = server.call(Method::POST, "/api/v1/nodes", Some(body)).await.expect(201);
    assert_eq!(created["status"]["capacity"]["cpu"], "4", "a kubelet registers its node with a status");
    let mut changed = created.clone();
    changed["spec"]["unschedulable"] = true.into();
    changed["status"]["capacity"]["cpu"] = "8".into();
    let put = server.call(Method::PUT, &path, Some(changed.clone())).await.expect(200);
    assert_eq!((&put["spec"]["unschedulable"], &put["status"]["capacity"]["cpu"]), (&json!(true), &json!("4")));
    changed["metadata"]["resourceVersion"] = put["metadata"]["resourceVersion"].clone();
    changed["spec"]["unschedulable"] = false.into();
    let put = server.call(Method::PUT, &format!("{path}/status"), Some(changed)).await.expect(200);
    assert_eq!((&put["spec"]["unschedulable"], &put["status"]["capacity"]["cpu"]), (&json!(true), &json!("8")));
    let conditions = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    let put = server.patch(&format!("{path}/status"), "application/strategic-merge-patch+json", &conditions).await;
    let put = put.expect(200);
    let condition = &put["status"]["conditions"][0];
    assert_eq!(
        (condition.get("lastHeartbeatTime"), &put["status"]["capacity"]["cpu"]),
        (Some(&json!(null)), &json!("8"))
    );
    let shown = server.read(&format!("{path}/status")).await.expect(200);
    assert_eq!(version(&shown), version(&put));
    server.call(Method::DELETE, &path, None).await.expect(200);
}
