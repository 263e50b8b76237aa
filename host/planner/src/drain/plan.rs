//! The plan: candidates, the policy's order, and every node checked again in that order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use plimsoll_model::{GroupIndex, NodeGroup, NodeId, PodId, Price, Snapshot, Timestamp};
use plimsoll_scheduler::Simulation;

use super::candidate::{Replicas, candidate, drain_pod};
use super::moves::{Moves, Stuck};
use super::rules::{evictable, node_rule, pod_rule};
use super::timetable::{spacing, timetable};
use super::{Candidate, Eviction, KeptNode, KeptReason, NodesQuestion, NodesVerdict, PodsQuestion, ScaleDownConfig};
use crate::clipped::note;
use crate::scale_up::{ScaleUpConfig, await_starting, settle_pending};
use crate::{DrainPolicy, PolicyCall};

/// Which nodes leave and which stay.
#[derive(Clone, Debug, Default)]
pub struct ScaleDownPlan {
    /// Nodes to drain now, first to last.
    pub drains: Vec<PlannedDrain>,
    /// Nodes that stay, in the order of names.
    pub kept: Vec<KeptNode>,
    /// Where each evicted pod can go once all of the nodes are gone, in the order of namespaces and names. kube-scheduler
    /// decides; this shows that there is a way.
    pub moves: Vec<(PodId, NodeId)>,
    /// What the host changed in the answers, each a sentence.
    pub clipped: Vec<String>,
    /// Every policy call.
    pub calls: Vec<PolicyCall>,
}

/// A node to drain.
#[derive(Clone, Debug)]
pub struct PlannedDrain {
    /// The node.
    pub node: NodeId,
    /// Why, in the policy's words.
    pub reason: String,
    /// What removing it saves per hour.
    pub savings: Option<Price>,
    /// When its pods are evicted, in the order of time.
    pub evictions: Vec<Eviction>,
}

type Kept = (KeptReason, String);

/// Nodes that stay.
type KeptNodes = HashMap<NodeId, Kept>;

/// What has been decided so far.
struct Planning<'a> {
    snapshot: &'a Snapshot,
    config: &'a ScaleDownConfig,
    moves: Moves<'a>,
    /// The group that owns each node, by the node's slot.
    groups: &'a [Option<&'a NodeGroup>],
    /// Pending pods that existing nodes will take, by node.
    awaited: HashMap<NodeId, PodId>,
    /// Evictions that the nodes chosen so far take from each budget.
    budgets_used: HashMap<usize, u32>,
    group_sizes: HashMap<&'a str, u32>,
}

/// Plans which nodes to drain. The simulation must be of that snapshot, and is left as it was. `scale_up` says which
/// nodes are about to start and what headroom is kept.
pub fn plan_scale_down(
    snapshot: &Arc<Snapshot>,
    simulation: &mut Simulation,
    scale_up: &ScaleUpConfig,
    config: &ScaleDownConfig,
    now: Timestamp,
    policy: &dyn DrainPolicy,
) -> ScaleDownPlan {
    let mut plan = ScaleDownPlan::default();
    let groups = owners(snapshot, config);
    let mut kept = KeptNodes::new();
    let mut managed = Vec::new();
    // Nodes that have not joined can neither go nor stay.
    for (id, node) in snapshot.nodes().filter(|(_, node)| !node.launching) {
        match node_rule(config, snapshot, node, groups[id.0 as usize]) {
            Some(why) => {
                kept.insert(id, why);
            }
            None => managed.push(id),
        }
    }
    if !managed.is_empty() {
        let mut planning = Planning::new(snapshot, simulation, scale_up, config, &groups, now);
        planning.run(snapshot, &managed, now, policy, &mut kept, &mut plan);
        plan.moves = planning.moves.finish();
    }
    let in_order = snapshot.nodes().filter_map(|(node, _)| Some((node, kept.remove(&node)?)));
    plan.kept = in_order.map(|(node, (reason, detail))| KeptNode { node, reason, detail }).collect();
    plan
}

