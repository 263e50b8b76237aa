//! What keeps a node.

use plimsoll_model::{Node, NodeGroup, NodeId, Pod, Snapshot, well_known};
use plimsoll_scheduler::PodClass;

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
    /// Pods that are pending will run there.
    NeededByPendingPods,
    /// Its group allows removing empty nodes only.
    GroupRestricted,
    /// A pod's label forbids it.
    RestrictScaleDown,
    /// A pod's annotation forbids it.
    NotSafeToEvict,
    /// A pod has no owner that would start it again.
    BarePod,
    /// A disruption budget allows too few evictions.
    PdbBlocked,
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
            Self::NeededByPendingPods => "NeededByPendingPods",
            Self::GroupRestricted => "GroupRestricted",
            Self::RestrictScaleDown => "RestrictScaleDown",
            Self::NotSafeToEvict => "NotSafeToEvict",
            Self::BarePod => "BarePod",
            Self::PdbBlocked => "PdbBlocked",
            Self::MultiplePdbs => "MultiplePdbs",
            Self::DevicesNotSimulated => "DevicesNotSimulated",
            Self::VolumesUnknown => "VolumesUnknown",
            Self::NoPlaceToMovePods => "NoPlaceToMovePods",
            Self::HeadroomNeeded => "HeadroomNeeded",
            Self::NodeGroupMinReached => "NodeGroupMinReached",
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

/// What about the pods of a node keeps it, apart from budgets and places.
pub(super) fn pod_rule(config: &ScaleDownConfig, pod: &Pod, class: Option<&PodClass>) -> Option<(KeptReason, String)> {
    let name = pod.full_name();
    let restricting = |label: &&plimsoll_model::Text| pod.labels.get(label).is_some_and(|value| *value == "true");
    if let Some(label) = config.restrict_labels.iter().find(restricting) {
        return Some((KeptReason::RestrictScaleDown, format!("pod {name} has label {label}: \"true\"")));
    }
    if pod.annotations.get(well_known::SAFE_TO_EVICT).is_some_and(|value| *value == "false") {
        return Some((KeptReason::NotSafeToEvict, format!("pod {name} has {}: \"false\"", well_known::SAFE_TO_EVICT)));
    }
    if pod.owner.is_none() && !config.evict_bare_pods {
        let detail = format!("pod {name} has no owner that would start it again; see scaleDown.evictBarePods");
        return Some((KeptReason::BarePod, detail));
    }
    let Some(class) = class else {
        return Some((KeptReason::PodsUnknown, format!("pod {name} is not simulated")));
    };
    if class.shape.resource_claims {
        let detail =
            format!("pod {name} claims devices (spec.resourceClaims); dynamic resource allocation is not simulated");
        return Some((KeptReason::DevicesNotSimulated, detail));
    }
    let unknown = pod.volumes.claims && class.volumes.as_ref().is_none_or(|volumes| !volumes.known());
    unknown.then(|| {
        let detail = format!("pod {name} mounts volume claims; where they can be mounted is not known");
        (KeptReason::VolumesUnknown, detail)
    })
}
