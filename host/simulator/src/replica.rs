//! A replica of the controller: what it has seen, and what its leader remembers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use plimsoll_model::{Cluster, GroupIndex, Millis, Node, Snapshot, Text, Timestamp};
use plimsoll_planner::drain::{
    Canceller, Cause, DrainAction, DrainAnswer, DrainFacts, DrainId, DrainNews, DrainRules, Drains, Evaluations,
    History, MachineState, NodeRef, ScaleDownConfig, ScaleDownPlan, note_seen, plan_scale_down,
};
use plimsoll_planner::launch::{InventoryFacts, LaunchIntent, LaunchOutcome, Ledger, LedgerRules};
use plimsoll_planner::scale_up::{Displaced, ScaleUpConfig, launch_requests, plan_scale_up};
use plimsoll_planner::{DrainPolicy, ScaleUpPolicy};
use plimsoll_scheduler::Simulation;

use crate::queue::later;
use crate::row::Entry;
use crate::world::{Cloud, MachineStage};

/// Policies of both kinds.
pub trait Policies: ScaleUpPolicy + DrainPolicy {}

impl<P: ScaleUpPolicy + DrainPolicy> Policies for P {}

/// What the controller under test is configured to do.
#[derive(Clone)]
pub struct Settings {
    /// The identifier of the cluster.
    pub cluster: Text,
    /// What may be launched.
    pub scale_up: ScaleUpConfig,
    /// What may be drained.
    pub scale_down: ScaleDownConfig,
    /// How patient drains are.
    pub drain: DrainRules,
    /// How long after a launch or a removal nothing is removed to save.
    pub cooldown: Millis,
    /// Who chooses.
    pub policies: Rc<dyn Policies>,
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    cluster: Cluster,
    simulation: Simulation,
    snapshot: Arc<Snapshot>,
    /// How far it has read.
    seen: usize,
    launching: HashSet<Text>,
    /// What it remembers while it leads.
    pub mind: Option<Mind>,
}

/// What a leader remembers.
#[derive(Debug)]
pub struct Mind {
    /// Its term.
    pub term: u64,
    /// The launches.
    pub ledger: Ledger,
    /// The drains.
    pub drains: Drains,
    evaluations: Evaluations,
    interrupted: HashMap<Text, Timestamp>,
    displaced: Vec<Displaced>,
    removed: Option<Timestamp>,
    launched: Option<Timestamp>,
    planned_up: Option<(u64, bool)>,
    signs: usize,
}

/// What a look at the cluster came to.
#[derive(Debug, Default)]
pub struct Turn {
    /// Launches to be called, once the ledger is written down.
    pub launches: Vec<LaunchIntent>,
    /// What drains want done.
    pub actions: Vec<(Text, DrainAction)>,
    /// What became known of drains.
    pub news: Vec<DrainNews>,
    /// The plan, if one was made.
    pub plan: Option<(Arc<Snapshot>, ScaleDownPlan)>,
    /// When to look again even if nothing changes.
    pub again: Option<Timestamp>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("scale_down", &self.scale_down).finish_non_exhaustive()
    }
}

impl Default for Replica {
    fn default() -> Self {
        let mut cluster = Cluster::default();
        let snapshot = cluster.snapshot();
        Self {
            simulation: Simulation::new(&snapshot),
            cluster,
            snapshot,
            seen: 0,
            launching: HashSet::new(),
            mind: None,
        }
    }
}

// === impl Replica ===

impl Replica {
    /// Reads what had happened by then.
    pub fn read(&mut self, log: &VecDeque<Entry>, until: Timestamp) {
        while let Some(entry) = log.get(self.seen).filter(|entry| entry.at <= until) {
            entry.row.apply(&mut self.cluster);
            self.seen += 1;
        }
    }