/// The group that owns each node, by the node's slot.
fn owners<'a>(snapshot: &Snapshot, config: &'a ScaleDownConfig) -> Vec<Option<&'a NodeGroup>> {
    let index = GroupIndex::of(config.groups.as_deref().unwrap_or_default());
    let mut owners = vec![None; snapshot.node_slots()];
    for (id, node) in snapshot.nodes() {
        owners[id.0 as usize] = index.group_of(node).map(|(_, group)| group);
    }
    owners
}

/// How many nodes may drain at once: the percentage of the managed nodes, rounded down, but never none.
fn drain_cap(managed: usize, percentage: u32) -> u32 {
    let share = managed as u64 * u64::from(percentage.min(100)) / 100;
    u32::try_from(share.max(1)).unwrap_or(u32::MAX)
}

impl<'a> Planning<'a> {
    fn new(
        snapshot: &'a Snapshot,
        simulation: &'a mut Simulation,
        scale_up: &ScaleUpConfig,
        config: &'a ScaleDownConfig,
        groups: &'a [Option<&'a NodeGroup>],
        now: Timestamp,
    ) -> Self {
        let mut group_sizes = HashMap::new();
        // What has not joined keeps no group above its minimum.
        for (id, _) in snapshot.nodes().filter(|(_, node)| !node.launching) {
            if let Some(group) = groups[id.0 as usize] {
                *group_sizes.entry(group.name.as_str()).or_default() += 1;
            }
        }
        let mark = simulation.mark();
        await_starting(snapshot, simulation, scale_up, now);
        let settled = settle_pending(snapshot, simulation, scale_up);
        let awaited = settled.pods.into_iter().map(|(pod, node)| (node, pod)).collect();
        let moves = Moves::new(snapshot, simulation, &GroupIndex::of(&scale_up.groups), settled.headroom, mark);
        Self { snapshot, config, moves, groups, awaited, budgets_used: HashMap::new(), group_sizes }
    }

    fn run(
        &mut self,
        snapshot: &Arc<Snapshot>,
        managed: &[NodeId],
        now: Timestamp,
        policy: &dyn DrainPolicy,
        kept: &mut KeptNodes,
        plan: &mut ScaleDownPlan,
    ) {
        let candidates = self.candidates(managed, now, kept);
        if candidates.is_empty() {
            return;
        }
        let cap = drain_cap(managed.len(), self.config.max_percentage);
        let question = NodesQuestion { now, seed: snapshot.seed(), candidates: candidates.clone(), max_drains: cap };
        let asked = policy.order_nodes(snapshot, &question);
        plan.calls.extend(asked.calls);
        let order = check_order(asked.verdict, &candidates, kept, &mut plan.clipped);
        self.moves.expect(&order.iter().map(|(candidate, _)| candidate.node).collect::<Vec<_>>());
        for (candidate, reason) in order {
            let drained = u32::try_from(plan.drains.len()).unwrap_or(u32::MAX);
            match self.choose(snapshot, candidate, (drained, cap), now, policy, plan) {
                Err(why) => {
                    kept.insert(candidate.node, why);
                }
                Ok(evictions) => {
                    let savings = candidate.savings;
                    plan.drains.push(PlannedDrain { node: candidate.node, reason, savings, evictions });
                }
            }
        }
    }

    /// The nodes that may go when each is looked at alone; the others are kept.
    fn candidates(&mut self, managed: &[NodeId], now: Timestamp, kept: &mut KeptNodes) -> Vec<Candidate> {
        let mut allowed: Vec<(NodeId, Vec<PodId>)> = Vec::new();
        for &id in managed {
            match self.allowed(id) {
                Err(why) => {
                    kept.insert(id, why);
                }
                Ok(pods) => allowed.push((id, pods)),
            }
        }
        self.moves.prepare(allowed.iter().flat_map(|(_, pods)| pods).copied());
        let (mut candidates, mut replicas) = (Vec::new(), Replicas::default());
        for (id, pods) in allowed {
            match self.moves.empty(id, &pods) {
                Err(stuck) => {
                    kept.insert(id, stuck.into());
                }
                Ok(undo) => {
                    self.moves.undo(id, undo);
                    candidates.push(candidate(self.snapshot, &mut replicas, self.group_of(id), id, &pods, now));
                }
            }
        }
        candidates
    }

    /// The pods to evict if the node could go all by itself, wherever they went.
    fn allowed(&self, id: NodeId) -> Result<Vec<PodId>, Kept> {
        let snapshot = self.snapshot;
        if let Some(&pod) = self.awaited.get(&id) {
            let detail = format!("pod {} is pending and fits here", snapshot.pod(pod).full_name());
            return Err((KeptReason::NeededByPendingPods, detail));
        }
        let pods = self.evicted(id);
        if let Some(group) = self.group_of(id)
            && group.restrict_scale_down
            && !pods.is_empty()
        {
            let detail = format!("group {} removes empty nodes only; {} pods are left", group.name, pods.len());
            return Err((KeptReason::GroupRestricted, detail));
        }
        let simulation = self.moves.simulation();
        for &pod in &pods {
            let class = simulation.placed(pod).map(|(class, _)| simulation.class(class));
            if let Some(why) = pod_rule(self.config, snapshot.pod(pod), class) {
                return Err(why);
            }
        }
        self.budgets(&pods)?;
        self.above_minimum(id)?;
        Ok(pods)
    }

    /// The pods that would be evicted.
    fn evicted(&self, id: NodeId) -> Vec<PodId> {
        let pods = self.snapshot.pods_on(id).iter().copied();
        pods.filter(|&pod| evictable(self.snapshot.pod(pod))).collect()
    }

    fn group_of(&self, id: NodeId) -> Option<&'a NodeGroup> {
        self.groups[id.0 as usize]
    }

    /// What the pods would take from each budget, on top of the nodes chosen so far.
    fn budgets(&self, pods: &[PodId]) -> Result<HashMap<usize, u32>, Kept> {
        let mut needed: HashMap<usize, u32> = HashMap::new();
        if !self.config.respect_budgets {
            return Ok(needed);
        }
        for &pod in pods {
            let pod = self.snapshot.pod(pod);
            let budgets: Vec<_> = self.snapshot.budgets_of(pod).collect();
            if let [(_, first), (_, second), ..] = budgets.as_slice() {
                let detail = format!("pod {} is under budgets {} and {}", pod.full_name(), first.name, second.name);
                return Err((KeptReason::MultiplePdbs, detail));
            }
            for (at, budget) in budgets {
                let need = needed.entry(at).or_default();
                *need += 1;
                let before = self.budgets_used.get(&at).copied().unwrap_or(0);
                if before + *need > budget.disruptions_allowed {
                    let detail = format!(
                        "budget {}/{} allows {} evictions now, {} are needed with pod {}",
                        budget.namespace,
                        budget.name,
                        budget.disruptions_allowed,
                        before + *need,
                        pod.full_name()
                    );
                    return Err((KeptReason::PdbBlocked, detail));
                }
            }
        }
        Ok(needed)
    }

    fn above_minimum(&self, id: NodeId) -> Result<(), Kept> {
        let Some(group) = self.group_of(id) else { return Ok(()) };
        let size = self.group_sizes.get(group.name.as_str()).copied().unwrap_or(0);
        if size > group.min {
            return Ok(());
        }
        Err((
            KeptReason::NodeGroupMinReached,
            format!("group {} has {size} nodes, its min is {}", group.name, group.min),
        ))
    }

    /// Checks a node against everything chosen before it, asks for the order of its pods, and takes it. `count` is how
    /// many nodes drain already, and how many may.
    fn choose(
        &mut self,
        snapshot: &Arc<Snapshot>,
        candidate: &Candidate,
        (drained, cap): (u32, u32),
        now: Timestamp,
        policy: &dyn DrainPolicy,
        plan: &mut ScaleDownPlan,
    ) -> Result<Vec<Eviction>, Kept> {
        if drained >= cap {
            let percent = self.config.max_percentage;
            return Err((KeptReason::DrainCapReached, format!("at most {cap} may drain at once ({percent} %)")));
        }
        let id = candidate.node;
        self.above_minimum(id)?;
        let pods = self.evicted(id);
        let budgets = self.budgets(&pods)?;
        let undo = self.moves.empty(id, &pods).map_err(|stuck| {
            let (reason, detail) = Kept::from(stuck);
            (reason, format!("{detail}, once the nodes before it are gone"))
        })?;
        let Some(evictions) = self.evictions(snapshot, candidate, &pods, now, policy, plan) else {
            self.moves.undo(id, undo);
            return Err((KeptReason::PolicyFailed, "no policy ordered its pods; see decisions".to_owned()));
        };
        self.moves.keep(undo);
        for (at, need) in budgets {
            *self.budgets_used.entry(at).or_default() += need;
        }
        if let Some(group) = self.group_of(id)
            && let Some(size) = self.group_sizes.get_mut(group.name.as_str())
        {
            *size -= 1;
        }
        Ok(evictions)
    }

    fn evictions(
        &self,
        snapshot: &Arc<Snapshot>,
        candidate: &Candidate,
        pods: &[PodId],
        now: Timestamp,
        policy: &dyn DrainPolicy,
        plan: &mut ScaleDownPlan,
    ) -> Option<Vec<Eviction>> {
        if pods.is_empty() {
            return Some(Vec::new());
        }
        let question = PodsQuestion {
            now,
            seed: snapshot.seed(),
            node: candidate.clone(),
            pods: pods.iter().map(|&pod| drain_pod(snapshot, pod)).collect(),
            spacing: spacing(self.config, pods.len()),
            timeout: self.config.timeout,
        };
        let asked = policy.order_pods(snapshot, &question);
        plan.calls.extend(asked.calls);
        let mut clipped = Vec::new();
        let evictions = timetable(self.config, &question.pods, &asked.verdict?, &mut clipped);
        for sentence in clipped {
            note(&mut plan.clipped, || format!("{}: {sentence}", candidate.name));
        }
        Some(evictions)
    }
}

