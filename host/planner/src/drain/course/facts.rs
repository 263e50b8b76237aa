//! What drains are told that is not in the snapshot.

use std::collections::{HashMap, HashSet};

use plimsoll_model::Text;

/// What the provider says of a node's machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MachineState {
    /// It runs.
    Present,
    /// It is on its way out.
    Deleting,
    /// There is no such machine any more.
    Gone,
    /// Nothing is known of it.
    #[default]
    Unknown,
}

/// What drains are told that is not in the snapshot.
#[derive(Clone, Debug)]
pub struct DrainFacts {
    /// The machine of each node, by the node's name; one that is not there is `Unknown`.
    pub machines: HashMap<Text, MachineState>,
    /// Node groups with a launch that has no answer yet: no removal is measured there.
    pub launching_groups: HashSet<Text>,
    /// Somebody can remove machines. If not, a drain ends with its node empty and cordoned.
    pub removes_machines: bool,
    /// Pods may be deleted.
    pub may_force_delete: bool,
    /// Nodes may be deleted.
    pub may_delete_nodes: bool,
}

impl Default for DrainFacts {
    fn default() -> Self {
        Self {
            machines: HashMap::new(),
            launching_groups: HashSet::new(),
            removes_machines: true,
            may_force_delete: true,
            may_delete_nodes: true,
        }
    }
}

impl DrainFacts {
    /// What is known of a node's machine.
    pub fn machine(&self, node: &str) -> MachineState {
        self.machines.get(node).copied().unwrap_or_default()
    }
}
