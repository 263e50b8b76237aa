//! What Prometheus reads. Families are those of Spot Ocean's controller (`ocean-features`, D16), and those of
//! policies, watches and writes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_planner::{CallOutcome, PolicyCall};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::Subject;

/// Labels in a fixed order, each with its value.
type Labels<const N: usize> = [(&'static str, String); N];

type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Cores and bytes by group.
type GroupGauges = [Family<Labels<1>, Gauge<f64, AtomicU64>>; 2];

/// What amounts of a group there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupAmount {
    /// What its pods request.
    Requested,
    /// What its nodes have for pods.
    Allocatable,
    /// What is used of it, as the metrics server says.
    Used,
}

/// Every figure. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    figures: Arc<Figures>,
}

#[derive(Debug)]
struct Figures {
    leader: Gauge,
    heartbeat: Gauge<f64, AtomicU64>,
    config_good: Gauge,
    nodes: Family<Labels<5>, Gauge>,
    pending: Family<Labels<1>, Gauge>,
    resources: Family<Labels<2>, Gauge<f64, AtomicU64>>,
    groups: Family<Labels<2>, Gauge>,
    added: Family<Labels<2>, Counter>,
    launch_failures: Family<Labels<2>, Counter>,
    joined: Family<Labels<1>, Counter>,
    not_joined: Family<Labels<1>, Counter>,
    certificates: Family<Labels<2>, Counter>,
    certificates_waiting: Gauge,
    certificate_age: Gauge<f64, AtomicU64>,
    decisions: Family<Labels<2>, Counter>,
    decision_seconds: Histograms<1>,
    policy_calls: Family<Labels<4>, Counter>,
    policy_seconds: Histograms<2>,
    policy_traps: Family<Labels<3>, Counter>,
    policy_generation: Family<Labels<2>, Gauge>,
    policy_quarantined: Family<Labels<2>, Gauge>,
    clipped: Family<Labels<1>, Counter>,
    watch_objects: Family<Labels<1>, Gauge>,
    watch_relists: Family<Labels<1>, Counter>,
    broken: Family<Labels<1>, Gauge>,
    provider_errors: Family<Labels<2>, Counter>,
    writes: Family<Labels<2>, Counter>,
    effects_pending: Gauge,
    events_dropped: Counter,
    features: Family<Labels<1>, Gauge>,
    cleaned_up: Family<Labels<1>, Counter>,
    kept: Family<Labels<1>, Gauge>,
    draining: Family<Labels<1>, Gauge>,
    drain_steps: Family<Labels<1>, Counter>,
    removed: Family<Labels<1>, Counter>,
    /// By [`GroupAmount`]: cores, bytes.
    group_amounts: [GroupGauges; 3],
    /// What counters were told in all, by what tells totals.
    totals: Mutex<HashMap<(&'static str, String), u64>>,
}

/// From 1 ms to 16 s.
fn decision_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

/// From 2 us to 4 s: a policy's answer takes microseconds, its deadline is seconds.
fn policy_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_002, 2.0, 22))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(env!("CARGO_PKG_VERSION"))
    }
}

