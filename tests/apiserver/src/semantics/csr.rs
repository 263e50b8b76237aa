//! Certificate signing requests: what is stamped at creation, and who may change what afterwards.
//!
//! Follows `pkg/registry/certificates/certificates/strategy.go` and `pkg/apis/certificates/validation` in Kubernetes 1.36.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

use super::rbac::Attributes;
use super::refusal::{Cause, Refusal, User};
use super::{pem, time};

const GROUP: &str = "certificates.k8s.io";
const RESOURCE: &str = "certificatesigningrequests";
const KIND: &str = "CertificateSigningRequest";

/// The usages that may be asked for.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Which part of a request an update may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Approval,
    Status,
}

/// A new request: the user is who asks, nothing is approved, and what is asked for can be read.
pub fn create(request: &mut Value, user: &User) -> Result<(), Refusal> {
    check_shape(request)?;
    let object = request.as_object_mut().ok_or_else(|| Refusal::bad_request("a request must be an object"))?;
    let spec = object.entry("spec").or_insert_with(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        for field in ["username", "uid", "groups", "extra"] {
            spec.remove(field);
        }
        for (field, text) in [("username", &user.name), ("uid", &user.uid)] {
            if !text.is_empty() {
                spec.insert(field.to_owned(), text.as_str().into());
            }
        }
        if !user.groups.is_empty() {
            spec.insert("groups".to_owned(), user.groups.clone().into());
        }
        if !user.extra.is_empty() {
            spec.insert("extra".to_owned(), json!(user.extra));
        }
    }
    object.insert("status".to_owned(), json!({}));
    let causes = check(request, &Value::Null);
    if causes.is_empty() { Ok(()) } else { Err(invalid(request, &causes)) }
}

/// An update of the request itself: neither spec nor status change.
pub fn update(old: &Value, new: &mut Value) -> Result<(), Refusal> {
    let object = new.as_object_mut().ok_or_else(|| Refusal::bad_request("a request must be an object"))?;
    for part in ["spec", "status"] {
        object.insert(part.to_owned(), old.get(part).cloned().unwrap_or_else(|| json!({})));
    }
    Ok(())
}

/// An update of `/approval`: only the conditions change.
pub fn approval(old: &Value, new: &mut Value, now: Timestamp) -> Result<(), Refusal> {
    check_shape(new)?;
    stamp_conditions(old, new, now);
    let conditions = new.pointer("/status/conditions").cloned();
    update(old, new)?;
    if let Some(status) = new.get_mut("status").and_then(Value::as_object_mut) {
        match conditions {
            Some(conditions) => status.insert("conditions".to_owned(), conditions),
            None => status.remove("conditions"),
        };
    }
    check_update(old, new, Part::Approval)
}

/// An update of `/status`: the certificate and conditions other than the approval change.
pub fn status(old: &Value, new: &mut Value, now: Timestamp) -> Result<(), Refusal> {
    check_shape(new)?;
    let object = new.as_object_mut().ok_or_else(|| Refusal::bad_request("a request must be an object"))?;
    object.insert("spec".to_owned(), old.get("spec").cloned().unwrap_or_else(|| json!({})));
    for kind in ["Approved", "Denied"] {
        let before: Vec<Value> = of_kind(old, kind).cloned().collect();
        if before.len() == of_kind(new, kind).count()
            && let Some(list) = new.pointer_mut("/status/conditions").and_then(Value::as_array_mut)
        {
            list.iter_mut().filter(|one| one["type"] == kind).zip(before).for_each(|(one, old)| *one = old);
        }
    }
    stamp_conditions(old, new, now);
    check_update(old, new, Part::Status)
}

/// The permissions of which one is needed to approve for a signer: for the signer itself, or for its whole domain.
pub fn may_approve(signer: &str) -> [Attributes; 2] {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer.to_owned(), format!("{domain}/*")].map(|name| Attributes {
        verb: "approve".to_owned(),
        group: GROUP.to_owned(),
        resource: "signers".to_owned(),
        name,
        ..Attributes::default()
    })
}

/// 403 for a user who may not approve for a signer.
pub fn not_permitted(name: &str, signer: &str) -> Refusal {
    let why = format!("user not permitted to approve requests with signerName {signer:?}");
    Refusal::forbidden(GROUP, RESOURCE, name, &why)
}

