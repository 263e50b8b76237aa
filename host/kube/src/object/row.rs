//! An object as a row of the model.

use std::sync::Arc;

use plimsoll_model::{
    Cluster, ClusterBuilder, CsiNode, DaemonSet, DisruptionBudget, LabelSet, Machine, Node, Pod, Pools, PriorityClass,
    SigningRequest, StorageClass, Text, Timestamp, Volume, VolumeClaim, Workload,
};

use super::WholeProblem;
use super::metadata::Metadata;

/// Something of the API that becomes a row of the model.
pub(super) trait Row<'a> {
    /// The row; what is wrong with the object as a whole is the error.
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem>;

    fn metadata(&self) -> &Metadata<'a>;

    /// The latest moment it mentions of what has happened.
    fn newest(&self) -> Option<Timestamp> {
        self.metadata().created()
    }
}

/// A row of the model, of any kind.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way into a table; most are pods")]
pub(crate) enum Object {
    Node(Node),
    Pod(Pod),
    Budget(DisruptionBudget),
    SigningRequest(SigningRequest),
    Namespace {
        name: Text,
        labels: Arc<LabelSet>,
    },
    Machine(Machine),
    Claim(VolumeClaim),
    Volume(Volume),
    StorageClass(StorageClass),
    CsiNode(CsiNode),
    DaemonSet(DaemonSet),
    /// A DaemonSet that is being deleted.
    NoDaemonSet {
        namespace: Text,
        name: Text,
    },
    PriorityClass(PriorityClass),
    Workload(Workload),
}

// === impl Object ===

impl Object {
    /// Adds it to a cluster that is read once. Where another object has its name, that is the error.
    pub(crate) fn add(self, cluster: &mut ClusterBuilder) -> Result<(), WholeProblem> {
        match self {
            Self::Node(node) => cluster.add_node(node)?,
            Self::Pod(pod) => cluster.add_pod(pod)?,
            Self::Budget(budget) => cluster.add_budget(budget),
            Self::SigningRequest(request) => cluster.add_signing_request(request),
            Self::Namespace { name, labels } => cluster.add_namespace(name, labels),
            Self::Machine(machine) => cluster.add_machine(machine),
            Self::Claim(claim) => cluster.add_claim(claim),
            Self::Volume(volume) => cluster.add_volume(volume),
            Self::StorageClass(class) => cluster.add_storage_class(class),
            Self::CsiNode(csi_node) => cluster.add_csi_node(csi_node),
            Self::DaemonSet(daemon_set) => cluster.add_daemon_set(daemon_set),
            Self::NoDaemonSet { .. } => {}
            Self::PriorityClass(class) => cluster.add_priority_class(class),
            Self::Workload(workload) => cluster.add_workload(workload),
        }
        Ok(())
    }

    /// Puts it into a cluster that changes. `inventory` is where machines are from.
    pub(crate) fn upsert(self, inventory: &str, cluster: &mut Cluster) {
        match self {
            Self::Node(node) => cluster.upsert_node(node),
            Self::Pod(pod) => cluster.upsert_pod(pod),
            Self::Budget(budget) => cluster.upsert_budget(budget),
            Self::SigningRequest(request) => cluster.upsert_signing_request(request),
            Self::Namespace { name, labels } => cluster.upsert_namespace(name, labels),
            Self::Machine(machine) => cluster.upsert_machine_of(inventory, machine),
            Self::Claim(claim) => cluster.upsert_claim(claim),
            Self::Volume(volume) => cluster.upsert_volume(volume),
            Self::StorageClass(class) => cluster.upsert_storage_class(class),
            Self::CsiNode(csi_node) => cluster.upsert_csi_node(csi_node),
            Self::DaemonSet(daemon_set) => cluster.upsert_daemon_set(daemon_set),
            Self::NoDaemonSet { namespace, name } => cluster.remove_daemon_set(&namespace, &name),
            Self::PriorityClass(class) => cluster.upsert_priority_class(class),
            Self::Workload(workload) => cluster.upsert_workload(workload),
        }
    }
}
