//! One pod that has to leave: its turn, its warm-up, and a retry clock of its own.

use std::sync::Arc;

use plimsoll_model::{Millis, Owner, Pod, Snapshot, Text, Timestamp, Uid, well_known};

use super::breaker::top_of;
use super::clock::{PATIENCE, jitter, minus, plus};
use super::{Drain, DrainRules, EvictionAnswer, PodRef, Warmup};
use crate::drain::Cause;

/// A pod that was accepted and is not on its way out after so long is asked for again.
const LOST: Millis = Millis(30_000);
/// The pause after an answer that no second try makes better.
const SLOW: Millis = Millis(60_000);
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Millis = Millis(300_000);
/// Conflicts in a row that are tried again at once.
const MOST_CONFLICTS: u32 = 5;
/// The least grace of a deletion: without any, the kubelet would not be waited for.
const LEAST_GRACE: Millis = Millis(1_000);

/// What is under way for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Evict,
    Delete,
    Replace,
}

/// How far its warm-up is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WarmStep {
    /// It has none, or none any more.
    Without,
    /// Its replacement was asked for, and nobody knows yet whether that was done.
    Asked(Warmup),
    /// Its ReplicaSet starts a replacement.
    Warming(Warmup),
}

/// What is known of a pod that has been seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub pod: PodRef,
    pub owner: Option<Arc<Owner>>,
    /// What controls its owner, or its owner.
    pub top: Option<Owner>,
    pub grace: Millis,
    pub deleting: bool,
    /// The value of its label `pod-template-hash`.
    pub hash: Option<Text>,
    /// It has the label that asks for a warm-up, whether or not it makes sense.
    pub labelled: bool,
}

/// One pod that has to leave.
#[derive(Clone, Debug)]
pub(super) struct Leaver {
    pub uid: Uid,
    pub after: Millis,
    pub warmup: Option<Millis>,
    /// It was not in the timetable.
    pub late: bool,
    /// As it was seen last.
    pub seen: Option<Seen>,
    /// It is on the node and has not finished.
    pub here: bool,
    /// Its turn has come.
    pub begun: bool,
    pub warm: WarmStep,
    /// A ready pod stands for it.
    pub replaced: bool,
    pub ready_told: bool,
    pub call: Option<(Timestamp, Ask)>,
    pub next_try: Timestamp,
    last_answer: Timestamp,
    pub first_refusal: Option<Timestamp>,
    pub conflicts: u32,
    pub tries: u32,
    pub accepted: Option<Timestamp>,
    /// An eviction or deletion was accepted at some time.
    pub left_by_us: bool,
    /// The budgets that covered it when it was asked for last.
    pub budgets: Vec<Text>,
    pub started_told: bool,
    pub cut_told: bool,
}

/// What an answer means for whoever tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    Evicted,
    Deleted { refused: Millis },
    Refused(String),
    Forbidden { permission: &'static str, said: String },
}

// === impl Seen ===

impl Seen {
    pub fn of(snapshot: &Snapshot, pod: &Pod) -> Self {
        Self {
            pod: PodRef { namespace: pod.namespace.clone(), name: (*pod.name).into(), uid: pod.uid.clone() },
            top: pod.owner.as_ref().map(|owner| top_of(snapshot, owner)),
            owner: pod.owner.clone(),
            grace: pod.grace,
            deleting: pod.deletion.is_some(),
            hash: pod.labels.get(well_known::POD_TEMPLATE_HASH).cloned(),
            labelled: pod.labels.get(well_known::PRE_EVICTION_WARMUP).is_some(),
        }
    }
}

// === impl Leaver ===

impl Leaver {
    pub fn new(uid: Uid, after: Millis, warmup: Option<Millis>, late: bool) -> Self {
        Self {
            uid,
            after,
            warmup,
            late,
            seen: None,
            here: false,
            begun: false,
            warm: WarmStep::Without,
            replaced: false,
            ready_told: false,
            call: None,
            next_try: Timestamp(0),
            last_answer: Timestamp(0),
            first_refusal: None,
            conflicts: 0,
            tries: 0,
            accepted: None,
            left_by_us: false,
            budgets: Vec::new(),
            started_told: false,
            cut_told: false,
        }
    }

