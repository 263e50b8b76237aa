//! What every new node will run.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use plimsoll_model::{DaemonSet, NodeSelector, Owner, PodShape, Snapshot, Text};

/// The classes that every cluster has, where a dump does not (kubernetes, `pkg/apis/scheduling/types.go`).
const SYSTEM_CLASSES: [(&str, i32); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// One shape for every DaemonSet: those of the snapshot, in the order of namespaces and names, or where it has none,
/// as in a dump without them, those that its pods tell of. Those of a higher priority come first: on a node that has
/// not room for all, they are the ones that run.
pub(super) fn daemon_shapes(snapshot: &Snapshot) -> Vec<Arc<PodShape>> {
    let mut shapes: Vec<Arc<PodShape>> = snapshot.daemon_sets().map(|known| prioritized(known, snapshot)).collect();
    if shapes.is_empty() {
        shapes = told_by_pods(snapshot);
    }
    shapes.sort_by_key(|shape| Reverse(shape.priority));
    shapes
}

/// With the priority that admission gives its pods. Of a class that is not known, the template's own.
fn prioritized(daemon_set: &DaemonSet, snapshot: &Snapshot) -> Arc<PodShape> {
    let class = daemon_set.priority_class.as_deref();
    let system = || SYSTEM_CLASSES.iter().find(|(name, _)| class == Some(*name)).map(|(_, priority)| *priority);
    match snapshot.priority_of(class).or_else(system) {
        Some(priority) if priority != daemon_set.shape.priority => {
            Arc::new(PodShape { priority, ..PodShape::clone(&daemon_set.shape) })
        }
        _ => daemon_set.shape.clone(),
    }
}

fn told_by_pods(snapshot: &Snapshot) -> Vec<Arc<PodShape>> {
    let mut shapes = Vec::new();
    let mut known: HashSet<(&Text, &Text)> = HashSet::new();
    let mut last: Option<&Arc<Owner>> = None;
    for (_, pod) in snapshot.pods().filter(|(_, pod)| !pod.finished()) {
        let Some(owner) = &pod.owner else { continue };
        // Pods of one owner share it and mostly follow each other: a run of them costs no look at texts.
        if last.replace(owner).is_some_and(|last| Arc::ptr_eq(last, owner)) {
            continue;
        }
        if pod.daemon_set() && known.insert((&owner.namespace, &owner.name)) {
            shapes.push(untied(&pod.shape));
        }
    }
    shapes
}

/// Free of the affinity that ties a pod to its present node.
fn untied(shape: &Arc<PodShape>) -> Arc<PodShape> {
    let Some(affinity) = &shape.node_affinity else { return shape.clone() };
    let mut terms = affinity.terms.clone();
    for term in &mut terms {
        term.match_fields.clear();
    }
    // A term that was nothing but the node's name allows every node once that is gone.
    let anywhere = terms.iter().any(|term| term.match_expressions.is_empty());
    Arc::new(PodShape { node_affinity: (!anywhere).then_some(NodeSelector { terms }), ..PodShape::clone(shape) })
}