impl Metrics {
    /// All of them, at zero.
    pub fn new(version: &str) -> Self {
        let figures = Figures {
            decision_seconds: Family::new_with_constructor(decision_buckets),
            policy_seconds: Family::new_with_constructor(policy_buckets),
            leader: Default::default(),
            heartbeat: Default::default(),
            config_good: Default::default(),
            nodes: Default::default(),
            pending: Default::default(),
            resources: Default::default(),
            groups: Default::default(),
            added: Default::default(),
            launch_failures: Default::default(),
            joined: Default::default(),
            not_joined: Default::default(),
            certificates: Default::default(),
            certificates_waiting: Default::default(),
            certificate_age: Default::default(),
            decisions: Default::default(),
            policy_calls: Default::default(),
            policy_traps: Default::default(),
            policy_generation: Default::default(),
            policy_quarantined: Default::default(),
            clipped: Default::default(),
            watch_objects: Default::default(),
            watch_relists: Default::default(),
            broken: Default::default(),
            provider_errors: Default::default(),
            writes: Default::default(),
            effects_pending: Default::default(),
            events_dropped: Default::default(),
            features: Default::default(),
            cleaned_up: Default::default(),
            kept: Default::default(),
            draining: Default::default(),
            drain_steps: Default::default(),
            removed: Default::default(),
            group_amounts: Default::default(),
            totals: Default::default(),
        };
        let mut registry = Registry::with_prefix("plimsoll");
        let info = prometheus_client::metrics::info::Info::new([("version", version.to_owned())]);
        registry.register("build", "Which Plimsoll this is", info);
        let up = Gauge::<i64, AtomicI64>::default();
        up.set(1);
        registry.register("controller_up", "1 while the controller runs", up);
        macro_rules! register {
            ($($field:ident: $name:literal, $help:literal;)*) => {
                $(registry.register($name, $help, figures.$field.clone());)*
            };
        }
        register! {
            leader: "leader", "1 while this replica leads";
            heartbeat: "last_decision_timestamp_seconds", "When the last decision was made";
            config_good: "config_good", "1 if the configuration file in place is the one in use";
            nodes: "nodes", "Nodes by group, lifecycle, zone, instance type and state";
            pending: "pending_pods", "Pods without a node, by the primary reason";
            resources: "resources", "Requested, allocatable, headroom and limit, in cores, bytes and GPUs";
            groups: "node_group_size", "Nodes of a group: target, joined, launching, min, max";
            added: "nodes_added", "Nodes whose launch a provider has taken, by group and reason";
            launch_failures: "launches_failed", "Launches that failed, by group and reason";
            joined: "nodes_joined", "Launched nodes that have joined, by group";
            not_joined: "nodes_not_joined", "Launched nodes that did not join in time, by group";
            certificates: "csr_verdicts", "Verdicts about signing requests, by signer and verdict";
            certificates_waiting: "csr_pending", "Signing requests of kubelets that nobody has decided";
            certificate_age: "csr_pending_age_seconds", "Age of the oldest of them";
            decisions: "decisions", "Decisions, by subject and whether anything came of them";
            decision_seconds: "decision_seconds", "How long a decision took, policies included";
            policy_calls: "policy_calls", "Questions put to a policy, by outcome";
            policy_seconds: "policy_seconds", "How long a policy took for an answer";
            policy_traps: "policy_failures", "Questions that a policy failed to answer, by kind";
            policy_generation: "policy_generation", "Which generation of a policy answers";
            policy_quarantined: "policy_quarantined", "1 while a policy rests after repeated failures";
            clipped: "answers_clipped", "What was changed in policies' answers because it broke a rule";
            watch_objects: "watch_objects", "Objects known, by resource";
            watch_relists: "watch_relists", "Lists that had to be made again, by resource";
            broken: "watch_objects_broken", "Objects that could not be read, by resource";
            provider_errors: "provider_errors", "Questions that the node-group provider failed to answer";
            writes: "writes", "Changes sent to the API server, by what for and outcome";
            effects_pending: "effects_pending", "Changes that have not ended";
            events_dropped: "events_dropped", "Kubernetes Events that were not written because there were too many";
            cleaned_up: "nodes_cleaned_up", "Node objects deleted because their machine was gone, by group";
            kept: "nodes_kept", "Nodes that stay, by the primary reason";
            draining: "nodes_draining", "Nodes that are being drained, by cause";
            drain_steps: "drain_steps", "What happened in drains, by kind";
            removed: "nodes_removed", "Nodes that were drained and removed, by group";
            features: "feature_enabled", "1 if a feature has all the permissions it needs";
        }
        let names = [
            ("group_requested", "requested by the pods of a group"),
            ("group_allocatable", "that the nodes of a group have for pods"),
            ("group_used", "used on the nodes of a group, as the metrics server says; no decision goes by it"),
        ];
        for ((name, help), [cores, bytes]) in names.into_iter().zip(&figures.group_amounts) {
            registry.register(format!("{name}_cpu_cores"), format!("Cores {help}"), cores.clone());
            registry.register(format!("{name}_memory_bytes"), format!("Bytes of memory {help}"), bytes.clone());
        }
        Self { registry: Arc::new(registry), figures: Arc::new(figures) }
    }

