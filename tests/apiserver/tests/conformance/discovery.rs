//! What clients ask before they know anything.

use http::Method;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, meta};

fn resource<'a>(list: &'a Value, name: &str) -> &'a Value {
    list["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn groups_versions_and_kinds_are_told() {
    let server = Endpoint::get().await;
    assert_eq!(server.read("/api").await.expect(200)["versions"], json!(["v1"]));
    let core = server.read("/api/v1").await.expect(200);
    assert_eq!((&core["kind"], &core["groupVersion"]), (&json!("APIResourceList"), &json!("v1")));
    let pods = resource(&core, "pods");
    assert_eq!(
        (&pods["kind"], &pods["namespaced"], &pods["shortNames"]),
        (&json!("Pod"), &json!(true), &json!(["po"]))
    );
    let eviction = resource(&core, "pods/eviction");
    assert_eq!(
        (&eviction["kind"], &eviction["group"], &eviction["version"]),
        (&json!("Eviction"), &json!("policy"), &json!("v1"))
    );
    assert_eq!(resource(&core, "nodes")["namespaced"], false);
    let groups = server.read("/apis").await.expect(200);
    let names: Vec<&str> =
        groups["groups"].as_array().unwrap().iter().filter_map(|group| group["name"].as_str()).collect();
    for group in ["apps", "batch", "policy", "coordination.k8s.io", "events.k8s.io", "authorization.k8s.io"] {
        assert!(names.contains(&group), "{group}");
    }
    let apps = server.read("/apis/apps").await.expect(200);
    assert_eq!(apps["preferredVersion"]["groupVersion"], "apps/v1");
    let apps = server.read("/apis/apps/v1").await.expect(200);
    assert_eq!(resource(&apps, "deployments/scale")["kind"], "Scale");
    let csr = server.read("/apis/certificates.k8s.io/v1").await.expect(200);
    assert_eq!(resource(&csr, "certificatesigningrequests/approval")["verbs"], json!(["get", "patch", "update"]));
}

#[tokio::test]
async fn what_nobody_serves_is_not_found() {
    let server = Endpoint::get().await;
    server.read("/api/v1/nothings").await.refused(404, "NotFound");
    assert_eq!(server.read("/apis/no.such.group/v1/nothings").await.code, 404);
    server.read("/api/v1/namespaces/default/nodes").await.refused(404, "NotFound");
    server.read("/api/v1/pods/p").await.refused(404, "NotFound");
    server.call(Method::POST, "/api/v1/pods", Some(json!({}))).await.refused(405, "MethodNotAllowed");
    server.call(Method::PUT, "/api/v1/nodes", Some(json!({}))).await.refused(405, "MethodNotAllowed");
    server.call(Method::POST, "/api/v1/nodes/n", Some(json!({}))).await.refused(405, "MethodNotAllowed");
}

#[tokio::test]
async fn the_server_says_its_version_and_that_it_is_well() {
    let server = Endpoint::get().await;
    let version = server.read("/version").await.expect(200);
    assert_eq!(version["major"], "1");
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1."));
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(server.read(path).await.expect(200), "ok");
    }
}

#[tokio::test]
async fn a_defined_kind_is_served_until_its_definition_goes() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let group = format!("{}.example.com", server.name("g"));
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("widgets.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                "subresources": {
                    "status": {},
                    "scale": { "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas" },
                },
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.call(Method::POST, definitions, Some(definition)).await.expect(201);
    let path = ns.path(&format!("{group}/v1/widgets"));
    for attempt in 0.. {
        if server.read(&path).await.code == 200 {
            break;
        }
        assert!(attempt < 100, "the kind is served within ten seconds");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let widget = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": { "name": "w" },
        "spec": { "replicas": 1 }, "status": { "replicas": 9 },
    });
    let created = server.call(Method::POST, &path, Some(widget.clone())).await.expect(201);
    assert_eq!((&created["metadata"]["generation"], created.get("status")), (&json!(1), None));
    let listed = server.read(&path).await.expect(200);
    assert_eq!(listed["items"][0]["kind"], "Widget", "items of custom kinds say what they are");
    server.call(Method::PUT, &format!("{path}/w"), Some(widget)).await.refused(422, "Invalid");
    let status = json!({ "status": { "replicas": 3 }, "spec": { "replicas": 7 } });
    let shown = server.merge(&format!("{path}/w/status"), &status).await.expect(200);
    assert_eq!((&shown["status"]["replicas"], &shown["spec"]["replicas"]), (&json!(3), &json!(1)));
    assert_eq!(shown["metadata"]["generation"], 1);
    let scale = server.merge(&format!("{path}/w/scale"), &json!({ "spec": { "replicas": 5 } })).await.expect(200);
    assert_eq!(
        (&scale["kind"], &scale["spec"]["replicas"], &scale["status"]["replicas"]),
        (&json!("Scale"), &json!(5), &json!(3))
    );
    let scaled = server.read(&format!("{path}/w")).await.expect(200);
    assert_eq!((&scaled["spec"]["replicas"], &scaled["metadata"]["generation"]), (&json!(5), &json!(2)));
    assert_eq!(meta(&scale, "resourceVersion"), meta(&scaled, "resourceVersion"));
    server
        .patch(&format!("{path}/w"), "application/strategic-merge-patch+json", &json!({}))
        .await
        .refused(415, "UnsupportedMediaType");
    server.call(Method::DELETE, &format!("{definitions}/widgets.{group}"), None).await.expect(200);
    for attempt in 0.. {
        if server.read(&path).await.code == 404 {
            break;
        }
        assert!(attempt < 100, "the kind is gone within ten seconds");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    ns.clean(&server).await;
}
