//! Nodes for pending pods: from the snapshot to the provider's answer.

mod facts;
mod report;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_kube::{Feature, MirrorHandle, Purpose, Record};
use plimsoll_model::{Snapshot, Timestamp};
use plimsoll_planner::launch::{
    GroupFacts, LaunchId, LaunchIntent, LaunchOutcome, LedgerRules, MergedGroups, merge_provider_groups,
};
use plimsoll_planner::scale_up::{Displaced, LaunchBlock, ScaleUpConfig, launch_requests, plan_scale_up};
use plimsoll_providers::ProviderError;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::exchange::{Provisioning, Turn};
use crate::ledger_book::{BookError, LedgerBook};
use crate::simulation::NotSimulated;
use crate::{DecisionId, Parts, Settings, Subject};

/// The ledger is looked at this often even if nothing has changed: grace periods end, back-offs too.
const TICK: Duration = Duration::from_secs(5);
/// The name of the loop for the probes.
const LOOP: &str = "scale-up";

/// Plans and launches while this replica leads.
#[derive(Debug)]
pub struct Provisioner {
    parts: Parts,
    mirror: MirrorHandle,
    rules: LedgerRules,
    book: Option<LedgerBook>,
    term: Option<u64>,
    /// Launches that the provider is being asked about now.
    asked: HashSet<LaunchId>,
    tell: mpsc::UnboundedSender<Told>,
    told: mpsc::UnboundedReceiver<Told>,
    planned: Option<Planned>,
    cooling_until: Option<Timestamp>,
    launched: Option<Timestamp>,
}

/// What a provider said.
#[derive(Debug)]
enum Told {
    Baseline(LaunchId, u64, Result<Option<u32>, ProviderError>),
    Outcome(LaunchId, u64, LaunchOutcome),
}

/// What the last plan was made from: while this is the same, so is the plan.
#[derive(Clone, Debug, PartialEq)]
struct Planned {
    snapshot: (u64, u64),
    settings: u64,
    policies: u64,
    inventory: u64,
    blocks: Vec<LaunchBlock>,
    displaced: Vec<Displaced>,
    launching: bool,
}

