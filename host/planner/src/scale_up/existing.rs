//! Room on nodes that are there, or are about to be.

use std::cmp::Reverse;

use plimsoll_model::{GroupIndex, NodeId, PodId, Snapshot, Text, Timestamp};
use plimsoll_scheduler::{ClassId, NodeList, Simulation};

use super::demand::{Demand, Demands};
use super::displaced::Displacements;
use super::{ScaleUpConfig, headroom};

/// What got a place on existing nodes.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Which pod goes where.
    pub pods: Vec<(PodId, NodeId)>,
    /// Which headroom is kept where.
    pub headroom: Vec<SettledHeadroom>,
}

/// Equal units of headroom on one node.
#[derive(Debug)]
pub(crate) struct SettledHeadroom {
    pub class: ClassId,
    pub node: NodeId,
    pub units: u32,
    /// They are kept on nodes of this group only.
    pub group: Option<Text>,
}

/// Gives room on existing nodes to the pods that kube-scheduler will place there, the most important first, and
/// to headroom what is left. The simulation then has them all.
pub(crate) fn settle_pending(snapshot: &Snapshot, simulation: &mut Simulation, config: &ScaleUpConfig) -> Settled {
    let units = headroom(config, snapshot);
    let mut demands = Demands::collect(snapshot, simulation, &units, &Displacements::default(), &mut Vec::new());
    settle_all(snapshot, simulation, config, &mut demands.all)
}

/// Nodes that are young and not ready yet are capacity on its way: they count as if they were ready, without the
/// taints that they will lose. Rows that stand for launched nodes count as long as they are there.
pub(crate) fn await_starting(snapshot: &Snapshot, simulation: &mut Simulation, config: &ScaleUpConfig, now: Timestamp) {
    let groups = GroupIndex::of(&config.groups);
    for (id, node) in snapshot.nodes() {
        if node.launching {
            simulation.open(id);
            continue;
        }
        if node.ready && node.taints.is_empty() {
            continue;
        }
        let startup = config.startup_of(groups.group_of(node).map(|(_, group)| group));
        let young = node.created.is_some_and(|created| now.since(created) < startup.grace);
        if !young || node.deleting {
            continue;
        }
        let lasting = |taint: &plimsoll_model::Taint| {
            node.ready
                || !["node.kubernetes.io/not-ready", "node.cloudprovider.kubernetes.io/uninitialized"]
                    .contains(&taint.key.as_str())
        };
        let counting: Vec<_> = startup.counting(node, now).into_iter().filter(lasting).collect();
        if counting.len() != node.taints.len() {
            simulation.set_taints(id, counting);
        }
        simulation.open(id);
    }
}

pub(super) fn settle(
    snapshot: &Snapshot,
    simulation: &mut Simulation,
    config: &ScaleUpConfig,
    demands: &mut [Demand],
) -> Vec<(PodId, NodeId)> {
    settle_all(snapshot, simulation, config, demands).pods
}

fn settle_all(
    snapshot: &Snapshot,
    simulation: &mut Simulation,
    config: &ScaleUpConfig,
    demands: &mut [Demand],
) -> Settled {
    // By name, so that the cluster's history does not decide; nodes that have not joined come last.
    let mut open: Vec<NodeId> = snapshot.nodes().map(|(id, _)| id).filter(|&id| simulation.is_open(id)).collect();
    open.sort_by_key(|&id| snapshot.node(id).launching);
    let mut all = NodeList::of(simulation, open.iter().copied());
    let groups = GroupIndex::of(&config.groups);
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|&at| Reverse(demands[at].shape.priority));
    let mut settled = Settled::default();
    for at in order {
        let demand = &mut demands[at];
        let mut of_group;
        let nodes = match &demand.group {
            None => &mut all,
            Some(name) => {
                let own = |id: &NodeId| {
                    let group = groups.group_of(snapshot.node(*id));
                    group.is_some_and(|(_, group)| group.name == *name)
                };
                of_group = NodeList::of(simulation, open.iter().copied().filter(own));
                &mut of_group
            }
        };
        for (node, count) in simulation.settle(demand.class, demand.count(), nodes) {
            let pods = demand.take(count);
            let units = count.saturating_sub(u32::try_from(pods.len()).unwrap_or(u32::MAX));
            settled.pods.extend(pods.into_iter().map(|pod| (pod, node)));
            if units > 0 {
                let (class, group) = (demand.class, demand.group.clone());
                settled.headroom.push(SettledHeadroom { class, node, units, group });
            }
        }
    }
    settled
}