    /// Notes the pod as it is now. What it carries of a warm-up outlives leaders.
    pub fn observe(&mut self, snapshot: &Snapshot, pod: &Pod, drain: &Drain) {
        let before = self.seen.take();
        let mut seen = Seen::of(snapshot, pod);
        if let Some(before) = before
            && seen.owner.is_none()
        {
            // Out of its ReplicaSet it has no owner any more; it is still its workload's pod.
            (seen.owner, seen.top) = (before.owner, before.top);
        }
        if let Some(text) = pod.annotations.get(well_known::WARMING_UP)
            && let Ok(warmup) = Warmup::read(text)
            && warmup.drain == drain.id
            && !matches!(self.warm, WarmStep::Warming(_))
            && !self.left_by_us
        {
            if seen.owner.is_none() {
                let owner = Owner {
                    kind: "ReplicaSet".into(),
                    api_version: "apps/v1".into(),
                    namespace: pod.namespace.clone(),
                    name: warmup.replica_set.clone(),
                    uid: Uid::parse(&warmup.replica_set_uid),
                };
                seen.top = Some(top_of(snapshot, &owner));
                seen.owner = Some(Arc::new(owner));
            }
            self.begun = true;
            self.warm = WarmStep::Warming(warmup);
        }
        self.here = true;
        self.seen = Some(seen);
    }

    /// It has not left, and nobody has it on its way out.
    pub fn stays(&self) -> bool {
        self.here && self.seen.as_ref().is_some_and(|seen| !seen.deleting)
    }

    /// It was taken out of its ReplicaSet: nobody but this drain ends it.
    pub fn orphaned(&self) -> bool {
        self.stays() && matches!(self.warm, WarmStep::Warming(_))
    }

    /// Its turn by the timetable.
    pub fn slot(&self, drain: &Drain) -> Timestamp {
        plus(drain.started, self.after)
    }

    /// When its warm-up is over, and whether that is the deadline's doing.
    pub fn warm_until(&self, drain: &Drain, rules: &DrainRules) -> Option<(Timestamp, bool)> {
        let (WarmStep::Asked(warmup) | WarmStep::Warming(warmup)) = &self.warm else { return None };
        let (own, last) = (plus(warmup.since, warmup.warmup), minus(drain.deadline, rules.warmup_guard));
        Some((own.min(last), last < own))
    }

