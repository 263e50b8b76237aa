//! A cluster that lives in virtual time: its objects are those of the API server of the tests, its controllers are here.
//!
//! ```text
//!   queue ──> event ──> store ── what changed ──> rows ─┬─> controllers: events to come, writes
//!     ▲                                                 └─> log, from which each replica reads with its own delay
//!     └───────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A controller looks at what changed and at nothing else, so that a day costs what happens in it.

mod budgets;
mod cloud;
mod kubelet;
mod object;
mod scheduler;
mod workloads;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_apiserver::{ManualClock, Refusal, Store};
use plimsoll_model::{Cluster, Millis, NodeGroup, Pod, Snapshot, Text, Timestamp, Uid};
use plimsoll_scheduler::Simulation;
use serde_json::Value;

pub use cloud::{Cloud, Machine, MachineStage};
pub use object::{PodSpec, owner_of};
pub use workloads::{Deployment, Set, SetId};

use crate::chance::{Chance, Seed};
use crate::queue::later;
use crate::row::{Decoder, Entry, RESOURCES, Row};

/// When every run begins: Monday, 2026-01-05, midnight in UTC.
pub const START: Timestamp = Timestamp(1_767_571_200_000);

/// Events that a kind of object remembers; the world reads them after every event.
const WINDOW: usize = 50_000;

/// How fast the cluster is.
#[derive(Clone, Debug)]
pub struct Pace {
    /// From bound to ready, least and most.
    pub pod_start: (Millis, Millis),
    /// From launched to joined, least and most.
    pub boot: (Millis, Millis),
    /// From removed to gone, least and most.
    pub shutdown: (Millis, Millis),
    /// Until the status of a budget follows its pods.
    pub budgets: Millis,
    /// Whether the cloud deletes the Node of a machine that is gone.
    pub cloud_deletes_nodes: bool,
    /// The DaemonSet pods on each node take this much CPU; none for 0.
    pub daemon_cpu: u64,
    /// Pods and workloads that hold one VM of a trace each have no objects beside their pods.
    pub bare_sets: bool,
}

/// What will happen by itself.
#[derive(Clone, Debug)]
pub enum Event {
    /// Pods without a node are looked at.
    Schedule,
    /// A pod has started.
    PodReady(PodKey, Uid),
    /// A pod has stopped.
    PodStopped(PodKey, Uid),
    /// Pods of a node that is gone are removed.
    CollectPods(Text),
    /// A set of pods is compared with what is wanted.
    Reconcile(SetId),
    /// Budgets are counted again.
    Budgets,
    /// This budget is.
    Recount(PodKey),
    /// A machine becomes a node.
    Joins(usize),
    /// A node is ready.
    NodeReady(usize),
    /// A machine is gone.
    MachineGone(usize),
    /// The Node of a machine that is gone is deleted.
    NodeDeleted(Text),
    /// The finalizers of a pod are through.
    Finalized(PodKey, Uid),
}

/// Namespace and name of a pod.
pub type PodKey = (Text, Text);

/// What happened that invariants and reports ask about.
#[derive(Clone, Debug)]
pub enum Occurrence {
    /// A pod became ready.
    PodReady(PodKey, Uid),
    /// A pod got a node, after waiting so long.
    Bound(PodKey, Millis),
    /// A pod is gone; true if it died with its machine.
    PodGone(PodKey, Uid, bool),
    /// A machine joined as this node.
    Joined(Text),
    /// A machine is gone with these pods still on its node.
    MachineGone(Text, Vec<PodKey>),
}

