//! The registry over the real sandbox.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use plimsoll_planner::scale_up::ScaleUpVerdict;
use plimsoll_planner::{CallOutcome, Point, PolicyCall, ScaleUpPolicy};
use plimsoll_policy::{Change, Limits, Mode, ModuleSource, OnError, PolicyRegistry, PolicySpec};

use crate::guest::{self, SANDBOX, ScaleUp};

/// A policy that launches nothing, for a reason of four letters.
fn holding(reason: &str) -> Vec<u8> {
    let choose = "(i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 20) (i32.const 64))
        (i32.store (i32.const 24) (i32.const 4))
        (i32.const 16)";
    ScaleUp { choose, items: &format!(r#"(data (i32.const 64) "{reason}")"#), ..ScaleUp::default() }.wasm()
}

fn configured(file: PathBuf) -> Vec<(Point, PolicySpec)> {
    let (module, settings) = (ModuleSource::File(file), "{}".into());
    let (mode, limits, on_error) = (Mode::Active, Limits::default(), OnError::Next);
    vec![(Point::ScaleUp, PolicySpec { name: "mine".into(), module, settings, mode, limits, on_error })]
}

fn ask(registry: &PolicyRegistry) -> (Option<String>, PolicyCall) {
    let mut asked = registry.choose(&Arc::default(), &guest::question(1));
    let reason = asked.verdict.map(|verdict| match verdict {
        ScaleUpVerdict::Hold(reason) => reason,
        ScaleUpVerdict::Launch(_) => panic!("{verdict:?}"),
    });
    (reason, asked.calls.remove(0))
}

#[test]
fn a_module_is_replaced_refused_and_rolled_back_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.wasm");
    fs::write(&file, holding("old!")).unwrap();
    let (registry, changes) = PolicyRegistry::sandboxed(SANDBOX.clone(), None, Vec::new(), configured(file.clone()));
    assert!(matches!(&changes[..], [Change::Activated { generation: 1, .. }]), "{changes:?}");
    let (reason, call) = ask(&registry);
    assert_eq!((reason.unwrap().as_str(), call.generation, call.outcome), ("old!", 1, CallOutcome::Answered));

    fs::write(&file, holding("new!")).unwrap();
    assert!(matches!(&registry.reload()[..], [Change::Activated { generation: 2, .. }]));
    let (reason, call) = ask(&registry);
    assert_eq!((reason.unwrap().as_str(), call.generation), ("new!", 2));

    for wasm in [b"\x8b random bytes".as_slice(), b"", b"\0asm\x01\0\0\0"] {
        fs::write(&file, wasm).unwrap();
        let changes = registry.reload();
        assert!(matches!(&changes[..], [Change::Rejected { kept: Some(2), .. }]), "{changes:?}");
        assert_eq!(ask(&registry).0.unwrap(), "new!");
        assert!(registry.status()[0].setback.is_some());
    }

    registry.rollback("mine");
    let (reason, call) = ask(&registry);
    assert_eq!((reason.unwrap().as_str(), call.generation), ("old!", 1));
}

#[test]
fn a_module_that_traps_rests_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.wasm");
    // It behaves while it is tried: in no round but the question's.
    let choose = "(if (i32.eq (local.get $round) (i32.const 4)) (then (unreachable))) (i32.const 8)";
    fs::write(&file, ScaleUp { choose, ..ScaleUp::default() }.wasm()).unwrap();
    let (registry, changes) = PolicyRegistry::sandboxed(SANDBOX.clone(), None, Vec::new(), configured(file));
    assert!(matches!(&changes[..], [Change::Activated { .. }]), "{changes:?}");
    for label in ["trap", "trap", "trap", "quarantined"] {
        let (reason, call) = ask(&registry);
        assert_eq!((reason, call.outcome.label()), (None, label));
    }
    assert_eq!(registry.status()[0].resting[0].failure.label(), "trap");
}

#[test]
fn the_registry_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<PolicyRegistry>();
}
