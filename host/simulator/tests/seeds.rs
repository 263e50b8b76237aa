//! Hundreds of clusters, each some hours of its life: nothing that was promised is broken.
//!
//! `PLIMSOLL_SEEDS` says how many (300), `PLIMSOLL_FIRST_SEED` from which on, `PLIMSOLL_SEED` tells the story of one,
//! `PLIMSOLL_HOURS` how long each lives (3).

#![allow(clippy::print_stdout, reason = "a story is there to be read")]

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_simulator::scenario::scenario;
use plimsoll_simulator::{Report, Run, Seed, invariant};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(seed: u64) -> Result<Report, String> {
    let hours = number("PLIMSOLL_HOURS", 3);
    let work = || Run::new(scenario(Seed(seed), hours), invariant::all()).finish(&mut |_| {});
    match catch_unwind(work) {
        Ok(done) => done.map_err(|broken| broken.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(format!("{}: a panic: {}", Seed(seed), said.unwrap_or("without a word")))
        }
    }
}

#[test]
fn no_promise_is_broken() {
    if let Ok(seed) = std::env::var("PLIMSOLL_SEED") {
        let seed = Seed(seed.parse().unwrap());
        let (done, story) = Run::new(scenario(seed, number("PLIMSOLL_HOURS", 3)), invariant::all()).follow();
        println!("{}", story.join("\n"));
        println!("{:?}", done.map(|report| report.totals));
        return;
    }
    let (first, count) = (number("PLIMSOLL_FIRST_SEED", 0), number("PLIMSOLL_SEEDS", 300));
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let sums = Mutex::new([0_u64; 7]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    match run(seed) {
                        Err(problem) => failed.lock().unwrap().push((seed, problem)),
                        Ok(report) => {
                            let mut sums = sums.lock().unwrap();
                            let figures = [
                                report.changes,
                                report.launches.into(),
                                report.completed.into(),
                                report.evictions.into(),
                                report.forced.into(),
                                report.timed_out.into(),
                                report.cancelled.into(),
                            ];
                            sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
                        }
                    }
                }
            });
        }
    });
    let [changes, launches, drains, evictions, forced, timed_out, cancelled] = *sums.lock().unwrap();
    println!(
        "{count} seeds: {changes} changes, {launches} launches, {drains} drains, {evictions} evictions, {forced} forced, \
         {timed_out} timed out, {cancelled} cancelled"
    );
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let problems: Vec<String> = failed.into_iter().map(|(_, problem)| problem).collect();
    assert!(problems.is_empty(), "{} seeds failed:\n{}", problems.len(), problems.join("\n"));
    // A simulation in which nothing happens proves nothing.
    if count >= 50 {
        assert!(drains > count / 2 && evictions > count && launches > u64::from(u32::try_from(count).unwrap()));
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [2, 5, 11] {
        let story = || {
            let (done, story) = Run::new(scenario(Seed(seed), 2), invariant::all()).follow();
            (done.map(|report| (report.totals, report.samples)), story)
        };
        let (first, second) = (story(), story());
        assert_eq!(first.0, second.0);
        let differing = first.1.iter().zip(&second.1).find(|(first, second)| first != second);
        assert_eq!(differing, None, "{}", Seed(seed));
        assert!(first.1.len() > 5, "something happens");
    }
}