/// What could not even be decoded.
fn check_shape(request: &Value) -> Result<(), Refusal> {
    let bad = |why: &str| {
        let message = format!("{KIND} in version \"v1\" cannot be handled as a {KIND}: {why}");
        Err(Refusal::bad_request(message))
    };
    type IsRight = fn(&Value) -> bool;
    let shapes: [(&str, IsRight); 6] = [
        ("/spec", Value::is_object),
        ("/status", Value::is_object),
        ("/spec/usages", Value::is_array),
        ("/spec/request", Value::is_string),
        ("/status/conditions", Value::is_array),
        ("/status/certificate", Value::is_string),
    ];
    for (path, right) in shapes {
        if request.pointer(path).is_some_and(|value| !value.is_null() && !right(value)) {
            return bad(&format!("json: cannot unmarshal {path}"));
        }
    }
    if request
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .is_some_and(|all| !all.iter().all(Value::is_object))
    {
        return bad("json: cannot unmarshal a condition");
    }
    for path in ["/spec/request", "/status/certificate"] {
        let text = request.pointer(path).and_then(Value::as_str).unwrap_or_default();
        if let Err(error) = STANDARD.decode(text) {
            let at = match error {
                DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => at,
                _ => text.len(),
            };
            return bad(&format!("illegal base64 data at input byte {at}"));
        }
    }
    Ok(())
}

fn check_update(old: &Value, new: &Value, part: Part) -> Result<(), Refusal> {
    let mut causes = check(new, old);
    let conditions = "status.conditions";
    for kind in ["Approved", "Denied", "Failed"] {
        if of_kind(new, kind).count() < of_kind(old, kind).count() {
            causes.push(Cause::forbidden(conditions, &format!("updates may not remove a condition of type {kind:?}")));
        }
    }
    if part == Part::Status {
        for kind in ["Approved", "Denied"] {
            if of_kind(new, kind).count() > of_kind(old, kind).count() {
                causes.push(Cause::forbidden(conditions, &format!("updates may not add a condition of type {kind:?}")));
            }
        }
        let before = certificate(old);
        if certificate(new) != before && !before.is_empty() {
            causes.push(Cause::forbidden("status.certificate", "updates may not modify existing certificate content"));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(invalid(new, &causes)) }
}

/// What is wrong with a request as a whole.
fn check(request: &Value, old: &Value) -> Vec<Cause> {
    let spec = &request["spec"];
    let mut causes = Vec::new();
    if let Err(problem) = check_signing_request(spec["request"].as_str().unwrap_or_default()) {
        causes.push(Cause::invalid("spec.request", &spec["request"], &problem));
    }
    let usages = spec["usages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if usages.is_empty() {
        causes.push(Cause::required("spec.usages", ""));
    }
    for (index, usage) in usages.iter().enumerate() {
        if !usage.as_str().is_some_and(|usage| USAGES.contains(&usage)) {
            causes.push(Cause::unsupported(format!("spec.usages[{index}]"), usage, &USAGES));
        }
    }
    for (index, usage) in usages.iter().enumerate() {
        if usages[..index].contains(usage) {
            causes.push(Cause::duplicate(format!("spec.usages[{index}]"), usage));
        }
    }
    causes.extend(check_signer_name(&spec["signerName"]));
    if spec["expirationSeconds"].as_i64().is_some_and(|seconds| seconds < 600) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        causes.push(Cause::invalid("spec.expirationSeconds", &spec["expirationSeconds"], why));
    }
    causes.extend(check_conditions(request));
    if certificate(request) != certificate(old)
        && let Err(problem) = check_certificate(certificate(request))
    {
        causes.push(Cause::invalid("status.certificate", &json!("<certificate data>"), &problem));
    }
    causes
}

/// The request must be one, and signed with its own key.
fn check_signing_request(text: &str) -> Result<(), String> {
    let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
    let blocks = pem::blocks(&bytes);
    let block = blocks.first().filter(|block| block.label == "CERTIFICATE REQUEST");
    let block = block.ok_or_else(|| "PEM block type must be CERTIFICATE REQUEST".to_owned())?;
    let (rest, request) = X509CertificationRequest::from_der(&block.data).map_err(|error| format!("asn1: {error}"))?;
    if !rest.is_empty() {
        return Err("asn1: syntax error: trailing data".to_owned());
    }
    request.verify_signature().map_err(|error| format!("x509: signature verification failure: {error}"))
}

