//! What only our own server does: to fail on purpose, and to remember who asked for what.

use std::time::Duration;

use http::Method;
use plimsoll_apiserver::{Fault, Options, Partition, Rule, User, Who};
use serde_json::json;

use crate::endpoint::{Endpoint, config_map, meta};

async fn own(test: &str) -> Option<Endpoint> {
    let user = |name: &str| User { name: name.to_owned(), ..User::default() };
    let tokens = vec![("token-a".to_owned(), user("alice")), ("token-b".to_owned(), user("bob"))];
    Endpoint::hooked(Options { tokens, ..Options::default() }, test).await
}

const PATH: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn a_drop_before_the_write_leaves_nothing_behind() {
    let Some(server) = own("dropped requests").await else { return };
    server.hooks().faults().add(Rule::on("create", "configmaps").times(1), Fault::DropBeforeWrite);
    assert!(server.try_call(Method::POST, PATH, Some(config_map("a", "1"))).await.is_err());
    assert_eq!(server.hooks().store().get("configmaps", "default", "a"), None);
    server.call(Method::POST, PATH, Some(config_map("a", "1"))).await.expect(201);
    let codes: Vec<u16> = server.hooks().requests().iter().map(|logged| logged.code).collect();
    assert_eq!(codes, [0, 201]);
}

#[tokio::test]
async fn a_drop_after_the_write_has_written() {
    let Some(server) = own("dropped answers").await else { return };
    server.hooks().faults().add(Rule::on("create", "configmaps").named("").times(1), Fault::DropAfterWrite);
    assert!(server.try_call(Method::POST, PATH, Some(config_map("a", "1"))).await.is_err());
    assert!(server.hooks().store().get("configmaps", "default", "a").is_some());
    server.call(Method::POST, PATH, Some(config_map("a", "1"))).await.refused(409, "AlreadyExists");
}

#[tokio::test]
async fn a_code_comes_with_its_header() {
    let Some(server) = own("injected codes").await else { return };
    let id =
        server.hooks().faults().add(Rule::on("*", "configmaps"), Fault::Status { code: 429, retry_after: Some(3) });
    let answer = server.read(PATH).await;
    assert_eq!(answer.headers["retry-after"], "3");
    answer.refused(429, "TooManyRequests");
    server.read("/api/v1/nodes").await.expect(200);
    server.hooks().faults().remove(id);
    server.hooks().faults().add(Rule::on("*", "configmaps"), Fault::Status { code: 503, retry_after: None });
    let answer = server.read(PATH).await;
    assert!(!answer.headers.contains_key("retry-after"));
    answer.refused(503, "ServiceUnavailable");
    server.hooks().faults().clear();
    server.read(PATH).await.expect(200);
}

#[tokio::test]
async fn a_watch_can_be_cut_in_the_middle_of_a_line() {
    let Some(server) = own("cut watches").await else { return };
    let mut watch = server.watch(&format!("{PATH}?watch=1")).await;
    server.call(Method::POST, PATH, Some(config_map("a", "1"))).await.expect(201);
    watch.expect("ADDED", "a").await;
    server.hooks().faults().cut_watches("configmaps");
    assert!(watch.try_next().await.is_err(), "the connection breaks");
    server.hooks().faults().add(Rule::on("watch", "configmaps").times(1), Fault::CutWatchMidLine);
    let mut watch = server.watch(&format!("{PATH}?watch=1")).await;
    assert!(watch.try_next().await.is_err(), "the first line never ends");
    let mut watch = server.watch(&format!("{PATH}?watch=1")).await;
    watch.expect("ADDED", "a").await;
}

#[tokio::test]
async fn a_partition_is_for_one_and_not_for_the_others() {
    let Some(server) = own("partitions").await else { return };
    let (alice, bob) = (server.with_token("token-a"), server.with_token("token-b"));
    let read = async |client| server.send(client, Method::GET, PATH, "application/json", None).await;
    server.hooks().faults().partition(Who::User("alice".to_owned()), Partition::Refuse);
    assert!(read(&alice).await.is_err());
    read(&bob).await.unwrap().expect(200);
    server.hooks().faults().heal();
    read(&alice).await.unwrap().expect(200);
    server.hooks().faults().partition(Who::User("alice".to_owned()), Partition::Silent);
    let silent = tokio::time::timeout(Duration::from_millis(300), read(&alice)).await;
    assert!(silent.is_err(), "nothing comes back");
    server.hooks().faults().heal();
    read(&alice).await.unwrap().expect(200);
}

