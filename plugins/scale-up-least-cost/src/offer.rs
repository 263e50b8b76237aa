//! What one option would newly do, and when that is better than another.

use core::cmp::Ordering;

use plimsoll_sdk::Lifecycle;
use plimsoll_sdk::scale_up::{LaunchOption, PodShape};

/// How offers are compared first; what follows is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The least money for a pod.
    Cost,
    /// The least sum of the unused shares of CPU and of memory.
    Waste,
    /// The most pods.
    Pods,
    /// The fewest nodes for a pod.
    Nodes,
    /// The highest priority, then the least money for a pod.
    Priority,
}

/// An option, and what it would do for the pods that earlier choices leave.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The option.
    pub option: &'a LaunchOption,
    /// How many nodes of it.
    pub nodes: u32,
    /// How many pods those would place; at least 1.
    pub pods: u32,
    /// How many nodes it would be if no limit were in the way.
    pub needed: u32,
    /// What the pods on the needed nodes request; `None` when they are all that the option places.
    pub requested: Option<Requested>,
    /// The priority of its group, if it has one.
    pub priority: Option<i32>,
    /// Nodes that the group would have in the zone without this offer.
    pub zone_nodes: u32,
}

/// What pods request together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requested {
    /// Thousandths of a CPU core.
    pub milli_cpu: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Whole GPUs.
    pub gpus: u64,
}

impl Requested {
    /// Adds so many pods of a shape.
    pub fn add(&mut self, shape: &PodShape, pods: u32) {
        let pods = u64::from(pods);
        self.milli_cpu = self.milli_cpu.saturating_add(shape.milli_cpu.saturating_mul(pods));
        self.memory_bytes = self.memory_bytes.saturating_add(shape.memory_bytes.saturating_mul(pods));
        self.gpus = self.gpus.saturating_add(u64::from(shape.gpus).saturating_mul(pods));
    }
}

impl Offer<'_> {
    /// What its nodes cost, in millionths of a US dollar per hour; `None` when the price is unknown.
    #[must_use]
    pub fn cost(&self) -> Option<u128> {
        self.option.price.map(|price| u128::from(price) * u128::from(self.nodes))
    }

    /// Fewer nodes than needed, because no more are allowed.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.nodes < self.needed
    }

    /// The unused share of its CPU plus the unused share of its memory, in millionths.
    #[must_use]
    pub fn waste(&self) -> u64 {
        let option = self.option;
        let nodes = u64::from(self.needed);
        let (cpu, memory) =
            (option.node_milli_cpu.saturating_mul(nodes), option.node_memory_bytes.saturating_mul(nodes));
        let (idle_cpu, idle_memory) = match self.requested {
            None => (option.wasted_milli_cpu, option.wasted_memory_bytes),
            Some(part) => (cpu.saturating_sub(part.milli_cpu), memory.saturating_sub(part.memory_bytes)),
        };
        millionths(idle_cpu, cpu) + millionths(idle_memory, memory)
    }

    /// `Less` when this offer is the better one. Offers that are equal in everything are `Equal`: the order of
    /// the options decides.
    #[must_use]
    pub fn order(&self, other: &Self, measure: Measure, prefer_spot: bool) -> Ordering {
        let first = match measure {
            Measure::Cost => Ordering::Equal,
            Measure::Waste => self.waste().cmp(&other.waste()),
            Measure::Pods => other.pods.cmp(&self.pods),
            Measure::Nodes => {
                let across = |a: &Self, b: &Self| u64::from(a.nodes) * u64::from(b.pods);
                across(self, other).cmp(&across(other, self))
            }
            // `None` is below every priority.
            Measure::Priority => other.priority.cmp(&self.priority),
        };
        let on_demand = |offer: &Self| prefer_spot && offer.option.lifecycle == Lifecycle::OnDemand;
        let spot_first = || on_demand(self).cmp(&on_demand(other));
        let cheap_first = || self.cost_for_a_pod(other);
        let first = match measure {
            Measure::Cost | Measure::Priority => first.then_with(cheap_first).then_with(spot_first),
            Measure::Waste | Measure::Pods | Measure::Nodes => first.then_with(spot_first).then_with(cheap_first),
        };
        first.then_with(|| self.waste().cmp(&other.waste())).then_with(|| self.zone_nodes.cmp(&other.zone_nodes))
    }

    fn cost_for_a_pod(&self, other: &Self) -> Ordering {
        match (self.cost(), other.cost()) {
            (Some(ours), Some(theirs)) => {
                let across = |cost: u128, pods: u32| cost.saturating_mul(u128::from(pods));
                across(ours, other.pods).cmp(&across(theirs, self.pods))
            }
            // An unknown price counts as dearer than any known one.
            (ours, theirs) => ours.is_none().cmp(&theirs.is_none()),
        }
    }
}

