//! Stateful sets: pods with numbers, all at once.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{active_pods, generation, length, pod_of, ready, remove, wanted};
use crate::world::Turn;
use crate::world::object::{self, is_controlled_by, is_over, name};

pub(super) fn step(set: &Value, turn: &mut Turn<'_>) {
    let pods = active_pods(set, turn);
    let names: HashSet<String> = (0..wanted(set)).map(|number| format!("{}-{number}", name(set))).collect();
    let owned = turn.view.all("pods").iter().filter(|pod| is_controlled_by(pod, set));
    // A pod that is leaving keeps its name until it is gone; one that has ended makes room.
    let ended: Vec<&Value> = owned.clone().filter(|pod| is_over(pod)).collect();
    let taken: HashSet<&str> = owned.map(name).collect();
    for number in 0..wanted(set) {
        let name = format!("{}-{number}", name(set));
        if taken.contains(name.as_str()) {
            continue;
        }
        let mut pod = pod_of(set, "StatefulSet", name.clone());
        if !pod["metadata"]["labels"].is_object() {
            pod["metadata"]["labels"] = json!({});
        }
        pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name.into();
        pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = number.to_string().into();
        turn.create(pod);
    }
    ended.iter().for_each(|pod| turn.delete("pods", pod));
    pods.iter().filter(|pod| !names.contains(name(pod))).for_each(|pod| remove(pod, turn));
    let mut counted = set.clone();
    let (all, ready) = (length(pods.len()), ready(&pods));
    object::set_status(
        &mut counted,
        json!({
            "observedGeneration": generation(set), "replicas": all, "readyReplicas": ready, "availableReplicas": ready,
            "currentReplicas": all, "updatedReplicas": all
        }),
    );
    turn.replace(set, counted);
}