impl Provisioner {
    /// A loop that has not begun.
    pub fn new(parts: Parts, rules: LedgerRules) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            mirror: parts.mirror.clone(),
            parts,
            rules,
            book: None,
            term: None,
            asked: HashSet::new(),
            tell,
            told,
            planned: None,
            cooling_until: None,
            launched: None,
        }
    }

    /// Comes round whenever something has changed, until told to stop. Answers of calls that are on their way then are
    /// still written down, as long as this replica leads: `drained` says when there are no more.
    pub async fn run(mut self, stop: CancellationToken, drained: CancellationToken) {
        let mut mirror = self.mirror.clone();
        let mut leadership = self.parts.leadership.clone();
        let mut settings = self.parts.settings.clone();
        let mut heard = self.parts.heard.clone();
        let mut leaving = self.parts.exchange.leaving.subscribe();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.parts.health.beat(LOOP);
            self.turn(!stop.is_cancelled()).await;
            tokio::select! {
                () = drained.cancelled(), if stop.is_cancelled() => break,
                () = stop.cancelled(), if !stop.is_cancelled() => {},
                Ok(()) = mirror.changed() => {},
                () = leadership.changed() => {},
                Ok(()) = settings.changed() => {},
                Ok(()) = heard.changed() => {},
                Ok(()) = leaving.changed() => {},
                Some(told) = self.told.recv() => self.hear(told),
                _ = ticks.tick() => {},
            }
            while let Ok(told) = self.told.try_recv() {
                self.hear(told);
            }
        }
        while let Ok(told) = self.told.try_recv() {
            self.hear(told);
        }
        // What the last calls came to is not lost, though the next leader would find out.
        self.save().await;
        self.parts.health.retire(LOOP);
    }

    /// One look at everything.
    async fn turn(&mut self, more: bool) {
        let settings = self.parts.settings.borrow().clone();
        let Some(view) = self.mirror.latest() else { return };
        let snapshot = view.snapshot.clone();
        // Kept warm, also for the moment in which this replica leads; one that is ahead already is as warm.
        let _ = self.parts.simulation.with(&snapshot, &settings.scheduler, |_| ()).await;
        if !self.lead().await {
            return;
        }
        let now = self.parts.now();
        let mut config = settings.scale_up.clone();
        let facts = self.merge(&mut config, &snapshot, now);
        self.publish(&config);
        let Some(displaced) = self.displaced() else { return };
        config.displaced = displaced;
        self.look(&config, &snapshot, now);
        if !self.save().await {
            return;
        }
        self.ask(now);
        let rows = self.rows(&config, &snapshot, now);
        if let Some(book) = &self.book {
            config.blocked.extend(book.ledger.blocks(now));
            report::groups(&self.parts, &config, &facts, &book.ledger, &snapshot, now);
        }
        if more && rows {
            self.plan(settings, config, snapshot, now).await;
        }
    }

    /// Tells whoever drains what holds in this term.
    fn publish(&self, config: &ScaleUpConfig) {
        let (Some(book), Some(term)) = (&self.book, self.term) else { return };
        self.parts.exchange.turns.give(Turn::Launch, book.ledger.unanswered().cloned());
        // What the leader before launched counts as well.
        let launched = self.launched.max(book.ledger.last_decided());
        let provisioning = Provisioning { term, config: Arc::new(config.clone()), launched };
        self.parts.exchange.provisioning.send_replace(Some(provisioning));
    }

    /// Nodes that have to go; `None` if nobody has looked yet in this term.
    fn displaced(&self) -> Option<Vec<Displaced>> {
        let leaving = self.parts.exchange.leaving.borrow();
        leaving.as_ref().filter(|leaving| Some(leaving.term) == self.term).map(|leaving| leaving.displaced.clone())
    }

    /// True if this replica leads and has the ledger.
    async fn lead(&mut self) -> bool {
        let term = self.parts.leadership.term();
        if term != self.term {
            self.term = term;
            self.mirror.set_launching(Vec::new());
            self.book = None;
            self.asked.clear();
            self.planned = None;
            self.parts.exchange.provisioning.send_replace(None);
        }
        if term.is_none() {
            return false;
        }
        // The permission to write it down may have come since.
        if self.book.as_ref().is_some_and(|book| !book.is_kept()) && self.keeps() {
            self.book = None;
            self.planned = None;
        }
        if self.book.is_none() {
            match self.open_book().await {
                Ok(book) => {
                    self.parts.health.ready("launches");
                    self.book = Some(book);
                }
                Err(error) => {
                    tracing::error!(%error, "nothing is launched");
                    self.parts.health.not_ready("launches", error.to_string());
                }
            }
        }
        self.book.is_some()
    }

    /// True if launches can be written down.
    fn keeps(&self) -> bool {
        !self.parts.identity.observe && self.parts.features.is_on(Feature::Launches)
    }

    async fn open_book(&self) -> Result<LedgerBook, BookError> {
        let identity = &self.parts.identity;
        if !self.keeps() {
            return Ok(LedgerBook::in_memory(&identity.cluster, self.rules.clone()));
        }
        let record = Record::new(&identity.namespace, &identity.ledger_record(), "launches");
        let api = self.parts.api.clone();
        LedgerBook::open(api, record, &identity.cluster, self.rules.clone()).await
    }

    /// Keeps the groups within what the provider allows.
    fn merge(&self, config: &mut ScaleUpConfig, snapshot: &Snapshot, now: Timestamp) -> Vec<GroupFacts> {
        let heard = self.parts.heard.borrow();
        let Some(inventory) = &heard.inventory else { return Vec::new() };
        let facts = facts::groups(inventory);
        if self.parts.provider.as_ref().is_some_and(|provider| provider.knows_all_groups()) {
            let MergedGroups { groups, blocks, warnings } =
                merge_provider_groups(&config.groups, &facts, snapshot, now);
            config.groups = groups;
            config.blocked.extend(blocks);
            report::group_warnings(&self.parts, &warnings);
        }
        facts
    }

    /// Looks for nodes that have joined, or should have.
    fn look(&mut self, config: &ScaleUpConfig, snapshot: &Arc<Snapshot>, now: Timestamp) {
        let inventory = self.parts.heard.borrow().inventory.clone();
        let facts = facts::inventory(inventory.as_deref(), snapshot);
        if let Some(book) = &mut self.book {
            let news = book.ledger.observe(snapshot, &facts, config, now);
            report::news(&self.parts, &news, snapshot);
        }
    }

    /// Writes the ledger down. False: nothing may be done that is not in it.
    async fn save(&mut self) -> bool {
        let Some(book) = &mut self.book else { return false };
        if book.is_saved() {
            return true;
        }
        let permit = match self.parts.leadership.permit(Purpose::Effect) {
            Ok(permit) => permit,
            // In `mode: observe` there is nothing to write down.
            Err(plimsoll_kube::Refused::Observing) => return true,
            Err(_) => return false,
        };
        match book.save(&permit).await {
            Ok(()) => {
                self.parts.metrics.wrote("ledger", "ok");
                true
            }
            Err(error) => {
                self.parts.metrics.wrote("ledger", "failed");
                tracing::warn!(%error, "launches are not written down, so nothing is launched");
                // What is there now is read again, by this leader or the next, and what was to be launched is planned
                // again: it was never called.
                self.book = None;
                self.planned = None;
                false
            }
        }
    }

    /// Asks the provider whatever the ledger is waiting for.
    fn ask(&mut self, now: Timestamp) {
        let Some(provider) = self.parts.provider.clone() else { return };
        let (Some(book), Some(term)) = (&self.book, self.term) else { return };
        let Ok(permit) = self.parts.leadership.permit(Purpose::Effect) else { return };
        // Of another term it would be somebody else's ledger by now.
        if permit.term != term || !book.is_kept() {
            return;
        }
        let baselines: Vec<LaunchIntent> = book.ledger.open_baselines(now).into_iter().cloned().collect();
        let calls: Vec<LaunchIntent> = book.ledger.open_calls(now).into_iter().cloned().collect();
        for (intent, called) in
            baselines.into_iter().map(|intent| (intent, false)).chain(calls.into_iter().map(|intent| (intent, true)))
        {
            // A machine of the group is being removed: its size is not ours to change until that has its answer.
            let turn = self.parts.exchange.turns.take(Turn::Launch, &intent.request.group);
            if !turn || self.asked.contains(&intent.id) {
                continue;
            }
            let id = intent.id.clone();
            let (provider, permit, tell) = (provider.clone(), permit.clone(), self.tell.clone());
            let span = tracing::info_span!("launch", decision = %intent.decision, launch = %intent.id);
            let call = async move {
                let told = if called {
                    Told::Outcome(intent.id.clone(), term, provider.launch(&permit, &intent).await)
                } else {
                    Told::Baseline(intent.id.clone(), term, provider.baseline(&intent.request).await)
                };
                // Whoever listened has ended with the process.
                let _ = tell.send(told);
            };
            if self.parts.effects.submit(call.instrument(span)).is_err() {
                // The next turn tries again.
                break;
            }
            self.asked.insert(id);
        }
    }

    /// Takes what a provider said.
    fn hear(&mut self, told: Told) {
        let now = self.parts.now();
        let (Told::Baseline(id, term, _) | Told::Outcome(id, term, _)) = &told;
        if self.term != Some(*term) {
            return;
        }
        self.asked.remove(id);
        let Some(book) = &mut self.book else { return };
        let config = self.parts.settings.borrow().scale_up.clone();
        let news = match told {
            Told::Baseline(id, _, Ok(baseline)) => {
                book.ledger.baseline(&id, baseline, now);
                Vec::new()
            }
            Told::Baseline(id, _, Err(error)) => book.ledger.outcome(&id, facts::of_error(&error), &config, now),
            Told::Outcome(id, _, outcome) => {
                self.parts.ask_again.notify_one();
                report::outcome(&self.parts, book.ledger.find(&id.0), &outcome);
                book.ledger.outcome(&id, outcome, &config, now)
            }
        };
        if let Some(view) = self.mirror.latest() {
            report::news(&self.parts, &news, &view.snapshot);
        }
    }

    /// Puts the nodes that are on their way into the cluster that is planned for. True if this snapshot has them all.
    fn rows(&self, config: &ScaleUpConfig, snapshot: &Snapshot, now: Timestamp) -> bool {
        let Some(book) = &self.book else { return false };
        let rows = book.ledger.launching_nodes(config, snapshot, now);
        let there = rows.iter().all(|row| snapshot.find_node(&row.name).is_some());
        let known = snapshot.nodes().filter(|(_, node)| node.launching).count();
        let same = there && known == rows.len();
        if !same {
            self.mirror.set_launching(rows);
        }
        there
    }

    /// Plans, and writes down what is to be launched.
    async fn plan(&mut self, settings: Arc<Settings>, config: ScaleUpConfig, snapshot: Arc<Snapshot>, now: Timestamp) {
        let launching = settings.launching && self.cooling_until.is_none_or(|until| until <= now);
        let planned = Planned {
            snapshot: (snapshot.lineage(), snapshot.version()),
            settings: settings.revision,
            policies: self.parts.policies.revision(),
            inventory: self.parts.heard.borrow().number,
            // When a block ends does not matter before it does: then it is no longer there.
            blocks: config.blocked.iter().map(|block| LaunchBlock { until: Timestamp(0), ..block.clone() }).collect(),
            displaced: config.displaced.clone(),
            launching,
        };
        if self.planned.as_ref() == Some(&planned) {
            return;
        }
        let id = DecisionId::new(Subject::ScaleUp, &snapshot, now);
        let span = tracing::info_span!("decision", decision = %id, subject = Subject::ScaleUp.label());
        let begin = Instant::now();
        let work = {
            let (snapshot, span, policies) = (snapshot.clone(), span.clone(), self.parts.policies.clone());
            move |simulation: &mut plimsoll_scheduler::Simulation| {
                let _inside = span.enter();
                let plan = plan_scale_up(&snapshot, simulation, &config, now, policies.as_ref());
                let requests = launch_requests(&config, &plan.launches);
                (config, plan, requests)
            }
        };
        let (config, plan, requests) = match self.parts.simulation.with(&snapshot, &settings.scheduler, work).await {
            Ok(planned) => planned,
            Err(NotSimulated::Stale) => return,
            Err(NotSimulated::Panicked) => {
                tracing::error!(parent: &span, "planning has panicked; the next change plans again");
                return;
            }
        };
        self.planned = Some(planned);
        let can = launching
            && !requests.is_empty()
            && self.parts.provider.is_some()
            && self.book.as_ref().is_some_and(LedgerBook::is_kept)
            && self.parts.leadership.permit(Purpose::Effect).is_ok();
        let intents = match (&mut self.book, self.term) {
            (Some(book), Some(term)) if can => book.ledger.intend(requests, now, &id.0, term),
            _ => Vec::new(),
        };
        if !intents.is_empty() {
            self.launched = Some(now);
        }
        if !intents.is_empty() && settings.cooldown.0 > 0 {
            self.cooling_until = Some(Timestamp(now.0.saturating_add(settings.cooldown.0)));
        }
        let told = report::Decided { id: &id, now, took: begin.elapsed(), config: &config, launching: can };
        span.in_scope(|| report::plan(&self.parts, &told, &snapshot, &plan, &intents));
        if intents.is_empty() || !self.save().instrument(span).await {
            return;
        }
        // Counted before anything else is planned, and called at once.
        self.rows(&config, &snapshot, now);
        self.ask(now);
    }
}
