//! A change of an object that was looked at first.

use plimsoll_planner::drain::WriteAnswer;
use serde_json::Value;

use super::answer::of_write;
use crate::api::{Api, ApiError, ObjectName, Patch, Permit, Resource};

/// How often an object is looked at anew when somebody else was quicker: kubelets and the controllers of nodes write
/// to the same objects.
const TRIES: usize = 4;

/// Looks at the object of that UID and writes the merge patch that `prepare` makes of it, under the version that was
/// looked at.
pub(super) async fn change(
    api: &Api,
    permit: &Permit,
    resource: &Resource,
    name: &ObjectName,
    uid: &str,
    prepare: impl Fn(&Value) -> Result<Value, WriteAnswer>,
) -> WriteAnswer {
    let mut last = String::new();
    for _ in 0..TRIES {
        if let Err(refused) = permit.check() {
            return WriteAnswer::Unknown(refused.to_string());
        }
        let object = match api.get(resource, name).await {
            Ok(object) => object,
            Err(error) => return of_write(error),
        };
        let patch = match patch(&object, uid, &prepare) {
            Ok(patch) => patch,
            Err(answer) => return answer,
        };
        match api.patch(permit, resource, name, None, Patch::Merge, &patch).await {
            Ok(_) => return WriteAnswer::Done,
            Err(ApiError::Conflict(answer)) => last = answer.to_string(),
            Err(error) => return of_write(error),
        }
    }
    WriteAnswer::Unknown(format!("{TRIES} times somebody else changed it first: {last}"))
}

fn patch(
    object: &Value,
    uid: &str,
    prepare: impl Fn(&Value) -> Result<Value, WriteAnswer>,
) -> Result<Value, WriteAnswer> {
    let unreadable = |field: &str| WriteAnswer::Unknown(format!("the API server gave an object without {field}"));
    match text(object, "/metadata/uid") {
        "" => return Err(unreadable("metadata.uid")),
        is if is != uid => return Err(WriteAnswer::Gone),
        _ => {}
    }
    let version = match text(object, "/metadata/resourceVersion") {
        "" => return Err(unreadable("metadata.resourceVersion")),
        version => version,
    };
    let mut patch = prepare(object)?;
    patch["metadata"]["resourceVersion"] = version.into();
    Ok(patch)
}

/// A text of an object; empty if it is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// An annotation or a label: `kind` is `annotations` or `labels`.
pub(super) fn entry<'a>(object: &'a Value, kind: &str, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get(kind)?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_that_was_read_is_written_along() {
        let object = json!({"metadata": {"uid": "u1", "resourceVersion": "7"}});
        let made = patch(&object, "u1", |_| Ok(json!({"metadata": {"labels": {"a": null}}})));
        assert_eq!(made, Ok(json!({"metadata": {"labels": {"a": null}, "resourceVersion": "7"}})));
    }

    #[test]
    fn another_object_of_the_name_is_left_alone() {
        let object = json!({"metadata": {"uid": "u2", "resourceVersion": "7"}});
        assert_eq!(patch(&object, "u1", |_| Ok(json!({}))), Err(WriteAnswer::Gone));
        for garbage in [json!(null), json!([]), json!({"metadata": 7}), json!({"metadata": {"uid": "u1"}})] {
            assert!(matches!(patch(&garbage, "u1", |_| Ok(json!({}))), Err(WriteAnswer::Unknown(_))), "{garbage}");
        }
    }
}
