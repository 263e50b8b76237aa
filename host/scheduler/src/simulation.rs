//! The nodes of a cluster with the pods on them, and what a scheduler counts about both.
//!
//! ```text
//!   Snapshot ──> Simulation ─┬─ nodes: what is free, which classes run there
//!                            ├─ classes: pods that a scheduler cannot tell apart
//!                            └─ trackers: pods by topology domain, one for each thing that a rule asks
//! ```
//!
//! Pods can be added and removed for trial and taken back with [`Simulation::rollback`].

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{NodeId, Pod, PodId, Resources, Snapshot, Text};
use rustc_hash::FxHashMap;

use crate::class::ClassKey;
use crate::profile::{SchedulerProfile, Trimmed};
use crate::rules::{Counters, Rules};
use crate::score::Wishes;
use crate::selection::{Namespaces, Selection};
use crate::supply::Supplies;
use crate::sync::{Mounts, Stand};
use crate::topology::{KeyId, Place, Topology};
use crate::tracker::{Counted, Scope, Tracker, TrackerId};
use crate::trial::Step;
use crate::volumes::VolumeNeeds;
use crate::{ClassId, NodeState, PodClass};

/// A cluster in which pods can be placed for trial.
#[derive(Debug, Default)]
pub struct Simulation {
    pub(crate) profile: SchedulerProfile,
    /// Which snapshot it shows.
    pub(crate) stand: Stand,
    trimmed: Trimmed,
    supplies: Supplies,
    pub(crate) namespaces: Namespaces,
    pub(crate) topology: Topology,
    pub(crate) classes: Vec<ClassEntry>,
    class_ids: FxHashMap<ClassKey, ClassId>,
    classes_by_namespace: HashMap<Text, Vec<ClassId>>,
    pub(crate) trackers: Vec<Tracker>,
    tracker_ids: HashMap<(KeyId, Counted), TrackerId>,
    /// For the nodes on which spread constraints count, the first counter that does.
    scopes: HashMap<Arc<Scope>, TrackerId>,
    trackers_by_namespace: HashMap<Text, Vec<TrackerId>>,
    /// Trackers whose namespaces cannot be listed.
    wide_trackers: Vec<TrackerId>,
    pub(crate) nodes: Vec<Option<SimulatedNode>>,
    /// Where each pod of the snapshot is counted.
    pub(crate) pods: Vec<Option<(ClassId, NodeId)>>,
    /// Unfinished pods with claims, which tell what other pods with the same claims need.
    pub(crate) mounts: FxHashMap<PodId, Mounts>,
    /// What was done since the oldest mark.
    pub(crate) journal: Vec<Step>,
    pub(crate) marks: usize,
    /// Something was changed for good that the snapshot does not have.
    pub(crate) strayed: bool,
}

#[derive(Debug)]
pub(crate) struct ClassEntry {
    pub(crate) class: PodClass,
    /// How many pods of the class are on nodes.
    pub(crate) pods: u32,
    /// The version of the snapshot when somebody last asked for the class.
    pub(crate) asked: u64,
    /// Counters that count pods of the class.
    pub(crate) feeds: Vec<TrackerId>,
    /// Made when the first pod of the class wants a place.
    pub(crate) rules: Option<Arc<Rules>>,
    /// Made with the rules; `None` also without wishes about other pods.
    pub(crate) wishes: Option<Wishes>,
}

#[derive(Debug)]
pub(crate) struct SimulatedNode {
    pub(crate) state: NodeState,
    pub(crate) allocatable: Resources,
    pub(crate) place: Place,
    /// Ready and not being deleted: new pods may come.
    pub(crate) open: bool,
    pub(crate) pods: Vec<(ClassId, u32)>,
    /// Those of them that the snapshot has.
    pub(crate) ids: Vec<PodId>,
}

// === impl Simulation: what there is ===

impl Simulation {
    /// The nodes of a snapshot with the pods on them.
    pub fn new(snapshot: &Snapshot) -> Self {
        Self::with_profile(snapshot, SchedulerProfile::default())
    }

    /// How the scheduler that is simulated is configured.
    pub fn profile(&self) -> &SchedulerProfile {
        &self.profile
    }

    /// The same for a scheduler that is configured like this.
    pub fn with_profile(snapshot: &Snapshot, profile: SchedulerProfile) -> Self {
        let mut simulation = Self {
            profile,
            stand: Stand::of(snapshot),
            namespaces: snapshot.namespaces().map(|(name, labels)| (name.clone(), labels.clone())).collect(),
            ..Self::default()
        };
        for (id, _) in snapshot.nodes() {
            simulation.put_node(snapshot, id);
        }
        for (id, pod) in snapshot.pods() {
            simulation.put_pod(snapshot, id, pod);
        }
        simulation
    }

