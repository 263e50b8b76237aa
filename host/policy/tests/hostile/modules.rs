//! Files that are no policies of this contract.

use plimsoll_policy::{Failure, Limits, ModuleKind};

use super::guest::{self, SANDBOX, ScaleUp};
use super::load_failure;

fn contract(failure: Failure) -> String {
    match failure {
        Failure::Contract(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

fn load(failure: Failure) -> String {
    match failure {
        Failure::Load(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

/// The good policy as a component.
fn component() -> Vec<u8> {
    let core = ScaleUp::default().wasm();
    wit_component::ComponentEncoder::default().module(&core).unwrap().encode().unwrap()
}

/// A module that exports `choose` under this version, typed by a contract that has been changed.
fn of_another_contract(change: impl Fn(String) -> String, version: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (memory (export "memory") 2)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "plimsoll:policy/scale-up@{version}#choose")
                (param i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64) (result i32) (i32.const 8)))"#
    );
    guest::typed(&text, &change(guest::contract()), &format!("export plimsoll:policy/scale-up@{version};"))
}

#[test]
fn random_bytes() {
    let mut noise = 0x9e37_79b9_u32;
    for len in [0, 1, 7, 8, 1000, 100_000] {
        let bytes: Vec<u8> = (0..len)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.to_le_bytes()[3]
            })
            .collect();
        load(load_failure(&bytes));
        // The same behind a right beginning, as component and as core module.
        for header in [*b"\0asm\x0d\0\x01\0", *b"\0asm\x01\0\0\0"] {
            let behind = [&header[..], &bytes].concat();
            assert!(matches!(load_failure(&behind), Failure::Load(_) | Failure::Contract(_)));
        }
    }
}

#[test]
fn truncated_component() {
    let whole = component();
    assert!(SANDBOX.load(&whole, "{}", Limits::default()).is_ok());
    for len in (8..whole.len()).step_by(97) {
        // Cut between two sections it may be a valid component, which then exports nothing.
        let failure = load_failure(&whole[..len]);
        assert!(matches!(failure, Failure::Load(_) | Failure::Contract(_)), "{len}: {failure:?}");
    }
    let sentence = load(load_failure(&whole[..whole.len() - 1]));
    assert!(sentence.contains("invalid WebAssembly at byte"), "{sentence}");
}

#[test]
fn flipped_bytes() {
    let whole = component();
    for at in (8..whole.len()).step_by(13) {
        let mut broken = whole.clone();
        broken[at] ^= 0x55;
        // Some flips do no harm. None may do any to the host.
        let _ = SANDBOX.load(&broken, "{}", Limits::default()).map(|program| guest::ask(&program));
    }
    super::next_decision_is_right();
}

#[test]
fn too_large() {
    let mut file = component();
    file.resize((64 << 20) + 1, 0);
    assert!(load(load_failure(&file)).contains("64Mi is the most"));
}

#[test]
fn another_version() {
    let wasm = of_another_contract(|text| text.replace("policy@0.1.0", "policy@0.2.0"), "0.2.0");
    let sentence = contract(load_failure(&wasm));
    let expected = "exports `plimsoll:policy/scale-up@0.2.0`; this host speaks 0.1.x; rebuild against wit 0.1";
    assert_eq!(sentence, expected);
}

#[test]
fn a_later_patch_of_the_same_version() {
    let wasm = of_another_contract(|text| text.replace("policy@0.1.0", "policy@0.1.9"), "0.1.9");
    let program = SANDBOX.load(&wasm, "{}", Limits::default()).unwrap();
    assert_eq!(guest::ask(&program).result, Ok(None));
}

#[test]
fn another_record_shape() {
    let field = "wasted-memory-bytes: u64,";
    let wasm = of_another_contract(|text| text.replace(field, ""), "0.1.0");
    let sentence = contract(load_failure(&wasm));
    assert!(sentence.starts_with("exports `plimsoll:policy/scale-up` in another shape than wit 0.1 has"), "{sentence}");
    assert!(sentence.contains("field options: expected record of 17 fields, found 16 fields"), "{sentence}");
}