/// The cluster.
#[derive(Debug)]
pub struct World {
    /// The objects.
    pub store: Store,
    /// Now.
    pub now: Timestamp,
    /// The cluster as it is.
    pub cluster: Cluster,
    /// What was true after the last event.
    pub snapshot: Arc<Snapshot>,
    /// What changed, oldest first; whoever has read something tells [`World::forget`].
    pub log: VecDeque<Entry>,
    /// Its machines.
    pub cloud: Cloud,
    /// What happened since somebody last took it.
    pub occurred: Vec<Occurrence>,
    /// What the decoders of the host refused; always empty.
    pub broken: Vec<String>,
    pub(crate) pace: Pace,
    pub(crate) due: Vec<(Timestamp, Event)>,
    pub(crate) chance: Chance,
    clock: Arc<ManualClock>,
    decoder: Decoder,
    simulation: Simulation,
    seen: u64,
    stale: bool,
    sets: BTreeMap<SetId, Set>,
    set_ids: HashMap<Uid, SetId>,
    hashes: HashMap<(Text, Text), SetId>,
    reconciling: HashSet<SetId>,
    deployments: BTreeMap<PodKey, Deployment>,
    next_set: u64,
    budgets: BTreeMap<PodKey, plimsoll_model::DisruptionBudget>,
    dirty_budgets: BTreeSet<PodKey>,
    live: HashMap<PodKey, Pod>,
    starting: HashSet<Uid>,
    stopping: HashMap<Uid, Timestamp>,
    scheduling: bool,
    counting: bool,
    daemon: Option<Value>,
}

impl Default for Pace {
    /// Pods start within 2 to 20 s, machines within 30 to 120 s.
    fn default() -> Self {
        Self {
            pod_start: (Millis(2_000), Millis(20_000)),
            boot: (Millis(30_000), Millis(120_000)),
            shutdown: (Millis(5_000), Millis(40_000)),
            budgets: Millis(150),
            cloud_deletes_nodes: true,
            daemon_cpu: 0,
            bare_sets: false,
        }
    }
}

// === impl World ===

impl World {
    /// An empty cluster whose machines come from these groups.
    pub fn new(seed: Seed, pace: Pace, groups: Vec<NodeGroup>) -> Self {
        let start = jiff::Timestamp::from_millisecond(i64::try_from(START.0).unwrap_or_default());
        let clock = Arc::new(ManualClock::at(start.unwrap_or_default()));
        let store = Store::in_process(WINDOW, clock.clone());
        let mut cluster = Cluster::default();
        let snapshot = cluster.snapshot();
        let simulation = Simulation::new(&snapshot);
        let mut world = Self {
            seen: store.revision(),
            store,
            now: START,
            cluster,
            snapshot,
            log: VecDeque::new(),
            cloud: Cloud::new(groups),
            occurred: Vec::new(),
            broken: Vec::new(),
            pace,
            due: Vec::new(),
            chance: Chance::of(seed, "world"),
            clock,
            decoder: Decoder::default(),
            simulation,
            stale: false,
            sets: BTreeMap::new(),
            set_ids: HashMap::new(),
            hashes: HashMap::new(),
            reconciling: HashSet::new(),
            deployments: BTreeMap::new(),
            next_set: 0,
            budgets: BTreeMap::new(),
            dirty_budgets: BTreeSet::new(),
            live: HashMap::new(),
            starting: HashSet::new(),
            stopping: HashMap::new(),
            scheduling: false,
            counting: false,
            daemon: None,
        };
        world.make_daemons();
        world
    }

    /// Time goes on.
    pub fn advance(&mut self, to: Timestamp) {
        let span = to.since(self.now);
        self.clock.advance(Duration::from_millis(span.0));
        self.now = self.now.max(to);
    }

