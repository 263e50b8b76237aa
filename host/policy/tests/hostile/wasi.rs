//! Policies that ask WASI for what no policy gets.

use plimsoll_policy::{Failure, Limits};

use super::guest::{ScaleUp, launch};
use super::{ask, failure, load_failure};

/// Writes a verdict that launches `count` of `option`, for small findings.
const REPORT: &str = "
    (func $report (param $option i32) (param $count i32) (result i32)
        (i32.store8 (i32.const 16) (i32.const 2))
        (i32.store (i32.const 20) (i32.const 32))
        (i32.store (i32.const 24) (i32.const 1))
        (i32.store (i32.const 32) (local.get $option))
        (i32.store (i32.const 36) (local.get $count))
        (i32.const 16))";

const CLOCK: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $sleep (param i64) (result i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-instant" (func $until (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))"#;
const CLOCK_WORLD: &str = "import wasi:clocks/monotonic-clock@0.2.0; import wasi:io/poll@0.2.0;";

/// Sleeps an hour, then until the end of time, then for both at once.
const SLEEP: &str = "
    (call $block (call $sleep (i64.const 3600000000000)))
    (call $block (call $until (i64.const -1)))
    (i32.store (i32.const 512) (call $sleep (i64.const -1)))
    (i32.store (i32.const 516) (call $until (i64.const 3600000000000)))
    (call $poll (i32.const 512) (i32.const 2) (i32.const 520))
    (call $report (i32.load (i32.const 524)) (i32.wrap_i64 (call $now)))";

fn sleeper() -> plimsoll_policy::Program {
    ScaleUp { world: CLOCK_WORLD, imports: CLOCK, items: REPORT, choose: SLEEP, ..ScaleUp::default() }.load()
}

#[test]
fn a_sleep_of_an_hour() {
    let run = ask(&sleeper());
    assert_eq!(run.result, Ok(Some(launch(2, 0, ""))));
    assert!(run.micros < 250_000, "{}", run.micros);
}

#[test]
fn a_sleep_in_an_asynchronous_thread() {
    // Not where calls belong, but whoever makes one there must not be punished by a panic.
    let program = sleeper();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.block_on(async { ask(&program) });
    assert_eq!(run.result, Ok(Some(launch(2, 0, ""))));
}

#[test]
fn waiting_for_a_clock_that_stands_still() {
    let choose = "
        (loop $wait
            (call $block (call $sleep (i64.const 1000000)))
            (br_if $wait (i64.lt_u (call $now) (i64.const 3600000000000))))
        (i32.const 8)";
    let program = ScaleUp { world: CLOCK_WORLD, imports: CLOCK, choose, ..ScaleUp::default() }.load();
    let failure = failure(&program);
    // Each turn leaves a pollable behind: whichever bound is met first.
    assert!(matches!(failure, Failure::Deadline { .. } | Failure::Trap(_)), "{failure:?}");
}

#[test]
fn polling_for_nothing() {
    let choose = "(call $poll (i32.const 512) (i32.const 0) (i32.const 520)) (i32.const 8)";
    let program = ScaleUp { world: CLOCK_WORLD, imports: CLOCK, choose, ..ScaleUp::default() }.load();
    assert!(matches!(failure(&program), Failure::Trap(_)));
}

#[test]
fn files() {
    let program = ScaleUp {
        world: "import wasi:filesystem/preopens@0.2.0;",
        imports: r#"(import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))"#,
        items: REPORT,
        choose: "(call $directories (i32.const 512)) (call $report (i32.load (i32.const 516)) (i32.const 77))",
        ..ScaleUp::default()
    };
    assert_eq!(ask(&program.load()).result, Ok(Some(launch(0, 77, ""))));
}

#[test]
fn arguments_and_environment() {
    let program = ScaleUp {
        world: "import wasi:cli/environment@0.2.0;",
        imports: r#"
            (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
            (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))"#,
        items: REPORT,
        choose: "
            (call $environment (i32.const 512)) (call $arguments (i32.const 520))
            (call $report (i32.load (i32.const 516)) (i32.load (i32.const 524)))",
        ..ScaleUp::default()
    };
    assert_eq!(ask(&program.load()).result, Ok(Some(launch(0, 0, ""))));
}

#[test]
fn sockets() {
    let (err, access_denied) = (1, 1);
    let program = ScaleUp {
        world: "import wasi:sockets/tcp-create-socket@0.2.0; import wasi:sockets/udp-create-socket@0.2.0;",
        imports: r#"
            (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $tcp (param i32 i32)))
            (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket" (func $udp (param i32 i32)))"#,
        items: REPORT,
        choose: "
            (call $tcp (i32.const 0) (i32.const 512)) (call $udp (i32.const 1) (i32.const 520))
            (call $report
                (i32.add (i32.load8_u (i32.const 512)) (i32.mul (i32.load8_u (i32.const 516)) (i32.const 100)))
                (i32.add (i32.load8_u (i32.const 520)) (i32.mul (i32.load8_u (i32.const 524)) (i32.const 100))))",
        ..ScaleUp::default()
    };
    let denied = err + 100 * access_denied;
    assert_eq!(ask(&program.load()).result, Ok(Some(launch(denied, denied, ""))));
}

#[test]
fn names_of_machines() {
    let program = ScaleUp {
        world: "import wasi:sockets/ip-name-lookup@0.2.0; import wasi:sockets/instance-network@0.2.0;",
        imports: r#"
            (import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
            (import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses" (func $look (param i32 i32 i32 i32)))"#,
        items: &format!(r#"{REPORT} (data (i32.const 64) "localhost")"#),
        choose: "
            (call $look (call $network) (i32.const 64) (i32.const 9) (i32.const 512))
            (call $report (i32.load8_u (i32.const 512)) (i32.load8_u (i32.const 516)))",
        ..ScaleUp::default()
    };
    let permanent_resolver_failure = 20;
    assert_eq!(ask(&program.load()).result, Ok(Some(launch(1, permanent_resolver_failure, ""))));
}

#[test]
fn exit() {
    let program = ScaleUp {
        world: "import wasi:cli/exit@0.2.0;",
        imports: r#"(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#,
        choose: "(call $exit (i32.const 1)) (i32.const 8)",
        ..ScaleUp::default()
    };
    match failure(&program.load()) {
        Failure::Trap(sentence) => assert!(sentence.contains("exit code 1"), "{sentence}"),
        other => panic!("{other:?}"),
    }
}

const STREAMS: &str = r#"
    (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.write-zeroes" (func $zeroes (param i32 i64 i32)))
    (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
    (import "wasi:cli/stdin@0.2.0" "get-stdin" (func $stdin (result i32)))"#;
const STREAMS_WORLD: &str = "import wasi:cli/stdout@0.2.0; import wasi:cli/stdin@0.2.0; import wasi:io/streams@0.2.0;";

fn with_streams(choose: &str) -> plimsoll_policy::Program {
    let items = format!(r#"{REPORT} (data (i32.const 64) "hello\0aworld\0a")"#);
    ScaleUp { world: STREAMS_WORLD, imports: STREAMS, items: &items, choose, ..ScaleUp::default() }.load()
}

#[test]
fn standard_output_is_the_log() {
    let choose = "
        (call $write (call $stdout) (i32.const 64) (i32.const 12) (i32.const 512))
        (call $report (i32.load8_u (i32.const 512)) (i32.const 0))";
    let run = ask(&with_streams(choose));
    assert_eq!(run.result, Ok(Some(launch(0, 0, ""))));
    let lines: Vec<_> = run.log.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, ["hello", "world"]);
}

#[test]
fn standard_output_flood() {
    let choose = "
        (local.set $at (call $stdout))
        (loop $more (call $write (local.get $at) (i32.const 64) (i32.const 4096) (i32.const 512)) (br $more))
        (unreachable)";
    let run = ask(&with_streams(choose));
    assert_eq!(run.result, Err(Failure::Deadline { limit: Limits::default().timeout }));
    let bytes: usize = run.log.iter().map(|line| line.message.len()).sum();
    // What is no UTF-8 takes three bytes; a zero takes one.
    assert!(bytes as u64 <= Limits::default().log_bytes.0 + 100, "{bytes}");
}

#[test]
fn zeroes_without_end() {
    // Made by the host, out of its own memory.
    let choose = "(call $zeroes (call $stdout) (i64.const 0x40000000) (i32.const 512)) (i32.const 8)";
    match failure(&with_streams(choose)) {
        Failure::Trap(sentence) => assert!(sentence.contains("more zeroes"), "{sentence}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn standard_input_is_at_its_end() {
    let choose = "
        (call $read (call $stdin) (i64.const -1) (i32.const 512))
        (call $report (i32.load8_u (i32.const 512)) (i32.load8_u (i32.const 516)))";
    let (err, closed) = (1, 1);
    assert_eq!(ask(&with_streams(choose)).result, Ok(Some(launch(err, closed, ""))));
}

#[test]
fn stream_handles_without_end() {
    let choose = "(loop $more (drop (call $stdout)) (br $more)) (unreachable)";
    let failure = failure(&with_streams(choose));
    assert!(matches!(failure, Failure::Trap(_)), "{failure:?}");
}

#[test]
fn random_bytes_without_end() {
    let program = ScaleUp {
        world: "import wasi:random/random@0.2.0;",
        imports: r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $bytes (param i64 i32)))"#,
        choose: "(call $bytes (i64.const 0x7fffffffffff) (i32.const 512)) (i32.const 8)",
        ..ScaleUp::default()
    };
    match failure(&program.load()) {
        Failure::Trap(sentence) => assert!(sentence.contains("random bytes"), "{sentence}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn http() {
    let program = ScaleUp {
        world: "import wasi:http/outgoing-handler@0.2.0;",
        imports: r#"(import "wasi:http/outgoing-handler@0.2.0" "handle" (func $handle (param i32) (result i32)))"#,
        choose: "(drop (call $handle (i32.const 0))) (i32.const 8)",
        ..ScaleUp::default()
    };
    match load_failure(&program.wasm()) {
        Failure::Contract(sentence) => assert!(sentence.contains("wasi:http/outgoing-handler@0.2.0"), "{sentence}"),
        other => panic!("{other:?}"),
    }
}
