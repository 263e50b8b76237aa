//! Label and field selectors in lists.

use http::Method;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, meta, pod};

fn names(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|item| meta(item, "name").to_owned()).collect()
}

#[tokio::test]
async fn lists_are_selected_by_label_and_field() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    for (name, labels, node) in [
        ("a", json!({ "app": "web", "tier": "front" }), "n1"),
        ("b", json!({ "app": "web" }), "n2"),
        ("c", json!({}), ""),
    ] {
        let mut body = pod(name);
        body["metadata"]["labels"] = labels;
        if !node.is_empty() {
            body["spec"]["nodeName"] = node.into();
        }
        server.call(Method::POST, &ns.path("pods"), Some(body)).await.expect(201);
    }
    for (query, expected) in [
        ("labelSelector=app%3Dweb", "ab"),
        ("labelSelector=app%3D%3Dweb%2Ctier!%3Dfront", "b"),
        ("labelSelector=app!%3Dweb", "c"),
        ("labelSelector=app%20in%20(web%2Cdb)", "ab"),
        ("labelSelector=app%20notin%20(web)", "c"),
        ("labelSelector=tier", "a"),
        ("labelSelector=!tier", "bc"),
        ("labelSelector=", "abc"),
        ("fieldSelector=spec.nodeName%3Dn1", "a"),
        ("fieldSelector=spec.nodeName%3D", "c"),
        ("fieldSelector=spec.nodeName!%3D", "ab"),
        ("fieldSelector=metadata.name%3Db", "b"),
        ("fieldSelector=status.phase%3DPending%2Cspec.restartPolicy%3DAlways", "abc"),
        ("fieldSelector=spec.schedulerName%3Dother", ""),
        ("fieldSelector=spec.nodeName%3Dn2&labelSelector=app%3Dweb", "b"),
    ] {
        let found = server.read(&format!("{}?{query}", ns.path("pods"))).await.expect(200);
        assert_eq!(names(&found).concat(), expected, "{query}");
    }
    ns.clean(&server).await;
}

#[tokio::test]
async fn what_cannot_be_read_or_selected_by_is_refused() {
    let server = Endpoint::get().await;
    for (path, message) in [
        ("/api/v1/pods?fieldSelector=spec.foo%3D1", "field label not supported: spec.foo"),
        ("/api/v1/nodes?fieldSelector=metadata.namespace%3Dx", "field label not supported: metadata.namespace"),
        (
            "/apis/apps/v1/deployments?fieldSelector=spec.replicas%3D1",
            "\"spec.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        ("/api/v1/pods?fieldSelector=spec", "invalid selector: 'spec'; can't understand 'spec'"),
        ("/api/v1/pods?labelSelector=a%3D%3D%3Db", "unable to parse requirement: found '=', expected: identifier"),
        ("/api/v1/pods?labelSelector=a%20in%20(b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("/api/v1/pods?labelSelector=a%2C%2Cb", "found ',', expected: identifier after ','"),
    ] {
        let status = server.read(path).await.refused(400, "BadRequest");
        assert_eq!(status["message"], message, "{path}");
    }
}
