//! Who runs where.

use std::collections::BTreeMap;

use super::nodes::{NODES, State};

/// Where the replicas of a workload run.
#[derive(Clone, Copy)]
pub enum Place {
    /// This many, on the group's nodes that have most room, one zone after the other.
    Spread(&'static str, usize),
    /// One on each of these.
    On(&'static [&'static str]),
    /// One on every node.
    Everywhere,
}

/// CPU that is taken, in thousandths, by the key of the node.
#[derive(Default)]
pub struct Placement {
    taken: BTreeMap<&'static str, u64>,
}

impl Placement {
    /// The nodes of a workload's replicas, with the room they take.
    pub fn place(&mut self, place: Place, cpu: u64) -> Vec<&'static str> {
        match place {
            Place::On(keys) => keys.iter().for_each(|key| self.take(key, cpu)),
            Place::Everywhere => NODES.iter().for_each(|plan| self.take(plan.key, cpu)),
            Place::Spread(..) => {}
        }
        match place {
            Place::On(keys) => keys.to_vec(),
            Place::Everywhere => NODES.iter().map(|plan| plan.key).collect(),
            Place::Spread(group, count) => (0..count).map(|_| self.roomiest(group, cpu)).collect(),
        }
    }

    fn take(&mut self, key: &'static str, cpu: u64) {
        *self.taken.entry(key).or_default() += cpu;
    }

    fn free(&self, key: &str, cpu: u64) -> u64 {
        cpu.saturating_sub(self.taken.get(key).copied().unwrap_or(0))
    }

    fn roomiest(&mut self, group: &str, cpu: u64) -> &'static str {
        let found = NODES
            .iter()
            .filter(|plan| plan.group == group && plan.state == State::Ready)
            .max_by_key(|plan| (self.free(plan.key, plan.allocatable_cpu()), std::cmp::Reverse(plan.host)))
            .expect("a group of the table");
        self.take(found.key, cpu);
        found.key
    }
}
