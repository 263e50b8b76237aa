//! The whole cluster at one moment.

use std::cmp::Ordering;
use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet, Vector};

use super::order::Order;
use super::table::Table;
use crate::{
    CsiNode, DaemonSet, DisruptionBudget, LabelSelector, LabelSet, Machine, Node, Owner, Phase, Pod, PriorityClass,
    Resources, SigningRequest, StorageClass, Text, Volume, VolumeClaim, Workload, WorkloadKind,
};

/// A node: its slot.
///
/// A node keeps its slot in every snapshot of one [`Cluster`](crate::Cluster) for as long as it exists, which is as
/// long as its UID. The slot of a node that is gone is empty in at least one snapshot before another node gets it.
/// In what [`ClusterBuilder::build`](crate::ClusterBuilder::build) makes, ids are in the order of names, without
/// gaps; after changes the order of ids means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A pod: its slot. What is said of [`NodeId`] holds here too; the order of names is that of namespaces, then names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId(pub u32);

/// What differs from the snapshot of the version before, for whoever kept something that was computed from that one.
/// The first snapshot of a lineage has none before it: there `wide` is true and the lists are empty.
///
/// Budgets, signing requests, machines, DaemonSets, priority classes and workloads are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nodes that are new, changed or gone, sorted, each once. The id of one that is gone may be
    /// [`node_slots`](Snapshot::node_slots) or above. A node that comes or goes takes [`pods_on`](Snapshot::pods_on)
    /// with it, whether or not those pods are listed.
    pub nodes: Vec<NodeId>,
    /// Pods that are new, changed or gone, sorted, each once. The id of one that is gone may be
    /// [`pod_slots`](Snapshot::pod_slots) or above.
    pub pods: Vec<PodId>,
    /// Something else changed that decides where pods may run: labels of a namespace, a claim, a volume, a storage
    /// class, or what CSI drivers say of a node. Whoever kept something starts again.
    pub wide: bool,
}

