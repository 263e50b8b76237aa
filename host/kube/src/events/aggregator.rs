//! What is worth writing: pure, with time as an argument.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{EventNote, EventReason, Regarding};

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventLimits {
    /// A repetition within this time belongs to the series of the one before.
    pub series: Duration,
    /// The same words are not written again within this time.
    pub same: Duration,
    /// A series is written at most this often.
    pub every: Duration,
    /// Writes per second in the long run.
    pub per_second: f64,
    /// Writes at once after a pause.
    pub burst: f64,
    /// How many Events are remembered.
    pub remembered: usize,
}

/// Why nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// It was said a short while ago; it counts in the series.
    Repeated,
    /// Too many other things were said.
    RateLimited,
}

/// What to do about one note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write an Event; the number makes its name.
    Create(u64),
    /// Write that an Event has happened this often.
    Series { number: u64, count: u64 },
    /// Write nothing.
    Nothing(Quiet),
}

/// Remembers what was said.
#[derive(Debug)]
pub(super) struct Aggregator {
    limits: EventLimits,
    said: HashMap<Arc<Key>, Said>,
    /// By when it was last heard of, the oldest first.
    oldest: BTreeMap<u64, Arc<Key>>,
    heard: u64,
    tokens: f64,
    filled: Instant,
}

/// What makes two notes the same but for their figures.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    regarding: Regarding,
    reason: EventReason,
    gist: String,
}

#[derive(Debug)]
struct Said {
    number: u64,
    count: u64,
    message: String,
    seen: Instant,
    written: Instant,
    heard: u64,
}

impl Default for EventLimits {
    /// 6 minutes as in client-go, 5 minutes as in cluster-autoscaler; 5 writes per second, 50 at once.
    fn default() -> Self {
        Self {
            series: Duration::from_secs(360),
            same: Duration::from_secs(300),
            every: Duration::from_secs(60),
            per_second: 5.0,
            burst: 50.0,
            remembered: 4_096,
        }
    }
}

// === impl Aggregator ===

impl Aggregator {
    pub fn new(limits: EventLimits, now: Instant) -> Self {
        Self { limits, said: HashMap::new(), oldest: BTreeMap::new(), heard: 0, tokens: limits.burst, filled: now }
    }

    pub fn take(&mut self, note: &EventNote, now: Instant) -> Verdict {
        self.heard += 1;
        let heard = self.heard;
        let EventLimits { series, same, every, .. } = self.limits;
        let key = Key::of(note);
        let writes = match self.said.get_mut(&key) {
            Some(said) if now - said.seen < series => {
                said.count = said.count.saturating_add(1);
                said.seen = now;
                if let Some(key) = self.oldest.remove(&said.heard) {
                    self.oldest.insert(heard, key);
                }
                said.heard = heard;
                let age = now - said.written;
                let due = if said.message == note.message { age >= same } else { said.count == 2 || age >= every };
                if !due {
                    return Verdict::Nothing(Quiet::Repeated);
                }
                Some((said.number, said.count))
            }
            _ => None,
        };
        if !self.pays(now) {
            return Verdict::Nothing(Quiet::RateLimited);
        }
        let Some((number, count)) = writes else {
            self.remember(key, note, now);
            return Verdict::Create(heard);
        };
        if let Some(said) = self.said.get_mut(&key) {
            said.written = now;
            said.message.clone_from(&note.message);
        }
        Verdict::Series { number, count }
    }

    /// It could not be written, or is not there any more: the next one is written anew.
    pub fn forget(&mut self, note: &EventNote) {
        if let Some(said) = self.said.remove(&Key::of(note)) {
            self.oldest.remove(&said.heard);
        }
    }

    fn remember(&mut self, key: Key, note: &EventNote, now: Instant) {
        self.forget(note);
        while self.said.len() >= self.limits.remembered.max(1) {
            let Some((_, oldest)) = self.oldest.pop_first() else { break };
            self.said.remove(&oldest);
        }
        let key = Arc::new(key);
        let heard = self.heard;
        let said = Said { number: heard, count: 1, message: note.message.clone(), seen: now, written: now, heard };
        self.oldest.insert(heard, key.clone());
        self.said.insert(key, said);
    }

    /// A bucket of tokens.
    fn pays(&mut self, now: Instant) -> bool {
        let EventLimits { per_second, burst, .. } = self.limits;
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * per_second).min(burst);
        self.filled = now;
        let pays = self.tokens >= 1.0;
        if pays {
            self.tokens -= 1.0;
        }
        pays
    }
}

impl Key {
    fn of(note: &EventNote) -> Self {
        Self { regarding: note.regarding.clone(), reason: note.reason, gist: gist(&note.message) }
    }
}

