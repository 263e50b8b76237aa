use plimsoll_model::Timestamp;
use plimsoll_planner::windows::{CronWindow, Effect, Effects, OptimizationWindows, Schedule, WindowLength, Zone};
use proptest::prelude::*;

use crate::clock::{MINUTE, ZONES, at, wall, zone};

fn window(schedule: &str, zone: &str, length: &str, effects: &[Effect]) -> CronWindow {
    let schedule = Schedule::parse(schedule, Zone::parse(zone).unwrap()).unwrap();
    CronWindow::new(schedule, WindowLength::parse(length).unwrap(), effects.iter().copied().collect()).unwrap()
}

fn budgets(schedule: &str, zone: &str, length: &str) -> OptimizationWindows {
    OptimizationWindows::new(vec![window(schedule, zone, length, &[Effect::IgnorePdb])])
}

/// A window that eases budgets: until when at each moment, empty for not at all.
fn check(schedule: &str, zone: &str, length: &str, cases: &[(&str, &str)]) {
    let windows = budgets(schedule, zone, length);
    for (now, until) in cases {
        let until = (!until.is_empty()).then(|| at(until));
        let expected = Effects { ignore_budgets: until.is_some(), ignore_restrict: false, until };
        assert_eq!(windows.effects(at(now)), expected, "{schedule} {zone} {length} at {now}");
    }
}

#[test]
fn from_the_start_until_before_the_end() {
    check(
        "0 2 * * SUN",
        "UTC",
        "2h",
        &[
            ("2026-03-08T01:59:59.999Z", ""),
            ("2026-03-08T02:00:00Z", "2026-03-08T04:00:00Z"),
            ("2026-03-08T03:59:59.999Z", "2026-03-08T04:00:00Z"),
            ("2026-03-08T04:00:00Z", ""),
            ("2026-03-09T02:30:00Z", ""),
        ],
    );
    // Over midnight, the end of a month and of a year.
    check("30 23 L * *", "UTC", "90m", &[("2026-01-01T00:59:00Z", "2026-01-01T01:00:00Z")]);
    check("0 0 29 2 *", "UTC", "7d", &[("2028-03-06T23:00:00Z", "2028-03-07T00:00:00Z"), ("2027-03-01T00:00:00Z", "")]);
    // Openings that touch or overlap are one.
    check("0 8,9,10 * * *", "UTC", "1h", &[("2026-03-08T08:30:00Z", "2026-03-08T11:00:00Z")]);
    check("*/10 8 * * *", "UTC", "15m", &[("2026-03-08T08:00:00Z", "2026-03-08T09:05:00Z")]);
    check(
        "*/10 8 * * *",
        "UTC",
        "9m",
        &[("2026-03-08T08:00:00Z", "2026-03-08T08:09:00Z"), ("2026-03-08T08:09:00Z", "")],
    );
}

#[test]
fn in_berlin_when_clocks_change() {
    // A start in the hour that does not exist happens at the jump, and the length is time that passes.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2h",
        &[("2026-03-29T00:59:59Z", ""), ("2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z")],
    );
    check(
        "0 2 * * *",
        "Europe/Berlin",
        "1h",
        &[("2026-03-29T00:59:59Z", ""), ("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")],
    );
    // In the hour that exists twice, a set time comes once ...
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "30m",
        &[("2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"), ("2026-10-25T01:30:00Z", "")],
    );
    // ... and an hourly one in both passes.
    check(
        "30 * * * *",
        "Europe/Berlin",
        "10m",
        &[
            ("2026-10-25T00:30:00Z", "2026-10-25T00:40:00Z"),
            ("2026-10-25T01:30:00Z", "2026-10-25T01:40:00Z"),
            ("2026-10-25T02:30:00Z", "2026-10-25T02:40:00Z"),
        ],
    );
    // A day is 24 hours: the day of 25 has one left over.
    check("0 0 * * SUN", "Europe/Berlin", "1d", &[("2026-10-25T21:59:00Z", "2026-10-25T22:00:00Z")]);
    check("0 0 * * *", "Europe/Berlin", "1d", &[("2026-10-24T12:00:00Z", "2026-10-25T22:00:00Z")]);
    check("0 2 * * *", "America/New_York", "1h", &[("2026-07-01T06:30:00Z", "2026-07-01T07:00:00Z")]);
    check(
        "45 1 * * *",
        "Australia/Lord_Howe",
        "10m",
        &[("2026-04-04T14:45:00Z", "2026-04-04T14:55:00Z"), ("2026-04-04T15:15:00Z", "")],
    );
    check("15 2 * * *", "Australia/Lord_Howe", "10m", &[("2026-10-03T15:30:00Z", "2026-10-03T15:40:00Z")]);
}