/// The cluster at one moment. Immutable, and cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) lineage: u64,
    pub(super) version: u64,
    pub(super) changes: Changes,
    pub(super) nodes: Table<Node>,
    pub(super) node_ids: HashMap<Text, NodeId>,
    pub(super) pods: Table<Pod>,
    pub(super) pending: Order,
    /// By the slot of the node.
    pub(super) pods_by_node: Vector<Arc<Vec<PodId>>>,
    pub(super) replicas: HashMap<Arc<Owner>, u32>,
    /// Namespace, claim, and an unfinished pod that mounts it.
    pub(super) claim_users: OrdSet<(Text, Text, PodId)>,
    pub(super) budgets: Vector<DisruptionBudget>,
    pub(super) signing_requests: Vector<SigningRequest>,
    pub(super) machines: Vector<Machine>,
    pub(super) claims: OrdMap<(Text, Text), VolumeClaim>,
    pub(super) volumes: OrdMap<Text, Volume>,
    pub(super) storage_classes: OrdMap<Text, StorageClass>,
    pub(super) csi_nodes: OrdMap<Text, CsiNode>,
    pub(super) daemon_sets: OrdMap<(Text, Text), DaemonSet>,
    pub(super) priority_classes: OrdMap<Text, PriorityClass>,
    pub(super) workloads: OrdMap<(WorkloadKind, Text, Text), Workload>,
    pub(super) namespaces: HashMap<Text, Arc<LabelSet>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Which snapshot of its lineage this is: 1 for the first, and one more for each.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Which [`Cluster`](crate::Cluster) it is of: no two of one process have the same.
    pub fn lineage(&self) -> u64 {
        self.lineage
    }

    /// What differs from the snapshot of the version before, of the same lineage.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Every node, in the order of names.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().map(|(slot, node)| (NodeId(slot), node))
    }

    /// Every pod, in the order of namespaces and names.
    pub fn pods(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods.iter().map(|(slot, pod)| (PodId(slot), pod))
    }

    /// Pods of phase `Pending` without a node, in the order of namespaces and names. Costs what they are, however
    /// many other pods there are.
    pub fn pending(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods.in_order(&self.pending).map(|(slot, pod)| (PodId(slot), pod))
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many pods there are.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// One more than the largest id of a node: the length of an array by node.
    pub fn node_slots(&self) -> usize {
        self.nodes.slots()
    }

    /// One more than the largest id of a pod: the length of an array by pod.
    pub fn pod_slots(&self) -> usize {
        self.pods.slots()
    }

    /// The node of this id, which must be of this snapshot.
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.at(id.0)
    }

    /// The pod of this id, which must be of this snapshot.
    pub fn pod(&self, id: PodId) -> &Pod {
        self.pods.at(id.0)
    }

    /// The node of this id, if there is one: for ids from outside.
    pub fn find_node_id(&self, id: u32) -> Option<(NodeId, &Node)> {
        self.nodes.get(id).map(|node| (NodeId(id), &**node))
    }

    /// The pod of this id, if there is one: for ids from outside.
    pub fn find_pod_id(&self, id: u32) -> Option<(PodId, &Pod)> {
        self.pods.get(id).map(|pod| (PodId(id), &**pod))
    }

    /// The node of this name.
    pub fn find_node(&self, name: &str) -> Option<(NodeId, &Node)> {
        self.find_node_id(self.node_ids.get(name)?.0)
    }

    /// The pod of this name.
    pub fn find_pod(&self, namespace: &str, name: &str) -> Option<(PodId, &Pod)> {
        self.pods.find((namespace, name)).map(|(slot, pod)| (PodId(slot), &**pod))
    }

    /// Pods on a node that have not finished, in the order of namespaces and names.
    pub fn pods_on(&self, node: NodeId) -> &[PodId] {
        &self.pods_by_node[node.0 as usize]
    }

    /// What the pods on a node request, one place for each included.
    pub fn requested_on(&self, node: NodeId) -> Resources {
        let mut sum = Resources::default();
        for &pod in self.pods_on(node) {
            sum.add(&self.pod(pod).shape.requests, 1);
        }
        sum
    }

    /// Pods that have not finished and have this owner.
    pub fn replicas_of(&self, owner: &Owner) -> u32 {
        self.replicas.get(owner).copied().unwrap_or(0)
    }

    /// Budgets that cover a pod, with their places among all budgets.
    pub fn budgets_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = (usize, &'a DisruptionBudget)> {
        // Never equal, so the place is that of the first budget of the namespace.
        let before = |budget: &DisruptionBudget| budget.namespace.cmp(&pod.namespace).then(Ordering::Greater);
        let (Ok(first) | Err(first)) = self.budgets.binary_search_by(before);
        (first..)
            .map_while(|at| Some((at, self.budgets.get(at)?)))
            .take_while(|(_, budget)| budget.namespace == pod.namespace)
            .filter(|(_, budget)| budget.covers(pod))
    }

    /// Every budget, in the order of namespaces and names.
    pub fn budgets(&self) -> &Vector<DisruptionBudget> {
        &self.budgets
    }

    /// Every signing request, in the order of names.
    pub fn signing_requests(&self) -> &Vector<SigningRequest> {
        &self.signing_requests
    }

    /// Every machine of the inventory, in the order of names.
    pub fn machines(&self) -> &Vector<Machine> {
        &self.machines
    }

    /// The volume claim of this name.
    pub fn claim(&self, namespace: &Text, name: &Text) -> Option<&VolumeClaim> {
        self.claims.get(&(namespace.clone(), name.clone()))
    }

    /// Every volume claim, in the order of namespaces and names.
    pub fn claims(&self) -> impl Iterator<Item = &VolumeClaim> {
        self.claims.values()
    }

    /// Pods that have not finished and mount this claim, whether or not the claim is there, in the order of ids.
    pub fn claim_users(&self, namespace: &Text, name: &Text) -> impl Iterator<Item = PodId> {
        let user = |id| (namespace.clone(), name.clone(), PodId(id));
        self.claim_users.range(user(0)..=user(u32::MAX)).map(|(_, _, pod)| *pod)
    }

    /// The volume of this name.
    pub fn volume(&self, name: &str) -> Option<&Volume> {
        self.volumes.get(name)
    }

    /// Every volume, in the order of names.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.values()
    }

    /// The storage class of this name.
    pub fn storage_class(&self, name: &str) -> Option<&StorageClass> {
        self.storage_classes.get(name)
    }

    /// Every storage class, in the order of names.
    pub fn storage_classes(&self) -> impl Iterator<Item = &StorageClass> {
        self.storage_classes.values()
    }

    /// What the CSI drivers say of the node of this name.
    pub fn csi_node(&self, node: &str) -> Option<&CsiNode> {
        self.csi_nodes.get(node)
    }

    /// Every DaemonSet, in the order of namespaces and names.
    pub fn daemon_sets(&self) -> impl Iterator<Item = &DaemonSet> {
        self.daemon_sets.values()
    }

    /// The priority class of this name.
    pub fn priority_class(&self, name: &str) -> Option<&PriorityClass> {
        self.priority_classes.get(name)
    }

    /// Every priority class, in the order of names.
    pub fn priority_classes(&self) -> impl Iterator<Item = &PriorityClass> {
        self.priority_classes.values()
    }

    /// The priority of a pod that names this class, as admission sets it: without a class that of the default one,
    /// or 0; `None` for a class that is not known. Of several defaults the lowest counts (kubernetes,
    /// `plugin/pkg/admission/priority`).
    pub fn priority_of(&self, class: Option<&str>) -> Option<i32> {
        match class {
            Some(name) => self.priority_class(name).map(|class| class.value),
            None => {
                let defaults = self.priority_classes().filter(|class| class.global_default);
                Some(defaults.map(|class| class.value).min().unwrap_or(0))
            }
        }
    }

    /// The workload that this owner stands for; `None` if it is gone, even where another has its name, or if it is of
    /// another kind (see [`WorkloadKind::of`]).
    pub fn workload(&self, owner: &Owner) -> Option<&Workload> {
        let key = (WorkloadKind::of(owner)?, owner.namespace.clone(), owner.name.clone());
        self.workloads.get(&key).filter(|workload| workload.uid == owner.uid)
    }

    /// The workload of this kind and name, whichever object of that name it is.
    pub fn find_workload(&self, kind: WorkloadKind, namespace: &Text, name: &Text) -> Option<&Workload> {
        self.workloads.get(&(kind, namespace.clone(), name.clone()))
    }

    /// The DaemonSet of this name.
    pub fn find_daemon_set(&self, namespace: &Text, name: &Text) -> Option<&DaemonSet> {
        self.daemon_sets.get(&(namespace.clone(), name.clone()))
    }

    /// Every workload, in the order of kinds, namespaces and names.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.values()
    }

    /// Every namespace that is known, with its labels, in no order.
    pub fn namespaces(&self) -> impl Iterator<Item = (&Text, &Arc<LabelSet>)> {
        self.namespaces.iter()
    }

    /// The labels of a namespace, if it is known.
    pub fn namespace_labels(&self, name: &str) -> Option<&Arc<LabelSet>> {
        self.namespaces.get(name)
    }

    /// True if a namespace of this name is known and its labels match.
    pub fn namespace_matches(&self, name: &str, selector: &LabelSelector) -> bool {
        self.namespaces.get(name).is_some_and(|labels| selector.matches(labels))
    }

    /// A number that is the same for the same names of nodes and pods, whatever came before: seed for whatever needs
    /// chance. Costs nothing: every change has kept it up to date.
    pub fn seed(&self) -> u64 {
        self.nodes.seed().wrapping_add(self.pods.seed())
    }
}

/// True for what [`Snapshot::pending`] lists.
pub(super) fn is_pending(pod: &Pod) -> bool {
    pod.phase == Phase::Pending && pod.node.is_none()
}
