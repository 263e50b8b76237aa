//! What `simulate -o json` prints. Keys are part of the interface.

use plimsoll_model::{Price, Snapshot, Timestamp};
use plimsoll_planner::csr::{CsrPlan, CsrVerdict};
use plimsoll_planner::drain::ScaleDownPlan;
use plimsoll_planner::scale_up::ScaleUpPlan;
use plimsoll_planner::{CallOutcome, PolicyCall};
use plimsoll_policy::{Mode, PolicyStatus};
use serde::Serialize;

/// One simulation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The time of the decisions, RFC 3339.
    pub now: String,
    /// What was read.
    pub cluster: ClusterReport,
    /// Every policy, in the order in which it is asked.
    pub policies: Vec<PolicyReport>,
    /// What would be launched.
    pub scale_up: ScaleUpReport,
    /// What would be drained.
    pub scale_down: ScaleDownReport,
    /// What would become of signing requests.
    pub csr: Vec<CsrReport>,
    /// Every question put to a policy.
    pub decisions: Vec<DecisionReport>,
    /// What the host changed in the policies' answers.
    pub clipped: Vec<String>,
    /// What a person should know about the input.
    pub warnings: Vec<String>,
}

/// Counts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    pub nodes: usize,
    pub pods: usize,
    /// Kinds of objects that nothing uses, and how many.
    pub unused_kinds: std::collections::BTreeMap<String, u64>,
}

/// A policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    pub name: String,
    pub module: String,
    pub points: Vec<&'static str>,
    pub mode: &'static str,
    pub generation: Option<u64>,
    pub digest: Option<String>,
    pub error: Option<String>,
}

/// Scale-up.
#[derive(Debug, Serialize)]
pub struct ScaleUpReport {
    pub launches: Vec<LaunchReport>,
    pub pending: Vec<PendingReport>,
}

/// Nodes to launch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchReport {
    pub node_group: String,
    pub instance_type: String,
    pub zone: String,
    pub lifecycle: &'static str,
    pub count: u32,
    pub pods: Vec<String>,
    /// Units of headroom that the nodes keep free.
    pub headroom: u32,
    /// Of one node, in US dollars.
    pub price_per_hour: Option<f64>,
    pub reason: String,
}

/// A pod that stays pending.
#[derive(Debug, Serialize)]
pub struct PendingReport {
    pub pod: String,
    pub reason: &'static str,
    pub detail: String,
}

/// Scale-down.
#[derive(Debug, Serialize)]
pub struct ScaleDownReport {
    pub drains: Vec<DrainReport>,
    pub kept: Vec<KeptReport>,
}

/// A node to drain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainReport {
    pub node: String,
    /// From 1.
    pub order: usize,
    pub reason: String,
    /// In US dollars.
    pub savings_per_hour: Option<f64>,
    pub evictions: Vec<EvictionReport>,
}

/// An eviction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvictionReport {
    pub pod: String,
    pub after_seconds: f64,
    pub reason: String,
}

/// A node that stays.
#[derive(Debug, Serialize)]
pub struct KeptReport {
    pub node: String,
    pub reason: &'static str,
    pub detail: String,
}

/// A signing request.
#[derive(Debug, Serialize)]
pub struct CsrReport {
    pub name: String,
    pub verdict: &'static str,
    pub reason: String,
    pub problems: Vec<String>,
}

/// A question put to a policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionReport {
    pub point: &'static str,
    pub subject: String,
    pub policy: String,
    pub digest: String,
    pub generation: u64,
    pub mode: &'static str,
    pub outcome: &'static str,
    pub error: Option<String>,
    pub micros: u64,
    pub peak_memory_bytes: u64,
    pub log: Vec<String>,
    pub log_dropped: u64,
}

/// The three plans of one simulation.
pub struct Plans {
    pub scale_up: ScaleUpPlan,
    pub scale_down: ScaleDownPlan,
    pub csr: CsrPlan,
}

/// A moment as people and machines read it.
pub fn rfc3339(moment: Timestamp) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| moment.0.to_string(), |moment| moment.to_string())
}

/// A price, in dollars.
#[expect(clippy::cast_precision_loss, reason = "prices are far below 2^53 millionths of a dollar")]
pub fn dollars(price: Price) -> f64 {
    price.0 as f64 / 1e6
}

