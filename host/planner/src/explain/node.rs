//! Why a node stays or goes, and what becomes of its pods.
//!
//! Reason and places are the plan's own, and the pods are judged by the rules that the plan judged them by: nothing is
//! decided here a second time.

use std::collections::HashMap;

use plimsoll_model::{NodeId, PodId, Price, Snapshot, Timestamp};

use crate::drain::{
    BudgetArithmetic, KeptNode, KeptReason, PlannedDrain, PodOutcome, ScaleDownConfig, ScaleDownPlan, judge_pods,
    left_on,
};

/// What is to be known of one node.
#[derive(Clone, Debug)]
pub struct NodeExplanation {
    /// The node.
    pub node: NodeId,
    /// The plan drains it now.
    pub removable: bool,
    /// The one primary reason why it goes or stays: a stable label.
    pub reason: &'static str,
    /// Figures and names, for a person.
    pub detail: String,
    /// What becomes of each of its pods, in the order of namespaces and names.
    pub pods: Vec<(PodId, PodOutcome)>,
    /// What removing it saves per hour, where it goes and that is known.
    pub savings: Option<Price>,
    /// Where each evicted pod can go, where the node goes.
    pub would_move_to: Vec<(PodId, NodeId)>,
}

/// Explains the nodes of one plan.
#[derive(Debug)]
pub struct NodeExplainer<'a> {
    snapshot: &'a Snapshot,
    /// With what yields at this time.
    config: ScaleDownConfig,
    now: Timestamp,
    drains: HashMap<NodeId, &'a PlannedDrain>,
    kept: HashMap<NodeId, &'a KeptNode>,
    moves: HashMap<PodId, NodeId>,
    /// Pods that have ended and are still there, which a snapshot does not count among those on a node.
    ended: HashMap<NodeId, Vec<PodId>>,
    /// What the nodes that go take from each budget.
    budgets_used: HashMap<usize, u32>,
}

// === impl NodeExplainer ===

impl<'a> NodeExplainer<'a> {
    /// The plan must be of that snapshot, configuration and time.
    pub fn new(snapshot: &'a Snapshot, config: &ScaleDownConfig, plan: &'a ScaleDownPlan, now: Timestamp) -> Self {
        let planned = plan.drains.iter().flat_map(|drain| &drain.evictions).map(|eviction| eviction.pod);
        let draining = plan.kept.iter().filter(|kept| kept.reason == KeptReason::Draining);
        let mut budgets_used: HashMap<usize, u32> = HashMap::new();
        // One by one, nothing is taken before.
        let at_once = config.rules.budgets == BudgetArithmetic::Batch;
        for pod in planned.chain(draining.flat_map(|kept| left_on(snapshot, kept.node))).filter(|_| at_once) {
            for (at, _) in snapshot.budgets_of(snapshot.pod(pod)) {
                *budgets_used.entry(at).or_default() += 1;
            }
        }
        let mut ended: HashMap<NodeId, Vec<PodId>> = HashMap::new();
        for (id, pod) in snapshot.pods().filter(|(_, pod)| pod.finished()) {
            if let Some((node, _)) = pod.node.as_ref().and_then(|name| snapshot.find_node(name)) {
                ended.entry(node).or_default().push(id);
            }
        }
        Self {
            snapshot,
            ended,
            config: config.eased(config.optimization.effects(now)),
            now,
            drains: plan.drains.iter().map(|drain| (drain.node, drain)).collect(),
            kept: plan.kept.iter().map(|kept| (kept.node, kept)).collect(),
            moves: plan.moves.iter().copied().collect(),
            budgets_used,
        }
    }

    /// The nodes of which the plan says something, in the order of names.
    pub fn nodes(&self) -> Vec<NodeId> {
        let told = |id: &NodeId| self.drains.contains_key(id) || self.kept.contains_key(id);
        self.snapshot.nodes().map(|(id, _)| id).filter(told).collect()
    }

    /// One node.
    pub fn explain(&self, node: NodeId) -> NodeExplanation {
        let snapshot = self.snapshot;
        let mut on_node = snapshot.pods_on(node).to_vec();
        on_node.extend(self.ended.get(&node).into_iter().flatten());
        on_node.sort_by_key(|&pod| {
            let pod = snapshot.pod(pod);
            (&pod.namespace, &pod.name)
        });
        let mut pods = judge_pods(&self.config, snapshot, &on_node, self.now, &self.used_before(node));
        let drain = self.drains.get(&node);
        if let Some(drain) = drain.filter(|drain| !drain.cause.optimizes()) {
            // What protects from optimisation yields to what has to go.
            let planned = |pod: PodId| drain.evictions.iter().any(|eviction| eviction.pod == pod);
            let yields = pods.iter_mut().filter(|(pod, _)| planned(*pod));
            yields.for_each(|(_, outcome)| *outcome = PodOutcome::Evict);
        }
        let (reason, detail) = match (drain, self.kept.get(&node)) {
            (Some(drain), _) => (drain.cause.label(), drain.reason.clone()),
            (None, Some(kept)) => (kept.reason.label(), kept.detail.clone()),
            (None, None) => ("NotJoined", "it has not joined the cluster".to_owned()),
        };
        let places = on_node.iter().filter(|_| drain.is_some()).filter_map(|pod| Some((*pod, *self.moves.get(pod)?)));
        NodeExplanation {
            node,
            removable: drain.is_some(),
            reason,
            detail,
            would_move_to: places.collect(),
            savings: drain.and_then(|drain| drain.savings),
            pods,
        }
    }

    /// Budgets are held against the nodes before it only where that is what keeps it.
    fn used_before(&self, node: NodeId) -> HashMap<usize, u32> {
        let by_budget = |kept: &&KeptNode| matches!(kept.reason, KeptReason::PdbBlocked | KeptReason::NotEnoughPdb);
        if self.kept.get(&node).copied().filter(by_budget).is_some() {
            self.budgets_used.clone()
        } else {
            HashMap::new()
        }
    }
}
