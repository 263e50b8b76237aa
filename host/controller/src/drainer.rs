//! Nodes that go: from the snapshot to the last eviction, and to the provider that takes the machine.

mod act;
mod facts;
mod report;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_kube::{Feature, MirrorHandle, Purpose, View};
use plimsoll_model::{GroupIndex, NodeGroup, Snapshot, Text, Timestamp};
use plimsoll_planner::drain::{
    Canceller, Cause, DrainAction, DrainAnswer, DrainId, Drains, Evaluations, History, NodeRef, ScaleDownConfig,
    ScaleDownPlan, note_seen, plan_scale_down,
};
use plimsoll_planner::scale_up::{Displaced, ScaleUpConfig};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::exchange::{Leaving, Turn};
use crate::simulation::NotSimulated;
use crate::{DecisionId, Parts, Settings, Subject};

/// Drains are looked at this often even if nothing has changed and nothing is due.
const TICK: Duration = Duration::from_secs(5);
/// The name of the loop for the probes.
const LOOP: &str = "scale-down";

/// Plans which nodes go, and sees them off, while this replica leads.
#[derive(Debug)]
pub struct Drainer {
    parts: Parts,
    mirror: MirrorHandle,
    term: Option<u64>,
    /// Every drain of this term; `None` until those of the leader before have been looked for.
    drains: Option<Drains>,
    evaluations: Option<Evaluations>,
    /// When the interruption of each node was first seen.
    seen: HashMap<Text, Timestamp>,
    /// Nodes that have to go, of the last plan.
    displaced: Vec<Displaced>,
    planned: Option<Planned>,
    /// When something was removed last to save money.
    removed: Option<Timestamp>,
    tell: mpsc::UnboundedSender<(u64, Text, DrainAnswer)>,
    told: mpsc::UnboundedReceiver<(u64, Text, DrainAnswer)>,
    said: report::Said,
}

/// What the last plan was made from: while this is the same, so is the plan.
#[derive(Clone, Debug, PartialEq)]
struct Planned {
    settings: u64,
    policies: u64,
    /// Nodes that have to go, and why.
    signs: Vec<(Text, Cause)>,
}

