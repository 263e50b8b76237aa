//! A plain cluster: objects by kind and name, and every answer computed from scratch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use plimsoll_model::{
    Cluster, ClusterBuilder, CsiNode, DaemonSet, DisruptionBudget, LabelSelector, LabelSet, Machine, MilliCpu, Node,
    Phase, Pod, PodShape, PriorityClass, Resources, SigningRequest, StorageClass, Text, Uid, Volume, VolumeClaim,
    Workload, WorkloadKind,
};
use proptest::prelude::*;

use crate::samples::{
    CLAIMS, NAMESPACES, NODES, claim, daemon_set, labels, machine, node, owner, pod, priority_class, signing_request,
    storage_class, volume, workload,
};

/// Objects by kind and name, and what was done to them since the last snapshot.
#[derive(Default)]
pub struct World {
    nodes: BTreeMap<String, Node>,
    pods: BTreeMap<(String, String), Pod>,
    budgets: BTreeMap<String, DisruptionBudget>,
    signing_requests: BTreeMap<String, SigningRequest>,
    machines: BTreeMap<String, Machine>,
    claims: BTreeMap<(String, String), VolumeClaim>,
    volumes: BTreeMap<String, Volume>,
    storage_classes: BTreeMap<String, StorageClass>,
    csi_nodes: BTreeMap<String, CsiNode>,
    daemon_sets: BTreeMap<String, DaemonSet>,
    priority_classes: BTreeMap<String, PriorityClass>,
    workloads: BTreeMap<String, Workload>,
    namespaces: BTreeMap<String, Arc<LabelSet>>,
    /// UIDs with names of what was removed, even if it came back.
    pub removed: BTreeSet<String>,
    pub wide: bool,
}

#[derive(Clone, Debug)]
pub enum Step {
    Node { name: usize, uid: u128, ready: bool },
    NoNode(usize),
    Pod { at: (usize, usize), uid: u128, node: Option<usize>, phase: Phase, owner: Option<u8>, claims: usize, cpu: u64 },
    NoPod(usize, usize),
    Other { kind: usize, name: usize, variant: u32 },
    NoOther { kind: usize, name: usize },
    Snapshot,
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let phase = prop_oneof![4 => Just(Phase::Pending), 4 => Just(Phase::Running), 1 => Just(Phase::Succeeded)];
    let node = prop::option::of(0..NODES.len());
    let at = (0..NAMESPACES.len(), 0usize..4);
    let pod = (at.clone(), 0u128..2, node, phase, prop::option::of(0u8..2), 0usize..3, 1u64..3);
    let step = prop_oneof![
        3 => (0..NODES.len(), 0u128..2, any::<bool>()).prop_map(|(name, uid, ready)| Step::Node { name, uid, ready }),
        1 => (0..NODES.len()).prop_map(Step::NoNode),
        12 => pod.prop_map(|(at, uid, node, phase, owner, claims, cpu)| {
            Step::Pod { at, uid, node, phase, owner, claims, cpu }
        }),
        3 => at.prop_map(|(namespace, name)| Step::NoPod(namespace, name)),
        4 => (0usize..11, 0usize..3, 0u32..2).prop_map(|(kind, name, variant)| Step::Other { kind, name, variant }),
        2 => (0usize..11, 0usize..3).prop_map(|(kind, name)| Step::NoOther { kind, name }),
        4 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 1..120)
}

// === impl World ===

impl World {
    /// Takes a step, and so does the cluster. True if a snapshot is due.
    pub fn step(&mut self, step: Step, cluster: &mut Cluster) -> bool {
        match step {
            Step::Snapshot => return true,
            Step::Node { name, uid, ready } => {
                let new = node(NODES[name], uid, ready);
                cluster.upsert_node(new.clone());
                let old = self.nodes.insert(NODES[name].to_owned(), new);
                self.removed.extend(old.filter(|old| old.uid != Uid::Uuid(uid)).map(|old| node_identity(&old)));
            }
            Step::NoNode(name) => {
                cluster.remove_node(NODES[name]);
                self.removed.extend(self.nodes.remove(NODES[name]).map(|old| node_identity(&old)));
            }
            Step::Pod { at, uid, node, phase, owner: owned, claims, cpu } => {
                let (namespace, name) = (NAMESPACES[at.0], format!("p{}", at.1));
                let resources = Resources { cpu: MilliCpu(cpu), pods: 1, ..Resources::default() };
                let new = Pod {
                    node: node.map(|node| NODES[node].into()),
                    phase,
                    owner: owned.map(|name| owner(namespace, name)),
                    claims: CLAIMS[..claims].iter().map(|&claim| claim.into()).collect(),
                    shape: Arc::new(PodShape { requests: resources, ..PodShape::default() }),
                    ..pod(namespace, &name, uid)
                };
                cluster.upsert_pod(new.clone());
                let old = self.pods.insert((namespace.to_owned(), name), new);
                self.removed.extend(old.filter(|old| old.uid != Uid::Uuid(uid)).map(|old| pod_identity(&old)));
            }
            Step::NoPod(namespace, name) => {
                let (namespace, name) = (NAMESPACES[namespace], format!("p{name}"));
                cluster.remove_pod(namespace, &name);
                self.removed.extend(self.pods.remove(&(namespace.to_owned(), name)).map(|old| pod_identity(&old)));
            }
            Step::Other { kind, name, variant } => self.put(kind, ["a", "b", "c"][name], variant, cluster),
            Step::NoOther { kind, name } => self.take(kind, ["a", "b", "c"][name], cluster),
        }
        false
    }

