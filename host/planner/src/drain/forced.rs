//! Nodes that have to go, whatever that costs.

use std::collections::{HashMap, HashSet};

use plimsoll_model::{Millis, Node, NodeId, Snapshot, Text, Timestamp, well_known};

use super::{Cause, History};

/// How nodes are recognised that have to go.
#[derive(Clone, Debug)]
pub struct ForcedRules {
    /// Keys of taints that say that the machine is taken back.
    pub interruption_taints: Vec<Text>,
    /// Types of conditions that say so when they are true.
    pub interruption_conditions: Vec<Text>,
    /// How long a machine lasts after such a sign, where nobody says until when.
    pub notice: Millis,
    /// After how long a node that is not ready is replaced; `None`: never.
    pub unhealthy_after: Option<Millis>,
}

/// The least time that a node may be not ready before it is replaced (`ocean-features` D11).
pub const LEAST_UNHEALTHY: Millis = Millis(60_000);

/// How many of the nodes may be replaced at once because they are broken, in percent; one always may.
const UNHEALTHY_PERCENT: usize = 10;

/// A node that has to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: Text,
    /// Why.
    pub cause: Cause,
    /// When the machine is gone; `None` where nobody but the host sets a time.
    pub deadline: Option<Timestamp>,
    /// Why, for a person.
    pub reason: String,
    /// What was wrong with the sign, a sentence.
    pub warning: Option<String>,
}

// === impl ForcedRules ===

impl Default for ForcedRules {
    /// - `aws-node-termination-handler/…`: what the AWS Node Termination Handler taints nodes with, without rebalance
    ///   recommendations, after which machines often stay (its README, `taintNode`).
    /// - `cloud.google.com/impending-node-termination`: GKE, "Graceful node shutdown".
    /// - `PreemptScheduled`, `TerminateScheduled`: Azure's scheduled events, as conditions.
    /// - 120 s: the notice of AWS; nodes that are not ready are left alone until somebody asks for their replacement.
    fn default() -> Self {
        let texts = |all: &[&str]| all.iter().map(|text| Text::from(*text)).collect();
        Self {
            interruption_taints: texts(&[
                "aws-node-termination-handler/spot-itn",
                "aws-node-termination-handler/scheduled-maintenance",
                "aws-node-termination-handler/asg-lifecycle-termination",
                "cloud.google.com/impending-node-termination",
            ]),
            interruption_conditions: texts(&["PreemptScheduled", "TerminateScheduled"]),
            notice: Millis::from_secs(120),
            unhealthy_after: None,
        }
    }
}

