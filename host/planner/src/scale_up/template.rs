//! The next node of a group, imagined.

mod allocatable;
mod daemons;
mod labels;
mod os;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plimsoll_model::{InstanceType, Lifecycle, NodeGroup, PodShape, Price, Resources, Snapshot, Text};
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

/// Imagines nodes. One pass over the pods, one over the nodes, whatever the number of groups.
pub(crate) struct Templates<'a> {
    snapshot: &'a Snapshot,
    groups: &'a [NodeGroup],
    daemons: Vec<Arc<PodShape>>,
    live: LiveNodes<'a>,
    labels: NodeLabels,
}

/// What all nodes of a group and type have in common.
struct Size {
    allocatable: Resources,
    volume_limits: Vec<(Text, u32)>,
}

// === impl Templates ===

impl<'a> Templates<'a> {
    /// For the nodes of these groups.
    pub fn new(snapshot: &'a Snapshot, groups: &'a [NodeGroup]) -> Self {
        Self {
            snapshot,
            groups,
            daemons: daemon_shapes(snapshot),
            live: LiveNodes::of(snapshot, groups),
            labels: NodeLabels::default(),
        }
    }

    /// The next node of a kind, by names, with its DaemonSet pods on it; `None` if there is no such group or type.
    pub fn find(&mut self, group: &str, instance_type: &str, zone: &Text, lifecycle: Lifecycle) -> Option<NodeState> {
        let (at, group) = self.groups.iter().enumerate().find(|(_, known)| known.name == *group)?;
        let instance_type = group.instance_type(instance_type)?;
        let size = self.size(at, group, instance_type);
        Some(self.node(at, group, instance_type, zone, lifecycle, &size))
    }

    fn size(&self, at: usize, group: &NodeGroup, instance_type: &InstanceType) -> Size {
        let alike = self.live.alike(at, instance_type);
        Size {
            allocatable: allocatable(group, instance_type, alike),
            volume_limits: alike.map_or_else(Vec::new, |node| volume_limits(self.snapshot, node)),
        }
    }

    fn node(
        &mut self,
        at: usize,
        group: &NodeGroup,
        instance_type: &InstanceType,
        zone: &Text,
        lifecycle: Lifecycle,
        size: &Size,
    ) -> NodeState {
        let name: Text = format!("new-{}-{zone}", group.name).into();
        let key = self.live.key(at);
        let mut node = NodeState {
            labels: Arc::new(self.labels.imagined(&name, group, instance_type, zone, lifecycle, key)),
            name,
            taints: group.taints.clone(),
            free: size.allocatable.clone(),
            volume_limits: size.volume_limits.clone(),
            ..NodeState::default()
        };
        for shape in &self.daemons {
            if fits(shape, &node) {
                node.add(shape, 1);
            }
        }
        node
    }
}

/// Every node that the groups could launch, in the order of the configuration.
pub(super) fn templates<'a>(snapshot: &Snapshot, groups: &'a [NodeGroup]) -> Vec<Template<'a>> {
    let mut templates = Templates::new(snapshot, groups);
    let mut all = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        for instance_type in &group.instance_types {
            let size = templates.size(at, group, instance_type);
            for zone in &group.zones {
                for &lifecycle in &group.lifecycles {
                    let node = templates.node(at, group, instance_type, zone, lifecycle, &size);
                    let price = group.price(instance_type, lifecycle);
                    all.push(Template { group, instance_type, zone, lifecycle, price, node });
                }
            }
        }
    }
    all
}
