//! Keeps the figures, the probes and the status true, and the provider's machines in the inventory.

use std::time::Duration;

use plimsoll_kube::{EventReason, Feature, FeatureState, Permit, Purpose, Record, RecordError, RecordVersion};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{Parts, Status, WatchStatus, telling};

/// How often everything is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// The status is written this often if it changes.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// And this often if it does not, so that its age tells whether anybody leads.
const WRITE_AT_LEAST: Duration = Duration::from_secs(120);
/// The name of the loop for the probes.
const LOOP: &str = "status";

/// Looks every two seconds until told to stop, and a last time then.
pub async fn keep(parts: Parts, stop: CancellationToken) {
    let mut keeper = Keeper { paper: Paper::new(&parts), term: None, machines: 0, parts };
    let mut leadership = keeper.parts.leadership.clone();
    let mut heard = keeper.parts.heard.clone();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        keeper.parts.health.beat(LOOP);
        keeper.look();
        keeper.paper.write(&keeper.parts, false).await;
        tokio::select! {
            () = stop.cancelled() => {},
            () = leadership.changed() => {},
            Ok(()) = heard.changed() => {},
            _ = ticks.tick() => {},
        }
    }
    keeper.look();
    keeper.paper.write(&keeper.parts, true).await;
    keeper.parts.health.retire(LOOP);
}

struct Keeper {
    parts: Parts,
    /// The term that was last seen.
    term: Option<u64>,
    paper: Paper,
    /// Which inventory's machines the cluster has been told.
    machines: u64,
}

impl Keeper {
    fn look(&mut self) {
        self.watches();
        self.features();
        self.policies();
        self.provider();
        let Parts { leadership, metrics, status, health, .. } = &self.parts;
        let term = leadership.term();
        metrics.leads(term.is_some());
        if let Some(number) = term
            && self.term != term
        {
            tracing::info!(term = number, "this replica leads");
            let message = format!("{} leads, in term {number}", self.parts.identity.replica);
            self.parts.tell(telling::controller(&self.parts.identity), EventReason::LeaderElected, message, None);
        } else if self.term.is_some() && term.is_none() {
            tracing::warn!("this replica does not lead any more");
        }
        self.term = term;
        let counts = self.parts.events.counts();
        metrics.queues(self.parts.effects.pending(), counts.rate_limited + counts.overflowed + counts.failed);
        status.update(|status| {
            status.leads = term.is_some();
            status.term = term;
            status.not_ready = health.causes();
        });
    }

    fn watches(&self) {
        let watching = self.parts.mirror.status();
        let missing: Vec<String> = watching
            .parts
            .iter()
            .filter(|part| part.watched.required() && !part.synced)
            .map(|part| match &part.problem {
                Some(problem) => format!("{}: {problem}", part.resource),
                None => format!("{} are being listed", part.resource),
            })
            .collect();
        if missing.is_empty() {
            self.parts.health.ready("watch");
        } else {
            self.parts.health.not_ready("watch", missing.join("; "));
        }
        for part in &watching.parts {
            let objects = u64::try_from(part.objects).unwrap_or(u64::MAX);
            self.parts.metrics.watch(&part.resource, objects, part.broken, part.relists);
        }
        let watches = watching.parts.iter().map(|part| {
            let broken = part.examples.iter().map(|(name, problem)| format!("{name} cannot be read: {problem}"));
            let problem = part.problem.iter().map(ToString::to_string).chain(broken).collect::<Vec<_>>().join("; ");
            let status = WatchStatus {
                synced: part.synced,
                objects: u64::try_from(part.objects).unwrap_or(u64::MAX),
                problem: (!problem.is_empty()).then_some(problem),
            };
            (part.resource.clone(), status)
        });
        let watches = watches.collect();
        self.parts.status.update(|status| status.watches = watches);
    }