/// A message without its figures.
fn gist(message: &str) -> String {
    let mut gist = String::with_capacity(message.len());
    let mut figure = false;
    for letter in message.chars() {
        match (letter.is_ascii_digit(), figure) {
            (true, false) => gist.push('#'),
            (true, true) => {}
            // The point of 1.5.
            (false, true) if letter == '.' || letter == ',' => continue,
            (false, _) => gist.push(letter),
        }
        figure = letter.is_ascii_digit();
    }
    gist
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ObjectName, Resource};

    fn note(pod: &str, message: &str) -> EventNote {
        EventNote {
            regarding: Regarding::new(&Resource::PODS, ObjectName::in_namespace("shop", pod), "u1"),
            reason: EventReason::Pending("NoMatchingNodeGroup"),
            message: message.to_owned(),
            decision: String::new(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_same_words_are_written_once_in_five_minutes() {
        let start = Instant::now();
        let mut aggregator = Aggregator::new(EventLimits::default(), start);
        let mut written = Vec::new();
        for second in (0..1_000).step_by(10) {
            match aggregator.take(&note("web", "0/5 groups"), start + seconds(second)) {
                Verdict::Nothing(quiet) => assert_eq!(quiet, Quiet::Repeated),
                verdict => written.push((second, verdict)),
            }
        }
        let series = |count| Verdict::Series { number: 1, count };
        assert_eq!(written, [(0, Verdict::Create(1)), (300, series(31)), (600, series(61)), (900, series(91))]);
    }

    #[test]
    fn other_figures_are_a_series_that_is_written_at_once_and_then_now_and_then() {
        let start = Instant::now();
        let mut aggregator = Aggregator::new(EventLimits::default(), start);
        let mut written = Vec::new();
        for second in (0..200).step_by(10) {
            let note = note("web", &format!("{}/50 groups, {}.5 GiB short", second / 10, second));
            match aggregator.take(&note, start + seconds(second)) {
                Verdict::Nothing(_) => {}
                verdict => written.push((second, verdict)),
            }
        }
        let series = |count| Verdict::Series { number: 1, count };
        assert_eq!(
            written,
            [(0, Verdict::Create(1)), (10, series(2)), (70, series(8)), (130, series(14)), (190, series(20))]
        );
    }

    #[test]
    fn after_six_quiet_minutes_it_is_news_again() {
        let start = Instant::now();
        let mut aggregator = Aggregator::new(EventLimits::default(), start);
        assert_eq!(aggregator.take(&note("web", "a"), start), Verdict::Create(1));
        assert_eq!(aggregator.take(&note("web", "a"), start + seconds(359)), Verdict::Series { number: 1, count: 2 });
        assert_eq!(aggregator.take(&note("web", "a"), start + seconds(359 + 360)), Verdict::Create(3));
    }

    #[test]
    fn other_objects_reasons_and_words_are_their_own() {
        let start = Instant::now();
        let mut aggregator = Aggregator::new(EventLimits::default(), start);
        let first = note("web", "a");
        let mut reborn = first.clone();
        reborn.regarding.uid = "u2".to_owned();
        let mut other_reason = first.clone();
        other_reason.reason = EventReason::Pending("NoInstanceFits");
        for note in [&first, &reborn, &other_reason, &note("db", "a"), &note("web", "b")] {
            assert!(matches!(aggregator.take(note, start), Verdict::Create(_)), "{note:?}");
        }
    }

    #[test]
    fn too_much_is_dropped_and_said_later() {
        let start = Instant::now();
        let limits = EventLimits { per_second: 2.0, burst: 3.0, ..EventLimits::default() };
        let mut aggregator = Aggregator::new(limits, start);
        let mut take = |pod: u32, second| aggregator.take(&note(&format!("p{pod}"), "a"), start + seconds(second));
        for pod in 0..3 {
            assert!(matches!(take(pod, 0), Verdict::Create(_)));
        }
        assert_eq!(take(3, 0), Verdict::Nothing(Quiet::RateLimited));
        assert!(matches!(take(3, 1), Verdict::Create(_)), "it was not taken as said");
        assert!(matches!(take(4, 1), Verdict::Create(_)));
        assert_eq!(take(5, 1), Verdict::Nothing(Quiet::RateLimited));
        // A repetition costs nothing.
        assert_eq!(take(0, 1), Verdict::Nothing(Quiet::Repeated));
    }

    #[test]
    fn no_more_is_remembered_than_allowed_and_the_oldest_goes_first() {
        let start = Instant::now();
        let limits = EventLimits { remembered: 10, burst: 1e9, ..EventLimits::default() };
        let mut aggregator = Aggregator::new(limits, start);
        for pod in 0..1_000 {
            aggregator.take(&note(&format!("p{pod}"), "a"), start);
            // The first is heard of all the time.
            aggregator.take(&note("p0", "a"), start);
            assert!(aggregator.said.len() <= 10 && aggregator.oldest.len() == aggregator.said.len());
        }
        assert_eq!(aggregator.take(&note("p0", "a"), start), Verdict::Nothing(Quiet::Repeated));
        assert_eq!(aggregator.take(&note("p999", "a"), start), Verdict::Nothing(Quiet::Repeated));
        assert!(matches!(aggregator.take(&note("p500", "a"), start), Verdict::Create(_)));
    }

    #[test]
    fn what_could_not_be_written_is_written_the_next_time() {
        let start = Instant::now();
        let mut aggregator = Aggregator::new(EventLimits::default(), start);
        aggregator.take(&note("web", "a"), start);
        aggregator.forget(&note("web", "a"));
        assert!(matches!(aggregator.take(&note("web", "a"), start), Verdict::Create(_)));
        assert_eq!(aggregator.oldest.len(), 1);
    }

    #[test]
    fn figures_do_not_make_another_message() {
        assert_eq!(gist("2.5 of 1,000 groups lack 3"), gist("14 of 7 groups lack 99"));
        assert_ne!(gist("2 groups"), gist("2 nodes"));
        assert_eq!(gist(""), "");
    }
}
