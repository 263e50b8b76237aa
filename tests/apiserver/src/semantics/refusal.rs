//! Why a request is refused: the `metav1.Status` that goes back.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};

/// A request that is refused, with what the client is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP code.
    pub code: u16,
    /// `reason` of the status; empty where a server gives none.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
    /// `details` of the status.
    pub details: Option<Value>,
}

/// One of the causes in the details of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid` and its kin.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
    /// The field it is about; empty for none.
    pub field: String,
}

/// The object that a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// API group, empty for the core.
    pub group: &'a str,
    /// Version within the group.
    pub version: &'a str,
    /// Kind in CamelCase.
    pub kind: &'a str,
    /// Resource in the plural.
    pub resource: &'a str,
    /// Name of the object.
    pub name: &'a str,
    /// Whether a CustomResourceDefinition defines it.
    pub custom: bool,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Name, such as `system:node:n1`.
    pub name: String,
    /// UID, often empty.
    pub uid: String,
    /// Groups, `system:authenticated` among them.
    pub groups: Vec<String>,
    /// What else the authenticator says.
    pub extra: BTreeMap<String, Vec<String>>,
}

// === impl Refusal ===

impl Refusal {
    /// Any refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The same with causes, beside the details that there are.
    #[must_use]
    pub fn with_causes(mut self, causes: &[Cause]) -> Self {
        let causes = Value::Array(causes.iter().map(Cause::to_json).collect());
        match &mut self.details {
            Some(Value::Object(details)) => {
                details.insert("causes".to_owned(), causes);
            }
            _ => self.details = Some(json!({ "causes": causes })),
        }
        self
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: nobody known.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 about an object, or about a resource when `name` is empty.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = match name {
            "" => format!("{} is forbidden: {why}", Qualified { group, name: resource }),
            _ => format!("{} \"{name}\" is forbidden: {why}", Qualified { group, name: resource }),
        };
        Self::new(403, "Forbidden", message).with_details(details(group, resource, name))
    }

    /// 404: no such object.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", Qualified { group, name: resource }))
            .with_details(details(group, resource, name))
    }

    /// 404: no such path, resource or version.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(json!({}))
    }

    /// 405: the verb is not served there.
    pub fn method_not_supported(message: impl Into<String>) -> Self {
        Self::new(405, "MethodNotAllowed", message).with_details(json!({}))
    }

    /// 409: it is there already.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", Qualified { group, name: resource }))
            .with_details(details(group, resource, name))
    }

    /// 409: the request and the object do not go together.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let object = Qualified { group, name: resource };
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {object} \"{name}\": {why}"))
            .with_details(details(group, resource, name))
    }

    /// 409: somebody else wrote in between.
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, resource, name, why)
    }

    /// 410: what is asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415: a body in a format that is not read.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message).with_details(json!({}))
    }

    /// 422: fields that may not be so.
    pub fn invalid(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let list: Vec<String> = causes.iter().map(ToString::to_string).collect();
        let list = match list.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {list}", Qualified { group, name: kind });
        Self::new(422, "Invalid", message).with_details(details(group, kind, name)).with_causes(causes)
    }

    /// 422: what a server says of a patch that does not fit, without saying why.
    pub fn rejected() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request")
            .with_details(json!({}))
    }

    /// 429, with the seconds to wait; 0 for none.
    pub fn too_many_requests(message: impl Into<String>, retry_after: u64) -> Self {
        let details = if retry_after > 0 { json!({ "retryAfterSeconds": retry_after }) } else { json!({}) };
        Self::new(429, "TooManyRequests", message).with_details(details)
    }

    /// 500 with a reason.
    pub fn internal(why: &str) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {why}"))
            .with_details(json!({ "causes": [{ "message": why }] }))
    }

    /// 504: it took too long.
    pub fn timeout(message: impl Into<String>, retry_after: u64) -> Self {
        let details = if retry_after > 0 { json!({ "retryAfterSeconds": retry_after }) } else { json!({}) };
        Self::new(504, "Timeout", message).with_details(details)
    }

    /// The body of the answer.
    pub fn status(&self) -> Value {
        let mut status = Map::new();
        status.insert("kind".to_owned(), "Status".into());
        status.insert("apiVersion".to_owned(), "v1".into());
        status.insert("metadata".to_owned(), json!({}));
        status.insert("status".to_owned(), "Failure".into());
        status.insert("message".to_owned(), self.message.clone().into());
        if !self.reason.is_empty() {
            status.insert("reason".to_owned(), self.reason.into());
        }
        if let Some(details) = &self.details {
            status.insert("details".to_owned(), details.clone());
        }
        status.insert("code".to_owned(), self.code.into());
        Value::Object(status)
    }

    /// What goes into the header `Retry-After`, if it goes at all.
    pub fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64().filter(|seconds| *seconds > 0)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}

// === impl Cause ===

impl Cause {
    /// A value that may not be.
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self { reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {why}"), field: field.into() }
    }

    /// A value that must be given.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// A value outside of a list.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let mut message = format!("Unsupported value: {value}: supported values: ");
        for (index, one) in supported.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            // Writing to a string does not fail.
            let _ = write!(message, "{comma}{one:?}");
        }
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    /// A value given twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self { reason: "FieldValueDuplicate", message: format!("Duplicate value: {value}"), field: field.into() }
    }

    /// A change that is not allowed.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.into() }
    }

    fn to_json(&self) -> Value {
        let mut cause = json!({ "reason": self.reason, "message": self.message });
        if !self.field.is_empty() {
            cause["field"] = self.field.clone().into();
        }
        cause
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

// === impl Target ===

impl Target<'_> {
    /// 422 about this object.
    pub fn invalid(&self, causes: &[Cause]) -> Refusal {
        Refusal::invalid(self.kind, self.group, self.name, causes)
    }

    /// `group/version`, as in `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// `deployments.apps`, or `pods` in the core.
struct Qualified<'a> {
    group: &'a str,
    name: &'a str,
}

// === impl Qualified ===

impl fmt::Display for Qualified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(self.name) } else { write!(f, "{}.{}", self.name, self.group) }
    }
}

/// Details about an object; what is empty is left out.
fn details(group: &str, kind: &str, name: &str) -> Value {
    let mut details = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    }
    Value::Object(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_as_the_real_server_writes_it() {
        let refusal = Refusal::not_found("apps", "deployments", "nope");
        assert_eq!(
            refusal.status(),
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "deployments.apps \"nope\" not found", "reason": "NotFound",
                "details": { "name": "nope", "group": "apps", "kind": "deployments" }, "code": 404
            })
        );
    }

    #[test]
    fn several_causes_stand_in_brackets() {
        let causes = [
            Cause::invalid("spec.leaseDurationSeconds", &json!(0), "must be greater than 0"),
            Cause::unsupported("spec.mode", &json!("x"), &["a", "b"]),
        ];
        let refusal = Refusal::invalid("Lease", "coordination.k8s.io", "l2", &causes);
        assert_eq!(
            refusal.message,
            "Lease.coordination.k8s.io \"l2\" is invalid: [spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0, \
             spec.mode: Unsupported value: \"x\": supported values: \"a\", \"b\"]"
        );
        assert_eq!(refusal.details.unwrap()["causes"][1]["field"], "spec.mode");
    }

    #[test]
    fn waiting_is_only_said_when_there_is_something_to_wait_for() {
        assert_eq!(Refusal::too_many_requests("no", 10).retry_after(), Some(10));
        assert_eq!(Refusal::too_many_requests("no", 0).retry_after(), None);
        assert_eq!(Refusal::too_many_requests("no", 0).details, Some(json!({})));
    }
}
