//! Promises about the project itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read is a failing test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// SHA-256 over the published contract. Policies out there are built against exactly these files: a record that
/// gains a field breaks every one of them. What is new goes into a new version of the package, beside this one.
const CONTRACT_0_1_0: &str = "b3783d50c919db053df52ab86fccd319c29ca85e48917bfce082f9fcf6c6b41e";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Hashes names and contents of the files, without what git might change in line endings.
fn digest_of(folder: &Path) -> String {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap().to_str().unwrap());
        hash.update(std::fs::read_to_string(&file).unwrap().replace("\r\n", "\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_published_contract_is_frozen() {
    let digest = digest_of(&root().join("wit"));
    assert_eq!(digest, CONTRACT_0_1_0, "wit/ has changed; published versions are frozen");
}

#[test]
fn every_item_of_the_contract_is_documented() {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit")).unwrap();
    let mut bare = Vec::new();
    let mut check = |docs: &wit_parser::Docs, name: String| {
        if docs.contents.as_ref().is_none_or(|text| text.trim().is_empty()) {
            bare.push(name);
        }
    };
    for (name, id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*id];
        check(&interface.docs, name.clone());
        for (function, item) in &interface.functions {
            check(&item.docs, format!("{name}.{function}"));
        }
        for (type_name, id) in &interface.types {
            let item = &resolve.types[*id];
            let path = format!("{name}.{type_name}");
            use wit_parser::TypeDefKind::{Enum, Record, Type, Variant};
            match &item.kind {
                // `use types.{…}` repeats a documented name.
                Type(wit_parser::Type::Id(_)) => continue,
                Record(record) => record.fields.iter().for_each(|f| check(&f.docs, format!("{path}.{}", f.name))),
                Enum(cases) => cases.cases.iter().for_each(|c| check(&c.docs, format!("{path}.{}", c.name))),
                Variant(cases) => cases.cases.iter().for_each(|c| check(&c.docs, format!("{path}.{}", c.name))),
                _ => {}
            }
            check(&item.docs, path);
        }
    }
    for (name, id) in &resolve.packages[package].worlds {
        check(&resolve.worlds[*id].docs, name.clone());
    }
    assert!(bare.is_empty(), "undocumented: {bare:?}");
}

/// ARCHITECTURE: these three decide, and know neither I/O nor the sandbox.
#[test]
fn decisions_depend_on_no_io_and_no_sandbox() {
    for package in ["plimsoll-model", "plimsoll-scheduler", "plimsoll-planner"] {
        let tree = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--locked",
                "--edges",
                "normal,build",
                "--prefix",
                "none",
                "--package",
                package,
            ])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.starts_with(package), "{tree}");
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        for foreign in ["tokio", "kube", "k8s-openapi", "wasmtime", "notify", "plimsoll-kube", "plimsoll-policy"] {
            assert!(!names.contains(&foreign), "{package} depends on {foreign}");
        }
    }
}

#[test]
fn decisions_forbid_unsafe_code() {
    for crate_name in ["model", "scheduler", "planner"] {
        let lib = std::fs::read_to_string(root().join("host").join(crate_name).join("src/lib.rs")).unwrap();
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{crate_name}");
    }
}

/// The rooms and the arrows: a crate may know only those further in.
#[test]
fn arrows_point_inwards() {
    let allowed: [(&str, &[&str]); 5] = [
        ("plimsoll-model", &[]),
        ("plimsoll-scheduler", &["plimsoll-model"]),
        ("plimsoll-planner", &["plimsoll-model", "plimsoll-scheduler"]),
        ("plimsoll-policy", &["plimsoll-model", "plimsoll-planner", "plimsoll-scheduler"]),
        ("plimsoll-kube", &["plimsoll-model", "plimsoll-planner", "plimsoll-scheduler"]),
    ];
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    for (name, may_know) in allowed {
        let package = metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == name).unwrap();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
        for dependency in normal.filter_map(|dependency| dependency["name"].as_str()) {
            let ours = dependency.starts_with("plimsoll");
            assert!(!ours || may_know.contains(&dependency), "{name} knows {dependency}");
        }
    }
}
