//! Certificate signing requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, meta};

const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn request() -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, "system:node:n1");
    STANDARD.encode(params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap())
}

fn certificate() -> String {
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
    STANDARD.encode(certificate.pem())
}

fn body(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "request": request(),
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet", "usages": ["client auth", "digital signature"] } })
}

async fn create(server: &Endpoint) -> (String, Value) {
    let name = server.name("csr");
    let mut body = body(&name);
    body["spec"]["username"] = "system:forged".into();
    body["spec"]["groups"] = json!(["system:forged"]);
    body["status"] = json!({ "certificate": certificate(), "conditions": [{ "type": "Approved", "status": "True" }] });
    (format!("{PATH}/{name}"), server.call(Method::POST, PATH, Some(body)).await.expect(201))
}

fn approved(reason: &str) -> Value {
    json!({ "status": { "conditions": [{ "type": "Approved", "status": "True", "reason": reason }] } })
}

#[tokio::test]
async fn the_requester_is_stamped_and_nothing_is_approved_from_the_start() {
    let server = Endpoint::get().await;
    let (path, csr) = create(&server).await;
    let name = csr["spec"]["username"].as_str().unwrap();
    assert!(!name.is_empty() && name != "system:forged", "{csr}");
    assert!(!csr["spec"]["groups"].as_array().unwrap().contains(&json!("system:forged")));
    assert_eq!(csr["status"], json!({}));
    server.call(Method::DELETE, &path, None).await.expect(200);
}

#[tokio::test]
async fn requests_are_checked() {
    let server = Endpoint::get().await;
    for (field, value, code) in [
        ("request", json!("AAAA"), 422),
        ("request", json!("%%"), 400),
        ("usages", json!([]), 422),
        ("usages", json!(["fly"]), 422),
        ("usages", json!(["any", "any"]), 422),
        ("signerName", json!("nobody"), 422),
        ("signerName", json!("kubernetes.io/legacy-unknown"), 422),
        ("expirationSeconds", json!(599), 422),
    ] {
        let mut body = body(&server.name("csr"));
        body["spec"][field] = value.clone();
        let answer = server.call(Method::POST, PATH, Some(body)).await;
        assert_eq!(answer.code, code, "{field} {value}: {}", answer.body);
    }
    let mut tampered = STANDARD.decode(request()).unwrap();
    let middle = tampered.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let mut body = body(&server.name("csr"));
    body["spec"]["request"] = STANDARD.encode(tampered).into();
    server.call(Method::POST, PATH, Some(body)).await.refused(422, "Invalid");
}

#[tokio::test]
async fn the_request_itself_never_changes() {
    let server = Endpoint::get().await;
    let (path, csr) = create(&server).await;
    let mut change = approved("by the back door");
    change["spec"] = json!({ "username": "other", "usages": ["any"] });
    change["metadata"] = json!({ "labels": { "a": "b" } });
    let after = server.merge(&path, &change).await.expect(200);
    assert_eq!((&after["spec"], &after["status"]), (&csr["spec"], &json!({})));
    assert_eq!(after["metadata"]["labels"], json!({ "a": "b" }));
    server.call(Method::DELETE, &path, None).await.expect(200);
}

#[tokio::test]
async fn approval_changes_conditions_only_and_is_final() {
    let server = Endpoint::get().await;
    let (path, csr) = create(&server).await;
    let approval = format!("{path}/approval");
    let mut stale = csr.clone();
    stale["status"] = approved("stale")["status"].clone();
    stale["metadata"]["resourceVersion"] = "1".into();
    server.call(Method::PUT, &approval, Some(stale)).await.refused(409, "Conflict");
    let mut change = csr.clone();
    change["spec"]["username"] = "other".into();
    change["status"] = approved("Checked")["status"].clone();
    change["status"]["certificate"] = certificate().into();
    let after = server.call(Method::PUT, &approval, Some(change)).await.expect(200);
    assert_eq!(after["spec"], csr["spec"]);
    assert_eq!(after["status"].get("certificate"), None);
    let condition = &after["status"]["conditions"][0];
    assert_eq!(condition["reason"], "Checked");
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"].is_string());
    for conditions in [
        json!(null),
        json!([{ "type": "Denied", "status": "True" }]),
        json!([{ "type": "Approved", "status": "True" }, { "type": "Denied", "status": "True" }]),
        json!([{ "type": "Approved", "status": "False" }]),
        json!([{ "type": "Approved", "status": "True" }, { "type": "Other" }]),
    ] {
        let answer = server.merge(&approval, &json!({ "status": { "conditions": conditions } })).await;
        answer.refused(422, "Invalid");
    }
    server.call(Method::DELETE, &path, None).await.expect(200);
}

#[tokio::test]
async fn the_status_takes_one_certificate_and_no_approval() {
    let server = Endpoint::get().await;
    let (path, _) = create(&server).await;
    let status = format!("{path}/status");
    server.merge(&status, &approved("by the back door")).await.refused(422, "Invalid");
    server.merge(&format!("{path}/approval"), &approved("Checked")).await.expect(200);
    server.merge(&status, &json!({ "status": { "certificate": "AAAA" } })).await.refused(422, "Invalid");
    let mut change = approved("Other");
    change["status"]["certificate"] = certificate().into();
    let after = server.merge(&status, &change).await.expect(200);
    assert_eq!(after["status"]["certificate"], change["status"]["certificate"]);
    assert_eq!(after["status"]["conditions"][0]["reason"], "Checked");
    for status_body in
        [json!({ "certificate": certificate() }), json!({ "certificate": null }), json!({ "conditions": [] })]
    {
        server.merge(&status, &json!({ "status": status_body })).await.refused(422, "Invalid");
    }
    server.call(Method::DELETE, &path, None).await.expect(200);
}

#[tokio::test]
async fn requests_are_found_by_signer() {
    let server = Endpoint::get().await;
    let (path, csr) = create(&server).await;
    let by = |signer: &str| {
        format!("{PATH}?fieldSelector=spec.signerName%3D{signer}%2Cmetadata.name%3D{}", meta(&csr, "name"))
    };
    let found = server.read(&by("kubernetes.io%2Fkube-apiserver-client-kubelet")).await.expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let found = server.read(&by("kubernetes.io%2Fkubelet-serving")).await.expect(200);
    assert!(found["items"].as_array().unwrap().is_empty());
    server.call(Method::DELETE, &path, None).await.expect(200);
}
