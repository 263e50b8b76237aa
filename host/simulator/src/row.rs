//! What a watch tells, as rows of the model.

use plimsoll_apiserver::Observed;
use plimsoll_kube::read_stream;
use plimsoll_model::{
    Cluster, DaemonSet, DisruptionBudget, Node, Owner, Pod, Pools, Text, Timestamp, Workload, WorkloadKind,
};

/// The resources that are followed.
pub const RESOURCES: [&str; 6] =
    ["pods", "nodes", "poddisruptionbudgets.policy", "replicasets.apps", "deployments.apps", "daemonsets.apps"];

/// A change of the cluster.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// Its revision.
    pub revision: u64,
    /// What changed.
    pub row: Row,
}

/// An object as it is now, or that it is gone.
#[derive(Clone, Debug)]
pub enum Row {
    /// A pod.
    Pod(Box<Pod>),
    /// A pod is gone.
    PodGone(Text, Text),
    /// A node.
    Node(Box<Node>),
    /// A node is gone.
    NodeGone(Text),
    /// A disruption budget.
    Budget(DisruptionBudget),
    /// A disruption budget is gone.
    BudgetGone(Text, Text),
    /// What controls pods.
    Workload(Workload),
    /// What controlled pods is gone.
    WorkloadGone(WorkloadKind, Text, Text),
    /// A DaemonSet.
    DaemonSet(Box<DaemonSet>),
}

/// Turns what is observed into rows that share their parts.
#[derive(Debug, Default)]
pub struct Decoder {
    pools: Pools,
}

/// An object that the decoders of the host refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource} {name} cannot be read: {problem}")]
pub struct Undecodable {
    resource: &'static str,
    name: String,
    problem: String,
}

// === impl Decoder ===

impl Decoder {
    /// The row of a change; `None` for a kind of object that is not followed.
    pub fn row(&mut self, observed: &Observed) -> Result<Option<Row>, Undecodable> {
        let Observed { resource, namespace, name, .. } = observed;
        if observed.gone {
            let (namespace, name) = (self.pools.text(namespace), self.pools.text(name));
            return Ok(match *resource {
                "pods" => Some(Row::PodGone(namespace, name)),
                "nodes" => Some(Row::NodeGone(name)),
                "poddisruptionbudgets.policy" => Some(Row::BudgetGone(namespace, name)),
                "replicasets.apps" => Some(Row::WorkloadGone(WorkloadKind::ReplicaSet, namespace, name)),
                "deployments.apps" => Some(Row::WorkloadGone(WorkloadKind::Deployment, namespace, name)),
                _ => None,
            });
        }
        let refuse = |problem: String| Undecodable { resource, name: name.to_string(), problem };
        let dump = read_stream(name, observed.body.as_ref()).map_err(|error| refuse(error.to_string()))?;
        if let Some(broken) = dump.account.broken.first() {
            return Err(refuse(format!("{}: {}", broken.field, broken.problem)));
        }
        let snapshot = &dump.snapshot;
        Ok(match *resource {
            "pods" => snapshot.pods().next().map(|(_, pod)| Row::Pod(Box::new(self.shared(pod.clone())))),
            "nodes" => snapshot.nodes().next().map(|(_, node)| Row::Node(Box::new(node.clone()))),
            "poddisruptionbudgets.policy" => snapshot.budgets().front().cloned().map(Row::Budget),
            "replicasets.apps" | "deployments.apps" => snapshot.workloads().next().cloned().map(Row::Workload),
            "daemonsets.apps" => snapshot.daemon_sets().next().cloned().map(|set| Row::DaemonSet(Box::new(set))),
            _ => None,
        })
    }

    /// A pod whose parts are the same allocations as those of equal pods.
    fn shared(&mut self, mut pod: Pod) -> Pod {
        pod.namespace = self.pools.text(&pod.namespace);
        pod.labels = self.pools.labels((*pod.labels).clone());
        pod.annotations = self.pools.labels((*pod.annotations).clone());
        pod.shape = self.pools.shape((*pod.shape).clone());
        pod.owner = pod.owner.map(|owner| self.pools.owner(Owner::clone(&owner)));
        pod
    }
}

// === impl Row ===

impl Row {
    /// Makes the change in a cluster.
    pub fn apply(&self, cluster: &mut Cluster) {
        match self {
            Self::Pod(pod) => cluster.upsert_pod(Pod::clone(pod)),
            Self::PodGone(namespace, name) => cluster.remove_pod(namespace, name),
            Self::Node(node) => cluster.upsert_node(Node::clone(node)),
            Self::NodeGone(name) => cluster.remove_node(name),
            Self::Budget(budget) => cluster.upsert_budget(budget.clone()),
            Self::BudgetGone(namespace, name) => cluster.remove_budget(namespace, name),
            Self::Workload(workload) => cluster.upsert_workload(workload.clone()),
            Self::WorkloadGone(kind, namespace, name) => cluster.remove_workload(*kind, namespace, name),
            Self::DaemonSet(set) => cluster.upsert_daemon_set(DaemonSet::clone(set)),
        }
    }
}
