//! The plan: nodes that have to go, candidates, the policy's order, and every node checked again in that order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use plimsoll_model::{GroupIndex, Node, NodeGroup, NodeId, PodId, Snapshot, Timestamp, well_known};
use plimsoll_scheduler::Simulation;

use super::budgets::Budgets;
use super::candidate::{Replicas, candidate, unsimulated};
use super::caps::Caps;
use super::gates::Gates;
use super::leaving::{Leaving, left_on};
use super::moves::{Moves, Stuck};
use super::own_replicas::OwnReplicas;
use super::rules::{blocked, judge_pods, node_rule};
use super::{
    Candidate, Forced, History, KeptNode, KeptReason, NodesQuestion, NodesVerdict, PlannedDrain, PodOutcome,
    Protection, Protections, ScaleDownConfig, ScaleDownPlan, why_forced,
};
use crate::DrainPolicy;
use crate::clipped::note;
use crate::scale_up::{Displaced, ScaleUpConfig, await_starting, settle_pending};

pub(super) type Kept = (KeptReason, String);

/// Nodes that stay.
type KeptNodes = HashMap<NodeId, Kept>;

/// What a plan is made of and does not change.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub snapshot: &'a Arc<Snapshot>,
    pub config: &'a ScaleDownConfig,
    pub scale_up: &'a ScaleUpConfig,
    pub history: &'a History,
    pub now: Timestamp,
    pub policy: &'a dyn DrainPolicy,
    /// The group that owns each node, by the node's slot.
    pub groups: &'a [Option<&'a NodeGroup>],
}

/// What the nodes that leave take from what nodes share.
struct Shares<'a> {
    budgets: Budgets,
    caps: Caps<'a>,
    group_sizes: HashMap<&'a str, u32>,
    own: OwnReplicas,
    leaving: Leaving,
}

/// What has been decided so far.
struct Planning<'a> {
    given: Given<'a>,
    shares: Shares<'a>,
    moves: Moves<'a>,
    /// Pending pods that existing nodes will take, by node.
    awaited: HashMap<NodeId, PodId>,
}

