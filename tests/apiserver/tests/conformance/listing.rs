//! Lists: selectors, pages and versions.

use http::Method;
use plimsoll_apiserver::Options;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, Namespace, config_map, meta, pod, version};

async fn filled(server: &Endpoint, count: usize) -> Namespace {
    let ns = server.namespace().await;
    for index in 0..count {
        let mut body = config_map(&format!("item-{index}"), "1");
        body["metadata"]["labels"] = json!({ "test": "list", "parity": if index % 2 == 0 { "even" } else { "odd" } });
        server.call(Method::POST, &ns.path("configmaps"), Some(body)).await.expect(201);
    }
    ns
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| meta(item, "name")).collect()
}

#[tokio::test]
async fn a_list_has_a_version_and_items_without_their_kind() {
    let server = Endpoint::get().await;
    let ns = filled(&server, 2).await;
    let list = server.read(&ns.path("configmaps?labelSelector=test%3Dlist")).await.expect(200);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(names(&list), ["item-0", "item-1"]);
    assert!(list["items"][0].get("kind").is_none() && list["items"][0].get("apiVersion").is_none());
    assert!(version(&list) >= version(&list["items"][1]));
    let empty = server.read(&ns.path("secrets")).await.expect(200);
    assert_eq!(empty["items"], json!([]));
    ns.clean(&server).await;
}

#[tokio::test]
async fn pages_show_the_state_of_the_first_one() {
    let server = Endpoint::get().await;
    let ns = filled(&server, 5).await;
    let path = ns.path("configmaps?labelSelector=test%3Dlist&limit=2");
    let first = server.read(&path).await.expect(200);
    assert_eq!(names(&first), ["item-0", "item-1"]);
    assert!(first["metadata"].get("remainingItemCount").is_none(), "it is not counted under a selector");
    server.call(Method::DELETE, &format!("{}/item-2", ns.path("configmaps")), None).await.expect(200);
    server.merge(&format!("{}/item-3", ns.path("configmaps")), &json!({ "data": { "value": "2" } })).await.expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = server.read(&format!("{path}&continue={token}")).await.expect(200);
    assert_eq!(names(&second), ["item-2", "item-3"], "as it was");
    assert_eq!(second["items"][1]["data"]["value"], "1");
    assert_eq!(version(&second), version(&first));
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = server.read(&format!("{path}&continue={token}")).await.expect(200);
    assert_eq!(names(&third), ["item-4"]);
    assert!(third["metadata"].get("continue").is_none());
    let status = server.read(&format!("{path}&continue={token}&resourceVersion=1")).await.refused(400, "BadRequest");
    assert_eq!(status["message"], "specifying resource version is not allowed when using continue");
    server.read(&format!("{path}&continue=nonsense")).await.refused(400, "BadRequest");
    ns.clean(&server).await;
}

#[tokio::test]
async fn what_remains_is_counted_without_selectors() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    for name in ["a", "b", "c"] {
        let body = json!({ "metadata": { "name": name } });
        server.call(Method::POST, &ns.path("secrets"), Some(body)).await.expect(201);
    }
    let first = server.read(&ns.path("secrets?limit=1")).await.expect(200);
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    let cached = server.read(&ns.path("secrets?limit=1&resourceVersion=0")).await.expect(200);
    assert_eq!(names(&cached).len(), 3, "a list from the cache has no pages");
    ns.clean(&server).await;
}

#[tokio::test]
async fn an_expired_page_is_410() {
    let Some(server) = Endpoint::hooked(Options::default(), "compaction").await else { return };
    let ns = filled(&server, 3).await;
    let first = server.read(&ns.path("configmaps?limit=1")).await.expect(200);
    server.call(Method::DELETE, &format!("{}/item-2", ns.path("configmaps")), None).await.expect(200);
    server.hooks().compact();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let status = server.read(&ns.path(&format!("configmaps?limit=1&continue={token}"))).await.refused(410, "Expired");
    let token = status["metadata"]["continue"].as_str().unwrap();
    let rest = server.read(&ns.path(&format!("configmaps?limit=1&continue={token}"))).await.expect(200);
    assert_eq!(names(&rest), ["item-1"], "the list goes on inconsistently");
}