    fn features(&self) {
        let table = self.parts.features.table();
        let mut features = std::collections::BTreeMap::new();
        for (feature, state) in table.rows() {
            self.parts.metrics.feature(feature.label(), matches!(state, FeatureState::Enabled { .. }));
            features.insert(feature.label().to_owned(), state.to_string());
        }
        let before = self.parts.status.get().features;
        // Many clusters have no metrics server, and nothing depends on it: a line of the log is enough.
        let quiet = [Feature::NodeMetrics, Feature::PodMetrics];
        let off =
            |feature, state: &FeatureState| matches!(state, FeatureState::Off { .. }) && !quiet.contains(&feature);
        for (feature, state) in table.rows().filter(|(feature, state)| off(*feature, state)) {
            let state = state.to_string();
            if before.get(feature.label()) != Some(&state) {
                let message = format!("feature {feature}: {state}");
                self.parts.tell(telling::controller(&self.parts.identity), EventReason::FeatureOff, message, None);
            }
        }
        self.parts.status.update(|status| status.features = features);
    }

    fn policies(&self) {
        let policies = self.parts.policies.status();
        self.parts.metrics.policies(
            policies.iter().map(|policy| (policy.name.clone(), policy.point, policy.generation, policy.resting)),
        );
        self.parts.status.update(|status| status.policies = policies);
    }

    fn provider(&mut self) {
        let heard = self.parts.heard.borrow().clone();
        if let Some(inventory) = &heard.inventory
            && self.machines != heard.number
        {
            self.machines = heard.number;
            self.parts.mirror.set_machines(inventory.machines.clone());
        }
        let machines = heard.inventory.as_ref().map_or(0, |inventory| inventory.machines.len());
        let unread = heard.inventory.iter().flat_map(|inventory| inventory.problems.iter().cloned());
        let problem = heard.problem.iter().map(ToString::to_string).chain(unread).collect::<Vec<_>>().join("; ");
        self.parts.status.update(|status| {
            status.provider.machines = u64::try_from(machines).unwrap_or(u64::MAX);
            status.provider.problem = (!problem.is_empty()).then_some(problem);
        });
    }
}

/// The ConfigMap with the status.
struct Paper {
    record: Record,
    version: Option<RecordVersion>,
    written: Option<(Instant, Status)>,
    failed: Option<Instant>,
}

impl Paper {
    fn new(parts: &Parts) -> Self {
        let identity = &parts.identity;
        let record = Record::new(&identity.namespace, &identity.status_record(), "status");
        Self { record, version: None, written: None, failed: None }
    }

    /// Writes the status if it is time: only the leader does.
    async fn write(&mut self, parts: &Parts, last: bool) {
        let Ok(permit) = parts.leadership.permit(Purpose::Status) else {
            self.version = None;
            self.written = None;
            return;
        };
        let status = parts.status.get();
        let due = match &self.written {
            None => true,
            Some((at, before)) => {
                at.elapsed() >= WRITE_AT_LEAST || (*before != status && (last || at.elapsed() >= WRITE_EVERY))
            }
        };
        let paused = self.failed.is_some_and(|failed| failed.elapsed() < WRITE_EVERY);
        if !due || paused {
            return;
        }
        match self.put(parts, &permit).await {
            Ok(version) => {
                parts.metrics.wrote("status", "ok");
                self.version = Some(version);
                self.written = Some((Instant::now(), status));
                self.failed = None;
            }
            Err(error) => {
                parts.metrics.wrote("status", "failed");
                if self.failed.is_none() {
                    tracing::warn!(%error, "the status is not written");
                }
                self.version = None;
                self.failed = Some(Instant::now());
            }
        }
    }

    async fn put(&mut self, parts: &Parts, permit: &Permit) -> Result<RecordVersion, RecordError> {
        let version = match self.version.take() {
            Some(version) => version,
            None => self.record.read(&parts.api).await?.version,
        };
        self.record.write(&parts.api, permit, &parts.status.json(), &version).await
    }
}
