//! What well-behaved policies may rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a surprise is a failure")]

mod guest;

use std::sync::Arc;
use std::thread;

use plimsoll_model::{Bytes, Millis, Snapshot};
use plimsoll_planner::csr::CsrVerdict;
use plimsoll_planner::drain::{NodeChoice, NodesVerdict, PodTurn};
use plimsoll_planner::scale_up::ScaleUpVerdict;
use plimsoll_planner::{LogLevel, LogLine, Point};
use plimsoll_policy::{Failure, Limits, ModuleKind, Program};

use guest::{GOOD, SANDBOX, ScaleUp, ask, good_answer, question};

fn nothing() -> Arc<Snapshot> {
    Arc::default()
}

/// A policy that exports other points, from the text of its functions. Memory from 64 KiB on is for requests.
fn of(world: &str, functions: &str) -> Program {
    let text = format!(
        r#"(module
            (memory (export "memory") 4)
            (global $next (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
            {functions})"#
    );
    SANDBOX.load(&guest::typed(&text, &guest::contract(), world), "{}", Limits::default()).unwrap()
}

#[test]
fn a_pass_is_no_verdict() {
    let run = ask(&ScaleUp::default().load());
    assert_eq!(run.result, Ok(None));
    assert!(run.log.is_empty() && run.log_dropped == 0);
    assert_eq!(run.peak_memory, Bytes(2 << 16));
}

#[test]
fn a_scale_up_policy_answers() {
    assert_eq!(GOOD.points(), [Point::ScaleUp]);
    assert_eq!(ask(&GOOD).result, Ok(Some(good_answer())));
    let hold = "(i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 20) (i32.const 64)) (i32.store (i32.const 24) (i32.const 4)) (i32.const 16)";
    let hold = ScaleUp { items: r#"(data (i32.const 64) "w\c3\a4it")"#, choose: hold, ..ScaleUp::default() };
    assert_eq!(ask(&hold.load()).result, Ok(Some(ScaleUpVerdict::Hold("wäi".into()))));
}

#[test]
fn a_drain_policy_answers_both_questions() {
    // Nodes: drains the second candidate by the host's name for it, keeps the first. Pods: the last one first,
    // after a minute; then the first after the host's spacing.
    let functions = r#"
        (data (i32.const 64) "savesbusylastfirst")
        (func (export "plimsoll:policy/drain@0.1.0#order-nodes")
            (param i64 i64 i32 i32) (param $candidates i32) (param $len i32) (param $max i32) (result i32)
            (i32.store8 (i32.const 16) (i32.const 2))
            (i32.store (i32.const 20) (i32.const 128)) (i32.store (i32.const 24) (i32.const 1))
            (i32.store (i32.const 28) (i32.const 160)) (i32.store (i32.const 32) (i32.const 1))
            (i32.store (i32.const 128) (i32.load (i32.add (local.get $candidates) (i32.const 136))))
            (i32.store (i32.const 132) (i32.const 64)) (i32.store (i32.const 136) (i32.const 5))
            (i32.store (i32.const 160) (i32.load (local.get $candidates)))
            (i32.store (i32.const 164) (i32.const 69)) (i32.store (i32.const 168) (i32.const 4))
            (i32.const 16))
        (func (export "plimsoll:policy/drain@0.1.0#order-pods") (param $request i32) (result i32)
            (i32.store8 (i32.const 16) (i32.const 1))
            (i32.store (i32.const 20) (i32.const 128)) (i32.store (i32.const 24) (i32.const 2))
            (i32.store (i32.const 128) (i32.const 12))
            (i32.store8 (i32.const 136) (i32.const 1)) (i64.store (i32.const 144) (i64.const 60000))
            (i32.store (i32.const 152) (i32.const 73)) (i32.store (i32.const 156) (i32.const 4))
            (i32.store (i32.const 160) (i32.const 10))
            (i32.store (i32.const 184) (i32.const 77)) (i32.store (i32.const 188) (i32.const 5))
            (i32.const 16))"#;
    let program = of("include plimsoll:policy/drain-policy@0.1.0;", functions);
    assert_eq!(program.points(), [Point::Drain]);
    let choice = |node, reason: &str| NodeChoice { node, reason: reason.into() };
    let order = NodesVerdict::Order { drain: vec![choice(1, "saves")], keep: vec![choice(0, "busy")] };
    assert_eq!(program.order_nodes(&nothing(), &guest::nodes_question(2)).result, Ok(Some(order)));
    let turns = vec![
        PodTurn { pod: 12, wait: Some(Millis(60_000)), reason: "last".into() },
        PodTurn { pod: 10, wait: None, reason: "first".into() },
    ];
    assert_eq!(program.order_pods(&nothing(), &guest::pods_question()).result, Ok(Some(turns)));
}

#[test]
fn a_csr_policy_answers() {
    // The verdict is the signer's number plus one; the reason is the node's name as it stands in the request.
    let functions = r#"
        (func (export "plimsoll:policy/csr-approval@0.1.0#review") (param $request i32) (result i32)
            (i32.store8 (i32.const 16) (i32.add (i32.load8_u (i32.add (local.get $request) (i32.const 32))) (i32.const 1)))
            (i32.store (i32.const 20) (i32.load (i32.add (local.get $request) (i32.const 36))))
            (i32.store (i32.const 24) (i32.load (i32.add (local.get $request) (i32.const 40))))
            (i32.const 16))"#;
    let program = of("include plimsoll:policy/csr-approval-policy@0.1.0;", functions);
    let mut question = guest::csr_question();
    let review = |question: &_| program.review(&nothing(), question).result;
    assert_eq!(review(&question), Ok(Some(CsrVerdict::Deny("node-7".into()))));
    question.signer = plimsoll_planner::csr::KubeletSigner::Client;
    assert_eq!(review(&question), Ok(Some(CsrVerdict::Approve("node-7".into()))));
}

#[test]
fn a_point_that_is_not_exported_is_a_contract_failure() {
    let result = GOOD.review(&nothing(), &guest::csr_question()).result;
    assert_eq!(result, Err(Failure::Contract("it does not export `plimsoll:policy/csr-approval`".into())));
}

#[test]
fn settings_are_validated_at_load() {
    // Accepts texts of two bytes, that is `{}`.
    let items = r#"
        (data (i32.const 64) "`zone` is missing: name one")
        (func (export "plimsoll:policy/settings@0.1.0#validate") (param i32) (param $len i32) (result i32)
            (i32.store8 (i32.const 16) (i32.ne (local.get $len) (i32.const 2)))
            (i32.store (i32.const 20) (i32.const 64)) (i32.store (i32.const 24) (i32.const 27))
            (i32.const 16))"#;
    let world = "export plimsoll:policy/settings@0.1.0;";
    let wasm = ScaleUp { world, items, ..ScaleUp::default() }.wasm();
    let load = |settings| SANDBOX.load(&wasm, settings, Limits::default()).map(|_| ());
    assert_eq!(load("{}"), Ok(()));
    assert_eq!(load("{\"zone\":1}"), Err(Failure::Settings("`zone` is missing: name one".into())));
    assert!(SANDBOX.inspect(&wasm).takes_settings);
}

#[test]
fn validation_has_the_same_limits() {
    let items = r#"
        (func (export "plimsoll:policy/settings@0.1.0#validate") (param i32 i32) (result i32)
            (loop $again (br $again)) (unreachable))"#;
    let wasm = ScaleUp { world: "export plimsoll:policy/settings@0.1.0;", items, ..ScaleUp::default() }.wasm();
    let limits = Limits { timeout: Millis(30), ..Limits::default() };
    assert_eq!(SANDBOX.load(&wasm, "{}", limits).unwrap_err(), Failure::Deadline { limit: Millis(30) });
}

#[test]
fn settings_reach_a_policy_that_does_not_validate_them() {
    // Holds with the settings as the reason.
    let choose = "(i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 20) (local.get $settings)) (i32.store (i32.const 24) (local.get $settings-len))
        (i32.const 16)";
    let wasm = ScaleUp { choose, ..ScaleUp::default() }.wasm();
    let program = SANDBOX.load(&wasm, r#"{"a":"ä"}"#, Limits::default()).unwrap();
    assert_eq!(ask(&program).result, Ok(Some(ScaleUpVerdict::Hold(r#"{"a":"ä"}"#.into()))));
}

#[test]
fn the_digest_is_that_of_the_file() {
    let wasm = ScaleUp::default().wasm();
    let inspection = SANDBOX.inspect(&wasm);
    assert_eq!(inspection.digest, *ScaleUp::default().load().digest());
    assert_eq!(inspection.size, Bytes(wasm.len() as u64));
    assert_eq!(SANDBOX.inspect(b"abc").digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn log_lines_come_with_their_levels() {
    let program = ScaleUp {
        imports: r#"(import "plimsoll:policy/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        items: r#"(data (i32.const 64) "one two ")"#,
        choose: "(call $log (i32.const 0) (i32.const 64) (i32.const 3))
            (call $log (i32.const 2) (i32.const 68) (i32.const 3)) (i32.const 8)",
        ..ScaleUp::default()
    };
    let line = |level, message: &str| LogLine { level, message: message.into() };
    assert_eq!(ask(&program.load()).log, [line(LogLevel::Debug, "one"), line(LogLevel::Warn, "two")]);
}

/// Answers with what clocks and chance say.
fn gambler() -> Program {
    ScaleUp {
        world: "import wasi:random/random@0.2.0; import wasi:random/insecure@0.2.0;
            import wasi:random/insecure-seed@0.2.0; import wasi:clocks/wall-clock@0.2.0;
            import wasi:clocks/monotonic-clock@0.2.0;",
        imports: r#"
            (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
            (import "wasi:random/random@0.2.0" "get-random-bytes" (func $bytes (param i64 i32)))
            (import "wasi:random/insecure@0.2.0" "get-insecure-random-u64" (func $insecure (result i64)))
            (import "wasi:random/insecure-seed@0.2.0" "insecure-seed" (func $seed (param i32)))
            (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic (result i64)))
            (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))"#,
        // Three choices: two random numbers; bytes and a seed; milliseconds of the second, and the seconds.
        choose: "
            (i32.store8 (i32.const 16) (i32.const 2))
            (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const 3))
            (i64.store (i32.const 1024) (i64.xor (call $random) (call $insecure)))
            (call $bytes (i64.const 4) (i32.const 512))
            (call $seed (i32.const 528))
            (i32.store (i32.const 1040) (i32.load (i32.load (i32.const 512))))
            (i32.store (i32.const 1044) (i32.load (i32.const 528)))
            (call $wall (i32.const 512))
            (i32.store (i32.const 1056) (i32.div_u (i32.load (i32.const 520)) (i32.const 1000000)))
            (i32.store (i32.const 1060) (i32.add (i32.load (i32.const 512)) (i32.wrap_i64 (call $monotonic))))
            (i32.const 16)",
        ..ScaleUp::default()
    }
    .load()
}

#[test]
fn the_same_question_has_the_same_answer() {
    let program = gambler();
    let answer = |seed| {
        let mut question = question(3);
        question.seed = seed;
        match program.choose(&nothing(), &question).result {
            Ok(Some(ScaleUpVerdict::Launch(choices))) => choices,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(answer(7), answer(7));
    let (seven, eight) = (answer(7), answer(8));
    assert_ne!(seven[0], eight[0]);
    assert_ne!(seven[1], eight[1]);
    // The clocks say when the decision is, and stand still.
    assert_eq!((seven[2].option, seven[2].count), (123, 1_700_000_000));
    assert_eq!(seven[2], eight[2]);
}

#[test]
fn many_threads_ask_at_once() {
    let gambler = gambler();
    let expected = ask(&gambler).result;
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(ask(&GOOD).result, Ok(Some(good_answer())));
                    assert_eq!(ask(&gambler).result, expected);
                }
            });
        }
    });
}

#[test]
fn a_program_outlives_its_sandbox() {
    let wasm = ScaleUp { choose: "(loop $again (br $again)) (unreachable)", ..ScaleUp::default() }.wasm();
    let limits = Limits { timeout: Millis(20), ..Limits::default() };
    let sandbox = plimsoll_policy::Sandbox::new().unwrap();
    let program = sandbox.load(&wasm, "{}", limits).unwrap();
    drop(sandbox);
    // Its clock goes on too.
    assert_eq!(ask(&program).result, Err(Failure::Deadline { limit: Millis(20) }));
}

#[test]
fn a_component_with_its_own_version_of_the_contract_imports_is_linked() {
    // A later patch of the contract with one more function in `log`, which this policy does not call.
    let contract = guest::contract()
        .replace("policy@0.1.0", "policy@0.1.4")
        .replace("log: func(level", "flush: func(); log: func(level");
    let text = r#"(module
        (import "plimsoll:policy/log@0.1.4" "log" (func $log (param i32 i32 i32)))
        (memory (export "memory") 2)
        (data (i32.const 64) "hi")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "plimsoll:policy/scale-up@0.1.4#choose")
            (param i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64) (result i32)
            (call $log (i32.const 1) (i32.const 64) (i32.const 2)) (i32.const 8)))"#;
    let wasm = guest::typed(text, &contract, "include plimsoll:policy/scale-up-policy@0.1.4;");
    let program = SANDBOX.load(&wasm, "{}", Limits::default()).unwrap();
    assert_eq!(ask(&program).log[0].message, "hi");
}

