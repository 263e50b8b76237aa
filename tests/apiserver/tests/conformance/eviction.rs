//! Evictions and disruption budgets. Budgets get their status from the test, so no disruption controller may run.

use http::Method;
use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint, Namespace, meta, pod};

/// A pod that runs, as its kubelet would say.
async fn running(server: &Endpoint, ns: &Namespace, name: &str, ready: bool) -> Value {
    let mut body = pod(name);
    body["metadata"]["labels"] = json!({ "app": name });
    body["spec"]["nodeName"] = "conformance-node".into();
    server.call(Method::POST, &ns.path("pods"), Some(body)).await.expect(201);
    let ready = if ready { "True" } else { "False" };
    let status = json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }] } });
    server.merge(&format!("{}/{name}/status", ns.path("pods")), &status).await.expect(200)
}

async fn budget(server: &Endpoint, ns: &Namespace, name: &str, spec: Value, status: Value) -> Value {
    let body = json!({ "metadata": { "name": name }, "spec": spec });
    server.call(Method::POST, &ns.path("policy/v1/poddisruptionbudgets"), Some(body)).await.expect(201);
    let path = format!("{}/{name}/status", ns.path("policy/v1/poddisruptionbudgets"));
    server.merge(&path, &json!({ "status": status })).await.expect(200)
}

fn of(name: &str) -> Value {
    json!({ "minAvailable": 1, "selector": { "matchLabels": { "app": name } } })
}

async fn evict(server: &Endpoint, ns: &Namespace, name: &str, options: Value) -> Answer {
    let body = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name }, "deleteOptions": options });
    server.call(Method::POST, &format!("{}/{name}/eviction", ns.path("pods")), Some(body)).await
}

async fn status_of(server: &Endpoint, ns: &Namespace, budget: &str) -> Value {
    let path = format!("{}/{budget}", ns.path("policy/v1/poddisruptionbudgets"));
    server.read(&path).await.expect(200)["status"].clone()
}

