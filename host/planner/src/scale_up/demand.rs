//! Which pending pods want a new node.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{Lifecycle, Pod, PodId, PodShape, Scheduling, Snapshot, Text, Timestamp, well_known};
use plimsoll_scheduler::{Alike, ClassId, PodClass, Simulation};

use super::displaced::Displacements;
use super::{HeadroomUnits, PendingPod, PendingReason, ShapeDemand};

/// Pods that nothing tells apart, and that have no place yet.
#[derive(Debug)]
pub(super) struct Demand {
    /// Their class; where their labels differ in what no rule looks at, that of the first.
    pub class: ClassId,
    pub shape: Arc<PodShape>,
    pub namespace: Text,
    /// Pending pods and displaced ones, the next to be placed last.
    pub pods: Vec<PodId>,
    /// Those of them that are displaced, and when their nodes are gone.
    pub deadlines: HashMap<PodId, Option<Timestamp>>,
    /// Units of headroom: pods that nobody has created.
    pub units: u32,
    /// Headroom that is kept on nodes of this group only.
    pub group: Option<Text>,
    /// The same for demands with the same needs of a node's labels, taints and system.
    pub needs: u32,
}

/// What wants a place.
#[derive(Debug, Default)]
pub(super) struct Demands {
    pub all: Vec<Demand>,
    /// For each set of static needs, the first demand that has it.
    pub needs: Vec<usize>,
}

/// What makes pods of one namespace and shape the same.
type Kind = (Text, u32, Alike, Option<Text>);

impl Demands {
    /// Sorts the pending pods, and those that are displaced, into those that want a place and those that do not, and
    /// adds headroom.
    pub fn collect(
        snapshot: &Snapshot,
        simulation: &mut Simulation,
        headroom: &[HeadroomUnits],
        displaced: &Displacements,
        pending: &mut Vec<PendingPod>,
    ) -> Self {
        let mut ours: Vec<(ClassId, PodId)> = Vec::new();
        let displaced_pods = displaced.in_order();
        let displaced_pods = displaced_pods.iter().map(|&id| (id, snapshot.pod(id)));
        let waiting = snapshot.pending().filter(|(_, pod)| pod.deletion.is_none());
        for (id, pod) in waiting.chain(displaced_pods) {
            match not_ours(pod) {
                Some((reason, detail)) => pending.push(PendingPod { pod: id, reason, detail }),
                None => {
                    // A pod that runs is counted under its class already.
                    let placed = simulation.placed(id).map(|(class, _)| class);
                    ours.push((placed.unwrap_or_else(|| simulation.class_of(snapshot, pod)), id));
                }
            }
        }
        let units: Vec<ClassId> =
            headroom.iter().map(|units| simulation.intern(class_of_units(snapshot, units))).collect();
        let classes: Vec<ClassId> = ours.iter().map(|(class, _)| *class).chain(units.iter().copied()).collect();
        simulation.prepare(&classes);

        let mut demands = Self::default();
        let mut shapes = Shapes::default();
        let mut known: HashMap<Kind, usize> = HashMap::new();
        let mut by_class: HashMap<ClassId, usize> = HashMap::new();
        for (class, pod) in ours {
            let at = *by_class
                .entry(class)
                .or_insert_with(|| demands.demand(simulation, class, None, &mut shapes, &mut known));
            demands.all[at].pods.push(pod);
            if let Some(deadline) = displaced.pods.get(&pod) {
                demands.all[at].deadlines.insert(pod, *deadline);
            }
        }
        for (class, units) in units.into_iter().zip(headroom) {
            let at = demands.demand(simulation, class, units.group.clone(), &mut shapes, &mut known);
            demands.all[at].units = demands.all[at].units.saturating_add(units.count);
        }
        for demand in &mut demands.all {
            demand.pods.reverse();
        }
        demands.number_needs();
        demands
    }

    fn demand(
        &mut self,
        simulation: &Simulation,
        class: ClassId,
        group: Option<Text>,
        shapes: &mut Shapes,
        known: &mut HashMap<Kind, usize>,
    ) -> usize {
        let is = simulation.class(class);
        let kind = (is.namespace.clone(), shapes.number(&is.shape), simulation.alike(class), group.clone());
        *known.entry(kind).or_insert_with(|| {
            let (shape, namespace) = (is.shape.clone(), is.namespace.clone());
            let (pods, deadlines) = (Vec::new(), HashMap::new());
            self.all.push(Demand { class, shape, namespace, pods, deadlines, units: 0, group, needs: 0 });
            self.all.len() - 1
        })
    }

    fn number_needs(&mut self) {
        let mut numbers = HashMap::new();
        for (at, demand) in self.all.iter().enumerate() {
            let shape = &demand.shape;
            let needs = (&shape.node_selector, &shape.node_affinity, &shape.tolerations, shape.os, &demand.group);
            numbers.entry(needs).or_insert_with(|| {
                self.needs.push(at);
                self.needs.len() - 1
            });
        }
        let of = |demand: &Demand| {
            let shape = &demand.shape;
            let needs = (&shape.node_selector, &shape.node_affinity, &shape.tolerations, shape.os, &demand.group);
            numbers.get(&needs).map_or(0, |&number| u32::try_from(number).unwrap_or(u32::MAX))
        };
        let all: Vec<u32> = self.all.iter().map(of).collect();
        for (demand, needs) in self.all.iter_mut().zip(all) {
            demand.needs = needs;
        }
    }
}