fn check_certificate(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let blocks = pem::blocks(&STANDARD.decode(text).map_err(|error| error.to_string())?);
    for block in &blocks {
        if block.label != "CERTIFICATE" {
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        if block.has_headers {
            return Err("no PEM block headers are permitted".to_owned());
        }
        X509Certificate::from_der(&block.data).map_err(|error| format!("x509: {error}"))?;
    }
    if blocks.is_empty() { Err("must contain at least one CERTIFICATE PEM block".to_owned()) } else { Ok(()) }
}

fn check_signer_name(value: &Value) -> Option<Cause> {
    let field = "spec.signerName";
    let name = value.as_str().unwrap_or_default();
    if name.is_empty() {
        return Some(Cause::required(field, ""));
    }
    if name == "kubernetes.io/legacy-unknown" {
        return Some(Cause::invalid(field, value, "the legacy signerName is not allowed via this API version"));
    }
    let form = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    let label = |part: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inside)
    };
    let Some((domain, path)) = name.split_once('/').filter(|(_, path)| !path.contains('/')) else {
        return Some(Cause::invalid(field, value, form));
    };
    if !domain.split('.').all(label) || !path.split('.').all(label) {
        return Some(Cause::invalid(field, value, form));
    }
    let why = "should be a domain with at least two segments separated by dots";
    (!domain.contains('.')).then(|| Cause::invalid(field, &json!(domain), why))
}

fn check_conditions(request: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let list = request.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (mut approved, mut denied) = (false, false);
    for (index, one) in list.iter().enumerate() {
        let kind = one["type"].as_str().unwrap_or_default();
        let status = one["status"].as_str().unwrap_or_default();
        let at = format!("status.conditions[{index}]");
        if kind.is_empty() {
            causes.push(Cause::required(format!("{at}.type"), ""));
        }
        let allowed: &[&str] =
            if matches!(kind, "Approved" | "Denied" | "Failed") { &["True"] } else { &["False", "True", "Unknown"] };
        if status.is_empty() {
            causes.push(Cause::required(format!("{at}.status"), ""));
        } else if !allowed.contains(&status) {
            causes.push(Cause::unsupported(format!("{at}.status"), &one["status"], allowed));
        }
        approved |= kind == "Approved";
        denied |= kind == "Denied";
        if approved && denied && matches!(kind, "Approved" | "Denied") {
            let why = "Approved and Denied conditions are mutually exclusive";
            causes.push(Cause::invalid("status.conditions", &one["type"], why));
        }
        if list[..index].iter().any(|other| other["type"] == one["type"]) {
            causes.push(Cause::duplicate(format!("{at}.type"), &one["type"]));
        }
    }
    causes
}

/// Gives conditions their times where they have none.
fn stamp_conditions(old: &Value, new: &mut Value, now: Timestamp) {
    let Some(list) = new.pointer_mut("/status/conditions").and_then(Value::as_array_mut) else { return };
    for one in list.iter_mut().filter(|one| one.is_object()) {
        if one["lastUpdateTime"].is_null() {
            one["lastUpdateTime"] = time::seconds(now);
        }
        if one["lastTransitionTime"].is_null() {
            let all = old.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
            let same = |other: &&Value| other["type"] == one["type"] && other["status"] == one["status"];
            let before = all.filter(same).map(|other| other["lastTransitionTime"].clone()).find(|time| !time.is_null());
            one["lastTransitionTime"] = before.unwrap_or_else(|| time::seconds(now));
        }
    }
}

fn of_kind<'a>(request: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let list = request.pointer("/status/conditions").and_then(Value::as_array);
    list.into_iter().flatten().filter(move |one| one["type"] == kind)
}

fn certificate(request: &Value) -> &str {
    request.pointer("/status/certificate").and_then(Value::as_str).unwrap_or_default()
}

