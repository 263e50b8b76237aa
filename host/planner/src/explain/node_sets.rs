//! Nodes that keep a pod off for the same reasons, as one row.

use std::collections::HashMap;

use plimsoll_model::{Bytes, MilliCpu, NodeId, Resources};
use plimsoll_scheduler::Filter;

use super::{Failure, PodExplainer, PodExplanation};

/// Nodes with the same verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSet {
    /// The nodes, in the order of names.
    pub nodes: Vec<NodeId>,
    /// What keeps the pod off each of them; where figures differ, that of the node with the most.
    pub failed: Vec<Failure>,
}

impl PodExplainer<'_> {
    /// The nodes of an explanation by verdict: those that fit first, then the largest set. What is short is told
    /// apart by resource, not by how much.
    pub fn node_sets(&mut self, explanation: &PodExplanation) -> Vec<NodeSet> {
        let mut known: HashMap<Vec<(&str, &str)>, usize> = HashMap::new();
        let mut sets: Vec<NodeSet> = Vec::new();
        for verdict in explanation.nodes.iter() {
            let key =
                verdict.failed.iter().map(|failure| (failure.filter, short_of(failure).unwrap_or(&failure.reason)));
            let at = *known.entry(key.collect()).or_insert_with(|| {
                sets.push(NodeSet { nodes: Vec::new(), failed: verdict.failed.clone() });
                sets.len() - 1
            });
            sets[at].nodes.push(verdict.node);
        }
        let (mark, class) = self.lift(explanation.pod);
        let shape = self.simulation.class(class).shape.clone();
        for set in sets.iter_mut().filter(|set| set.nodes.len() > 1) {
            for failure in &mut set.failed {
                let Some(resource) = short_of(failure) else { continue };
                let free = set.nodes.iter().filter_map(|&node| self.simulation.node(node));
                let most = free.map(|node| amount(&node.free, resource)).max().unwrap_or(0);
                let need = show(resource, amount(&shape.requests, resource));
                failure.reason = format!("{resource}: needs {need}, at most {} free", show(resource, most));
            }
        }
        self.simulation.rollback(mark);
        sets.sort_by_key(|set| (!set.failed.is_empty(), std::cmp::Reverse(set.nodes.len())));
        sets
    }
}

/// The resource that is short, where it is one with an amount.
fn short_of(failure: &Failure) -> Option<&str> {
    let about = failure.filter == Filter::NodeResourcesFit.name();
    failure.reason.split_once(": needs ").filter(|_| about).map(|(resource, _)| resource)
}

/// How much of a resource, by its name in the API, this is.
pub(super) fn amount(resources: &Resources, name: &str) -> u64 {
    match name {
        "cpu" => resources.cpu.0,
        "memory" => resources.memory.0,
        "ephemeral-storage" => resources.ephemeral_storage.0,
        other => resources.get_extended(other),
    }
}

/// An amount of a resource, for a person.
pub(super) fn show(name: &str, amount: u64) -> String {
    match name {
        "cpu" => MilliCpu(amount).to_string(),
        "memory" | "ephemeral-storage" => Bytes(amount).to_string(),
        _ => amount.to_string(),
    }
}
