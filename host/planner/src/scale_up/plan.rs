//! The plan: rounds of offer, choice and check.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use plimsoll_model::{Bytes, Lifecycle, MilliCpu, PodId, Price, Snapshot, Text, Timestamp, well_known};
use plimsoll_scheduler::{Demand as Wanted, DomainCounter, DomainIndex, pack, why_not, why_not_statically};

use super::demand::{Demand, demands, use_existing};
use super::template::{Template, templates};
use super::{
    Choice, LaunchOption, PendingPod, PendingReason, Placement, Remaining, ScaleUpConfig, ScaleUpQuestion,
    ScaleUpVerdict, ShapeDemand,
};
use crate::clipped::note;
use crate::{PolicyCall, ScaleUpPolicy};

/// Rounds after which whatever is left stays pending: every round launches at least one node.
const MAX_ROUNDS: u32 = 100;

/// What to launch, and what stays pending.
#[derive(Clone, Debug, Default)]
pub struct ScaleUpPlan {
    /// Nodes to launch, in the order in which they were chosen.
    pub launches: Vec<PlannedLaunch>,
    /// Pending pods that get no new node, in the order of namespaces and names.
    pub pending: Vec<PendingPod>,
    /// What the host changed in the answers, each a sentence.
    pub clipped: Vec<String>,
    /// Every policy call.
    pub calls: Vec<PolicyCall>,
}

/// Equal nodes to launch.
#[derive(Clone, Debug)]
pub struct PlannedLaunch {
    /// The node group.
    pub group: Text,
    /// The instance type.
    pub instance_type: Text,
    /// The zone.
    pub zone: Text,
    /// How they are bought.
    pub lifecycle: Lifecycle,
    /// How many.
    pub count: u32,
    /// The pods that will run there.
    pub pods: Vec<PodId>,
    /// What one of them costs per hour.
    pub price: Option<Price>,
    /// Why, in the policy's words.
    pub reason: String,
}

/// What has been decided so far.
struct Planning<'a> {
    config: &'a ScaleUpConfig,
    templates: Vec<Template<'a>>,
    demands: Vec<Demand>,
    group_sizes: HashMap<Text, u32>,
    zones: DomainIndex,
    zone_nodes: HashMap<Text, DomainCounter>,
    used: Used,
}

/// What the cluster has, chosen launches included.
struct Used {
    nodes: u32,
    cpu: MilliCpu,
    memory: Bytes,
}

/// Options of one round, and what each of them stands for.
struct Offer {
    options: Vec<LaunchOption>,
    /// The template of each option.
    templates: Vec<usize>,
    shapes: Vec<ShapeDemand>,
    /// The demand of each shape.
    demands: Vec<usize>,
}

/// Plans what to launch for the pending pods of a snapshot.
pub fn plan_scale_up(
    snapshot: &Arc<Snapshot>,
    config: &ScaleUpConfig,
    now: Timestamp,
    policy: &dyn ScaleUpPolicy,
) -> ScaleUpPlan {
    let mut plan = ScaleUpPlan::default();
    let mut demands = demands(snapshot, &mut plan.pending);
    let room = use_existing(snapshot, &mut demands);
    plan.pending.extend(room.placed.into_iter().map(|(pod, node)| PendingPod {
        pod,
        reason: PendingReason::FitsExistingNode,
        detail: format!("node {} has room", snapshot.node(node).name),
    }));
    let mut planning = Planning::new(snapshot, config, demands);
    let mut held = None;
    for round in 0..MAX_ROUNDS {
        let offer = planning.offer(snapshot, now);
        if offer.options.is_empty() {
            break;
        }
        let question = ScaleUpQuestion {
            now,
            seed: snapshot.seed().wrapping_add(round.into()),
            round,
            shapes: offer.shapes.clone(),
            options: offer.options.clone(),
            remaining: planning.remaining(),
        };
        let asked = policy.choose(snapshot, &question);
        plan.calls.extend(asked.calls);
        match asked.verdict {
            None => {
                held = Some((PendingReason::PolicyFailed, "no policy answered; see decisions".to_owned()));
                break;
            }
            Some(ScaleUpVerdict::Hold(reason)) => {
                held = Some((PendingReason::HeldByPolicy, reason));
                break;
            }
            Some(ScaleUpVerdict::Launch(choices)) => {
                let before = plan.launches.len();
                for choice in merged(choices, &mut plan.clipped) {
                    planning.apply(&offer, choice, &mut plan);
                }
                if plan.launches.len() == before {
                    let reason = "the policy's answer launches nothing that would place a pod".to_owned();
                    held = Some((PendingReason::HeldByPolicy, reason));
                    break;
                }
            }
        }
    }
    planning.explain(held, &mut plan.pending);
    plan.pending.sort_by_key(|pending| pending.pod);
    plan
}

