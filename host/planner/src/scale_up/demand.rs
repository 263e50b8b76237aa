//! Which pending pods want a new node.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{
    Lifecycle, NodeId, Phase, Pod, PodId, PodShape, Scheduling, Snapshot, Text, Timestamp, well_known,
};
use plimsoll_scheduler::{InterPodIndex, NodeState, fits};

use super::{PendingPod, PendingReason, ShapeDemand};

/// Pending pods of one shape and namespace, the first of names first: whose pods they are is for a policy to weigh.
pub(super) struct Demand {
    pub shape: Arc<PodShape>,
    /// Pods without a place, the next to be placed last.
    pub pods: Vec<PodId>,
}

/// The nodes of a snapshot with the pending pods that the scheduler will place there.
pub(crate) struct ExistingRoom {
    /// By node id.
    pub nodes: Vec<NodeState>,
    /// Which pod goes where.
    pub placed: Vec<(PodId, NodeId)>,
}

/// Sorts the pending pods into those that want a node and those that do not.
pub(super) fn demands(snapshot: &Snapshot, pending: &mut Vec<PendingPod>) -> Vec<Demand> {
    let inter_pod = InterPodIndex::of(snapshot);
    let mut by_shape: HashMap<(&Text, &PodShape), usize> = HashMap::new();
    let mut demands: Vec<Demand> = Vec::new();
    for (id, pod) in snapshot.pods() {
        if pod.phase != Phase::Pending || pod.node.is_some() || pod.deletion.is_some() {
            continue;
        }
        if let Some((reason, detail)) = not_ours(snapshot, &inter_pod, pod) {
            pending.push(PendingPod { pod: id, reason, detail });
            continue;
        }
        let at = *by_shape.entry((&pod.namespace, &pod.shape)).or_insert_with(|| {
            demands.push(Demand { shape: pod.shape.clone(), pods: Vec::new() });
            demands.len() - 1
        });
        demands[at].pods.push(id);
    }
    for demand in &mut demands {
        demand.pods.reverse();
    }
    demands
}

fn not_ours(snapshot: &Snapshot, inter_pod: &InterPodIndex, pod: &Pod) -> Option<(PendingReason, String)> {
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
    let rule = inter_pod.concerns(snapshot, pod)?;
    Some((PendingReason::InterPodRulesNotSimulated, format!("{rule}; rules between pods are not simulated yet")))
}

/// Gives room on existing nodes to the pods that fit there, the most important first.
pub(super) fn use_existing(snapshot: &Snapshot, demands: &mut [Demand]) -> ExistingRoom {
    let nodes = snapshot.nodes().map(|(id, _)| NodeState::of(snapshot, id)).collect();
    let mut room = ExistingRoom { nodes, placed: Vec::new() };
    let open: Vec<NodeId> =
        snapshot.nodes().filter(|(_, node)| node.ready && !node.deleting).map(|(id, _)| id).collect();
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(demands[at].shape.priority));
    for at in order {
        let Demand { shape, pods } = &mut demands[at];
        for &id in &open {
            if pods.is_empty() {
                break;
            }
            let node = &mut room.nodes[id.0 as usize];
            if !fits(shape, node) {
                continue;
            }
            let count = node.room_for(shape, u32::try_from(pods.len()).unwrap_or(u32::MAX));
            node.add(shape, count);
            room.placed.extend(pods.split_off(pods.len() - count as usize).into_iter().map(|pod| (pod, id)));
        }
    }
    room
}

/// The nodes of a snapshot once its pending pods have taken what room there is.
pub(crate) fn existing_room(snapshot: &Snapshot) -> ExistingRoom {
    use_existing(snapshot, &mut demands(snapshot, &mut Vec::new()))
}

impl Demand {
    /// How many pods want a place.
    pub fn count(&self) -> u32 {
        u32::try_from(self.pods.len()).unwrap_or(u32::MAX)
    }

    /// The demand as a policy sees it; `None` once every pod has a place.
    pub fn facts(&self, snapshot: &Snapshot, now: Timestamp) -> Option<ShapeDemand> {
        let requests = &self.shape.requests;
        let oldest = self.pods.iter().filter_map(|&pod| snapshot.pod(pod).created).min();
        Some(ShapeDemand {
            pods: self.count(),
            example: *self.pods.last()?,
            namespace: snapshot.pod(*self.pods.last()?).namespace.clone(),
            cpu: requests.cpu,
            memory: requests.memory,
            gpus: u32::try_from(requests.gpus()).unwrap_or(u32::MAX),
            priority: self.shape.priority,
            lifecycle: demanded_lifecycle(&self.shape),
            waiting: oldest.map(|oldest| now.since(oldest)),
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
