//! A cluster that is read once, object by object.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Cluster, Pools, Snapshot};
use crate::{
    CsiNode, DaemonSet, DisruptionBudget, LabelSet, Machine, Node, Owner, Pod, PodShape, PriorityClass, SigningRequest,
    StorageClass, Text, Volume, VolumeClaim, Workload, WorkloadKind,
};

/// Collects objects for a snapshot and makes equal parts one.
#[derive(Debug, Default)]
pub struct ClusterBuilder {
    pools: Pools,
    nodes: HashMap<Text, Node>,
    pods: HashMap<(Text, Box<str>), Pod>,
    budgets: BTreeMap<(Text, Text), DisruptionBudget>,
    signing_requests: BTreeMap<Text, SigningRequest>,
    machines: BTreeMap<Text, Machine>,
    claims: BTreeMap<(Text, Text), VolumeClaim>,
    volumes: BTreeMap<Text, Volume>,
    storage_classes: BTreeMap<Text, StorageClass>,
    csi_nodes: BTreeMap<Text, CsiNode>,
    daemon_sets: BTreeMap<(Text, Text), DaemonSet>,
    priority_classes: BTreeMap<Text, PriorityClass>,
    workloads: BTreeMap<(WorkloadKind, Text, Text), Workload>,
    namespaces: HashMap<Text, Arc<LabelSet>>,
}

/// Two objects of one kind have one name. The first is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name} is there twice, as two different objects; keep one of them")]
pub struct Duplicate {
    /// The kind.
    pub kind: &'static str,
    /// The name, with its namespace where it has one.
    pub name: String,
}

// === impl ClusterBuilder ===

impl ClusterBuilder {
    /// Where equal parts become one.
    pub fn pools(&mut self) -> &mut Pools {
        &mut self.pools
    }

    /// The shared copy of a text.
    pub fn text(&mut self, text: &str) -> Text {
        self.pools.text(text)
    }

    /// The shared copy of a set of labels.
    pub fn labels(&mut self, labels: LabelSet) -> Arc<LabelSet> {
        self.pools.labels(labels)
    }

    /// The shared copy of a shape.
    pub fn shape(&mut self, shape: PodShape) -> Arc<PodShape> {
        self.pools.shape(shape)
    }

    /// The shared copy of an owner.
    pub fn owner(&mut self, owner: Owner) -> Arc<Owner> {
        self.pools.owner(owner)
    }

    /// Adds a node. The same object again replaces the earlier copy.
    pub fn add_node(&mut self, node: Node) -> Result<(), Duplicate> {
        if let Some(known) = self.nodes.get(&node.name)
            && known.uid != node.uid
        {
            return Err(Duplicate { kind: "Node", name: node.name.to_string() });
        }
        self.nodes.insert(node.name.clone(), node);
        Ok(())
    }

    /// Adds a pod. The same object again replaces the earlier copy.
    pub fn add_pod(&mut self, pod: Pod) -> Result<(), Duplicate> {
        let key = (pod.namespace.clone(), pod.name.clone());
        if let Some(known) = self.pods.get(&key)
            && known.uid != pod.uid
        {
            return Err(Duplicate { kind: "Pod", name: pod.full_name() });
        }
        self.pods.insert(key, pod);
        Ok(())
    }

    /// Adds a budget. The same name again replaces the earlier copy.
    pub fn add_budget(&mut self, budget: DisruptionBudget) {
        self.budgets.insert((budget.namespace.clone(), budget.name.clone()), budget);
    }

    /// Adds a signing request. The same name again replaces the earlier copy.
    pub fn add_signing_request(&mut self, request: SigningRequest) {
        self.signing_requests.insert(request.name.clone(), request);
    }

    /// Adds a machine of the inventory. The same name again replaces the earlier copy.
    pub fn add_machine(&mut self, machine: Machine) {
        self.machines.insert(machine.name.clone(), machine);
    }

    /// Adds a volume claim. The same name again replaces the earlier copy.
    pub fn add_claim(&mut self, claim: VolumeClaim) {
        self.claims.insert((claim.namespace.clone(), claim.name.clone()), claim);
    }

    /// Adds a volume. The same name again replaces the earlier copy.
    pub fn add_volume(&mut self, volume: Volume) {
        self.volumes.insert(volume.name.clone(), volume);
    }

    /// Adds a storage class. The same name again replaces the earlier copy.
    pub fn add_storage_class(&mut self, class: StorageClass) {
        self.storage_classes.insert(class.name.clone(), class);
    }

    /// Adds what the CSI drivers say of a node. The same node again replaces the earlier copy.
    pub fn add_csi_node(&mut self, csi_node: CsiNode) {
        self.csi_nodes.insert(csi_node.node.clone(), csi_node);
    }

    /// Adds a DaemonSet. The same name again replaces the earlier copy.
    pub fn add_daemon_set(&mut self, daemon_set: DaemonSet) {
        self.daemon_sets.insert((daemon_set.namespace.clone(), daemon_set.name.clone()), daemon_set);
    }

    /// Adds a priority class. The same name again replaces the earlier copy.
    pub fn add_priority_class(&mut self, class: PriorityClass) {
        self.priority_classes.insert(class.name.clone(), class);
    }

    /// Adds a workload. The same name again replaces the earlier copy.
    pub fn add_workload(&mut self, workload: Workload) {
        self.workloads.insert((workload.kind, workload.namespace.clone(), workload.name.clone()), workload);
    }

    /// Adds a namespace.
    pub fn add_namespace(&mut self, name: Text, labels: Arc<LabelSet>) {
        self.namespaces.insert(name, labels);
    }

    /// How many distinct pod shapes there are so far.
    pub fn distinct_shapes(&self) -> usize {
        self.pools.distinct_shapes()
    }

    /// The snapshot of everything added. Its ids are in the order of names, without gaps.
    pub fn build(self) -> Snapshot {
        let snapshot = Cluster::from(self).snapshot();
        Arc::unwrap_or_clone(snapshot)
    }
}

impl From<ClusterBuilder> for Cluster {
    /// The cluster with everything added, to go on from.
    fn from(builder: ClusterBuilder) -> Self {
        let mut cluster = Cluster { pools: builder.pools, ..Cluster::default() };
        cluster.now.budgets = builder.budgets.into_values().collect();
        cluster.now.signing_requests = builder.signing_requests.into_values().collect();
        cluster.machine_keys = builder.machines.keys().map(|name| (name.clone(), Text::default())).collect();
        cluster.now.machines = builder.machines.into_values().collect();
        cluster.now.claims = builder.claims.into_iter().collect();
        cluster.now.volumes = builder.volumes.into_iter().collect();
        cluster.now.storage_classes = builder.storage_classes.into_iter().collect();
        cluster.now.csi_nodes = builder.csi_nodes.into_iter().collect();
        cluster.now.daemon_sets = builder.daemon_sets.into_iter().collect();
        cluster.now.priority_classes = builder.priority_classes.into_iter().collect();
        cluster.now.workloads = builder.workloads.into_iter().collect();
        cluster.now.namespaces = builder.namespaces.into_iter().collect();

        let mut nodes: Vec<Node> = builder.nodes.into_values().collect();
        nodes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        nodes.into_iter().for_each(|node| cluster.upsert_node(node));
        let mut pods: Vec<Pod> = builder.pods.into_values().collect();
        pods.sort_unstable_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        pods.into_iter().for_each(|pod| cluster.upsert_pod(pod));
        cluster
    }
}
