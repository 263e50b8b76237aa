//! Daemon sets: a pod on every node that takes it.

use serde_json::{Value, json};

use super::{active_pods, generation, length, new_name, pod_of, remove};
use crate::semantics::condition;
use crate::world::Turn;
use crate::world::fit::{is_selected, tolerates};
use crate::world::object::{self, is_leaving, list, name, node_of, text};

/// Taints of the state of a node, which daemons put up with.
const TOLERATED: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

pub(super) fn step(set: &Value, turn: &mut Turn<'_>) {
    let pods = active_pods(set, turn);
    let model = tolerant(pod_of(set, "DaemonSet", String::new()));
    let nodes: Vec<&Value> =
        turn.view.all("nodes").iter().filter(|node| !is_leaving(node) && takes(node, &model)).collect();
    for (index, node) in nodes.iter().enumerate() {
        if pods.iter().any(|pod| place_of(pod) == name(node)) {
            continue;
        }
        let mut pod = model.clone();
        pod["metadata"]["name"] = new_name(set, length(index), turn).into();
        bind_to(&mut pod, name(node));
        turn.create(pod);
    }
    let strays = pods.iter().filter(|pod| !nodes.iter().any(|node| name(node) == place_of(pod)));
    strays.for_each(|pod| remove(pod, turn));
    let ready = length(pods.iter().filter(|pod| condition::holds(pod, "Ready")).count());
    let mut counted = set.clone();
    object::set_status(
        &mut counted,
        json!({
            "observedGeneration": generation(set), "desiredNumberScheduled": length(nodes.len()),
            "currentNumberScheduled": length(pods.len()), "updatedNumberScheduled": length(pods.len()),
            "numberReady": ready, "numberAvailable": ready, "numberMisscheduled": 0
        }),
    );
    turn.replace(set, counted);
}

fn takes(node: &Value, pod: &Value) -> bool {
    let repels = |taint: &Value| {
        let effect = text(taint, "/effect");
        matches!(effect, "NoSchedule" | "NoExecute")
            && !tolerates(pod, text(taint, "/key"), text(taint, "/value"), effect)
    };
    is_selected(pod, node) && !list(node, "/spec/taints").iter().any(repels)
}

fn tolerant(mut pod: Value) -> Value {
    let mut tolerations = list(&pod, "/spec/tolerations").to_vec();
    tolerations.extend(TOLERATED.map(|key| json!({ "key": key, "operator": "Exists" })));
    pod["spec"]["tolerations"] = tolerations.into();
    pod
}

/// The node that a daemon is for.
fn place_of(pod: &Value) -> &str {
    let field = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    match node_of(pod) {
        "" => text(pod, field),
        node => node,
    }
}

/// Each term of the affinity gets the node; what the template says of labels stays.
fn bind_to(pod: &mut Value, node: &str) {
    let field = json!([{ "key": "metadata.name", "operator": "In", "values": [node] }]);
    let path = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let mut terms = list(pod, path).to_vec();
    if terms.is_empty() {
        terms.push(json!({}));
    }
    for term in terms.iter_mut().filter_map(Value::as_object_mut) {
        term.insert("matchFields".to_owned(), field.clone());
    }
    for part in ["affinity", "nodeAffinity"] {
        let place = if part == "affinity" { &mut pod["spec"] } else { &mut pod["spec"]["affinity"] };
        if !place[part].is_object() {
            place[part] = json!({});
        }
    }
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({ "nodeSelectorTerms": terms });
}
