//! What answers change.

use plimsoll_model::{Millis, Timestamp, Uid};

use super::breaker::Breaker;
use super::leaver::{Ask, Heard, WarmStep};
use super::leaving::Leaving;
use super::news::{DrainChange, DrainNews};
use super::{DrainAnswer, DrainRules, EvictionAnswer, RemovalMark, WriteAnswer};
use crate::drain::RemovalOutcome;
use crate::launch::LaunchFailure;

/// The pause after an answer that no second try makes better.
const SLOW: Millis = Millis(60_000);

// === impl Leaving ===

impl Leaving {
    /// Notes what came of an action.
    pub fn hear(
        &mut self,
        answer: DrainAnswer,
        rules: &DrainRules,
        breaker: &mut Breaker,
        now: Timestamp,
    ) -> Vec<DrainNews> {
        match answer {
            DrainAnswer::Marked(answer) => self.hear_mark(answer, now),
            DrainAnswer::Released(answer) => self.hear_release(answer, now),
            DrainAnswer::Evicted(pod, answer) => self.hear_eviction(&pod, Ask::Evict, answer, rules, breaker, now),
            DrainAnswer::Deleted(pod, answer) => self.hear_eviction(&pod, Ask::Delete, answer, rules, breaker, now),
            DrainAnswer::ReplacementStarted(pod, answer) => self.hear_replacement(&pod, answer, rules, now),
            DrainAnswer::Measured(answer) => {
                if self.removing.measure.sent.is_none() {
                    return Vec::new();
                }
                match answer {
                    _ if self.release.is_some() => self.removing.measure.done(),
                    Ok(baseline) => {
                        self.removing.measure.done();
                        self.removing.again = false;
                        let since = self.drain.removal.as_ref().map_or(now, |mark| mark.since);
                        self.drain.removal = Some(RemovalMark { since, baseline });
                    }
                    Err(said) => {
                        let first = self.removing.measure.failures == 0;
                        let retry = self.removing.measure.again(now, Millis::from_secs(10), Millis::from_secs(600));
                        let failure = LaunchFailure::Other(said.to_string());
                        if first {
                            return vec![self.news(DrainChange::RemovalFailed { failure, retry })];
                        }
                    }
                }
                Vec::new()
            }
            DrainAnswer::Removed(outcome) => self.hear_removal(outcome, now),
            DrainAnswer::NodeDeleted(answer) => {
                let call = &mut self.removing.delete_node;
                match answer {
                    _ if call.sent.is_none() => {}
                    // It may have finalizers: the Node decides when it is gone.
                    WriteAnswer::Done | WriteAnswer::Gone => {
                        call.done();
                        call.again(now, SLOW, SLOW);
                        call.failures = 0;
                    }
                    WriteAnswer::Unknown(_) => {
                        call.again(now, Millis::from_secs(5), SLOW);
                    }
                    WriteAnswer::Otherwise(_) => {
                        call.again(now, SLOW.times(5), SLOW.times(5));
                    }
                    WriteAnswer::Forbidden(said) => {
                        call.again(now, SLOW.times(5), SLOW.times(5));
                        return self.forbidden("delete nodes", said).into_iter().collect();
                    }
                }
                Vec::new()
            }
        }
    }

    fn hear_mark(&mut self, answer: WriteAnswer, now: Timestamp) -> Vec<DrainNews> {
        let under_way = self.mark.writing.is_some();
        let Some(wrote) = self.mark.answered() else { return Vec::new() };
        match answer {
            WriteAnswer::Done => {
                self.mark.perhaps = true;
                if under_way {
                    self.mark.call.done();
                } else if wrote != self.drain {
                    // Nobody knows what was written after it.
                    return Vec::new();
                }
                if self.mark.written.replace(wrote).is_none() && self.release.is_none() {
                    return vec![self.news(DrainChange::Started {
                        cause: self.drain.cause,
                        reason: self.drain.reason.clone(),
                        pods: self.drain.slots.len(),
                        within: self.drain.deadline.since(self.drain.started),
                    })];
                }
            }
            WriteAnswer::Unknown(_) => {
                self.mark.perhaps = true;
                self.mark.call.again(now, Millis::from_secs(1), Millis::from_secs(10));
            }
            WriteAnswer::Forbidden(said) => {
                self.mark.call.again(now, SLOW, SLOW);
                return self.forbidden("patch nodes", said).into_iter().collect();
            }
            // The snapshot will show it.
            WriteAnswer::Gone if self.mark.begun() => {
                self.mark.call.again(now, Millis::from_secs(5), SLOW);
            }
            WriteAnswer::Gone => {
                self.ended = true;
                return vec![self.news(DrainChange::Cancelled { why: "there is no such node any more".to_owned() })];
            }
            WriteAnswer::Otherwise(why) => {
                self.ended = true;
                return vec![self.news(DrainChange::Cancelled { why })];
            }
        }
        Vec::new()
    }

