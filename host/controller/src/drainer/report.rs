//! Drains, said in every way that there is: log, Event, metric, status.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use plimsoll_kube::EventReason;
use plimsoll_model::{Snapshot, Text, Timestamp};
use plimsoll_planner::drain::{Cause, DrainChange, DrainNews, Drains, KeptReason, ScaleDownPlan};

use crate::telling;
use crate::{DecisionId, DecisionStatus, DrainStatus, KeptStatus, Parts, Subject, rfc3339};

/// Nodes of one reason that the status names.
const EXAMPLES: usize = 5;
/// Nodes of one decision that get an Event; the others are in the status by number.
const TOLD: usize = 100;

/// What was said last of each node, so that it is said once.
#[derive(Debug, Default)]
pub struct Said(HashMap<Text, KeptReason>);

/// A decision about scale-down.
pub struct Decided<'a> {
    /// Its id.
    pub id: &'a DecisionId,
    /// When it was made.
    pub now: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Drains are carried out, or why not.
    pub can: Result<(), &'static str>,
}

/// Says what was planned.
pub fn plan(parts: &Parts, decided: &Decided<'_>, snapshot: &Snapshot, plan: &ScaleDownPlan, said: &mut Said) {
    let took_ms = u64::try_from(decided.took.as_millis()).unwrap_or(u64::MAX);
    let outcome = match (plan.drains.len(), decided.can) {
        (0, _) => "no node goes".to_owned(),
        (nodes, Ok(())) => format!("{nodes} nodes are drained"),
        (nodes, Err(why)) => format!("{nodes} nodes would be drained; none is, because {why}"),
    };
    if plan.drains.is_empty() && plan.clipped.is_empty() {
        tracing::debug!(took_ms, kept = plan.kept.len(), "{outcome}");
    } else {
        tracing::info!(took_ms, kept = plan.kept.len(), "{outcome}");
    }
    for drain in &plan.drains {
        let node = &snapshot.node(drain.node).name;
        tracing::info!(%node, cause = drain.cause.label(), pods = drain.evictions.len(), "{}", drain.reason);
    }
    for clipped in &plan.clipped {
        tracing::warn!("an answer was changed: {clipped}");
    }
    for call in &plan.calls {
        if let plimsoll_planner::CallOutcome::Failed { label, sentence } = &call.outcome {
            tracing::warn!(policy = %call.policy, kind = label, "{sentence}");
        }
    }
    let seconds = Duration::from_millis(decided.now.0).as_secs_f64();
    let acted = decided.can.is_ok() && !plan.drains.is_empty();
    parts.metrics.decided(Subject::ScaleDown, seconds, decided.took, acted, plan.clipped.len());
    parts.metrics.asked(&plan.calls);
    let kept = by_reason(snapshot, plan);
    parts.metrics.kept(kept.iter().map(|(reason, status)| (*reason, status.count)));
    events(parts, decided, snapshot, plan, said);
    parts.status.update(|status| {
        status.nodes = kept.into_iter().map(|(reason, kept)| (reason.to_owned(), kept)).collect();
        let decision = DecisionStatus { id: decided.id.to_string(), at: rfc3339(decided.now), took_ms, outcome };
        status.decisions.insert(Subject::ScaleDown.label().to_owned(), decision);
    });
}

/// Events on nodes that have to go, and on nodes that stay for a reason that somebody may want to change.
fn events(parts: &Parts, decided: &Decided<'_>, snapshot: &Snapshot, plan: &ScaleDownPlan, said: &mut Said) {
    for forced in plan.forced.iter().filter(|forced| forced.cause == Cause::Interruption).take(TOLD) {
        let message = format!("the machine is taken back: {}", forced.reason);
        let about = telling::node(snapshot.node(forced.node));
        parts.tell(about, EventReason::NodeInterrupted, message, Some(decided.id));
    }
    let before = std::mem::take(&mut said.0);
    let mut told = 0;
    for kept in &plan.kept {
        let node = snapshot.node(kept.node);
        said.0.insert(node.name.clone(), kept.reason);
        let new = before.get(&node.name) != Some(&kept.reason);
        if new && is_told(kept.reason) && told < TOLD {
            told += 1;
            let reason = EventReason::Kept(kept.reason.label());
            parts.tell(telling::node(node), reason, kept.detail.clone(), Some(decided.id));
        }
    }
}

/// True if a person may wonder about this node. What holds for all nodes, or passes by itself, is in the status.
fn is_told(reason: KeptReason) -> bool {
    !matches!(
        reason,
        KeptReason::ScaleDownDisabled
            | KeptReason::PodsUnknown
            | KeptReason::ControlPlane
            | KeptReason::NotManaged
            | KeptReason::BeingDeleted
            | KeptReason::Draining
            | KeptReason::TooYoung
            | KeptReason::NoProvider
            | KeptReason::DrainsHalted
            | KeptReason::Suspended
            | KeptReason::NotUnneededLongEnough
            | KeptReason::CoolingDown
    )
}

