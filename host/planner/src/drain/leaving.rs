//! Nodes that leave already.

use fixedbitset::FixedBitSet;
use plimsoll_model::{Node, NodeId, PodId, Snapshot, Timestamp, well_known};

use super::rules::evictable;
use super::{Cause, History};

/// Nodes that leave, and those that drain already among them.
#[derive(Debug)]
pub(super) struct Leaving {
    set: FixedBitSet,
    /// Nodes that drain already, in the order of the history and then of names.
    pub running: Vec<Underway>,
}

/// A node that drains already.
#[derive(Debug)]
pub(super) struct Underway {
    pub node: NodeId,
    /// How far it has come, for a person.
    pub progress: String,
    /// Why and until when; `None` of a drain that is marked on the node and that nobody here leads.
    pub told: Option<(Cause, Timestamp)>,
}

// === impl Leaving ===

impl Leaving {
    /// The nodes that drain, as the history tells and as they are marked.
    pub fn of(snapshot: &Snapshot, history: &History) -> Self {
        let mut leaving = Self {
            set: FixedBitSet::with_capacity(snapshot.node_slots()),
            running: Vec::with_capacity(history.running.len()),
        };
        for drain in &history.running {
            let Some((node, _)) = snapshot.find_node(&drain.node) else { continue };
            if leaving.add(node) {
                let told = Some((drain.cause, drain.deadline));
                leaving.running.push(Underway { node, progress: drain.progress.clone(), told });
            }
        }
        for (node, _) in snapshot.nodes().filter(|(_, node)| !node.launching && marked(node)) {
            if leaving.add(node) {
                let progress = format!("it is marked with {}, by a drain that is not led here", well_known::DRAINING);
                leaving.running.push(Underway { node, progress, told: None });
            }
        }
        leaving
    }

    /// Notes a node that leaves; false if it was noted before.
    pub fn add(&mut self, node: NodeId) -> bool {
        self.set.grow(node.0 as usize + 1);
        !self.set.put(node.0 as usize)
    }

    /// True for a node that leaves.
    pub fn has(&self, node: NodeId) -> bool {
        self.set.contains(node.0 as usize)
    }

    /// All of them.
    pub fn set(&self) -> &FixedBitSet {
        &self.set
    }

    /// All of them, by id.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.set.ones().filter_map(|at| u32::try_from(at).ok().map(NodeId))
    }
}

/// Somebody drains it, and wrote that on it.
fn marked(node: &Node) -> bool {
    node.annotations.get(well_known::DRAIN).is_some()
        || node.taints.iter().any(|taint| taint.key == *well_known::DRAINING)
}

/// The pods that have not been evicted yet from a node that leaves in any case.
pub(crate) fn left_on(snapshot: &Snapshot, node: NodeId) -> Vec<PodId> {
    let pods = snapshot.pods_on(node).iter().copied();
    let left = |pod: &PodId| {
        let pod = snapshot.pod(*pod);
        evictable(pod) && pod.deletion.is_none()
    };
    pods.filter(left).collect()
}
