//! Kinds of nodes that failed and are left alone for a while.

use plimsoll_model::{Timestamp, one_line};

use super::rules::doubled;
use super::{LaunchFailure, LedgerRules, NodeKind};
use crate::scale_up::LaunchBlock;

/// Characters that are kept of what a provider said.
const LONGEST: usize = 300;
/// Kinds that are remembered.
const MOST: usize = 1000;

/// What failed lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoffs(pub Vec<Backoff>);

/// A block, with what is needed to lengthen the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    pub block: LaunchBlock,
    /// Failures since the last success, those during a pause not counted.
    pub failures: u32,
    /// The last one.
    pub last: Timestamp,
    /// It is about calls, and over as soon as one is accepted.
    pub calls: bool,
}

/// What is left alone after a failure: what is not named stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// This kind only.
    Kind,
    /// The instance type, bought this way, in every zone.
    Type,
    /// The whole group: calls are refused, whatever they ask for.
    Calls { often: bool },
}

// === impl Scope ===

impl Scope {
    pub fn of(failure: &LaunchFailure) -> Self {
        match failure {
            LaunchFailure::NoCapacity(_) | LaunchFailure::Other(_) => Self::Kind,
            LaunchFailure::Quota(_) => Self::Type,
            LaunchFailure::RateLimited(_) => Self::Calls { often: true },
            LaunchFailure::GroupFull(_) | LaunchFailure::Unauthorized(_) | LaunchFailure::Invalid(_) => {
                Self::Calls { often: false }
            }
        }
    }
}

// === impl Backoffs ===

impl Backoffs {
    /// Notes a failure. Gives when the next try may be; failures while the pause lasts do not lengthen the next one.
    pub fn fail(
        &mut self,
        rules: &LedgerRules,
        kind: &NodeKind,
        scope: Scope,
        why: &str,
        now: Timestamp,
    ) -> LaunchBlock {
        let wide = matches!(scope, Scope::Calls { .. });
        let (first, longest) = match scope {
            Scope::Calls { often: true } => (rules.first_rate_pause, rules.longest_rate_pause),
            _ => (rules.first_pause, rules.longest_pause),
        };
        let block = LaunchBlock {
            group: kind.group.clone(),
            instance_type: (!wide).then(|| kind.instance_type.clone()),
            zone: (scope == Scope::Kind).then(|| kind.zone.clone()),
            lifecycle: (!wide).then_some(kind.lifecycle),
            until: now,
            why: one_line(why, LONGEST).into_owned(),
        };
        let same = |known: &&mut Backoff| {
            let known = &known.block;
            known.group == block.group
                && known.instance_type == block.instance_type
                && known.zone == block.zone
                && known.lifecycle == block.lifecycle
        };
        let after = |pause: plimsoll_model::Millis| Timestamp(now.0.saturating_add(pause.0));
        match self.0.iter_mut().find(same) {
            Some(known) => {
                if now.since(known.last) >= rules.forget {
                    known.failures = 0;
                }
                if known.block.until <= now {
                    known.failures = known.failures.saturating_add(1);
                    known.block.until = after(doubled(first, known.failures, longest));
                } else {
                    known.block.until = known.block.until.max(after(first));
                }
                known.block.why = block.why;
                (known.last, known.calls) = (now, wide);
                known.block.clone()
            }
            None => {
                if self.0.len() >= MOST
                    && let Some(oldest) = (0..self.0.len()).min_by_key(|&at| (self.0[at].block.until, self.0[at].last))
                {
                    self.0.remove(oldest);
                }
                let block = LaunchBlock { until: after(first), ..block };
                self.0.push(Backoff { block: block.clone(), failures: 1, last: now, calls: wide });
                block
            }
        }
    }

    /// A node of this kind joined: what was held against it is forgotten.
    pub fn joined(&mut self, kind: &NodeKind) {
        self.0.retain(|known| !kind.covered_by(&known.block));
    }

