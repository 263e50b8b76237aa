//! How long a leader leads.

use std::time::Duration;

/// The longest lease that is accepted, ours or another's: a typing error must not keep everybody waiting for a day.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
/// How far two clocks may differ in speed: a renewed leadership ends this much sooner than others may take over.
const MARGIN: (u32, u32) = (10, 11);

/// The times of an election. The defaults and their meaning are those of client-go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Others take over when the lease has not changed for this long. Whole seconds, since the lease says it.
    pub lease: Duration,
    /// A leader that has not renewed for this long stops.
    pub renew_deadline: Duration,
    /// Renewed and looked at this often.
    pub retry: Duration,
}

/// Why such times cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseTimesError {
    /// The lease object says whole seconds.
    #[error("the lease duration is {0:?}; it must be whole seconds from 1 to {max}", max = LONGEST.as_secs())]
    Lease(Duration),
    /// Two would lead at one time.
    #[error(
        "the renew deadline is {renew:?} with a lease duration of {lease:?}; it must be shorter by a tenth at least, \
         so that a leader has stopped before another begins"
    )]
    Renew {
        /// The renew deadline.
        renew: Duration,
        /// The lease duration.
        lease: Duration,
    },
    /// One missed answer would end a leadership.
    #[error(
        "the retry period is {retry:?} with a renew deadline of {renew:?}; it must be above zero, and the deadline \
         must hold two of them at least"
    )]
    Retry {
        /// The retry period.
        retry: Duration,
        /// The renew deadline.
        renew: Duration,
    },
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { lease: Duration::from_secs(15), renew_deadline: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

impl LeaseTimes {
    /// An error if no election can be held with them.
    pub fn check(&self) -> Result<(), LeaseTimesError> {
        let Self { lease, renew_deadline: renew, retry } = *self;
        if lease.subsec_nanos() != 0 || lease.is_zero() || lease > LONGEST {
            return Err(LeaseTimesError::Lease(lease));
        }
        if renew > lease * MARGIN.0 / MARGIN.1 {
            return Err(LeaseTimesError::Renew { renew, lease });
        }
        if retry.is_zero() || retry * 2 > renew {
            return Err(LeaseTimesError::Retry { retry, renew });
        }
        Ok(())
    }

    /// The longest that one call for the lease may take: one that hangs leaves time for another.
    pub(super) fn call(&self) -> Duration {
        (self.renew_deadline / 2).max(self.retry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_which_two_could_lead_are_refused() {
        let times = |lease: u64, renew: u64, retry: u64| LeaseTimes {
            lease: Duration::from_millis(lease),
            renew_deadline: Duration::from_millis(renew),
            retry: Duration::from_millis(retry),
        };
        assert_eq!(LeaseTimes::default().check(), Ok(()));
        assert_eq!(times(2_000, 1_500, 200).check(), Ok(()));
        for (wrong, said) in [
            (times(0, 0, 0), "whole seconds"),
            (times(1_500, 1_000, 200), "whole seconds"),
            (times(400_000, 1_000, 200), "from 1 to 300"),
            (times(15_000, 15_000, 2_000), "renew deadline is 15s"),
            (times(15_000, 14_000, 2_000), "renew deadline is 14s"),
            (times(15_000, 10_000, 0), "retry period is 0ns"),
            (times(15_000, 10_000, 6_000), "retry period is 6s"),
        ] {
            let error = wrong.check().expect_err("must be refused").to_string();
            assert!(error.contains(said), "{wrong:?}: {error}");
        }
    }
}