#[test]
fn the_built_in_policies_load_and_answer() {
    let load = |name| {
        let wasm = plimsoll_builtin::find(name).unwrap().wasm;
        let inspection = SANDBOX.inspect(wasm);
        assert!(inspection.failure.is_none(), "{:?}", inspection.failure);
        assert_eq!(inspection.kind, ModuleKind::Component);
        assert!(inspection.producers.iter().any(|producer| producer.name == "Rust"), "{:?}", inspection.producers);
        SANDBOX.load(wasm, "{}", Limits::default()).unwrap()
    };
    let chosen = load("scale-up-least-cost").choose(&nothing(), &question(20)).result;
    assert!(matches!(&chosen, Ok(Some(ScaleUpVerdict::Launch(choices))) if !choices.is_empty()), "{chosen:?}");
    let drain = load("drain-least-disruption");
    let nodes = drain.order_nodes(&nothing(), &guest::nodes_question(20)).result;
    assert!(matches!(&nodes, Ok(Some(NodesVerdict::Order { drain, .. })) if drain.len() == 20), "{nodes:?}");
    let pods = drain.order_pods(&nothing(), &guest::pods_question()).result;
    assert!(matches!(&pods, Ok(Some(turns)) if turns.len() == 3), "{pods:?}");
    let reviewed = load("csr-launched-nodes").review(&nothing(), &guest::csr_question()).result;
    assert!(matches!(&reviewed, Ok(Some(CsrVerdict::Leave(_)))), "{reviewed:?}");
}

#[test]
fn a_built_in_policy_refuses_settings_that_it_does_not_know() {
    let wasm = plimsoll_builtin::SCALE_UP_LEAST_COST.wasm;
    let failure = SANDBOX.load(wasm, r#"{"strategi":"least-cost"}"#, Limits::default()).unwrap_err();
    assert!(matches!(&failure, Failure::Settings(sentence) if sentence.contains("strategi")), "{failure:?}");
}