impl Report {
    /// Everything that one simulation found.
    pub fn new(
        now: Timestamp,
        snapshot: &Snapshot,
        unused_kinds: std::collections::BTreeMap<String, u64>,
        policies: &[PolicyStatus],
        plans: &Plans,
        warnings: Vec<String>,
    ) -> Self {
        let cluster = ClusterReport { nodes: snapshot.node_count(), pods: snapshot.pod_count(), unused_kinds };
        let calls = plans.scale_up.calls.iter().chain(&plans.scale_down.calls).chain(&plans.csr.calls);
        let clipped = plans.scale_up.clipped.iter().chain(&plans.scale_down.clipped).chain(&plans.csr.clipped);
        Self {
            now: rfc3339(now),
            cluster,
            policies: policies.iter().map(policy).collect(),
            scale_up: scale_up(snapshot, &plans.scale_up),
            scale_down: scale_down(snapshot, &plans.scale_down),
            csr: plans.csr.decisions.iter().map(csr).collect(),
            decisions: calls.map(decision).collect(),
            clipped: clipped.cloned().collect(),
            warnings,
        }
    }
}

fn policy(status: &PolicyStatus) -> PolicyReport {
    let error = status.setback.as_ref().map(|setback| setback.failure.to_string());
    let resting = status.resting.first().map(|rest| format!("rests for {}: {}", rest.remaining, rest.failure));
    PolicyReport {
        name: status.name.to_string(),
        module: status.module.clone(),
        points: status.points.iter().map(|point| point.interface()).collect(),
        mode: mode(status.mode == Mode::Shadow),
        generation: status.active.as_ref().map(|active| active.number),
        digest: status.active.as_ref().map(|active| active.digest.to_string()),
        error: error.or(resting),
    }
}

fn mode(shadow: bool) -> &'static str {
    if shadow { "shadow" } else { "active" }
}

fn scale_up(snapshot: &Snapshot, plan: &ScaleUpPlan) -> ScaleUpReport {
    let launches = plan.launches.iter().map(|launch| LaunchReport {
        node_group: launch.group.to_string(),
        instance_type: launch.instance_type.to_string(),
        zone: launch.zone.to_string(),
        lifecycle: launch.lifecycle.name(),
        count: launch.count,
        pods: launch.pods.iter().map(|&pod| snapshot.pod(pod).full_name()).collect(),
        headroom: launch.headroom,
        price_per_hour: launch.price.map(dollars),
        reason: launch.reason.clone(),
    });
    let pending = plan.pending.iter().map(|pending| PendingReport {
        pod: snapshot.pod(pending.pod).full_name(),
        reason: pending.reason.label(),
        detail: pending.detail.clone(),
    });
    ScaleUpReport { launches: launches.collect(), pending: pending.collect() }
}

fn scale_down(snapshot: &Snapshot, plan: &ScaleDownPlan) -> ScaleDownReport {
    #[expect(clippy::cast_precision_loss, reason = "a drain is far shorter than 2^53 milliseconds")]
    let seconds = |millis: plimsoll_model::Millis| millis.0 as f64 / 1000.0;
    let drains = plan.drains.iter().enumerate().map(|(at, drain)| DrainReport {
        node: snapshot.node(drain.node).name.to_string(),
        order: at + 1,
        reason: drain.reason.clone(),
        savings_per_hour: drain.savings.map(dollars),
        evictions: drain
            .evictions
            .iter()
            .map(|eviction| EvictionReport {
                pod: snapshot.pod(eviction.pod).full_name(),
                after_seconds: seconds(eviction.after),
                reason: eviction.reason.clone(),
            })
            .collect(),
    });
    let kept = plan.kept.iter().map(|kept| KeptReport {
        node: snapshot.node(kept.node).name.to_string(),
        reason: kept.reason.label(),
        detail: kept.detail.clone(),
    });
    ScaleDownReport { drains: drains.collect(), kept: kept.collect() }
}

fn csr(decision: &plimsoll_planner::csr::CsrDecision) -> CsrReport {
    let (verdict, reason) = match &decision.verdict {
        CsrVerdict::Approve(reason) => ("approve", reason),
        CsrVerdict::Deny(reason) => ("deny", reason),
        CsrVerdict::Leave(reason) => ("leave", reason),
        CsrVerdict::Retry(reason) => ("retry", reason),
    };
    CsrReport { name: decision.name.to_string(), verdict, reason: reason.clone(), problems: decision.problems() }
}

fn decision(call: &PolicyCall) -> DecisionReport {
    let error = match &call.outcome {
        CallOutcome::Failed { sentence, .. } => Some(sentence.clone()),
        CallOutcome::Answered | CallOutcome::Passed => None,
    };
    DecisionReport {
        point: call.point.interface(),
        subject: call.subject.clone(),
        policy: call.policy.to_string(),
        digest: call.digest.to_string(),
        generation: call.generation,
        mode: mode(call.shadow),
        outcome: call.outcome.label(),
        error,
        micros: call.micros,
        peak_memory_bytes: call.peak_memory.0,
        log: call.log.iter().map(|line| line.message.clone()).collect(),
        log_dropped: call.log_dropped,
    }
}
