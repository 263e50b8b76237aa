use plimsoll_model::Timestamp;
use plimsoll_planner::windows::{Suspended, SuspensionHours, WeeklyWindow, Zone};
use proptest::prelude::*;

use crate::clock::{MINUTE, ZONES, at, wall, zone};

fn hours(zone: &str, windows: &[&str]) -> SuspensionHours {
    let zone = Zone::parse(zone).unwrap();
    SuspensionHours::new(windows.iter().map(|text| WeeklyWindow::parse(text, zone.clone()).unwrap()).collect())
}

/// `windows` in `zone` at `now`: until when, empty for not at all.
fn check(zone: &str, windows: &[&str], cases: &[(&str, &str)]) {
    let hours = hours(zone, windows);
    for (now, until) in cases {
        let expected = if until.is_empty() { Suspended::No } else { Suspended::Until(at(until)) };
        assert_eq!(hours.at(at(now)), expected, "{zone} {windows:?} at {now}");
        if !until.is_empty() {
            assert_eq!(hours.next_change(at(now)), Some(at(until)), "{zone} {windows:?} at {now}");
        }
    }
}

/// Acceptance scenario 8.
#[test]
fn over_the_weekend() {
    let monday = "2026-03-09T08:00:00Z";
    let cases = [
        ("2026-03-06T15:29:59.999Z", ""),
        ("2026-03-06T15:30:00Z", monday),
        ("2026-03-07T12:00:00Z", monday),
        ("2026-03-08T23:59:59.999Z", monday),
        ("2026-03-09T00:00:00Z", monday),
        ("2026-03-09T07:59:59.999Z", monday),
        ("2026-03-09T08:00:00Z", ""),
        ("2026-03-11T12:00:00Z", ""),
    ];
    check("UTC", &["Fri:15:30-Mon:08:00"], &cases);
    check("UTC", &["fri:15:30 - MON:08:00"], &cases);
    // The same hours, cut where one may cut them, and covered twice.
    check("UTC", &["Sun:00:00-Mon:08:00", "Fri:15:30-Sat:12:00", "Sat:12:00-Sun:00:00"], &cases);
    check("UTC", &["Fri:15:30-Sun:03:00", "Sat:00:00-Mon:08:00", "Sat:01:00-Sat:02:00"], &cases);
    let outside = hours("UTC", &["Fri:15:30-Mon:08:00"]).next_change(at("2026-03-09T08:00:00Z"));
    assert_eq!(outside, Some(at("2026-03-13T15:30:00Z")));
}

#[test]
fn at_the_seam_of_the_week() {
    check(
        "UTC",
        &["Mon:00:00-Mon:01:00"],
        &[
            ("2026-03-08T23:59:59.999Z", ""),
            ("2026-03-09T00:00:00Z", "2026-03-09T01:00:00Z"),
            ("2026-03-09T01:00:00Z", ""),
        ],
    );
    check(
        "UTC",
        &["Sun:23:00-Mon:00:00"],
        &[("2026-03-08T23:59:59.999Z", "2026-03-09T00:00:00Z"), ("2026-03-09T00:00:00Z", "")],
    );
    // All but a minute.
    check(
        "UTC",
        &["Wed:12:01-Wed:12:00"],
        &[("2026-03-11T12:00:00Z", ""), ("2026-03-11T12:01:00Z", "2026-03-18T12:00:00Z")],
    );
}

#[test]
fn in_berlin_when_clocks_change() {
    // 2026-03-29: 01:00 UTC, 02:00 becomes 03:00. 2026-10-25: 01:00 UTC, 03:00 becomes 02:00.
    let jump = "2026-03-29T01:00:00Z";
    check("Europe/Berlin", &["Sun:02:15-Sun:02:45"], &[(jump, ""), ("2026-03-29T00:59:59.999Z", "")]);
    let next = hours("Europe/Berlin", &["Sun:02:15-Sun:02:45"]).next_change(at("2026-03-28T12:00:00Z"));
    assert_eq!(next, Some(at("2026-04-05T00:15:00Z")), "the hour that does not exist has no window");
    check("Europe/Berlin", &["Sun:01:00-Sun:02:30"], &[("2026-03-29T00:30:00Z", jump), (jump, "")]);
    check(
        "Europe/Berlin",
        &["Sun:02:30-Sun:03:30"],
        &[("2026-03-29T00:59:59.999Z", ""), (jump, "2026-03-29T01:30:00Z")],
    );
    // The evening before until the morning after: an hour less in spring, an hour more in autumn.
    check("Europe/Berlin", &["Sat:22:00-Sun:06:00"], &[("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z")]);
    check("Europe/Berlin", &["Sat:22:00-Sun:06:00"], &[("2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z")]);
    check(
        "Europe/Berlin",
        &["Sun:02:15-Sun:02:45"],
        &[
            ("2026-10-25T00:14:59.999Z", ""),
            ("2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z"),
            ("2026-10-25T00:45:00Z", ""),
            ("2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z"),
            ("2026-10-25T01:45:00Z", ""),
        ],
    );
    // Ends in the first pass and begins again with the second.
    check(
        "Europe/Berlin",
        &["Sun:01:00-Sun:02:30"],
        &[
            ("2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T00:30:00Z", ""),
            ("2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"),
        ],
    );
    // Ends where the clock is put back: what is shown then is within.
    check("Europe/Berlin", &["Sun:02:00-Sun:03:00"], &[("2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z")]);
}

