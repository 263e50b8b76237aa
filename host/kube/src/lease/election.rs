//! Who leads, as far as one candidate can tell: pure, with time as an argument.
//!
//! The rules are those of client-go's leader election. What the lease says about time is never compared with a clock
//! here: a lease is out of date when its resource version has been seen unchanged for its duration, on the monotonic
//! clock of whoever looks.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::record::{Entry, Record, micro_time};
use super::times::LeaseTimes;
use crate::api::{ObjectName, Term};

/// One candidate.
#[derive(Debug)]
pub(super) struct Election {
    name: ObjectName,
    identity: String,
    times: LeaseTimes,
    /// The lease as it was last seen, and since when it has been so.
    seen: Option<Seen>,
    /// The lease that it led with was deleted.
    lost: bool,
    /// The leadership that this candidate has, had, or asked for without hearing the answer.
    claim: Option<Claim>,
    /// When to act next.
    next: Option<Instant>,
    /// What `next` waits for is only a look, whatever else is known.
    look: bool,
    /// The highest number seen, in case that the lease is deleted.
    highest: u64,
    /// The last `renewTime` written: each is later, so that each write changes something.
    renewed: Timestamp,
}

#[derive(Debug)]
struct Seen {
    record: Record,
    since: Instant,
}

/// One leadership: together these fields are never another's.
#[derive(Clone, Debug)]
struct Claim {
    number: u64,
    acquired: String,
    /// When the request of the last good write began; `None` until the first is answered.
    good: Option<Instant>,
    /// It began with the creation of the lease.
    created: bool,
    /// Before this a write does not make a leader; for a lease that was created.
    settles: Option<Instant>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing before that moment.
    Wait(Instant),
    /// Read the lease.
    Look,
    /// Create it.
    Create(Value),
    /// Replace it.
    Replace(Value),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The lease as the API server has it.
    Is(Value),
    /// There is none.
    Absent,
    /// Somebody else wrote meanwhile.
    Overtaken,
    /// Nothing is known.
    Unknown,
}

// === impl Election ===

impl Election {
    pub fn new(name: ObjectName, identity: String, times: LeaseTimes) -> Self {
        Self {
            name,
            identity,
            times,
            seen: None,
            lost: false,
            claim: None,
            next: None,
            look: true,
            highest: 0,
            renewed: Timestamp::UNIX_EPOCH,
        }
    }

    /// The term that this candidate leads in, or led in until now.
    pub fn term(&self, now: Instant) -> Option<Term> {
        let claim = self.claim.as_ref()?;
        let until = claim.good? + self.times.renew_deadline;
        (now < until).then_some(Term { number: claim.number, until: Some(until) })
    }

