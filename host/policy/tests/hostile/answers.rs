//! Answers that make no sense, or are meant to make the host stumble.

use plimsoll_model::Bytes;
use plimsoll_planner::scale_up::{Choice, ScaleUpVerdict};
use plimsoll_policy::{Failure, Limits};

use super::guest::{SANDBOX, ScaleUp};
use super::{ask, failure};

/// Writes a verdict of this case whose payload is a list or string at `at` of `len`, and gives its address.
fn verdict(case: u32, at: &str, len: &str) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const {case}))
         (i32.store (i32.const 20) (i32.const {at}))
         (i32.store (i32.const 24) (i32.const {len}))
         (i32.const 16)"
    )
}

fn output(failure: Failure) -> String {
    match failure {
        Failure::Output(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

/// With memory enough for the large answers to be real.
fn load_large(choose: &str) -> plimsoll_policy::Program {
    let limits = Limits { memory: Bytes(512 << 20), ..Limits::default() };
    let wasm = ScaleUp { memory: "4000", choose, ..ScaleUp::default() }.wasm();
    SANDBOX.load(&wasm, "{}", limits).unwrap()
}

#[test]
fn bad_utf8() {
    let choose = verdict(1, "64", "4");
    let program =
        ScaleUp { items: r#"(data (i32.const 64) "ab\ff\fe")"#, choose: &choose, ..ScaleUp::default() }.load();
    let sentence = output(failure(&program));
    assert!(sentence.contains("utf-8"), "{sentence}");
}

#[test]
fn ten_million_items() {
    // The smaller list would pass wasmtime's own bound on what is copied.
    for items in ["10000000", "1000000"] {
        let run = ask(&load_large(&verdict(2, "1024", items)));
        let sentence = output(run.result.unwrap_err());
        assert!(sentence.contains("larger than 1Mi"), "{sentence}");
        assert!(run.micros < 100_000, "the host looked at each: {}", run.micros);
    }
}

#[test]
fn a_hundred_megabytes_of_reason() {
    let run = ask(&load_large(&verdict(1, "1024", "100000000")));
    let sentence = output(run.result.unwrap_err());
    assert!(sentence.contains("larger than 1Mi"), "{sentence}");
    assert!(run.micros < 100_000, "the host copied it: {}", run.micros);
}

#[test]
fn many_reasons_that_are_too_large_together() {
    // 2,000 items of 1 KiB: each is fine, all of them are not. The items are made in a loop.
    let choose = format!(
        "(loop $more
            (i32.store (i32.add (i32.const 65544) (i32.mul (local.get $at) (i32.const 16))) (i32.const 1024))
            (i32.store (i32.add (i32.const 65548) (i32.mul (local.get $at) (i32.const 16))) (i32.const 1024))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $at) (i32.const 2000))))
         {}",
        verdict(2, "65536", "2000")
    );
    let sentence = output(failure(&load_large(&choose)));
    assert!(sentence.contains("larger than 1Mi"), "{sentence}");
}

#[test]
fn pointers_out_of_bounds() {
    for choose in [
        "(i32.const 0xfffffff0)".to_owned(),
        "(i32.const 3)".to_owned(),
        verdict(1, "0xffffff00", "16"),
        verdict(1, "64", "0xffffffff"),
        verdict(2, "0xffffff00", "16"),
        verdict(2, "64", "0x0fffffff"),
        verdict(2, "66", "1"),
        verdict(9, "0", "0"),
    ] {
        let sentence = output(failure(&ScaleUp { choose: &choose, ..ScaleUp::default() }.load()));
        assert!(sentence.starts_with("it makes no sense: "), "{choose}: {sentence}");
    }
}

#[test]
fn an_allocator_that_returns_garbage() {
    for realloc in ["(i32.const 0xfffffff0)", "(i32.const 131072)", "(i32.const 3)"] {
        let sentence = output(failure(&ScaleUp { realloc, ..ScaleUp::default() }.load()));
        assert!(sentence.contains("realloc"), "{realloc}: {sentence}");
    }
}

#[test]
fn an_allocator_that_gives_the_same_place_twice() {
    // The request overwrites itself, which is the policy's loss alone.
    let program = ScaleUp { realloc: "(i32.const 1024)", ..ScaleUp::default() }.load();
    assert_eq!(ask(&program).result, Ok(None));
}

#[test]
fn an_allocator_that_calls_the_host() {
    let imports = r#"(import "plimsoll:policy/cluster@0.1.0" "nodes" (func $nodes (param i32)))"#;
    let realloc = "(call $nodes (i32.const 0)) (i32.const 1024)";
    let failure = failure(&ScaleUp { imports, realloc, ..ScaleUp::default() }.load());
    assert!(matches!(failure, Failure::Trap(_)), "{failure:?}");
}

#[test]
fn ids_that_do_not_exist() {
    let imports = r#"
        (import "plimsoll:policy/cluster@0.1.0" "get-pod" (func $get-pod (param i32 i32)))
        (import "plimsoll:policy/cluster@0.1.0" "get-node" (func $get-node (param i32 i32)))
        (import "plimsoll:policy/cluster@0.1.0" "node-pods" (func $node-pods (param i32 i32)))
        (import "plimsoll:policy/cluster@0.1.0" "pod-label" (func $pod-label (param i32 i32 i32 i32)))"#;
    // Each look-up must give `none`, or an empty list; then the ids are answered, twice.
    let choose = format!(
        "(i32.store8 (i32.const 512) (i32.const 7))
         (call $get-pod (i32.const -1) (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then (unreachable)))
         (i32.store8 (i32.const 512) (i32.const 7))
         (call $get-node (i32.const -1) (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then (unreachable)))
         (i32.store (i32.const 516) (i32.const 7))
         (call $node-pods (i32.const 1000000) (i32.const 512))
         (if (i32.load (i32.const 516)) (then (unreachable)))
         (i32.store8 (i32.const 512) (i32.const 7))
         (call $pod-label (i32.const -1) (i32.const 64) (i32.const 3) (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then (unreachable)))
         {}",
        verdict(2, "1024", "2")
    );
    let items = r#"
        (data (i32.const 64) "app")
        (data (i32.const 1024) "\ff\ff\ff\ff\ff\ff\ff\ff\40\00\00\00\03\00\00\00")
        (data (i32.const 1040) "\ff\ff\ff\ff\ff\ff\ff\ff\40\00\00\00\03\00\00\00")"#;
    let run = ask(&ScaleUp { imports, items, choose: &choose, ..ScaleUp::default() }.load());
    let choice = Choice { option: u32::MAX, count: u32::MAX, reason: "app".into() };
    assert_eq!(run.result, Ok(Some(ScaleUpVerdict::Launch(vec![choice.clone(), choice]))));
}

#[test]
fn a_key_of_a_hundred_megabytes() {
    let limits = Limits { memory: Bytes(512 << 20), ..Limits::default() };
    let imports = r#"(import "plimsoll:policy/cluster@0.1.0" "node-label" (func $label (param i32 i32 i32 i32)))"#;
    let choose = "(call $label (i32.const 0) (i32.const 0) (i32.const 100000000) (i32.const 512)) (i32.const 8)";
    let wasm = ScaleUp { imports, memory: "2000", choose, ..ScaleUp::default() }.wasm();
    let sentence = output(failure(&SANDBOX.load(&wasm, "{}", limits).unwrap()));
    assert!(sentence.contains("a text or list that it hands to the host"), "{sentence}");
}
