//! `inspect`: what a policy author reads before anything is deployed.

use std::fs;

use crate::support::{holding_policy, json, run};

#[test]
fn built_in_policies_load() {
    let folder = tempfile::tempdir().unwrap();
    for (policy, point) in plimsoll_builtin::POLICIES.iter().zip(["scale-up", "drain", "csr-approval"]) {
        let path = folder.path().join(policy.name);
        fs::write(&path, policy.wasm).unwrap();
        let output = run(&["inspect", path.to_str().unwrap(), "-o", "json"]);
        assert!(output.status.success());
        let report = json(&output);
        assert_eq!((&report["loads"], &report["points"][0]), (&true.into(), &point.into()));
        assert_eq!(report["kind"], "component");
        assert_eq!(report["contract"][0], "0.1.0");
        assert_eq!(report["takesSettings"], true);
        assert!(report["compileMicros"].as_u64().unwrap() > 0);
        let imports = report["imports"].as_array().unwrap();
        assert!(imports.iter().all(|import| import.as_str().unwrap().starts_with("plimsoll:policy/")), "{imports:?}");
    }
}

#[test]
fn core_modules_with_their_type_load_and_others_say_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let inspect = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let output = run(&["inspect", path.to_str().unwrap(), "-o", "json"]);
        let report = json(&output);
        assert_eq!(output.status.success(), report["loads"] == true);
        report
    };
    let good = inspect("good.wasm", &holding_policy("x"));
    assert_eq!((&good["loads"], &good["kind"]), (&true.into(), &"core module with a component type".into()));
    let bare = inspect("bare.wasm", b"\0asm\x01\0\0\0");
    assert_eq!(bare["loads"], false);
    assert!(bare["error"]["sentence"].as_str().unwrap().len() > 20);
    let noise = inspect("noise.wasm", b"hello");
    assert_eq!(noise["error"]["kind"], "load");
    let missing = run(&["inspect", "nowhere.wasm"]);
    assert_eq!(missing.status.code(), Some(1));
}
