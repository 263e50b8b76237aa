//! Watches: what they begin with, what they tell, and how they end.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use plimsoll_apiserver::{ManualClock, Options, StreamingLists};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, config_map, meta, version};

async fn create(server: &Endpoint, path: &str, name: &str) -> Value {
    server.call(Method::POST, path, Some(config_map(name, "1"))).await.expect(201)
}

#[tokio::test]
async fn a_watch_from_a_version_tells_exactly_what_came_after_it() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = create(&server, &path, "a").await;
    create(&server, &path, "b").await;
    server.merge(&format!("{path}/a"), &json!({ "data": { "value": "2" } })).await.expect(200);
    server.call(Method::DELETE, &format!("{path}/b"), None).await.expect(200);
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={}", meta(&a, "resourceVersion"))).await;
    let added = watch.expect("ADDED", "b").await;
    let modified = watch.expect("MODIFIED", "a").await;
    let deleted = watch.expect("DELETED", "b").await;
    assert_eq!(modified["data"]["value"], "2");
    assert!(version(&a) < version(&added) && version(&added) < version(&modified));
    assert!(version(&modified) < version(&deleted), "a deletion has a version of its own");
    assert_eq!((&added["kind"], &added["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    create(&server, &path, "c").await;
    watch.expect("ADDED", "c").await;
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_there_is() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps?labelSelector=mine%3Dyes&watch=1");
    for name in ["a", "b"] {
        let mut body = config_map(name, "1");
        body["metadata"]["labels"] = json!({ "mine": "yes" });
        server.call(Method::POST, &ns.path("configmaps"), Some(body)).await.expect(201);
    }
    for query in ["", "&resourceVersion=0"] {
        let mut watch = server.watch(&format!("{path}{query}")).await;
        watch.expect("ADDED", "a").await;
        watch.expect("ADDED", "b").await;
        server.merge(&format!("{}/a", ns.path("configmaps")), &json!({ "data": { "query": query } })).await.expect(200);
        watch.expect("MODIFIED", "a").await;
    }
    ns.clean(&server).await;
}

#[tokio::test]
async fn what_enters_a_selection_is_added_and_what_leaves_it_is_deleted() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = create(&server, &path, "a").await;
    let from = meta(&a, "resourceVersion");
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={from}&labelSelector=in%3Dyes")).await;
    let label = async |value: Value| {
        let patch = json!({ "metadata": { "labels": { "in": value } }, "data": { "value": value } });
        server.merge(&format!("{path}/a"), &patch).await.expect(200)
    };
    label("no".into()).await;
    label("yes".into()).await;
    watch.expect("ADDED", "a").await;
    let left = label("gone".into()).await;
    let deleted = watch.expect("DELETED", "a").await;
    assert_eq!(deleted["data"]["value"], "yes", "it is shown as it was last seen");
    assert_eq!(version(&deleted), version(&left), "with the version of the change");
    // Deleted while outside: nothing more is heard of it.
    server.call(Method::DELETE, &format!("{path}/a"), None).await.expect(200);
    let mut body = config_map("z", "1");
    body["metadata"]["labels"] = json!({ "in": "yes" });
    server.call(Method::POST, &path, Some(body)).await.expect(201);
    watch.expect("ADDED", "z").await;
    ns.clean(&server).await;
}

#[tokio::test]
async fn one_object_is_watched_by_its_name() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = create(&server, &path, "a").await;
    let from = meta(&a, "resourceVersion");
    let query = format!("watch=1&resourceVersion={from}&fieldSelector=metadata.name%3Db");
    let mut watch = server.watch(&format!("{path}?{query}")).await;
    create(&server, &path, "c").await;
    create(&server, &path, "b").await;
    watch.expect("ADDED", "b").await;
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_watch_ends_cleanly_when_its_time_is_up() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let mut watch = server.watch(&format!("{}?watch=1&timeoutSeconds=1&resourceVersion=0", ns.path("secrets"))).await;
    assert_eq!(watch.try_next().await, Ok(None));
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_streaming_list_ends_with_a_marked_bookmark() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let b = create(&server, &path, "b").await;
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    for from in ["", "&resourceVersion=0", &format!("&resourceVersion={}", meta(&b, "resourceVersion"))] {
        let mut watch = server.watch(&format!("{path}?{query}{from}&fieldSelector=metadata.name%3Db")).await;
        let line = watch.next().await.unwrap();
        assert_eq!((&line["type"], meta(&line["object"], "name")), (&json!("ADDED"), "b"));
        let line = watch.next().await.unwrap();
        assert_eq!(line["type"], "BOOKMARK");
        assert_eq!(line["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        assert_eq!(line["object"]["kind"], "ConfigMap");
        assert!(version(&line["object"]) >= version(&b));
    }
    ns.clean(&server).await;
}

#[tokio::test]
async fn parameters_that_do_not_go_together_are_invalid() {
    let server = Endpoint::get().await;
    for query in [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1",
    ] {
        let status = server.read(&format!("/api/v1/pods?watch=1&{query}")).await.refused(422, "Invalid");
        assert_eq!(status["details"]["kind"], "ListOptions", "{query}");
    }
    assert_eq!(server.read("/api/v1/pods?watch=1&resourceVersion=abc").await.code, 500);
    server.read("/api/v1/pods?watch=1&fieldSelector=spec.nothing%3D1").await.refused(400, "BadRequest");
}

#[tokio::test]
async fn a_watch_from_the_future_waits_for_it() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let now = version(&create(&server, &ns.path("configmaps"), "a").await);
    let future = now + 1_000_000;
    let path = ns.path("configmaps");
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={future}&timeoutSeconds=1")).await;
    create(&server, &path, "b").await;
    assert_eq!(watch.try_next().await, Ok(None));
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_forgotten_version_is_an_error_event_of_an_accepted_watch() {
    let Some(server) = Endpoint::hooked(Options::default(), "compaction").await else { return };
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = create(&server, &path, "a").await;
    create(&server, &path, "b").await;
    server.hooks().compact();
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={}", meta(&a, "resourceVersion"))).await;
    let line = watch.next().await.unwrap();
    assert_eq!(line["type"], "ERROR");
    assert_eq!((&line["object"]["code"], &line["object"]["reason"]), (&json!(410), &json!("Expired")));
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_that_has_everything_survives_compaction() {
    let Some(server) = Endpoint::hooked(Options::default(), "compaction").await else { return };
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let mut watch = server.watch(&format!("{path}?watch=1")).await;
    create(&server, &path, "a").await;
    // Kubernetes 1.20 and later put a config map into every namespace; ours does not, so this is the first.
    watch.expect("ADDED", "a").await;
    server.hooks().compact();
    create(&server, &path, "b").await;
    watch.expect("ADDED", "b").await;
}

#[tokio::test]
async fn more_events_than_are_remembered_expire() {
    let options = Options { watch_window: 5, ..Options::default() };
    let Some(server) = Endpoint::hooked(options, "the watch window").await else { return };
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = create(&server, &path, "a").await;
    for name in ["b", "c", "d", "e", "f", "g"] {
        create(&server, &path, name).await;
    }
    let mut watch = server.watch(&format!("{path}?watch=1&resourceVersion={}", meta(&a, "resourceVersion"))).await;
    let line = watch.next().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn bookmarks_come_each_minute_and_when_they_are_called_for() {
    let clock = Arc::new(ManualClock::at("2026-01-02T03:04:05Z".parse().unwrap()));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let Some(server) = Endpoint::hooked(options, "bookmarks on call").await else { return };
    let ns = server.namespace().await;
    let path = ns.path("configmaps");
    let a = create(&server, &path, "a").await;
    let from = meta(&a, "resourceVersion");
    let mut watch = server.watch(&format!("{path}?watch=1&allowWatchBookmarks=true&resourceVersion={from}")).await;
    let mut without = server.watch(&format!("{path}?watch=1&resourceVersion={from}")).await;
    let other = server.call(Method::POST, &ns.path("secrets"), Some(json!({ "metadata": { "name": "s" } }))).await;
    let other = other.expect(201);
    server.hooks().send_bookmarks();
    let line = watch.next().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(version(&line["object"]), version(&other), "it is up to date though nothing of its kind happened");
    assert!(line["object"]["metadata"].get("annotations").is_none());
    clock.advance(Duration::from_secs(60));
    assert_eq!(watch.next().await.unwrap()["type"], "BOOKMARK");
    create(&server, &path, "b").await;
    watch.expect("ADDED", "b").await;
    assert_eq!(without.next().await.unwrap()["type"], "ADDED", "nobody asked for bookmarks there");
}

#[tokio::test]
async fn a_server_without_streaming_lists_says_422() {
    let options = Options { streaming_lists: StreamingLists::Rejected422, ..Options::default() };
    let Some(server) = Endpoint::hooked(options, "the gate of streaming lists").await else { return };
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let status = server.read(&format!("/api/v1/pods?{query}")).await.refused(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "sendInitialEvents");
    server.watch("/api/v1/pods?watch=1&timeoutSeconds=1").await;
}

#[tokio::test]
async fn metadata_alone_can_be_watched_and_listed() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    create(&server, &ns.path("configmaps"), "a").await;
    let list =
        server.partial(&ns.path("configmaps?fieldSelector=metadata.name%3Da"), "PartialObjectMetadataList").await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert_eq!(meta(&list["items"][0], "name"), "a");
    assert!(list["items"][0].get("data").is_none());
    ns.clean(&server).await;
}
