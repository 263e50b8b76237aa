//! When somebody is at work.

use core::fmt;

use serde::Deserialize;

const DAY: i64 = 24 * 60;

/// What the configuration may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// Days of work.
    pub days: Vec<Day>,
    /// When work begins.
    pub from: TimeOfDay,
    /// When it ends; not included.
    pub to: TimeOfDay,
    /// How far the clocks of the office are ahead of UTC, in minutes.
    pub utc_offset_minutes: i16,
    /// The pause before a pod that keeps data is evicted, in seconds.
    pub data_pause_seconds: u64,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// Minutes after midnight, written `hh:mm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeOfDay(pub i64);

impl Default for Settings {
    fn default() -> Self {
        Settings {
            days: vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu],
            from: TimeOfDay(9 * 60),
            to: TimeOfDay(16 * 60),
            utc_offset_minutes: 0,
            data_pause_seconds: 90,
        }
    }
}

impl Settings {
    /// True at this moment, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn open(&self, now_ms: u64) -> bool {
        let minutes = i64::try_from(now_ms / 60_000).unwrap_or(i64::MAX / 2) + i64::from(self.utc_offset_minutes);
        // 1970-01-01 was a Thursday.
        let week = [Day::Thu, Day::Fri, Day::Sat, Day::Sun, Day::Mon, Day::Tue, Day::Wed];
        let day = usize::try_from(minutes.div_euclid(DAY).rem_euclid(7)).unwrap_or(0);
        let time = TimeOfDay(minutes.rem_euclid(DAY));
        self.days.contains(&week[day]) && (self.from..self.to).contains(&time)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u8>().ok().map(i64::from);
        let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
        match parts {
            Some((hour, minute)) if hour < 24 && minute < 60 => Ok(TimeOfDay(hour * 60 + minute)),
            _ => Err(format!("\"{text}\" is no time of day; write it like 09:00")),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)?;
        for (at, day) in self.days.iter().enumerate() {
            write!(f, "{}{day:?}", if at == 0 { " on " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    /// Monday, 2026-11-16, 00:00 UTC.
    const MONDAY: u64 = 1_794_787_200_000;

    #[test]
    fn the_week_is_the_one_of_the_office() {
        let utc = Settings::default();
        for (hour, open) in [(0, false), (8, false), (9, true), (15, true), (16, false), (4 * 24 + 10, false)] {
            assert_eq!(utc.open(MONDAY + hour * HOUR), open, "hour {hour}");
        }
        // In Auckland Monday's work begins on Sunday evening in UTC.
        let auckland = Settings { utc_offset_minutes: 13 * 60, ..Settings::default() };
        assert!(auckland.open(MONDAY - 4 * HOUR) && !auckland.open(MONDAY + 9 * HOUR));
        // No moment is too far away.
        assert!(!utc.open(0));
        let last = utc.open(u64::MAX);
        assert_eq!(last, utc.open(u64::MAX));
    }

    #[test]
    fn settings_are_read_and_wrong_ones_named() {
        let parse = plimsoll_sdk::settings::parse::<Settings>;
        let read = parse(r#"{"days": ["fri"], "from": "07:30", "to": "12:00"}"#).expect("good settings");
        assert_eq!((read.days, read.from), (vec![Day::Fri], TimeOfDay(450)));
        for wrong in [r#"{"from": "25:00"}"#, r#"{"from": "9"}"#, r#"{"days": ["monday"]}"#, r#"{"form": "09:00"}"#] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
