//! What a run came to.

use std::cell::RefCell;
use std::rc::Rc;

use plimsoll_model::{Millis, Timestamp};
use plimsoll_planner::drain::{DrainAction, DrainAnswer, EvictionAnswer};
use serde::Serialize;

use crate::act::Deed;
use crate::world::{MachineStage, Occurrence, World};

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// When it began.
    pub start: Timestamp,
    /// Changes that people, clouds and bad luck made.
    pub changes: u64,
    /// Nodes that were launched.
    pub launches: u32,
    /// Drains that came to their end.
    pub completed: u32,
    /// Of these, with pods left at the deadline.
    pub timed_out: u32,
    /// Drains that were taken back.
    pub cancelled: u32,
    /// Evictions that were accepted.
    pub evictions: u32,
    /// Pods that were deleted against their budget.
    pub forced: u32,
    /// Pods that died with their machine.
    pub lost: u32,
    /// Over time.
    pub samples: Vec<Sample>,
    /// All in all.
    pub totals: Totals,
    waits: Vec<Millis>,
    pub(crate) verbose: bool,
    pub(crate) shared: Option<Rc<RefCell<Vec<String>>>>,
}

/// The cluster at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Seconds after the beginning.
    pub at: u64,
    /// Machines that cost something.
    pub nodes: u64,
    /// What an hour of them costs, in micro-dollars.
    pub rate: u64,
    /// Pods without a node.
    pub pending: u64,
    /// Evictions until now.
    pub evictions: u64,
    /// CPU that is requested on nodes, in thousandths of a core.
    pub requested: u64,
    /// CPU that nodes offer, in thousandths of a core.
    pub offered: u64,
}

/// Figures of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// In micro-dollars.
    pub cost: u64,
    /// Seconds of all nodes together.
    pub node_seconds: u64,
    /// Nodes that were launched.
    pub launches: u64,
    /// Nodes that were removed.
    pub removals: u64,
    /// Evictions.
    pub evictions: u64,
    /// Pods that died with their machine.
    pub lost_pods: u64,
    /// Pods that got a node.
    pub placed: u64,
    /// Seconds that pods waited, all together.
    pub pending_pod_seconds: u64,
    /// Half of the pods waited no longer, in seconds.
    pub wait_p50: u64,
    /// Of a hundred pods 99 waited no longer, in seconds.
    pub wait_p99: u64,
    /// CPU requested of CPU offered, in thousandths, over time.
    pub utilisation_permille: u64,
    /// The most nodes at once.
    pub most_nodes: u64,
}

// === impl Report ===

impl Report {
    pub(crate) fn new(start: Timestamp) -> Self {
        Self {
            start,
            changes: 0,
            launches: 0,
            completed: 0,
            timed_out: 0,
            cancelled: 0,
            evictions: 0,
            forced: 0,
            lost: 0,
            samples: Vec::new(),
            totals: Totals::default(),
            waits: Vec::new(),
            verbose: false,
            shared: None,
        }
    }

    pub(crate) fn tell(&mut self, now: Timestamp, line: String) {
        if let Some(shared) = &self.shared {
            let after = now.since(self.start).0;
            shared.borrow_mut().push(format!("{:>6}.{:03} {line}", after / 1000, after % 1000));
        }
    }

    pub(crate) fn did(&mut self, deed: &Deed) {
        if let (DrainAction::Evict { .. }, DrainAnswer::Evicted(_, EvictionAnswer::Accepted)) =
            (&deed.action, &deed.answer)
        {
            self.evictions += 1;
        }
    }

    pub(crate) fn occurred(&mut self, occurred: &Occurrence) {
        match occurred {
            Occurrence::Bound(_, waited) => self.waits.push(*waited),
            Occurrence::PodGone(_, _, true) => self.lost += 1,
            _ => {}
        }
    }

    pub(crate) fn finish(&mut self, world: &World) {
        self.waits.sort_unstable();
        let count = self.waits.len();
        let quantile = |percent: usize| self.waits.get((count * percent / 100).min(count.saturating_sub(1)));
        let seconds = |wait: Option<&Millis>| wait.map_or(0, |wait| wait.0 / 1000);
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let span = |machine: &crate::world::Machine| machine.gone.unwrap_or(world.now).since(machine.launched).0 / 1000;
        let machines = world.cloud.machines();
        // What waits at the end has waited as well.
        let still: u64 = world
            .snapshot
            .pending()
            .filter(|(_, pod)| pod.node.is_none())
            .map(|(_, pod)| pod.created.map_or(0, |created| world.now.since(created).0 / 1000))
            .sum();
        let (requested, offered) = self.samples.iter().fold((0_u64, 0_u64), |(requested, offered), sample| {
            (requested + sample.requested, offered + sample.offered)
        });
        self.totals = Totals {
            cost: world.cloud.cost(world.now),
            node_seconds: machines.iter().map(span).sum(),
            launches: u64::from(self.launches),
            removals: wide(machines.iter().filter(|machine| machine.stage == MachineStage::Gone).count()),
            evictions: u64::from(self.evictions),
            lost_pods: u64::from(self.lost),
            placed: wide(count),
            pending_pod_seconds: self.waits.iter().map(|wait| wait.0 / 1000).sum::<u64>() + still,
            wait_p50: seconds(quantile(50)),
            wait_p99: seconds(quantile(99)),
            utilisation_permille: requested.saturating_mul(1000) / offered.max(1),
            most_nodes: self.samples.iter().map(|sample| sample.nodes).max().unwrap_or_default(),
        };
    }
}

// === impl Sample ===

impl Sample {
    pub(crate) fn of(world: &World, report: &Report) -> Self {
        let costing = world.cloud.machines().iter().filter(|machine| machine.stage != MachineStage::Gone);
        let (nodes, rate) =
            costing.fold((0, 0), |(nodes, rate), machine| (nodes + 1, rate + machine.price.map_or(0, |price| price.0)));
        let snapshot = &world.snapshot;
        let (mut requested, mut offered) = (0, 0);
        for (id, node) in snapshot.nodes() {
            requested += snapshot.requested_on(id).cpu.0;
            offered += node.allocatable.cpu.0;
        }
        Self {
            at: world.now.since(report.start).0 / 1000,
            nodes,
            rate,
            pending: u64::try_from(snapshot.pending().filter(|(_, pod)| pod.node.is_none()).count())
                .unwrap_or(u64::MAX),
            evictions: u64::from(report.evictions),
            requested,
            offered,
        }
    }
}