/// Each option once, in the order of first mention: what is named again adds to it.
fn merged(choices: Vec<Choice>, clipped: &mut Vec<String>) -> Vec<Choice> {
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut merged: Vec<Choice> = Vec::new();
    for choice in choices {
        match places.get(&choice.option) {
            Some(&at) => {
                note(clipped, || format!("option {} is named twice; its counts are added", choice.option));
                merged[at].count = merged[at].count.saturating_add(choice.count);
            }
            None => {
                places.insert(choice.option, merged.len());
                merged.push(choice);
            }
        }
    }
    merged
}

impl<'a> Planning<'a> {
    fn new(snapshot: &Snapshot, config: &'a ScaleUpConfig, demands: Vec<Demand>) -> Self {
        let mut zones = DomainIndex::new(well_known::ZONE);
        let mut group_sizes = HashMap::new();
        let mut zone_nodes: HashMap<Text, DomainCounter> = HashMap::new();
        let mut used = Used { nodes: 0, cpu: MilliCpu(0), memory: Bytes(0) };
        for (_, node) in snapshot.nodes() {
            used.nodes = used.nodes.saturating_add(1);
            used.cpu += node.allocatable.cpu;
            used.memory += node.allocatable.memory;
            let Some(group) = config.groups.iter().find(|group| group.owns(node)) else { continue };
            *group_sizes.entry(group.name.clone()).or_default() += 1;
            if let Some(zone) = zones.domain_of(&node.labels) {
                zone_nodes.entry(group.name.clone()).or_default().add(zone, 1);
            }
        }
        let templates = templates(snapshot, &config.groups);
        Self { config, templates, demands, group_sizes, zones, zone_nodes, used }
    }

    fn remaining(&self) -> Remaining {
        let limits = &self.config.limits;
        Remaining {
            nodes: limits.max_nodes.saturating_sub(self.used.nodes),
            cpu: limits.max_cpu.saturating_sub(self.used.cpu),
            memory: limits.max_memory.saturating_sub(self.used.memory),
        }
    }

    /// How many nodes like this template the group's maximum leaves.
    fn group_room(&self, template: &Template<'_>) -> u32 {
        let size = self.group_sizes.get(&template.group.name).copied().unwrap_or(0);
        template.group.max.saturating_sub(size)
    }