#[test]
fn effects_of_several_windows() {
    let (both, restrict) = ([Effect::IgnorePdb, Effect::IgnoreRestrictScaleDown], [Effect::IgnoreRestrictScaleDown]);
    let windows = OptimizationWindows::new(vec![
        window("0 2 * * *", "UTC", "1h", &both),
        window("0 3 * * *", "UTC", "2h", &restrict),
        window("30 2 * * *", "UTC", "1h", &[Effect::IgnorePdb]),
    ]);
    for (now, ignore_budgets, ignore_restrict, until) in [
        ("2026-03-08T02:00:00Z", true, true, Some("2026-03-08T03:30:00Z")),
        ("2026-03-08T03:29:59Z", true, true, Some("2026-03-08T03:30:00Z")),
        ("2026-03-08T03:30:00Z", false, true, Some("2026-03-08T05:00:00Z")),
        ("2026-03-08T05:00:00Z", false, false, None),
    ] {
        let expected = Effects { ignore_budgets, ignore_restrict, until: until.map(at) };
        assert_eq!(windows.effects(at(now)), expected, "{now}");
    }
    assert_eq!(OptimizationWindows::default().effects(at("2026-03-08T02:00:00Z")), Effects::default());
}

#[test]
fn what_never_ends_has_no_end() {
    let now = at("2026-03-08T02:00:00Z");
    let always = Effects { ignore_budgets: true, ignore_restrict: false, until: None };
    for (schedule, zone, length) in [
        ("0 0 * * *", "UTC", "1d"),
        ("0 0 * * *", "Europe/Berlin", "25h"),
        ("* * * * *", "UTC", "1m"),
        ("* * * * *", "Australia/Lord_Howe", "1m"),
        ("0 0 * * MON", "UTC", "7d"),
    ] {
        assert_eq!(budgets(schedule, zone, length).effects(now), always, "{schedule} {zone} {length}");
    }
    // Far off, and still an end.
    check("0 0 1-30 * *", "UTC", "1d", &[("2026-01-01T00:00:00Z", "2026-01-31T00:00:00Z")]);
    check("0 0 * 1-6 *", "UTC", "1d", &[("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z")]);
}

/// The starts in a span of time, minute by minute: what the wall clock shows is compared with the fields. What it has
/// shown before counts again only by the hour, and what it jumps over counts at the jump.
fn starts(fields: &Fields, zone_name: &str, from: u64, minutes: u64) -> Vec<u64> {
    let zone = zone(zone_name);
    let shown = |at: u64| wall(Timestamp(at), &zone);
    let minute = jiff::Span::new().minutes(1);
    // The furthest that the clock has shown so far.
    let mut latest = shown(from);
    let mut starts = Vec::new();
    for at in (1..minutes).map(|minutes| from + minutes * MINUTE) {
        let now = shown(at);
        let mut starting = fields.matches(now) && (now > latest || fields.by_the_hour);
        let mut skipped = shown(at - MINUTE).checked_add(minute).unwrap();
        while skipped < now {
            starting |= fields.matches(skipped);
            skipped = skipped.checked_add(minute).unwrap();
        }
        if starting {
            starts.push(at);
        }
        latest = latest.max(now);
    }
    starts
}

