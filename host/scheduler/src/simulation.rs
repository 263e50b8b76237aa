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

use plimsoll_model::{NodeId, Pod, PodAffinityTerm, PodId, Resources, Snapshot, Text};
use rustc_hash::FxHashMap;

use crate::class::ClassKey;
use crate::rules::{Counters, Rules, SpreadRule};
use crate::selection::{Namespaces, Selection};
use crate::topology::{DomainId, KeyId, Place, Topology};
use crate::tracker::{Counted, SpreadCount, Tracker, TrackerId};
use crate::volumes::VolumeNeeds;
use crate::{ClassId, NodeState, PodClass};

/// A cluster in which pods can be placed for trial.
#[derive(Debug, Default)]
pub struct Simulation {
    namespaces: Namespaces,
    pub(crate) topology: Topology,
    classes: Vec<ClassEntry>,
    class_ids: FxHashMap<ClassKey, ClassId>,
    classes_by_namespace: HashMap<Text, Vec<ClassId>>,
    trackers: Vec<Tracker>,
    tracker_ids: HashMap<(KeyId, Counted), TrackerId>,
    trackers_by_namespace: HashMap<Text, Vec<TrackerId>>,
    /// Trackers whose namespaces cannot be listed.
    wide_trackers: Vec<TrackerId>,
    nodes: Vec<Option<SimulatedNode>>,
    /// Where each pod of the snapshot is counted.
    pods: Vec<Option<(ClassId, NodeId)>>,
    /// What was done since the oldest mark.
    journal: Vec<Step>,
    marks: usize,
}

/// A moment to which a simulation can be taken back.
#[derive(Debug)]
#[must_use = "a trial that is not rolled back stays"]
pub struct Mark(usize);

#[derive(Debug)]
struct ClassEntry {
    class: PodClass,
    /// Counters that count pods of the class.
    feeds: Vec<TrackerId>,
    /// Made when the first pod of the class wants a place.
    rules: Option<Arc<Rules>>,
}

#[derive(Debug)]
struct SimulatedNode {
    state: NodeState,
    allocatable: Resources,
    place: Place,
    /// Ready and not being deleted: new pods may come.
    open: bool,
    pods: Vec<(ClassId, u32)>,
}

#[derive(Debug)]
enum Step {
    Added(ClassId, NodeId, u32),
    Removed(ClassId, NodeId, u32),
    Closed(NodeId),
    Counted(TrackerId, DomainId, u32),
    Grown(TrackerId, DomainId, u32),
}

// === impl Simulation: what there is ===

impl Simulation {
    /// The nodes of a snapshot with the pods on them.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut simulation = Self {
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

    fn simulated(&self, id: NodeId) -> Option<&SimulatedNode> {
        self.nodes.get(id.0 as usize)?.as_ref()
    }

    /// The class of a pod, new if none like it was met before.
    pub fn class_of(&mut self, snapshot: &Snapshot, pod: &Pod) -> ClassId {
        self.intern(PodClass {
            namespace: pod.namespace.clone(),
            labels: pod.labels.clone(),
            shape: pod.shape.clone(),
            terminating: pod.deletion.is_some(),
            volumes: VolumeNeeds::of(snapshot, pod).map(Arc::new),
        })
    }

    /// The id of a class, which may be of pods that no snapshot has.
    pub fn intern(&mut self, class: PodClass) -> ClassId {
        let key = class.key();
        if let Some(&known) = self.class_ids.get(&key) {
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
            let key = self.key(&term.topology_key);
            let (tracker, new) = self.tracker_id(key, Counted::Repelling(selection));
            if new {
                self.announce(tracker);
            }
            feeds.push(tracker);
        }
        feeds.sort_unstable();
        feeds.dedup();
        self.classes.push(ClassEntry { class, feeds, rules: None });
        id
    }