#[test]
fn an_import_in_another_shape() {
    let text = r#"(module
        (import "plimsoll:policy/log@0.1.0" "log" (func (param i32 i32 i32 i32)))
        (memory (export "memory") 2)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "plimsoll:policy/scale-up@0.1.0#choose")
            (param i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64) (result i32) (i32.const 8)))"#;
    let changed = guest::contract()
        .replace("func(level: level, message: string)", "func(level: level, message: string, code: u32)");
    let wasm = guest::typed(text, &changed, "include plimsoll:policy/scale-up-policy@0.1.0;");
    let sentence = contract(load_failure(&wasm));
    assert!(sentence.contains("plimsoll:policy/log@0.1.0") && sentence.contains("log"), "{sentence}");
}

#[test]
fn no_exports() {
    let wasm = guest::typed("(module)", &guest::contract(), "");
    let sentence = contract(load_failure(&wasm));
    assert!(sentence.contains("`plimsoll:policy/scale-up@0.1.x`"), "{sentence}");
}

#[test]
fn forbidden_import() {
    let program = ScaleUp {
        world: "import evil:host/shell@1.0.0;",
        imports: r#"(import "evil:host/shell@1.0.0" "run" (func $run (param i32 i32) (result i32)))"#,
        choose: "(call $run (i32.const 0) (i32.const 0))",
        ..ScaleUp::default()
    };
    let sentence = contract(load_failure(&program.wasm()));
    assert!(sentence.contains("imports `evil:host/shell@1.0.0`"), "{sentence}");
}

#[test]
fn a_core_module_that_says_nothing() {
    let sentence = contract(load_failure(&wat::parse_str("(module)").unwrap()));
    assert!(sentence.contains("wit-bindgen"), "{sentence}");
}

#[test]
fn a_core_module_of_another_system() {
    let text =
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (memory (export "memory") 1))"#;
    let sentence = contract(load_failure(&guest::typed(text, &guest::contract(), "")));
    assert!(sentence.contains("wasi_snapshot_preview1"), "{sentence}");
}

#[test]
fn what_differs_between_machines_is_refused() {
    for items in [
        "(memory $large i64 1)",
        "(func (result v128) (i32x4.relaxed_trunc_f32x4_s (v128.const i32x4 0 0 0 0)))",
        "(memory $shared 1 1 shared)",
    ] {
        let sentence = match load_failure(&ScaleUp { items, ..ScaleUp::default() }.wasm()) {
            Failure::Load(sentence) | Failure::Contract(sentence) => sentence,
            other => panic!("{other:?}"),
        };
        assert!(!sentence.contains("bug"), "{sentence}");
    }
}

#[test]
fn wide_strings_between_components() {
    let nested = |encoding: &str| {
        let text = format!(
            r#"(component
                (component $inner
                    (core module $m
                        (memory (export "memory") 1)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
                        (func (export "f") (param i32 i32)))
                    (core instance $i (instantiate $m))
                    (func (export "f") (param "text" string)
                        (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")) string-encoding={encoding})))
                (instance (instantiate $inner)))"#
        );
        contract(load_failure(&wat::parse_str(text).unwrap()))
    };
    assert!(nested("utf16").contains("must use UTF-8"));
    assert!(!nested("utf8").contains("must use UTF-8"));
}

#[test]
fn inspection_says_why() {
    let inspection = SANDBOX.inspect(b"hello");
    assert_eq!(inspection.kind, ModuleKind::Unknown);
    assert_eq!(inspection.failure.unwrap().label(), "load");
    let inspection = SANDBOX.inspect(&of_another_contract(|text| text.replace("@0.1.0", "@0.3.0"), "0.3.0"));
    assert_eq!(inspection.kind, ModuleKind::CoreModule);
    assert_eq!(inspection.contract, ["0.3.0"]);
    assert_eq!(inspection.failure.unwrap().label(), "contract");
    let inspection = SANDBOX.inspect(&component());
    assert_eq!(inspection.kind, ModuleKind::Component);
    assert_eq!(inspection.contract, ["0.1.0"]);
    assert!(inspection.failure.is_none() && inspection.compile_micros.is_some());
    assert!(inspection.producers.iter().any(|producer| producer.name == "wit-component"), "{:?}", inspection.producers);
}
