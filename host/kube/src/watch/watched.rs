//! What is watched, and what a cluster is worth without it.

use plimsoll_model::WorkloadKind;

use crate::Resource;
use crate::kind::Kind;

/// A part of the cluster that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Watched {
    /// Nodes. Nothing is decided without them.
    Nodes,
    /// Pods that have not finished. Nothing is decided without them.
    Pods,
    /// Namespaces, for their labels.
    Namespaces,
    /// Disruption budgets.
    Budgets,
    /// Persistent volume claims.
    Claims,
    /// Persistent volumes.
    Volumes,
    /// Storage classes.
    StorageClasses,
    /// What CSI drivers say of nodes.
    CsiNodes,
    /// DaemonSets.
    DaemonSets,
    /// Priority classes.
    PriorityClasses,
    /// ReplicaSets.
    ReplicaSets,
    /// Replication controllers.
    ReplicationControllers,
    /// StatefulSets.
    StatefulSets,
    /// Jobs.
    Jobs,
    /// Deployments.
    Deployments,
    /// Certificate signing requests.
    SigningRequests,
    /// Machines of Cluster API.
    ClusterApiMachines,
    /// Machines of OpenShift.
    OpenShiftMachines,
    /// NodeClaims of Karpenter.
    NodeClaims,
}

fn fixed(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { group: group.into(), version: version.into(), plural: plural.into(), kind: kind.into(), namespaced }
}

// === impl Watched ===

impl Watched {
    /// Everything that can be watched.
    pub const ALL: [Self; 19] = [
        Self::Nodes,
        Self::Pods,
        Self::Namespaces,
        Self::Budgets,
        Self::Claims,
        Self::Volumes,
        Self::StorageClasses,
        Self::CsiNodes,
        Self::DaemonSets,
        Self::PriorityClasses,
        Self::ReplicaSets,
        Self::ReplicationControllers,
        Self::StatefulSets,
        Self::Jobs,
        Self::Deployments,
        Self::SigningRequests,
        Self::ClusterApiMachines,
        Self::OpenShiftMachines,
        Self::NodeClaims,
    ];

    /// Where it is served, in the version to be tried first.
    pub fn resource(self) -> Resource {
        self.version(0)
    }

    /// The resource in the version of this place; places go round.
    pub(super) fn version(self, place: usize) -> Resource {
        match self {
            Self::Nodes => Resource::NODES,
            Self::Pods => Resource::PODS,
            Self::Namespaces => Resource::NAMESPACES,
            Self::Budgets => Resource::DISRUPTION_BUDGETS,
            Self::Claims => Resource::VOLUME_CLAIMS,
            Self::Volumes => Resource::VOLUMES,
            Self::StorageClasses => Resource::STORAGE_CLASSES,
            Self::CsiNodes => Resource::CSI_NODES,
            Self::DaemonSets => Resource::DAEMON_SETS,
            Self::PriorityClasses => Resource::PRIORITY_CLASSES,
            Self::ReplicaSets => Resource::REPLICA_SETS,
            Self::ReplicationControllers => Resource::REPLICATION_CONTROLLERS,
            Self::StatefulSets => Resource::STATEFUL_SETS,
            Self::Jobs => Resource::JOBS,
            Self::Deployments => fixed("apps", "v1", "deployments", "Deployment", true),
            Self::ClusterApiMachines => {
                let version = ["v1beta2", "v1beta1"][place % 2];
                fixed("cluster.x-k8s.io", version, "machines", "Machine", true)
            }
            Self::SigningRequests => Resource::SIGNING_REQUESTS,
            Self::OpenShiftMachines => fixed("machine.openshift.io", "v1beta1", "machines", "Machine", true),
            Self::NodeClaims => fixed("karpenter.sh", "v1", "nodeclaims", "NodeClaim", false),
        }
    }

    /// In how many versions it may be served.
    pub(super) fn versions(self) -> usize {
        if self == Self::ClusterApiMachines { 2 } else { 1 }
    }

    /// How its objects are decoded.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Nodes => Kind::Node,
            Self::Pods => Kind::Pod,
            Self::Namespaces => Kind::Namespace,
            Self::Budgets => Kind::DisruptionBudget { beta: false },
            Self::Claims => Kind::VolumeClaim,
            Self::Volumes => Kind::Volume,
            Self::StorageClasses => Kind::StorageClass,
            Self::CsiNodes => Kind::CsiNode,
            Self::DaemonSets => Kind::DaemonSet,
            Self::PriorityClasses => Kind::PriorityClass,
            Self::ReplicaSets => Kind::Workload(WorkloadKind::ReplicaSet),
            Self::ReplicationControllers => Kind::Workload(WorkloadKind::ReplicationController),
            Self::StatefulSets => Kind::Workload(WorkloadKind::StatefulSet),
            Self::Jobs => Kind::Workload(WorkloadKind::Job),
            Self::Deployments => Kind::Workload(WorkloadKind::Deployment),
            Self::SigningRequests => Kind::SigningRequest,
            Self::ClusterApiMachines | Self::OpenShiftMachines => Kind::Machine,
            Self::NodeClaims => Kind::NodeClaim,
        }
    }

    /// True if nothing at all is decided without it.
    pub fn required(self) -> bool {
        matches!(self, Self::Nodes | Self::Pods)
    }

    /// What is not done, or done with less knowledge, without it.
    pub fn without(self) -> &'static str {
        match self {
            Self::Nodes | Self::Pods => "nothing is decided",
            Self::Namespaces => "rules between pods that select namespaces by label match no other namespace",
            Self::Budgets => "no node is drained",
            Self::Claims | Self::Volumes | Self::StorageClasses => {
                "where pods with persistent volumes can run is not known, and no node is launched for them"
            }
            Self::CsiNodes => "how many volumes a node can attach is not counted",
            Self::DaemonSets => "what new nodes must run is guessed from the pods there are",
            Self::PriorityClasses => "pods of DaemonSets count with priority 0 on nodes that are not there yet",
            Self::ReplicaSets | Self::ReplicationControllers | Self::StatefulSets | Self::Jobs => {
                "pods of this owner are not known to come back, and their nodes are not drained"
            }
            Self::Deployments => "ReplicaSets are taken as they are, without the Deployment that changes them",
            Self::SigningRequests => "no certificate is approved",
            Self::ClusterApiMachines | Self::OpenShiftMachines | Self::NodeClaims => {
                "such machines are no inventory: certificates of their nodes are left to others"
            }
        }
    }

    /// A field selector that leaves out what no decision uses. A finished pod holds no room, port or volume, counts
    /// for no spread, affinity or budget, and is nobody's to evict: it comes as deleted once its phase says so.
    pub(super) fn field_selector(self) -> Option<&'static str> {
        (self == Self::Pods).then_some("status.phase!=Succeeded,status.phase!=Failed")
    }

    /// What permission it takes, as a sentence says it.
    pub(super) fn rule(self) -> String {
        format!("list and watch {}", self.resource())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_decoded_as_what_the_resource_holds() {
        for watched in Watched::ALL {
            assert!(!watched.without().is_empty());
            for resource in (0..watched.versions()).map(|place| watched.version(place)) {
                assert_eq!(Kind::of(&resource.kind, Some(&resource.api_version())), Some(watched.kind()), "{resource}");
            }
        }
        assert_eq!(Watched::ClusterApiMachines.version(1).version, "v1beta1");
        assert_eq!(Watched::ClusterApiMachines.version(2), Watched::ClusterApiMachines.resource());
    }
}