    /// What its ReplicaSet needs to start a replacement for it, or why there can be none.
    pub fn warmup(&self, snapshot: &Snapshot, drain: &Drain, now: Timestamp) -> Result<Option<Warmup>, &'static str> {
        let Some(seen) = &self.seen else { return Ok(None) };
        let Some(warmup) = self.warmup else {
            if seen.labelled {
                return Err("its label is no length of time, or it belongs to no ReplicaSet");
            }
            return Ok(None);
        };
        let owner = seen.owner.as_ref().filter(|owner| owner.kind == *"ReplicaSet");
        let owner = owner.ok_or("it belongs to no ReplicaSet")?;
        let hash = seen.hash.clone().ok_or("it has no label pod-template-hash, so it is of no Deployment")?;
        // What wants no pods starts none.
        let idle = |owner: &Owner| {
            let workload = snapshot.workload(owner);
            workload.is_some_and(|workload| workload.deleting || workload.desired == Some(0))
        };
        if idle(owner) || seen.top.as_ref().is_some_and(idle) {
            return Err("its workload wants no more pods");
        }
        Ok(Some(Warmup {
            drain: drain.id.clone(),
            replica_set: owner.name.clone(),
            replica_set_uid: owner.uid.to_string(),
            hash,
            since: now,
            warmup,
        }))
    }

    /// When it is deleted whatever its budget says.
    pub fn force_at(&self, rules: &DrainRules) -> Option<Timestamp> {
        Some(plus(self.first_refusal?, rules.force_delete_after?))
    }

    /// When it is asked for again; `may_delete`: pods may be deleted.
    pub fn ask_at(&self, rules: &DrainRules, may_delete: bool) -> Timestamp {
        let forced = self.force_at(rules).filter(|_| may_delete);
        match forced {
            // A deletion that failed has its own pause.
            Some(at) if self.next_try > at && self.last_answer < at => at,
            _ => self.next_try,
        }
    }

    /// The grace of an eviction: cut only where the machine goes at a moment of its own.
    pub fn eviction_grace(&self, drain: &Drain, now: Timestamp) -> Option<Millis> {
        let left = drain.deadline.since(now).max(LEAST_GRACE);
        let own = self.seen.as_ref()?.grace;
        (drain.cause == Cause::Interruption && left < own).then_some(left)
    }

    /// The grace of a deletion: its own, cut to the time that is left.
    pub fn deletion_grace(&self, drain: &Drain, now: Timestamp) -> Millis {
        let own = self.seen.as_ref().map_or(LEAST_GRACE, |seen| seen.grace);
        if now >= drain.deadline { own.max(LEAST_GRACE) } else { own.min(drain.deadline.since(now)).max(LEAST_GRACE) }
    }

    /// True if an answer was waited for in vain, or an accepted eviction did not happen: both are made again.
    pub fn forget_lost(&mut self, now: Timestamp) {
        if self.call.is_some_and(|(sent, _)| now >= plus(sent, PATIENCE)) {
            self.call = None;
            self.next_try = now;
        }
        if self.stays() && self.accepted.is_some_and(|accepted| now >= plus(accepted, LOST)) {
            self.accepted = None;
            self.next_try = now;
        }
    }

    /// Notes what came of an eviction or a deletion.
    pub fn answered(&mut self, ask: Ask, answer: EvictionAnswer, rules: &DrainRules, now: Timestamp) -> Heard {
        if self.call.is_some_and(|(_, sent)| sent == ask) {
            self.call = None;
        }
        self.tries = self.tries.saturating_add(1);
        self.last_answer = now;
        let conflicts = std::mem::take(&mut self.conflicts);
        match answer {
            EvictionAnswer::Accepted => {
                self.accepted = Some(now);
                let first = !std::mem::replace(&mut self.left_by_us, true);
                match ask {
                    Ask::Delete => {
                        Heard::Deleted { refused: self.first_refusal.map_or(Millis(0), |first| now.since(first)) }
                    }
                    _ if first => Heard::Evicted,
                    _ => Heard::Nothing,
                }
            }
            EvictionAnswer::Gone => {
                self.accepted = Some(now);
                Heard::Nothing
            }
            EvictionAnswer::Conflict => {
                self.conflicts = conflicts + 1;
                if self.conflicts > MOST_CONFLICTS {
                    self.conflicts = 0;
                    self.pause(rules, None, now);
                } else {
                    self.next_try = now;
                }
                Heard::Nothing
            }
            EvictionAnswer::Budget { message, retry_after } => self.refused(message, retry_after, rules, now),
            EvictionAnswer::SeveralBudgets(said) | EvictionAnswer::Invalid(said) => {
                self.refused(said, None, rules, now)
            }
            EvictionAnswer::TooMany { retry_after } => {
                self.pause(rules, retry_after, now);
                Heard::Nothing
            }
            EvictionAnswer::Unknown(_) => {
                self.pause(rules, None, now);
                Heard::Nothing
            }
            EvictionAnswer::NamespaceTerminating => {
                self.next_try = plus(now, LOST);
                Heard::Nothing
            }
            EvictionAnswer::Forbidden(said) => {
                self.next_try = plus(now, SLOW);
                let permission = if ask == Ask::Delete { "delete pods" } else { "create pods/eviction" };
                Heard::Forbidden { permission, said }
            }
        }
    }

    fn refused(&mut self, said: String, after: Option<Millis>, rules: &DrainRules, now: Timestamp) -> Heard {
        let first = self.first_refusal.is_none();
        self.first_refusal.get_or_insert(now);
        self.pause(rules, after, now);
        if first { Heard::Refused(said) } else { Heard::Nothing }
    }

    /// Nothing is asked for until the interval is over, or what the server says.
    pub fn pause(&mut self, rules: &DrainRules, after: Option<Millis>, now: Timestamp) {
        let pause = after.unwrap_or_default().min(LONGEST_PAUSE).max(rules.retry_interval);
        self.next_try = plus(now, pause + jitter(&self.uid, self.tries, rules.retry_interval));
    }

    /// When something about it happens by itself, once its turn has come.
    pub fn next(&self, drain: &Drain, rules: &DrainRules, may_delete: bool) -> Option<Timestamp> {
        if !self.stays() {
            return None;
        }
        if let Some((sent, _)) = self.call {
            return Some(plus(sent, PATIENCE));
        }
        if let Some(accepted) = self.accepted {
            return Some(plus(accepted, LOST));
        }
        let ask = self.ask_at(rules, may_delete);
        match (&self.warm, self.warm_until(drain, rules)) {
            (WarmStep::Warming(_), Some((until, _))) => Some(ask.max(until)),
            (WarmStep::Asked(_), Some((until, _))) => Some(ask.min(until)),
            _ => Some(ask),
        }
    }
}
