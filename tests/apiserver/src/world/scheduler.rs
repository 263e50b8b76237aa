//! The scheduler: pods get nodes, or are told why not.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::Turn;
use super::fit::{Demand, Place};
use super::object::{self, is_leaving, is_over, list, name, namespace, node_of, text};
use crate::semantics::binding;
use crate::semantics::condition::{self, Condition};

pub(super) fn step(turn: &mut Turn<'_>) {
    let pods = turn.view.all("pods");
    let mut waiting: Vec<&Value> = pods.iter().filter(|pod| is_waiting(pod)).collect();
    if waiting.is_empty() {
        return;
    }
    let key = |pod: &Value| {
        let priority = pod.pointer("/spec/priority").and_then(Value::as_i64).unwrap_or_default();
        (
            -priority,
            text(pod, "/metadata/creationTimestamp").to_owned(),
            namespace(pod).to_owned(),
            name(pod).to_owned(),
        )
    };
    waiting.sort_by_cached_key(|pod| key(pod));
    let mut places: Vec<Place<'_>> =
        turn.view.all("nodes").iter().filter(|node| !is_leaving(node)).map(Place::new).collect();
    let by_name: HashMap<&str, usize> = places.iter().enumerate().map(|(at, place)| (name(place.node), at)).collect();
    for pod in pods.iter().filter(|pod| !is_over(pod)) {
        if let Some(at) = by_name.get(node_of(pod)) {
            places[*at].take(&Demand::of(pod));
        }
    }
    for pod in waiting {
        let demand = Demand::of(pod);
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<(i128, usize)> = None;
        for (at, place) in places.iter().enumerate() {
            let problems = place.problems(pod, &demand);
            if problems.is_empty() {
                let emptiness = place.emptiness(&demand);
                if best.is_none_or(|(most, _)| emptiness > most) {
                    best = Some((emptiness, at));
                }
            }
            for problem in problems {
                *reasons.entry(problem).or_default() += 1;
            }
        }
        let Some((_, at)) = best else {
            let unscheduled = refused(pod, places.len(), &reasons, turn);
            turn.replace(pod, unscheduled);
            continue;
        };
        let body =
            json!({ "metadata": { "name": name(pod) }, "target": { "kind": "Node", "name": name(places[at].node) } });
        if let Ok(bound) = binding::bind(pod, &body, name(pod), turn.now) {
            places[at].take(&demand);
            turn.replace(pod, bound);
        }
    }
}

fn is_waiting(pod: &Value) -> bool {
    node_of(pod).is_empty()
        && !is_leaving(pod)
        && !is_over(pod)
        && list(pod, "/spec/schedulingGates").is_empty()
        && matches!(text(pod, "/spec/schedulerName"), "" | "default-scheduler")
}

/// The pod with the reasons why it has no node.
fn refused(pod: &Value, nodes: usize, reasons: &BTreeMap<String, usize>, turn: &Turn<'_>) -> Value {
    let message = if nodes == 0 {
        "no nodes available to schedule pods".to_owned()
    } else {
        // As the scheduler does, ordered as texts.
        let mut list: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        list.sort();
        format!("0/{nodes} nodes are available: {}.", list.join(", "))
    };
    let mut pod = pod.clone();
    let unscheduled = Condition { kind: "PodScheduled", status: false, reason: "Unschedulable", message: &message };
    condition::set_of_pod(&mut pod, unscheduled, turn.now);
    if text(&pod, "/status/phase").is_empty() {
        object::set_status(&mut pod, json!({ "phase": "Pending" }));
    }
    pod
}