    /// The nodes that pods may be placed on, by id.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &NodeState)> {
        let known = self.nodes.iter().zip(0u32..).filter_map(|(node, id)| Some((NodeId(id), node.as_ref()?)));
        known.filter(|(_, node)| node.open).map(|(id, node)| (id, &node.state))
    }

    /// A node with what is free on it; `None` for an id that is no node.
    pub fn node(&self, id: NodeId) -> Option<&NodeState> {
        self.simulated(id).map(|node| &node.state)
    }

    /// True if new pods may come to a node: it is ready, is not being deleted and was not closed.
    pub fn is_open(&self, id: NodeId) -> bool {
        self.simulated(id).is_some_and(|node| node.open)
    }

    /// The pods on a node by class.
    pub fn pods_on(&self, id: NodeId) -> &[(ClassId, u32)] {
        self.simulated(id).map_or(&[], |node| &node.pods)
    }

    /// What a class is.
    pub fn class(&self, id: ClassId) -> &PodClass {
        &self.classes[id.0 as usize].class
    }

    pub(crate) fn place(&self, id: NodeId) -> Option<&Place> {
        self.simulated(id).map(|node| &node.place)
    }

    pub(crate) fn simulated(&self, id: NodeId) -> Option<&SimulatedNode> {
        self.nodes.get(id.0 as usize)?.as_ref()
    }

    /// The class of a pod, new if none like it was met before.
    pub fn class_of(&mut self, snapshot: &Snapshot, pod: &Pod) -> ClassId {
        let volumes = VolumeNeeds::with(snapshot, pod, &mut self.supplies).map(Arc::new);
        self.intern(PodClass {
            namespace: pod.namespace.clone(),
            labels: pod.labels.clone(),
            shape: pod.shape.clone(),
            terminating: pod.deletion.is_some(),
            volumes,
        })
    }

    /// The id of a class, which may be of pods that no snapshot has.
    pub fn intern(&mut self, mut class: PodClass) -> ClassId {
        class.shape = self.profile.trim(class.shape, &mut self.trimmed);
        let key = class.key();
        if let Some(&known) = self.class_ids.get(&key) {
            self.classes[known.0 as usize].asked = self.stand.version;
            return known;
        }
        let id = ClassId(u32::try_from(self.classes.len()).unwrap_or(u32::MAX));
        let mut feeds: Vec<TrackerId> = self
            .trackers_concerning(&class.namespace)
            .filter(|&tracker| self.trackers[tracker.0 as usize].counted.counts(&class, &self.namespaces))
            .collect();
        self.class_ids.insert(key, id);
        self.classes_by_namespace.entry(class.namespace.clone()).or_default().push(id);
        let shape = class.shape.clone();
        for term in &shape.inter_pod.anti_affinity {
            let selection = Selection::of(term, &class.namespace);
            let key = self.key_id(&term.topology_key);
            let (tracker, new) = self.tracker_id(key, Counted::Repelling(selection));
            if new {
                self.announce(tracker);
            }
            feeds.push(tracker);
        }
        feeds.sort_unstable();
        feeds.dedup();
        self.classes.push(ClassEntry { class, pods: 0, asked: self.stand.version, feeds, rules: None, wishes: None });
        id
    }

    pub(crate) fn trackers_concerning<'a>(&'a self, namespace: &Text) -> impl Iterator<Item = TrackerId> + use<'a> {
        self.trackers_by_namespace.get(namespace).into_iter().flatten().chain(&self.wide_trackers).copied()
    }

    pub(crate) fn classes_concerned<'a>(&'a self, counted: &'a Counted) -> impl Iterator<Item = ClassId> + 'a {
        let named = counted.namespaces();
        let by_name = named.into_iter().flatten().filter_map(|name| self.classes_by_namespace.get(name)).flatten();
        let all = if named.is_none() { self.classes.len() } else { 0 };
        by_name.copied().chain((0..all).map(|at| ClassId(u32::try_from(at).unwrap_or(u32::MAX))))
    }

    /// A key's id; where it is new, every node's place learns it.
    pub(crate) fn key_id(&mut self, name: &Text) -> KeyId {
        let (key, new) = self.topology.key(name);
        if new {
            for node in self.nodes.iter_mut().flatten() {
                self.topology.complete(&mut node.place, &node.state.labels);
            }
        }
        key
    }

    /// The counter of this, and whether it is new: then it counts nothing yet.
    pub(crate) fn tracker_id(&mut self, key: KeyId, mut counted: Counted) -> (TrackerId, bool) {
        if let Some(&known) = self.tracker_ids.get(&(key, counted.clone())) {
            return (known, false);
        }
        // Many constraints count on the same nodes: what one has found out holds for the next.
        let mut like = None;
        if let Counted::Spread(spread) = &mut counted
            && let Some((scope, id)) = self.scopes.get_key_value(&spread.scope)
        {
            spread.scope = scope.clone();
            like = Some(&self.trackers[id.0 as usize]);
        }
        let id = TrackerId(u32::try_from(self.trackers.len()).unwrap_or(u32::MAX));
        match counted.namespaces() {
            None => self.wide_trackers.push(id),
            Some(names) => {
                for name in names {
                    let known = self.trackers_by_namespace.entry(name.clone()).or_default();
                    if known.last() != Some(&id) {
                        known.push(id);
                    }
                }
            }
        }
        let mut tracker = Tracker::new(key, counted.clone());
        for (at, node) in self.nodes.iter().enumerate() {
            match (node, like) {
                (Some(node), None) => tracker.add_node(at, &node.state, node.place.domain(key)),
                (Some(node), Some(like)) if like.eligible(at) => {
                    tracker.add_counting_node(at, node.place.domain(key));
                }
                _ => {}
            }
        }
        if let Counted::Spread(spread) = &counted {
            self.scopes.entry(spread.scope.clone()).or_insert(id);
        }
        self.trackers.push(tracker);
        self.tracker_ids.insert((key, counted), id);
        (id, true)
    }

    /// Tells the classes that already have rules of a new kind of repelling pods.
    fn announce(&mut self, tracker: TrackerId) {
        let Counted::Repelling(selection) = &self.trackers[tracker.0 as usize].counted else { return };
        for entry in &mut self.classes {
            if let Some(rules) = &mut entry.rules
                && selection.repels(&entry.class, &self.namespaces)
            {
                Arc::make_mut(rules).repelled.push(tracker);
            }
        }
    }

    // === Pods come and go ===

    /// The class and node under which a pod of the snapshot is counted.
    pub fn placed(&self, pod: PodId) -> Option<(ClassId, NodeId)> {
        self.pods.get(pod.0 as usize).copied().flatten()
    }

    pub(crate) fn add_pods(&mut self, class: ClassId, id: NodeId, count: u32) {
        let Some(Some(node)) = self.nodes.get_mut(id.0 as usize) else { return };
        let entry = &mut self.classes[class.0 as usize];
        entry.pods = entry.pods.saturating_add(count);
        node.state.add(&entry.class.shape, count);
        if let Some(volumes) = &entry.class.volumes {
            node.state.attached.add(volumes, count);
        }
        match node.pods.iter_mut().find(|(known, _)| *known == class) {
            Some((_, pods)) => *pods = pods.saturating_add(count),
            None => node.pods.push((class, count)),
        }
        for &feed in &entry.feeds {
            let tracker = &mut self.trackers[feed.0 as usize];
            if let Some(domain) = node.place.domain(tracker.key)
                && tracker.eligible(id.0 as usize)
            {
                tracker.add(domain, count);
            }
        }
    }

    pub(crate) fn remove_pods(&mut self, class: ClassId, id: NodeId, count: u32) {
        let Some(Some(node)) = self.nodes.get_mut(id.0 as usize) else { return };
        let Some(at) = node.pods.iter().position(|(known, _)| *known == class) else { return };
        let count = count.min(node.pods[at].1);
        node.pods[at].1 -= count;
        if node.pods[at].1 == 0 {
            node.pods.swap_remove(at);
        }
        let entry = &mut self.classes[class.0 as usize];
        entry.pods = entry.pods.saturating_sub(count);
        // What is free does not fall below zero, so that it cannot be given back: it is added up again.
        let classes = &self.classes;
        node.state.clear(&node.allocatable);
        for &(known, pods) in &node.pods {
            let class = &classes[known.0 as usize].class;
            node.state.add(&class.shape, pods);
            if let Some(volumes) = &class.volumes {
                node.state.attached.add(volumes, pods);
            }
        }
        for &feed in &classes[class.0 as usize].feeds {
            let tracker = &mut self.trackers[feed.0 as usize];
            if let Some(domain) = node.place.domain(tracker.key)
                && tracker.eligible(id.0 as usize)
            {
                tracker.remove(domain, count);
            }
        }
    }
}

impl Counters for Simulation {
    fn tracker(&self, id: TrackerId) -> &Tracker {
        &self.trackers[id.0 as usize]
    }
}
