//! Objects whose controller is gone go, too.

use std::collections::HashSet;

use serde_json::Value;

use super::object::{controller, is_leaving, leaving, list, uid};
use super::{Change, Turn};

/// What controls others, by kind.
const OWNERS: [(&str, &str); 5] = [
    ("Deployment", "deployments.apps"),
    ("ReplicaSet", "replicasets.apps"),
    ("StatefulSet", "statefulsets.apps"),
    ("DaemonSet", "daemonsets.apps"),
    ("Node", "nodes"),
];

pub(super) fn step(turn: &mut Turn<'_>) {
    let there: HashSet<&str> = OWNERS
        .into_iter()
        .flat_map(|(_, resource)| turn.view.all(resource))
        .map(uid)
        .filter(|uid| !uid.is_empty())
        .collect();
    let orphaned = |object: &Value| {
        controller(object).is_some_and(|owner| {
            let known = OWNERS.iter().any(|(kind, _)| owner["kind"] == *kind);
            known && !owner["uid"].as_str().is_some_and(|uid| there.contains(uid))
        })
    };
    for resource in ["replicasets.apps", "pods"] {
        for object in turn.view.all(resource) {
            if is_leaving(object) || !list(object, "/metadata/finalizers").is_empty() || !orphaned(object) {
                continue;
            }
            match leaving(object, turn.now).filter(|_| resource == "pods") {
                Some(pod) => turn.step.changes.push(Change::Replace(pod)),
                None => turn.delete(resource, object),
            }
        }
    }
}
