//! Policies that try to take more than they are given, each followed by a decision of the good policy.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a surprise is a failure")]

mod answers;
#[path = "../guest/mod.rs"]
mod guest;
mod modules;
mod resources;
mod wasi;

use std::time::{Duration, Instant};

use plimsoll_planner::scale_up::ScaleUpVerdict;
use plimsoll_policy::{Failure, Limits, Program, Run};

/// The good policy answers rightly, and within its own time limit.
fn next_decision_is_right() {
    let run = guest::ask(&guest::GOOD);
    assert_eq!(run.result, Ok(Some(guest::good_answer())));
    assert!(Duration::from_micros(run.micros) < Duration::from_millis(Limits::default().timeout.0), "{}", run.micros);
}

/// Asks a hostile policy, then the good one. The call must end within its limit and a margin for slow machines.
fn ask(program: &Program) -> Run<ScaleUpVerdict> {
    // Loaded before the clock starts.
    let _ = &*guest::GOOD;
    let begin = Instant::now();
    let run = guest::ask(program);
    assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
    next_decision_is_right();
    run
}

/// Asks a hostile policy and gives what it did wrong.
fn failure(program: &Program) -> Failure {
    ask(program).result.unwrap_err()
}

/// Loads a hostile policy, which must not succeed, then asks the good one.
fn load_failure(wasm: &[u8]) -> Failure {
    let failure = guest::SANDBOX.load(wasm, "{}", Limits::default()).unwrap_err();
    next_decision_is_right();
    failure
}