/// Numbers shapes by what they are; those of one allocation are told apart without a look inside.
#[derive(Default)]
struct Shapes {
    by_address: HashMap<*const PodShape, u32>,
    by_content: HashMap<Arc<PodShape>, u32>,
}

impl Shapes {
    fn number(&mut self, shape: &Arc<PodShape>) -> u32 {
        *self.by_address.entry(Arc::as_ptr(shape)).or_insert_with(|| {
            let next = u32::try_from(self.by_content.len()).unwrap_or(u32::MAX);
            *self.by_content.entry(shape.clone()).or_insert(next)
        })
    }
}

fn class_of_units(snapshot: &Snapshot, units: &HeadroomUnits) -> PodClass {
    let like = units.like.and_then(|id| snapshot.find_pod_id(id.0)).map(|(_, pod)| pod);
    PodClass {
        namespace: like.map_or_else(Text::default, |pod| pod.namespace.clone()),
        labels: like.map_or_else(Arc::default, |pod| pod.labels.clone()),
        shape: units.shape.clone(),
        terminating: false,
        volumes: None,
    }
}

fn not_ours(pod: &Pod) -> Option<(PendingReason, String)> {
    match &pod.scheduling {
        Scheduling::Gated => {
            return Some((PendingReason::SchedulingGated, "its scheduling gates are not removed yet".to_owned()));
        }
        Scheduling::Nominated(node) => {
            return Some((PendingReason::Preempting, format!("it waits for pods that it preempts on {node}")));
        }
        Scheduling::Quiet | Scheduling::Unschedulable => {}
    }
    if pod.daemon_set() {
        return Some((PendingReason::DaemonSetPodIgnored, "a DaemonSet pod runs on its own node only".to_owned()));
    }
    if let Some(scheduler) = &pod.shape.scheduler {
        return Some((PendingReason::OtherScheduler, format!("scheduler {scheduler} places it")));
    }
    let detail = "it claims devices (spec.resourceClaims); dynamic resource allocation is not simulated";
    pod.shape.resource_claims.then(|| (PendingReason::DevicesNotSimulated, detail.to_owned()))
}

impl Demand {
    /// How many want a place.
    pub fn count(&self) -> u32 {
        u32::try_from(self.pods.len()).unwrap_or(u32::MAX).saturating_add(self.units)
    }

    /// Takes pods off the demand that got a place: real ones first.
    pub fn take(&mut self, count: u32) -> Vec<PodId> {
        let real = self.pods.len().min(count as usize);
        self.units = self.units.saturating_sub(count.saturating_sub(u32::try_from(real).unwrap_or(u32::MAX)));
        self.pods.split_off(self.pods.len() - real)
    }

    /// The demand as a policy sees it; `None` once nothing of it is left.
    pub fn facts(&self, snapshot: &Snapshot, now: Timestamp) -> Option<ShapeDemand> {
        if self.count() == 0 {
            return None;
        }
        let requests = &self.shape.requests;
        let waiting = self.pods.iter().filter(|pod| !self.deadlines.contains_key(pod));
        let oldest = waiting.filter_map(|&pod| snapshot.pod(pod).created).min();
        let deadlines = self.pods.iter().filter_map(|pod| self.deadlines.get(pod).copied().flatten());
        Some(ShapeDemand {
            pods: self.count(),
            example: self.pods.last().copied(),
            namespace: self.namespace.clone(),
            cpu: requests.cpu,
            memory: requests.memory,
            gpus: u32::try_from(requests.gpus()).unwrap_or(u32::MAX),
            priority: self.shape.priority,
            lifecycle: demanded_lifecycle(&self.shape),
            waiting: oldest.map(|oldest| now.since(oldest)),
            deadline: deadlines.min(),
            headroom: self.pods.is_empty(),
        })
    }
}

/// The lifecycle that a shape insists on, by trying its selectors against one label at a time.
fn demanded_lifecycle(shape: &PodShape) -> Option<Lifecycle> {
    let accepts = |lifecycle: Lifecycle| {
        let key = well_known::LIFECYCLE;
        let value = lifecycle.label().into();
        let selected = shape.node_selector.get(key).is_none_or(|wanted| *wanted == value);
        let allowed = shape.node_affinity.as_ref().is_none_or(|affinity| {
            affinity.terms.iter().any(|term| {
                let mut about = term.match_expressions.iter().filter(|requirement| requirement.key == key);
                about.all(|requirement| requirement.accepts(Some(&value)))
            })
        });
        selected && allowed
    };
    match (accepts(Lifecycle::OnDemand), accepts(Lifecycle::Spot)) {
        (true, false) => Some(Lifecycle::OnDemand),
        (false, true) => Some(Lifecycle::Spot),
        _ => None,
    }
}
