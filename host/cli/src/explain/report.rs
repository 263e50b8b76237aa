//! What `explain pod -o json` prints. Keys are part of the interface.

use plimsoll_model::Snapshot;
use plimsoll_planner::explain::{Failure, GroupVerdict, KindFailure, NodeVerdict, PodExplanation};
use serde::Serialize;

/// One pod.
#[derive(Debug, Serialize)]
pub struct PodReport {
    pod: String,
    state: &'static str,
    reason: &'static str,
    detail: String,
    nodes: Vec<NodeReport>,
    groups: Vec<GroupReport>,
    helps: Vec<String>,
}

/// What a node says.
#[derive(Debug, Serialize)]
struct NodeReport {
    node: String,
    fits: bool,
    failed: Vec<FailureReport>,
}

/// A filter that keeps the pod off a node.
#[derive(Debug, Serialize)]
struct FailureReport {
    filter: &'static str,
    reason: String,
}

/// What a node group says.
#[derive(Debug, Serialize)]
struct GroupReport {
    group: String,
    fits: bool,
    /// Kinds of nodes that it could launch: an instance type in a zone, bought one way.
    kinds: u32,
    /// Those that would take the pod.
    fitting: u32,
    failed: Vec<KindReport>,
    /// What keeps its nodes from being launched, whoever wants them.
    limits: Vec<String>,
}

/// A filter that keeps the pod off some kinds of nodes.
#[derive(Debug, Serialize)]
struct KindReport {
    filter: &'static str,
    reason: String,
    kinds: u32,
    example: String,
}

impl PodReport {
    /// One pod of a snapshot.
    pub fn new(snapshot: &Snapshot, explained: &PodExplanation) -> Self {
        Self {
            pod: snapshot.pod(explained.pod).full_name(),
            state: explained.state.label(),
            reason: explained.reason.label(),
            detail: explained.detail.clone(),
            nodes: explained.nodes.iter().map(|verdict| node(snapshot, verdict)).collect(),
            groups: explained.groups.iter().map(group).collect(),
            helps: explained.helps.clone(),
        }
    }
}

fn node(snapshot: &Snapshot, verdict: &NodeVerdict) -> NodeReport {
    let failed = |failure: &Failure| FailureReport { filter: failure.filter, reason: failure.reason.clone() };
    NodeReport {
        node: snapshot.node(verdict.node).name.to_string(),
        fits: verdict.fits(),
        failed: verdict.failed.iter().map(failed).collect(),
    }
}

fn group(verdict: &GroupVerdict) -> GroupReport {
    let failed = |failure: &KindFailure| KindReport {
        filter: failure.filter,
        reason: failure.reason.clone(),
        kinds: failure.kinds,
        example: failure.example.clone(),
    };
    GroupReport {
        group: verdict.group.to_string(),
        fits: verdict.fits(),
        kinds: verdict.kinds,
        fitting: verdict.fitting,
        failed: verdict.failed.iter().map(failed).collect(),
        limits: verdict.limits.clone(),
    }
}