    /// Who holds the lease, as far as is known.
    pub fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |seen| &seen.record.holder)
    }

    /// What to do now. `wall` is only ever written down.
    pub fn step(&mut self, now: Instant, wall: Timestamp) -> Step {
        if let Some(next) = self.next.filter(|next| now < *next) {
            return Step::Wait(next);
        }
        if self.look {
            return Step::Look;
        }
        let renewed = wall.max(self.renewed + Duration::from_micros(1));
        match &self.seen {
            Some(seen) => {
                let free_at = self.free_at(seen, now);
                if now < free_at {
                    // Looked at often, so that a change is seen soon after it is made.
                    return Step::Look;
                }
                let renews = self.is_mine(&seen.record) && !self.has_lapsed(now);
                let claim = if renews { self.claim.clone() } else { None };
                let number = self.number_after(seen.record.transitions);
                let claim = claim.unwrap_or_else(|| self.claim_for(number, renewed));
                let object = seen.record.with(&self.entry(&claim, &micro_time(renewed)));
                self.renewed = renewed;
                self.claim = Some(claim);
                Step::Replace(object)
            }
            None => {
                let claim = self.claim_for(self.number_after(self.highest), renewed);
                let claim = Claim { created: !self.lost, ..claim };
                let object = self.entry(&claim, &micro_time(renewed)).object(&self.name);
                self.renewed = renewed;
                self.claim = Some(claim);
                Step::Create(object)
            }
        }
    }

    /// What came of a step whose request began at `began`. `jitter` is from 0 to 1.
    pub fn done(&mut self, step: &Step, outcome: Outcome, began: Instant, now: Instant, jitter: f64) {
        let wrote = matches!(step, Step::Create(_) | Step::Replace(_));
        // After a call that hung there is no time to lose.
        let soon = (began + self.pause(jitter)).max(now);
        let record = match outcome {
            Outcome::Is(object) => Record::read(object).ok_or(Outcome::Unknown),
            other => Err(other),
        };
        match record {
            Ok(record) => self.see(record, wrote, began, now, jitter),
            Err(Outcome::Absent) => self.see_none(now, jitter),
            Err(Outcome::Overtaken) => {
                self.look = true;
                self.next = None;
            }
            Err(_) => {
                self.look = true;
                self.next = Some(soon);
            }
        }
    }

    /// What to write so that others need not wait; `None` if this candidate does not hold the lease.
    pub fn release(&mut self, wall: Timestamp) -> Option<Value> {
        let seen = self.seen.as_ref().filter(|seen| self.is_mine(&seen.record))?;
        let claim = self.claim.as_ref()?;
        let renewed = micro_time(wall.max(self.renewed + Duration::from_micros(1)));
        let entry = Entry {
            holder: "",
            acquired: &claim.acquired,
            renewed: &renewed,
            transitions: claim.number,
            duration: Duration::from_secs(1),
        };
        Some(seen.record.with(&entry))
    }

    /// True if the lease may have become this candidate's without its knowing.
    pub fn awaits_answer(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.good.is_none())
    }

    fn see(&mut self, record: Record, wrote: bool, began: Instant, now: Instant, jitter: f64) {
        self.lost = false;
        self.look = false;
        self.highest = self.highest.max(record.transitions);
        let mine = self.is_mine(&record);
        let mut settles = None;
        if let Some(claim) = self.claim.as_mut().filter(|_| mine) {
            // Somebody may have deleted the lease of a leader, who finds out when renewing: within a retry period.
            // And whoever looks must see this one before it is used, in case that it is deleted too.
            if claim.created && claim.settles.is_none() {
                claim.settles = Some(now + self.times.retry * 2);
            }
            settles = claim.settles.filter(|settles| began < *settles);
            if wrote && settles.is_none() {
                // Others count from when they see it, which is not before the request began.
                claim.good = Some(began);
            }
        } else {
            // A claim that nobody has answered stands while its request may still be on the way.
            self.claim.take_if(|claim| claim.good.is_some() || record.transitions >= claim.number);
        }
        match &mut self.seen {
            // Its age goes on.
            Some(seen) if seen.record.version == record.version => seen.record = record,
            _ => self.seen = Some(Seen { record, since: now }),
        }
        self.next = self.seen.as_ref().and_then(|seen| {
            let free_at = self.free_at(seen, now);
            // A lease found to be ours is renewed at once: it may have been written by a call without an answer.
            match (mine, wrote) {
                (true, _) if settles.is_some() => settles,
                (true, true) => Some(began + self.times.retry),
                (true, false) => None,
                (false, _) => (now < free_at).then(|| free_at.min(now + self.pause(jitter))),
            }
        });
    }

    fn see_none(&mut self, now: Instant, jitter: f64) {
        // While it leads, nobody else can have got in between.
        self.lost |= self.term(now).is_some();
        let free_at = match &self.seen {
            // Whoever held it may lead until then.
            Some(seen) if !self.lost => self.free_at(seen, now),
            _ => now,
        };
        if now < free_at {
            self.look = true;
            self.next = Some(free_at.min(now + self.pause(jitter)));
            return;
        }
        // The leadership that the lost lease stood for is over; a new one has a number of its own.
        if let Some(claim) = self.claim.take_if(|claim| claim.good.is_some()) {
            self.highest = self.highest.max(claim.number);
        }
        self.seen = None;
        self.look = false;
        self.next = None;
    }

    /// When this candidate may write into that lease.
    fn free_at(&self, seen: &Seen, now: Instant) -> Instant {
        if seen.record.holder.is_empty() || self.is_mine(&seen.record) {
            return now;
        }
        seen.since + seen.record.duration.unwrap_or(self.times.lease)
    }

    /// True if the lease stands for the claim of this very process; another one of the same name has another
    /// `acquireTime`.
    fn is_mine(&self, record: &Record) -> bool {
        self.claim.as_ref().is_some_and(|claim| {
            record.holder == self.identity && record.transitions == claim.number && record.acquired == claim.acquired
        })
    }

    /// True if this candidate led and was too late to renew: what it did then is given up, so it needs a new number.
    fn has_lapsed(&self, now: Instant) -> bool {
        self.claim.as_ref().and_then(|claim| claim.good).is_some_and(|good| now >= good + self.times.renew_deadline)
    }

    /// A claim; the last one again if it is for the same number and nobody has said yes to it: its request may be
    /// still on the way.
    fn claim_for(&self, number: u64, wall: Timestamp) -> Claim {
        match &self.claim {
            Some(claim) if claim.number == number && claim.good.is_none() => claim.clone(),
            _ => Claim { number, acquired: micro_time(wall), good: None, created: false, settles: None },
        }
    }

    fn number_after(&self, number: u64) -> u64 {
        if number + 1 >= i32::MAX.unsigned_abs().into() { 1 } else { number + 1 }
    }

    fn entry<'a>(&'a self, claim: &'a Claim, renewed: &'a str) -> Entry<'a> {
        Entry {
            holder: &self.identity,
            acquired: &claim.acquired,
            renewed,
            transitions: claim.number,
            duration: self.times.lease,
        }
    }

    /// Never longer than the retry period, so that a dead leader is missed within lease and retry period.
    fn pause(&self, jitter: f64) -> Duration {
        self.times.retry.mul_f64(0.8 + 0.2 * jitter.clamp(0.0, 1.0))
    }
}
