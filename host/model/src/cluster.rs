//! The cluster as it changes.

mod builder;
mod order;
mod pools;
mod snapshot;
mod table;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use imbl::Vector;

pub use builder::{ClusterBuilder, Duplicate};
pub use pools::Pools;
pub use snapshot::{Changes, NodeId, PodId, Snapshot};

use snapshot::is_pending;
use table::{Object, Table};

use crate::{
    CsiNode, DaemonSet, DisruptionBudget, LabelSet, Machine, Node, Owner, Pod, PodShape, PriorityClass, SigningRequest,
    StorageClass, Text, Volume, VolumeClaim, Workload, WorkloadKind,
};

/// The one owner of the cluster: changes go in, snapshots come out.
///
/// A snapshot shares with the one before all that has not changed, so taking one costs what has.
///
/// `upsert_` takes an object as it is now: new, changed, or as it was. A node or pod with the name of another and a
/// different UID takes its place, as if that one had been removed first. `remove_` of what is not there does
/// nothing.
#[derive(Debug)]
pub struct Cluster {
    pools: Pools,
    now: Snapshot,
    /// The last snapshot that was handed out.
    last: Arc<Snapshot>,
    node_slots: Slots,
    pod_slots: Slots,
    wide: bool,
    revision: u64,
    /// Where each machine of the list is from, with its name before it: what the list is sorted by.
    machine_keys: Vec<(Text, Text)>,
    /// Unfinished pods by a node that is not there, in the order of names.
    orphans: HashMap<Text, Vec<PodId>>,
}

/// Which slots of a table can be used, and which have been.
#[derive(Debug, Default)]
struct Slots {
    free: BTreeSet<u32>,
    /// Empty now, but not in the last snapshot.
    retired: Vec<u32>,
    /// Changed since the last snapshot.
    touched: BTreeSet<u32>,
}

// === impl Cluster ===

impl Default for Cluster {
    fn default() -> Self {
        static LINEAGES: AtomicU64 = AtomicU64::new(1);
        let now = Snapshot { lineage: LINEAGES.fetch_add(1, Relaxed), ..Snapshot::default() };
        Self {
            pools: Pools::default(),
            now,
            last: Arc::default(),
            node_slots: Slots::default(),
            pod_slots: Slots::default(),
            wide: true,
            revision: 0,
            machine_keys: Vec::new(),
            orphans: HashMap::new(),
        }
    }
}

