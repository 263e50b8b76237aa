//! The next node of a group, imagined.

mod allocatable;
mod daemons;
mod labels;
mod os;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plimsoll_model::{InstanceType, Lifecycle, NodeGroup, Price, Snapshot, Text};
use plimsoll_scheduler::{NodeState, fits};

pub use allocatable::{MaxPodsMismatch, max_pods_mismatches};
pub use os::runs_on;

use allocatable::{LiveNodes, allocatable, volume_limits};
use daemons::daemon_shapes;
pub(super) use labels::NodeLabels;

/// A node that a group could launch: one instance type in one zone, bought one way.
pub(super) struct Template<'a> {
    pub group: &'a NodeGroup,
    pub instance_type: &'a InstanceType,
    pub zone: &'a Text,
    pub lifecycle: Lifecycle,
    /// What an hour of it costs.
    pub price: Option<Price>,
    /// The node with its DaemonSet pods on it.
    pub node: NodeState,
}

/// Every node that the groups could launch, in the order of the configuration. One pass over the pods, one over
/// the nodes, whatever the number of groups.
pub(super) fn templates<'a>(snapshot: &Snapshot, groups: &'a [NodeGroup]) -> Vec<Template<'a>> {
    let daemons = daemon_shapes(snapshot);
    let live = LiveNodes::of(snapshot, groups);
    let mut labels = NodeLabels::default();
    let mut all = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        for instance_type in &group.instance_types {
            let alike = live.alike(at, instance_type);
            let allocatable = allocatable(group, instance_type, alike);
            let volume_limits = alike.map_or_else(Vec::new, |node| volume_limits(snapshot, node));
            for zone in &group.zones {
                for &lifecycle in &group.lifecycles {
                    let name: Text = format!("new-{}-{zone}", group.name).into();
                    let mut node = NodeState {
                        labels: Arc::new(labels.imagined(&name, group, instance_type, zone, lifecycle, live.key(at))),
                        name,
                        taints: group.taints.clone(),
                        free: allocatable.clone(),
                        volume_limits: volume_limits.clone(),
                        ..NodeState::default()
                    };
                    for shape in &daemons {
                        if fits(shape, &node) {
                            node.add(shape, 1);
                        }
                    }
                    let price = group.price(instance_type, lifecycle);
                    all.push(Template { group, instance_type, zone, lifecycle, price, node });
                }
            }
        }
    }
    all
}
