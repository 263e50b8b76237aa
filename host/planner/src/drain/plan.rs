//! The plan: candidates, the policy's order, and every node checked again in that order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use plimsoll_model::{Millis, Node, NodeGroup, NodeId, Pod, PodId, Price, Snapshot, Timestamp};
use plimsoll_scheduler::InterPodIndex;

use super::moves::Moves;
use super::rules::{evictable, node_rule, pod_rule};
use super::timetable::{spacing, timetable};
use super::{
    Candidate, Cause, DrainPod, Eviction, KeptNode, KeptReason, NodesQuestion, NodesVerdict, PodsQuestion,
    ScaleDownConfig, warmup_of,
};
use crate::clipped::note;
use crate::scale_up::existing_room;
use crate::{DrainPolicy, PolicyCall};

/// Which nodes leave and which stay.
#[derive(Clone, Debug, Default)]
pub struct ScaleDownPlan {
    /// Nodes to drain now, first to last.
    pub drains: Vec<PlannedDrain>,
    /// Nodes that stay, in the order of names.
    pub kept: Vec<KeptNode>,
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

/// What has been decided so far.
struct Planning<'a> {
    snapshot: &'a Snapshot,
    config: &'a ScaleDownConfig,
    moves: Moves<'a>,
    /// Pending pods that existing nodes will take, by node.
    awaited: HashMap<NodeId, PodId>,
    /// Evictions that the nodes chosen so far take from each budget.
    budgets_used: HashMap<usize, u32>,
    group_sizes: HashMap<&'a str, u32>,
}

/// Plans which nodes to drain.
pub fn plan_scale_down(
    snapshot: &Arc<Snapshot>,
    config: &ScaleDownConfig,
    now: Timestamp,
    policy: &dyn DrainPolicy,
) -> ScaleDownPlan {
    let mut plan = ScaleDownPlan::default();
    let mut kept: BTreeMap<NodeId, Kept> = BTreeMap::new();
    let mut planning = Planning::new(snapshot, config);
    let candidates = planning.candidates(now, &mut kept);
    let managed = snapshot.nodes().filter(|(_, node)| node_rule(config, snapshot, node).is_none()).count();
    let cap = drain_cap(managed, config.max_percentage);
    if !candidates.is_empty() {
        let question = NodesQuestion { now, seed: snapshot.seed(), candidates: candidates.clone(), max_drains: cap };
        let asked = policy.order_nodes(snapshot, &question);
        plan.calls.extend(asked.calls);
        let order = planning.check_order(asked.verdict, &candidates, &mut kept, &mut plan.clipped);
        for (candidate, reason) in order {
            let drained = u32::try_from(plan.drains.len()).unwrap_or(u32::MAX);
            match planning.choose(candidate, drained, cap) {
                Err(why) => {
                    kept.insert(candidate.node, why);
                }
                Ok(pods) => match planning.evictions(snapshot, candidate, &pods, now, policy, &mut plan) {
                    None => {
                        let detail = "no policy ordered its pods; see decisions".to_owned();
                        kept.insert(candidate.node, (KeptReason::PolicyFailed, detail));
                    }
                    Some(evictions) => {
                        let savings = candidate.savings;
                        plan.drains.push(PlannedDrain { node: candidate.node, reason, savings, evictions });
                    }
                },
            }
        }
    }
    plan.kept = kept.into_iter().map(|(node, (reason, detail))| KeptNode { node, reason, detail }).collect();
    plan
}

/// How many nodes may drain at once: the percentage of the managed nodes, rounded down, but never none.
fn drain_cap(managed: usize, percentage: u32) -> u32 {
    let share = managed as u64 * u64::from(percentage.min(100)) / 100;
    u32::try_from(share.max(1)).unwrap_or(u32::MAX)
}

