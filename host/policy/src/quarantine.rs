//! A policy that fails again and again is left alone for a while. Time is an argument.

use std::time::{Duration, Instant};

/// Failures in a row that a policy may have.
pub const TOLERATED: u32 = 3;
/// The first rest. Each failed trial doubles it. No jitter: the same history gives the same rests.
pub const FIRST_REST: Duration = Duration::from_secs(10);
/// The longest rest.
pub const LONGEST_REST: Duration = Duration::from_secs(600);

/// Whether one generation of a policy may be asked at one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is asked. So many of its latest calls failed.
    Trusted { failures: u32 },
    /// It rests. `trial` says that it has been asked once since the rest before ended.
    Resting { until: Instant, rest: Duration, trial: bool },
}

// === impl Quarantine ===

impl Quarantine {
    /// A policy that nothing is known against.
    pub const fn new() -> Self {
        Self { state: State::Trusted { failures: 0 } }
    }

    /// Whether it may be asked now. At the end of a rest the first caller gets the trial; the rest begins anew, so
    /// that a trial which never ends keeps nobody waiting.
    pub fn admits(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::Trusted { .. } => true,
            State::Resting { until, .. } if now < *until => false,
            State::Resting { until, rest, trial } => {
                *until = now + *rest;
                *trial = true;
                true
            }
        }
    }

    /// It answered, or passed: whatever it did before is forgotten.
    pub fn succeeded(&mut self) {
        *self = Self::new();
    }

    /// It failed. The rest that this begins, if it begins one.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        let rest = match self.state {
            State::Trusted { failures } if failures + 1 < TOLERATED => {
                self.state = State::Trusted { failures: failures + 1 };
                return None;
            }
            State::Trusted { .. } => FIRST_REST,
            State::Resting { rest, trial: true, .. } => LONGEST_REST.min(rest * 2),
            // A call that began before the rest did: it says nothing new.
            State::Resting { trial: false, .. } => return None,
        };
        self.state = State::Resting { until: now + rest, rest, trial: false };
        Some(rest)
    }

    /// Whether its latest failures count against it.
    pub fn is_resting(&self) -> bool {
        matches!(self.state, State::Resting { .. })
    }

    /// How long it still rests; zero while a trial is due. `None` if it is trusted.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Trusted { .. } => None,
            State::Resting { until, .. } => Some(until.saturating_duration_since(now)),
        }
    }
}

impl Default for Quarantine {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, in order, and what is expected of it.
    enum Step {
        Fail(Option<u64>),
        Succeed,
        Wait(u64),
        Asked(bool),
    }
    use Step::{Asked, Fail, Succeed, Wait};

    fn check(steps: &[Step]) {
        let mut now = Instant::now();
        let mut quarantine = Quarantine::new();
        for (place, step) in steps.iter().enumerate() {
            match step {
                Fail(rest) => assert_eq!(quarantine.failed(now), rest.map(Duration::from_secs), "step {place}"),
                Succeed => quarantine.succeeded(),
                Wait(seconds) => now += Duration::from_secs(*seconds),
                Asked(expected) => assert_eq!(quarantine.admits(now), *expected, "step {place}"),
            }
        }
    }

    #[test]
    fn three_failures_in_a_row_begin_a_rest() {
        check(&[Asked(true), Fail(None), Asked(true), Fail(None), Asked(true), Fail(Some(10)), Asked(false)]);
        check(&[Fail(None), Fail(None), Fail(Some(10)), Wait(9), Asked(false), Wait(1), Asked(true)]);
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        check(&[Fail(None), Fail(None), Succeed, Fail(None), Fail(None), Asked(true), Fail(Some(10)), Asked(false)]);
    }

    #[test]
    fn there_is_one_trial_and_success_ends_the_rest() {
        let rest = [Fail(None), Fail(None), Fail(Some(10)), Wait(10), Asked(true), Asked(false), Asked(false)];
        check(&rest);
        let cleared = [Fail(None), Fail(None), Fail(Some(10)), Wait(10), Asked(true), Succeed, Asked(true), Fail(None)];
        check(&cleared);
    }

    #[test]
    fn a_trial_that_never_ends_is_followed_by_another() {
        check(&[Fail(None), Fail(None), Fail(Some(10)), Wait(10), Asked(true), Wait(9), Asked(false)]);
        check(&[Fail(None), Fail(None), Fail(Some(10)), Wait(10), Asked(true), Wait(10), Asked(true)]);
    }

    #[test]
    fn failed_trials_double_the_rest_up_to_ten_minutes() {
        let mut steps = vec![Fail(None), Fail(None), Fail(Some(10))];
        let mut last = 10;
        for rest in [20, 40, 80, 160, 320, 600, 600] {
            steps.extend([Wait(last - 1), Asked(false), Wait(1), Asked(true), Fail(Some(rest)), Asked(false)]);
            last = rest;
        }
        check(&steps);
    }

    #[test]
    fn late_failures_of_calls_in_flight_do_not_lengthen_a_rest() {
        check(&[Fail(None), Fail(None), Fail(Some(10)), Fail(None), Fail(None), Wait(10), Asked(true), Fail(Some(20))]);
    }

    #[test]
    fn remaining_counts_down_to_the_trial() {
        let now = Instant::now();
        let mut quarantine = Quarantine::new();
        assert_eq!(quarantine.remaining(now), None);
        let rests = [(); 3].map(|()| quarantine.failed(now));
        assert_eq!(rests, [None, None, Some(FIRST_REST)]);
        assert_eq!(quarantine.remaining(now + Duration::from_secs(4)), Some(Duration::from_secs(6)));
        assert_eq!(quarantine.remaining(now + Duration::from_secs(40)), Some(Duration::ZERO));
    }
}
