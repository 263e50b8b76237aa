//! What the tests have in common.

use plimsoll_kube::{Leadership, LeadershipSetter, Permit, Purpose, Term};
use plimsoll_model::{LabelSet, Lifecycle, Taint, TaintEffect, Timestamp};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::{LaunchId, LaunchIntent, LaunchOutcome};
use plimsoll_planner::scale_up::LaunchRequest;

/// A leadership without end, and who can end it.
pub fn leader() -> (LeadershipSetter, Leadership) {
    let (setter, leadership) = Leadership::new(false);
    setter.lead(Term { number: 1, until: None });
    (setter, leadership)
}

pub fn permit(leadership: &Leadership) -> Permit {
    leadership.permit(Purpose::Effect).expect("leads")
}

pub fn request(group: &str, count: u32) -> LaunchRequest {
    let labels: LabelSet = [
        ("topology.kubernetes.io/zone", "zone-a"),
        ("node.kubernetes.io/instance-type", "m5.large"),
        ("kubernetes.io/arch", "arm64"),
        ("kubernetes.io/os", "linux"),
        ("plimsoll.dev/node-group", group),
        ("team", "shop"),
    ]
    .into_iter()
    .collect();
    LaunchRequest {
        group: group.into(),
        instance_type: "m5.large".into(),
        zone: "zone-a".into(),
        lifecycle: Lifecycle::Spot,
        count,
        labels,
        taints: vec![Taint { key: "team".into(), value: "shop".into(), effect: TaintEffect::NoSchedule }],
        subnet: None,
        iops: None,
        volume: None,
    }
}

pub fn intent(id: &str, group: &str, count: u32, baseline: Option<u32>) -> LaunchIntent {
    LaunchIntent {
        id: LaunchId(id.into()),
        request: request(group, count),
        baseline,
        decided: Timestamp(1_700_000_000_000),
        decision: "d-1".into(),
        term: 1,
    }
}

/// The label of an outcome, for tables.
pub fn label(outcome: &LaunchOutcome) -> &'static str {
    match outcome {
        LaunchOutcome::Accepted { .. } => "Accepted",
        LaunchOutcome::Failed(failure) => failure.label(),
        LaunchOutcome::Unknown(_) => "Unknown",
    }
}

pub fn removal(node: &str, provider_id: Option<&str>, group: Option<&str>, baseline: Option<u32>) -> Removal {
    Removal {
        node: node.into(),
        provider_id: provider_id.map(Into::into),
        group: group.map(Into::into),
        drain: "d-7".into(),
        baseline,
    }
}

/// The label of what came of a removal, for tables.
pub fn removed(outcome: &RemovalOutcome) -> &'static str {
    match outcome {
        RemovalOutcome::Accepted => "Accepted",
        RemovalOutcome::Gone => "Gone",
        RemovalOutcome::Failed(failure) => failure.label(),
        RemovalOutcome::Unknown(_) => "Unknown",
    }
}
