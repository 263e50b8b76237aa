//! In how many evaluations in a row each node could have gone.

use std::collections::HashMap;

use plimsoll_model::{Millis, Text, Timestamp};

use super::ScaleDownPlan;

/// In how many evaluations in a row, up to the last one, each node could have gone.
///
/// An evaluation is due once an interval. Plans that are made in between, because something changed, count for nothing:
/// a busy cluster does not lose its nodes sooner.
#[derive(Clone, Debug)]
pub struct Evaluations {
    interval: Millis,
    counts: HashMap<Text, u32>,
    last: Option<Timestamp>,
}

// === impl Evaluations ===

impl Evaluations {
    /// None yet.
    pub fn new(interval: Millis) -> Self {
        Self { interval, counts: HashMap::new(), last: None }
    }

    /// True if a plan that is made now counts. A timer may be a little early; a clock that was set back starts anew.
    pub fn due(&self, now: Timestamp) -> bool {
        let early = Millis(self.interval.0 / 10);
        self.last.is_none_or(|last| now < last || now.since(last) + early >= self.interval)
    }

    /// What a plan at this moment is told as [`History::evaluations`](super::History): it counts itself, so that one in
    /// between is told one less.
    pub fn before(&self, now: Timestamp) -> HashMap<Text, u32> {
        if self.due(now) {
            return self.counts.clone();
        }
        self.counts.iter().map(|(node, count)| (node.clone(), count.saturating_sub(1))).collect()
    }

    /// Counts a plan, if an evaluation was due. Nodes that it did not find removable, or that are gone, start again.
    pub fn tick(&mut self, plan: &ScaleDownPlan, now: Timestamp) {
        if !self.due(now) {
            return;
        }
        self.last = Some(now);
        let mut before = std::mem::take(&mut self.counts);
        let count = |node: &Text| before.remove(node).unwrap_or(0).saturating_add(1);
        self.counts = plan.removable.iter().cloned().zip(plan.removable.iter().map(count)).collect();
    }
}