/// The nodes that have to go, those that are taken back first, then the broken ones, then those that a person wants
/// gone; the most pressing first, and by name. `ours` says which nodes may be touched at all, and for how long after its
/// creation a node is still starting.
pub fn why_forced(
    rules: &ForcedRules,
    snapshot: &Snapshot,
    history: &History,
    now: Timestamp,
    ours: impl Fn(NodeId, &Node) -> Option<Millis>,
) -> Vec<Forced> {
    let (mut forced, mut broken_nodes) = (Vec::new(), Vec::new());
    let (mut all, mut unready) = (0usize, 0usize);
    let broken_after = rules.unhealthy_after.map(|after| after.max(LEAST_UNHEALTHY));
    for (id, node) in snapshot.nodes().filter(|(_, node)| !node.launching && !node.deleting && !node.control_plane()) {
        let Some(grace) = ours(id, node) else { continue };
        let starting = node.created.is_some_and(|created| now.since(created) < grace);
        let down = (!node.ready && !starting).then_some(node.ready_changed);
        all += 1;
        unready += usize::from(down.is_some());
        let broken = broken_after.zip(down.flatten()).filter(|(after, since)| now.since(*since) > *after);
        if let Some(sign) = interruption(rules, node) {
            forced.push(sign.forced(id, node, rules, history, now));
        } else if let Some((after, since)) = broken {
            broken_nodes.push((since, id, node, after));
        } else if let Some(reason) = requested(node) {
            forced.push(Forced::new(id, node, Cause::Requested, reason));
        }
    }
    // A third at once is no broken machines, but a network that is cut, or a control plane that does not listen.
    let cut = unready * 3 > all;
    let most = (all * UNHEALTHY_PERCENT / 100).max(1);
    let running: HashSet<&Text> =
        history.running.iter().filter(|drain| drain.cause == Cause::Unhealthy).map(|drain| &drain.node).collect();
    let mut left = if cut { 0 } else { most.saturating_sub(running.len()) };
    broken_nodes.sort_by_key(|(since, _, node, _)| (*since, &node.name));
    for (since, id, node, after) in broken_nodes {
        let drains = running.contains(&node.name);
        if drains || left > 0 {
            left -= usize::from(!drains);
            let reason = format!("not ready for {}, more than {after}", now.since(since));
            forced.push(Forced::new(id, node, Cause::Unhealthy, reason));
        } else if let Some(reason) = requested(node) {
            forced.push(Forced::new(id, node, Cause::Requested, reason));
        }
    }
    forced.sort_by(|a, b| {
        let key = |forced: &Forced| (rank(forced.cause), forced.deadline.unwrap_or(Timestamp(u64::MAX)));
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    forced
}

/// Notes when each interruption was first seen, which is when its notice began, and forgets those that are over.
pub fn note_seen(seen: &mut HashMap<Text, Timestamp>, forced: &[Forced], now: Timestamp) {
    let interrupted = || forced.iter().filter(|forced| forced.cause == Cause::Interruption);
    seen.retain(|name, _| interrupted().any(|forced| forced.name == *name));
    for forced in interrupted() {
        seen.entry(forced.name.clone()).or_insert(now);
    }
}

/// What says that a machine is taken back.
enum Sign<'a> {
    Annotation(&'a str),
    Taint(&'a Text),
    Condition(&'a Text),
}

fn interruption<'a>(rules: &ForcedRules, node: &'a Node) -> Option<Sign<'a>> {
    // Whoever writes a time knows most.
    if let Some(value) = node.annotations.get(well_known::INTERRUPTION) {
        return Some(Sign::Annotation(value));
    }
    if let Some(taint) = node.taints.iter().find(|taint| rules.interruption_taints.contains(&taint.key)) {
        return Some(Sign::Taint(&taint.key));
    }
    node.conditions.iter().find(|kind| rules.interruption_conditions.contains(kind)).map(Sign::Condition)
}

/// Why a person wants the node gone.
fn requested(node: &Node) -> Option<String> {
    match node.annotations.get(well_known::DRAIN_REQUESTED)?.as_str().trim() {
        "false" => None,
        "true" | "" => Some("asked for".to_owned()),
        reason => Some(format!("asked for: {reason}")),
    }
}

/// The most pressing first.
fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::Interruption => 0,
        Cause::Unhealthy => 1,
        Cause::Requested => 2,
        Cause::Empty | Cause::Underutilized => 3,
    }
}

// === impl Sign ===

impl Sign<'_> {
    fn forced(&self, id: NodeId, node: &Node, rules: &ForcedRules, history: &History, now: Timestamp) -> Forced {
        let first = history.seen.get(&node.name).copied().unwrap_or(now).min(now);
        let usual = Timestamp(first.0.saturating_add(rules.notice.0));
        let (deadline, reason, warning) = match self {
            Sign::Taint(key) => (usual, format!("taint {key}"), None),
            Sign::Condition(kind) => (usual, format!("condition {kind}"), None),
            Sign::Annotation(text) => {
                let reason = format!("annotation {}: {text}", well_known::INTERRUPTION);
                let odd =
                    |what: &str| Some(format!("node {}, {reason}: {what}; its notice is {}", node.name, rules.notice));
                match moment(text) {
                    Some(at) if at > first => (at, reason.clone(), None),
                    Some(_) => (usual, reason.clone(), odd("that was over when it was first seen")),
                    None => (usual, reason.clone(), odd("no time as in 2026-01-31T12:00:00Z")),
                }
            }
        };
        Forced { deadline: Some(deadline), warning, ..Forced::new(id, node, Cause::Interruption, reason) }
    }
}

/// RFC 3339; `None` before 1970 too.
fn moment(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.trim().parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Timestamp)
}

// === impl Forced ===

impl Forced {
    fn new(node: NodeId, row: &Node, cause: Cause, reason: String) -> Self {
        Self { node, name: row.name.clone(), cause, deadline: None, reason, warning: None }
    }
}
