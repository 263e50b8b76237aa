//! The windows in which optimisation may do more than usual.

use plimsoll_model::Timestamp;

use super::AHEAD;
use super::cron::{CronWindow, Effect};
use super::zone::{millis, timestamp};

/// The windows in which protections yield to optimisation (`ocean-features` D12).
#[derive(Clone, Debug, Default)]
pub struct OptimizationWindows {
    windows: Vec<CronWindow>,
}

/// What yields at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Disruption budgets do.
    pub ignore_budgets: bool,
    /// The label that keeps a node does.
    pub ignore_restrict: bool,
    /// The first moment at which not all of this holds any more; `None` if nothing yields, or no end is in sight.
    pub until: Option<Timestamp>,
}

/// How many openings in a row are followed: every half hour for as far ahead as is looked.
const MOST_OPENINGS: usize = 19_200;

// === impl OptimizationWindows ===

impl OptimizationWindows {
    /// These windows.
    pub fn new(windows: Vec<CronWindow>) -> Self {
        Self { windows }
    }

    /// The windows.
    pub fn windows(&self) -> &[CronWindow] {
        &self.windows
    }

    /// What yields at a moment, and until when.
    pub fn effects(&self, now: Timestamp) -> Effects {
        let now = millis(now);
        let (budgets, restrict) = (self.open(Effect::IgnorePdb, now), self.open(Effect::IgnoreRestrictScaleDown, now));
        let ends = [budgets, restrict].into_iter().filter_map(|open| match open {
            Open::Until(end) => Some(end),
            Open::No | Open::Always => None,
        });
        Effects {
            ignore_budgets: budgets != Open::No,
            ignore_restrict: restrict != Open::No,
            until: ends.min().map(timestamp),
        }
    }

    /// How long windows with this effect are open without a gap.
    fn open(&self, effect: Effect, now: i64) -> Open {
        let with_effect = || self.windows.iter().filter(|window| window.effects().contains(&effect));
        let mut end = now;
        for _ in 0..MOST_OPENINGS {
            match with_effect().filter_map(|window| window.open_until(end)).max() {
                None if end == now => return Open::No,
                None => return Open::Until(end),
                Some(later) if later - now > AHEAD => return Open::Always,
                Some(later) => end = later,
            }
        }
        Open::Always
    }
}

/// Whether an effect holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    No,
    Until(i64),
    Always,
}
