use plimsoll_planner::windows::{CronWindow, Effect, Schedule, WeeklyWindow, WindowError, WindowLength, Zone};
use proptest::prelude::*;

fn weekly(text: &str) -> Result<WeeklyWindow, WindowError> {
    WeeklyWindow::parse(text, Zone::default())
}

fn schedule(text: &str) -> Result<Schedule, WindowError> {
    Schedule::parse(text, Zone::default())
}

#[test]
fn weekly_windows_say_what_is_wrong() {
    let cases = [
        ("", "is no weekly window; write it as Ddd:hh:mm-Ddd:hh:mm, for instance Fri:15:30-Mon:08:00"),
        ("weekend", "\"weekend\" is no weekly window"),
        ("Fri-Mon", "\"Fri-Mon\" is no weekly window"),
        ("Fri:15:30", "is no weekly window"),
        ("Fry:15:30-Mon:08:00", "\"Fry\" is no day of the week; write Mon, Tue"),
        ("Friday:15:30-Mon:08:00", "\"Friday\" is no day"),
        ("Fri:15-Mon:08:00", "\"15\" is no time of day"),
        ("Fri:24:00-Mon:08:00", "\"24:00\" is no time of day; write it from 00:00 to 23:59"),
        ("Fri:15:60-Mon:08:00", "\"15:60\" is no time"),
        ("Fri:15:30-Mon:8:00", "\"8:00\" is no time"),
        ("Fri:15:30-Mon:+8:00", "\"+8:00\" is no time"),
        ("Fri:15:30:00-Mon:08:00", "\"15:30:00\" is no time"),
        ("Fri:15:30-Mon:08:00-Tue:01:00", "\"08:00-Tue:01:00\" is no time"),
        ("Fri:15:30-fri:15:30", "starts and ends at the same time, so it is empty"),
    ];
    for (text, problem) in cases {
        let error = weekly(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
    assert_eq!(weekly(" SUN:00:00-mon:23:59 ").unwrap().to_string(), "Sun:00:00-Mon:23:59 UTC");
}

#[test]
fn time_zones_say_what_is_wrong() {
    for name in ["", "CEST!", "Europe/Berlim", "+02:00", "local", "../etc/passwd", "Etc/Unknown", &"x".repeat(10_000)] {
        let error = Zone::parse(name).unwrap_err().to_string();
        assert!(error.contains("is no IANA time zone; write a name like Europe/Berlin"), "{error}");
        assert!(error.len() < 300);
    }
    for (name, shown) in [("utc", "UTC"), ("america/new_york", "America/New_York"), (" Asia/Tokyo ", "Asia/Tokyo")] {
        assert_eq!(Zone::parse(name).unwrap().to_string(), shown);
    }
}

#[test]
fn schedules_say_what_is_wrong() {
    for (text, problem) in [
        ("", "has 0 fields and needs five: minute, hour, day of month, month, day of week"),
        ("0 2 * *", "has 4 fields"),
        ("0 0 2 * * SUN", "has 6 fields"),
        ("@daily", "has 1 fields"),
        ("60 2 * * *", "is no cron schedule"),
        ("0 24 * * *", "is no cron schedule"),
        ("0 2 * * FUN", "is no cron schedule"),
        ("0 2 * * %", "'%' means nothing in it"),
        ("0 2 * * *;", "';' means nothing in it"),
        ("0 2 30 2 *", "never comes; look at its day of month"),
        (", 2 * * *", "never comes"),
        (&format!("{} 2 * * *", "1,".repeat(1000)), "it is too long"),
    ] {
        let error = schedule(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
        assert!(error.len() < 600, "{error}");
    }
    for text in ["0 2 * * SUN", "*/15 22-23 L * *", "0 0 29 2 +MON", "0 0 ? * 5#3", "  0  2 * * 7 "] {
        assert!(schedule(text).is_ok(), "{text}: {:?}", schedule(text));
    }
}

#[test]
fn lengths_and_effects() {
    for (text, minutes) in
        [("1m", 1), ("30m", 30), ("2h", 120), ("1d", 1440), ("1h30m", 90), ("7d", 10_080), ("168h", 10_080)]
    {
        assert_eq!(WindowLength::parse(text).unwrap().get().0, minutes * 60_000, "{text}");
    }
    for text in ["", "h", "2", "2s", "2 h", "-1h", "1.5h", "2H", "zwei", "1h-30m", "²h", "1hé"] {
        let error = WindowLength::parse(text).unwrap_err();
        assert_eq!(error, WindowError::Length(text.to_owned()));
        assert!(error.to_string().contains("write minutes, hours or days, like 30m, 2h, 1d or 1h30m"));
    }
    for text in ["0m", "7d1m", "8d", "99999999999999999999999999d", "18446744073709551615d"] {
        let error = WindowLength::parse(text).unwrap_err();
        assert!(error.to_string().contains("is not between one minute and seven days"), "{text}: {error}");
    }
    assert_eq!(Effect::parse("ignorePdb"), Ok(Effect::IgnorePdb));
    assert_eq!(Effect::parse("ignoreRestrictScaleDown"), Ok(Effect::IgnoreRestrictScaleDown));
    let error = Effect::parse("ignorePDB").unwrap_err().to_string();
    assert_eq!(error, "\"ignorePDB\" is no effect of a window; write ignorePdb or ignoreRestrictScaleDown");
    let none = CronWindow::new(schedule("0 2 * * *").unwrap(), WindowLength::parse("2h").unwrap(), [].into());
    assert_eq!(none.unwrap_err(), WindowError::NoEffect);
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_no_panic(text: String, cron in "[0-9*,/#L+W?A-Za-z@\\- ]{0,40}", parts in prop::collection::vec("[0-9*]{1,3}[-/,#LW]?[0-9A-Z]{0,3}", 5)) {
        let _ = (weekly(&text), Zone::parse(&text), WindowLength::parse(&text), Effect::parse(&text));
        let _ = (schedule(&text), schedule(&cron), schedule(&parts.join(" ")), weekly(&cron), Zone::parse(&cron));
    }

    #[test]
    fn nearly_right_windows(text in "(Mon|tue|SUN|Xyz|é)?[:\\-]?[0-9é]{0,3}[:\\-]?[0-9]{0,3}[:\\-](Mon|Sun)?:?[0-9]{0,3}:?[0-9]{0,3}") {
        if let Ok(window) = weekly(&text) {
            prop_assert_eq!(window.to_string().to_lowercase(), format!("{} utc", text.to_lowercase()));
        }
    }
}