    /// All of them as text (OpenMetrics 1.0).
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// This replica leads, or does not.
    pub fn leads(&self, leads: bool) {
        self.figures.leader.set(i64::from(leads));
    }

    /// The configuration in use is the one in the file, or is not.
    pub fn config_good(&self, good: bool) {
        self.figures.config_good.set(i64::from(good));
    }

    /// A decision was made.
    pub fn decided(&self, subject: Subject, at_seconds: f64, took: std::time::Duration, acted: bool, clipped: usize) {
        let figures = &self.figures;
        figures.heartbeat.set(at_seconds);
        let outcome = if acted { "acted" } else { "nothing" };
        let subject = subject.label();
        figures.decisions.get_or_create(&[("subject", subject.into()), ("outcome", outcome.into())]).inc();
        figures.decision_seconds.get_or_create(&[("subject", subject.into())]).observe(took.as_secs_f64());
        figures.clipped.get_or_create(&[("subject", subject.into())]).inc_by(clipped as u64);
    }

    /// Policies were asked.
    pub fn asked(&self, calls: &[PolicyCall]) {
        for call in calls {
            let point = || ("point", call.point.interface().to_owned());
            let policy = || ("policy", call.policy.to_string());
            let outcome = ("outcome", call.outcome.label().to_owned());
            let shadow = ("shadow", call.shadow.to_string());
            self.figures.policy_calls.get_or_create(&[policy(), point(), outcome, shadow]).inc();
            let seconds = std::time::Duration::from_micros(call.micros).as_secs_f64();
            self.figures.policy_seconds.get_or_create(&[policy(), point()]).observe(seconds);
            if let CallOutcome::Failed { label, .. } = &call.outcome {
                self.figures.policy_traps.get_or_create(&[policy(), point(), ("kind", (*label).to_owned())]).inc();
            }
        }
    }