    fn hear_release(&mut self, answer: WriteAnswer, now: Timestamp) -> Vec<DrainNews> {
        let Some(release) = &mut self.release else { return Vec::new() };
        match answer {
            WriteAnswer::Done | WriteAnswer::Gone => {
                let why = release.why.clone();
                self.ended = true;
                vec![self.news(DrainChange::Cancelled { why })]
            }
            WriteAnswer::Otherwise(why) => {
                self.ended = true;
                vec![self.news(DrainChange::Cancelled { why })]
            }
            WriteAnswer::Forbidden(said) => {
                release.call.again(now, SLOW, SLOW);
                self.forbidden("patch nodes", said).into_iter().collect()
            }
            WriteAnswer::Unknown(_) => {
                release.call.again(now, Millis::from_secs(5), SLOW);
                Vec::new()
            }
        }
    }

    fn hear_eviction(
        &mut self,
        pod: &Uid,
        ask: Ask,
        answer: EvictionAnswer,
        rules: &DrainRules,
        breaker: &mut Breaker,
        now: Timestamp,
    ) -> Vec<DrainNews> {
        let Some(leaver) = self.leavers.iter_mut().find(|leaver| leaver.uid == *pod) else { return Vec::new() };
        let heard = leaver.answered(ask, answer, rules, now);
        if matches!(heard, Heard::Evicted | Heard::Deleted { .. })
            && let Some(seen) = &leaver.seen
            && let (Some(owner), Some(top)) = (&seen.owner, &seen.top)
        {
            breaker.evicted((**owner).clone(), top.clone(), now);
        }
        let pod = leaver.seen.as_ref().map(|seen| seen.pod.clone());
        let change = match heard {
            Heard::Nothing => return Vec::new(),
            Heard::Evicted => DrainChange::Evicted,
            Heard::Deleted { refused } => DrainChange::ForceDeleted { refused },
            Heard::Refused(said) => {
                let budgets = leaver.budgets.clone();
                DrainChange::Refused { budgets, said, force: rules.force_delete_after }
            }
            Heard::Forbidden { permission, said } => return self.forbidden(permission, said).into_iter().collect(),
        };
        vec![self.pod_news(pod, change)]
    }

    fn hear_replacement(
        &mut self,
        pod: &Uid,
        answer: WriteAnswer,
        rules: &DrainRules,
        now: Timestamp,
    ) -> Vec<DrainNews> {
        let Some(leaver) = self.leavers.iter_mut().find(|leaver| leaver.uid == *pod) else { return Vec::new() };
        if leaver.call.is_some_and(|(_, ask)| ask == Ask::Replace) {
            leaver.call = None;
        }
        let pod = leaver.seen.as_ref().map(|seen| seen.pod.clone());
        let (WarmStep::Asked(warmup) | WarmStep::Warming(warmup)) = &leaver.warm else { return Vec::new() };
        match answer {
            WriteAnswer::Done => {
                let length = warmup.warmup;
                leaver.warm = WarmStep::Warming(warmup.clone());
                if std::mem::replace(&mut leaver.started_told, true) {
                    return Vec::new();
                }
                vec![self.pod_news(pod, DrainChange::WarmupStarted { warmup: length })]
            }
            // The annotation has been seen on it: whatever the answer says, it was done.
            _ if matches!(leaver.warm, WarmStep::Warming(_)) => Vec::new(),
            WriteAnswer::Gone => {
                leaver.warm = WarmStep::Without;
                leaver.accepted = Some(now);
                Vec::new()
            }
            WriteAnswer::Unknown(_) => {
                leaver.pause(rules, None, now);
                Vec::new()
            }
            WriteAnswer::Otherwise(why) => {
                leaver.warm = WarmStep::Without;
                leaver.next_try = now;
                vec![self.pod_news(pod, DrainChange::WarmupUnsupported { why })]
            }
            WriteAnswer::Forbidden(said) => {
                leaver.warm = WarmStep::Without;
                leaver.next_try = now;
                let why = "the permission to patch pods is missing".to_owned();
                let unsupported = self.pod_news(pod, DrainChange::WarmupUnsupported { why });
                self.forbidden("patch pods", said).into_iter().chain([unsupported]).collect()
            }
        }
    }

    fn hear_removal(&mut self, outcome: RemovalOutcome, now: Timestamp) -> Vec<DrainNews> {
        let removing = &mut self.removing;
        // What was taken is not undone by an answer to an earlier call.
        if self.drain.removal.is_none() || removing.accepted.is_some() {
            return Vec::new();
        }
        match outcome {
            RemovalOutcome::Accepted => {
                removing.remove.done();
                removing.accepted = Some(now);
            }
            RemovalOutcome::Gone => {
                removing.remove.done();
                removing.accepted = Some(now);
                removing.gone = Some(now);
            }
            RemovalOutcome::Unknown(_) => {
                removing.remove.again(now, Millis::from_secs(10), Millis::from_secs(120));
            }
            RemovalOutcome::Failed(failure) => {
                let retry = removing.remove.again(now, SLOW, SLOW.times(10));
                removing.measure.not_before = removing.remove.not_before;
                removing.again = true;
                return vec![self.news(DrainChange::RemovalFailed { failure, retry })];
            }
        }
        Vec::new()
    }
}