    /// Lets an event happen.
    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Schedule => self.schedule(),
            Event::PodReady(key, uid) => self.pod_ready(&key, &uid),
            Event::PodStopped(key, uid) => self.pod_stopped(&key, &uid),
            Event::CollectPods(node) => self.collect_pods(&node),
            Event::Reconcile(set) => self.reconcile(set),
            Event::Budgets => self.count_budgets(),
            Event::Recount(budget) => self.recount(budget),
            Event::Joins(machine) => self.machine_joins(machine),
            Event::NodeReady(machine) => self.node_ready(machine),
            Event::MachineGone(machine) => self.machine_gone(machine),
            Event::NodeDeleted(name) => drop(self.store.delete("nodes", "", &name)),
            Event::Finalized(key, uid) => self.finalized(&key, &uid),
        }
        self.follow();
    }

    /// Reads what has changed in the store, whoever changed it, and lets the controllers know.
    pub fn follow(&mut self) {
        loop {
            let Some(changes) = self.store.changes(&RESOURCES, self.seen) else {
                self.broken.push("the history of the store was too short".to_owned());
                self.seen = self.store.revision();
                return;
            };
            if changes.is_empty() {
                break;
            }
            for observed in changes {
                self.seen = self.seen.max(observed.revision);
                match self.decoder.row(&observed) {
                    Ok(Some(row)) => self.changed(observed.revision, row),
                    Ok(None) => {}
                    Err(error) => self.broken.push(error.to_string()),
                }
            }
        }
        if self.stale {
            self.stale = false;
            self.snapshot = self.cluster.snapshot();
            // An unchanged lineage makes this cost what has changed.
            self.simulation.sync(&self.snapshot);
        }
    }

    /// Everything up to this revision has been read by everybody.
    pub fn forget(&mut self, revision: u64) {
        while self.log.front().is_some_and(|entry| entry.revision <= revision) {
            self.log.pop_front();
        }
    }

    /// A pod as it is now.
    pub fn pod(&self, key: &PodKey) -> Option<&Pod> {
        self.snapshot.find_pod(&key.0, &key.1).map(|(_, pod)| pod)
    }

    /// Something that will happen after this long.
    pub(crate) fn after(&mut self, span: Millis, event: Event) {
        self.due.push((later(self.now, span), event));
    }

    /// Writes that the system makes do not fail; where somebody else has taken the object away, there is nothing to do.
    fn update(&mut self, resource: &str, key: (&str, &str), change: impl FnOnce(&mut Value)) {
        let _: Result<Value, Refusal> = self.store.update(resource, key.0, key.1, change);
    }

    fn changed(&mut self, revision: u64, row: Row) {
        self.stale = true;
        match &row {
            Row::Pod(pod) => {
                let key = (pod.namespace.clone(), Text::from(&*pod.name));
                let old = self.live.insert(key.clone(), Pod::clone(pod));
                row.apply(&mut self.cluster);
                self.pod_changed(key, old, Some(pod));
            }
            Row::PodGone(namespace, name) => {
                let key = (namespace.clone(), name.clone());
                let old = self.live.remove(&key);
                row.apply(&mut self.cluster);
                self.pod_changed(key, old, None);
            }
            Row::Node(_) => {
                row.apply(&mut self.cluster);
                self.wake_scheduler();
            }
            Row::NodeGone(name) => {
                row.apply(&mut self.cluster);
                self.after(Millis::from_secs(10), Event::CollectPods(name.clone()));
            }
            Row::Budget(budget) => {
                let key = (budget.namespace.clone(), budget.name.clone());
                if self.budgets.get(&key).is_none_or(|known| known.selector != budget.selector) {
                    self.recount(key.clone());
                }
                self.budgets.insert(key, budget.clone());
                row.apply(&mut self.cluster);
            }
            Row::BudgetGone(namespace, name) => {
                self.budgets.remove(&(namespace.clone(), name.clone()));
                row.apply(&mut self.cluster);
            }
            _ => row.apply(&mut self.cluster),
        }
        self.log.push_back(Entry { at: self.now, revision, row });
    }

    /// Tells every controller that a pod is not what it was.
    fn pod_changed(&mut self, key: PodKey, old: Option<Pod>, new: Option<&Pod>) {
        self.budgets_of_changed(old.as_ref(), new);
        self.sets_of_changed(&key, old.as_ref(), new);
        match new {
            None => {
                if let Some(old) = &old {
                    self.starting.remove(&old.uid);
                    self.stopping.remove(&old.uid);
                    let lost = old.node.as_ref().is_some_and(|node| self.cluster.node(node).is_none());
                    self.occurred.push(Occurrence::PodGone(key, old.uid.clone(), lost));
                    if old.node.is_some() {
                        self.wake_scheduler();
                    }
                }
            }
            Some(pod) => {
                if pod.node.is_none() && pod.deletion.is_none() && old.as_ref().is_none_or(|old| old.uid != pod.uid) {
                    self.wake_scheduler();
                }
                if pod.finished() && old.as_ref().is_some_and(|old| !old.finished()) {
                    self.wake_scheduler();
                }
                self.kubelet_sees(&key, pod);
            }
        }
    }
}