    /// How the policies stand: name, point, generation, resting.
    pub fn policies(&self, all: impl IntoIterator<Item = (String, &'static str, Option<u64>, bool)>) {
        self.figures.policy_generation.clear();
        self.figures.policy_quarantined.clear();
        for (policy, point, generation, resting) in all {
            let labels = || [("policy", policy.clone()), ("point", point.to_owned())];
            let number = i64::try_from(generation.unwrap_or(0)).unwrap_or(i64::MAX);
            self.figures.policy_generation.get_or_create(&labels()).set(number);
            self.figures.policy_quarantined.get_or_create(&labels()).set(i64::from(resting));
        }
    }

    /// How many nodes there are: group, lifecycle, zone, instance type, state.
    pub fn nodes(&self, counts: impl IntoIterator<Item = ([String; 5], u64)>) {
        self.figures.nodes.clear();
        for ([group, lifecycle, zone, instance_type, state], count) in counts {
            let labels = [
                ("group", group),
                ("lifecycle", lifecycle),
                ("zone", zone),
                ("instance_type", instance_type),
                ("state", state),
            ];
            self.figures.nodes.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// How many pods wait, by reason.
    pub fn pending(&self, counts: impl IntoIterator<Item = (&'static str, u64)>) {
        self.figures.pending.clear();
        for (reason, count) in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.figures.pending.get_or_create(&[("reason", reason.to_owned())]).set(count);
        }
    }

    /// An amount of a resource: `requested`, `allocatable`, `headroom` or `limit` of `cpu`, `memory` or `gpu`.
    pub fn resource(&self, what: &'static str, resource: &'static str, amount: f64) {
        let labels = [("amount", what.to_owned()), ("resource", resource.to_owned())];
        self.figures.resources.get_or_create(&labels).set(amount);
    }

    /// The size of a group: `target`, `joined`, `launching`, `min`, `max`.
    pub fn group_size(&self, group: &str, what: &'static str, count: u32) {
        let labels = [("group", group.to_owned()), ("size", what.to_owned())];
        self.figures.groups.get_or_create(&labels).set(count.into());
    }

    /// Groups may have gone: their sizes are told again after this.
    pub fn forget_groups(&self) {
        self.figures.groups.clear();
    }

    /// An amount of every group: group, cores, bytes. What is not told is forgotten.
    pub fn group_amounts(&self, what: GroupAmount, groups: impl IntoIterator<Item = (String, f64, f64)>) {
        let [requested, allocatable, used] = &self.figures.group_amounts;
        let [cpu, memory] = match what {
            GroupAmount::Requested => requested,
            GroupAmount::Allocatable => allocatable,
            GroupAmount::Used => used,
        };
        cpu.clear();
        memory.clear();
        for (group, cores, bytes) in groups {
            let labels = [("group", group)];
            cpu.get_or_create(&labels).set(cores);
            memory.get_or_create(&labels).set(bytes);
        }
    }

    /// The Node object of a machine that is gone was deleted.
    pub fn cleaned_up(&self, group: &str) {
        self.figures.cleaned_up.get_or_create(&[("group", group.to_owned())]).inc();
    }

    /// How many nodes stay, by reason.
    pub fn kept(&self, counts: impl IntoIterator<Item = (&'static str, u64)>) {
        self.figures.kept.clear();
        for (reason, count) in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.figures.kept.get_or_create(&[("reason", reason.to_owned())]).set(count);
        }
    }

    /// How many nodes are being drained, by cause.
    pub fn draining(&self, counts: impl IntoIterator<Item = (&'static str, u64)>) {
        self.figures.draining.clear();
        for (cause, count) in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.figures.draining.get_or_create(&[("cause", cause.to_owned())]).set(count);
        }
    }

    /// Something happened in a drain.
    pub fn drained(&self, step: &'static str) {
        self.figures.drain_steps.get_or_create(&[("step", step.to_owned())]).inc();
    }

    /// A drained node is gone.
    pub fn removed(&self, group: &str) {
        self.figures.removed.get_or_create(&[("group", group.to_owned())]).inc();
    }

    /// A provider has taken a launch.
    pub fn launched(&self, group: &str, reason: &'static str, count: u32) {
        let labels = [("group", group.to_owned()), ("reason", reason.to_owned())];
        self.figures.added.get_or_create(&labels).inc_by(count.into());
    }

    /// A launch failed.
    pub fn launch_failed(&self, group: &str, reason: &'static str) {
        let labels = [("group", group.to_owned()), ("reason", reason.to_owned())];
        self.figures.launch_failures.get_or_create(&labels).inc();
    }

    /// A launched node has joined, or did not in time.
    pub fn join(&self, group: &str, joined: bool) {
        let family = if joined { &self.figures.joined } else { &self.figures.not_joined };
        family.get_or_create(&[("group", group.to_owned())]).inc();
    }

    /// A verdict about a signing request.
    pub fn certificate(&self, signer: &'static str, verdict: &'static str) {
        let labels = [("signer", signer.to_owned()), ("verdict", verdict.to_owned())];
        self.figures.certificates.get_or_create(&labels).inc();
    }

    /// How many signing requests wait, and for how long the oldest has.
    pub fn certificates_waiting(&self, count: usize, oldest_seconds: f64) {
        self.figures.certificates_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.figures.certificate_age.set(oldest_seconds);
    }

    /// How the watch of a resource stands: objects, those that cannot be read, and lists since the start.
    pub fn watch(&self, resource: &str, objects: u64, broken: u64, relists: u64) {
        let labels = [("resource", resource.to_owned())];
        self.figures.watch_objects.get_or_create(&labels).set(i64::try_from(objects).unwrap_or(i64::MAX));
        self.figures.broken.get_or_create(&labels).set(i64::try_from(broken).unwrap_or(i64::MAX));
        self.total("relists", resource, relists, &self.figures.watch_relists.get_or_create(&labels));
    }

    /// The provider failed to answer.
    pub fn provider_failed(&self, provider: &'static str, error: &'static str) {
        let labels = [("provider", provider.to_owned()), ("error", error.to_owned())];
        self.figures.provider_errors.get_or_create(&labels).inc();
    }

    /// A change was sent.
    pub fn wrote(&self, what: &'static str, outcome: &'static str) {
        self.figures.writes.get_or_create(&[("for", what.to_owned()), ("outcome", outcome.to_owned())]).inc();
    }

    /// Changes that have not ended, and Events that were dropped since the start.
    pub fn queues(&self, effects: usize, events_dropped: u64) {
        self.figures.effects_pending.set(i64::try_from(effects).unwrap_or(i64::MAX));
        self.total("dropped", "", events_dropped, &self.figures.events_dropped);
    }

    /// Whether a feature is on.
    pub fn feature(&self, feature: &str, enabled: bool) {
        self.figures.features.get_or_create(&[("feature", feature.to_owned())]).set(i64::from(enabled));
    }

    /// Brings a counter to a total that something else counts.
    fn total(&self, what: &'static str, of: &str, total: u64, counter: &Counter) {
        let mut totals = self.figures.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let before = totals.insert((what, of.to_owned()), total).unwrap_or(0);
        counter.inc_by(total.saturating_sub(before));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plimsoll_model::Bytes;
    use plimsoll_planner::Point;

    use super::*;

    fn call(outcome: CallOutcome) -> PolicyCall {
        PolicyCall {
            point: Point::ScaleUp,
            subject: "round 1".to_owned(),
            policy: "spot".into(),
            digest: "00".into(),
            generation: 3,
            shadow: false,
            micros: 3,
            peak_memory: Bytes(0),
            outcome,
            log: vec![],
            log_dropped: 0,
        }
    }

    #[test]
    fn figures_are_told_in_their_families() {
        let metrics = Metrics::new("1.2.3");
        metrics.leads(true);
        metrics.decided(Subject::ScaleUp, 1.5, Duration::from_millis(3), true, 2);
        metrics.asked(&[
            call(CallOutcome::Answered),
            call(CallOutcome::Failed { label: "deadline", sentence: "late".into() }),
        ]);
        metrics.nodes([(["g", "spot", "a", "m5", "Ready"].map(str::to_owned), 4)]);
        metrics.watch("pods", 10, 1, 1);
        metrics.watch("pods", 11, 0, 3);
        let text = metrics.text();
        for line in [
            "plimsoll_build_info{version=\"1.2.3\"} 1",
            "plimsoll_controller_up 1",
            "plimsoll_leader 1",
            "plimsoll_decisions_total{subject=\"scale-up\",outcome=\"acted\"} 1",
            "plimsoll_answers_clipped_total{subject=\"scale-up\"} 2",
            "plimsoll_policy_calls_total{policy=\"spot\",point=\"scale-up\",outcome=\"answered\",shadow=\"false\"} 1",
            "plimsoll_policy_failures_total{policy=\"spot\",point=\"scale-up\",kind=\"deadline\"} 1",
            "plimsoll_policy_seconds_bucket{le=\"0.000004\",policy=\"spot\",point=\"scale-up\"} 2",
            "plimsoll_nodes{group=\"g\",lifecycle=\"spot\",zone=\"a\",instance_type=\"m5\",state=\"Ready\"} 4",
            "plimsoll_watch_objects{resource=\"pods\"} 11",
            "plimsoll_watch_objects_broken{resource=\"pods\"} 0",
            "plimsoll_watch_relists_total{resource=\"pods\"} 3",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        metrics.nodes([]);
        assert!(!metrics.text().contains("plimsoll_nodes{"), "groups that have gone are forgotten");
    }
}