fn by_reason(snapshot: &Snapshot, plan: &ScaleDownPlan) -> BTreeMap<&'static str, KeptStatus> {
    let mut all: BTreeMap<&'static str, KeptStatus> = BTreeMap::new();
    for kept in &plan.kept {
        let status = all.entry(kept.reason.label()).or_default();
        status.count += 1;
        if status.examples.len() < EXAMPLES {
            status.examples.insert(snapshot.node(kept.node).name.to_string(), kept.detail.clone());
        }
    }
    all
}

/// Says what became of drains.
pub fn news(parts: &Parts, all: &[DrainNews], snapshot: &Snapshot) {
    for news in all {
        let decision = news.decision.as_ref().map(ToString::to_string).unwrap_or_default();
        let drain = news.drain.as_ref().map(ToString::to_string).unwrap_or_default();
        if news.change.warns() {
            tracing::warn!(decision, drain, node = %news.node, "{news}");
        } else {
            tracing::info!(decision, drain, node = %news.node, "{news}");
        }
        parts.metrics.drained(news.label());
        if let DrainChange::Completed { .. } = &news.change {
            let group = snapshot.find_node(&news.node).and_then(|(_, node)| node.group_label().cloned());
            parts.metrics.removed(&group.map(|group| group.to_string()).unwrap_or_default());
        }
        let pod = news.pod.as_ref().and_then(|pod| snapshot.find_pod(&pod.namespace, &pod.name));
        let node = snapshot.find_node(&news.node);
        let about = match (pod, node) {
            (Some((_, pod)), _) => telling::pod(pod),
            (None, Some((_, node))) => telling::node(node),
            (None, None) => telling::gone_node(&news.node),
        };
        let from = news.decision.clone().map(DecisionId);
        parts.tell(about, reason(&news.change), news.to_string(), from.as_ref());
    }
}

fn reason(change: &DrainChange) -> EventReason {
    match change {
        DrainChange::Started { .. } => EventReason::NodeDraining,
        DrainChange::Evicted => EventReason::PodEvicted,
        DrainChange::Refused { .. } => EventReason::EvictionBlocked,
        DrainChange::ForceDeleted { .. } => EventReason::ForceDeleted,
        DrainChange::TimedOut { .. } => EventReason::TerminatedWithPods,
        DrainChange::Terminating => EventReason::NodeTerminating,
        DrainChange::Drained => EventReason::NodeDrained,
        DrainChange::Completed { .. } => EventReason::NodeRemoved,
        DrainChange::Cancelled { .. } | DrainChange::Released { .. } => EventReason::DrainCancelled,
        DrainChange::Adopted { .. } => EventReason::DrainResumed,
        DrainChange::LeftAlone { .. } => EventReason::RivalAutoscaler,
        DrainChange::WarmupStarted { .. } => EventReason::WarmupStarted,
        DrainChange::WarmupReady { .. } => EventReason::WarmupReady,
        DrainChange::WarmupCutShort { .. } => EventReason::WarmupCutShort,
        DrainChange::WarmupUnsupported { .. } => EventReason::WarmupUnsupported,
        DrainChange::PermissionMissing { .. } => EventReason::FeatureOff,
        DrainChange::RemovalFailed { .. } => EventReason::RemovalFailed,
        DrainChange::SingleReplicaHint { .. } => EventReason::NoWarmup,
    }
}

/// Puts the drains that are under way into the status and the metrics.
pub fn drains(parts: &Parts, drains: Option<&Drains>, now: Timestamp) {
    let running = drains.map(|drains| drains.running(now)).unwrap_or_default();
    let mut causes: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut all = BTreeMap::new();
    for drain in running {
        *causes.entry(drain.cause.label()).or_default() += 1;
        let found = drains.and_then(|drains| drains.find(&drain.node));
        let status = DrainStatus {
            cause: drain.cause.label(),
            group: drain.group.map(|group| group.to_string()),
            reason: found.map(|found| found.reason.clone()).unwrap_or_default(),
            started: found.map(|found| rfc3339(found.started)).unwrap_or_default(),
            deadline: rfc3339(drain.deadline),
            progress: drain.progress,
            decision: found.map(|found| found.decision.to_string()).unwrap_or_default(),
        };
        all.insert(drain.node.to_string(), status);
    }
    parts.metrics.draining(causes);
    parts.status.update(|status| status.drains = all);
}
