//! The hours in which nothing is removed to save.

use plimsoll_model::Timestamp;

use super::AHEAD;
use super::weekly::{WeekCover, WeeklyWindow};
use super::zone::{millis, timestamp};

/// The hours in which no node is removed to save, an empty one neither. Scale-up, interruptions, unhealthy nodes and
/// what a user asks for go on, and drains that run are finished (`ocean-features` C18, 4.13).
///
/// Windows that overlap or touch are one.
#[derive(Clone, Debug, Default)]
pub struct SuspensionHours {
    windows: Vec<WeeklyWindow>,
    covers: Vec<WeekCover>,
}

/// Whether optimisation rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspended {
    /// It does not.
    No,
    /// It does, until this moment, the first that is outside.
    Until(Timestamp),
    /// It does, and no end is in sight: the windows cover the whole week.
    Always,
}

// === impl SuspensionHours ===

impl SuspensionHours {
    /// The hours of these windows together.
    pub fn new(windows: Vec<WeeklyWindow>) -> Self {
        let mut covers: Vec<WeekCover> = Vec::new();
        for window in &windows {
            if !covers.iter().any(|cover| cover.zone == *window.zone()) {
                let same = windows.iter().filter(|other| other.zone() == window.zone());
                covers.push(WeekCover::of(window.zone(), same));
            }
        }
        Self { windows, covers }
    }

    /// The windows, as they were given.
    pub fn windows(&self) -> &[WeeklyWindow] {
        &self.windows
    }

    /// True if no minute of any week is left.
    pub fn cover_the_week(&self) -> bool {
        self.covers.iter().any(WeekCover::is_whole)
    }

    /// Whether optimisation rests at a moment, and until when.
    pub fn at(&self, now: Timestamp) -> Suspended {
        let start = millis(now);
        let mut at = start;
        while let Some(cover) = self.covers.iter().find(|cover| cover.contains(at)) {
            match cover.next_flip(at) {
                Some(end) if end - start <= AHEAD => at = end,
                _ => return Suspended::Always,
            }
        }
        if at == start { Suspended::No } else { Suspended::Until(timestamp(at)) }
    }

    /// When optimisation next begins or ends to rest; `None` if it never does.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        match self.at(now) {
            Suspended::Until(end) => Some(end),
            Suspended::Always => None,
            Suspended::No => {
                let starts = self.covers.iter().filter_map(|cover| cover.next_flip(millis(now)));
                starts.min().map(timestamp)
            }
        }
    }
}

// === impl Suspended ===

impl Suspended {
    /// True if optimisation rests.
    pub fn is_suspended(self) -> bool {
        self != Self::No
    }
}