    /// Begins to lead: what was written down is read, and drains that others began are taken over.
    pub fn lead(&mut self, settings: &Settings, term: u64, ledger: &str, now: Timestamp) -> Vec<DrainNews> {
        self.look();
        let rules = LedgerRules::default();
        let ledger = Ledger::read(ledger, &settings.cluster, rules.clone())
            .unwrap_or_else(|_| Ledger::new(settings.cluster.clone(), rules));
        let mut drains = Drains::new(settings.cluster.clone(), settings.drain.clone());
        let news = drains.adopt(&self.snapshot, now);
        self.mind = Some(Mind {
            term,
            ledger,
            drains,
            evaluations: Evaluations::new(settings.scale_down.interval),
            interrupted: HashMap::new(),
            displaced: Vec::new(),
            removed: None,
            launched: None,
            planned_up: None,
            signs: 0,
        });
        news
    }

    fn look(&mut self) {
        let revision = self.cluster.revision();
        let _ = revision;
        self.snapshot = self.cluster.snapshot();
        self.simulation.sync(&self.snapshot);
    }

    /// One look at everything, as the controller's loops take it.
    pub fn turn(&mut self, settings: &Settings, cloud: &Cloud, now: Timestamp) -> Turn {
        let mut turn = Turn::default();
        self.look();
        let Some(mut mind) = self.mind.take() else { return turn };
        mind.ledger.observe(&self.snapshot, &InventoryFacts::default(), &settings.scale_up, now);
        self.expect(mind.ledger.launching_nodes(&settings.scale_up, &self.snapshot, now));
        let facts = self.facts(&mind, cloud, settings, now);
        turn.news = mind.drains.observe(&self.snapshot, &facts, now);
        for drain in mind.drains.running(now).iter().filter(|drain| drain.cause == Cause::Requested) {
            let node = self.snapshot.find_node(&drain.node).map(|(_, node)| node);
            if node.is_some_and(|node| node.annotations.get(plimsoll_model::well_known::DRAIN_REQUESTED).is_none()) {
                let _ = mind.drains.cancel(&drain.node, Canceller::Person, "the request was taken back");
            }
        }
        self.plan_down(&mut mind, settings, now, &mut turn);
        self.plan_up(&mut mind, settings, now);
        for intent in mind.ledger.open_baselines(now).into_iter().cloned().collect::<Vec<_>>() {
            mind.ledger.baseline(&intent.id, None, now);
        }
        turn.launches = mind.ledger.open_calls(now).into_iter().cloned().collect();
        turn.actions = mind.drains.actions(&self.snapshot, &facts, now);
        let soon = [mind.drains.next(now), mind.ledger.next_call(now)];
        turn.again = soon.into_iter().flatten().min();
        self.mind = Some(mind);
        turn
    }

    /// Nodes that were launched stand in the cluster until they join.
    fn expect(&mut self, rows: Vec<Node>) {
        let names: HashSet<Text> = rows.iter().map(|row| row.name.clone()).collect();
        let mut changed = names != self.launching;
        for gone in self.launching.difference(&names) {
            self.cluster.remove_node(gone);
        }
        for row in rows {
            changed |= self.cluster.node(&row.name).is_none();
            self.cluster.upsert_node(row);
        }
        self.launching = names;
        if changed {
            self.look();
        }
    }

    fn facts(&self, mind: &Mind, cloud: &Cloud, settings: &Settings, now: Timestamp) -> DrainFacts {
        let mut facts = DrainFacts::default();
        for drain in mind.drains.running(now) {
            let state = match cloud.machine(&drain.node).map(|machine| machine.stage) {
                Some(MachineStage::Booting | MachineStage::Joined) => MachineState::Present,
                Some(MachineStage::Removing) => MachineState::Deleting,
                Some(MachineStage::Gone) => MachineState::Gone,
                None => MachineState::Unknown,
            };
            facts.machines.insert(drain.node, state);
        }
        let _ = settings;
        facts
    }

