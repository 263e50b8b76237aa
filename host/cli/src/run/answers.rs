//! The sandboxed policies, as the controller asks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_controller::{Policies, PolicyStatus};
use plimsoll_model::Snapshot;
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict};
use plimsoll_planner::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use plimsoll_planner::scale_up::{ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_planner::{Asked, CsrPolicy, DrainPolicy, Point, ScaleUpPolicy};
use plimsoll_policy::{Change, Mode, PolicyRegistry, PolicySpec};

use super::logging::TRACES_ONLY;

/// A call of the policies of a point, for traces.
fn call(point: Point) -> tracing::Span {
    tracing::info_span!(target: TRACES_ONLY, "policies", point = point.interface())
}

/// The registry, and how often it has changed.
pub struct SandboxedPolicies {
    registry: PolicyRegistry,
    changes: AtomicU64,
}

impl SandboxedPolicies {
    /// Around this registry.
    pub fn new(registry: PolicyRegistry) -> Self {
        Self { registry, changes: AtomicU64::new(0) }
    }

    /// Takes over another list of configured policies, and reads everything again.
    pub fn replace(&self, specs: Vec<(Point, PolicySpec)>) -> Vec<Change> {
        let changes = self.registry.replace_specs(specs);
        if !changes.is_empty() {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        changes
    }
}

impl ScaleUpPolicy for SandboxedPolicies {
    fn choose(&self, snapshot: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        call(Point::ScaleUp).in_scope(|| self.registry.choose(snapshot, question))
    }
}

impl DrainPolicy for SandboxedPolicies {
    fn order_nodes(&self, snapshot: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        call(Point::Drain).in_scope(|| self.registry.order_nodes(snapshot, question))
    }

    fn order_pods(&self, snapshot: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        call(Point::Drain).in_scope(|| self.registry.order_pods(snapshot, question))
    }
}

impl CsrPolicy for SandboxedPolicies {
    fn review(&self, snapshot: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict> {
        call(Point::CsrApproval).in_scope(|| self.registry.review(snapshot, question))
    }
}

impl Policies for SandboxedPolicies {
    fn status(&self) -> Vec<PolicyStatus> {
        let all = self.registry.status();
        let rows = all.iter().flat_map(|policy| policy.points.iter().map(move |point| (policy, *point)));
        rows.map(|(policy, point)| PolicyStatus {
            name: policy.name.to_string(),
            point: point.interface(),
            mode: match policy.mode {
                Mode::Active => "active".to_owned(),
                Mode::Shadow => "shadow".to_owned(),
            },
            generation: policy.active.as_ref().map(|generation| generation.number),
            digest: policy.active.as_ref().map(|generation| generation.digest.to_string()),
            resting: policy.resting.iter().any(|resting| resting.point == point),
            problem: policy.setback.as_ref().map(|setback| setback.failure.to_string()),
        })
        .collect()
    }

    fn revision(&self) -> u64 {
        // A policy that rests lets another one answer.
        let resting = self.registry.status().iter().map(|policy| policy.resting.len()).sum::<usize>();
        self.changes.load(Ordering::Relaxed) * 1000 + u64::try_from(resting).unwrap_or(0)
    }
}
