//! One decision, said in every way that there is: log, Event, metric, status.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use plimsoll_kube::EventReason;
use plimsoll_model::{GroupIndex, Node, Resources, Snapshot, Timestamp};
use plimsoll_planner::launch::{GroupFacts, GroupWarning, LaunchIntent, LaunchOutcome, Ledger, News};
use plimsoll_planner::scale_up::{PendingPod, PendingReason, ScaleUpConfig, ScaleUpPlan};

use crate::telling;
use crate::{DecisionId, DecisionStatus, GroupStatus, LaunchStatus, Parts, PendingStatus, Subject, rfc3339};

/// Pods of one reason that the status names.
const EXAMPLES: usize = 5;
/// Pods of one decision that get an Event; the others are in the status by number.
const TOLD: usize = 100;
/// Launches that the status names.
const LISTED: usize = 100;

/// A decision about scale-up.
pub struct Decided<'a> {
    /// Its id.
    pub id: &'a DecisionId,
    /// When it was made.
    pub now: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What it was made with.
    pub config: &'a ScaleUpConfig,
    /// Launches are made, not only planned.
    pub launching: bool,
}

/// Says what was planned.
pub fn plan(parts: &Parts, decided: &Decided<'_>, snapshot: &Snapshot, plan: &ScaleUpPlan, intents: &[LaunchIntent]) {
    let nodes: u32 = plan.launches.iter().map(|launch| launch.count).sum();
    let outcome = match (nodes, decided.launching) {
        (0, _) if plan.pending.is_empty() => "no pod is pending".to_owned(),
        (0, _) => format!("nothing to launch; {} pods stay pending", plan.pending.len()),
        (_, true) => format!("{nodes} nodes are launched in {} calls", intents.len()),
        (_, false) => format!("{nodes} nodes would be launched; nothing is, because {}", why_not(parts)),
    };
    if nodes > 0 || !plan.clipped.is_empty() {
        tracing::info!(took_ms = millis(decided.took), pending = plan.pending.len(), "{outcome}");
    } else {
        tracing::debug!(took_ms = millis(decided.took), pending = plan.pending.len(), "{outcome}");
    }
    for launch in &plan.launches {
        tracing::info!(
            group = %launch.group, instance_type = %launch.instance_type, zone = %launch.zone,
            lifecycle = launch.lifecycle.name(), count = launch.count, pods = launch.pods.len(), "{}", launch.reason
        );
    }
    for clipped in &plan.clipped {
        tracing::warn!("an answer was changed: {clipped}");
    }
    for call in &plan.calls {
        if let plimsoll_planner::CallOutcome::Failed { label, sentence } = &call.outcome {
            tracing::warn!(policy = %call.policy, kind = label, "{sentence}");
        }
        for line in &call.log {
            tracing::debug!(policy = %call.policy, level = ?line.level, "{}", line.message);
        }
    }
    let seconds = Duration::from_millis(decided.now.0).as_secs_f64();
    parts.metrics.decided(Subject::ScaleUp, seconds, decided.took, !intents.is_empty(), plan.clipped.len());
    parts.metrics.asked(&plan.calls);
    figures(parts, decided.config, snapshot);
    let pending = by_reason(snapshot, &plan.pending);
    parts.metrics.pending(pending.iter().map(|(reason, status)| (*reason, status.count)));
    pods(parts, decided, snapshot, plan);
    parts.status.update(|status| {
        status.pending = pending.into_iter().map(|(reason, waiting)| (reason.to_owned(), waiting)).collect();
        let decision = DecisionStatus {
            id: decided.id.to_string(),
            at: rfc3339(decided.now),
            took_ms: millis(decided.took),
            outcome,
        };
        status.decisions.insert(Subject::ScaleUp.label().to_owned(), decision);
    });
}

/// Why launches are not made though they are planned.
fn why_not(parts: &Parts) -> &'static str {
    if parts.identity.observe {
        "the mode is observe"
    } else if parts.provider.is_none() {
        "no provider is configured"
    } else if !parts.features.is_on(plimsoll_kube::Feature::Launches) {
        "launches cannot be written down: a permission is missing"
    } else {
        "launching is off, or cools down after the launch before"
    }
}