    fn trackers_concerning<'a>(&'a self, namespace: &Text) -> impl Iterator<Item = TrackerId> + use<'a> {
        self.trackers_by_namespace.get(namespace).into_iter().flatten().chain(&self.wide_trackers).copied()
    }

    fn classes_concerned<'a>(&'a self, counted: &'a Counted) -> impl Iterator<Item = ClassId> + 'a {
        let named = counted.namespaces();
        let by_name = named.into_iter().flatten().filter_map(|name| self.classes_by_namespace.get(name)).flatten();
        let all = if named.is_none() { self.classes.len() } else { 0 };
        by_name.copied().chain((0..all).map(|at| ClassId(u32::try_from(at).unwrap_or(u32::MAX))))
    }

    /// A key's id; where it is new, every node's place learns it.
    fn key(&mut self, name: &Text) -> KeyId {
        let (key, new) = self.topology.key(name);
        if new {
            for node in self.nodes.iter_mut().flatten() {
                self.topology.complete(&mut node.place, &node.state.labels);
            }
        }
        key
    }

    /// The counter of this, and whether it is new: then it counts nothing yet.
    fn tracker_id(&mut self, key: KeyId, counted: Counted) -> (TrackerId, bool) {
        if let Some(&known) = self.tracker_ids.get(&(key, counted.clone())) {
            return (known, false);
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
            if let Some(node) = node {
                tracker.add_node(at, &node.state, node.place.domain(key));
            }
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
                && selection.selects(&entry.class, &self.namespaces)
            {
                Arc::make_mut(rules).repelled.push(tracker);
            }
        }
    }

    // === Changes of the cluster ===

    fn put_node(&mut self, snapshot: &Snapshot, id: NodeId) {
        let node = snapshot.node(id);
        let state = NodeState::empty(snapshot, id);
        let place = self.topology.place(&state.labels);
        let at = id.0 as usize;
        if self.nodes.len() <= at {
            self.nodes.resize_with(at + 1, || None);
        }
        for tracker in &mut self.trackers {
            tracker.add_node(at, &state, place.domain(tracker.key));
        }
        let open = node.ready && !node.deleting;
        self.nodes[at] =
            Some(SimulatedNode { state, allocatable: node.allocatable.clone(), place, open, pods: Vec::new() });
    }

    fn put_pod(&mut self, snapshot: &Snapshot, id: PodId, pod: &Pod) {
        let Some((node, _)) = pod.node.as_ref().filter(|_| !pod.finished()).and_then(|name| snapshot.find_node(name))
        else {
            return;
        };
        let class = self.class_of(snapshot, pod);
        self.add_pods(class, node, 1);
        let at = id.0 as usize;
        if self.pods.len() <= at {
            self.pods.resize(at + 1, None);
        }
        self.pods[at] = Some((class, node));
    }

    /// The class and node under which a pod of the snapshot is counted.
    pub fn placed(&self, pod: PodId) -> Option<(ClassId, NodeId)> {
        self.pods.get(pod.0 as usize).copied().flatten()
    }

    fn add_pods(&mut self, class: ClassId, id: NodeId, count: u32) {
        let Some(Some(node)) = self.nodes.get_mut(id.0 as usize) else { return };
        let entry = &self.classes[class.0 as usize];
        node.state.add(&entry.class.shape, count);
        if let Some(volumes) = &entry.class.volumes {
            node.state.attached.add(volumes, count);
        }
        match node.pods.iter_mut().find(|(known, _)| *known == class) {
            Some((_, pods)) => *pods += count,
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

    fn remove_pods(&mut self, class: ClassId, id: NodeId, count: u32) {
        let Some(Some(node)) = self.nodes.get_mut(id.0 as usize) else { return };
        let Some(at) = node.pods.iter().position(|(known, _)| *known == class) else { return };
        let count = count.min(node.pods[at].1);
        node.pods[at].1 -= count;
        if node.pods[at].1 == 0 {
            node.pods.swap_remove(at);
        }
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

    // === Wanting a place ===

    /// Makes the rules of classes that want a place, and counts whatever they ask about.
    pub fn prepare(&mut self, classes: &[ClassId]) {
        let mut fresh: Vec<TrackerId> = Vec::new();
        for &id in classes {
            if self.classes[id.0 as usize].rules.is_some() {
                continue;
            }
            let class = self.classes[id.0 as usize].class.clone();
            let rules = self.rules_of(&class, &mut fresh);
            self.classes[id.0 as usize].rules = Some(Arc::new(rules));
        }
        self.count_existing(&fresh);
    }

    fn rules_of(&mut self, class: &PodClass, fresh: &mut Vec<TrackerId>) -> Rules {
        let rules = &class.shape.inter_pod;
        let terms: Vec<Selection> = rules.affinity.iter().map(|term| Selection::of(term, &class.namespace)).collect();
        let near_itself = !terms.is_empty() && terms.iter().all(|term| term.selects(class, &self.namespaces));
        let near = rules
            .affinity
            .iter()
            .map(|term| self.tracker(&term.topology_key, Counted::Selected(terms.clone()), fresh))
            .collect();
        let away = rules.anti_affinity.iter().map(|term| self.selected(term, &class.namespace, fresh)).collect();
        let repelled = self
            .trackers_concerning(&class.namespace)
            .filter(|tracker| match &self.trackers[tracker.0 as usize].counted {
                Counted::Repelling(selection) => selection.selects(class, &self.namespaces),
                _ => false,
            })
            .collect();
        let spread = rules
            .spread
            .iter()
            .map(|constraint| {
                let counted =
                    Counted::Spread(SpreadCount::of(constraint, &rules.spread, &class.shape, &class.namespace));
                SpreadRule {
                    // Unlike the count, this does not leave an empty selector out (`Filter` of kube-scheduler).
                    counts_itself: constraint.selector.as_ref().is_some_and(|all| all.matches(&class.labels)),
                    tracker: self.tracker(&constraint.topology_key, counted, fresh),
                    max_skew: constraint.max_skew,
                    min_domains: constraint.min_domains.unwrap_or(1),
                }
            })
            .collect();
        Rules { near, near_itself, away, repelled, spread }
    }

    /// The counter of the pods that one term selects.
    fn selected(&mut self, term: &PodAffinityTerm, namespace: &Text, fresh: &mut Vec<TrackerId>) -> TrackerId {
        let selection = Selection::of(term, namespace);
        self.tracker(&term.topology_key, Counted::Selected(vec![selection]), fresh)
    }

    fn tracker(&mut self, key: &Text, counted: Counted, fresh: &mut Vec<TrackerId>) -> TrackerId {
        let key = self.key(key);
        let (id, new) = self.tracker_id(key, counted);
        if new {
            fresh.push(id);
        }
        id
    }

    /// Counts the pods that are there already, all new counters in one pass.
    fn count_existing(&mut self, fresh: &[TrackerId]) {
        if fresh.is_empty() {
            return;
        }
        let mut feeds: FxHashMap<ClassId, Vec<TrackerId>> = FxHashMap::default();
        for &id in fresh {
            let counted = &self.trackers[id.0 as usize].counted;
            for class in self.classes_concerned(counted) {
                if counted.counts(&self.classes[class.0 as usize].class, &self.namespaces) {
                    feeds.entry(class).or_default().push(id);
                }
            }
        }
        for (class, new) in &feeds {
            self.classes[class.0 as usize].feeds.extend(new);
        }
        for (at, node) in self.nodes.iter().enumerate() {
            for (class, pods) in node.iter().flat_map(|node| &node.pods) {
                for feed in feeds.get(class).into_iter().flatten() {
                    let tracker = &mut self.trackers[feed.0 as usize];
                    let domain = node.as_ref().and_then(|node| node.place.domain(tracker.key));
                    if let Some(domain) = domain
                        && tracker.eligible(at)
                    {
                        tracker.add(domain, *pods);
                    }
                }
            }
        }
    }

    /// The rules of a class, which must be prepared.
    pub(crate) fn rules(&self, class: ClassId) -> Option<&Arc<Rules>> {
        self.classes[class.0 as usize].rules.as_ref()
    }

    /// The counters that count pods of a class.
    pub(crate) fn feeds(&self, class: ClassId) -> &[TrackerId] {
        &self.classes[class.0 as usize].feeds
    }

    /// How many counters there are.
    pub(crate) fn tracker_count(&self) -> usize {
        self.trackers.len()
    }

    // === Trial ===

    /// Remembers the present state.
    pub fn mark(&mut self) -> Mark {
        self.marks += 1;
        Mark(self.journal.len())
    }

    /// Takes everything back that was done since the mark. Marks are taken back in reverse order.
    pub fn rollback(&mut self, mark: Mark) {
        while self.journal.len() > mark.0 {
            match self.journal.pop() {
                Some(Step::Added(class, node, count)) => self.remove_pods(class, node, count),
                Some(Step::Removed(class, node, count)) => self.add_pods(class, node, count),
                Some(Step::Closed(node)) => self.set_open(node, true),
                Some(Step::Counted(tracker, domain, count)) => {
                    self.trackers[tracker.0 as usize].remove(domain, count);
                }
                Some(Step::Grown(tracker, domain, nodes)) => {
                    self.trackers[tracker.0 as usize].remove_nodes(domain, nodes);
                }
                None => break,
            }
        }
        self.marks = self.marks.saturating_sub(1);
    }

    /// Puts pods on a node, whether they fit or not.
    pub fn add(&mut self, class: ClassId, node: NodeId, count: u32) {
        if count > 0 && self.simulated(node).is_some() {
            self.add_pods(class, node, count);
            self.record(Step::Added(class, node, count));
        }
    }

    /// Takes pods off a node, as many as there are.
    pub fn remove(&mut self, class: ClassId, node: NodeId, count: u32) {
        let there = self.pods_on(node).iter().find(|(known, _)| *known == class).map_or(0, |(_, pods)| *pods);
        let count = count.min(there);
        if count > 0 {
            self.remove_pods(class, node, count);
            self.record(Step::Removed(class, node, count));
        }
    }

    /// Lets no more pods come to a node.
    pub fn close(&mut self, node: NodeId) {
        if self.is_open(node) {
            self.set_open(node, false);
            self.record(Step::Closed(node));
        }
    }

    fn set_open(&mut self, node: NodeId, open: bool) {
        if let Some(Some(node)) = self.nodes.get_mut(node.0 as usize) {
            node.open = open;
        }
    }

    /// Counts pods in a domain that are on no node of the simulation.
    pub(crate) fn count_more(&mut self, tracker: TrackerId, domain: DomainId, pods: u32) {
        self.trackers[tracker.0 as usize].add(domain, pods);
        self.record(Step::Counted(tracker, domain, pods));
    }

    /// Counts nodes in a domain that the simulation does not have.
    pub(crate) fn grow_domain(&mut self, tracker: TrackerId, domain: DomainId, nodes: u32) {
        self.trackers[tracker.0 as usize].add_nodes(domain, nodes);
        self.record(Step::Grown(tracker, domain, nodes));
    }

    fn record(&mut self, step: Step) {
        if self.marks > 0 {
            self.journal.push(step);
        }
    }
}

impl Counters for Simulation {
    fn tracker(&self, id: TrackerId) -> &Tracker {
        &self.trackers[id.0 as usize]
    }
}
