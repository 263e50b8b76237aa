//! Replica sets: as many pods as wanted.

use serde_json::{Value, json};

use super::{by_worth, claimed_pods, generation, length, new_name, pod_of, ready, remove, wanted};
use crate::selector::LabelSelector;
use crate::world::Turn;
use crate::world::object;

/// Pods made for one set in one look.
const BURST: i64 = 500;

pub(super) fn step(set: &Value, turn: &mut Turn<'_>) {
    // With a selector that makes no sense nothing is done.
    let Ok(selector) = LabelSelector::from_json(set.pointer("/spec/selector").unwrap_or(&Value::Null)) else { return };
    let mut pods = claimed_pods(set, "ReplicaSet", &selector, turn);
    let ready = ready(&pods);
    let missing = wanted(set) - length(pods.len());
    for index in 0..missing.min(BURST) {
        let pod = pod_of(set, "ReplicaSet", new_name(set, index, turn));
        turn.create(pod);
    }
    if missing < 0 {
        by_worth(&mut pods);
        pods.iter().take(usize::try_from(-missing).unwrap_or_default()).for_each(|pod| remove(pod, turn));
    }
    let mut counted = set.clone();
    let or_none = |number: i64| if number == 0 { Value::Null } else { number.into() };
    object::set_status(
        &mut counted,
        json!({
            "observedGeneration": generation(set), "replicas": length(pods.len()), "readyReplicas": or_none(ready),
            "fullyLabeledReplicas": or_none(length(pods.len())), "availableReplicas": or_none(ready)
        }),
    );
    turn.replace(set, counted);
}
