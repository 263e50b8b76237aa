//! Room that is kept free, as pods that nobody has created.
//!
//! Manual headroom is a list of units. Automatic headroom is a percentage of what running pods request, in units shaped
//! like the five largest workloads. Spot Ocean takes the workloads that are likeliest to scale out; one snapshot knows no
//! history, so what counts here is their size: replicas times requests.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{Owner, Pod, PodId, PodShape, Resources, Snapshot, Text, Toleration};

use super::ScaleUpConfig;

/// Workloads that automatic headroom is shaped like (Spot Ocean, "Headroom").
const WORKLOADS: usize = 5;
/// Below every pod: whatever is real comes first.
const PRIORITY: i32 = i32::MIN;

/// How much room to keep free. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadroomConfig {
    /// Units of given sizes.
    pub manual: Vec<ManualHeadroom>,
    /// Percent of what running pods request; 0 is off.
    pub automatic_percent: u32,
    /// Both kinds count; otherwise automatic headroom, once it is on, takes the place of the manual kind.
    pub combine: bool,
}

/// Equal units of a given size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualHeadroom {
    /// The group whose nodes they are kept on; `None` for any.
    pub group: Option<Text>,
    /// How many.
    pub count: u32,
    /// The size of one.
    pub requests: Resources,
}

/// Equal pods that nobody has created: placed after every real pod, never bound.
#[derive(Clone, Debug)]
pub struct HeadroomUnits {
    /// What each needs. Its priority is below every pod's.
    pub shape: Arc<PodShape>,
    /// How many.
    pub count: u32,
    /// The group whose nodes they are kept on; `None` for any.
    pub group: Option<Text>,
    /// A pod whose namespace and labels each has; `None` for no labels.
    pub like: Option<PodId>,
}

/// The pods of one owner.
struct Workload<'a> {
    owner: &'a Owner,
    first: PodId,
    cpu: u64,
    memory: u64,
}

/// The room to keep free, manual units first.
pub fn headroom(config: &ScaleUpConfig, snapshot: &Snapshot) -> Vec<HeadroomUnits> {
    let headroom = &config.headroom;
    let automatic = headroom.automatic_percent > 0;
    let mut units = Vec::new();
    if !automatic || headroom.combine {
        units.extend(
            headroom.manual.iter().filter(|manual| manual.count > 0).map(|manual| manual_units(config, manual)),
        );
    }
    if automatic {
        units.extend(automatic_units(headroom.automatic_percent, snapshot));
    }
    units
}

fn manual_units(config: &ScaleUpConfig, manual: &ManualHeadroom) -> HeadroomUnits {
    let group = manual.group.as_ref().and_then(|name| config.groups.iter().find(|group| group.name == *name));
    // What is kept on a group's nodes is for pods that may run there.
    let tolerations = group.map(|group| {
        let tolerated = group.taints.iter();
        tolerated
            .map(|taint| Toleration {
                key: Some(taint.key.clone()),
                value: Some(taint.value.clone()),
                effect: Some(taint.effect),
            })
            .collect()
    });
    let shape = PodShape {
        requests: Resources { pods: 1, ..manual.requests.clone() },
        tolerations: tolerations.unwrap_or_default(),
        priority: PRIORITY,
        os: group.map(|group| group.os),
        ..Default::default()
    };
    HeadroomUnits { shape: Arc::new(shape), count: manual.count, group: manual.group.clone(), like: None }
}

/// Units like the largest workloads: each gets an equal part of the percentage, as many units as fit in its part of both
/// CPU and memory, and at least one.
fn automatic_units(percent: u32, snapshot: &Snapshot) -> Vec<HeadroomUnits> {
    let (mut workloads, cpu, memory) = workloads(snapshot);
    workloads.retain(|workload| workload.cpu > 0 || workload.memory > 0);
    // The larger of its parts of all CPU and of all memory, in billionths.
    let part = |part: u64, all: u64| u128::from(part) * 1_000_000_000 / u128::from(all.max(1));
    let size = |workload: &Workload<'_>| part(workload.cpu, cpu).max(part(workload.memory, memory));
    workloads.sort_by(|a, b| {
        let names = |workload: &Workload<'_>| (workload.owner.namespace.clone(), workload.owner.name.clone());
        size(b).cmp(&size(a)).then_with(|| names(a).cmp(&names(b)))
    });
    workloads.truncate(WORKLOADS);
    let shares = u128::try_from(workloads.len()).unwrap_or(1) * 100;
    let units = workloads.iter().map(|workload| {
        let shape = &snapshot.pod(workload.first).shape;
        let fit = |all: u64, each: u64| (u128::from(all) * u128::from(percent) / shares).checked_div(each.into());
        let by_cpu = fit(cpu, shape.requests.cpu.0).unwrap_or(u128::MAX);
        let by_memory = fit(memory, shape.requests.memory.0).unwrap_or(u128::MAX);
        let count = u32::try_from(by_cpu.min(by_memory)).unwrap_or(u32::MAX).max(1);
        let shape = Arc::new(PodShape { priority: PRIORITY, ..PodShape::clone(shape) });
        HeadroomUnits { shape, count, group: None, like: Some(workload.first) }
    });
    units.collect()
}

/// Every owner whose pods could become more, and what all running pods request: CPU in thousandths, memory in bytes.
fn workloads(snapshot: &Snapshot) -> (Vec<Workload<'_>>, u64, u64) {
    let (mut cpu, mut memory) = (0u64, 0u64);
    let mut workloads: Vec<Workload<'_>> = Vec::new();
    // Pods of one owner share it: most are known by its address, without comparing texts.
    let mut by_address: HashMap<*const Owner, Option<usize>> = HashMap::new();
    let mut by_owner: HashMap<&Owner, usize> = HashMap::new();
    for (id, pod) in snapshot.pods() {
        if pod.node.is_none() || pod.finished() {
            continue;
        }
        let requests = &pod.shape.requests;
        cpu = cpu.saturating_add(requests.cpu.0);
        memory = memory.saturating_add(requests.memory.0);
        let Some(owner) = &pod.owner else { continue };
        let at = by_address.entry(Arc::as_ptr(owner)).or_insert_with(|| {
            scales_out(pod).then(|| {
                *by_owner.entry(owner).or_insert_with(|| {
                    workloads.push(Workload { owner, first: id, cpu: 0, memory: 0 });
                    workloads.len() - 1
                })
            })
        });
        if let Some(workload) = at.and_then(|at| workloads.get_mut(at)) {
            workload.cpu = workload.cpu.saturating_add(requests.cpu.0);
            workload.memory = workload.memory.saturating_add(requests.memory.0);
        }
    }
    (workloads, cpu, memory)
}

/// More pods like it would be this scheduler's to place, and can be simulated.
fn scales_out(pod: &Pod) -> bool {
    let tied = pod.daemon_set() || pod.owned_by("Node") || pod.mirror();
    !tied && pod.shape.scheduler.is_none() && !pod.shape.resource_claims
}
