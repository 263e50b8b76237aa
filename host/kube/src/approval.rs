//! Approving and denying a signing request: exactly the one that was judged, and once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use plimsoll_model::SigningRequest;
use serde_json::{Value, json};

use crate::api::{Api, ApiError, ObjectName, Permit, Resource};

/// The request that a verdict is about. The API server never changes these fields, but somebody may delete a request
/// and make another of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedRequest {
    /// Its name.
    pub name: String,
    /// Its UID, where it is known.
    pub uid: Option<String>,
    /// `spec.signerName`.
    pub signer: String,
    /// `spec.request`, decoded from its base64.
    pub pem: Vec<u8>,
    /// Who asked.
    pub username: String,
    /// The groups of who asked.
    pub groups: Vec<String>,
    /// `spec.usages`.
    pub usages: Vec<String>,
    /// `spec.expirationSeconds`.
    pub expiration_seconds: Option<u64>,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Let its signer sign it.
    Approve,
    /// Let nobody sign it.
    Deny,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// It is done.
    Done,
    /// It was done already.
    AlreadyDone,
    /// Somebody has decided otherwise, or its signer has given up; this stands. The text is the condition.
    DecidedOtherwise(String),
    /// There is no such request any more.
    Gone,
    /// There is another request of this name: judge that one. The text is the field that differs.
    Another(&'static str),
    /// It changed meanwhile, or no answer came: do the same again.
    Retry(String),
}

