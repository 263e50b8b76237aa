//! Patches of every kind that an API server takes.
//!
//! ```text
//!   application/json-patch+json             RFC 6902, through the crate json-patch
//!   application/merge-patch+json            RFC 7386, likewise
//!   application/strategic-merge-patch+json  strategic: lists with a merge key are merged by it
//!   application/apply-patch+yaml            apply: every field has managers, conflicts are refused
//! ```

pub mod apply;
mod field_set;
mod lists;
mod strategic;

use serde_json::Value;

use crate::semantics::refusal::{Refusal, Target};

/// How a body changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// A list of operations.
    Json,
    /// An object laid over the other; `null` removes.
    Merge,
    /// The same, with lists merged by key.
    Strategic,
    /// Server-side apply; see [`apply`].
    Apply,
}

/// More operations than this are refused, as by a real server.
const MAX_OPERATIONS: usize = 10_000;

// === impl PatchType ===

impl PatchType {
    /// The type that a `Content-Type` names.
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// The object after a patch that is not an apply.
pub fn patch(how: PatchType, target: &Target<'_>, current: &Value, body: &Value) -> Result<Value, Refusal> {
    match how {
        PatchType::Json => by_operations(current, body),
        PatchType::Merge => {
            must_be_object(body)?;
            let mut patched = current.clone();
            json_patch::merge(&mut patched, body);
            Ok(patched)
        }
        PatchType::Strategic if target.custom => {
            let message = "the body of the request was in an unknown format - accepted media types include: \
                           application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            Err(Refusal::unsupported_media_type(message))
        }
        PatchType::Strategic => {
            must_be_object(body)?;
            strategic::merge(target.kind, current, body)
        }
        PatchType::Apply => Err(Refusal::internal("an apply patch needs the name of its manager")),
    }
}

fn by_operations(current: &Value, body: &Value) -> Result<Value, Refusal> {
    let Some(operations) = body.as_array() else {
        let message = format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
            name_of(body)
        );
        return Err(Refusal::bad_request(message));
    };
    if operations.len() > MAX_OPERATIONS {
        let message =
            format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", operations.len());
        return Err(Refusal::new(413, "RequestEntityTooLarge", message));
    }
    let patch: json_patch::Patch = serde_json::from_value(body.clone()).map_err(|_| Refusal::rejected())?;
    let mut patched = current.clone();
    json_patch::patch(&mut patched, &patch).map_err(|_| Refusal::rejected())?;
    if patched.is_object() { Ok(patched) } else { Err(Refusal::rejected()) }
}

fn must_be_object(body: &Value) -> Result<(), Refusal> {
    if body.is_object() {
        return Ok(());
    }
    let message = format!(
        "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        name_of(body)
    );
    Err(Refusal::bad_request(message))
}

/// What Go calls this kind of JSON.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(kind: &'static str, custom: bool) -> Target<'static> {
        Target { group: "", version: "v1", kind, resource: "pods", name: "p", custom }
    }

    #[test]
    fn content_types_are_known() {
        assert_eq!(PatchType::of("application/merge-patch+json; charset=utf-8"), Some(PatchType::Merge));
        assert_eq!(PatchType::of("application/apply-patch+yaml"), Some(PatchType::Apply));
        assert_eq!(PatchType::of("application/json"), None);
    }

    #[test]
    fn operations_apply_all_or_not_at_all() {
        let lease = json!({ "spec": { "holder": "a", "list": [1, 2] } });
        let patched = patch(
            PatchType::Json,
            &target("Lease", false),
            &lease,
            &json!([
                { "op": "test", "path": "/spec/holder", "value": "a" },
                { "op": "replace", "path": "/spec/holder", "value": "b" },
                { "op": "add", "path": "/spec/list/-", "value": 3 }
            ]),
        );
        assert_eq!(patched.unwrap(), json!({ "spec": { "holder": "b", "list": [1, 2, 3] } }));
        for (body, code) in [
            (json!([{ "op": "test", "path": "/spec/holder", "value": "z" }]), 422),
            (json!([{ "op": "remove", "path": "/spec/zz" }]), 422),
            (json!([{ "op": "add", "path": "/no/such", "value": 1 }]), 422),
            (json!([{ "op": "add", "path": "/spec/list/99999999999999999999", "value": 1 }]), 422),
            (json!([{ "op": "replace", "path": "", "value": 1 }]), 422),
            (json!([{ "op": "foo", "path": "/spec" }]), 422),
            (json!({ "op": "foo" }), 400),
            (Value::Array(vec![json!({ "op": "test", "path": "/a", "value": 1 }); 10_001]), 413),
        ] {
            assert_eq!(
                patch(PatchType::Json, &target("Lease", false), &lease, &body).unwrap_err().code,
                code,
                "{body}"
            );
        }
    }

    #[test]
    fn a_merge_patch_replaces_lists_and_removes_nulls() {
        let object = json!({ "a": { "b": 1, "c": [1, 2] }, "d": 2 });
        let body = json!({ "a": { "b": null, "c": [3] }, "e": { "f": null } });
        let patched = patch(PatchType::Merge, &target("Pod", true), &object, &body).unwrap();
        assert_eq!(patched, json!({ "a": { "c": [3] }, "d": 2, "e": {} }));
        let refusal = patch(PatchType::Merge, &target("Pod", true), &object, &json!([])).unwrap_err();
        assert_eq!(
            refusal.message,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        );
    }

    #[test]
    fn custom_resources_take_no_strategic_patch() {
        let refusal = patch(PatchType::Strategic, &target("Machine", true), &json!({}), &json!({})).unwrap_err();
        assert_eq!(refusal.code, 415);
    }
}
