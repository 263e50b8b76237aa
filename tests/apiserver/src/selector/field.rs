//! Field selectors: which fields each kind can be selected by.
//!
//! Source of the table: the field label conversions of `pkg/apis/*/v1/conversion.go` in Kubernetes 1.36.

use serde_json::Value;

use crate::semantics::refusal::Refusal;

/// Which values fields of an object must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

/// The fields besides the name that objects of a resource can be selected by; `None` where a kind has no list of its own.
fn fields(group: &str, resource: &str) -> Option<&'static [&'static str]> {
    Some(match (group, resource) {
        ("", "pods") => &[
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["metadata.namespace", "type"],
        ("", "services") => &["metadata.namespace", "spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") => &["metadata.namespace", "status.replicas"],
        ("", "events") => &[
            "metadata.namespace",
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "metadata.namespace",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("batch", "jobs") => &["metadata.namespace", "status.successful"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        _ => return None,
    })
}

/// The paths that selecting by field looks at in objects of a resource, besides name and namespace.
pub fn field_paths(group: &str, resource: &str) -> &'static [&'static str] {
    match (group, resource) {
        ("", "events") => &["involvedObject", "regarding", "reason", "reportingComponent", "source", "type"],
        ("events.k8s.io", "events") => &["involvedObject", "regarding", "reason", "reportingController", "type"],
        ("batch", "jobs") => &["status.succeeded"],
        _ => match fields(group, resource) {
            Some(["metadata.namespace", rest @ ..]) => rest,
            Some(fields) => fields,
            None => &[],
        },
    }
}

// === impl FieldSelector ===

impl FieldSelector {
    /// Reads the text of `?fieldSelector=`; `selectable` are the JSON paths that the definition of a custom resource names.
    pub fn parse(text: &str, group: &str, resource: &str, selectable: &[String]) -> Result<Self, Refusal> {
        let mut terms = Vec::new();
        for part in split(text) {
            if part.is_empty() {
                continue;
            }
            let Some((field, value, equal)) = operator(part) else {
                let message = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(Refusal::bad_request(message));
            };
            let value = unescape(value)
                .map_err(|problem| Refusal::bad_request(format!("invalid field selector: {problem}")))?;
            terms.push(Term { field: known(field, group, resource, selectable)?, value, equal });
        }
        Ok(Self { terms })
    }

    /// Whether this object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| (value_of(object, &term.field) == term.value) == term.equal)
    }

    /// Whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The name that is asked for, if objects are selected by a name.
    pub fn name(&self) -> Option<&str> {
        let by_name = |term: &&Term| term.equal && term.field == "metadata.name";
        self.terms.iter().find(by_name).map(|term| term.value.as_str())
    }
}

/// The field under its own name, if objects of this resource can be selected by it.
fn known(field: &str, group: &str, resource: &str, selectable: &[String]) -> Result<String, Refusal> {
    let field = if (group, resource, field) == ("", "pods", "spec.host") { "spec.nodeName" } else { field };
    let unsupported = || Refusal::bad_request(format!("field label not supported: {field}"));
    if field == "metadata.name" {
        return Ok(field.to_owned());
    }
    // Events are one resource of two groups; a server that keeps both under the name of the core takes either's fields.
    if resource == "events" && (field.starts_with("regarding.") || field == "reportingController") {
        return Ok(field.to_owned());
    }
    if let Some(fields) = fields(group, resource) {
        return if fields.contains(&field) { Ok(field.to_owned()) } else { Err(unsupported()) };
    }
    if field == "metadata.namespace" || selectable.iter().any(|path| path.trim_start_matches('.') == field) {
        return Ok(field.to_owned());
    }
    // Groups of Kubernetes itself have no dot or end in .k8s.io; the others come from definitions.
    if group.contains('.') && !group.ends_with(".k8s.io") {
        return Err(unsupported());
    }
    Err(Refusal::bad_request(format!(
        "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    )))
}

/// The value of a field as the text it is compared by.
fn value_of(object: &Value, field: &str) -> String {
    let at = |path: &str| path.split('.').try_fold(object, |value, part| value.get(part));
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let found = match field {
        "source" => at("source.component").or_else(|| at("reportingComponent")),
        "status.successful" => at("status.succeeded"),
        _ => match (field.strip_prefix("involvedObject."), field.strip_prefix("regarding.")) {
            (Some(rest), _) => at(field).or_else(|| at(&format!("regarding.{rest}"))),
            (_, Some(rest)) => at(field).or_else(|| at(&format!("involvedObject.{rest}"))),
            _ => at(field),
        },
    };
    found.and_then(text).unwrap_or_else(|| match field {
        "spec.unschedulable" | "spec.hostNetwork" => "false".to_owned(),
        "status.successful" | "status.replicas" => "0".to_owned(),
        _ => String::new(),
    })
}

/// The parts between commas that are not escaped.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Field, value and whether they must be equal.
fn operator(part: &str) -> Option<(&str, &str, bool)> {
    let at = part.find(['=', '!'])?;
    let (field, rest) = part.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        return Some((field, value, false));
    }
    rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).map(|value| (field, value, true))
}

fn unescape(value: &str) -> Result<String, String> {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => text.push(next),
                next => {
                    return Err(format!("invalid escape sequence: \\{}", next.map(String::from).unwrap_or_default()));
                }
            },
            ',' | '=' => return Err(format!("invalid unescaped character: {char}")),
            other => text.push(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_each_kind_select() {
        let pod = json!({
            "metadata": { "name": "p", "namespace": "shop" }, "spec": { "nodeName": "n1", "schedulerName": "s" },
            "status": { "phase": "Running", "podIP": "10.0.0.1" }
        });
        let node = json!({ "metadata": { "name": "n1" }, "spec": { "unschedulable": true } });
        let csr = json!({ "spec": { "signerName": "kubernetes.io/kubelet-serving" } });
        let event = json!({ "involvedObject": { "kind": "Pod", "name": "p" }, "reason": "Failed", "type": "Warning" });
        let (certificates, requests) = ("certificates.k8s.io", "certificatesigningrequests");
        for (object, group, resource, selector, expected) in [
            (&pod, "", "pods", "spec.nodeName=n1", true),
            (&pod, "", "pods", "spec.nodeName=", false),
            (&pod, "", "pods", "spec.host=n1", true),
            (&pod, "", "pods", "spec.nodeName!=n1", false),
            (&pod, "", "pods", "status.nominatedNodeName=", true),
            (&pod, "", "pods", "spec.hostNetwork=false", true),
            (&pod, "", "pods", "metadata.namespace=shop,metadata.name==p,status.phase!=Failed", true),
            (&pod, "", "pods", "metadata.namespace=shop,metadata.name=q", false),
            (&node, "", "nodes", "spec.unschedulable=true", true),
            (&json!({}), "", "nodes", "spec.unschedulable=false", true),
            (&csr, certificates, requests, "spec.signerName=kubernetes.io/kubelet-serving", true),
            (&event, "", "events", "involvedObject.name=p,reason=Failed,type!=Normal", true),
            (&event, "events.k8s.io", "events", "regarding.name=p", true),
            (&json!({ "spec": { "color": "a,b" } }), "x.io", "things", "spec.color=a\\,b", true),
        ] {
            let selectable = [".spec.color".to_owned()];
            let parsed = FieldSelector::parse(selector, group, resource, &selectable).unwrap();
            assert_eq!(parsed.matches(object), expected, "{selector}");
        }
    }

    #[test]
    fn other_fields_are_refused_in_the_words_of_the_real_server() {
        for (group, resource, selector, message) in [
            ("", "pods", "spec.foo=1", "field label not supported: spec.foo"),
            ("", "nodes", "metadata.namespace=", "field label not supported: metadata.namespace"),
            ("", "pods", "spec", "invalid selector: 'spec'; can't understand 'spec'"),
            ("x.io", "things", "spec.shape=1", "field label not supported: spec.shape"),
            (
                "apps",
                "deployments",
                "spec.replicas=1",
                "\"spec.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
        ] {
            let refusal = FieldSelector::parse(selector, group, resource, &[]).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (400, message));
        }
        assert!(FieldSelector::parse("metadata.name=a\\b", "", "pods", &[]).is_err());
    }

    #[test]
    fn paths_cover_every_field() {
        for (group, resource) in [("", "pods"), ("", "nodes"), ("", "secrets"), ("", "services")] {
            let paths = field_paths(group, resource);
            let known = fields(group, resource).unwrap();
            assert!(known.iter().all(|field| *field == "metadata.namespace" || paths.contains(field)), "{resource}");
        }
    }
}