impl Drainer {
    /// A loop that has not begun.
    pub fn new(parts: Parts) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            mirror: parts.mirror.clone(),
            parts,
            term: None,
            drains: None,
            evaluations: None,
            seen: HashMap::new(),
            displaced: Vec::new(),
            planned: None,
            removed: None,
            tell,
            told,
            said: report::Said::default(),
        }
    }

    /// Comes round whenever something has changed or is due, until told to stop. What is on its way then is answered to
    /// nobody: the next leader reads from the nodes how far each drain has come.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut mirror = self.mirror.clone();
        let mut leadership = self.parts.leadership.clone();
        let mut settings = self.parts.settings.clone();
        let mut heard = self.parts.heard.clone();
        let mut provisioning = self.parts.exchange.provisioning.subscribe();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            self.parts.health.beat(LOOP);
            self.turn().await;
            let due = self.due();
            tokio::select! {
                () = stop.cancelled() => {},
                Ok(()) = mirror.changed() => {},
                () = leadership.changed() => {},
                Ok(()) = settings.changed() => {},
                Ok(()) = heard.changed() => {},
                Ok(()) = provisioning.changed() => {},
                Some(told) = self.told.recv() => self.hear(told),
                () = sleep(due) => {},
                _ = ticks.tick() => {},
            }
            while let Ok(told) = self.told.try_recv() {
                self.hear(told);
            }
        }
        self.parts.health.retire(LOOP);
    }

    /// Until the next step of a drain is due.
    fn due(&self) -> Duration {
        let now = self.parts.now();
        let next = self.drains.as_ref().and_then(|drains| drains.next(now));
        next.map_or(TICK, |next| Duration::from_millis(next.since(now).0)).min(TICK)
    }

    /// One look at everything.
    async fn turn(&mut self) {
        let settings = self.parts.settings.borrow().clone();
        let Some(view) = self.mirror.latest() else { return };
        let now = self.parts.now();
        if !self.lead(&settings, &view, now) {
            return;
        }
        let Some(config) = self.provisioning() else {
            // Whoever launches waits for this before it says what it launches.
            self.publish(Vec::new());
            return;
        };
        let snapshot = view.snapshot.clone();
        self.look(&settings, &config, &snapshot, now);
        self.plan(&settings, &config, &view, now).await;
        self.act(&config, &snapshot, now);
        self.publish(self.displaced.clone());
        report::drains(&self.parts, self.drains.as_ref(), now);
    }

    /// True if this replica leads, and knows which drains the leader before has begun.
    fn lead(&mut self, settings: &Settings, view: &View, now: Timestamp) -> bool {
        let term = self.parts.leadership.term();
        if term != self.term {
            self.term = term;
            self.drains = None;
            self.planned = None;
            self.evaluations = None;
            self.seen.clear();
            self.displaced.clear();
            self.removed = None;
            self.parts.exchange.leaving.send_replace(None);
            self.parts.exchange.turns.give(Turn::Removal, []);
        }
        if term.is_none() {
            return false;
        }
        if self.drains.is_none() {
            let cluster = Text::from(self.parts.identity.cluster.as_str());
            let mut drains = Drains::new(cluster, settings.drain.clone());
            let news = drains.adopt(&view.snapshot, now);
            report::news(&self.parts, &news, &view.snapshot);
            self.parts.exchange.turns.give(Turn::Removal, drains.held_groups());
            self.drains = Some(drains);
        }
        true
    }

    /// What whoever launches goes by in this term.
    fn provisioning(&self) -> Option<Arc<ScaleUpConfig>> {
        let provisioning = self.parts.exchange.provisioning.borrow();
        provisioning.as_ref().filter(|said| Some(said.term) == self.term).map(|said| said.config.clone())
    }

    /// Takes in what has happened.
    fn look(&mut self, settings: &Settings, config: &ScaleUpConfig, snapshot: &Arc<Snapshot>, now: Timestamp) {
        let facts = facts::of(&self.parts, config, snapshot);
        let Some(drains) = &mut self.drains else { return };
        drains.set_rules(settings.drain.clone());
        let news = drains.observe(snapshot, &facts, now);
        for drain in drains.running(now).into_iter().filter(|drain| drain.cause == Cause::Requested) {
            let node = snapshot.find_node(&drain.node).map(|(_, node)| node);
            if node.is_some_and(|node| !facts::is_requested(node)) {
                // Where it is too late the drain goes on, and says so itself.
                let _ = drains.cancel(&drain.node, Canceller::Person, "the request was taken back");
            }
        }
        report::news(&self.parts, &news, snapshot);
    }

    /// Plans, and begins what is to begin.
    async fn plan(&mut self, settings: &Arc<Settings>, scale_up: &Arc<ScaleUpConfig>, view: &View, now: Timestamp) {
        let snapshot = view.snapshot.clone();
        let Some(drains) = &self.drains else { return };
        let planned = Planned {
            settings: settings.revision,
            policies: self.parts.policies.revision(),
            signs: facts::signs(&settings.scale_down, scale_up, &snapshot),
        };
        let interval = settings.scale_down.interval;
        let evaluations = self.evaluations.get_or_insert_with(|| Evaluations::new(interval));
        // What only saves is planned once an interval; whatever else has changed cannot wait.
        if !evaluations.due(now) && self.planned.as_ref() == Some(&planned) {
            return;
        }
        let before = evaluations.before(now);
        let history = self.history(drains, before, &snapshot, settings, now);
        let config = ScaleDownConfig {
            unknown: facts::unknown(view),
            groups: Some(scale_up.groups.clone()),
            cooldown: settings.cooldown,
            ..settings.scale_down.clone()
        };
        let id = DecisionId::new(Subject::ScaleDown, &snapshot, now);
        let span = tracing::info_span!("decision", decision = %id, subject = Subject::ScaleDown.label());
        let begin = Instant::now();
        let work = {
            let (snapshot, scale_up, policies) = (snapshot.clone(), scale_up.clone(), self.parts.policies.clone());
            let span = span.clone();
            move |simulation: &mut plimsoll_scheduler::Simulation| {
                let _inside = span.enter();
                plan_scale_down(&snapshot, simulation, &scale_up, &config, &history, now, policies.as_ref())
            }
        };
        let plan = match self.parts.simulation.with(&snapshot, &settings.scheduler, work).await {
            Ok(plan) => plan,
            Err(NotSimulated::Stale) => return,
            Err(NotSimulated::Panicked) => {
                tracing::error!(parent: &span, "planning has panicked; the next change plans again");
                return;
            }
        };
        if self.planned.as_ref().is_some_and(|last| last.settings != planned.settings) {
            self.evaluations = None;
        }
        self.evaluations.get_or_insert_with(|| Evaluations::new(interval)).tick(&plan, now);
        note_seen(&mut self.seen, &plan.forced, now);
        self.planned = Some(planned);
        self.displaced.clone_from(&plan.displaced);
        let can = self.may_drain();
        let decided = report::Decided { id: &id, now, took: begin.elapsed(), can };
        span.in_scope(|| report::plan(&self.parts, &decided, &snapshot, &plan, &mut self.said));
        if can.is_ok() {
            self.begin(&plan, &scale_up.groups, &snapshot, &id, now);
        }
    }

    fn history(
        &self,
        drains: &Drains,
        evaluations: HashMap<Text, u32>,
        snapshot: &Snapshot,
        settings: &Settings,
        now: Timestamp,
    ) -> History {
        let launched = self.parts.exchange.provisioning.borrow().as_ref().and_then(|said| said.launched);
        let running = drains.running(now);
        // What the leader before began counts as well.
        let saving = running.iter().filter(|drain| drain.cause.optimizes());
        let begun = saving.filter_map(|drain| drains.find(&drain.node)).map(|drain| drain.started).max();
        let last = launched.max(self.removed).max(begun);
        let rivals = self.parts.status.get().rivals;
        let halted = drains.breaker(snapshot, now).or_else(|| {
            let rival = rivals.first().filter(|_| !settings.beside_rivals)?;
            Some(format!("{rival}; see scaleDown.besideRivals"))
        });
        History {
            running,
            evaluations: Some(evaluations),
            cooling_until: last.map(|at| Timestamp(at.0.saturating_add(settings.cooldown.0))),
            halted,
            own_pod: self.parts.identity.pod.clone(),
            no_provider: self.parts.provider.is_none(),
            seen: self.seen.clone(),
        }
    }

    /// Whether drains are carried out, or why not.
    fn may_drain(&self) -> Result<(), &'static str> {
        if self.parts.identity.observe {
            Err("the mode is observe")
        } else if !self.parts.features.is_on(Feature::Drain) {
            Err("a permission to drain is missing; see features in the status")
        } else if self.parts.leadership.permit(Purpose::Effect).is_err() {
            Err("this replica does not lead any more")
        } else {
            Ok(())
        }
    }

    fn begin(
        &mut self,
        plan: &ScaleDownPlan,
        groups: &[NodeGroup],
        snapshot: &Snapshot,
        decision: &DecisionId,
        now: Timestamp,
    ) {
        let groups = GroupIndex::of(groups);
        let cluster = Text::from(self.parts.identity.cluster.as_str());
        let Some(drains) = &mut self.drains else { return };
        for planned in &plan.drains {
            let node = snapshot.node(planned.node);
            let id = DrainId::of(&cluster, &node.name, &decision.0);
            let drain = planned.to_drain(snapshot, id, cluster.clone(), decision.0.clone(), now);
            let place = NodeRef { name: node.name.clone(), uid: node.uid.to_string() };
            if planned.cause.optimizes() {
                self.removed = Some(now);
            }
            let group =
                groups.group_of(node).map(|(_, group)| group.name.clone()).or_else(|| node.group_label().cloned());
            drains.begin(place, group, node.provider_id.clone(), drain);
        }
        for sooner in &plan.hastened {
            if let Some(deadline) = sooner.deadline {
                drains.hasten(&sooner.name, sooner.cause, deadline, now);
            }
        }
    }

    /// Sends off whatever is due.
    fn act(&mut self, config: &ScaleUpConfig, snapshot: &Arc<Snapshot>, now: Timestamp) {
        if self.may_drain().is_err() {
            return;
        }
        let (Some(term), Ok(permit)) = (self.term, self.parts.leadership.permit(Purpose::Effect)) else { return };
        let facts = facts::of(&self.parts, config, snapshot);
        let Some(drains) = &mut self.drains else { return };
        // A removal that has its answer gives the group back.
        self.parts.exchange.turns.give(Turn::Removal, drains.held_groups());
        let actions = drains.actions(snapshot, &facts, now);
        report::news(&self.parts, &drains.news(), snapshot);
        for (node, action) in actions {
            if let DrainAction::MeasureRemoval { removal } | DrainAction::Remove { removal } = &action
                && let Some(group) = &removal.group
                && !self.parts.exchange.turns.take(Turn::Removal, group)
            {
                let answer = act::no_turn(&action);
                report::news(&self.parts, &drains.answer(&node, answer, now), snapshot);
                continue;
            }
            let decision = drains.find(&node).map(|drain| drain.decision.clone()).unwrap_or_default();
            let span = tracing::info_span!("drain", decision = %decision, node = %node);
            let (parts, permit, tell, name) = (self.parts.clone(), permit.clone(), self.tell.clone(), node.clone());
            let change = async move {
                let answer = act::carry_out(&parts, &permit, action).await;
                // Whoever listened has ended with the process.
                let _ = tell.send((term, name, answer));
            };
            if self.parts.effects.submit(change.instrument(span)).is_err() {
                // It counts as lost, and is asked again.
                break;
            }
        }
    }

    /// Takes what came of an action.
    fn hear(&mut self, (term, node, answer): (u64, Text, DrainAnswer)) {
        let now = self.parts.now();
        if self.term != Some(term) {
            return;
        }
        let (Some(drains), Some(view)) = (&mut self.drains, self.mirror.latest()) else { return };
        if matches!(answer, DrainAnswer::Removed(_)) {
            self.parts.ask_again.notify_one();
        }
        let news = drains.answer(&node, answer, now);
        report::news(&self.parts, &news, &view.snapshot);
    }

    fn publish(&self, displaced: Vec<Displaced>) {
        let Some(term) = self.term else { return };
        let leaving = Some(Leaving { term, displaced });
        self.parts.exchange.leaving.send_if_modified(|known| {
            let new = *known != leaving;
            *known = leaving;
            new
        });
    }
}