/// Events on pods: those that get a node, and those that stay without, each with its reason.
fn pods(parts: &Parts, decided: &Decided<'_>, snapshot: &Snapshot, plan: &ScaleUpPlan) {
    let place = |pod| telling::pod(snapshot.pod(pod));
    if decided.launching {
        let launched = plan.launches.iter().flat_map(|launch| launch.pods.iter().map(move |pod| (launch, *pod)));
        for (launch, pod) in launched.take(TOLD) {
            let message = format!(
                "a node of group {} and type {} is launched in zone {} for it",
                launch.group, launch.instance_type, launch.zone
            );
            parts.tell(place(pod), EventReason::LaunchPlanned, message, Some(decided.id));
        }
    }
    let quiet = [
        PendingReason::SchedulingGated,
        PendingReason::Preempting,
        PendingReason::OtherScheduler,
        PendingReason::FitsExistingNode,
        PendingReason::NodeLaunching,
    ];
    for pending in plan.pending.iter().filter(|pending| !quiet.contains(&pending.reason)).take(TOLD) {
        let reason = EventReason::Pending(pending.reason.label());
        parts.tell(place(pending.pod), reason, pending.detail.clone(), Some(decided.id));
    }
}

fn by_reason(snapshot: &Snapshot, pending: &[PendingPod]) -> BTreeMap<&'static str, PendingStatus> {
    let mut all: BTreeMap<&'static str, PendingStatus> = BTreeMap::new();
    for waiting in pending {
        let status = all.entry(waiting.reason.label()).or_default();
        status.count += 1;
        if status.examples.len() < EXAMPLES {
            let pod = snapshot.pod(waiting.pod);
            status.examples.insert(format!("{}/{}", pod.namespace, pod.name), waiting.detail.clone());
        }
    }
    all
}

/// Gauges of what there is.
fn figures(parts: &Parts, config: &ScaleUpConfig, snapshot: &Snapshot) {
    let groups = GroupIndex::of(&config.groups);
    let mut counts: HashMap<[String; 5], u64> = HashMap::new();
    let (mut allocatable, mut requested) = (Resources::default(), Resources::default());
    for (id, node) in snapshot.nodes() {
        let group = groups.group_of(node).map(|(_, group)| group.name.to_string()).unwrap_or_default();
        let text = |text: Option<&plimsoll_model::Text>| text.map(ToString::to_string).unwrap_or_default();
        let labels = [
            group,
            node.lifecycle().map(|lifecycle| lifecycle.name().to_owned()).unwrap_or_default(),
            text(node.zone()),
            text(node.instance_type()),
            state(node).to_owned(),
        ];
        *counts.entry(labels).or_default() += 1;
        if !node.launching {
            allocatable.add(&node.allocatable, 1);
            requested.add(&snapshot.requested_on(id), 1);
        }
    }
    parts.metrics.nodes(counts);
    for (what, amount) in [("allocatable", &allocatable), ("requested", &requested)] {
        parts.metrics.resource(what, "cpu", exact(amount.cpu.0) / 1000.0);
        parts.metrics.resource(what, "memory", exact(amount.memory.0));
        parts.metrics.resource(what, "gpu", exact(amount.gpus()));
    }
    let mut headroom = Resources::default();
    for units in plimsoll_planner::scale_up::headroom(config, snapshot) {
        headroom.add(&units.shape.requests, units.count.into());
    }
    parts.metrics.resource("headroom", "cpu", exact(headroom.cpu.0) / 1000.0);
    parts.metrics.resource("headroom", "memory", exact(headroom.memory.0));
    parts.metrics.resource("headroom", "gpu", exact(headroom.gpus()));
    parts.metrics.resource("limit", "cpu", exact(config.limits.max_cpu.0) / 1000.0);
    parts.metrics.resource("limit", "memory", exact(config.limits.max_memory.0));
    parts.metrics.resource("limit", "nodes", f64::from(config.limits.max_nodes));
}

/// As Prometheus takes it; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn exact(amount: u64) -> f64 {
    amount as f64
}

fn state(node: &Node) -> &'static str {
    match node {
        Node { launching: true, .. } => "Launching",
        Node { deleting: true, .. } => "Deleting",
        Node { ready: false, .. } => "NotReady",
        Node { unschedulable: true, .. } => "Cordoned",
        _ => "Ready",
    }
}

