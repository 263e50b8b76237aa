//! Traces, a made-up one and the real ones.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]
#![allow(clippy::print_stdout, reason = "figures are there to be read")]

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use plimsoll_model::Millis;
use plimsoll_simulator::scenario::settings;
use plimsoll_simulator::trace::{Arrival, Format, Trace, groups_for, no_limits, read, replay};
use plimsoll_simulator::{Report, Run, Seed, Sensible};

fn run(trace: &Trace, days: f64, scale_down: bool) -> Report {
    let mut settings = settings(groups_for(trace), Rc::new(Sensible));
    settings.scale_up.limits = no_limits();
    settings.scale_down.enabled = scale_down;
    Run::new(replay(trace, days, settings, Seed(7)), Vec::new()).finish(&mut |_| {}).unwrap()
}

/// A morning in which work comes and an afternoon in which it goes.
fn day() -> Trace {
    let arrival = |number: u64| Arrival {
        at: Millis(number * 120_000),
        span: Some(Millis(3 * 3_600_000 + number * 7_000)),
        cpu: 500 + 250 * (number % 4),
        memory: 1024,
        gpus: 0,
    };
    Trace { format: Format::OpenB, arrivals: (0..150).map(arrival).collect() }
}

#[test]
fn a_day_of_a_trace_comes_to_figures_and_scale_down_makes_it_cheaper() {
    let begin = Instant::now();
    let with = run(&day(), 1.0, true);
    println!("a day of {} pods in {:?}: {:?}", with.changes, begin.elapsed(), with.totals);
    let without = run(&day(), 1.0, false);
    assert!(with.totals.placed >= 150, "{:?}", with.totals);
    assert!(with.totals.cost < without.totals.cost, "{} and {}", with.totals.cost, without.totals.cost);
    assert!(with.totals.removals > 0 && with.totals.utilisation_permille > without.totals.utilisation_permille);
    assert!(with.samples.len() > 300);
    assert_eq!(with.samples.last().unwrap().pending, 0);
    assert_eq!(run(&day(), 1.0, true).totals, with.totals, "the same again");
}

#[test]
fn real_traces_run() {
    let Ok(data) = std::env::var("PLIMSOLL_SHARED_DATA") else { return };
    let Ok(which) = std::env::var("PLIMSOLL_TRACE") else { return };
    let days: f64 = std::env::var("PLIMSOLL_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(1.0);
    let every: usize = std::env::var("PLIMSOLL_EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(1);
    let from: f64 = std::env::var("PLIMSOLL_FROM").ok().and_then(|days| days.parse().ok()).unwrap_or(0.0);
    let trace = read(&Path::new(&data).join("traces").join(which), &mut |_| {}).unwrap().from_day(from).thinned(every);
    let begin = Instant::now();
    let report = run(&trace, days, true);
    println!("{} changes in {:?}: {:?}", report.changes, begin.elapsed(), report.totals);
    assert!(report.totals.placed > 0);
}