    /// A call for this group was accepted: calls are no longer refused.
    pub fn accepted(&mut self, group: &str) {
        self.0.retain(|known| !(known.calls && known.block.group == *group));
    }

    /// Forgets what is long ago.
    pub fn forget(&mut self, rules: &LedgerRules, now: Timestamp) {
        self.0.retain(|known| known.block.until > now || now.since(known.last) < rules.forget);
    }

    /// What may not be launched now.
    pub fn blocks(&self, now: Timestamp) -> impl Iterator<Item = &LaunchBlock> {
        self.0.iter().map(|known| &known.block).filter(move |block| block.until > now)
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::Lifecycle;

    use super::*;

    fn kind(instance_type: &str, zone: &str) -> NodeKind {
        NodeKind {
            group: "g".into(),
            instance_type: instance_type.into(),
            zone: zone.into(),
            lifecycle: Lifecycle::Spot,
        }
    }

    const MINUTE: u64 = 60_000;

    #[test]
    fn each_failure_doubles_the_pause_up_to_half_an_hour() {
        let (rules, mut known) = (LedgerRules::default(), Backoffs::default());
        let mut now = Timestamp(0);
        for minutes in [5, 10, 20, 30, 30] {
            let until = known.fail(&rules, &kind("m5", "a"), Scope::Kind, "no", now).until;
            assert_eq!(until.since(now).0 / MINUTE, minutes);
            let again = known.fail(&rules, &kind("m5", "a"), Scope::Kind, "no", Timestamp(now.0 + 1000)).until;
            assert_eq!(again.max(until), again);
            assert!(again.since(now).0 <= minutes * MINUTE + 1000, "a failure during the pause counts for nothing");
            now = again;
        }
        now.0 += 180 * MINUTE;
        assert_eq!(known.fail(&rules, &kind("m5", "a"), Scope::Kind, "no", now).until.since(now).0, 5 * MINUTE);
        now.0 += 5 * MINUTE;
        known.joined(&kind("m5", "b"));
        assert_eq!(known.fail(&rules, &kind("m5", "a"), Scope::Kind, "no", now).until.since(now).0, 10 * MINUTE);
        now.0 += 10 * MINUTE;
        known.joined(&kind("m5", "a"));
        assert_eq!(known.fail(&rules, &kind("m5", "a"), Scope::Kind, "no", now).until.since(now).0, 5 * MINUTE);
    }

    #[test]
    fn a_failure_blocks_what_it_is_about() {
        let rules = LedgerRules::default();
        let other = NodeKind { lifecycle: Lifecycle::OnDemand, ..kind("m5", "a") };
        let said = String::new;
        for (failure, blocked, seconds) in [
            (LaunchFailure::NoCapacity(said()), [true, false, false, false], 300),
            (LaunchFailure::Other(said()), [true, false, false, false], 300),
            (LaunchFailure::Quota(said()), [true, true, false, false], 300),
            (LaunchFailure::GroupFull(said()), [true; 4], 300),
            (LaunchFailure::Invalid(said()), [true; 4], 300),
            (LaunchFailure::Unauthorized(said()), [true; 4], 300),
            (LaunchFailure::RateLimited(said()), [true; 4], 30),
        ] {
            let mut known = Backoffs::default();
            let block = known.fail(&rules, &kind("m5", "a"), Scope::of(&failure), "no", Timestamp(7));
            let found = [kind("m5", "a"), kind("m5", "b"), kind("r5", "a"), other.clone()];
            assert_eq!(found.map(|kind| kind.covered_by(&block)), blocked, "{failure}");
            assert_eq!(block.until, Timestamp(7 + seconds * 1000), "{failure}");
            known.accepted("g");
            assert_eq!(known.0.is_empty(), blocked[3], "an accepted call ends what was about calls: {failure}");
            known.forget(&rules, Timestamp(rules.forget.0 + 6));
            assert_eq!(known.0.is_empty(), blocked[3], "{failure}");
            known.forget(&rules, Timestamp(rules.forget.0 + 7));
            assert!(known.0.is_empty());
        }
    }
}
