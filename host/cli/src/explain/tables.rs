//! Explanations for people: pods with the same answer are told of once.

use std::collections::HashMap;
use std::sync::Arc;

use comfy_table::Color;
use plimsoll_model::{NodeId, PodId, Snapshot, one_line};
use plimsoll_planner::explain::{Failure, GroupVerdict, NodeSet, PodExplainer, PodExplanation};

use crate::table::{LONGEST, bad, cell, few, good, heading, muted, plain, right};

/// Pods with the same answer.
struct Told {
    pods: Vec<PodId>,
    explanation: PodExplanation,
}

/// Some pods, in the order in which they are given.
pub fn pods(snapshot: &Snapshot, explainer: &mut PodExplainer<'_>, pods: &[PodId], all_nodes: bool) -> String {
    if pods.is_empty() {
        return "No pod is pending.".to_owned();
    }
    let mut known = HashMap::new();
    let mut all: Vec<Told> = Vec::new();
    for &pod in pods {
        let explanation = explainer.explain(pod);
        let judged = Arc::as_ptr(&explanation.nodes).addr();
        let key = (judged, explanation.state, explanation.reason, explanation.detail.clone());
        let at = *known.entry(key).or_insert_with(|| {
            all.push(Told { pods: Vec::new(), explanation });
            all.len() - 1
        });
        all[at].pods.push(pod);
    }
    let told = all.iter().map(|told| {
        let nodes = if all_nodes { each_node(&told.explanation) } else { explainer.node_sets(&told.explanation) };
        section(snapshot, told, &nodes)
    });
    told.collect::<Vec<_>>().join("\n\n")
}

fn section(snapshot: &Snapshot, told: &Told, nodes: &[NodeSet]) -> String {
    let Told { pods, explanation } = told;
    let names: Vec<String> = pods.iter().map(|&pod| snapshot.pod(pod).full_name()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (state, reason) = (explanation.state.label(), explanation.reason.label());
    let title = format!("{}: {state}, {reason}: {}", few(&names), explanation.detail);
    let mut out = vec![one_line(&title, LONGEST).into_owned()];
    out.extend(explanation.helps.iter().map(|help| format!("  to help: {}", one_line(help, LONGEST))));
    if !explanation.groups.is_empty() {
        out.push(heading("Node groups"));
        out.push(groups(&explanation.groups));
    }
    let fitting = explanation.nodes.iter().filter(|verdict| verdict.fits()).count();
    out.push(heading(&format!("Nodes: it fits on {fitting} of {}", explanation.nodes.len())));
    if !nodes.is_empty() {
        out.push(rows(snapshot, nodes));
    }
    out.join("\n")
}

fn groups(groups: &[GroupVerdict]) -> String {
    let mut table = plain(&["GROUP", "KINDS THAT FIT", "LIMITS", "FILTER", "REASON", "EXAMPLE"]);
    for group in groups {
        let fitting = format!("{} of {}", group.fitting, group.kinds);
        let mut first = vec![
            cell(&group.group),
            if group.fits() { good(fitting) } else { bad(fitting) },
            cell(group.limits.join("; ")).fg(Color::Yellow),
        ];
        for failure in &group.failed {
            let many = if failure.kinds > 1 {
                format!("{} kinds: {}", failure.kinds, failure.reason)
            } else {
                failure.reason.clone()
            };
            first.extend([cell(failure.filter).fg(Color::Yellow), cell(many), muted(&failure.example)]);
            table.add_row(std::mem::replace(&mut first, vec![cell(""), cell(""), cell("")]));
        }
        if group.failed.is_empty() {
            table.add_row(first);
        }
    }
    table.to_string()
}

fn each_node(explanation: &PodExplanation) -> Vec<NodeSet> {
    let each = |node: NodeId, failed: &[Failure]| NodeSet { nodes: vec![node], failed: failed.to_vec() };
    explanation.nodes.iter().map(|verdict| each(verdict.node, &verdict.failed)).collect()
}

fn rows(snapshot: &Snapshot, sets: &[NodeSet]) -> String {
    let mut table = plain(&["NODES", "", "FILTER", "REASON"]);
    for set in sets {
        let names: Vec<&str> = set.nodes.iter().map(|&node| &*snapshot.node(node).name).collect();
        let mut first = vec![right(names.len()), cell(few(&names))];
        for failure in &set.failed {
            first.extend([cell(failure.filter).fg(Color::Yellow), cell(&failure.reason)]);
            table.add_row(std::mem::replace(&mut first, vec![cell(""), cell("")]));
        }
        if set.failed.is_empty() {
            first.push(good("fits"));
            table.add_row(first);
        }
    }
    table.to_string()
}
