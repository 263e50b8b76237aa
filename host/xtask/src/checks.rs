//! Every test and lint, one after the other; the first failure ends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::shell::Step;
use crate::wasm_std::{TARGET, WasmStd};

struct Check {
    name: String,
    step: Step,
}

/// Runs them all.
pub fn run(root: &Path, std: &WasmStd) -> Result<()> {
    let checks = all(root, std)?;
    let count = checks.len();
    let mut summary = String::new();
    for (index, Check { name, step }) in checks.into_iter().enumerate() {
        println!("\n[{}/{count}] {name}", index + 1);
        let begin = Instant::now();
        step.run().with_context(|| format!("step {} of {count}, {name}", index + 1))?;
        summary.push_str(&format!("  ok {:>6.1} s  {name}\n", begin.elapsed().as_secs_f64()));
    }
    println!("\nEverything passed:\n{summary}");
    Ok(())
}

fn all(root: &Path, std: &WasmStd) -> Result<Vec<Check>> {
    let cargo = |name: &str, line: &str| Check {
        name: name.to_owned(),
        step: Step::cargo(root, &line.split(' ').collect::<Vec<_>>()),
    };
    let mut checks = vec![
        cargo("formatting", "fmt --all --check"),
        cargo("lints", "clippy --workspace --all-targets --locked -- -D warnings"),
        cargo("tests", "test --workspace --locked"),
    ];
    let mut documentation = cargo("documentation", "doc --workspace --no-deps --locked");
    documentation.step = documentation.step.env("RUSTDOCFLAGS", "-D warnings");
    checks.push(documentation);
    // On its own a crate cannot lean on what another one switches on.
    let mut alone = crates_in(&[root.join("host"), root.join("plugins")])?;
    alone.push(root.join("tests"));
    for dir in alone {
        let package = package_name(&dir)?;
        checks.push(cargo(
            &format!("{package} on its own"),
            &format!("check --locked --all-targets --package {package}"),
        ));
    }
    for dir in crates_in(&[root.join("examples/policies")])? {
        let name = package_name(&dir)?;
        let example = |what: &str, line: &str| Check {
            name: format!("example {name}: {what}"),
            step: Step::cargo(&dir, &line.split(' ').collect::<Vec<_>>()),
        };
        checks.push(example("formatting", "fmt --check"));
        checks.push(example("lints", "clippy --all-targets --locked -- -D warnings"));
        checks.push(example("tests", "test --locked"));
        let mut module = example("WebAssembly", &format!("build --release --locked --target {TARGET}"));
        module.step = std.tell(module.step);
        checks.push(module);
    }
    Ok(checks)
}

/// The folders of Rust crates, in the order of their names.
fn crates_in(parents: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut crates = Vec::new();
    for parent in parents {
        for entry in fs::read_dir(parent).with_context(|| format!("{} is missing", parent.display()))? {
            let dir = entry?.path();
            if dir.join("Cargo.toml").is_file() {
                crates.push(dir);
            }
        }
    }
    crates.sort();
    Ok(crates)
}

fn package_name(dir: &Path) -> Result<String> {
    let manifest = dir.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    let name = text.lines().find_map(|line| line.strip_prefix("name = "));
    Ok(name.with_context(|| format!("{} names no package", manifest.display()))?.trim_matches('"').to_owned())
}