fn millionths(part: u64, whole: u64) -> u64 {
    const MILLION: u64 = 1_000_000;
    match part.checked_mul(MILLION) {
        _ if whole == 0 => 0,
        Some(scaled) => scaled / whole,
        None => part / (whole / MILLION).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(price: Option<u64>) -> LaunchOption {
        LaunchOption { price, node_milli_cpu: 4_000, node_memory_bytes: 16 << 30, ..LaunchOption::default() }
    }

    fn offer(option: &LaunchOption, nodes: u32, pods: u32) -> Offer<'_> {
        Offer { option, nodes, pods, needed: nodes, requested: None, priority: None, zone_nodes: option.zone_nodes }
    }

    /// The first of two offers must win, whichever way round they are asked.
    #[track_caller]
    fn assert_better(better: &Offer<'_>, worse: &Offer<'_>, measure: Measure) {
        assert_eq!(better.order(worse, measure, true), Ordering::Less);
        assert_eq!(worse.order(better, measure, true), Ordering::Greater);
    }

    #[test]
    fn each_measure_decides_first() {
        let (cheap, dear) = (option(Some(10)), option(Some(40)));
        assert_better(&offer(&cheap, 3, 6), &offer(&dear, 1, 6), Measure::Cost);
        assert_better(&offer(&dear, 1, 6), &offer(&cheap, 3, 6), Measure::Nodes);
        assert_better(&offer(&dear, 1, 7), &offer(&cheap, 1, 6), Measure::Pods);
        let wasteful = LaunchOption { wasted_milli_cpu: 4_000, ..cheap.clone() };
        assert_better(&offer(&dear, 1, 6), &offer(&wasteful, 1, 6), Measure::Waste);
        let first = Offer { priority: Some(-5), ..offer(&dear, 1, 6) };
        assert_better(&first, &offer(&cheap, 1, 6), Measure::Priority);
    }

    #[test]
    fn cost_is_for_the_pods_placed() {
        let (small, large) = (option(Some(10)), option(Some(15)));
        assert_better(&offer(&large, 1, 4), &offer(&small, 1, 2), Measure::Cost);
    }

    #[test]
    fn an_unknown_price_is_dearest_and_still_compared() {
        let (dear, unknown) = (option(Some(u64::MAX)), option(None));
        assert_better(&offer(&dear, 9, 1), &offer(&unknown, 1, 9), Measure::Cost);
        let wasteful = LaunchOption { wasted_memory_bytes: 1 << 30, ..option(None) };
        assert_better(&offer(&unknown, 1, 1), &offer(&wasteful, 1, 1), Measure::Cost);
    }

    #[test]
    fn ties_go_to_spot_then_waste_then_the_emptier_zone() {
        let plain = option(Some(10));
        let spot = LaunchOption { lifecycle: Lifecycle::Spot, wasted_milli_cpu: 1_000, ..plain.clone() };
        assert_better(&offer(&spot, 1, 1), &offer(&plain, 1, 1), Measure::Cost);
        assert_eq!(offer(&spot, 1, 1).order(&offer(&plain, 1, 1), Measure::Cost, false), Ordering::Greater);
        let full = LaunchOption { zone_nodes: 5, ..plain.clone() };
        assert_better(&offer(&plain, 1, 1), &offer(&full, 1, 1), Measure::Cost);
        assert_eq!(offer(&plain, 1, 1).order(&offer(&plain, 1, 1), Measure::Cost, true), Ordering::Equal);
    }

    #[test]
    fn waste_is_the_sum_of_two_shares() {
        let part = LaunchOption { nodes: 2, wasted_milli_cpu: 2_000, wasted_memory_bytes: 16 << 30, ..option(None) };
        assert_eq!(offer(&part, 2, 1).waste(), 250_000 + 500_000);
        let requested = Requested { milli_cpu: 1_000, memory_bytes: 12 << 30, gpus: 0 };
        assert_eq!(Offer { requested: Some(requested), ..offer(&part, 1, 1) }.waste(), 750_000 + 250_000);
        assert_eq!(millionths(u64::MAX, u64::MAX), 1_000_000);
        assert_eq!(millionths(1, 0), 0);
    }
}
