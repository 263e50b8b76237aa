//! Conditions in the status of objects.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::time;

/// What a condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Whether it holds.
    pub status: bool,
    /// One word; empty for none.
    pub reason: &'a str,
    /// A sentence; empty for none.
    pub message: &'a str,
}

/// The condition of this type.
pub fn find<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether the condition of this type holds.
pub fn holds(object: &Value, kind: &str) -> bool {
    find(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Sets a condition of a pod; says whether anything changed. The time only moves with the status.
pub fn set_of_pod(pod: &mut Value, condition: Condition<'_>, now: Timestamp) -> bool {
    let mut fields = json!({ "lastProbeTime": null });
    for (key, text) in [("reason", condition.reason), ("message", condition.message)] {
        if !text.is_empty() {
            fields[key] = text.into();
        }
    }
    set(pod, condition, fields, now)
}

/// Sets a `metav1.Condition`; says whether anything changed.
pub fn set_of(object: &mut Value, condition: Condition<'_>, generation: Option<i64>, now: Timestamp) -> bool {
    let mut fields = json!({ "reason": condition.reason, "message": condition.message });
    if let Some(generation) = generation.filter(|generation| *generation > 0) {
        fields["observedGeneration"] = generation.into();
    }
    set(object, condition, fields, now)
}

/// Sets a condition of a node, with the time of its heartbeat.
pub fn set_of_node(node: &mut Value, condition: Condition<'_>, now: Timestamp) -> bool {
    let fields =
        json!({ "reason": condition.reason, "message": condition.message, "lastHeartbeatTime": time::seconds(now) });
    set(node, condition, fields, now)
}

fn set(object: &mut Value, condition: Condition<'_>, mut fields: Value, now: Timestamp) -> bool {
    let status = if condition.status { "True" } else { "False" };
    let old = find(object, condition.kind);
    let since = old.filter(|old| old["status"] == status).and_then(|old| old.get("lastTransitionTime"));
    fields["lastTransitionTime"] = since.cloned().unwrap_or_else(|| time::seconds(now));
    fields["type"] = condition.kind.into();
    fields["status"] = status.into();
    if old == Some(&fields) || !object.is_object() {
        return false;
    }
    if !object["status"].is_object() {
        object["status"] = json!({});
    }
    if !object["status"]["conditions"].is_array() {
        object["status"]["conditions"] = json!([]);
    }
    if let Some(list) = object["status"]["conditions"].as_array_mut() {
        match list.iter_mut().find(|one| one["type"] == condition.kind) {
            Some(one) => *one = fields,
            None => list.push(fields),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_moves_with_the_status_only() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let ready = Condition { kind: "Ready", status: true, reason: "", message: "" };
        let mut pod = json!({ "status": null });
        assert!(set_of_pod(&mut pod, ready, at(10)));
        assert!(!set_of_pod(&mut pod, ready, at(20)));
        assert!(set_of_pod(&mut pod, Condition { reason: "X", ..ready }, at(30)));
        assert_eq!(find(&pod, "Ready").unwrap()["lastTransitionTime"], "1970-01-01T00:00:10Z");
        assert!(set_of_pod(&mut pod, Condition { status: false, ..ready }, at(40)));
        assert_eq!(find(&pod, "Ready").unwrap()["lastTransitionTime"], "1970-01-01T00:00:40Z");
        assert!(!holds(&pod, "Ready"));
        assert_eq!(pod["status"]["conditions"].as_array().unwrap().len(), 1);
    }
}
