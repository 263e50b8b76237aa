//! A node as the scheduler sees it, real or imagined.

use std::sync::Arc;

use plimsoll_model::{HostPort, LabelSet, NodeId, PodShape, Resources, Snapshot, Taint, Text};

use crate::volumes::Attached;

/// A node with what is still free on it.
#[derive(Clone, Debug, Default)]
pub struct NodeState {
    /// Its name.
    pub name: Text,
    /// Its labels.
    pub labels: Arc<LabelSet>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
    /// The scheduler's own affinity keeps every pod off it: see [`SchedulerProfile`](crate::SchedulerProfile).
    pub barred: bool,
    /// What pods may still request.
    pub free: Resources,
    /// Ports that pods on it have taken.
    pub ports: Vec<HostPort>,
    /// How many volumes each CSI driver can attach; drivers without a limit are not listed.
    pub volume_limits: Vec<(Text, u32)>,
    /// Volumes of pods on it.
    pub attached: Attached,
}

impl NodeState {
    /// The node of a snapshot without anything that runs on it.
    pub fn empty(snapshot: &Snapshot, id: NodeId) -> Self {
        let node = snapshot.node(id);
        let drivers = snapshot.csi_node(&node.name).map_or(&[][..], |csi| &csi.drivers);
        Self {
            name: node.name.clone(),
            labels: node.labels.clone(),
            taints: node.taints.clone(),
            unschedulable: node.unschedulable,
            free: node.allocatable.clone(),
            volume_limits: drivers.iter().filter_map(|(driver, most)| Some((driver.clone(), (*most)?))).collect(),
            ..Self::default()
        }
    }

    /// Takes everything off the node that runs there.
    pub(crate) fn clear(&mut self, allocatable: &Resources) {
        self.free.clone_from(allocatable);
        self.ports.clear();
        self.attached = Attached::default();
    }

    /// Puts `count` pods of a shape on the node, whether they fit or not.
    pub fn add(&mut self, shape: &PodShape, count: u32) {
        if count > 0 {
            self.free.subtract(&shape.requests, count.into());
            self.ports.extend_from_slice(&shape.host_ports);
        }
    }

    /// How many pods of a shape there is room for, at most `want`; ports and resources only.
    pub fn room_for(&self, shape: &PodShape, want: u32) -> u32 {
        room(&self.free, &self.ports, shape, want)
    }
}

/// How many pods of a shape ports and resources leave room for, at most `want`.
pub(crate) fn room(free: &Resources, ports: &[HostPort], shape: &PodShape, want: u32) -> u32 {
    let need = &shape.requests;
    let taken = |port: &HostPort| ports.iter().any(|known| known.conflicts(port));
    if !takes_one(free, need) || shape.host_ports.iter().any(taken) {
        return 0;
    }
    let want = if shape.host_ports.is_empty() { want } else { want.min(1) };
    let mut room = u64::from(want);
    let mut limit = |free: u64, need: u64| {
        room = room.min(free.checked_div(need).unwrap_or(u64::MAX));
    };
    limit(free.cpu.0, need.cpu.0);
    limit(free.memory.0, need.memory.0);
    limit(free.ephemeral_storage.0, need.ephemeral_storage.0);
    limit(free.pods, need.pods);
    for (name, need) in need.extended() {
        limit(free.get_extended(name), *need);
    }
    u32::try_from(room).unwrap_or(want)
}

/// True if there is room for one pod that requests this. Where nothing is free, nothing can be requested.
pub(crate) fn takes_one(free: &Resources, need: &Resources) -> bool {
    need.cpu <= free.cpu
        && need.memory <= free.memory
        && need.pods <= free.pods
        && need.ephemeral_storage <= free.ephemeral_storage
        && need.extended().iter().all(|(name, amount)| *amount <= free.get_extended(name))
}