impl Cluster {
    /// The cluster as it is now. Costs what has changed since the last one, not the cluster's size.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        let nodes = self.node_slots.settle(&mut self.now.nodes, &self.last.nodes);
        let pods = self.pod_slots.settle(&mut self.now.pods, &self.last.pods);
        while self.now.pods_by_node.len() > self.now.nodes.slots() {
            self.now.pods_by_node.pop_back();
        }
        let mut changes = Changes { wide: std::mem::take(&mut self.wide), ..Changes::default() };
        if self.now.version > 0 {
            changes.nodes = nodes.into_iter().map(NodeId).collect();
            changes.pods = pods.into_iter().map(PodId).collect();
        }
        self.now.version += 1;
        self.last = Arc::new(Snapshot { changes, ..self.now.clone() });
        self.last.clone()
    }

    /// Grows with every change that the next snapshot will show. What is put in as it was is none.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.now.find_node(name).map(|(_, node)| node)
    }

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

    /// A node as it is now.
    pub fn upsert_node(&mut self, node: Node) {
        if let Some((NodeId(slot), known)) = self.now.find_node(&node.name) {
            if known.same(&node) {
                return;
            }
            self.revision += 1;
            if known.uid == node.uid {
                self.now.nodes.replace(slot, node);
                self.node_slots.touched.insert(slot);
                return;
            }
            self.remove_node(&node.name);
        }
        self.revision += 1;
        let slot = self.node_slots.take(&self.now.nodes);
        let pods = Arc::new(self.orphans.remove(&node.name).unwrap_or_default());
        if let Some(place) = self.now.pods_by_node.get_mut(slot as usize) {
            *place = pods;
        } else {
            self.now.pods_by_node.push_back(pods);
        }
        self.now.node_ids.insert(node.name.clone(), NodeId(slot));
        self.now.nodes.add(slot, node);
    }

    /// A node is gone. Its pods may not be, and are its pods again if it comes back.
    pub fn remove_node(&mut self, name: &str) {
        let Some(NodeId(slot)) = self.now.node_ids.remove(name) else { return };
        if let Some(place) = self.now.pods_by_node.get_mut(slot as usize) {
            let pods = Arc::unwrap_or_clone(std::mem::take(place));
            if !pods.is_empty() {
                self.orphans.insert(self.pools.text(name), pods);
            }
        }
        self.revision += 1;
        self.now.nodes.remove(slot);
        self.node_slots.leave(slot, &self.last.nodes);
    }

    /// A pod as it is now.
    pub fn upsert_pod(&mut self, pod: Pod) {
        if let Some((slot, known)) = self.now.pods.find(pod.key()) {
            if known.same(&pod) {
                return;
            }
            self.revision += 1;
            let known = known.clone();
            if known.uid == pod.uid {
                self.index(PodId(slot), Some(&known), Some(&pod));
                self.now.pods.replace(slot, pod);
                self.pod_slots.touched.insert(slot);
                return;
            }
            self.remove_pod(&pod.namespace, &pod.name);
        }
        self.revision += 1;
        let slot = self.pod_slots.take(&self.now.pods);
        self.index(PodId(slot), None, Some(&pod));
        self.now.pods.add(slot, pod);
    }

    /// A pod is gone.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) {
        let Some((slot, known)) = self.now.pods.find((namespace, name)) else { return };
        let known = known.clone();
        self.index(PodId(slot), Some(&known), None);
        self.revision += 1;
        self.now.pods.remove(slot);
        self.pod_slots.leave(slot, &self.last.pods);
    }

    /// A budget as it is now.
    pub fn upsert_budget(&mut self, budget: DisruptionBudget) {
        let order = |a: &DisruptionBudget, b: &DisruptionBudget| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name));
        self.revision += u64::from(put(&mut self.now.budgets, budget, order));
    }

    /// A budget is gone.
    pub fn remove_budget(&mut self, namespace: &str, name: &str) {
        let key = (namespace, name);
        let order = |budget: &DisruptionBudget| (budget.namespace.as_str(), budget.name.as_str()).cmp(&key);
        self.revision += u64::from(take(&mut self.now.budgets, order));
    }

    /// A signing request as it is now.
    pub fn upsert_signing_request(&mut self, request: SigningRequest) {
        let order = |a: &SigningRequest, b: &SigningRequest| a.name.cmp(&b.name);
        self.revision += u64::from(put(&mut self.now.signing_requests, request, order));
    }

    /// A signing request is gone.
    pub fn remove_signing_request(&mut self, name: &str) {
        let order = |request: &SigningRequest| request.name.as_str().cmp(name);
        self.revision += u64::from(take(&mut self.now.signing_requests, order));
    }

    /// A machine of the inventory as it is now.
    pub fn upsert_machine(&mut self, machine: Machine) {
        self.upsert_machine_of("", machine);
    }

    /// A machine of one of several inventories, each of which may have one of this name.
    pub fn upsert_machine_of(&mut self, inventory: &str, machine: Machine) {
        let list = &mut self.now.machines;
        match self.machine_keys.binary_search_by(|known| order_of(known, &machine.name, inventory)) {
            Ok(place) if list.get(place) == Some(&machine) => return,
            Ok(place) => drop(list.set(place, machine)),
            Err(place) => {
                self.machine_keys.insert(place, (machine.name.clone(), self.pools.text(inventory)));
                list.insert(place, machine);
            }
        }
        self.revision += 1;
    }

    /// A machine is gone from the inventory.
    pub fn remove_machine(&mut self, name: &str) {
        self.remove_machine_of("", name);
    }

    /// A machine is gone from one of several inventories.
    pub fn remove_machine_of(&mut self, inventory: &str, name: &str) {
        if let Ok(place) = self.machine_keys.binary_search_by(|known| order_of(known, name, inventory)) {
            self.machine_keys.remove(place);
            self.now.machines.remove(place);
            self.revision += 1;
        }
    }

    /// A volume claim as it is now.
    pub fn upsert_claim(&mut self, claim: VolumeClaim) {
        let key = (claim.namespace.clone(), claim.name.clone());
        if self.now.claims.get(&key) != Some(&claim) {
            self.now.claims.insert(key, claim);
            self.changed_widely();
        }
    }

    /// A volume claim is gone.
    pub fn remove_claim(&mut self, namespace: &str, name: &str) {
        if self.now.claims.remove(&(namespace.into(), name.into())).is_some() {
            self.changed_widely();
        }
    }

    /// A volume as it is now.
    pub fn upsert_volume(&mut self, volume: Volume) {
        if self.now.volumes.get(&volume.name) != Some(&volume) {
            self.now.volumes.insert(volume.name.clone(), volume);
            self.changed_widely();
        }
    }

    /// A volume is gone.
    pub fn remove_volume(&mut self, name: &str) {
        if self.now.volumes.remove(name).is_some() {
            self.changed_widely();
        }
    }

    /// A storage class as it is now.
    pub fn upsert_storage_class(&mut self, class: StorageClass) {
        if self.now.storage_classes.get(&class.name) != Some(&class) {
            self.now.storage_classes.insert(class.name.clone(), class);
            self.changed_widely();
        }
    }

    /// A storage class is gone.
    pub fn remove_storage_class(&mut self, name: &str) {
        if self.now.storage_classes.remove(name).is_some() {
            self.changed_widely();
        }
    }

    /// What the CSI drivers say of a node now.
    pub fn upsert_csi_node(&mut self, csi_node: CsiNode) {
        if self.now.csi_nodes.get(&csi_node.node) != Some(&csi_node) {
            self.now.csi_nodes.insert(csi_node.node.clone(), csi_node);
            self.changed_widely();
        }
    }

    /// The CSI drivers say nothing more of a node.
    pub fn remove_csi_node(&mut self, node: &str) {
        if self.now.csi_nodes.remove(node).is_some() {
            self.changed_widely();
        }
    }

    /// A DaemonSet as it is now.
    pub fn upsert_daemon_set(&mut self, daemon_set: DaemonSet) {
        let key = (daemon_set.namespace.clone(), daemon_set.name.clone());
        if self.now.daemon_sets.get(&key) != Some(&daemon_set) {
            self.now.daemon_sets.insert(key, daemon_set);
            self.revision += 1;
        }
    }

    /// A DaemonSet is gone.
    pub fn remove_daemon_set(&mut self, namespace: &str, name: &str) {
        let gone = self.now.daemon_sets.remove(&(namespace.into(), name.into()));
        self.revision += u64::from(gone.is_some());
    }

    /// A priority class as it is now.
    pub fn upsert_priority_class(&mut self, class: PriorityClass) {
        if self.now.priority_classes.get(&class.name) != Some(&class) {
            self.now.priority_classes.insert(class.name.clone(), class);
            self.revision += 1;
        }
    }

    /// A priority class is gone.
    pub fn remove_priority_class(&mut self, name: &str) {
        self.revision += u64::from(self.now.priority_classes.remove(name).is_some());
    }

    /// A workload as it is now.
    pub fn upsert_workload(&mut self, workload: Workload) {
        let key = (workload.kind, workload.namespace.clone(), workload.name.clone());
        if self.now.workloads.get(&key) != Some(&workload) {
            self.now.workloads.insert(key, workload);
            self.revision += 1;
        }
    }

    /// A workload is gone.
    pub fn remove_workload(&mut self, kind: WorkloadKind, namespace: &str, name: &str) {
        let gone = self.now.workloads.remove(&(kind, namespace.into(), name.into()));
        self.revision += u64::from(gone.is_some());
    }

    /// A namespace with its labels as they are now.
    pub fn upsert_namespace(&mut self, name: Text, labels: Arc<LabelSet>) {
        if self.now.namespaces.get(&name) != Some(&labels) {
            self.now.namespaces.insert(name, labels);
            self.changed_widely();
        }
    }

    /// A namespace is gone.
    pub fn remove_namespace(&mut self, name: &str) {
        if self.now.namespaces.remove(name).is_some() {
            self.changed_widely();
        }
    }

    fn changed_widely(&mut self) {
        self.wide = true;
        self.revision += 1;
    }

    /// Keeps up every index of pods while one becomes another of its name. The table still holds the old one.
    fn index(&mut self, id: PodId, old: Option<&Pod>, new: Option<&Pod>) {
        let Some(pod) = old.or(new) else { return };
        let waited = old.is_some_and(is_pending);
        if waited != new.is_some_and(is_pending) {
            let compare = self.now.pods.against(pod.key());
            if waited {
                self.now.pending.remove(compare);
            } else {
                self.now.pending.insert(id.0, compare);
            }
        }
        // Everything else is about pods that have not finished.
        let (was, is) = (old.filter(|pod| !pod.finished()), new.filter(|pod| !pod.finished()));
        if home(was) != home(is) {
            home(was).into_iter().for_each(|node| self.leave(node, pod));
            home(is).into_iter().for_each(|node| self.enter(node, pod, id));
        }
        if owner(was) != owner(is) {
            owner(was).into_iter().for_each(|owner| self.one_less(owner));
            owner(is).into_iter().for_each(|owner| *self.now.replicas.entry(owner.clone()).or_default() += 1);
        }
        if claims(was) != claims(is) {
            let user = |claim: &Text| (pod.namespace.clone(), claim.clone(), id);
            for claim in claims(was) {
                self.now.claim_users.remove(&user(claim));
            }
            for claim in claims(is) {
                self.now.claim_users.insert(user(claim));
            }
        }
    }

    /// The pods of a node, which may not be there, and the table by whose names they are sorted.
    fn pods_of(&mut self, node: &Text) -> (&mut Vec<PodId>, &Table<Pod>) {
        let slot = self.now.node_ids.get(node).map(|id| id.0 as usize);
        let pods = match slot.and_then(|slot| self.now.pods_by_node.get_mut(slot)) {
            Some(pods) => Arc::make_mut(pods),
            None => self.orphans.entry(node.clone()).or_default(),
        };
        (pods, &self.now.pods)
    }

    fn enter(&mut self, node: &Text, pod: &Pod, id: PodId) {
        let (pods, table) = self.pods_of(node);
        let compare = table.against(pod.key());
        // What comes in the order of names needs no search.
        let place = match pods.last() {
            Some(last) if compare(last.0).is_gt() => pods.partition_point(|known| compare(known.0).is_lt()),
            _ => pods.len(),
        };
        pods.insert(place, id);
    }

    fn leave(&mut self, node: &Text, pod: &Pod) {
        let (pods, table) = self.pods_of(node);
        if let Ok(place) = pods.binary_search_by(|known| table.against(pod.key())(known.0)) {
            pods.remove(place);
        }
        if pods.is_empty() {
            self.orphans.remove(node);
        }
    }

    fn one_less(&mut self, owner: &Owner) {
        if let Some(replicas) = self.now.replicas.get_mut(owner) {
            *replicas -= 1;
            if *replicas == 0 {
                self.now.replicas.remove(owner);
            }
        }
    }
}