    fn put(&mut self, kind: usize, name: &str, variant: u32, cluster: &mut Cluster) {
        let (key, text) = (name.to_owned(), Text::from(name));
        let selector = LabelSelector { match_labels: labels(variant).as_ref().clone(), ..LabelSelector::default() };
        match kind {
            0 => {
                let namespace = NAMESPACES[usize::from(name == "b")].into();
                let new =
                    DisruptionBudget { namespace, name: text, selector: Some(selector), disruptions_allowed: variant };
                cluster.upsert_budget(new.clone());
                self.budgets.insert(key, new);
            }
            1 => {
                let new = signing_request(name, variant);
                cluster.upsert_signing_request(new.clone());
                self.signing_requests.insert(key, new);
            }
            2 => {
                let new = machine(name, variant);
                cluster.upsert_machine(new.clone());
                self.machines.insert(key, new);
            }
            3 => {
                let new = claim(CLAIMS[usize::from(name == "b")], variant);
                cluster.upsert_claim(new.clone());
                let key = (new.namespace.to_string(), new.name.to_string());
                self.wide |= self.claims.insert(key, new.clone()) != Some(new);
            }
            4 => {
                let new = volume(name, variant);
                cluster.upsert_volume(new.clone());
                self.wide |= self.volumes.insert(key, new.clone()) != Some(new);
            }
            5 => {
                let new = storage_class(name, variant);
                cluster.upsert_storage_class(new.clone());
                self.wide |= self.storage_classes.insert(key, new.clone()) != Some(new);
            }
            6 => {
                let new = CsiNode { node: text, drivers: vec![("ebs".into(), Some(variant))] };
                cluster.upsert_csi_node(new.clone());
                self.wide |= self.csi_nodes.insert(key, new.clone()) != Some(new);
            }
            7 => {
                let new = daemon_set(name, variant);
                cluster.upsert_daemon_set(new.clone());
                self.daemon_sets.insert(key, new);
            }
            8 => {
                let new = priority_class(name, variant);
                cluster.upsert_priority_class(new.clone());
                self.priority_classes.insert(key, new);
            }
            9 => {
                let new = workload(name, variant);
                cluster.upsert_workload(new.clone());
                self.workloads.insert(key, new);
            }
            _ => {
                let new = labels(variant);
                cluster.upsert_namespace(text, new.clone());
                self.wide |= self.namespaces.insert(key, new.clone()) != Some(new);
            }
        }
    }

    fn take(&mut self, kind: usize, name: &str, cluster: &mut Cluster) {
        match kind {
            0 => {
                cluster.remove_budget(NAMESPACES[usize::from(name == "b")], name);
                self.budgets.remove(name);
            }
            1 => {
                cluster.remove_signing_request(name);
                self.signing_requests.remove(name);
            }
            2 => {
                cluster.remove_machine(name);
                self.machines.remove(name);
            }
            3 => {
                let key = ("shop".to_owned(), CLAIMS[usize::from(name == "b")].to_owned());
                cluster.remove_claim(&key.0, &key.1);
                self.wide |= self.claims.remove(&key).is_some();
            }
            4 => {
                cluster.remove_volume(name);
                self.wide |= self.volumes.remove(name).is_some();
            }
            5 => {
                cluster.remove_storage_class(name);
                self.wide |= self.storage_classes.remove(name).is_some();
            }
            6 => {
                cluster.remove_csi_node(name);
                self.wide |= self.csi_nodes.remove(name).is_some();
            }
            7 => {
                cluster.remove_daemon_set("shop", name);
                self.daemon_sets.remove(name);
            }
            8 => {
                cluster.remove_priority_class(name);
                self.priority_classes.remove(name);
            }
            9 => {
                cluster.remove_workload(WorkloadKind::ReplicaSet, "shop", name);
                self.workloads.remove(name);
            }
            _ => {
                cluster.remove_namespace(name);
                self.wide |= self.namespaces.remove(name).is_some();
            }
        }
    }

