//! Nodes.

use std::sync::Arc;

use crate::{Address, LabelSet, Lifecycle, Resources, Taint, Text, Timestamp, Uid, well_known};

/// A node, without what no decision needs.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: Text,
    /// Which object of that name this is.
    pub uid: Uid,
    /// Labels.
    pub labels: Arc<LabelSet>,
    /// Annotations with values up to 1 KiB.
    pub annotations: Arc<LabelSet>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// What pods may request in all.
    pub allocatable: Resources,
    /// Cordoned.
    pub unschedulable: bool,
    /// The condition `Ready` is true, or there is none.
    pub ready: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// It is being deleted.
    pub deleting: bool,
    /// It was launched and no node has joined for it yet: this row stands for what is expected.
    pub launching: bool,
    /// Addresses that the node reports of itself.
    pub addresses: Vec<Address>,
    /// `spec.providerID`: the machine it runs on, in the provider's words.
    pub provider_id: Option<Text>,
    /// When the condition `Ready` last changed.
    pub ready_changed: Option<Timestamp>,
    /// Types of the other conditions that are true, sorted.
    pub conditions: Vec<Text>,
    /// Volumes that are attached to it (`status.volumesAttached`).
    pub attached_volumes: u32,
}

impl Node {
    /// Its zone.
    pub fn zone(&self) -> Option<&Text> {
        self.labels.get(well_known::ZONE).or_else(|| self.labels.get(well_known::ZONE_BETA))
    }

    /// Its instance type.
    pub fn instance_type(&self) -> Option<&Text> {
        self.labels.get(well_known::INSTANCE_TYPE).or_else(|| self.labels.get(well_known::INSTANCE_TYPE_BETA))
    }

    /// How it was bought, by the labels that the clouds and autoscalers write.
    pub fn lifecycle(&self) -> Option<Lifecycle> {
        [well_known::LIFECYCLE, well_known::LIFECYCLE_KARPENTER, well_known::LIFECYCLE_EKS]
            .iter()
            .find_map(|key| Lifecycle::parse(self.labels.get(key)?))
    }

    /// Part of the control plane, which no autoscaler removes.
    pub fn control_plane(&self) -> bool {
        well_known::CONTROL_PLANE.iter().any(|key| self.labels.get(key).is_some())
    }

    /// The name of its group as its labels state it.
    pub fn group_label(&self) -> Option<&Text> {
        well_known::NODE_GROUP.iter().find_map(|key| self.labels.get(key))
    }
}