    fn plan_down(&mut self, mind: &mut Mind, settings: &Settings, now: Timestamp, turn: &mut Turn) {
        // A sign that a node has to go cannot wait for the next evaluation.
        let signs = self.snapshot.nodes().filter(|(_, node)| forced(node)).count();
        if !mind.evaluations.due(now) && signs == mind.signs {
            return;
        }
        mind.signs = signs;
        let last = mind.launched.max(mind.ledger.last_decided()).max(mind.removed);
        let history = History {
            running: mind.drains.running(now),
            evaluations: Some(mind.evaluations.before(now)),
            cooling_until: last.map(|at| later(at, settings.cooldown)),
            halted: mind.drains.breaker(&self.snapshot, now),
            own_pod: None,
            no_provider: false,
            seen: mind.interrupted.clone(),
        };
        let plan = plan_scale_down(
            &self.snapshot,
            &mut self.simulation,
            &settings.scale_up,
            &settings.scale_down,
            &history,
            now,
            settings.policies.as_ref(),
        );
        mind.evaluations.tick(&plan, now);
        note_seen(&mut mind.interrupted, &plan.forced, now);
        mind.displaced.clone_from(&plan.displaced);
        let groups = GroupIndex::of(&settings.scale_up.groups);
        let decision: Text = format!("down-{}-{}", mind.term, now.0).into();
        for planned in &plan.drains {
            let node = self.snapshot.node(planned.node);
            let id = DrainId::of(&settings.cluster, &node.name, &decision);
            let drain = planned.to_drain(&self.snapshot, id, settings.cluster.clone(), decision.clone(), now);
            let place = NodeRef { name: node.name.clone(), uid: node.uid.to_string() };
            let group = groups.group_of(node).map(|(_, group)| group.name.clone());
            if planned.cause.optimizes() {
                mind.removed = Some(now);
            }
            mind.drains.begin(place, group, node.provider_id.clone(), drain);
        }
        for sooner in &plan.hastened {
            if let Some(deadline) = sooner.deadline {
                mind.drains.hasten(&sooner.name, sooner.cause, deadline, now);
            }
        }
        turn.plan = Some((self.snapshot.clone(), plan));
    }

    fn plan_up(&mut self, mind: &mut Mind, settings: &Settings, now: Timestamp) {
        let wanted = self.snapshot.pending().any(|(_, pod)| pod.node.is_none()) || !mind.displaced.is_empty();
        // Nothing that a plan goes by has changed.
        let stand = (self.snapshot.version(), wanted);
        let same = mind.planned_up.replace(stand).is_some_and(|last| last == stand);
        if !wanted || same {
            return;
        }
        let mut config = settings.scale_up.clone();
        config.displaced.clone_from(&mind.displaced);
        config.blocked.extend(mind.ledger.blocks(now));
        let plan = plan_scale_up(&self.snapshot, &mut self.simulation, &config, now, settings.policies.as_ref());
        let requests = launch_requests(&config, &plan.launches);
        if !requests.is_empty() {
            let decision: Text = format!("up-{}-{}", mind.term, now.0).into();
            mind.ledger.intend(requests, now, &decision, mind.term);
            mind.launched = Some(now);
        }
    }

    /// What became of a launch.
    pub fn launched(&mut self, intent: &LaunchIntent, outcome: LaunchOutcome, settings: &Settings, now: Timestamp) {
        if let Some(mind) = &mut self.mind {
            mind.ledger.outcome(&intent.id, outcome, &settings.scale_up, now);
        }
    }

    /// What became of an action of this term.
    pub fn answered(&mut self, term: u64, node: &str, answer: DrainAnswer, now: Timestamp) -> Vec<DrainNews> {
        match &mut self.mind {
            Some(mind) if mind.term == term => mind.drains.answer(node, answer, now),
            _ => Vec::new(),
        }
    }

    /// Nothing is remembered: the process is another one.
    pub fn restart(&mut self) {
        *self = Self::default();
    }
}

fn forced(node: &Node) -> bool {
    use plimsoll_model::well_known::{DRAIN_REQUESTED, INTERRUPTION};
    node.annotations.get(INTERRUPTION).is_some() || node.annotations.get(DRAIN_REQUESTED).is_some()
}