/// Plans which nodes to drain. The simulation must be of that snapshot, and is left as it was. `scale_up` says which
/// nodes are about to start and what headroom is kept; `history`, what came before.
pub fn plan_scale_down(
    snapshot: &Arc<Snapshot>,
    simulation: &mut Simulation,
    scale_up: &ScaleUpConfig,
    config: &ScaleDownConfig,
    history: &History,
    now: Timestamp,
    policy: &dyn DrainPolicy,
) -> ScaleDownPlan {
    let groups = owners(snapshot, config);
    let given = Given { snapshot, config, scale_up, history, now, policy, groups: &groups };
    let (mut plan, mut kept) = (ScaleDownPlan::default(), KeptNodes::new());
    let mut shares = Shares::of(given);
    for underway in &shares.leaving.running {
        kept.insert(underway.node, (KeptReason::Draining, underway.progress.clone()));
    }
    plan.forced = why_forced(&config.forced, snapshot, history, now, |id, _| given.grace_if_ours(id));
    plan.clipped.extend(plan.forced.iter().filter_map(|forced| forced.warning.clone()));
    let going = shares.force(given, &mut kept, &mut plan);

    // What yields in these hours yields to optimisation only.
    let effects = config.optimization.effects(now);
    let eased = (effects.ignore_budgets || effects.ignore_restrict).then(|| config.eased(effects));
    let eased_groups = eased.as_ref().map(|eased| owners(snapshot, eased));
    let given =
        Given { config: eased.as_ref().unwrap_or(config), groups: eased_groups.as_deref().unwrap_or(&groups), ..given };
    let managed = given.managed(&shares, &mut kept);
    if !managed.is_empty() || !going.is_empty() {
        let mut planning = Planning::new(given, shares, simulation, &kept);
        let homeless = planning.make_room(&going);
        for (forced, pods) in going {
            let drain = given.forced_drain(&forced, &pods, &mut plan);
            plan.drains.push(drain);
        }
        planning.optimize(&managed, homeless, &mut kept, &mut plan);
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

// === impl Given ===

impl<'a> Given<'a> {
    pub fn group_of(&self, id: NodeId) -> Option<&'a NodeGroup> {
        self.groups[id.0 as usize]
    }

    /// Nodes that may go by what they are; the others are kept. Nodes that have not joined can neither go nor stay.
    fn managed(&self, shares: &Shares<'_>, kept: &mut KeptNodes) -> Vec<NodeId> {
        let mut managed = Vec::new();
        for (id, node) in self.snapshot.nodes().filter(|(_, node)| !node.launching) {
            if shares.leaving.has(id) || kept.contains_key(&id) {
                continue;
            }
            let why = node_rule(self.config, self.snapshot, node, self.group_of(id))
                .or_else(|| Some((KeptReason::OwnReplica, shares.own.keep(id, shares.leaving.set())?)));
            match why {
                Some(why) => {
                    kept.insert(id, why);
                }
                None => managed.push(id),
            }
        }
        managed
    }
}

// === impl Shares ===

impl<'a> Shares<'a> {
    /// With what drains already.
    fn of(given: Given<'a>) -> Self {
        let Given { snapshot, config, history, .. } = given;
        let leaving = Leaving::of(snapshot, history);
        let mut shares = Self {
            budgets: Budgets::new(config.rules.budgets),
            caps: Caps::new(config),
            group_sizes: HashMap::new(),
            own: OwnReplicas::of(snapshot, history.own_pod.as_ref()),
            leaving,
        };
        for (id, node) in snapshot.nodes().filter(|(_, node)| !node.launching) {
            let group = given.group_of(id);
            let managed = !node.control_plane() && (config.groups.is_none() || group.is_some());
            if managed && node.ready && !node.deleting {
                shares.caps.count(group);
            }
            if shares.leaving.has(id) {
                shares.caps.begin(group);
                shares.budgets.take(snapshot, &left_on(snapshot, id));
            } else if let Some(group) = group.filter(|_| !node.deleting) {
                // What has not joined, or leaves, keeps no group above its minimum.
                *shares.group_sizes.entry(group.name.as_str()).or_default() += 1;
            }
        }
        shares
    }

    /// Which nodes that have to go are drained now, with their pods; the others are kept, or drain already.
    fn force(&mut self, given: Given<'a>, kept: &mut KeptNodes, plan: &mut ScaleDownPlan) -> Vec<(Forced, Vec<PodId>)> {
        let mut going = Vec::new();
        for forced in &plan.forced {
            let sooner = |deadline: Timestamp| forced.deadline.is_some_and(|forced| forced < deadline);
            if let Some(underway) = self.leaving.running.iter().find(|underway| underway.node == forced.node) {
                if underway.told.is_some_and(|(_, deadline)| sooner(deadline)) {
                    plan.hastened.push(forced.clone());
                }
                continue;
            }
            let pods = left_on(given.snapshot, forced.node);
            if let Some((reason, detail)) = self.hold(given, forced, &pods) {
                kept.insert(forced.node, (reason, format!("{}; {detail}", forced.reason)));
                continue;
            }
            self.leave(given, forced.node, &pods);
            going.push((forced.clone(), pods));
        }
        let hastened = |node: NodeId| plan.hastened.iter().find(|forced| forced.node == node);
        for underway in &self.leaving.running {
            let deadline = match (hastened(underway.node), underway.told) {
                (Some(forced), _) => forced.deadline,
                (None, Some((cause, deadline))) if !cause.optimizes() => Some(deadline),
                _ => continue,
            };
            plan.displaced.push(Displaced { node: given.snapshot.node(underway.node).name.clone(), deadline });
        }
        for (forced, _) in &going {
            plan.displaced.push(Displaced { node: forced.name.clone(), deadline: Some(given.deadline(forced)) });
        }
        going
    }

    /// What of the protections that do not yield keeps a node that has to go.
    fn hold(&self, given: Given<'_>, forced: &Forced, pods: &[PodId]) -> Option<Kept> {
        let Given { snapshot, config, .. } = given;
        let protections = Protections::of(forced.cause);
        if protections.hold(Protection::Knowledge)
            && let Some(unknown) = &config.unknown
        {
            return Some((KeptReason::PodsUnknown, unknown.clone()));
        }
        if protections.hold(Protection::OwnReplica)
            && let Some(why) = self.own.keep(forced.node, self.leaving.set())
        {
            return Some((KeptReason::OwnReplica, why));
        }
        let bare = |pod: &&PodId| snapshot.pod(**pod).owner.is_none();
        if protections.hold(Protection::BarePods)
            && !config.evict_bare_pods
            && let Some(pod) = pods.iter().find(bare)
        {
            let name = snapshot.pod(*pod).full_name();
            let detail = format!("pod {name} has no owner that would start it again; see scaleDown.evictBarePods");
            return Some((KeptReason::BarePod, detail));
        }
        let checked = protections.hold(Protection::Budgets) && config.respect_budgets;
        checked.then(|| self.budgets.check(snapshot, pods).err()).flatten()
    }

    /// Notes that a node leaves.
    fn leave(&mut self, given: Given<'a>, id: NodeId, pods: &[PodId]) {
        let group = given.group_of(id);
        self.leaving.add(id);
        self.caps.begin(group);
        self.budgets.take(given.snapshot, pods);
        if let Some(size) = group.and_then(|group| self.group_sizes.get_mut(group.name.as_str())) {
            *size = size.saturating_sub(1);
        }
    }

    fn above_minimum(&self, group: Option<&NodeGroup>) -> Result<(), Kept> {
        let Some(group) = group else { return Ok(()) };
        let size = self.group_sizes.get(group.name.as_str()).copied().unwrap_or(0);
        if size > group.min {
            return Ok(());
        }
        Err((
            KeptReason::NodeGroupMinReached,
            format!("group {} has {size} nodes, its min is {}", group.name, group.min),
        ))
    }
}

// === impl Planning ===

impl<'a> Planning<'a> {
    fn new(given: Given<'a>, shares: Shares<'a>, simulation: &'a mut Simulation, kept: &KeptNodes) -> Self {
        let Given { snapshot, scale_up, now, .. } = given;
        let mark = simulation.mark();
        await_starting(snapshot, simulation, scale_up, now);
        shares.leaving.nodes().for_each(|node| simulation.close(node));
        let settled = settle_pending(snapshot, simulation, scale_up);
        let awaited = settled.pods.into_iter().map(|(pod, node)| (node, pod)).collect();
        // Nothing is moved to a node that is to go as soon as it may.
        let soon = |node: &Node| node.annotations.get(well_known::DRAIN_REQUESTED).is_some();
        for (&node, _) in kept.iter().filter(|(node, _)| soon(snapshot.node(**node))) {
            simulation.close(node);
        }
        let moves = Moves::new(snapshot, simulation, &GroupIndex::of(&scale_up.groups), settled.headroom, mark);
        Self { given, shares, moves, awaited }
    }

    /// Gives the pods of nodes that leave in any case the places that there are, those first that drain already. Says
    /// what has none, if something has not.
    fn make_room(&mut self, going: &[(Forced, Vec<PodId>)]) -> Option<String> {
        let snapshot = self.given.snapshot;
        let running = self.shares.leaving.running.iter();
        let mut all: Vec<(NodeId, Vec<PodId>)> =
            running.map(|underway| (underway.node, left_on(snapshot, underway.node))).collect();
        all.extend(going.iter().map(|(forced, pods)| (forced.node, pods.clone())));
        self.moves.prepare(all.iter().flat_map(|(_, pods)| pods).copied());
        let mut homeless = None;
        for (node, pods) in all {
            let stuck = self.moves.vacate(node, &pods);
            let say = |stuck| format!("{stuck} (it leaves {})", snapshot.node(node).name);
            homeless = homeless.or(stuck.map(say));
        }
        homeless
    }

    /// Drains what can go to save.
    fn optimize(
        &mut self,
        managed: &[NodeId],
        homeless: Option<String>,
        kept: &mut KeptNodes,
        plan: &mut ScaleDownPlan,
    ) {
        let gates = Gates::new(self.given, homeless);
        let mut candidates = Vec::new();
        for candidate in self.candidates(managed, kept) {
            let group = self.given.group_of(candidate.node);
            let why = gates.closed().or_else(|| {
                plan.removable.push(candidate.name.clone());
                let full = || Some((KeptReason::DrainCapReached, self.shares.caps.full(group)?));
                gates.too_soon(&candidate.name, group).or_else(full)
            });
            match why {
                Some(why) => {
                    kept.insert(candidate.node, why);
                }
                None => candidates.push(candidate),
            }
        }
        if candidates.is_empty() {
            return;
        }
        let Given { snapshot, policy, now, .. } = self.given;
        let max_drains = self.shares.caps.left();
        let question = NodesQuestion { now, seed: snapshot.seed(), candidates: candidates.clone(), max_drains };
        let asked = policy.order_nodes(snapshot, &question);
        let named_by = super::planned::answered_by(&asked.calls);
        plan.calls.extend(asked.calls);
        let order = check_order(asked.verdict, &candidates, kept, &mut plan.clipped);
        self.moves.expect(&order.iter().map(|(candidate, _)| candidate.node).collect::<Vec<_>>());
        for (candidate, reason) in order {
            match self.choose(candidate, reason, plan) {
                Err(why) => {
                    kept.insert(candidate.node, why);
                }
                Ok(mut drain) => {
                    drain.policy = drain.policy.or_else(|| named_by.clone());
                    plan.drains.push(drain);
                }
            }
        }
    }

    /// The nodes that may go when each is looked at alone; the others are kept.
    fn candidates(&mut self, managed: &[NodeId], kept: &mut KeptNodes) -> Vec<Candidate> {
        let Given { snapshot, now, .. } = self.given;
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
                    candidates.push(candidate(snapshot, &mut replicas, self.given.group_of(id), id, &pods, now));
                }
            }
        }
        candidates
    }

    /// The pods to evict if the node could go beside those that leave, wherever they went.
    fn allowed(&self, id: NodeId) -> Result<Vec<PodId>, Kept> {
        let Given { snapshot, config, now, .. } = self.given;
        if let Some(&pod) = self.awaited.get(&id) {
            let detail = format!("pod {} is pending and fits here", snapshot.pod(pod).full_name());
            return Err((KeptReason::NeededByPendingPods, detail));
        }
        if let Some(why) = self.given.too_young(id) {
            return Err(why);
        }
        let outcomes = judge_pods(config, snapshot, snapshot.pods_on(id), now, self.shares.budgets.used());
        let group = self.given.group_of(id);
        if let Some(group) = group.filter(|group| group.restrict_scale_down) {
            let left = |(_, outcome): &&_| matches!(outcome, PodOutcome::Evict | PodOutcome::Blocked(..));
            let left = outcomes.iter().filter(left).count();
            if left > 0 {
                let detail = format!("group {} removes empty nodes only; {left} pods are left", group.name);
                return Err((KeptReason::GroupRestricted, detail));
            }
        }
        if let Some(why) = blocked(config, &outcomes) {
            return Err(why);
        }
        let evicted = outcomes.into_iter().filter(|(_, outcome)| *outcome == PodOutcome::Evict);
        let pods: Vec<PodId> = evicted.map(|(pod, _)| pod).collect();
        let simulation = self.moves.simulation();
        for &pod in &pods {
            let class = simulation.placed(pod).map(|(class, _)| simulation.class(class));
            if let Some(why) = unsimulated(snapshot.pod(pod), class) {
                return Err(why);
            }
        }
        self.shares.above_minimum(group)?;
        Ok(pods)
    }

    /// Checks a node against everything chosen before it, asks for the order of its pods, and takes it.
    fn choose(
        &mut self,
        candidate: &Candidate,
        reason: String,
        plan: &mut ScaleDownPlan,
    ) -> Result<PlannedDrain, Kept> {
        let (id, given) = (candidate.node, self.given);
        let group = given.group_of(id);
        if let Some(full) = self.shares.caps.full(group) {
            return Err((KeptReason::DrainCapReached, full));
        }
        if let Some(why) = self.shares.own.keep(id, self.shares.leaving.set()) {
            return Err((KeptReason::OwnReplica, why));
        }
        let pods = self.allowed(id)?;
        let undo = self.moves.empty(id, &pods).map_err(|stuck| {
            let (reason, detail) = Kept::from(stuck);
            (reason, format!("{detail}, once the nodes before it are gone"))
        })?;
        let Some(drain) = given.drain(candidate, reason, &pods, plan) else {
            self.moves.undo(id, undo);
            return Err((KeptReason::PolicyFailed, "no policy ordered its pods; see decisions".to_owned()));
        };
        self.moves.keep(undo);
        self.shares.leave(given, id, &pods);
        Ok(drain)
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
