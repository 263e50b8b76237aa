//! Which Node objects have outlived their machines.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use plimsoll_model::{GroupIndex, NodeGroup, Snapshot, Text, Uid};
use plimsoll_planner::drain::MachineState;
use plimsoll_providers::Inventory;
use tokio::time::Instant;

/// A machine is gone when so many inventories in a row have not listed it.
const INVENTORIES: u32 = 3;

/// What inventories have said of the machine of each node, as long as one replica leads.
#[derive(Debug, Default)]
pub struct Departures {
    /// Nodes whose machine was listed once, and since when it is not.
    listed: HashMap<Uid, Option<Missing>>,
}

/// Inventories in a row that have not listed a machine.
#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Instant,
    inventories: u32,
}

/// A node whose machine is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departed {
    /// Its name.
    pub node: Text,
    /// Which object of that name.
    pub uid: Uid,
    /// Its group.
    pub group: Text,
    /// For how long its machine has not been listed.
    pub missing: Duration,
}

impl Departures {
    /// Takes an inventory, and gives the nodes that may be deleted: the group is one that the provider knows, the
    /// machine was listed once and then was not in three inventories in a row, over `after` at least, and the
    /// node is not ready. An inventory that is empty, or in which something could not be read, confirms nothing, and
    /// counting begins again. So it does for a node that was given.
    pub fn hear(
        &mut self,
        inventory: &Inventory,
        at: Instant,
        snapshot: &Snapshot,
        groups: &[NodeGroup],
        rules: Confirmation,
    ) -> Vec<Departed> {
        if !inventory.problems.is_empty() || is_empty(inventory) {
            self.interrupt();
            return Vec::new();
        }
        let known: HashSet<&Text> = inventory.groups.iter().map(|group| &group.id).collect();
        let index = GroupIndex::of(groups);
        let mut before = std::mem::take(&mut self.listed);
        let mut departed = Vec::new();
        for (_, node) in snapshot.nodes().filter(|(_, node)| !node.launching) {
            let Some((_, group)) = index.group_of(node) else { continue };
            if rules.knows_all_groups && !known.contains(&group.name) {
                continue;
            }
            let listed = before.remove(&node.uid);
            let missing = match (inventory.machine_state(&node.name, node.provider_id.as_deref()), listed) {
                (MachineState::Present | MachineState::Deleting, _) => None,
                // Never a machine of this provider, as far as this leader knows.
                (MachineState::Unknown | MachineState::Gone, None) => continue,
                // Nothing is said of it: it is not missing in a row.
                (MachineState::Unknown, Some(_)) => None,
                (MachineState::Gone, Some(missing)) => {
                    let Missing { since, inventories } = missing.unwrap_or(Missing { since: at, inventories: 0 });
                    Some(Missing { since, inventories: inventories.saturating_add(1) })
                }
            };
            let gone = missing.filter(|missing| {
                missing.inventories >= INVENTORIES && at.saturating_duration_since(missing.since) >= rules.after
            });
            match gone.filter(|_| !node.ready && !node.deleting) {
                Some(missing) => {
                    let missing = at.saturating_duration_since(missing.since);
                    let (name, uid, group) = (node.name.clone(), node.uid.clone(), group.name.clone());
                    departed.push(Departed { node: name, uid, group, missing });
                    self.listed.insert(node.uid.clone(), None);
                }
                None => drop(self.listed.insert(node.uid.clone(), missing)),
            }
        }
        departed
    }

    /// The provider could not be asked: what was missing must be missing again, in a row.
    pub fn interrupt(&mut self) {
        self.listed.values_mut().for_each(|missing| *missing = None);
    }
}

/// When a machine counts as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// It has not been listed for this long.
    pub after: Duration,
    /// The provider lists every group that there is.
    pub knows_all_groups: bool,
}

fn is_empty(inventory: &Inventory) -> bool {
    inventory.machines.is_empty() && inventory.groups.iter().all(|group| group.instances.is_empty())
}