impl<'a> Planning<'a> {
    fn new(snapshot: &'a Snapshot, config: &'a ScaleDownConfig) -> Self {
        let mut group_sizes = HashMap::new();
        for (_, node) in snapshot.nodes() {
            if let Some(group) = group_of(config, node) {
                *group_sizes.entry(group.name.as_str()).or_default() += 1;
            }
        }
        let room = existing_room(snapshot);
        let awaited = room.placed.into_iter().map(|(pod, node)| (node, pod)).collect();
        let moves = Moves::new(snapshot, room.nodes);
        Self { snapshot, config, moves, awaited, budgets_used: HashMap::new(), group_sizes }
    }

    /// The nodes that may go when each is looked at alone; the others are kept.
    fn candidates(&mut self, now: Timestamp, kept: &mut BTreeMap<NodeId, Kept>) -> Vec<Candidate> {
        let (snapshot, config) = (self.snapshot, self.config);
        let inter_pod = InterPodIndex::of(snapshot);
        let mut candidates = Vec::new();
        for (id, node) in snapshot.nodes() {
            if let Some(why) = node_rule(config, snapshot, node) {
                kept.insert(id, why);
                continue;
            }
            if let Some(&pod) = self.awaited.get(&id) {
                let detail = format!("pod {} is pending and fits here", snapshot.pod(pod).full_name());
                kept.insert(id, (KeptReason::NeededByPendingPods, detail));
                continue;
            }
            match self.alone(&inter_pod, id, node) {
                Err(why) => {
                    kept.insert(id, why);
                }
                Ok(pods) => candidates.push(candidate(snapshot, config, id, &pods, now)),
            }
        }
        candidates
    }

