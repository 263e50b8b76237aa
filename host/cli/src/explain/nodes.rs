//! `explain node`: why nodes stay or go, and what becomes of their pods.

use anyhow::{Result, bail};
use comfy_table::{Cell, Color};
use plimsoll_model::{NodeId, Snapshot, one_line};
use plimsoll_planner::drain::PodOutcome;
use plimsoll_planner::explain::{NodeExplainer, NodeExplanation};
use serde::Serialize;

use crate::report::dollars;
use crate::table::{self, LONGEST, bad, cell, good, heading, muted, plain, right};

/// Names that are suggested.
const SUGGESTED: usize = 3;
/// How much alike two names must be, of 1, for one to be suggested for the other.
const ALIKE: f64 = 0.85;

/// One node, as `-o json` prints it. Keys are part of the interface.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    node: String,
    removable: bool,
    reason: &'static str,
    detail: String,
    pods: Vec<PodReport>,
    savings: Option<f64>,
    would_move_to: Vec<MoveReport>,
}

/// What becomes of a pod.
#[derive(Debug, Serialize)]
struct PodReport {
    pod: String,
    outcome: &'static str,
    reason: &'static str,
}

/// Where a pod can go.
#[derive(Debug, Serialize)]
struct MoveReport {
    pod: String,
    node: String,
}

/// The node of this name.
pub fn find(snapshot: &Snapshot, wanted: &str) -> Result<NodeId> {
    if let Some((id, _)) = snapshot.find_node(wanted) {
        return Ok(id);
    }
    let mut alike: Vec<(f64, &str)> =
        snapshot.nodes().map(|(_, node)| (strsim::jaro_winkler(wanted, &node.name), node.name.as_str())).collect();
    alike.retain(|(likeness, _)| *likeness >= ALIKE);
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let close: Vec<&str> = alike.into_iter().take(SUGGESTED).map(|(_, name)| name).collect();
    let hint = if close.is_empty() { String::new() } else { format!("; did you mean {}?", close.join(" or ")) };
    bail!("there is no node {wanted} in the cluster as it was read{hint}")
}

/// One node for people, with each of its pods.
pub fn details(snapshot: &Snapshot, explained: &NodeExplanation) -> String {
    let verdict = if explained.removable { "goes" } else { "stays" };
    let name = &snapshot.node(explained.node).name;
    let title = format!("{name}: {verdict}, {}: {}", explained.reason, explained.detail);
    let mut out = vec![one_line(&title, LONGEST).into_owned()];
    if explained.removable {
        out.push(format!("  saves {} per hour", table::dollars(explained.savings.map(dollars))));
    }
    if explained.pods.is_empty() {
        out.push("  It runs no pods.".to_owned());
        return out.join("\n");
    }
    let mut rows = plain(&["POD", "", "REASON", "GOES TO", "DETAIL"]);
    for (pod, outcome) in &explained.pods {
        let place = explained.would_move_to.iter().find(|(moved, _)| moved == pod);
        let place = place.map_or("", |(_, to)| snapshot.node(*to).name.as_str());
        let detail = if let PodOutcome::Blocked(_, detail) = outcome { detail } else { "" };
        rows.add_row([
            cell(snapshot.pod(*pod).full_name()),
            outcome_cell(outcome),
            cell(outcome.reason()),
            cell(place),
            cell(detail),
        ]);
    }
    out.push(heading("Pods"));
    out.push(rows.to_string());
    out.join("\n")
}

/// All nodes for people, one line each.
pub fn overview(snapshot: &Snapshot, explainer: &NodeExplainer<'_>) -> String {
    let nodes = explainer.nodes();
    if nodes.is_empty() {
        return "There is no node.".to_owned();
    }
    let mut rows = plain(&["NODE", "", "REASON", "EVICTED", "BLOCKED", "SAVES/H", "WHY"]);
    for node in nodes {
        let explained = explainer.explain(node);
        let count = |label: &str| explained.pods.iter().filter(|(_, outcome)| outcome.label() == label).count();
        let saves = if explained.removable { table::dollars(explained.savings.map(dollars)) } else { String::new() };
        rows.add_row([
            cell(&snapshot.node(node).name),
            if explained.removable { good("goes") } else { cell("stays").fg(Color::Yellow) },
            cell(explained.reason),
            right(count("evict")),
            right(count("blocked")),
            right(saves),
            cell(&explained.detail),
        ]);
    }
    rows.to_string()
}

fn outcome_cell(outcome: &PodOutcome) -> Cell {
    match outcome {
        PodOutcome::Evict => good(outcome.label()),
        PodOutcome::Blocked(..) => bad(outcome.label()),
        PodOutcome::DaemonSet | PodOutcome::Ignored(_) => muted(outcome.label()),
    }
}

// === impl NodeReport ===

impl NodeReport {
    /// One node of a snapshot.
    pub fn new(snapshot: &Snapshot, explained: &NodeExplanation) -> Self {
        let pod = |id| snapshot.pod(id).full_name();
        let pods = explained.pods.iter().map(|(id, outcome)| PodReport {
            pod: pod(*id),
            outcome: outcome.label(),
            reason: outcome.reason(),
        });
        let moves = explained
            .would_move_to
            .iter()
            .map(|(moved, to)| MoveReport { pod: pod(*moved), node: snapshot.node(*to).name.to_string() });
        Self {
            node: snapshot.node(explained.node).name.to_string(),
            removable: explained.removable,
            reason: explained.reason,
            detail: explained.detail.clone(),
            pods: pods.collect(),
            savings: explained.savings.map(dollars),
            would_move_to: moves.collect(),
        }
    }
}
