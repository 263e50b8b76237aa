//! How patient the ledger is.

use plimsoll_model::Millis;

/// Times that the ledger goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRules {
    /// A launched node that is not there is not reported before, however short its group's grace period.
    pub least_grace: Millis,
    /// When a launched node that is not there is given up, and its kind of node is not launched for a while.
    pub max_provision: Millis,
    /// How far the clocks of whoever decides and of the API server may be apart.
    pub skew: Millis,
    /// How long a kind of node is not launched after its first failure; twice as long after each further one.
    pub first_pause: Millis,
    /// The longest such pause.
    pub longest_pause: Millis,
    /// The first pause when a provider is asked too often.
    pub first_rate_pause: Millis,
    /// The longest of those.
    pub longest_rate_pause: Millis,
    /// After so long without a failure the first one counts as the first again.
    pub forget: Millis,
    /// The first pause before a call is made again that was not answered.
    pub first_retry: Millis,
    /// The longest of those.
    pub longest_retry: Millis,
    /// How long a launch stays in the ledger after all its nodes joined.
    pub keep_joined: Millis,
    /// How long one stays that failed or was given up: its nodes may still come.
    pub keep_lost: Millis,
}

impl Default for LedgerRules {
    /// Given up after 15 min; paused for 5 min, at most 30 min, forgotten after 3 h (cluster-autoscaler,
    /// `--max-node-provision-time` and the defaults of its back-off).
    fn default() -> Self {
        Self {
            least_grace: Millis::from_secs(60),
            max_provision: Millis::from_secs(15 * 60),
            skew: Millis::from_secs(10),
            first_pause: Millis::from_secs(5 * 60),
            longest_pause: Millis::from_secs(30 * 60),
            first_rate_pause: Millis::from_secs(30),
            longest_rate_pause: Millis::from_secs(5 * 60),
            forget: Millis::from_secs(3 * 3600),
            first_retry: Millis::from_secs(10),
            longest_retry: Millis::from_secs(120),
            keep_joined: Millis::from_secs(10 * 60),
            keep_lost: Millis::from_secs(3600),
        }
    }
}

/// `first` doubled for each failure after the first one, at most `longest`.
pub(super) fn doubled(first: Millis, failures: u32, longest: Millis) -> Millis {
    let factor = 1u64.checked_shl(failures.saturating_sub(1).min(40)).unwrap_or(u64::MAX);
    first.times(factor).min(longest)
}