/// Approves or denies a request. The message is for people.
pub async fn decide_request(
    api: &Api,
    permit: &Permit,
    judged: &JudgedRequest,
    approval: Approval,
    message: &str,
) -> Result<ApprovalOutcome, ApiError> {
    let name = ObjectName::of_cluster(&judged.name);
    let object = match api.get(&Resource::SIGNING_REQUESTS, &name).await {
        Ok(object) => object,
        Err(ApiError::NotFound(_)) => return Ok(ApprovalOutcome::Gone),
        Err(error) => return Err(error),
    };
    let object = match prepare(object, judged, approval, message, Timestamp::now()) {
        Ok(object) => object,
        Err(outcome) => return Ok(outcome),
    };
    match api.replace(permit, &Resource::SIGNING_REQUESTS, &name, Some("approval"), &object).await {
        Ok(_) => Ok(ApprovalOutcome::Done),
        Err(ApiError::NotFound(_)) => Ok(ApprovalOutcome::Gone),
        Err(ApiError::Refused(refused)) => Err(refused.into()),
        Err(error) if matches!(error, ApiError::Conflict(_)) || error.is_outcome_unknown() => {
            Ok(ApprovalOutcome::Retry(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// The object to write, or why there is nothing to write.
fn prepare(
    mut object: Value,
    judged: &JudgedRequest,
    approval: Approval,
    message: &str,
    now: Timestamp,
) -> Result<Value, ApprovalOutcome> {
    if let Some(field) = judged.differs(&object) {
        return Err(ApprovalOutcome::Another(field));
    }
    let wanted = approval.condition();
    let kinds = object["status"]["conditions"].as_array().into_iter().flatten().filter_map(|condition| {
        // `Approved` and `Denied` can only be `True`; whatever is written there stands.
        condition["type"].as_str()
    });
    let mut done = false;
    for kind in kinds {
        match kind {
            kind if kind == wanted => done = true,
            "Approved" | "Denied" | "Failed" => return Err(ApprovalOutcome::DecidedOtherwise(kind.to_owned())),
            _ => {}
        }
    }
    if done {
        return Err(ApprovalOutcome::AlreadyDone);
    }
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = json!({
        "type": wanted,
        "status": "True",
        "reason": format!("Plimsoll{wanted}"),
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    });
    let Value::Object(fields) = &mut object else { return Err(ApprovalOutcome::Another("object")) };
    let status = fields.entry("status").or_insert_with(|| json!({}));
    if !status.is_object() {
        *status = json!({});
    }
    match &mut status["conditions"] {
        Value::Array(conditions) => conditions.push(condition),
        none => *none = json!([condition]),
    }
    Ok(object)
}

// === impl Approval ===

impl Approval {
    fn condition(self) -> &'static str {
        match self {
            Self::Approve => "Approved",
            Self::Deny => "Denied",
        }
    }
}

// === impl JudgedRequest ===

impl JudgedRequest {
    /// The field in which an object is another request than the one that was judged.
    fn differs(&self, object: &Value) -> Option<&'static str> {
        let spec = &object["spec"];
        let texts = |field: &str| -> Vec<&str> {
            spec[field].as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default()).collect()
        };
        let version = object["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty());
        let pem = STANDARD.decode(spec["request"].as_str().unwrap_or_default()).unwrap_or_default();
        let same = [
            ("metadata.resourceVersion", version),
            ("metadata.uid", self.uid.as_deref().is_none_or(|uid| object["metadata"]["uid"] == uid)),
            ("spec.signerName", spec["signerName"] == self.signer.as_str()),
            ("spec.request", !pem.is_empty() && pem == self.pem),
            ("spec.username", spec["username"].as_str().unwrap_or_default() == self.username),
            ("spec.groups", texts("groups") == self.groups),
            ("spec.usages", texts("usages") == self.usages),
            ("spec.expirationSeconds", spec["expirationSeconds"].as_u64() == self.expiration_seconds),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }
}

impl From<&SigningRequest> for JudgedRequest {
    fn from(request: &SigningRequest) -> Self {
        let texts = |list: &[plimsoll_model::Text]| list.iter().map(|text| text.to_string()).collect();
        Self {
            name: request.name.to_string(),
            uid: None,
            signer: request.signer.to_string(),
            pem: request.pem.clone(),
            username: request.username.to_string(),
            groups: texts(&request.groups),
            usages: texts(&request.usages),
            expiration_seconds: request.expiration_seconds.map(u64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Value {
        json!({
            "metadata": {"name": "csr-1", "uid": "u1", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {"signerName": "kubernetes.io/kubelet-serving", "request": STANDARD.encode("pem"),
                     "username": "system:node:n1", "groups": ["system:nodes"], "usages": ["server auth"]},
            "status": {},
        })
    }

    fn judged() -> JudgedRequest {
        JudgedRequest {
            name: "csr-1".to_owned(),
            uid: Some("u1".to_owned()),
            signer: "kubernetes.io/kubelet-serving".to_owned(),
            pem: b"pem".to_vec(),
            username: "system:node:n1".to_owned(),
            groups: vec!["system:nodes".to_owned()],
            usages: vec!["server auth".to_owned()],
            expiration_seconds: None,
        }
    }

    fn prepared(object: Value, approval: Approval) -> Result<Value, ApprovalOutcome> {
        prepare(object, &judged(), approval, "why", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn one_condition_is_added_and_nothing_else_changes() {
        for status in [json!(null), json!({}), json!({"conditions": null}), json!("x")] {
            let mut before = object();
            before["status"] = status;
            let after = prepared(before, Approval::Approve).expect("to be written");
            let condition = &after["status"]["conditions"][0];
            assert_eq!((&condition["type"], &condition["status"]), (&json!("Approved"), &json!("True")));
            assert_eq!(condition["reason"], "PlimsollApproved");
            assert_eq!(condition["lastUpdateTime"], "1970-01-01T00:00:00Z");
            assert_eq!((&after["metadata"], &after["spec"]), (&object()["metadata"], &object()["spec"]));
        }
        let denied = prepared(object(), Approval::Deny).expect("to be written");
        assert_eq!(denied["status"]["conditions"][0]["type"], "Denied");
        assert_eq!(denied["status"]["conditions"][0]["message"], "why");
    }

    #[test]
    fn what_is_decided_stays_decided() {
        use ApprovalOutcome::{AlreadyDone, DecidedOtherwise};
        let otherwise = |kind: &str| DecidedOtherwise(kind.to_owned());
        for (kinds, approval, expected) in [
            (vec!["Approved"], Approval::Approve, AlreadyDone),
            (vec!["Denied"], Approval::Deny, AlreadyDone),
            (vec!["Denied"], Approval::Approve, otherwise("Denied")),
            (vec!["Approved"], Approval::Deny, otherwise("Approved")),
            (vec!["Failed"], Approval::Approve, otherwise("Failed")),
            (vec!["Approved", "Failed"], Approval::Approve, otherwise("Failed")),
        ] {
            let mut object = object();
            object["status"]["conditions"] = kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
            assert_eq!(prepared(object, approval), Err(expected), "{kinds:?} {approval:?}");
        }
        let mut other = object();
        other["status"]["conditions"] = json!([{"type": "Seen", "status": "True"}, 7]);
        let after = prepared(other, Approval::Approve).expect("to be written");
        assert_eq!(after["status"]["conditions"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn another_request_of_the_same_name_is_not_touched() {
        for (pointer, value, field) in [
            ("/metadata/uid", json!("u2"), "metadata.uid"),
            ("/metadata/resourceVersion", json!(null), "metadata.resourceVersion"),
            ("/spec/signerName", json!("kubernetes.io/kube-apiserver-client"), "spec.signerName"),
            ("/spec/request", json!(STANDARD.encode("pem2")), "spec.request"),
            ("/spec/request", json!("no base64!"), "spec.request"),
            ("/spec/username", json!("system:node:n2"), "spec.username"),
            ("/spec/groups", json!(["system:nodes", "system:masters"]), "spec.groups"),
            ("/spec/usages", json!(["client auth"]), "spec.usages"),
        ] {
            let mut object = object();
            *object.pointer_mut(pointer).expect("is there") = value;
            assert_eq!(prepared(object, Approval::Approve), Err(ApprovalOutcome::Another(field)));
        }
        let mut longer = object();
        longer["spec"]["expirationSeconds"] = json!(31_536_000);
        assert_eq!(prepared(longer, Approval::Approve), Err(ApprovalOutcome::Another("spec.expirationSeconds")));
        for garbage in [json!(null), json!([]), json!("x"), json!({})] {
            assert!(matches!(prepared(garbage, Approval::Approve), Err(ApprovalOutcome::Another(_))));
        }
        // An empty request was never judged good, and must not match what cannot be read.
        let mut unreadable = object();
        unreadable["spec"]["request"] = json!("no base64!");
        let judged = JudgedRequest { pem: Vec::new(), ..judged() };
        let prepared = prepare(unreadable, &judged, Approval::Approve, "", Timestamp::UNIX_EPOCH);
        assert_eq!(prepared, Err(ApprovalOutcome::Another("spec.request")));
    }
}