#[tokio::test]
async fn labels_select() {
    let server = Endpoint::get().await;
    let ns = filled(&server, 4).await;
    for (selector, expected) in [
        ("parity%3Deven", vec!["item-0", "item-2"]),
        ("parity!%3Deven,test", vec!["item-1", "item-3"]),
        ("parity+in+(odd,neither)", vec!["item-1", "item-3"]),
        ("parity+notin+(odd),test", vec!["item-0", "item-2"]),
        ("test,!parity", vec![]),
    ] {
        let list = server.read(&ns.path(&format!("configmaps?labelSelector={selector}"))).await.expect(200);
        assert_eq!(names(&list), expected, "{selector}");
    }
    server.read(&ns.path("configmaps?labelSelector=a%3D%3D%3Db")).await.refused(400, "BadRequest");
    ns.clean(&server).await;
}

#[tokio::test]
async fn fields_select() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let node = server.name("node");
    for name in ["p", "q"] {
        let mut body = pod(name);
        if name == "q" {
            body["spec"]["nodeName"] = node.clone().into();
        }
        server.call(Method::POST, &ns.path("pods"), Some(body)).await.expect(201);
    }
    for (selector, expected) in [
        (format!("spec.nodeName%3D{node}"), vec!["q"]),
        ("spec.nodeName%3D".to_owned(), vec!["p"]),
        ("metadata.name!%3Dp".to_owned(), vec!["q"]),
        ("status.phase%3DPending".to_owned(), vec!["p", "q"]),
        ("status.phase%3DRunning".to_owned(), vec![]),
    ] {
        let list = server.read(&ns.path(&format!("pods?fieldSelector={selector}"))).await.expect(200);
        assert_eq!(names(&list), expected, "{selector}");
    }
    let everywhere = server.read(&format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")).await.expect(200);
    assert_eq!(names(&everywhere), ["q"]);
    server.read(&ns.path("pods?fieldSelector=spec.nothing%3Da")).await.refused(400, "BadRequest");
    ns.clean(&server).await;
}

#[tokio::test]
async fn exact_versions_are_history_and_the_future_is_a_timeout() {
    let server = Endpoint::get().await;
    let ns = filled(&server, 2).await;
    let path = ns.path("configmaps?labelSelector=test%3Dlist");
    let before = server.read(&path).await.expect(200);
    server.call(Method::DELETE, &format!("{}/item-0", ns.path("configmaps")), None).await.expect(200);
    let at = meta(&before, "resourceVersion");
    let exact = server.read(&format!("{path}&resourceVersion={at}&resourceVersionMatch=Exact")).await.expect(200);
    assert_eq!((names(&exact), meta(&exact, "resourceVersion")), (vec!["item-0", "item-1"], at));
    let newer =
        server.read(&format!("{path}&resourceVersion={at}&resourceVersionMatch=NotOlderThan")).await.expect(200);
    assert_eq!(names(&newer), ["item-1"]);
    let future = version(&newer) + 1_000_000;
    let answer = server.read(&format!("{path}&resourceVersion={future}")).await;
    assert_eq!(answer.headers["retry-after"], "1");
    let status = answer.refused(504, "Timeout");
    assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    ns.clean(&server).await;
}

#[tokio::test]
async fn parameters_that_do_not_go_together_are_invalid() {
    let server = Endpoint::get().await;
    for query in [
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=5&resourceVersionMatch=Sometimes",
        "sendInitialEvents=true",
    ] {
        let status = server.read(&format!("/api/v1/pods?{query}")).await.refused(422, "Invalid");
        assert_eq!(status["details"]["kind"], "ListOptions", "{query}");
    }
    server.read("/api/v1/pods?resourceVersion=abc").await.refused(400, "BadRequest");
}

#[tokio::test]
async fn a_long_list_comes_whole() {
    let Some(server) = Endpoint::hooked(Options::default(), "loading").await else { return };
    let mut object = pod("$(name)");
    object["metadata"]["namespace"] = "default".into();
    object["metadata"]["annotations"] = json!({ "fill": "x".repeat(3000) });
    let template = plimsoll_apiserver::Template::new(&object);
    let items = (0..1000).map(|index| vec![("namespace", "default".to_owned()), ("name", format!("p-{index:04}"))]);
    assert_eq!(server.hooks().store().load(&template, items), Ok(1000));
    let list = server.read("/api/v1/pods").await.expect(200);
    assert_eq!(names(&list).len(), 1000);
    assert_eq!(names(&list)[999], "p-0999");
    let one = server.read("/api/v1/namespaces/default/pods/p-0500").await.expect(200);
    assert_eq!((&one["kind"], one["metadata"]["uid"].as_str().unwrap().len()), (&json!("Pod"), 36));
}
