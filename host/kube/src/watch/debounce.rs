//! When changes are enough to be looked at. Time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Waits until changes pause, but not for ever.
#[derive(Debug)]
pub(super) struct Debounce {
    times: DebounceTimes,
    /// The first change that nobody has looked at.
    first: Option<Instant>,
    last: Option<Instant>,
    /// The first that somebody waits for.
    urgent: Option<Instant>,
}

/// How long changes are collected before anybody looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebounceTimes {
    /// Until nothing has changed for so long.
    pub quiet: Duration,
    /// But no longer than so after the first change.
    pub at_most: Duration,
    /// And no longer than so after a signing request, for which a kubelet waits.
    pub urgent: Duration,
}

impl Default for DebounceTimes {
    fn default() -> Self {
        Self { quiet: Duration::from_secs(1), at_most: Duration::from_secs(10), urgent: Duration::from_millis(200) }
    }
}

// === impl Debounce ===

impl Debounce {
    pub(super) fn new(times: DebounceTimes) -> Self {
        Self { times, first: None, last: None, urgent: None }
    }

    /// Something has changed.
    pub(super) fn changed(&mut self, now: Instant, urgent: bool) {
        self.first.get_or_insert(now);
        self.last = Some(now);
        if urgent {
            self.urgent.get_or_insert(now);
        }
    }

    /// When it is time to look; `None` if nothing has changed.
    pub(super) fn due(&self) -> Option<Instant> {
        let normal = (self.last? + self.times.quiet).min(self.first? + self.times.at_most);
        Some(self.urgent.map_or(normal, |urgent| normal.min(urgent + self.times.urgent)))
    }

    /// Somebody has looked.
    pub(super) fn looked(&mut self) {
        (self.first, self.last, self.urgent) = (None, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_looked_at_when_they_pause() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        for (changes, due) in [
            (&[][..], None),
            (&[(0, false)], Some(1000)),
            (&[(0, false), (900, false)], Some(1900)),
            (&[(0, false), (9500, false)], Some(10_000)),
            (&[(0, false), (500, true), (600, true)], Some(700)),
            (&[(0, false), (900, true)], Some(1100)),
            (&[(0, false), (9950, true)], Some(10_000)),
        ] {
            let mut debounce = Debounce::new(DebounceTimes::default());
            for &(millis, urgent) in changes {
                debounce.changed(at(millis), urgent);
            }
            assert_eq!(debounce.due(), due.map(at), "{changes:?}");
            debounce.looked();
            assert_eq!(debounce.due(), None);
        }
    }
}
