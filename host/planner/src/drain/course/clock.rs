//! Calls that are under way, and moments.

use plimsoll_model::{Millis, Timestamp, Uid};

/// An action without an answer for so long counts as one that may have been done.
pub(super) const PATIENCE: Millis = Millis(60_000);

/// `moment` and so much later.
pub(super) fn plus(moment: Timestamp, length: Millis) -> Timestamp {
    Timestamp(moment.0.saturating_add(length.0))
}

/// `length` before `moment`.
pub(super) fn minus(moment: Timestamp, length: Millis) -> Timestamp {
    Timestamp(moment.0.saturating_sub(length.0))
}

/// Up to a tenth of `length`, other for each pod and try, and always the same.
pub(super) fn jitter(pod: &Uid, tries: u32, length: Millis) -> Millis {
    let text = pod.to_string();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes().chain(tries.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Millis((hash >> 32) % (length.0 / 10 + 1))
}

/// A call of one kind: at most one is under way, and the next not before a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    /// Since when one is under way.
    pub sent: Option<Timestamp>,
    /// When the next may be made.
    pub not_before: Timestamp,
    /// Calls in a row that did not help.
    pub failures: u32,
}

// === impl Call ===

impl Call {
    /// Starts one, if none is under way and it is time.
    pub fn start(&mut self, now: Timestamp) -> bool {
        let free = self.sent.is_none() && now >= self.not_before;
        if free {
            self.sent = Some(now);
        }
        free
    }

    /// True if one is under way and will not be answered any more; it no longer counts.
    pub fn lost(&mut self, now: Timestamp) -> bool {
        let lost = self.sent.is_some_and(|sent| now >= plus(sent, PATIENCE));
        if lost {
            self.sent = None;
        }
        lost
    }

    /// It was answered, and did.
    pub fn done(&mut self) {
        self.sent = None;
        self.failures = 0;
    }

    /// It was answered, and is made again after `first`, doubled for each failure before, at most `longest`. Gives the
    /// pause.
    pub fn again(&mut self, now: Timestamp, first: Millis, longest: Millis) -> Millis {
        let factor = 1u64.checked_shl(self.failures.min(40)).unwrap_or(u64::MAX);
        let pause = first.times(factor).min(longest);
        self.sent = None;
        self.failures = self.failures.saturating_add(1);
        self.not_before = plus(now, pause);
        pause
    }

    /// When something happens by itself: an answer is given up, or the next call may be made.
    pub fn next(&self) -> Timestamp {
        self.sent.map_or(self.not_before, |sent| plus(sent, PATIENCE))
    }
}