#[test]
fn in_other_places() {
    // New York 2026-03-08: 07:00 UTC, 02:00 becomes 03:00. 2026-11-01: 06:00 UTC, 02:00 becomes 01:00.
    check(
        "America/New_York",
        &["Sun:01:30-Sun:02:30"],
        &[
            ("2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"),
            ("2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z"),
            ("2026-11-01T06:00:00Z", ""),
            ("2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"),
        ],
    );
    // Lord Howe 2026-04-05: 02:00 (+11) becomes 01:30 (+10:30) at 15:00 UTC the day before; 2026-10-04: 02:00 (+10:30)
    // becomes 02:30 (+11) at 15:30 UTC the day before.
    check(
        "Australia/Lord_Howe",
        &["Sun:01:40-Sun:02:10"],
        &[
            ("2026-04-04T14:40:00Z", "2026-04-04T15:00:00Z"),
            ("2026-04-04T15:00:00Z", ""),
            ("2026-04-04T15:10:00Z", "2026-04-04T15:40:00Z"),
            ("2026-10-03T15:10:00Z", "2026-10-03T15:30:00Z"),
            ("2026-10-03T15:30:00Z", ""),
        ],
    );
    // Auckland, whose summer ends in April: 2026-04-04 14:00 UTC, 03:00 becomes 02:00.
    check("Pacific/Auckland", &["Sat:20:00-Sun:05:00"], &[("2026-04-04T07:00:00Z", "2026-04-04T17:00:00Z")]);
    check("Pacific/Auckland", &["Sat:20:00-Sun:05:00"], &[("2026-09-26T08:00:00Z", "2026-09-26T16:00:00Z")]);
    // Santiago has no midnight when summer begins: 2026-09-06 04:00 UTC, 00:00 becomes 01:00.
    check(
        "America/Santiago",
        &["Sat:20:00-Sun:00:00", "Sun:00:30-Sun:02:00"],
        &[("2026-09-06T03:59:00Z", "2026-09-06T05:00:00Z")],
    );
}

#[test]
fn zones_join() {
    let berlin = WeeklyWindow::parse("Mon:08:00-Mon:12:00", Zone::parse("europe/berlin").unwrap()).unwrap();
    let utc = WeeklyWindow::parse("Mon:11:00-Mon:13:00", Zone::default()).unwrap();
    let hours = SuspensionHours::new(vec![utc, berlin]);
    assert_eq!(hours.at(at("2026-01-05T07:00:00Z")), Suspended::Until(at("2026-01-05T13:00:00Z")));
    assert_eq!(hours.at(at("2026-07-06T06:00:00Z")), Suspended::Until(at("2026-07-06T10:00:00Z")));
    assert_eq!(hours.next_change(at("2026-07-06T10:00:00Z")), Some(at("2026-07-06T11:00:00Z")));
    assert_eq!(hours.windows()[1].to_string(), "Mon:08:00-Mon:12:00 Europe/Berlin");
}

#[test]
fn the_whole_week_and_nothing() {
    let now = at("2026-03-29T01:30:00Z");
    for zone in ZONES {
        let all = hours(zone, &["Thu:00:00-Mon:00:00", "Mon:00:00-Thu:00:00"]);
        assert_eq!((all.at(now), all.next_change(now), all.cover_the_week()), (Suspended::Always, None, true));
    }
    let none = SuspensionHours::default();
    assert_eq!((none.at(now), none.next_change(now), none.cover_the_week()), (Suspended::No, None, false));
    // Two zones whose windows close each other's gap all year, and two that leave an hour open in summer.
    let two = |utc: &str, berlin: &str| {
        SuspensionHours::new(vec![
            WeeklyWindow::parse(utc, Zone::default()).unwrap(),
            WeeklyWindow::parse(berlin, Zone::parse("Europe/Berlin").unwrap()).unwrap(),
        ])
    };
    let closed = two("Mon:12:00-Mon:08:00", "Mon:08:00-Mon:16:00");
    assert_eq!((closed.at(now), closed.next_change(now)), (Suspended::Always, None));
    let january = at("2026-01-07T00:00:00Z");
    let summer = two("Mon:12:00-Mon:08:00", "Mon:08:00-Mon:13:00").at(january);
    assert_eq!(summer, Suspended::Until(at("2026-03-30T11:00:00Z")), "the first Monday of summer");
}