/// Says what a provider answered.
pub fn outcome(parts: &Parts, intent: Option<&LaunchIntent>, outcome: &LaunchOutcome) {
    let Some(LaunchIntent { id, request, decision, .. }) = intent else { return };
    let (group, count) = (&request.group, request.count);
    match outcome {
        LaunchOutcome::Accepted { .. } => {
            tracing::info!(%decision, launch = %id, %group, count, "the provider launches the nodes");
            parts.metrics.launched(group, "pendingPodsOrHeadroom", count);
            let (nodes, are) = if count == 1 { ("node", "is") } else { ("nodes", "are") };
            let message = format!(
                "{count} {nodes} of group {group} ({}, {}) {are} on the way, as launch {id}",
                request.instance_type, request.zone
            );
            let (about, from) = (telling::controller(&parts.identity), DecisionId(decision.clone()));
            parts.tell(about, EventReason::NodeLaunched, message, Some(&from));
        }
        LaunchOutcome::Unknown(said) => {
            tracing::warn!(%decision, launch = %id, %group, "no answer from the provider, asked again soon: {said}");
            parts.metrics.launch_failed(group, "Unknown");
        }
        // The ledger has it as news.
        LaunchOutcome::Failed(_) => {}
    }
}

/// Says what became of launches.
pub fn news(parts: &Parts, all: &[News], snapshot: &Snapshot) {
    for news in all {
        let group = &news.kind().group;
        let about = telling::controller(&parts.identity);
        match news {
            News::Joined { node, .. } | News::Recovered { node, .. } => {
                tracing::info!(launch = %news.launch(), "{news}");
                parts.metrics.join(group, true);
                let about = snapshot.find_node(node).map_or(about, |(_, node)| telling::node(node));
                parts.tell(about, EventReason::NodeJoined, news.to_string(), None);
            }
            News::NotJoined { .. } => {
                tracing::warn!(launch = %news.launch(), "{news}");
                parts.metrics.join(group, false);
                parts.tell(about, EventReason::NodeNotJoined, news.to_string(), None);
            }
            News::Failed { failure, .. } => {
                tracing::warn!(launch = %news.launch(), "{news}");
                parts.metrics.launch_failed(group, failure.label());
                let reason = match failure {
                    plimsoll_planner::launch::LaunchFailure::Unauthorized(_) => EventReason::ProviderUnauthorized,
                    _ => EventReason::LaunchFailed,
                };
                parts.tell(about, reason, news.to_string(), None);
            }
        }
    }
}

/// Says where configuration and provider do not agree.
pub fn group_warnings(parts: &Parts, warnings: &[GroupWarning]) {
    let all: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    parts.status.update(|status| {
        if status.provider.warnings != all {
            for warning in all.iter().filter(|warning| !status.provider.warnings.contains(warning)) {
                tracing::warn!("{warning}");
            }
            status.provider.warnings = all;
        }
    });
}

/// Puts groups and launches into the status and the metrics.
pub fn groups(
    parts: &Parts,
    config: &ScaleUpConfig,
    facts: &[GroupFacts],
    ledger: &Ledger,
    snapshot: &Snapshot,
    now: Timestamp,
) {
    let all = ledger.provisioning(config, facts, snapshot, now);
    parts.metrics.forget_groups();
    let mut groups = BTreeMap::new();
    for group in &all {
        let configured = config.groups.iter().find(|known| known.name == group.group);
        let (min, max) = configured.map_or((0, 0), |known| (known.min, known.max));
        for (what, size) in [
            ("min", min),
            ("max", max),
            ("joined", group.joined),
            ("ready", group.ready),
            ("launching", group.launching),
        ] {
            parts.metrics.group_size(&group.group, what, size);
        }
        if let Some(target) = group.target {
            parts.metrics.group_size(&group.group, "target", target);
        }
        let blocked = group.blocked_why.iter().map(|why| match group.blocked_until {
            Some(until) => format!("until {}: {why}", rfc3339(until)),
            None => why.clone(),
        });
        let status = GroupStatus {
            min,
            max,
            target: group.target,
            joined: group.joined,
            launching: group.launching,
            blocked: blocked.collect(),
        };
        groups.insert(group.group.to_string(), status);
    }
    let launches = ledger.open().take(LISTED).map(|intent| {
        let request = &intent.request;
        let status = LaunchStatus {
            group: request.group.to_string(),
            instance_type: request.instance_type.to_string(),
            zone: request.zone.to_string(),
            count: request.count,
            decided: rfc3339(intent.decided),
            decision: intent.decision.to_string(),
        };
        (intent.id.to_string(), status)
    });
    let launches: BTreeMap<_, _> = launches.collect();
    parts.status.update(|status| {
        status.groups = groups;
        status.launches = launches;
    });
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