    pub fn builder(&self) -> ClusterBuilder {
        let mut builder = ClusterBuilder::default();
        // Against the order of names, which is none of the builder's business.
        self.nodes.values().rev().for_each(|node| builder.add_node(node.clone()).unwrap());
        self.pods.values().rev().for_each(|pod| builder.add_pod(pod.clone()).unwrap());
        self.budgets.values().for_each(|budget| builder.add_budget(budget.clone()));
        self.signing_requests.values().for_each(|request| builder.add_signing_request(request.clone()));
        self.machines.values().for_each(|machine| builder.add_machine(machine.clone()));
        self.claims.values().for_each(|claim| builder.add_claim(claim.clone()));
        self.volumes.values().for_each(|volume| builder.add_volume(volume.clone()));
        self.storage_classes.values().for_each(|class| builder.add_storage_class(class.clone()));
        self.csi_nodes.values().for_each(|csi_node| builder.add_csi_node(csi_node.clone()));
        self.daemon_sets.values().for_each(|daemon_set| builder.add_daemon_set(daemon_set.clone()));
        self.priority_classes.values().for_each(|class| builder.add_priority_class(class.clone()));
        self.workloads.values().for_each(|workload| builder.add_workload(workload.clone()));
        self.namespaces.iter().for_each(|(name, labels)| builder.add_namespace(name.as_str().into(), labels.clone()));
        builder
    }

    /// What every look-up must find, by names.
    pub fn expected(&self) -> Vec<String> {
        let mut budgets: Vec<&DisruptionBudget> = self.budgets.values().collect();
        budgets.sort_by_key(|budget| (&budget.namespace, &budget.name));
        let mut lines = Vec::new();
        for node in self.nodes.values() {
            let here: Vec<&Pod> = self.unfinished().filter(|pod| pod.node.as_ref() == Some(&node.name)).collect();
            let cpu: u64 = here.iter().map(|pod| pod.shape.requests.cpu.0).sum();
            let names: Vec<String> = here.iter().map(|pod| pod.full_name()).collect();
            lines.push(format!("{node:?} has {names:?} with {cpu}m"));
        }
        for pod in self.pods.values() {
            let kin = pod.owner.as_ref().map(|_| self.unfinished().filter(|other| other.owner == pod.owner).count());
            let covering: Vec<_> = budgets.iter().enumerate().filter(|(_, budget)| budget.covers(pod)).collect();
            let covering: Vec<_> = covering.into_iter().map(|(at, budget)| (at, &budget.name)).collect();
            lines.push(format!("{pod:?} is one of {kin:?} under {covering:?}"));
        }
        let waits = |pod: &&Pod| pod.phase == Phase::Pending && pod.node.is_none();
        lines.extend(self.pods.values().filter(waits).map(|pod| format!("{} waits", pod.full_name())));
        for (namespace, claim) in every_claim() {
            let uses = |pod: &&Pod| pod.namespace == namespace && pod.claims.contains(&claim);
            let users: Vec<String> = self.unfinished().filter(uses).map(Pod::full_name).collect();
            lines.push(format!("{namespace}/{claim} is mounted by {users:?}"));
        }
        each(&mut lines, budgets);
        each(&mut lines, self.signing_requests.values());
        each(&mut lines, self.machines.values());
        each(&mut lines, self.claims.values());
        each(&mut lines, self.volumes.values());
        each(&mut lines, self.storage_classes.values());
        each(&mut lines, self.csi_nodes.values());
        each(&mut lines, self.daemon_sets.values());
        each(&mut lines, self.priority_classes.values());
        each(&mut lines, self.workloads.values());
        each(&mut lines, &self.namespaces);
        lines
    }

    fn unfinished(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(|pod| !pod.finished())
    }
}

pub fn each<T: Debug>(lines: &mut Vec<String>, items: impl IntoIterator<Item = T>) {
    lines.extend(items.into_iter().map(|item| format!("{item:?}")));
}

pub fn every_claim() -> impl Iterator<Item = (Text, Text)> {
    NAMESPACES.into_iter().flat_map(|namespace| CLAIMS.map(|claim| (namespace.into(), claim.into())))
}

pub fn node_identity(node: &Node) -> String {
    format!("{} {}", node.name, node.uid)
}

pub fn pod_identity(pod: &Pod) -> String {
    format!("{} {}", pod.full_name(), pod.uid)
}