/// Whether the wall clock is in a window, as one would look it up.
fn looked_up(window: (u16, u16), shown: jiff::civil::DateTime) -> bool {
    let day = u16::try_from(shown.weekday().to_monday_zero_offset()).unwrap();
    let minute = day * 1440 + u16::try_from(shown.hour()).unwrap() * 60 + u16::try_from(shown.minute()).unwrap();
    let (start, end) = window;
    if start < end { start <= minute && minute < end } else { start <= minute || minute < end }
}

fn written(minute: u16) -> String {
    let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::from(minute / 1440)];
    format!("{day}:{:02}:{:02}", minute / 60 % 24, minute % 60)
}

/// Days around which clocks change somewhere, and others.
fn starts() -> impl Strategy<Value = u64> {
    let around = [
        "2026-03-07T00:00:00Z",
        "2026-03-27T00:00:00Z",
        "2026-04-03T00:00:00Z",
        "2026-09-04T00:00:00Z",
        "2026-10-02T00:00:00Z",
        "2026-10-24T00:00:00Z",
        "2026-10-31T00:00:00Z",
        "2040-03-24T00:00:00Z",
    ];
    let around = prop::sample::select(around.to_vec()).prop_map(|text| at(text).0);
    let any = at("2026-01-01T00:00:00Z").0..at("2031-01-01T00:00:00Z").0;
    prop_oneof![4 => (around, 0..3 * 1440_u64).prop_map(|(day, minute)| day + minute * MINUTE), 1 => any]
}

/// Minutes of a week, more often in the night to Sunday, when clocks change.
fn minute() -> impl Strategy<Value = u16> {
    let sunday_night = 6 * 1440 - 60..6 * 1440 + 240_u16;
    prop_oneof![2 => sunday_night, 1 => 0..7 * 1440_u16]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Minute by minute: open when a window is, `Until` is the first minute outside, `next_change` the first of another
    /// answer.
    #[test]
    fn as_a_clock_would_say(
        windows in prop::collection::vec((minute(), minute(), prop::sample::select(ZONES.to_vec())), 0..4),
        start in starts(),
    ) {
        let windows: Vec<_> = windows.into_iter().filter(|(start, end, _)| start != end).collect();
        let parsed = windows.iter().map(|(start, end, zone)| {
            let text = format!("{}-{}", written(*start), written(*end));
            WeeklyWindow::parse(&text, Zone::parse(zone).unwrap()).unwrap()
        });
        let hours = SuspensionHours::new(parsed.collect());
        let clocks: Vec<_> = windows.iter().map(|(_, _, name)| zone(name)).collect();
        let open = |now: Timestamp| {
            windows.iter().zip(&clocks).any(|((start, end, _), zone)| looked_up((*start, *end), wall(now, zone)))
        };
        // Clocks change on whole minutes, and so do windows.
        let whole = start / MINUTE * MINUTE;
        let now = open(Timestamp(start));
        let flip = (1..9 * 1440_u64).map(|minutes| Timestamp(whole + minutes * MINUTE)).find(|at| open(*at) != now);
        match hours.at(Timestamp(start)) {
            Suspended::No => prop_assert!(!now),
            Suspended::Until(end) => {
                prop_assert!(now);
                match flip {
                    Some(flip) => prop_assert_eq!(end, flip),
                    None => prop_assert!(end.0 > whole + 8 * 1440 * MINUTE),
                }
            }
            Suspended::Always => prop_assert!(now && flip.is_none()),
        }
        match (flip, hours.next_change(Timestamp(start))) {
            (Some(flip), change) => prop_assert_eq!(change, Some(flip)),
            (None, Some(change)) => prop_assert!(change.0 > whole + 8 * 1440 * MINUTE),
            (None, None) => {}
        }
    }

    #[test]
    fn any_moment_has_an_answer(
        now: u64,
        start in minute(),
        length in 1..7 * 1440_u16,
        zone in prop::sample::select(ZONES.to_vec()),
    ) {
        let text = format!("{}-{}", written(start), written((start + length) % (7 * 1440)));
        let hours = hours(zone, &[&text]);
        for now in [now, now % (1 << 43), u64::MAX, 0] {
            let _ = (hours.at(Timestamp(now)), hours.next_change(Timestamp(now)));
        }
    }
}
