//! What keeps a node.

mod controller;
mod drainability;
mod judge;

pub use drainability::{DrainabilityRules, RulesPreset};
pub(super) use judge::blocked;
pub use judge::{IgnoredPod, PodOutcome, judge_pod, judge_pods};

use plimsoll_model::{Node, NodeGroup, NodeId, Pod, Snapshot};

use super::ScaleDownConfig;

/// A node that stays, and why.
#[derive(Clone, Debug)]
pub struct KeptNode {
    /// The node.
    pub node: NodeId,
    /// The one primary reason.
    pub reason: KeptReason,
    /// Figures and names, for a person.
    pub detail: String,
}

/// Why a node stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeptReason {
    /// Scale-down is off.
    ScaleDownDisabled,
    /// Not all pods or budgets are known, so that what looks empty may not be.
    PodsUnknown,
    /// It belongs to the control plane.
    ControlPlane,
    /// No configured node group owns it.
    NotManaged,
    /// It is being deleted already.
    BeingDeleted,
    /// Its kubelet does not report it ready.
    NotReady,
    /// It is being drained.
    Draining,
    /// It has existed for too short a time.
    TooYoung,
    /// The only ready replica of this process would be evicted.
    OwnReplica,
    /// Pods that are pending will run there.
    NeededByPendingPods,
    /// Its group allows removing empty nodes only.
    GroupRestricted,
    /// A pod's label forbids it.
    RestrictScaleDown,
    /// A pod's annotation forbids it.
    NotSafeToEvict,
    /// The same, in the words of cluster-autoscaler.
    NotSafeToEvictAnnotation,
    /// A pod's annotation asks to wait until it has ended.
    BlockedByOnCompletionPod,
    /// A pod has no owner that would start it again.
    BarePod,
    /// The same, in the words of cluster-autoscaler, or its owner is of a kind that is not known to.
    NotReplicated,
    /// The controller of a pod is gone.
    ControllerNotFound,
    /// The controller of a pod wants too few.
    MinReplicasReached,
    /// A pod of the cluster's own is under no disruption budget.
    UnmovableKubeSystemPod,
    /// A pod would lose what it keeps on the node.
    LocalStorageRequested,
    /// A disruption budget allows too few evictions.
    PdbBlocked,
    /// The same, in the words of cluster-autoscaler.
    NotEnoughPdb,
    /// A pod is under several disruption budgets, which the eviction API refuses.
    MultiplePdbs,
    /// A pod claims devices, which are not simulated.
    DevicesNotSimulated,
    /// A pod mounts volume claims of which too little is known.
    VolumesUnknown,
    /// A pod fits on no other node.
    NoPlaceToMovePods,
    /// Headroom that is kept there fits on no other node.
    HeadroomNeeded,
    /// Its group is at its minimum.
    NodeGroupMinReached,
    /// Pods of nodes that drain have no place yet.
    NeededByDrainingPods,
    /// Nobody can remove a machine.
    NoProvider,
    /// Drained pods have not come back.
    DrainsHalted,
    /// It is one of the hours in which nothing is removed to save.
    Suspended,
    /// It could have gone in too few evaluations in a row.
    NotUnneededLongEnough,
    /// Something was launched or removed just before.
    CoolingDown,
    /// As many nodes drain as may at once.
    DrainCapReached,
    /// The policy keeps it.
    HeldByPolicy,
    /// No policy answered.
    PolicyFailed,
}

impl KeptReason {
    /// A stable label for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::ScaleDownDisabled => "ScaleDownDisabled",
            Self::PodsUnknown => "PodsUnknown",
            Self::ControlPlane => "ControlPlane",
            Self::NotManaged => "NotManaged",
            Self::BeingDeleted => "BeingDeleted",
            Self::NotReady => "NotReady",
            Self::Draining => "Draining",
            Self::TooYoung => "TooYoung",
            Self::OwnReplica => "OwnReplica",
            Self::NeededByPendingPods => "NeededByPendingPods",
            Self::GroupRestricted => "GroupRestricted",
            Self::RestrictScaleDown => "RestrictScaleDown",
            Self::NotSafeToEvict => "NotSafeToEvict",
            Self::NotSafeToEvictAnnotation => "NotSafeToEvictAnnotation",
            Self::BlockedByOnCompletionPod => "BlockedByOnCompletionPod",
            Self::BarePod => "BarePod",
            Self::NotReplicated => "NotReplicated",
            Self::ControllerNotFound => "ControllerNotFound",
            Self::MinReplicasReached => "MinReplicasReached",
            Self::UnmovableKubeSystemPod => "UnmovableKubeSystemPod",
            Self::LocalStorageRequested => "LocalStorageRequested",
            Self::PdbBlocked => "PdbBlocked",
            Self::NotEnoughPdb => "NotEnoughPdb",
            Self::MultiplePdbs => "MultiplePdbs",
            Self::DevicesNotSimulated => "DevicesNotSimulated",
            Self::VolumesUnknown => "VolumesUnknown",
            Self::NoPlaceToMovePods => "NoPlaceToMovePods",
            Self::HeadroomNeeded => "HeadroomNeeded",
            Self::NodeGroupMinReached => "NodeGroupMinReached",
            Self::NeededByDrainingPods => "NeededByDrainingPods",
            Self::NoProvider => "NoProvider",
            Self::DrainsHalted => "DrainsHalted",
            Self::Suspended => "Suspended",
            Self::NotUnneededLongEnough => "NotUnneededLongEnough",
            Self::CoolingDown => "CoolingDown",
            Self::DrainCapReached => "DrainCapReached",
            Self::HeldByPolicy => "HeldByPolicy",
            Self::PolicyFailed => "PolicyFailed",
        }
    }
}

/// Pods that have to be evicted for a node to go: not those of a DaemonSet, not mirrors, not finished ones.
pub(super) fn evictable(pod: &Pod) -> bool {
    !pod.daemon_set() && !pod.mirror() && !pod.finished()
}

/// What about the node itself keeps it; `group` is the one that owns it.
pub(super) fn node_rule(
    config: &ScaleDownConfig,
    snapshot: &Snapshot,
    node: &Node,
    group: Option<&NodeGroup>,
) -> Option<(KeptReason, String)> {
    let kept = |reason, detail: &str| Some((reason, detail.to_owned()));
    if !config.enabled {
        return kept(KeptReason::ScaleDownDisabled, "scale-down is switched off in the configuration");
    }
    if let Some(unknown) = &config.unknown {
        return kept(KeptReason::PodsUnknown, unknown);
    }
    if snapshot.pod_count() == 0 {
        return kept(KeptReason::PodsUnknown, "no pods are known; what looks empty may not be");
    }
    if node.control_plane() {
        return kept(KeptReason::ControlPlane, "control-plane nodes are never removed");
    }
    if config.groups.is_some() && group.is_none() {
        return kept(KeptReason::NotManaged, "it belongs to no configured node group");
    }
    if node.deleting {
        return kept(KeptReason::BeingDeleted, "it is being deleted already");
    }
    if !node.ready {
        return kept(KeptReason::NotReady, "its kubelet does not report it ready; replacing it is not scale-down");
    }
    None
}
