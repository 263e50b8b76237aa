//! The plan: rounds of offer, choice and check.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{Lifecycle, Node, PodId, Price, Snapshot, Text, Timestamp};
use plimsoll_scheduler::{Packing, Simulation, Site};

use super::allowance::Allowance;
use super::demand::{Demand, Demands};
use super::displaced::Displacements;
use super::existing::{await_starting, settle};
use super::launched::Launched;
use super::narrow::narrow;
use super::offer::{Market, Shapes, View};
use super::template::templates;
use super::why::Inquest;
use super::{
    Choice, LaunchOption, PendingPod, PendingReason, ScaleUpConfig, ScaleUpQuestion, ScaleUpVerdict, headroom,
};
use crate::clipped::note;
use crate::launch::LAUNCH_LABEL;
use crate::{PolicyCall, ScaleUpPolicy};

/// Rounds after which whatever is left stays pending: every round launches at least one node.
const MAX_ROUNDS: u32 = 100;

/// What to launch, and what stays pending.
#[derive(Clone, Debug, Default)]
pub struct ScaleUpPlan {
    /// Nodes to launch, in the order in which they were chosen.
    pub launches: Vec<PlannedLaunch>,
    /// Pending pods that get no new node, in the order of their ids.
    pub pending: Vec<PendingPod>,
    /// Pods that still run, on nodes that have to go, and get no new node, in the order of their ids.
    pub displaced: Vec<PendingPod>,
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
    /// Units of headroom that the nodes keep free.
    pub headroom: u32,
    /// What one of them costs per hour.
    pub price: Option<Price>,
    /// Why, in the policy's words.
    pub reason: String,
}

/// What has been decided so far.
struct Planning<'a> {
    config: &'a ScaleUpConfig,
    simulation: &'a mut Simulation,
    market: Market<'a>,
    demands: Vec<Demand>,
    allowance: Allowance<'a>,
    launched: Vec<Launched>,
    now: Timestamp,
}

/// Options of one round, and what each of them stands for.
struct Offer {
    options: Vec<LaunchOption>,
    /// The template of each option.
    templates: Vec<usize>,
    shapes: Shapes,
}

/// Plans what to launch for the pending pods of a snapshot. The simulation must be of that snapshot, and is left as
/// it was.
pub fn plan_scale_up(
    snapshot: &Arc<Snapshot>,
    simulation: &mut Simulation,
    config: &ScaleUpConfig,
    now: Timestamp,
    policy: &dyn ScaleUpPolicy,
) -> ScaleUpPlan {
    let mark = simulation.mark();
    let displaced = Displacements::of(snapshot, &config.displaced);
    let mut plan = plan_with(snapshot, simulation, config, &displaced, now, policy);
    simulation.rollback(mark);
    plan.pending.sort_by_key(|pending| pending.pod);
    if !displaced.pods.is_empty() {
        let all = std::mem::take(&mut plan.pending);
        (plan.displaced, plan.pending) = all.into_iter().partition(|found| displaced.pods.contains_key(&found.pod));
    }
    plan
}

fn plan_with(
    snapshot: &Arc<Snapshot>,
    simulation: &mut Simulation,
    config: &ScaleUpConfig,
    displaced: &Displacements,
    now: Timestamp,
    policy: &dyn ScaleUpPolicy,
) -> ScaleUpPlan {
    let mut plan = ScaleUpPlan::default();
    await_starting(snapshot, simulation, config, now);
    let units = headroom(config, snapshot);
    let mut demands = Demands::collect(snapshot, simulation, &units, displaced, &mut plan.pending);
    displaced.leave(simulation);
    let placed = settle(snapshot, simulation, config, &mut demands.all);
    plan.pending.extend(placed.into_iter().map(|(pod, node)| has_room(pod, snapshot.node(node))));
    if demands.all.iter().all(|demand| demand.count() == 0) {
        return plan;
    }
    let mut planning = Planning::new(snapshot, simulation, config, demands, now);
    let held = planning.rounds(snapshot, policy, &mut plan);
    planning.keep_spread(&mut plan.clipped);
    planning.explain(held, &mut plan.pending);
    planning.finish(&mut plan);
    plan
}