fn home(pod: Option<&Pod>) -> Option<&Text> {
    pod?.node.as_ref()
}

fn owner(pod: Option<&Pod>) -> Option<&Arc<Owner>> {
    pod?.owner.as_ref()
}

fn claims(pod: Option<&Pod>) -> &[Text] {
    pod.map_or(&[], |pod| &pod.claims)
}

fn order_of((known, of): &(Text, Text), name: &str, inventory: &str) -> Ordering {
    (known.as_str(), of.as_str()).cmp(&(name, inventory))
}

/// Puts an item into a sorted list, over the one that compares as equal if there is one. True if that changes
/// anything.
fn put<T: Clone + PartialEq>(list: &mut Vector<T>, item: T, order: impl Fn(&T, &T) -> Ordering) -> bool {
    match list.binary_search_by(|known| order(known, &item)) {
        Ok(place) if list.get(place) == Some(&item) => return false,
        Ok(place) => drop(list.set(place, item)),
        Err(place) => list.insert(place, item),
    }
    true
}

/// Takes the item that compares as equal out of a sorted list. True if there was one.
fn take<T: Clone>(list: &mut Vector<T>, compare: impl Fn(&T) -> Ordering) -> bool {
    let place = list.binary_search_by(compare);
    place.map(|place| list.remove(place)).is_ok()
}

// === impl Slots ===

impl Slots {
    /// A slot for something new: the lowest that is free, so that those past the end, which are all free, follow
    /// each other.
    fn take<T: Object>(&mut self, table: &Table<T>) -> u32 {
        let next = || u32::try_from(table.slots()).unwrap_or(u32::MAX);
        let slot = self.free.pop_first().unwrap_or_else(next);
        self.touched.insert(slot);
        slot
    }

    /// What was in a slot is gone. Until a snapshot says so, nothing else comes where the last one has something.
    fn leave<T: Object>(&mut self, slot: u32, last: &Table<T>) {
        self.touched.insert(slot);
        if last.get(slot).is_some() {
            self.retired.push(slot);
        } else {
            self.free.insert(slot);
        }
    }

    /// Makes ready for a snapshot: which slots differ from the last one, sorted.
    fn settle<T: Object>(&mut self, table: &mut Table<T>, last: &Table<T>) -> Vec<u32> {
        self.free.extend(self.retired.drain(..));
        table.trim();
        std::mem::take(&mut self.touched).into_iter().filter(|&slot| table.differs(last, slot)).collect()
    }
}