/// A schedule of set minutes, hours and weekdays; none of a kind for each.
#[derive(Clone, Debug)]
struct Fields {
    minutes: Vec<i8>,
    hours: Vec<i8>,
    /// From Sunday.
    weekdays: Vec<i8>,
    by_the_hour: bool,
}

impl Fields {
    fn matches(&self, shown: jiff::civil::DateTime) -> bool {
        let any = |list: &[i8], value: i8| list.is_empty() || list.contains(&value);
        any(&self.minutes, shown.minute())
            && any(&self.hours, shown.hour())
            && any(&self.weekdays, shown.weekday().to_sunday_zero_offset())
    }

    fn written(&self) -> String {
        let list = |list: &[i8]| match list {
            [] => "*".to_owned(),
            list => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        format!("{} {} * * {}", list(&self.minutes), list(&self.hours), list(&self.weekdays))
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    let minutes = prop::collection::vec(0..60_i8, 0..3);
    let hours = prop::collection::vec(prop_oneof![3 => 0..5_i8, 1 => 0..24_i8], 0..4);
    let weekdays = prop_oneof![Just(vec![]), prop::collection::vec(0..7_i8, 1..3), Just(vec![0])];
    (minutes, hours, weekdays).prop_map(|(minutes, hours, weekdays)| {
        let by_the_hour = hours.is_empty();
        Fields { minutes, hours, weekdays, by_the_hour }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Minute by minute: open when a start was at most a length ago, until the first minute without one.
    #[test]
    fn as_a_clock_would_say(
        first in (fields(), prop::sample::select(ZONES.to_vec()), prop_oneof![1..90_u64, 1..3000_u64]),
        second in (fields(), prop::sample::select(ZONES.to_vec()), 1..300_u64),
        day in prop::sample::select(vec![
            "2026-03-08T00:00:00Z", "2026-03-29T00:00:00Z", "2026-04-04T00:00:00Z", "2026-09-06T00:00:00Z",
            "2026-10-03T00:00:00Z", "2026-10-25T00:00:00Z", "2026-11-01T00:00:00Z", "2026-07-01T00:00:00Z",
        ]),
        offset in 0..1800_u64,
    ) {
        let now = at(day).0 + offset * MINUTE;
        let from = now - 3001 * MINUTE;
        let windows = [first, second];
        let starts: Vec<_> =
            windows.iter().map(|(fields, zone, _)| starts(fields, zone, from, 3001 + 5 * 1440)).collect();
        let open = |at: u64| windows.iter().zip(&starts).any(|((_, _, length), starts)| {
            starts[..starts.partition_point(|start| *start <= at)].last().is_some_and(|start| at < start + length * MINUTE)
        });
        let code = OptimizationWindows::new(windows.iter().map(|(fields, zone, length)| {
            window(&fields.written(), zone, &format!("{length}m"), &[Effect::IgnorePdb])
        }).collect());
        let effects = code.effects(Timestamp(now));
        prop_assert_eq!(effects.ignore_budgets, open(now));
        prop_assert_eq!(code.effects(Timestamp(now + MINUTE - 1)), effects, "windows begin and end on whole minutes");
        let end = (0..5 * 1440).map(|minutes| now + minutes * MINUTE).find(|at| !open(*at)).filter(|_| open(now));
        match (end, effects.until) {
            (Some(end), until) => prop_assert_eq!(until, Some(Timestamp(end))),
            (None, Some(until)) => prop_assert!(until.0 >= now + 5 * 1440 * MINUTE),
            (None, None) => {}
        }
    }

    #[test]
    fn any_moment_has_an_answer(now: u64, fields in fields(), length in 1..10_080_u64, zone in prop::sample::select(ZONES.to_vec())) {
        let windows = budgets(&fields.written(), zone, &format!("{length}m"));
        for now in [now, now % (1 << 43), u64::MAX, 0] {
            windows.effects(Timestamp(now));
        }
    }
}