    /// How many nodes like this template the cluster's limits leave.
    fn cluster_room(&self, template: &Template<'_>) -> u32 {
        let remaining = self.remaining();
        let by = |left: u64, each: u64| u32::try_from(left.checked_div(each).unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
        let cpu = by(remaining.cpu.0, template.instance_type.cpu.0);
        let memory = by(remaining.memory.0, template.instance_type.memory.0);
        remaining.nodes.min(cpu).min(memory)
    }

    fn zone_count(&mut self, at: usize) -> u32 {
        let template = &self.templates[at];
        let zone = self.zones.domain(template.zone.clone());
        self.zone_nodes.get(&template.group.name).map_or(0, |counter| counter.get(zone))
    }

    fn offer(&mut self, snapshot: &Snapshot, now: Timestamp) -> Offer {
        let mut offer = Offer { options: vec![], templates: vec![], shapes: vec![], demands: vec![] };
        for (at, demand) in self.demands.iter().enumerate() {
            if let Some(facts) = demand.facts(snapshot, now) {
                offer.shapes.push(facts);
                offer.demands.push(at);
            }
        }
        for at in 0..self.templates.len() {
            let template = &self.templates[at];
            let max_nodes = self.group_room(template).min(self.cluster_room(template));
            let suits = |demand: &Demand| why_not_statically(&demand.shape, None, &template.node).is_empty();
            let suitable: Vec<(u32, &Demand)> = (0u32..)
                .zip(&offer.demands)
                .map(|(shape, &at)| (shape, &self.demands[at]))
                .filter(|(_, d)| suits(d))
                .collect();
            let wanted: Vec<Wanted<'_>> =
                suitable.iter().map(|(_, demand)| Wanted { shape: &demand.shape, pods: demand.count() }).collect();
            let packing = pack(&template.node, &wanted, max_nodes);
            if packing.nodes == 0 {
                continue;
            }
            let places = suitable.iter().zip(&packing.placed).filter(|(_, pods)| **pods > 0);
            let places = places.map(|((shape, _), pods)| Placement { shape: *shape, pods: *pods }).collect();
            let capacity = &template.node.free;
            offer.options.push(LaunchOption {
                group: template.group.name.clone(),
                instance_type: template.instance_type.name.clone(),
                zone: template.zone.clone(),
                lifecycle: template.group.lifecycle,
                price: template.instance_type.price,
                nodes: packing.nodes,
                max_nodes,
                places,
                wasted_cpu: packing.free.cpu,
                wasted_memory: packing.free.memory,
                node_cpu: capacity.cpu,
                node_memory: capacity.memory,
                node_gpus: u32::try_from(capacity.gpus()).unwrap_or(u32::MAX),
                zone_nodes: self.zone_count(at),
                free_ips: None,
            });
            offer.templates.push(at);
        }
        offer
    }

    /// Checks one choice against the limits, places the pods that it would place, and records it.
    fn apply(&mut self, offer: &Offer, choice: Choice, plan: &mut ScaleUpPlan) {
        let Some(&at) = usize::try_from(choice.option).ok().and_then(|option| offer.templates.get(option)) else {
            note(&mut plan.clipped, || format!("option {} was not offered", choice.option));
            return;
        };
        let template = &self.templates[at];
        let kind = format!("{} × {} in {}", template.group.name, template.instance_type.name, template.zone);
        let allowed = self.group_room(template).min(self.cluster_room(template));
        let count = choice.count.min(allowed);
        if count < choice.count {
            note(&mut plan.clipped, || format!("{kind}: {} nodes asked for, the limits allow {allowed}", choice.count));
        }
        let suits = |demand: &Demand| why_not_statically(&demand.shape, None, &template.node).is_empty();
        let suitable: Vec<usize> = offer
            .demands
            .iter()
            .copied()
            .filter(|&at| suits(&self.demands[at]) && self.demands[at].count() > 0)
            .collect();
        let wanted: Vec<Wanted<'_>> = suitable
            .iter()
            .map(|&at| Wanted { shape: &self.demands[at].shape, pods: self.demands[at].count() })
            .collect();
        let packing = pack(&template.node, &wanted, count);
        if packing.nodes < count {
            note(&mut plan.clipped, || {
                format!("{kind}: {count} nodes asked for, {} have pods to place", packing.nodes)
            });
        }
        if packing.nodes == 0 {
            return;
        }
        let mut pods = Vec::new();
        for (&demand, &placed) in suitable.iter().zip(&packing.placed) {
            let queue = &mut self.demands[demand].pods;
            pods.extend(queue.split_off(queue.len() - placed as usize));
        }
        pods.sort_unstable();
        let (group, instance_type, zone) =
            (template.group.name.clone(), template.instance_type.name.clone(), template.zone.clone());
        let (lifecycle, price) = (template.group.lifecycle, template.instance_type.price);
        self.used.nodes = self.used.nodes.saturating_add(packing.nodes);
        self.used.cpu += template.instance_type.cpu.times(packing.nodes.into());
        self.used.memory += template.instance_type.memory.times(packing.nodes.into());
        *self.group_sizes.entry(group.clone()).or_default() += packing.nodes;
        let domain = self.zones.domain(zone.clone());
        self.zone_nodes.entry(group.clone()).or_default().add(domain, packing.nodes);
        let count = packing.nodes;
        plan.launches.push(PlannedLaunch {
            group,
            instance_type,
            zone,
            lifecycle,
            count,
            pods,
            price,
            reason: choice.reason,
        });
    }

    /// Gives every pod that is left its one primary reason.
    fn explain(&self, held: Option<(PendingReason, String)>, pending: &mut Vec<PendingPod>) {
        for demand in self.demands.iter().filter(|demand| !demand.pods.is_empty()) {
            let (reason, detail) = self.why_pending(demand, &held);
            pending.extend(demand.pods.iter().map(|&pod| PendingPod { pod, reason, detail: detail.clone() }));
        }
    }

    fn why_pending(&self, demand: &Demand, held: &Option<(PendingReason, String)>) -> (PendingReason, String) {
        if self.templates.is_empty() {
            let detail = "no node groups are configured; pass --config with nodeGroups".to_owned();
            return (PendingReason::NoMatchingNodeGroup, detail);
        }
        let shape = &demand.shape;
        let matching: Vec<&Template<'_>> = self
            .templates
            .iter()
            .filter(|template| why_not_statically(shape, None, &template.node).is_empty())
            .collect();
        if matching.is_empty() {
            return (PendingReason::NoMatchingNodeGroup, self.why_no_group(demand));
        }
        let roomy: Vec<&&Template<'_>> =
            matching.iter().filter(|template| why_not(shape, None, &template.node).is_empty()).collect();
        if roomy.is_empty() {
            return why_no_instance(demand, &matching);
        }
        let mut full: Vec<String> = roomy
            .iter()
            .filter(|template| self.group_room(template) == 0)
            .map(|template| format!("{} at its max of {}", template.group.name, template.group.max))
            .collect();
        full.dedup();
        if roomy.iter().all(|template| self.group_room(template) == 0) {
            return (PendingReason::NodeGroupMaxReached, full.join(", "));
        }
        if roomy.iter().all(|template| self.group_room(template).min(self.cluster_room(template)) == 0) {
            let (limits, used) = (&self.config.limits, &self.used);
            let detail = format!(
                "{} of {} nodes, {} of {} cpu, {} of {} memory are used or planned",
                used.nodes, limits.max_nodes, used.cpu, limits.max_cpu, used.memory, limits.max_memory
            );
            return (PendingReason::ClusterLimitReached, detail);
        }
        held.clone()
            .unwrap_or_else(|| (PendingReason::HeldByPolicy, format!("still unplaced after {MAX_ROUNDS} rounds")))
    }

    /// "0/5 groups: lacks label x=y (2), untolerated taint t (3)".
    fn why_no_group(&self, demand: &Demand) -> String {
        let mut by_group: BTreeMap<&str, String> = BTreeMap::new();
        for template in &self.templates {
            let first = why_not_statically(&demand.shape, None, &template.node).into_iter().next();
            if let Some(rejection) = first {
                by_group.entry(&template.group.name).or_insert(rejection.reason);
            }
        }
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for reason in by_group.values() {
            *counts.entry(reason).or_default() += 1;
        }
        let mut counts: Vec<(&str, u32)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let parts: Vec<String> = counts.iter().take(4).map(|(reason, count)| format!("{reason} ({count})")).collect();
        format!("0/{} groups: {}", by_group.len(), parts.join(", "))
    }
}

/// Names the resource that no matching instance type has enough of.
fn why_no_instance(demand: &Demand, matching: &[&Template<'_>]) -> (PendingReason, String) {
    let requests = &demand.shape.requests;
    for (name, amount) in requests.extended() {
        if matching.iter().all(|template| template.node.free.get_extended(name) == 0) {
            let detail = format!("it requests {amount} {name}, which no matching instance type has");
            return (PendingReason::UndefinedExtendedResource, detail);
        }
    }
    let largest = matching.iter().max_by_key(|template| (template.node.free.cpu, template.node.free.memory));
    let detail = largest.map_or_else(String::new, |template| {
        let reasons = why_not(&demand.shape, None, &template.node);
        let reasons: Vec<String> = reasons.into_iter().map(|rejection| rejection.reason).collect();
        format!("even on an empty {}: {}", template.instance_type.name, reasons.join(", "))
    });
    (PendingReason::NoInstanceFits, detail)
}
