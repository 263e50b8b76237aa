//! Who may do what, by the roles in the cluster.

use http::Method;
use plimsoll_apiserver::{Authorization, Options, User};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, LIMIT};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A server that asks its roles: ours when none is named.
async fn server() -> Endpoint {
    let options = Options { authorization: Authorization::Rbac, ..Options::default() };
    match std::env::var_os("PLIMSOLL_APISERVER") {
        Some(_) => Endpoint::get().await,
        None => Endpoint::hooked(options, "permissions").await.unwrap(),
    }
}

async fn role(server: &Endpoint, path: &str, kind: &str, name: &str, rules: Value, subject: Value) {
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    server.call(Method::POST, &format!("{path}/{}s", kind.to_lowercase()), Some(role)).await.expect(201);
    let binding = json!({ "metadata": { "name": name }, "subjects": [subject],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name } });
    server.call(Method::POST, &format!("{path}/{}bindings", kind.to_lowercase()), Some(binding)).await.expect(201);
}

async fn may(server: &Endpoint, user: &str, attributes: Value) -> bool {
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let body = json!({ "kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "spec": { "user": user, "groups": ["system:authenticated"], "resourceAttributes": attributes } });
    server.call(Method::POST, path, Some(body)).await.expect(201)["status"]["allowed"] == true
}

#[tokio::test]
async fn roles_allow_what_they_list_and_no_more() {
    let server = server().await;
    let ns = server.namespace().await;
    let (name, user) = (server.name("role"), server.name("user"));
    let subject = json!({ "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user });
    let rules = json!([
        { "apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests/approval"], "verbs": ["update"] },
        { "apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["kubernetes.io/kubelet-serving"], "verbs": ["approve"] },
        { "apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["patch"] }
    ]);
    role(&server, RBAC, "ClusterRole", &name, rules, subject.clone()).await;
    let local = format!("{RBAC}/namespaces/{}", ns.name);
    role(
        &server,
        &local,
        "Role",
        &name,
        json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["*"] }]),
        subject,
    )
    .await;
    let csr = |verb: &str, subresource: &str| json!({ "verb": verb, "group": "certificates.k8s.io", "resource": "certificatesigningrequests", "subresource": subresource });
    let signer = |signer: &str| json!({ "verb": "approve", "group": "certificates.k8s.io", "resource": "signers", "name": signer });
    let first = csr("update", "approval");
    // Roles reach the authorizer of a real server a moment later.
    let known = async {
        while !may(&server, &user, first.clone()).await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, known).await.expect("the role is known in time");
    for (attributes, expected) in [
        (csr("update", ""), false),
        (csr("patch", "approval"), false),
        (signer("kubernetes.io/kubelet-serving"), true),
        (signer("kubernetes.io/kube-apiserver-client-kubelet"), false),
        (
            json!({ "verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale", "namespace": "x" }),
            true,
        ),
        (json!({ "verb": "patch", "group": "apps", "resource": "deployments", "namespace": "x" }), false),
        (json!({ "verb": "delete", "resource": "pods", "namespace": ns.name }), true),
        (json!({ "verb": "create", "resource": "pods", "subresource": "eviction", "namespace": ns.name }), false),
        (json!({ "verb": "delete", "resource": "pods", "namespace": "default" }), false),
        (json!({ "verb": "list", "resource": "pods" }), false),
    ] {
        assert_eq!(may(&server, &user, attributes.clone()).await, expected, "{attributes}");
    }
    for kind in ["clusterroles", "clusterrolebindings"] {
        server.call(Method::DELETE, &format!("{RBAC}/{kind}/{name}"), None).await.expect(200);
    }
    ns.clean(&server).await;
}

#[tokio::test]
async fn a_review_of_oneself_answers_and_nonsense_is_refused() {
    let server = server().await;
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let body = json!({ "spec": { "resourceAttributes": { "verb": "list", "resource": "pods" } } });
    let answer = server.call(Method::POST, path, Some(body)).await.expect(201);
    assert_eq!((&answer["kind"], &answer["status"]["allowed"]), (&json!("SelfSubjectAccessReview"), &json!(true)));
    server.call(Method::POST, path, Some(json!({ "spec": {} }))).await.refused(422, "Invalid");
}

#[tokio::test]
async fn who_may_not_is_told_what_is_missing() {
    let nobody = User { name: "nobody".to_owned(), ..User::default() };
    let options = Options {
        authorization: Authorization::Rbac,
        tokens: vec![("nobody-token".to_owned(), nobody)],
        ..Options::default()
    };
    let Some(server) = Endpoint::hooked(options, "who_may_not_is_told_what_is_missing").await else { return };
    let client = server.with_token("nobody-token");
    let ask = async |path: &str| server.send(&client, Method::GET, path, "application/json", None).await.unwrap();
    let status = ask("/api/v1/nodes").await.refused(403, "Forbidden");
    assert_eq!(
        status["message"],
        "nodes is forbidden: User \"nobody\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
    );
    let status = ask("/api/v1/namespaces/default/pods/x").await.refused(403, "Forbidden");
    assert_eq!(status["details"], json!({ "name": "x", "kind": "pods" }));
    ask("/version").await.expect(200);
    let strangers = server.with_token("wrong");
    let answer = server.send(&strangers, Method::GET, "/api/v1/nodes", "application/json", None).await.unwrap();
    answer.refused(401, "Unauthorized");
}
