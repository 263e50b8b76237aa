//! Pods of nodes that have to go, which want room before they are pending.

use std::collections::HashMap;

use plimsoll_model::{NodeId, PodId, Snapshot, Text, Timestamp};
use plimsoll_scheduler::Simulation;

use crate::drain::left_on;

/// A node that has to go, so that its pods need room elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// Its name.
    pub node: Text,
    /// When it is gone.
    pub deadline: Option<Timestamp>,
}

/// The nodes that have to go, and their pods that somebody will start again elsewhere.
#[derive(Debug, Default)]
pub(super) struct Displacements {
    pub nodes: Vec<NodeId>,
    pub pods: HashMap<PodId, Option<Timestamp>>,
}

// === impl Displacements ===

impl Displacements {
    /// Those of a snapshot. A pod that was evicted, and for which another one is pending, does not count again.
    pub fn of(snapshot: &Snapshot, displaced: &[Displaced]) -> Self {
        let mut all = Self::default();
        for displaced in displaced {
            let Some((node, row)) = snapshot.find_node(&displaced.node) else { continue };
            if row.launching {
                continue;
            }
            all.nodes.push(node);
            let owned = left_on(snapshot, node).into_iter().filter(|&pod| snapshot.pod(pod).owner.is_some());
            all.pods.extend(owned.map(|pod| (pod, displaced.deadline)));
        }
        all
    }

    /// Their pods by id, so that every run sees them in one order.
    pub fn in_order(&self) -> Vec<PodId> {
        let mut pods: Vec<PodId> = self.pods.keys().copied().collect();
        pods.sort_unstable();
        pods
    }

    /// Takes the pods off their nodes, and lets none come there: when others are given their places, these are gone.
    pub fn leave(&self, simulation: &mut Simulation) {
        for &node in &self.nodes {
            simulation.close(node);
        }
        for &pod in &self.in_order() {
            if let Some((class, node)) = simulation.placed(pod) {
                simulation.remove(class, node, 1);
            }
        }
    }
}