    /// The pods to evict if the node could go all by itself.
    fn alone(&mut self, inter_pod: &InterPodIndex, id: NodeId, node: &Node) -> Result<Vec<PodId>, Kept> {
        let snapshot = self.snapshot;
        let pods: Vec<PodId> =
            snapshot.pods_on(id).iter().copied().filter(|&pod| evictable(snapshot.pod(pod))).collect();
        if let Some(group) = group_of(self.config, node)
            && group.restrict_scale_down
            && !pods.is_empty()
        {
            let detail = format!("group {} removes empty nodes only; {} pods are left", group.name, pods.len());
            return Err((KeptReason::GroupRestricted, detail));
        }
        for &pod in &pods {
            if let Some(why) = pod_rule(self.config, snapshot, inter_pod, snapshot.pod(pod)) {
                return Err(why);
            }
        }
        self.budgets(&pods)?;
        self.above_minimum(node)?;
        let undo = self.moves.empty(id, &pods).map_err(|pod| self.no_place(pod))?;
        self.moves.undo(id, undo);
        Ok(pods)
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

    fn above_minimum(&self, node: &Node) -> Result<(), Kept> {
        let Some(group) = group_of(self.config, node) else { return Ok(()) };
        let size = self.group_sizes.get(group.name.as_str()).copied().unwrap_or(0);
        if size > group.min {
            return Ok(());
        }
        Err((
            KeptReason::NodeGroupMinReached,
            format!("group {} has {size} nodes, its min is {}", group.name, group.min),
        ))
    }

    fn no_place(&self, pod: PodId) -> Kept {
        let pod = self.snapshot.pod(pod);
        let requests = &pod.shape.requests;
        let zone = if pod.volumes.claims { ", in the zone of its volume" } else { "" };
        let detail = format!(
            "pod {} ({} cpu, {} memory{zone}) fits on no other node",
            pod.full_name(),
            requests.cpu,
            requests.memory
        );
        (KeptReason::NoPlaceToMovePods, detail)
    }

    /// The policy's answer as known candidates with reasons, each once; everything else is kept.
    fn check_order<'c>(
        &self,
        verdict: Option<NodesVerdict>,
        candidates: &'c [Candidate],
        kept: &mut BTreeMap<NodeId, Kept>,
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

    /// Checks a node against everything chosen before it, and takes it.
    fn choose(&mut self, candidate: &Candidate, drained: u32, cap: u32) -> Result<Vec<PodId>, Kept> {
        if drained >= cap {
            let percent = self.config.max_percentage;
            return Err((KeptReason::DrainCapReached, format!("at most {cap} may drain at once ({percent} %)")));
        }
        let (snapshot, id) = (self.snapshot, candidate.node);
        let node = snapshot.node(id);
        let pods: Vec<PodId> =
            snapshot.pods_on(id).iter().copied().filter(|&pod| evictable(snapshot.pod(pod))).collect();
        self.above_minimum(node)?;
        let budgets = self.budgets(&pods)?;
        self.moves.empty(id, &pods).map_err(|pod| {
            let (reason, detail) = self.no_place(pod);
            (reason, format!("{detail} once the nodes before it are gone"))
        })?;
        for (at, need) in budgets {
            *self.budgets_used.entry(at).or_default() += need;
        }
        if let Some(group) = group_of(self.config, node)
            && let Some(size) = self.group_sizes.get_mut(group.name.as_str())
        {
            *size -= 1;
        }
        Ok(pods)
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

fn group_of<'a>(config: &'a ScaleDownConfig, node: &Node) -> Option<&'a NodeGroup> {
    config.groups.as_deref()?.iter().find(|group| group.owns(node))
}

fn single_replica(snapshot: &Snapshot, pod: &Pod) -> bool {
    pod.owner.as_ref().is_some_and(|owner| snapshot.replicas_of(owner) == 1)
}

fn drain_pod(snapshot: &Snapshot, id: PodId) -> DrainPod {
    let pod = snapshot.pod(id);
    DrainPod {
        pod: id,
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        priority: pod.shape.priority,
        critical: pod.critical(),
        daemon_set: pod.daemon_set(),
        single_replica: single_replica(snapshot, pod),
        replicas: pod.owner.as_ref().map(|owner| snapshot.replicas_of(owner)),
        disruptions_allowed: snapshot.budgets_of(pod).map(|(_, budget)| budget.disruptions_allowed).min(),
        volumes: pod.volumes,
        grace: pod.grace,
        warmup: warmup_of(pod),
    }
}

fn candidate(snapshot: &Snapshot, config: &ScaleDownConfig, id: NodeId, pods: &[PodId], now: Timestamp) -> Candidate {
    let node = snapshot.node(id);
    let group = group_of(config, node);
    let requested = snapshot.requested_on(id);
    let permille =
        |used: u64, all: u64| u32::try_from(u128::from(used) * 1000 / u128::from(all.max(1))).unwrap_or(u32::MAX);
    let rows = || pods.iter().map(|&pod| snapshot.pod(pod));
    let count =
        |matching: &dyn Fn(&Pod) -> bool| u32::try_from(rows().filter(|pod| matching(pod)).count()).unwrap_or(u32::MAX);
    let instance_type = group.zip(node.instance_type()).and_then(|(group, name)| group.instance_type(name));
    Candidate {
        node: id,
        name: node.name.clone(),
        group: group.map(|group| group.name.clone()).or_else(|| node.group_label().cloned()),
        zone: node.zone().cloned(),
        lifecycle: node.lifecycle().or(group.map(|group| group.lifecycle)),
        cause: if pods.is_empty() { Cause::Empty } else { Cause::Underutilized },
        pods: count(&|_| true),
        critical_pods: count(&Pod::critical),
        single_replicas: count(&|pod| single_replica(snapshot, pod)),
        highest_priority: rows().map(|pod| pod.shape.priority).max(),
        longest_warmup: rows().filter_map(warmup_of).max(),
        cpu_permille: permille(requested.cpu.0, node.allocatable.cpu.0),
        memory_permille: permille(requested.memory.0, node.allocatable.memory.0),
        savings: instance_type.and_then(|instance_type| instance_type.price),
        age: node.created.map(|created| now.since(created)).filter(|age| *age > Millis(0)),
    }
}
