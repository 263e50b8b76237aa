//! A large cluster: how long lists and events take. The limits are generous; what is measured is printed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use kube::client::Body;
use plimsoll_apiserver::{ApiServer, Options, Template};
use serde_json::json;

fn template() -> Template {
    let fill = |length: usize| "x".repeat(length);
    Template::new(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "$(name)", "namespace": "$(namespace)", "labels": { "app": "web" },
            "annotations": { "fill": fill(2000) },
            "managedFields": [{ "manager": "kubelet", "fieldsV1": { "f:fill": fill(2500) } }],
        },
        "spec": { "nodeName": "$(node)", "containers": [{ "name": "c", "image": "registry.example/web:1",
            "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } }, "env": [{ "name": "FILL", "value": fill(1800) }] }] },
        "status": { "phase": "Running" },
    }))
}

fn pods(count: usize) -> impl Iterator<Item = Vec<(&'static str, String)>> {
    (0..count).map(|index| {
        let (name, node) = (format!("web-{index:06}"), format!("node-{:04}", index % 5000));
        vec![("namespace", "default".to_owned()), ("name", name), ("node", node)]
    })
}

/// Reads `bytes` or lines of a watch. Gives how many lines and bytes there were.
async fn drain(client: &kube::Client, path: &str, lines: usize) -> (usize, usize) {
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    let mut body = client.send(request).await.unwrap().into_body();
    let (mut seen, mut bytes) = (0, 0);
    while seen < lines {
        let Some(frame) = body.frame().await else { break };
        if let Some(data) = frame.unwrap().data_ref() {
            seen += data.iter().filter(|byte| **byte == b'\n').count();
            bytes += data.len();
        }
    }
    (seen, bytes)
}

fn client(server: &ApiServer) -> kube::Client {
    kube::Client::try_from(kube::Config::new(server.url().parse().unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_list_of_many_pods_is_quick() {
    // `PLIMSOLL_LOAD_PODS=150000` is the size that Plimsoll promises to work with.
    let count = std::env::var("PLIMSOLL_LOAD_PODS").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let server = ApiServer::start(Options::default()).await.unwrap();
    let start = Instant::now();
    assert_eq!(server.store().load(&template(), pods(count)), Ok(u64::try_from(count).unwrap()));
    println!("{count} pods loaded in {:?}", start.elapsed());
    let start = Instant::now();
    let path = "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let (lines, bytes) = drain(&client(&server), path, count + 1).await;
    println!("{lines} lines, {} MB, streamed in {:?}", bytes / 1_000_000, start.elapsed());
    assert_eq!(lines, count + 1);
    let start = Instant::now();
    drain(&client(&server), "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-0001", 1).await;
    println!("the pods of a node in {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_events_come_through_each_second() {
    let server = ApiServer::start(Options::default()).await.unwrap();
    server.store().load(&template(), pods(5000)).unwrap();
    let path = format!("/api/v1/pods?watch=1&resourceVersion={}", server.store().revision());
    let (client, store) = (client(&server), server.store().clone());
    let watching = tokio::spawn(async move { drain(&client, &path, 10_000).await.0 });
    let start = Instant::now();
    for _ in 0..2 {
        store.load(&template(), pods(5000)).unwrap();
    }
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), watching).await.unwrap().unwrap(), 10_000);
    println!("10000 events in {:?}", start.elapsed());
}
