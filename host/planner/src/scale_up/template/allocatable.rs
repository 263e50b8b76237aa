//! What a new node offers, and what live nodes teach about it.

use std::collections::HashMap;
use std::fmt;

use plimsoll_model::{Bytes, GroupIndex, InstanceType, Node, NodeGroup, Resources, Snapshot, Text, well_known};

/// The first ready node of each group and instance type.
pub(super) struct LiveNodes<'a> {
    by_kind: HashMap<(usize, &'a str), &'a Node>,
    keys: HashMap<usize, &'static str>,
}

/// A live node takes another number of pods than its group's next node is expected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxPodsMismatch {
    /// The node group.
    pub group: Text,
    /// The instance type.
    pub instance_type: Text,
    /// The node.
    pub node: Text,
    /// Pods that a node is expected to take.
    pub forecast: u64,
    /// Pods that this one takes.
    pub live: u64,
}

/// Where live nodes take another number of pods than the configuration says, once for each group and instance type.
pub fn max_pods_mismatches(snapshot: &Snapshot, groups: &[NodeGroup]) -> Vec<MaxPodsMismatch> {
    let live = LiveNodes::of(snapshot, groups);
    let mut all = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        for instance_type in &group.instance_types {
            let forecast = capacity(group, instance_type).pods;
            if let Some(node) = live.alike(at, instance_type).filter(|node| node.allocatable.pods != forecast) {
                all.push(MaxPodsMismatch {
                    group: group.name.clone(),
                    instance_type: instance_type.name.clone(),
                    node: node.name.clone(),
                    forecast,
                    live: node.allocatable.pods,
                });
            }
        }
    }
    all
}

/// What a node of this type offers: as a live node of the group does, else capacity minus the reservation.
pub(super) fn allocatable(group: &NodeGroup, instance_type: &InstanceType, alike: Option<&Node>) -> Resources {
    let capacity = capacity(group, instance_type);
    let Some(node) = alike else { return capacity };
    let mut all = node.allocatable.clone();
    // A device plugin that has not started yet reports nothing.
    for (name, amount) in capacity.extended() {
        all.set_extended(name.clone(), all.get_extended(name).max(*amount));
    }
    if group.pods_limited {
        all.pods = all.pods.min(capacity.pods);
    }
    all
}

/// How many volumes each driver can attach on this node; drivers without a limit are left out.
pub(super) fn volume_limits(snapshot: &Snapshot, node: &Node) -> Vec<(Text, u32)> {
    let drivers = snapshot.csi_node(&node.name).into_iter().flat_map(|csi_node| &csi_node.drivers);
    drivers.filter_map(|(driver, most)| Some((driver.clone(), (*most)?))).collect()
}

fn capacity(group: &NodeGroup, instance_type: &InstanceType) -> Resources {
    let mut all = Resources {
        cpu: instance_type.cpu,
        memory: instance_type.memory,
        // Root volumes are the provider's business: storage is no limit unless their size is ordered.
        ephemeral_storage: group.block_device.volume_for(instance_type).unwrap_or(Bytes(u64::MAX)),
        pods: instance_type.max_pods,
        ..Default::default()
    };
    all.set_extended(instance_type.gpu_resource.clone(), instance_type.gpus);
    for (name, amount) in &instance_type.extended {
        all.set_extended(name.clone(), *amount);
    }
    all.subtract(&group.system_reserved, 1);
    all
}

// === impl LiveNodes ===

impl<'a> LiveNodes<'a> {
    pub fn of(snapshot: &'a Snapshot, groups: &[NodeGroup]) -> Self {
        let index = GroupIndex::of(groups);
        let (mut by_kind, mut keys) = (HashMap::new(), HashMap::new());
        for (_, node) in snapshot.nodes().filter(|(_, node)| node.ready) {
            let Some((at, _)) = index.group_of(node) else { continue };
            if let Some(instance_type) = node.instance_type() {
                by_kind.entry((at, instance_type.as_str())).or_insert(node);
            }
            if let Some(key) = well_known::NODE_GROUP.into_iter().find(|key| node.labels.get(key).is_some()) {
                keys.entry(at).or_insert(key);
            }
        }
        Self { by_kind, keys }
    }

    /// A node of this group and type.
    pub fn alike(&self, group: usize, instance_type: &InstanceType) -> Option<&'a Node> {
        self.by_kind.get(&(group, instance_type.name.as_str())).copied()
    }

    /// The label that names the group on its live nodes.
    pub fn key(&self, group: usize) -> Option<&'static str> {
        self.keys.get(&group).copied()
    }
}

// === impl MaxPodsMismatch ===

impl fmt::Display for MaxPodsMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, instance_type, node, forecast, live } = self;
        write!(
            f,
            "group {group}: {node}, a {instance_type}, takes {live} pods; {forecast} are expected of the next one"
        )
    }
}
