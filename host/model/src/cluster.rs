//! The whole cluster at one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{
    CsiNode, DaemonSet, DisruptionBudget, LabelSelector, LabelSet, Machine, Node, Owner, Pod, PodShape, Pool, Resources,
    SigningRequest, StorageClass, Text, Volume, VolumeClaim,
};

/// A node of one snapshot: its place among the nodes in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A pod of one snapshot: its place among the pods in the order of namespaces and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId(pub u32);

/// The cluster at one moment. Immutable.
#[derive(Debug, Default)]
pub struct Snapshot {
    nodes: Vec<Node>,
    pods: Vec<Pod>,
    budgets: Vec<DisruptionBudget>,
    signing_requests: Vec<SigningRequest>,
    machines: Vec<Machine>,
    claims: BTreeMap<(Text, Text), VolumeClaim>,
    volumes: BTreeMap<Text, Volume>,
    storage_classes: BTreeMap<Text, StorageClass>,
    csi_nodes: BTreeMap<Text, CsiNode>,
    daemon_sets: BTreeMap<(Text, Text), DaemonSet>,
    namespaces: HashMap<Text, Arc<LabelSet>>,
    pods_by_node: Vec<Vec<PodId>>,
    replicas: HashMap<Arc<Owner>, u32>,
}

/// Collects objects for a snapshot and makes equal parts one.
#[derive(Debug, Default)]
pub struct ClusterBuilder {
    texts: Pool<str>,
    label_sets: Pool<LabelSet>,
    shapes: Pool<PodShape>,
    owners: Pool<Owner>,
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
    /// The shared copy of a text.
    pub fn text(&mut self, text: &str) -> Text {
        self.texts.text(text)
    }

    /// The shared copy of a set of labels.
    pub fn labels(&mut self, labels: LabelSet) -> Arc<LabelSet> {
        self.label_sets.share(labels)
    }

    /// The shared copy of a shape.
    pub fn shape(&mut self, shape: PodShape) -> Arc<PodShape> {
        self.shapes.share(shape)
    }

    /// The shared copy of an owner.
    pub fn owner(&mut self, owner: Owner) -> Arc<Owner> {
        self.owners.share(owner)
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

    /// Adds a namespace.
    pub fn add_namespace(&mut self, name: Text, labels: Arc<LabelSet>) {
        self.namespaces.insert(name, labels);
    }

    /// How many distinct pod shapes there are so far.
    pub fn distinct_shapes(&self) -> usize {
        self.shapes.len()
    }

    /// The snapshot of everything added.
    pub fn build(self) -> Snapshot {
        let mut nodes: Vec<Node> = self.nodes.into_values().collect();
        nodes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut pods: Vec<Pod> = self.pods.into_values().collect();
        pods.sort_unstable_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let budgets = self.budgets.into_values().collect();
        let signing_requests = self.signing_requests.into_values().collect();
        let machines = self.machines.into_values().collect();

        let mut pods_by_node = vec![Vec::new(); nodes.len()];
        let mut replicas: HashMap<Arc<Owner>, u32> = HashMap::new();
        for (pod, id) in pods.iter().zip(0u32..) {
            if pod.finished() {
                continue;
            }
            if let Some(owner) = &pod.owner {
                *replicas.entry(owner.clone()).or_default() += 1;
            }
            if let Some(name) = &pod.node
                && let Ok(at) = nodes.binary_search_by(|node| node.name.cmp(name))
            {
                pods_by_node[at].push(PodId(id));
            }
        }
        Snapshot {
            nodes,
            pods,
            budgets,
            signing_requests,
            machines,
            claims: self.claims,
            volumes: self.volumes,
            storage_classes: self.storage_classes,
            csi_nodes: self.csi_nodes,
            daemon_sets: self.daemon_sets,
            namespaces: self.namespaces,
            pods_by_node,
            replicas,
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Every node, in the order of names.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().zip(0u32..).map(|(node, id)| (NodeId(id), node))
    }

    /// Every pod, in the order of namespaces and names.
    pub fn pods(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods.iter().zip(0u32..).map(|(pod, id)| (PodId(id), pod))
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many pods there are.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// The node of this id, which must be of this snapshot.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The pod of this id, which must be of this snapshot.
    pub fn pod(&self, id: PodId) -> &Pod {
        &self.pods[id.0 as usize]
    }

    /// The node of this id, if there is one: for ids from outside.
    pub fn find_node_id(&self, id: u32) -> Option<(NodeId, &Node)> {
        self.nodes.get(id as usize).map(|node| (NodeId(id), node))
    }

    /// The pod of this id, if there is one: for ids from outside.
    pub fn find_pod_id(&self, id: u32) -> Option<(PodId, &Pod)> {
        self.pods.get(id as usize).map(|pod| (PodId(id), pod))
    }

    /// The node of this name.
    pub fn find_node(&self, name: &str) -> Option<(NodeId, &Node)> {
        let at = self.nodes.binary_search_by(|node| node.name.as_str().cmp(name)).ok()?;
        self.find_node_id(u32::try_from(at).ok()?)
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

    /// Budgets that cover a pod.
    pub fn budgets_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = (usize, &'a DisruptionBudget)> {
        self.budgets.iter().enumerate().filter(|(_, budget)| budget.covers(pod))
    }

    /// Every budget, in the order of namespaces and names.
    pub fn budgets(&self) -> &[DisruptionBudget] {
        &self.budgets
    }

    /// Every signing request, in the order of names.
    pub fn signing_requests(&self) -> &[SigningRequest] {
        &self.signing_requests
    }

    /// Every machine of the inventory, in the order of names.
    pub fn machines(&self) -> &[Machine] {
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

    /// The labels of a namespace, if it is known.
    pub fn namespace_labels(&self, name: &str) -> Option<&Arc<LabelSet>> {
        self.namespaces.get(name)
    }

    /// True if a namespace of this name is known and its labels match.
    pub fn namespace_matches(&self, name: &str, selector: &LabelSelector) -> bool {
        self.namespaces.get(name).is_some_and(|labels| selector.matches(labels))
    }

    /// A number that is the same for the same nodes and pods: seed for whatever needs chance (FNV-1a).
    pub fn seed(&self) -> u64 {
        let names = self.nodes.iter().map(|node| node.name.as_str());
        let names = names.chain(self.pods.iter().flat_map(|pod| [pod.namespace.as_str(), &*pod.name]));
        names
            .flat_map(str::bytes)
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}
