//! A window that a cron schedule opens.

use std::collections::BTreeSet;
use std::fmt;

use croner::parser::{CronParser, Seconds, Year};
use croner::{CronPattern, Weekday};
use plimsoll_model::Millis;

use super::zone::Zone;
use super::{DAY, MINUTE, WindowError};

/// When something starts: five fields of cron, by the wall clock of a time zone.
///
/// The fields and what they mean together are the parser's affair; what happens when clocks change is ours.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    zone: Zone,
    pattern: CronPattern,
    /// The minutes of a day at which it starts, in order.
    minutes: Vec<i64>,
    /// It runs by the hour and not at set times, so that an hour that exists twice has its starts twice.
    hourly: bool,
}

/// How long a window is open, from a minute to seven days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowLength(Millis);

/// What yields to optimisation while a window is open (`ocean-features` D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// `ignorePdb`: disruption budgets.
    IgnorePdb,
    /// `ignoreRestrictScaleDown`: the label that keeps a node.
    IgnoreRestrictScaleDown,
}

/// A window in which optimisation may do more than usual.
#[derive(Clone, Debug)]
pub struct CronWindow {
    schedule: Schedule,
    length: WindowLength,
    effects: BTreeSet<Effect>,
}

const MOST: Millis = Millis(7 * 24 * 3_600_000);
/// The longest schedule that is read.
const LONGEST: usize = 256;
/// Days that are tried before a schedule counts as one that never comes: the weekdays of leap days repeat after 28
/// years, and after 40 across a turn of the century without one.
const DAYS_TRIED: i64 = 41 * 366;
/// The first of them: 2024-01-01.
const TRIED_FROM: i64 = 19_723;

// === impl Schedule ===

impl Schedule {
    /// Reads a cron schedule.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, WindowError> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wrong = |problem: &str| WindowError::Schedule {
            schedule: text.chars().take(LONGEST).collect(),
            problem: problem.to_owned(),
        };
        if text.len() > LONGEST {
            return Err(wrong("it is too long"));
        }
        let fields = text.split_whitespace().count();
        if fields != 5 {
            return Err(WindowError::Fields { schedule: text, fields });
        }
        if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || " *,-/?#+".contains(*c))) {
            return Err(wrong(&format!("{odd:?} means nothing in it")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(&text).map_err(|error| wrong(error.to_string().trim_end_matches('.')))?.pattern;
        let (hours, minutes) = (pattern.hours.values(), pattern.minutes.values());
        let of_hour = |hour: &u16| minutes.iter().map(move |minute| i64::from(hour * 60 + minute)).collect::<Vec<_>>();
        let schedule = Self {
            minutes: hours.iter().flat_map(of_hour).collect(),
            hourly: text.split(' ').nth(1).is_some_and(|hours| hours.starts_with('*')),
            pattern,
            text,
            zone,
        };
        let comes = (TRIED_FROM..TRIED_FROM + DAYS_TRIED).any(|day| schedule.has_day(day));
        if schedule.minutes.is_empty() || !comes {
            return Err(WindowError::Never(schedule.text));
        }
        Ok(schedule)
    }

    /// Whose wall clock counts.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The last start at a moment or before, no earlier than `since`.
    fn last_start(&self, at: i64, since: i64) -> Option<i64> {
        let mut at = at;
        while at >= since {
            // Since its last change the clock runs evenly.
            let (offset, change) = (self.zone.offset(at), self.zone.change_until(at).filter(|change| *change >= since));
            let mut first = change.unwrap_or(since) + offset;
            if let Some(repeated) = self.repeated_until(at, offset) {
                first = first.max(repeated);
            }
            if let Some(local) = self.last_local(at + offset, first) {
                return Some(local - offset);
            }
            let change = change?;
            let before = self.zone.offset(change - 1);
            if before < offset && self.last_local(change + offset - 1, change + before).is_some() {
                return Some(change);
            }
            at = change - 1;
        }
        None
    }

    /// Until when the wall clock shows what it has shown before and what starts nothing again.
    fn repeated_until(&self, at: i64, offset: i64) -> Option<i64> {
        let change = self.zone.change_until(at).filter(|_| !self.hourly)?;
        let before = self.zone.offset(change - 1);
        (before > offset).then(|| change + before)
    }

    /// The last start by the wall clock, between two of its times, both included.
    fn last_local(&self, at: i64, since: i64) -> Option<i64> {
        let mut most = at.rem_euclid(DAY) / MINUTE;
        for day in (since.div_euclid(DAY)..=at.div_euclid(DAY)).rev() {
            let last = self.minutes[..self.minutes.partition_point(|minute| *minute <= most)].last();
            if let Some(minute) = last
                && self.has_day(day)
            {
                return Some(day * DAY + minute * MINUTE).filter(|local| *local >= since);
            }
            most = i64::MAX;
        }
        None
    }

    /// True if it starts on this day, counted from 1970-01-01.
    fn has_day(&self, day: i64) -> bool {
        let Ok(noon) = jiff::Timestamp::from_millisecond(day.saturating_mul(DAY)) else { return false };
        let date = jiff::tz::Offset::UTC.to_datetime(noon).date();
        let weekday = match date.weekday() {
            jiff::civil::Weekday::Sunday => Weekday::Sunday,
            jiff::civil::Weekday::Monday => Weekday::Monday,
            jiff::civil::Weekday::Tuesday => Weekday::Tuesday,
            jiff::civil::Weekday::Wednesday => Weekday::Wednesday,
            jiff::civil::Weekday::Thursday => Weekday::Thursday,
            jiff::civil::Weekday::Friday => Weekday::Friday,
            jiff::civil::Weekday::Saturday => Weekday::Saturday,
        };
        let (month, day) = (u32::from(date.month().unsigned_abs()), u32::from(date.day().unsigned_abs()));
        self.pattern.month_match(month).unwrap_or(false)
            && self.pattern.day_match(i32::from(date.year()), month, day, weekday).unwrap_or(false)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone)
    }
}

