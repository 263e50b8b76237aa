//! Approving signing requests on the wire.
#![allow(clippy::expect_used, clippy::panic, reason = "whatever is not as expected fails the test")]

mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plimsoll_apiserver::{Fault, Rule};
use plimsoll_kube::{
    ApiError, Approval, ApprovalOutcome, JudgedRequest, Leadership, ObjectName, Purpose, Refused, Resource, Term,
    decide_request,
};
use serde_json::{Value, json};
use wire::{Alone, Wire, unique};

fn pem() -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(rcgen::DnType::CommonName, "system:node:n1");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "system:nodes");
    let key = rcgen::KeyPair::generate().expect("a key");
    params.serialize_request(&key).expect("a request").pem().expect("PEM")
}

/// A request, and it as it was judged.
async fn request(wire: &Wire) -> JudgedRequest {
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": unique("csr")},
        "spec": {"request": STANDARD.encode(pem()), "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                 "usages": ["digital signature", "client auth"], "expirationSeconds": 3600},
    });
    judged(&wire.create(&Resource::SIGNING_REQUESTS, object).await)
}

fn judged(object: &Value) -> JudgedRequest {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    let spec = &object["spec"];
    JudgedRequest {
        name: text(&object["metadata"]["name"]),
        uid: Some(text(&object["metadata"]["uid"])),
        signer: text(&spec["signerName"]),
        pem: STANDARD.decode(text(&spec["request"])).expect("base64"),
        username: text(&spec["username"]),
        groups: texts(&spec["groups"]),
        usages: texts(&spec["usages"]),
        expiration_seconds: spec["expirationSeconds"].as_u64(),
    }
}

async fn conditions(wire: &Wire, request: &JudgedRequest) -> Vec<Value> {
    let name = ObjectName::of_cluster(&request.name);
    let object = wire.api().await.get(&Resource::SIGNING_REQUESTS, &name).await.expect("is there");
    object["status"]["conditions"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_request_is_approved_once() {
    let wire = Wire::start().await;
    let (api, alone) = (wire.api().await, Alone::new());
    let request = request(&wire).await;
    let permit = alone.permit();
    let approve = || decide_request(&api, &permit, &request, Approval::Approve, "it is one of ours");
    assert_eq!(approve().await, Ok(ApprovalOutcome::Done));
    assert_eq!(approve().await, Ok(ApprovalOutcome::AlreadyDone));
    let otherwise = decide_request(&api, &alone.permit(), &request, Approval::Deny, "no").await;
    assert_eq!(otherwise, Ok(ApprovalOutcome::DecidedOtherwise("Approved".to_owned())));
    let conditions = conditions(&wire, &request).await;
    assert_eq!(conditions.len(), 1);
    assert_eq!((&conditions[0]["type"], &conditions[0]["status"]), (&"Approved".into(), &"True".into()));
    assert_eq!(conditions[0]["reason"], "PlimsollApproved");
    assert_eq!(conditions[0]["message"], "it is one of ours");
}

#[tokio::test]
async fn a_request_is_denied_for_good() {
    let wire = Wire::start().await;
    let (api, alone) = (wire.api().await, Alone::new());
    let request = request(&wire).await;
    let denied = decide_request(&api, &alone.permit(), &request, Approval::Deny, "forged").await;
    assert_eq!(denied, Ok(ApprovalOutcome::Done));
    let approved = decide_request(&api, &alone.permit(), &request, Approval::Approve, "").await;
    assert_eq!(approved, Ok(ApprovalOutcome::DecidedOtherwise("Denied".to_owned())));
    assert_eq!(conditions(&wire, &request).await[0]["reason"], "PlimsollDenied");
}

#[tokio::test]
async fn a_request_that_was_replaced_is_not_approved() {
    let wire = Wire::start().await;
    let (api, alone) = (wire.api().await, Alone::new());
    let first = request(&wire).await;
    let name = ObjectName::of_cluster(&first.name);
    api.delete(&alone.permit(), &Resource::SIGNING_REQUESTS, &name, &Default::default()).await.expect("deleted");
    let gone = decide_request(&api, &alone.permit(), &first, Approval::Approve, "").await;
    assert_eq!(gone, Ok(ApprovalOutcome::Gone));
    // Another of the same name, with another key, and its UID not looked at.
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": first.name},
        "spec": {"request": STANDARD.encode(pem()), "signerName": first.signer, "usages": first.usages,
                 "expirationSeconds": 3600},
    });
    let second = judged(&wire.create(&Resource::SIGNING_REQUESTS, object).await);
    let by_uid = decide_request(&api, &alone.permit(), &first, Approval::Approve, "").await;
    assert_eq!(by_uid, Ok(ApprovalOutcome::Another("metadata.uid")));
    let first = JudgedRequest { uid: None, ..first };
    let by_key = decide_request(&api, &alone.permit(), &first, Approval::Approve, "").await;
    assert_eq!(by_key, Ok(ApprovalOutcome::Another("spec.request")));
    assert_eq!(conditions(&wire, &second).await, Vec::<Value>::new());
}

#[tokio::test]
async fn of_two_who_decide_at_once_one_wins() {
    let wire = Wire::start().await;
    let (api, alone) = (wire.api().await, Alone::new());
    for _ in 0..10 {
        let request = request(&wire).await;
        let permit = alone.permit();
        let (approved, denied) = tokio::join!(
            decide_request(&api, &permit, &request, Approval::Approve, ""),
            decide_request(&api, &permit, &request, Approval::Deny, ""),
        );
        let outcomes = [approved.expect("an outcome"), denied.expect("an outcome")];
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == ApprovalOutcome::Done).count(), 1, "{outcomes:?}");
        assert_eq!(conditions(&wire, &request).await.len(), 1);
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_out_by_doing_it_again() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    let (api, alone) = (wire.api().await, Alone::new());
    for (fault, then) in
        [(Fault::DropAfterWrite, ApprovalOutcome::AlreadyDone), (Fault::DropBeforeWrite, ApprovalOutcome::Done)]
    {
        let request = request(&wire).await;
        server.faults().add(Rule::on("update", "*").named(&request.name).times(1), fault);
        let lost = decide_request(&api, &alone.permit(), &request, Approval::Approve, "").await;
        assert!(matches!(lost, Ok(ApprovalOutcome::Retry(_))), "{lost:?}");
        let again = decide_request(&api, &alone.permit(), &request, Approval::Approve, "").await;
        assert_eq!(again, Ok(then));
        assert_eq!(conditions(&wire, &request).await.len(), 1);
    }
}

#[tokio::test]
async fn nobody_else_approves() {
    let wire = Wire::start().await;
    let request = request(&wire).await;
    if let Some(server) = wire.hooks() {
        server.deny("nobody", "update", "certificates.k8s.io", "certificatesigningrequests/approval");
        server.deny("nobody", "get", "certificates.k8s.io", "certificatesigningrequests");
    }
    let alone = Alone::new();
    let api = wire.api_as("nobody").await;
    let forbidden = decide_request(&api, &alone.permit(), &request, Approval::Approve, "").await;
    assert!(matches!(forbidden, Err(ApiError::Forbidden(_))), "{forbidden:?}");
    // A leader that has lost its lease.
    let (setter, leadership) = Leadership::new(false);
    setter.lead(Term { number: 1, until: None });
    let permit = leadership.permit(Purpose::Effect).expect("leads");
    setter.resign();
    let refused = decide_request(&wire.api().await, &permit, &request, Approval::Approve, "").await;
    assert_eq!(refused, Err(Refused::NotLeading.into()));
    assert!(conditions(&wire, &request).await.is_empty());
}