/// The policy's answer as known candidates with reasons, each once; everything else is kept.
fn check_order<'c>(
    verdict: Option<NodesVerdict>,
    candidates: &'c [Candidate],
    kept: &mut KeptNodes,
    clipped: &mut Vec<String>,
) -> Vec<(&'c Candidate, String)> {
    let mut default = (KeptReason::HeldByPolicy, "the policy does not name it".to_owned());
    let offered: HashMap<u32, &Candidate> = candidates.iter().map(|c| (c.node.0, c)).collect();
    let (mut order, mut listed): (Vec<(&Candidate, String)>, HashSet<NodeId>) = (Vec::new(), HashSet::new());
    match verdict {
        None => default = (KeptReason::PolicyFailed, "no policy answered; see decisions".to_owned()),
        Some(NodesVerdict::Hold(reason)) => default.1 = reason,
        Some(NodesVerdict::Order { drain, keep }) => {
            for choice in keep {
                if let Some(candidate) = offered.get(&choice.node)
                    && listed.insert(candidate.node)
                {
                    kept.insert(candidate.node, (KeptReason::HeldByPolicy, choice.reason));
                }
            }
            for choice in drain {
                match offered.get(&choice.node) {
                    None => note(clipped, || format!("node {} was not offered", choice.node)),
                    Some(candidate) if listed.insert(candidate.node) => order.push((candidate, choice.reason)),
                    Some(candidate) => note(clipped, || format!("{} is in the answer twice", candidate.name)),
                }
            }
        }
    }
    for candidate in candidates.iter().filter(|candidate| !listed.contains(&candidate.node)) {
        kept.insert(candidate.node, default.clone());
    }
    order
}

impl From<Stuck> for Kept {
    fn from(stuck: Stuck) -> Self {
        match stuck {
            Stuck::Pod(detail) => (KeptReason::NoPlaceToMovePods, detail),
            Stuck::Headroom(detail) => (KeptReason::HeadroomNeeded, detail),
        }
    }
}