/// Why a pod waits that this node has room for.
fn has_room(pod: PodId, node: &Node) -> PendingPod {
    if !node.launching {
        return PendingPod {
            pod,
            reason: PendingReason::FitsExistingNode,
            detail: format!("node {} has room", node.name),
        };
    }
    let named = |text: Option<&Text>| text.map_or_else(|| "?".to_owned(), ToString::to_string);
    let detail = format!(
        "a node of group {}, {} in {}, was launched and has not joined yet (launch {})",
        named(node.group_label()),
        named(node.instance_type()),
        named(node.zone()),
        named(node.labels.get(LAUNCH_LABEL))
    );
    PendingPod { pod, reason: PendingReason::NodeLaunching, detail }
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
    fn new(
        snapshot: &Snapshot,
        simulation: &'a mut Simulation,
        config: &'a ScaleUpConfig,
        demands: Demands,
        now: Timestamp,
    ) -> Self {
        let templates = templates(snapshot, &config.groups);
        let allowance = Allowance::new(snapshot, config, &templates, now);
        let market = Market::new(simulation, templates, &demands);
        Self { config, simulation, market, demands: demands.all, allowance, launched: Vec::new(), now }
    }

    /// Asks the policy until nothing more helps. Why it stopped earlier, if it did.
    fn rounds(
        &mut self,
        snapshot: &Arc<Snapshot>,
        policy: &dyn ScaleUpPolicy,
        plan: &mut ScaleUpPlan,
    ) -> Option<(PendingReason, String)> {
        for round in 0..MAX_ROUNDS {
            let view = self.refill();
            let offer = self.offer(snapshot, &view);
            if offer.options.is_empty() {
                return None;
            }
            let question = ScaleUpQuestion {
                now: self.now,
                seed: snapshot.seed().wrapping_add(round.into()),
                round,
                shapes: offer.shapes.facts,
                options: offer.options,
                remaining: self.allowance.remaining(),
            };
            let asked = policy.choose(snapshot, &question);
            plan.calls.extend(asked.calls);
            match asked.verdict {
                None => return Some((PendingReason::PolicyFailed, "no policy answered; see decisions".to_owned())),
                Some(ScaleUpVerdict::Hold(reason)) => return Some((PendingReason::HeldByPolicy, reason)),
                Some(ScaleUpVerdict::Launch(choices)) => {
                    let before = self.launched.len();
                    let mut view = Some(view);
                    for choice in merged(choices, &mut plan.clipped) {
                        self.apply(&offer.templates, choice, &mut view, &mut plan.clipped);
                    }
                    if self.launched.len() == before {
                        let reason = "the policy's answer launches nothing that would place a pod".to_owned();
                        return Some((PendingReason::HeldByPolicy, reason));
                    }
                }
            }
        }
        None
    }

    /// Looks at what is left, and first gives it what nodes chosen before can still take.
    fn refill(&mut self) -> View {
        loop {
            let rooms = self.allowance.rooms(&self.market.templates);
            // Nodes that are chosen are there: their places take pods even where no more can be launched.
            let mut open = rooms.clone();
            for launched in &self.launched {
                open[launched.template] = open[launched.template].max(1);
            }
            let view = self.market.view(self.simulation, &self.demands, &open, None);
            let mut found = false;
            for at in 0..self.launched.len() {
                let launched = &mut self.launched[at];
                let template = launched.template;
                let packing = self.market.resume(&view, template, 0, launched.runs.clone());
                if packing.placed.is_empty() {
                    continue;
                }
                launched.runs = packing.runs;
                self.book(at, &packing.placed, 0);
                found = true;
                // What was dealt out has changed hands.
                break;
            }
            if !found {
                return view;
            }
        }
    }

    /// How many nodes like this template all limits leave.
    fn room(&self, template: usize) -> u32 {
        self.allowance.room(template, &self.market.templates[template])
    }

    fn offer(&self, snapshot: &Snapshot, view: &View) -> Offer {
        let shapes = Shapes::of(snapshot, &self.demands, self.now);
        let mut offer = Offer { options: Vec::new(), templates: Vec::new(), shapes };
        if offer.shapes.facts.is_empty() {
            return offer;
        }
        let mut packed: HashMap<usize, (u32, Packing)> = HashMap::new();
        let open = (0..self.market.templates.len()).filter(|&at| self.room(at) > 0).collect();
        for at in narrow(&self.market, view, open) {
            let max_nodes = self.room(at);
            let packing = match packed.get(&self.market.kind_of[at]) {
                // Another template of its kind was not limited, and this one is not either.
                Some((most, packing)) if packing.nodes < *most && packing.nodes <= max_nodes => packing,
                _ => {
                    let packing = self.pack(view, at, max_nodes);
                    &packed.entry(self.market.kind_of[at]).insert_entry((max_nodes, packing)).into_mut().1
                }
            };
            if packing.nodes == 0 {
                continue;
            }
            let template = &self.market.templates[at];
            let capacity = &template.node.free;
            offer.options.push(LaunchOption {
                group: template.group.name.clone(),
                instance_type: template.instance_type.name.clone(),
                zone: template.zone.clone(),
                lifecycle: template.lifecycle,
                price: template.price,
                nodes: packing.nodes,
                max_nodes,
                places: offer.shapes.places(&packing.placed),
                wasted_cpu: packing.free.cpu,
                wasted_memory: packing.free.memory,
                node_cpu: capacity.cpu,
                node_memory: capacity.memory,
                node_gpus: u32::try_from(capacity.gpus()).unwrap_or(u32::MAX),
                zone_nodes: self.allowance.zone_nodes(at, template),
                free_ips: self.allowance.free_ips.left_in(template.group, template.zone),
                preference: self.preference(at, &packing.placed),
            });
            offer.templates.push(at);
        }
        offer
    }

    /// What up to `most` nodes of a template would take, as far as there are addresses for the pods.
    fn pack(&self, view: &View, template: usize, most: u32) -> Packing {
        let packing = self.market.pack(view, template, most);
        let kind = &self.market.templates[template];
        let pods: u32 = packing.placed.iter().map(|(_, pods)| *pods).sum();
        match self.allowance.free_ips.room(kind.group, kind.zone, pods.div_ceil(packing.nodes.max(1))) {
            Some(room) if room < packing.nodes => self.market.pack(view, template, room),
            _ => packing,
        }
    }

    /// The weights of what pods prefer and would get, summed up; `None` if none of them prefers anything. Where some
    /// kind of node has a taint `PreferNoSchedule`, each pod that it does not concern counts 1.
    fn preference(&self, template: usize, placed: &[(u32, u32)]) -> Option<u64> {
        let site = self.market.site(template);
        let mut sum = None;
        for &(demand, pods) in placed {
            let demand = &self.demands[demand as usize];
            let mut each = 0;
            if !demand.shape.preferences.is_empty() {
                each += u64::from(self.simulation.preference_new(demand.class, site));
            } else if !self.market.soft_taints {
                continue;
            }
            if self.market.soft_taints && !self.simulation.unwelcome(demand.class, &site.node) {
                each += 1;
            }
            sum = Some(sum.unwrap_or(0) + each * u64::from(pods));
        }
        sum
    }

    /// Checks one choice against the limits, places the pods that it would place, and records it. `view` is what is
    /// left as long as it is up to date.
    fn apply(&mut self, offered: &[usize], choice: Choice, view: &mut Option<View>, clipped: &mut Vec<String>) {
        let Some(&template) = usize::try_from(choice.option).ok().and_then(|option| offered.get(option)) else {
            note(clipped, || format!("option {} was not offered", choice.option));
            return;
        };
        let kind = {
            let known = &self.market.templates[template];
            format!("{} × {} in {}", known.group.name, known.instance_type.name, known.zone)
        };
        let allowed = self.room(template);
        let count = choice.count.min(allowed);
        if count < choice.count {
            note(clipped, || format!("{kind}: {} nodes asked for, the limits allow {allowed}", choice.count));
        }
        let (now, whole) = match view.take() {
            Some(view) => (view, true),
            None => {
                let rooms = self.allowance.rooms(&self.market.templates);
                (self.market.view(self.simulation, &self.demands, &rooms, Some(template)), false)
            }
        };
        let most = self.pack(&now, template, count).nodes;
        let packing = self.market.resume(&now, template, most, Vec::new());
        if packing.nodes < count {
            note(clipped, || format!("{kind}: {count} nodes asked for, {} have pods to place", packing.nodes));
        }
        if packing.nodes == 0 {
            *view = whole.then_some(now);
            return;
        }
        self.launched.push(Launched {
            template,
            runs: packing.runs,
            pods: Vec::new(),
            units: Vec::new(),
            reason: choice.reason,
        });
        let pods = packing.placed.iter().map(|(_, pods)| *pods).sum();
        self.allowance.take(template, &self.market.templates[template], packing.nodes, pods);
        self.book(self.launched.len() - 1, &packing.placed, packing.nodes);
    }

    /// Takes pods off the demands and counts them where they are now.
    fn book(&mut self, launched: usize, placed: &[(u32, u32)], new_nodes: u32) {
        let template = self.launched[launched].template;
        let mut classes = Vec::with_capacity(placed.len());
        for &(demand, count) in placed {
            let at = demand as usize;
            let real = self.demands[at].take(count);
            let units = count.saturating_sub(u32::try_from(real.len()).unwrap_or(u32::MAX));
            classes.push((self.demands[at].class, count));
            self.launched[launched].note(at, real, units);
        }
        self.simulation.commit(self.market.site(template), &classes, new_nodes);
    }

    /// Pods were dealt out over places as if every place were chosen. Where some were not, what is too many for the
    /// others stays pending, and nodes that were for it alone are not launched.
    fn keep_spread(&mut self, clipped: &mut Vec<String>) {
        let sites: Vec<&Site> = self.launched.iter().map(|launched| self.market.site(launched.template)).collect();
        let demands = &self.demands;
        let planned = self.launched.iter().zip(&sites).flat_map(|(launched, site)| {
            let real =
                launched.pods.iter().map(|(demand, pods)| (*demand, u32::try_from(pods.len()).unwrap_or(u32::MAX)));
            let all = real.chain(launched.units.iter().copied());
            all.map(move |(demand, pods)| (*site, demands[demand].class, pods))
        });
        let loose = self.simulation.loose(planned);
        for at in (0..self.launched.len()).rev() {
            let site = self.market.site(self.launched[at].template);
            let spread: Vec<usize> = self.launched[at]
                .pods
                .iter()
                .map(|(demand, _)| *demand)
                .filter(|&demand| self.simulation.must_share(self.demands[demand].class))
                .collect();
            for demand in spread {
                let class = self.demands[demand].class;
                let excess = self.simulation.overfull(class, site, &loose);
                if excess == 0 {
                    continue;
                }
                let requests = self.demands[demand].shape.requests.clone();
                let before = self.launched[at].nodes();
                let mut back = self.launched[at].withdraw(self.simulation, demand, &requests, excess);
                let count = u32::try_from(back.len()).unwrap_or(u32::MAX);
                self.simulation.withdraw(site, class, count);
                back.reverse();
                self.demands[demand].pods.extend(back);
                let dropped = before - self.launched[at].nodes();
                if count > 0 {
                    let kind = &self.market.templates[self.launched[at].template];
                    note(clipped, || {
                        format!(
                            "{} × {} in {}: {count} pods would break their topology spread, as other domains got too few; {dropped} nodes fewer",
                            kind.group.name, kind.instance_type.name, kind.zone
                        )
                    });
                }
            }
        }
    }

    /// Gives every pod that is left its one primary reason.
    fn explain(&self, held: Option<(PendingReason, String)>, pending: &mut Vec<PendingPod>) {
        let templates = &self.market.templates;
        let inquest = Inquest {
            simulation: self.simulation,
            market: &self.market,
            config: self.config,
            free_ips: &self.allowance.free_ips,
            now: self.now,
            group_room: &self.allowance.group_rooms(templates),
            room: &self.allowance.rooms(templates),
            used: self.allowance.to_string(),
            held,
        };
        for demand in self.demands.iter().filter(|demand| !demand.pods.is_empty()) {
            let (reason, detail) = inquest.why(demand);
            pending.extend(demand.pods.iter().map(|&pod| PendingPod { pod, reason, detail: detail.clone() }));
        }
    }

    /// The launches, each with its pods.
    fn finish(self, plan: &mut ScaleUpPlan) {
        for launched in self.launched {
            let count = launched.nodes();
            if count == 0 {
                continue;
            }
            let kind = &self.market.templates[launched.template];
            let mut pods: Vec<PodId> = launched.pods.into_iter().flat_map(|(_, pods)| pods).collect();
            pods.sort_unstable();
            plan.launches.push(PlannedLaunch {
                group: kind.group.name.clone(),
                instance_type: kind.instance_type.name.clone(),
                zone: kind.zone.clone(),
                lifecycle: kind.lifecycle,
                count,
                pods,
                headroom: launched.units.iter().map(|(_, units)| *units).sum(),
                price: kind.price,
                reason: launched.reason,
            });
        }
    }
}
