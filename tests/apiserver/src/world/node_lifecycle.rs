//! Taints that follow the state of nodes, and the pods of nodes that are gone.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Turn;
use super::object::{is_leaving, list, name, node_of};
use crate::semantics::condition;

pub(super) fn step(turn: &mut Turn<'_>) {
    for node in turn.view.all("nodes").iter().filter(|node| !is_leaving(node)) {
        let ready = condition::find(node, "Ready").map(|condition| condition["status"].as_str().unwrap_or_default());
        let wanted = [
            ("node.kubernetes.io/not-ready", matches!(ready, None | Some("False"))),
            ("node.kubernetes.io/unreachable", ready == Some("Unknown")),
            ("node.kubernetes.io/unschedulable", node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))),
        ];
        let is = |taint: &Value, key: &str| taint["key"] == key && taint["effect"] == "NoSchedule";
        let old = list(node, "/spec/taints");
        let mut taints: Vec<Value> =
            old.iter().filter(|taint| !wanted.iter().any(|(key, wanted)| !wanted && is(taint, key))).cloned().collect();
        for (key, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
            if !taints.iter().any(|taint| is(taint, key)) {
                taints.push(json!({ "key": key, "effect": "NoSchedule" }));
            }
        }
        if taints == old {
            continue;
        }
        let mut tainted = node.clone();
        if let Some(object) = tainted.as_object_mut()
            && let Some(spec) = object.entry("spec").or_insert_with(|| json!({})).as_object_mut()
        {
            if taints.is_empty() {
                spec.remove("taints");
            } else {
                spec.insert("taints".to_owned(), taints.into());
            }
        }
        turn.replace(node, tainted);
    }
    let nodes: HashSet<&str> = turn.view.all("nodes").iter().map(name).collect();
    for pod in turn.view.all("pods") {
        let gone = !node_of(pod).is_empty() && !nodes.contains(node_of(pod));
        if gone && list(pod, "/metadata/finalizers").is_empty() {
            turn.delete("pods", pod);
        }
    }
}
