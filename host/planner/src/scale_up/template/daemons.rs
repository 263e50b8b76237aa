//! What every new node will run.

use std::collections::HashSet;
use std::sync::Arc;

use plimsoll_model::{NodeSelector, Owner, PodShape, Snapshot, Text};

/// One shape for every DaemonSet: those of the snapshot, in the order of namespaces and names, or where it has none,
/// as in a dump without them, those that its pods tell of.
pub(super) fn daemon_shapes(snapshot: &Snapshot) -> Vec<Arc<PodShape>> {
    let mut shapes: Vec<Arc<PodShape>> = snapshot.daemon_sets().map(|known| known.shape.clone()).collect();
    if !shapes.is_empty() {
        return shapes;
    }
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
