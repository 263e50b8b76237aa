//! Moments as people write them, and a wall clock that knows nothing of the code under test.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use plimsoll_model::Timestamp;

/// One minute, in milliseconds.
pub const MINUTE: u64 = 60_000;

/// Zones whose clocks change in different ways: never, by an hour, by half an hour, in the south, at midnight, across
/// the date line, for Ramadan, and not on whole hours.
pub const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "Pacific/Auckland",
    "Africa/Casablanca",
    "Asia/Kathmandu",
];

/// A moment in RFC 3339.
pub fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp(u64::try_from(moment.as_millisecond()).unwrap())
}

/// A zone as the clock knows it.
pub fn zone(name: &str) -> TimeZone {
    if name == "UTC" { TimeZone::UTC } else { TimeZoneDatabase::bundled().get(name).unwrap() }
}

/// What the wall clock shows.
pub fn wall(now: Timestamp, zone: &TimeZone) -> jiff::civil::DateTime {
    let moment = jiff::Timestamp::from_millisecond(i64::try_from(now.0).unwrap()).unwrap();
    zone.to_datetime(moment)
}
