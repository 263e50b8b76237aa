//! What the volumes of a pod need of a node.

use plimsoll_model::{Pod, Snapshot};

use crate::{NodeState, Rejection};

/// What the volumes of a pod need of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VolumeNeeds {}

/// Volumes attached to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {}

impl VolumeNeeds {
    /// What the volumes of a pod need; `None` if it has no claims.
    pub fn of(_snapshot: &Snapshot, pod: &Pod) -> Option<Self> {
        (!pod.claims.is_empty()).then(Self::default)
    }

    /// Everything about volumes that keeps the pod off a node.
    pub fn why_not(&self, _node: &NodeState) -> Vec<Rejection> {
        Vec::new()
    }

    /// How many pods with such needs the node takes, at most `want`.
    pub fn room(&self, _node: &NodeState, want: u32) -> u32 {
        want
    }
}

impl Attached {
    /// Attaches the volumes of `count` pods.
    pub fn add(&mut self, _needs: &VolumeNeeds, _count: u32) {}
}