#[tokio::test]
async fn a_watch_hears_nothing_during_a_partition_and_everything_after_it() {
    let Some(server) = own("partitions").await else { return };
    let mut watch = server.watch(&format!("{PATH}?watch=1")).await;
    server.hooks().faults().partition(Who::All, Partition::Silent);
    server.hooks().store().create(config_map("a", "1")).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), watch.try_next()).await.is_err(), "it is silent");
    server.hooks().faults().heal();
    watch.expect("ADDED", "a").await;
    server.hooks().faults().partition(Who::All, Partition::Refuse);
    assert!(watch.try_next().await.is_err(), "the connection breaks");
}

#[tokio::test]
async fn stale_lists_show_the_past_to_those_who_allow_it() {
    let Some(server) = own("stale lists").await else { return };
    server.hooks().faults().stale_lists(true);
    server.call(Method::POST, PATH, Some(config_map("a", "1"))).await.expect(201);
    let stale = server.read(&format!("{PATH}?resourceVersion=0")).await.expect(200);
    assert_eq!(stale["items"], json!([]));
    server.read(&format!("{PATH}/a?resourceVersion=0")).await.refused(404, "NotFound");
    let fresh = server.read(PATH).await.expect(200);
    assert_eq!(meta(&fresh["items"][0], "name"), "a");
    // Who follows from the stale version misses nothing.
    let from = meta(&stale, "resourceVersion");
    let mut watch = server.watch(&format!("{PATH}?watch=1&resourceVersion={from}")).await;
    watch.expect("ADDED", "a").await;
    server.hooks().faults().stale_lists(false);
    let fresh = server.read(&format!("{PATH}?resourceVersion=0")).await.expect(200);
    assert_eq!(fresh["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn requests_are_remembered_with_their_user() {
    let Some(server) = own("the request log").await else { return };
    let alice = server.with_token("token-a");
    let path = format!("{PATH}?dryRun=All");
    let body = Some(config_map("a", "1").to_string());
    server.send(&alice, Method::POST, &path, "application/json", body).await.unwrap().expect(201);
    let log = server.hooks().requests();
    let last = log.last().unwrap();
    assert_eq!((last.user.as_str(), last.verb.as_str(), last.resource.as_str()), ("alice", "create", "configmaps"));
    assert_eq!((last.code, last.dry_run, last.is_mutation()), (201, true, true));
    server.hooks().clear_requests();
    assert!(server.hooks().requests().is_empty());
}

#[tokio::test]
async fn an_unknown_token_is_nobody() {
    let Some(server) = own("tokens").await else { return };
    let nobody = server.with_token("token-x");
    let answer = server.send(&nobody, Method::GET, PATH, "application/json", None).await.unwrap();
    answer.refused(401, "Unauthorized");
}

#[tokio::test]
async fn what_is_denied_is_forbidden_and_reviews_say_so() {
    let Some(server) = own("denials").await else { return };
    let alice = server.with_token("token-a");
    let review = async || {
        let attributes =
            json!({ "verb": "create", "resource": "pods", "subresource": "eviction", "namespace": "default" });
        let body = json!({ "spec": { "resourceAttributes": attributes } }).to_string();
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = server.send(&alice, Method::POST, path, "application/json", Some(body)).await.unwrap();
        answer.expect(201)["status"]["allowed"].clone()
    };
    assert_eq!(review().await, true);
    server.hooks().deny("alice", "create", "", "pods/eviction");
    server.hooks().deny("*", "list", "", "secrets");
    assert_eq!(review().await, false);
    let path = "/api/v1/namespaces/default/secrets";
    let status =
        server.send(&alice, Method::GET, path, "application/json", None).await.unwrap().refused(403, "Forbidden");
    let message = "secrets is forbidden: User \"alice\" cannot list resource \"secrets\" in API group \"\" in the namespace \
                   \"default\"";
    assert_eq!(status["message"], message);
    server.hooks().deny_nothing();
    assert_eq!(review().await, true);
}

#[tokio::test]
async fn tls_works_with_the_certificate_that_comes_along() {
    let options = Options { tls: true, ..Options::default() };
    let Some(server) = Endpoint::hooked(options, "TLS").await else { return };
    assert!(server.hooks().url().starts_with("https://"));
    server.read("/api/v1/nodes").await.expect(200);
}