fn invalid(request: &Value, causes: &[Cause]) -> Refusal {
    let name = request.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    Refusal::invalid(KIND, GROUP, name, causes)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T05:05:03Z".parse().unwrap()
    }

    fn body() -> String {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::new(["n1".to_owned()]).unwrap().serialize_request(&key).unwrap();
        STANDARD.encode(request.pem().unwrap())
    }

    fn request() -> Value {
        json!({ "metadata": { "name": "c" }, "spec": {
            "request": body(), "signerName": "kubernetes.io/kubelet-serving", "usages": ["server auth", "digital signature"]
        } })
    }

    fn user() -> User {
        let extra = [("k".to_owned(), vec!["v".to_owned()])].into();
        User { name: "system:node:n1".to_owned(), uid: String::new(), groups: vec!["system:nodes".to_owned()], extra }
    }

    fn stored() -> Value {
        let mut request = request();
        create(&mut request, &user()).unwrap();
        request
    }

    fn with(conditions: Value) -> Value {
        let mut request = stored();
        request["status"]["conditions"] = conditions;
        request
    }

    fn message(result: Result<(), Refusal>) -> String {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.code, 422);
        refusal.message.split_once("is invalid: ").unwrap().1.to_owned()
    }

    #[test]
    fn the_requester_is_who_asks_and_nothing_is_approved() {
        let mut request = request();
        request["spec"]["username"] = "system:masters".into();
        request["spec"]["uid"] = "forged".into();
        request["spec"]["groups"] = json!(["system:masters"]);
        request["status"] = json!({ "conditions": [{ "type": "Approved", "status": "True" }], "certificate": "AAAA" });
        create(&mut request, &user()).unwrap();
        assert_eq!(request["spec"]["username"], "system:node:n1");
        assert_eq!(request["spec"].get("uid"), None);
        assert_eq!(request["spec"]["groups"], json!(["system:nodes"]));
        assert_eq!(request["spec"]["extra"], json!({ "k": ["v"] }));
        assert_eq!(request["status"], json!({}));
    }

    #[test]
    fn what_cannot_be_signed_is_not_accepted() {
        let mut forged = STANDARD.decode(body()).unwrap();
        let mut block = pem::blocks(&forged)[0].data.clone();
        let last = block.len() - 1;
        block[last] ^= 1;
        forged = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
            STANDARD.encode(block)
        )
        .into();
        for (field, value, problem) in [
            ("request", json!(STANDARD.encode(forged)), "x509: signature verification failure"),
            (
                "request",
                json!("AAAA"),
                "spec.request: Invalid value: \"AAAA\": PEM block type must be CERTIFICATE REQUEST",
            ),
            ("request", json!(null), "spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST"),
            ("usages", json!([]), "spec.usages: Required value"),
            ("usages", json!(["any", "any"]), "spec.usages[1]: Duplicate value: \"any\""),
            (
                "usages",
                json!(["fly"]),
                "spec.usages[0]: Unsupported value: \"fly\": supported values: \"any\", \"cert sign\"",
            ),
            ("signerName", json!(null), "spec.signerName: Required value"),
            (
                "signerName",
                json!("foo"),
                "must be a fully qualified domain and path of the form 'example.com/signer-name'",
            ),
            ("signerName", json!("foo/bar"), "should be a domain with at least two segments separated by dots"),
            (
                "signerName",
                json!("kubernetes.io/legacy-unknown"),
                "the legacy signerName is not allowed via this API version",
            ),
            ("expirationSeconds", json!(599), "may not specify a duration less than 600 seconds (10 minutes)"),
        ] {
            let mut request = request();
            request["spec"][field] = value.clone();
            let found = message(create(&mut request, &user()));
            assert!(found.contains(problem), "{field} {value}: {found}");
        }
        let mut request = request();
        request["spec"]["request"] = "%%%".into();
        assert_eq!(create(&mut request, &user()).unwrap_err().code, 400);
    }

    #[test]
    fn the_request_itself_never_changes() {
        let old = with(json!([{ "type": "Approved", "status": "True" }]));
        let mut new =
            json!({ "metadata": { "name": "c", "labels": { "a": "b" } }, "spec": { "username": "x" }, "status": {} });
        update(&old, &mut new).unwrap();
        assert_eq!((&new["spec"], &new["status"]), (&old["spec"], &old["status"]));
        assert_eq!(new["metadata"]["labels"], json!({ "a": "b" }));
    }

    #[test]
    fn approval_changes_conditions_only_and_gives_them_times() {
        let old = stored();
        let mut new = old.clone();
        new["spec"]["username"] = "x".into();
        new["status"] =
            json!({ "certificate": "AAAA", "conditions": [{ "type": "Approved", "status": "True", "reason": "r" }] });
        approval(&old, &mut new, now()).unwrap();
        assert_eq!(new["spec"], old["spec"]);
        assert_eq!(
            new["status"],
            json!({ "conditions": [{ "type": "Approved", "status": "True", "reason": "r",
                "lastUpdateTime": "2026-11-22T05:05:03Z", "lastTransitionTime": "2026-11-22T05:05:03Z" }] })
        );
        let mut again = new.clone();
        again["status"]["conditions"] = json!([{ "type": "Approved", "status": "True", "reason": "other" }]);
        approval(&new, &mut again, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(again["status"]["conditions"][0]["lastTransitionTime"], "2026-11-22T05:05:03Z");
        assert_eq!(again["status"]["conditions"][0]["lastUpdateTime"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn an_approval_is_final() {
        let old = with(json!([{ "type": "Approved", "status": "True" }]));
        let approved = json!({ "type": "Approved", "status": "True" });
        for (conditions, problem) in [
            (json!([]), "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""),
            (
                json!([approved, { "type": "Denied", "status": "True" }]),
                "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive",
            ),
            (
                json!([{ "type": "Approved", "status": "False" }]),
                "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\"",
            ),
            (json!([approved, { "type": "Foo" }]), "status.conditions[1].status: Required value"),
            (json!([approved, { "status": "True" }]), "status.conditions[1].type: Required value"),
            (json!([approved, approved]), "status.conditions[1].type: Duplicate value: \"Approved\""),
        ] {
            let mut new = old.clone();
            new["status"]["conditions"] = conditions;
            assert_eq!(message(approval(&old, &mut new, now())), problem);
        }
        let mut new = old.clone();
        new["status"]["conditions"] = json!("no list");
        assert_eq!(approval(&old, &mut new, now()).unwrap_err().code, 400);
    }

    #[test]
    fn the_status_takes_a_certificate_once_and_no_approval() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let old = with(json!([{ "type": "Approved", "status": "True", "reason": "mine" }]));
        let mut signed = old.clone();
        signed["status"] = json!({ "certificate": STANDARD.encode(certificate),
            "conditions": [{ "type": "Approved", "status": "True", "reason": "yours" }] });
        status(&old, &mut signed, now()).unwrap();
        assert_eq!(signed["status"]["conditions"][0]["reason"], "mine");
        for (path, value, problem) in [
            ("certificate", json!("AAAA"), "updates may not modify existing certificate content"),
            ("certificate", json!(null), "updates may not modify existing certificate content"),
            ("conditions", json!([]), "updates may not remove a condition of type \"Approved\""),
        ] {
            let mut new = signed.clone();
            new["status"][path] = value;
            assert!(message(status(&signed, &mut new, now())).contains(problem));
        }
        let mut new = stored();
        new["status"]["conditions"] = json!([{ "type": "Approved", "status": "True" }]);
        assert!(
            message(status(&stored(), &mut new, now()))
                .contains("updates may not add a condition of type \"Approved\"")
        );
        let mut new = stored();
        new["status"]["certificate"] = "AAAA".into();
        assert!(
            message(status(&stored(), &mut new, now())).contains("must contain at least one CERTIFICATE PEM block")
        );
    }

    #[test]
    fn approving_needs_a_permission_on_the_signer() {
        let names = may_approve("kubernetes.io/kubelet-serving").map(|attributes| attributes.name);
        assert_eq!(names, ["kubernetes.io/kubelet-serving", "kubernetes.io/*"]);
        assert_eq!(
            not_permitted("c1", "kubernetes.io/kubelet-serving").message,
            "certificatesigningrequests.certificates.k8s.io \"c1\" is forbidden: user not permitted to approve requests with \
             signerName \"kubernetes.io/kubelet-serving\""
        );
    }
}
