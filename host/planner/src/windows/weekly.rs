//! A window of every week.

use std::fmt;

use super::zone::Zone;
use super::{AHEAD, MINUTE, WindowError};

/// A minute of the week, counted from Monday 00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeekMinute(u16);

/// Part of every week, by the wall clock of a time zone: from its start until before its end, across Sunday night if
/// the end comes before the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeeklyWindow {
    start: WeekMinute,
    end: WeekMinute,
    zone: Zone,
}

/// What the windows of one zone cover, as parts of the week that neither overlap nor touch, in order. One that
/// crosses Sunday night is cut in two.
#[derive(Clone, Debug)]
pub(super) struct WeekCover {
    pub zone: Zone,
    parts: Vec<(i64, i64)>,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MINUTES_A_DAY: u16 = 24 * 60;
/// One week, in milliseconds.
const WEEK: i64 = 7 * super::DAY;
/// From Monday to the Thursday on which the count of time begins.
const EPOCH: i64 = 3 * super::DAY;

// === impl WeekMinute ===

impl WeekMinute {
    fn parse(text: &str) -> Result<Self, WindowError> {
        let (day, time) = text.split_once(':').ok_or_else(|| WindowError::Shape(text.to_owned()))?;
        let at = DAYS.iter().position(|known| known.eq_ignore_ascii_case(day));
        let at = at.and_then(|at| u16::try_from(at).ok()).ok_or_else(|| WindowError::Day(day.to_owned()))?;
        let wrong = || WindowError::Time(time.to_owned());
        let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
        let hour = two_digits(hour).filter(|hour| *hour < 24).ok_or_else(wrong)?;
        let minute = two_digits(minute).filter(|minute| *minute < 60).ok_or_else(wrong)?;
        Ok(Self(at * MINUTES_A_DAY + hour * 60 + minute))
    }

    fn millis(self) -> i64 {
        i64::from(self.0) * MINUTE
    }
}

fn two_digits(text: &str) -> Option<u16> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl fmt::Display for WeekMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, minute) = (self.0 / MINUTES_A_DAY, self.0 % MINUTES_A_DAY);
        let day = DAYS.get(usize::from(day)).copied().unwrap_or_default();
        write!(f, "{day}:{:02}:{:02}", minute / 60, minute % 60)
    }
}

// === impl WeeklyWindow ===

impl WeeklyWindow {
    /// Reads `Ddd:hh:mm-Ddd:hh:mm`.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, WindowError> {
        let text = text.trim();
        let (start, end) = text.split_once('-').ok_or_else(|| WindowError::Shape(text.to_owned()))?;
        let minute = |part: &str| match WeekMinute::parse(part.trim()) {
            Err(WindowError::Shape(_)) => Err(WindowError::Shape(text.to_owned())),
            other => other,
        };
        let (start, end) = (minute(start)?, minute(end)?);
        if start == end {
            return Err(WindowError::Empty(text.to_owned()));
        }
        Ok(Self { start, end, zone })
    }

    /// Its first minute.
    pub fn start(&self) -> WeekMinute {
        self.start
    }

    /// The minute after its last.
    pub fn end(&self) -> WeekMinute {
        self.end
    }

    /// Whose wall clock counts.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
}

impl fmt::Display for WeeklyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} {}", self.start, self.end, self.zone)
    }
}

// === impl WeekCover ===

impl WeekCover {
    /// What the windows of a zone cover together.
    pub(super) fn of<'a>(zone: &Zone, windows: impl Iterator<Item = &'a WeeklyWindow>) -> Self {
        let mut cut: Vec<(i64, i64)> = Vec::new();
        for window in windows {
            match (window.start.millis(), window.end.millis()) {
                (start, end) if start < end => cut.push((start, end)),
                (start, end) => cut.extend([(start, WEEK), (0, end)]),
            }
        }
        cut.sort_unstable();
        let mut parts: Vec<(i64, i64)> = Vec::with_capacity(cut.len());
        for (start, end) in cut.into_iter().filter(|(start, end)| start < end) {
            match parts.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => parts.push((start, end)),
            }
        }
        Self { zone: zone.clone(), parts }
    }

    /// True if no minute of the week is left.
    pub(super) fn is_whole(&self) -> bool {
        self.parts == [(0, WEEK)]
    }

    /// True if a moment is within.
    pub(super) fn contains(&self, at: i64) -> bool {
        self.part_at(self.place(at)).is_some()
    }

    /// The first moment after this one that is on the other side of an edge; `None` if none is in sight.
    pub(super) fn next_flip(&self, from: i64) -> Option<i64> {
        if self.parts.is_empty() || self.is_whole() {
            return None;
        }
        let (state, mut at) = (self.contains(from), from);
        while at < from.saturating_add(AHEAD) {
            // Between two changes of the clock the week runs evenly; at a change it is looked at anew.
            at = at.saturating_add(self.to_edge(self.place(at))).min(self.zone.change_after(at));
            if self.contains(at) != state {
                return Some(at);
            }
        }
        None
    }

    /// How far into its week the wall clock is.
    fn place(&self, at: i64) -> i64 {
        (at + self.zone.offset(at) + EPOCH).rem_euclid(WEEK)
    }

    fn part_at(&self, place: i64) -> Option<(i64, i64)> {
        let after = self.parts.partition_point(|(start, _)| *start <= place);
        self.parts[..after].last().copied().filter(|(_, end)| place < *end)
    }

    /// How long the wall clock runs until the next start or end, or the end of the week.
    fn to_edge(&self, place: i64) -> i64 {
        let next = match self.part_at(place) {
            Some((_, end)) => end,
            None => {
                let after = self.parts.partition_point(|(start, _)| *start <= place);
                self.parts.get(after).map_or(WEEK, |(start, _)| *start)
            }
        };
        next - place
    }
}
