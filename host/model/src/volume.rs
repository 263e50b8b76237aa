//! Persistent volumes, as far as they decide where a pod may run.

use std::sync::Arc;

use crate::{Bytes, LabelSet, NodeSelector, NodeSelectorTerm, Text};

/// A `PersistentVolumeClaim`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeClaim {
    /// The namespace it lives in.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// The storage class; `None` stands for the default one, an empty text for none at all.
    pub class: Option<Text>,
    /// The volume it is bound to (`spec.volumeName`).
    pub volume: Option<Text>,
    /// What it requests.
    pub request: Bytes,
    /// `ReadWriteOncePod`: one pod of the whole cluster may use it.
    pub one_pod: bool,
    /// It is being deleted.
    pub deleting: bool,
}

/// A `PersistentVolume`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: Text,
    /// Labels; those of zone and region bind it to nodes.
    pub labels: Arc<LabelSet>,
    /// Nodes from which it can be reached; `None` for all.
    pub node_affinity: Option<NodeSelector>,
    /// The storage class; may be empty.
    pub class: Text,
    /// Its size.
    pub capacity: Bytes,
    /// The CSI driver that attaches it.
    pub driver: Option<Text>,
    /// What the driver calls it.
    pub handle: Text,
    /// No claim has it yet (`status.phase` is `Available`).
    pub available: bool,
}

/// A `StorageClass`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClass {
    /// Its name.
    pub name: Text,
    /// Who makes its volumes; `kubernetes.io/no-provisioner` if nobody does.
    pub provisioner: Text,
    /// `volumeBindingMode: WaitForFirstConsumer`.
    pub waits_for_consumer: bool,
    /// Where volumes can be made: one term must hold; empty for everywhere.
    pub allowed_topologies: Vec<NodeSelectorTerm>,
    /// It serves claims that name no class.
    pub default: bool,
}

/// A `CSINode`: the drivers on a node and how many volumes each can attach there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiNode {
    /// The node's name.
    pub node: Text,
    /// Driver names with `allocatable.count`; `None` if the driver sets no limit.
    pub drivers: Vec<(Text, Option<u32>)>,
}
