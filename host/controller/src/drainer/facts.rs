//! From what the provider, the permissions and the watches say to what the planner takes.

use plimsoll_kube::{Feature, View, Watched};
use plimsoll_model::{GroupIndex, Node, Snapshot, Text, Timestamp, well_known};
use plimsoll_planner::drain::{Cause, DrainFacts, History, ScaleDownConfig, why_forced};
use plimsoll_planner::scale_up::ScaleUpConfig;

use crate::Parts;
use crate::exchange::Turn;

/// What drains are told that is not in the snapshot.
pub fn of(parts: &Parts, config: &ScaleUpConfig, snapshot: &Snapshot) -> DrainFacts {
    let heard = parts.heard.borrow();
    let groups = GroupIndex::of(&config.groups);
    let mut facts = DrainFacts {
        launching_groups: parts.exchange.turns.of(Turn::Launch),
        removes_machines: parts.provider.is_some(),
        may_force_delete: true,
        may_delete_nodes: parts.features.is_on(Feature::Cleanup),
        ..DrainFacts::default()
    };
    let Some(inventory) = &heard.inventory else { return facts };
    for (_, node) in snapshot.nodes().filter(|(_, node)| !node.launching) {
        // What the provider never had it would call gone.
        let group = groups.group_of(node).map(|(_, group)| &group.name);
        if group.is_some_and(|name| inventory.groups.is_empty() || inventory.groups.iter().any(|of| of.id == *name)) {
            let state = inventory.machine_state(&node.name, node.provider_id.as_deref());
            facts.machines.insert(node.name.clone(), state);
        }
    }
    facts
}

/// What of the cluster is not known, as a sentence.
pub fn unknown(view: &View) -> Option<String> {
    let known = view.unknown.knows(Watched::Nodes) && view.unknown.knows_disruption();
    (!known).then(|| "not all nodes, pods and disruption budgets could be read".to_owned())
}

/// Nodes that have to go, and why: when this changes a plan cannot wait.
pub fn signs(config: &ScaleDownConfig, scale_up: &ScaleUpConfig, snapshot: &Snapshot) -> Vec<(Text, Cause)> {
    let groups = GroupIndex::of(&scale_up.groups);
    let newest = snapshot.nodes().filter_map(|(_, node)| node.ready_changed).max().unwrap_or(Timestamp(0));
    let ours = |_, node: &Node| {
        let group = groups.group_of(node).map(|(_, group)| group)?;
        Some(scale_up.startup_of(Some(group)).grace)
    };
    // Broken nodes wait for the next interval: their time is a matter of minutes.
    let forced = why_forced(&config.forced, snapshot, &History::default(), newest, ours);
    let sudden = forced.into_iter().filter(|node| node.cause != Cause::Unhealthy);
    sudden.map(|node| (node.name, node.cause)).collect()
}

/// True if a person wants this node drained.
pub fn is_requested(node: &Node) -> bool {
    node.annotations.get(well_known::DRAIN_REQUESTED).is_some_and(|why| why.as_str().trim() != "false")
}