// === impl WindowLength ===

impl WindowLength {
    /// Reads minutes, hours and days: `30m`, `2h`, `1d`, `1h30m`.
    pub fn parse(text: &str) -> Result<Self, WindowError> {
        let shown = || text.chars().take(LONGEST).collect::<String>();
        let wrong = || WindowError::Length(shown());
        let (mut total, mut rest) = (0_u64, text.trim());
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let unit = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (amount, after) = rest.split_at(unit);
            let minutes = match after.as_bytes().first() {
                Some(b'm') => 1,
                Some(b'h') => 60,
                Some(b'd') => 24 * 60,
                _ => return Err(wrong()),
            };
            if amount.is_empty() {
                return Err(wrong());
            }
            let amount: u64 = amount.parse().map_err(|_| WindowError::Bounds(shown()))?;
            total = total.saturating_add(amount.saturating_mul(minutes * 60_000));
            rest = &after[1..];
        }
        if total == 0 || total > MOST.0 {
            return Err(WindowError::Bounds(shown()));
        }
        Ok(Self(Millis(total)))
    }

    /// As a length of time.
    pub fn get(self) -> Millis {
        self.0
    }
}

// === impl Effect ===

impl Effect {
    /// Reads `ignorePdb` or `ignoreRestrictScaleDown`.
    pub fn parse(text: &str) -> Result<Self, WindowError> {
        match text {
            "ignorePdb" => Ok(Self::IgnorePdb),
            "ignoreRestrictScaleDown" => Ok(Self::IgnoreRestrictScaleDown),
            _ => Err(WindowError::Effect(text.chars().take(LONGEST).collect())),
        }
    }
}

// === impl CronWindow ===

impl CronWindow {
    /// A window that opens by a schedule for a length of time.
    pub fn new(schedule: Schedule, length: WindowLength, effects: BTreeSet<Effect>) -> Result<Self, WindowError> {
        if effects.is_empty() {
            return Err(WindowError::NoEffect);
        }
        Ok(Self { schedule, length, effects })
    }

    /// When it opens.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// How long it is open.
    pub fn length(&self) -> WindowLength {
        self.length
    }

    /// What it does.
    pub fn effects(&self) -> &BTreeSet<Effect> {
        &self.effects
    }

    /// The end of the last opening, if it is after this moment.
    pub(super) fn open_until(&self, at: i64) -> Option<i64> {
        let length = i64::try_from(self.length.0.0).unwrap_or(0);
        let start = self.schedule.last_start(at, at - length + 1)?;
        Some(start + length)
    }
}
