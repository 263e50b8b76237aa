//! What controllers ask objects.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::semantics::time;

pub(super) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(super) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(super) fn node_of(pod: &Value) -> &str {
    text(pod, "/spec/nodeName")
}

pub(super) fn is_leaving(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// Whether a pod has run to its end.
pub(super) fn is_over(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// The UID of the controller of an object.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    list(object, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true)
}

pub(super) fn is_controlled_by(object: &Value, owner: &Value) -> bool {
    let uid = uid(owner);
    !uid.is_empty() && controller(object).is_some_and(|controller| controller["uid"] == uid)
}

/// A reference by which an object is controlled.
pub(super) fn owner_reference(api_version: &str, kind: &str, owner: &Value) -> Value {
    json!([{
        "apiVersion": api_version, "kind": kind, "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true
    }])
}

/// A pod that is asked to go, with its grace; one that never started goes at once (`None`).
pub(super) fn leaving(pod: &Value, now: Timestamp) -> Option<Value> {
    if node_of(pod).is_empty() {
        return None;
    }
    let grace = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30).clamp(0, 3600);
    let mut leaving = pod.clone();
    let metadata = leaving.get_mut("metadata").and_then(Value::as_object_mut)?;
    let end = now.checked_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(now);
    metadata.insert("deletionTimestamp".to_owned(), time::seconds(end));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    Some(leaving)
}

/// The status of an object as a map that can be written to.
pub(super) fn status_mut(object: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    let status = object.as_object_mut()?.entry("status").or_insert_with(|| json!({}));
    if !status.is_object() {
        *status = json!({});
    }
    status.as_object_mut()
}

/// Writes several fields of the status; `null` removes one.
pub(super) fn set_status(object: &mut Value, fields: Value) {
    let (Some(status), Value::Object(fields)) = (status_mut(object), fields) else { return };
    for (key, value) in fields {
        if value.is_null() {
            status.remove(&key);
        } else {
            status.insert(key, value);
        }
    }
}

/// A short name that is always the same for the same text.
pub(super) fn short_hash(text: &str) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    // FNV-1a, 64 bits.
    let mut hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^= hash >> 29;
    let mut name = String::with_capacity(5);
    for _ in 0..5 {
        name.push(char::from(LETTERS[usize::try_from(hash % 27).unwrap_or_default()]));
        hash /= 27;
    }
    name
}
