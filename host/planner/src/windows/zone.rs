//! The time zone whose wall clock counts.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::WindowError;

/// A time zone of the IANA database that comes with the program: the same on every machine, and in an empty container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// The longest name that is looked up.
const LONGEST_NAME: usize = 64;

// === impl Zone ===

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Zone {
    /// The zone of this name, in upper or lower case.
    pub fn parse(name: &str) -> Result<Self, WindowError> {
        let name = name.trim();
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::default());
        }
        let unknown = || WindowError::Zone(name.chars().take(LONGEST_NAME).collect());
        if name.len() > LONGEST_NAME {
            return Err(unknown());
        }
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
        if zone.is_unknown() {
            return Err(unknown());
        }
        Ok(Self { name: zone.iana_name().unwrap_or(name).to_owned(), zone })
    }

    /// How far the wall clock is ahead of UTC at a moment. All times here are milliseconds.
    pub(super) fn offset(&self, at: i64) -> i64 {
        i64::from(self.zone.to_offset(moment(at)).seconds()) * 1000
    }

    /// When the wall clock is next changed after a moment; never is the end of time.
    pub(super) fn change_after(&self, at: i64) -> i64 {
        let change = self.zone.following(moment(at)).next();
        change.map_or(i64::MAX, |change| change.timestamp().as_millisecond())
    }

    /// When it was last changed, at a moment or before.
    pub(super) fn change_until(&self, at: i64) -> Option<i64> {
        let change = self.zone.preceding(moment(at.saturating_add(1))).next();
        change.map(|change| change.timestamp().as_millisecond())
    }
}

/// A moment that can be given a wall clock: what is beyond the year 9999 counts as its end.
fn moment(at: i64) -> jiff::Timestamp {
    let end = if at < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(at).unwrap_or(end)
}

/// A moment as a signed number within what has a wall clock.
pub(super) fn millis(at: plimsoll_model::Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX).min(jiff::Timestamp::MAX.as_millisecond())
}

/// The way back.
pub(super) fn timestamp(at: i64) -> plimsoll_model::Timestamp {
    plimsoll_model::Timestamp(u64::try_from(at).unwrap_or(0))
}