fn cause(status: &Value) -> (&str, &str) {
    let cause = &status["details"]["causes"][0];
    (cause["reason"].as_str().unwrap_or_default(), cause["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_pod_without_a_budget_goes_with_grace() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    let answer = evict(&server, &ns, "p", json!({ "gracePeriodSeconds": 7 })).await.expect(201);
    assert_eq!((&answer["kind"], &answer["status"]), (&json!("Status"), &json!("Success")));
    let pod = server.read(&format!("{}/p", ns.path("pods"))).await.expect(200);
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 7);
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&target["status"], &target["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));
    evict(&server, &ns, "p", json!({})).await.expect(201);
    ns.clean(&server).await;
}

#[tokio::test]
async fn names_must_agree_and_the_pod_be_there() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    let body = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "q" } });
    let answer = server.call(Method::POST, &format!("{}/p/eviction", ns.path("pods")), Some(body)).await;
    assert_eq!(answer.refused(400, "BadRequest")["message"], "name in URL does not match name in Eviction object");
    evict(&server, &ns, "gone", json!({})).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_pod_that_waits_for_a_node_goes_at_once_whatever_its_budget_says() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let mut body = pod("p");
    body["metadata"]["labels"] = json!({ "app": "p" });
    server.call(Method::POST, &ns.path("pods"), Some(body)).await.expect(201);
    budget(&server, &ns, "b", of("p"), json!({ "observedGeneration": 1, "disruptionsAllowed": 0 })).await;
    evict(&server, &ns, "p", json!({})).await.expect(201);
    server.read(&format!("{}/p", ns.path("pods"))).await.refused(404, "NotFound");
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_blocks_without_a_time() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    let status = json!({ "observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1 });
    budget(&server, &ns, "b", of("p"), status).await;
    let answer = evict(&server, &ns, "p", json!({})).await;
    assert!(answer.headers.get("retry-after").is_none());
    let status = answer.refused(429, "TooManyRequests");
    assert_eq!(status["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(
        cause(&status),
        ("DisruptionBudget", "The disruption budget b needs 1 healthy pods and has 1 currently")
    );
    assert_eq!(status["details"].get("retryAfterSeconds"), None);
    assert!(
        server.read(&format!("{}/p", ns.path("pods"))).await.expect(200)["metadata"]["deletionTimestamp"].is_null()
    );
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_budget_that_nobody_has_counted_yet_asks_to_wait() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    let body = json!({ "metadata": { "name": "b" }, "spec": of("p") });
    server.call(Method::POST, &ns.path("policy/v1/poddisruptionbudgets"), Some(body)).await.expect(201);
    let answer = evict(&server, &ns, "p", json!({})).await;
    assert_eq!(answer.headers.get("retry-after").unwrap(), "10");
    let status = answer.refused(429, "TooManyRequests");
    assert_eq!(status["details"]["retryAfterSeconds"], 10);
    assert_eq!(cause(&status).1, "The disruption budget b is still being processed by the server.");
    ns.clean(&server).await;
}

#[tokio::test]
async fn an_eviction_uses_up_one_disruption_and_a_trial_none() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    let status = json!({ "observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2 });
    budget(&server, &ns, "b", of("p"), status).await;
    evict(&server, &ns, "p", json!({ "dryRun": ["All"] })).await.expect(201);
    assert_eq!(status_of(&server, &ns, "b").await["disruptionsAllowed"], 1);
    assert!(
        server.read(&format!("{}/p", ns.path("pods"))).await.expect(200)["metadata"]["deletionTimestamp"].is_null()
    );
    evict(&server, &ns, "p", json!({})).await.expect(201);
    let status = status_of(&server, &ns, "b").await;
    assert_eq!(status["disruptionsAllowed"], 0);
    assert!(status["disruptedPods"]["p"].is_string());
    assert_eq!(status["conditions"][0]["reason"], "InsufficientPods");
    ns.clean(&server).await;
}

#[tokio::test]
async fn preconditions_are_checked_after_the_budget() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let pod = running(&server, &ns, "p", true).await;
    let status = json!({ "observedGeneration": 1, "disruptionsAllowed": 2, "currentHealthy": 3, "desiredHealthy": 1, "expectedPods": 3 });
    budget(&server, &ns, "b", of("p"), status).await;
    let wrong = json!({ "preconditions": { "uid": "00000000-0000-0000-0000-000000000000" } });
    evict(&server, &ns, "p", wrong).await.refused(409, "Conflict");
    assert_eq!(status_of(&server, &ns, "b").await["disruptionsAllowed"], 1, "it is used up all the same");
    evict(&server, &ns, "p", json!({ "preconditions": { "uid": meta(&pod, "uid") } })).await.expect(201);
    ns.clean(&server).await;
}

#[tokio::test]
async fn two_budgets_for_a_pod_are_an_error_of_the_server() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    budget(&server, &ns, "a", of("p"), json!({ "observedGeneration": 1, "disruptionsAllowed": 1 })).await;
    let all = json!({ "maxUnavailable": 1, "selector": {} });
    budget(&server, &ns, "b", all, json!({ "observedGeneration": 1, "disruptionsAllowed": 1 })).await;
    let status = evict(&server, &ns, "p", json!({})).await.refused(500, "");
    assert!(status["message"].as_str().unwrap().contains("more than one PodDisruptionBudget"));
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_budget_without_a_selector_guards_nothing() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    budget(
        &server,
        &ns,
        "b",
        json!({ "minAvailable": 1 }),
        json!({ "observedGeneration": 1, "disruptionsAllowed": 0 }),
    )
    .await;
    evict(&server, &ns, "p", json!({})).await.expect(201);
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_pod_that_is_not_ready_goes_when_enough_others_are_or_its_budget_says_so() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let none = json!({ "observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 1, "expectedPods": 1 });
    let enough = json!({ "observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 2 });
    for (name, always, status, code) in
        [("strict", false, none.clone(), 429), ("enough", false, enough, 201), ("always", true, none, 201)]
    {
        running(&server, &ns, name, false).await;
        let mut spec = of(name);
        if always {
            spec["unhealthyPodEvictionPolicy"] = "AlwaysAllow".into();
        }
        budget(&server, &ns, name, spec, status).await;
        let answer = evict(&server, &ns, name, json!({})).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.body);
        assert_eq!(status_of(&server, &ns, name).await.get("disruptedPods"), None);
    }
    ns.clean(&server).await;
}

#[tokio::test]
async fn in_a_namespace_that_ends_nothing_is_evicted() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    running(&server, &ns, "p", true).await;
    let path = format!("{}/p", ns.path("pods"));
    server.merge(&path, &json!({ "metadata": { "finalizers": ["plimsoll.dev/test"] } })).await.expect(200);
    server.call(Method::DELETE, &format!("/api/v1/namespaces/{}", ns.name), None).await.expect(200);
    let status = evict(&server, &ns, "p", json!({})).await.refused(403, "Forbidden");
    let why = format!("namespace {} is being terminated", ns.name);
    assert_eq!(cause(&status), ("NamespaceTerminating", &*why));
    let nobody = evict(&server, &ns, "gone", json!({})).await.refused(403, "Forbidden");
    assert_eq!(cause(&nobody).0, "NamespaceTerminating", "whether the pod is there is not looked at");
    server.merge(&path, &json!({ "metadata": { "finalizers": null } })).await.expect(200);
}

#[tokio::test]
async fn budgets_are_checked_when_they_are_written() {
    let server = Endpoint::get().await;
    let ns = server.namespace().await;
    let path = ns.path("policy/v1/poddisruptionbudgets");
    for spec in [
        json!({ "minAvailable": 1, "maxUnavailable": 1 }),
        json!({ "minAvailable": "x%" }),
        json!({ "maxUnavailable": "101%" }),
        json!({ "maxUnavailable": -1 }),
        json!({ "unhealthyPodEvictionPolicy": "Sometimes" }),
    ] {
        let body = json!({ "metadata": { "name": "b" }, "spec": spec });
        server.call(Method::POST, &path, Some(body)).await.refused(422, "Invalid");
    }
    budget(&server, &ns, "b", json!({ "minAvailable": 1 }), json!({ "disruptionsAllowed": 1 })).await;
    let negative = json!({ "status": { "disruptionsAllowed": -1 } });
    server.merge(&format!("{path}/b/status"), &negative).await.refused(422, "Invalid");
    ns.clean(&server).await;
}
