//! Why a pod stays pending.

use plimsoll_model::PodId;

/// A pod that this plan gives no new node, and why.
#[derive(Clone, Debug)]
pub struct PendingPod {
    /// The pod.
    pub pod: PodId,
    /// The one primary reason.
    pub reason: PendingReason,
    /// Figures and names, for a person.
    pub detail: String,
}

/// Why a pod gets no new node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PendingReason {
    /// Its scheduling gates hold it back.
    SchedulingGated,
    /// It waits for pods that it preempts.
    Preempting,
    /// A DaemonSet pod belongs to its node and needs no other.
    DaemonSetPodIgnored,
    /// Another scheduler places it.
    OtherScheduler,
    /// An existing node has room; the scheduler will place it.
    FitsExistingNode,
    /// A node that was launched and has not joined yet has room.
    NodeLaunching,
    /// It claims devices, which is not simulated.
    DevicesNotSimulated,
    /// No group's nodes have the labels and taints that it needs.
    NoMatchingNodeGroup,
    /// No instance type of a matching group is large enough.
    NoInstanceFits,
    /// It requests a resource that no matching group offers.
    UndefinedExtendedResource,
    /// Its required affinity or anti-affinity, or that of other pods, allows no place.
    UnsatisfiableAffinity,
    /// A topology spread constraint allows no place.
    TopologySpreadBlocked,
    /// It must be spread over lifecycles, and one of them cannot be had.
    TopologyCapacityUnavailable,
    /// Its volumes cannot be reached from any node that could be had.
    VolumeZoneConflict,
    /// A claim should be bound before its pod has a node, and is not.
    UnboundImmediatePvc,
    /// No node could attach its volumes.
    VolumeLimit,
    /// A claim is for one pod, and another has it.
    VolumeInUse,
    /// A claim, or the volume that it is bound to, is not there or is being deleted.
    VolumeMissing,
    /// Launching failed, and is tried again later.
    LaunchFailed,
    /// The subnets have too few free addresses.
    NoFreeIps,
    /// Matching groups are at their maximum.
    NodeGroupMaxReached,
    /// The cluster is at its limit.
    ClusterLimitReached,
    /// The policy chose to launch nothing for it.
    HeldByPolicy,
    /// No policy answered.
    PolicyFailed,
}

impl PendingReason {
    /// A stable label for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::SchedulingGated => "SchedulingGated",
            Self::Preempting => "Preempting",
            Self::DaemonSetPodIgnored => "DaemonSetPodIgnored",
            Self::OtherScheduler => "OtherScheduler",
            Self::FitsExistingNode => "FitsExistingNode",
            Self::NodeLaunching => "NodeLaunching",
            Self::DevicesNotSimulated => "DevicesNotSimulated",
            Self::NoMatchingNodeGroup => "NoMatchingNodeGroup",
            Self::NoInstanceFits => "NoInstanceFits",
            Self::UndefinedExtendedResource => "UndefinedExtendedResource",
            Self::UnsatisfiableAffinity => "UnsatisfiableAffinity",
            Self::TopologySpreadBlocked => "TopologySpreadBlocked",
            Self::TopologyCapacityUnavailable => "TopologyCapacityUnavailable",
            Self::VolumeZoneConflict => "VolumeZoneConflict",
            Self::UnboundImmediatePvc => "UnboundImmediatePvc",
            Self::VolumeLimit => "VolumeLimit",
            Self::VolumeInUse => "VolumeInUse",
            Self::VolumeMissing => "VolumeMissing",
            Self::LaunchFailed => "LaunchFailed",
            Self::NoFreeIps => "NoFreeIPs",
            Self::NodeGroupMaxReached => "NodeGroupMaxReached",
            Self::ClusterLimitReached => "ClusterLimitReached",
            Self::HeldByPolicy => "HeldByPolicy",
            Self::PolicyFailed => "PolicyFailed",
        }
    }
}
