//! Time, memory, tables, stack and log.

use plimsoll_model::{Bytes, Millis};
use plimsoll_planner::LogLevel;
use plimsoll_policy::{Failure, Limits};

use super::guest::{ScaleUp, launch};
use super::{ask, failure, load_failure, next_decision_is_right};

const LOG: &str = r#"(import "plimsoll:policy/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;

fn is_memory() -> Failure {
    Failure::Memory { limit: Limits::default().memory }
}

fn is_deadline() -> Failure {
    Failure::Deadline { limit: Limits::default().timeout }
}

fn trap(failure: Failure) -> String {
    match failure {
        Failure::Trap(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn endless_loop() {
    let program = ScaleUp { choose: "(loop $again (br $again)) (unreachable)", ..ScaleUp::default() }.load();
    let run = ask(&program);
    assert_eq!(run.result, Err(is_deadline()));
    assert!(run.micros >= 250_000, "ended before its time: {}", run.micros);
}

#[test]
fn a_shorter_limit_is_a_shorter_wait() {
    let wasm = ScaleUp { choose: "(loop $again (br $again)) (unreachable)", ..ScaleUp::default() }.wasm();
    let limits = Limits { timeout: Millis(20), ..Limits::default() };
    let program = super::guest::SANDBOX.load(&wasm, "{}", limits).unwrap();
    assert_eq!(failure(&program), Failure::Deadline { limit: Millis(20) });
}

#[test]
fn instantiation_that_never_ends() {
    let items = "(func $start (loop $again (br $again))) (start $start)";
    assert_eq!(load_failure(&ScaleUp { items, ..ScaleUp::default() }.wasm()), is_deadline());
}

#[test]
fn memory_bomb() {
    let choose = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let run = ask(&ScaleUp { choose, ..ScaleUp::default() }.load());
    assert_eq!(run.result, Err(is_memory()));
    assert!(run.peak_memory <= Limits::default().memory && run.peak_memory > Bytes(60 << 20), "{}", run.peak_memory);
}

#[test]
fn memory_bomb_in_one_piece() {
    let choose = "(if (i32.eq (memory.grow (i32.const 65534)) (i32.const -1)) (then (unreachable))) (i32.const 8)";
    assert_eq!(failure(&ScaleUp { choose, ..ScaleUp::default() }.load()), is_memory());
}

#[test]
fn memory_bomb_that_fails_on_purpose_in_between() {
    // Growth beyond 4 GiB fails before the host is asked; it must not give anything back.
    let choose = "(loop $more
            (drop (memory.grow (i32.const 65535)))
            (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (unreachable)";
    let run = ask(&ScaleUp { choose, ..ScaleUp::default() }.load());
    assert_eq!(run.result, Err(is_memory()));
    assert!(run.peak_memory <= Limits::default().memory, "{}", run.peak_memory);
}

#[test]
fn memory_bomb_in_two_memories() {
    let choose = "
        (loop $more (br_if $more (i32.lt_u (memory.grow (i32.const 1)) (i32.const 600))))
        (loop $other (br_if $other (i32.lt_u (memory.grow $second (i32.const 1)) (i32.const 600))))
        (unreachable)";
    let run = ask(&ScaleUp { items: "(memory $second 1)", choose, ..ScaleUp::default() }.load());
    assert_eq!(run.result, Err(is_memory()));
}

#[test]
fn a_policy_that_copes_with_less_memory_is_heard() {
    let choose = "(drop (memory.grow (i32.const 65534))) (i32.const 8)";
    assert_eq!(ask(&ScaleUp { choose, ..ScaleUp::default() }.load()).result, Ok(None));
}

#[test]
fn minimum_memory_of_four_gibibytes() {
    assert_eq!(load_failure(&ScaleUp { memory: "65536", ..ScaleUp::default() }.wasm()), is_memory());
}

#[test]
fn table_bomb() {
    let choose = "
        (loop $more (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
        (unreachable)";
    assert_eq!(
        failure(&ScaleUp { items: "(table $table 1 funcref)", choose, ..ScaleUp::default() }.load()),
        is_memory()
    );
}

#[test]
fn table_bomb_in_many_tables() {
    let items = "(table $a 1 funcref) (table $b 1 funcref)";
    let choose = "
        (drop (table.grow $a (ref.null func) (i32.const 40000)))
        (if (i32.eq (table.grow $b (ref.null func) (i32.const 40000)) (i32.const -1)) (then (unreachable)))
        (i32.const 8)";
    assert_eq!(failure(&ScaleUp { items, choose, ..ScaleUp::default() }.load()), is_memory());
}

#[test]
fn stack_overflow() {
    let items = "(func $deeper (param i32) (result i32)
        (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))";
    let program = ScaleUp { items, choose: "(call $deeper (i32.const 0))", ..ScaleUp::default() }.load();
    let sentence = trap(failure(&program));
    assert!(sentence.contains("stack") && sentence.contains("deeper"), "{sentence}");
    // As documented: a mebibyte of the caller's stack is enough.
    let small = std::thread::Builder::new().stack_size(1 << 20).spawn(move || super::guest::ask(&program).result);
    assert!(matches!(small.unwrap().join().unwrap(), Err(Failure::Trap(_))));
}

#[test]
fn trap_in_start() {
    let items = "(func $start (unreachable)) (start $start)";
    let sentence = trap(load_failure(&ScaleUp { items, ..ScaleUp::default() }.wasm()));
    assert!(sentence.contains("panicked or aborted, in start"), "{sentence}");
}

#[test]
fn unreachable_with_last_words() {
    let program = ScaleUp {
        imports: LOG,
        items: r#"(data (i32.const 64) "no price for m5.large") (func $price_of (unreachable))"#,
        choose: "(call $log (i32.const 3) (i32.const 64) (i32.const 21)) (call $price_of) (i32.const 8)",
        ..ScaleUp::default()
    }
    .load();
    let run = ask(&program);
    let sentence = trap(run.result.unwrap_err());
    assert!(sentence.contains("in price_of < "), "{sentence}");
    assert!(sentence.ends_with("its last words: no price for m5.large"), "{sentence}");
    assert_eq!(run.log.len(), 1);
    assert_eq!(run.log[0].level, LogLevel::Error);
}

#[test]
fn log_flood() {
    let choose = "
        (loop $more
            (call $log (i32.const 1) (i32.const 64) (i32.const 3))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $at) (i32.const 10000))))
        (i32.const 8)";
    let program =
        ScaleUp { imports: LOG, items: r#"(data (i32.const 64) "abc")"#, choose, ..ScaleUp::default() }.load();
    let run = ask(&program);
    assert_eq!(run.result, Ok(None));
    assert_eq!((run.log.len() as u64, run.log_dropped), (64, 10_000 - 64));
}

#[test]
fn log_flood_without_end() {
    let choose = "(loop $more (call $log (i32.const 1) (i32.const 64) (i32.const 60000)) (br $more)) (unreachable)";
    let run = ask(&ScaleUp { imports: LOG, choose, ..ScaleUp::default() }.load());
    assert_eq!(run.result, Err(is_deadline()));
    let bytes: usize = run.log.iter().map(|line| line.message.len()).sum();
    assert!(bytes as u64 <= Limits::default().log_bytes.0 + 100, "{bytes}");
}

#[test]
fn a_long_line_is_cut() {
    let choose = "(call $log (i32.const 1) (i32.const 131072) (i32.const 100000)) (i32.const 8)";
    let run = ask(&ScaleUp { imports: LOG, memory: "4", choose, ..ScaleUp::default() }.load());
    assert_eq!(run.result, Ok(None));
    assert!(run.log[0].message.ends_with("[cut]"));
    assert!((run.log[0].message.len() as u64) < Limits::default().log_bytes.0 + 10);
}

#[test]
fn one_line_of_a_hundred_megabytes() {
    let limits = Limits { memory: Bytes(256 << 20), ..Limits::default() };
    let choose = "(call $log (i32.const 1) (i32.const 0) (i32.const 100000000)) (i32.const 8)";
    let wasm = ScaleUp { imports: LOG, memory: "2000", choose, ..ScaleUp::default() }.wasm();
    let run = ask(&super::guest::SANDBOX.load(&wasm, "{}", limits).unwrap());
    match run.result {
        Err(Failure::Output(sentence)) => assert!(sentence.contains("larger than 1Mi"), "{sentence}"),
        other => panic!("{other:?}"),
    }
    assert!(run.log.is_empty());
}

#[test]
fn every_decision_begins_anew() {
    // A counter in a global, in memory and in a table would each show what an earlier decision left behind.
    let items = r#"(global $calls (mut i32) (i32.const 0)) (data (i32.const 64) "again")"#;
    let choose = "
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 256) (i32.add (i32.load (i32.const 256)) (i32.const 1)))
        (i32.store8 (i32.const 16) (i32.const 2))
        (i32.store (i32.const 20) (i32.const 32))
        (i32.store (i32.const 24) (i32.const 1))
        (i32.store (i32.const 32) (global.get $calls))
        (i32.store (i32.const 36) (i32.load (i32.const 256)))
        (i32.store (i32.const 40) (i32.const 64))
        (i32.store (i32.const 44) (i32.const 5))
        (i32.const 16)";
    let program = ScaleUp { items, choose, ..ScaleUp::default() }.load();
    for _ in 0..50 {
        assert_eq!(ask(&program).result, Ok(Some(launch(1, 1, "again"))));
    }
}

#[test]
fn many_hostile_policies_at_once_leave_room_for_a_good_one() {
    let program = ScaleUp { choose: "(loop $again (br $again)) (unreachable)", ..ScaleUp::default() }.load();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert_eq!(super::guest::ask(&program).result, Err(is_deadline())));
        }
    });
    next_decision_is_right();
}
