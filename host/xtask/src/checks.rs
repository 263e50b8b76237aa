//! Every test and lint, one after the other; the first failure ends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::chart;
use crate::python::Programs;
use crate::shell::Step;
use crate::wasm_std::{TARGET, WasmStd};

struct Check {
    name: String,
    work: Work,
}

enum Work {
    Command(Box<Step>),
    Own(fn(&Path) -> Result<()>),
}

/// Runs them all.
pub fn run(root: &Path, std: &WasmStd) -> Result<()> {
    one_by_one(root, all(root, std)?)
}

/// Runs those of the chart and the Dockerfile that need no build.
pub fn run_deploy(root: &Path) -> Result<()> {
    one_by_one(root, deploy())
}

fn one_by_one(root: &Path, checks: Vec<Check>) -> Result<()> {
    let count = checks.len();
    let mut summary = String::new();
    for (index, Check { name, work }) in checks.into_iter().enumerate() {
        println!("\n[{}/{count}] {name}", index + 1);
        let begin = Instant::now();
        let done = match work {
            Work::Command(step) => step.run(),
            Work::Own(check) => check(root),
        };
        done.with_context(|| format!("step {} of {count}, {name}", index + 1))?;
        summary.push_str(&format!("  ok {:>6.1} s  {name}\n", begin.elapsed().as_secs_f64()));
    }
    println!("\nEverything passed:\n{summary}");
    Ok(())
}

fn all(root: &Path, std: &WasmStd) -> Result<Vec<Check>> {
    let cargo =
        |name: &str, line: &str| Check { name: name.to_owned(), work: Work::Command(Box::new(in_folder(root, line))) };
    let tests = in_folder(root, "test --workspace --locked")
        .env("PLIMSOLL_RENDERED_CHART", chart::rendered(root))
        .env("PLIMSOLL_KUBECTL", Programs::of(root).path("kubectl"));
    let documentation = in_folder(root, "doc --workspace --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings");
    let mut checks = vec![
        cargo("formatting", "fmt --all --check"),
        cargo("lints", "clippy --workspace --all-targets --locked -- -D warnings"),
    ];
    checks.extend(deploy());
    checks.extend([
        // Some of them read the rendered chart.
        Check { name: "tests".to_owned(), work: Work::Command(Box::new(tests)) },
        // What is off unless asked for. With the whole workspace, so that what has been built is built for this too.
        cargo("traces: lints", "clippy --workspace --features plimsoll/otel --all-targets --locked -- -D warnings"),
        cargo("traces: tests", "test --workspace --features plimsoll/otel --locked --test journeys running::traces"),
        Check { name: "chart: configurations".to_owned(), work: Work::Own(chart::configurations) },
        Check { name: "documentation".to_owned(), work: Work::Command(Box::new(documentation)) },
    ]);
    // On its own a crate cannot lean on what another one switches on.
    let mut alone = crates_in(&[root.join("host"), root.join("plugins")])?;
    alone.extend([root.join("tests"), root.join("tests/apiserver")]);
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
            work: Work::Command(Box::new(in_folder(&dir, line))),
        };
        checks.push(example("formatting", "fmt --check"));
        checks.push(example("lints", "clippy --all-targets --locked -- -D warnings"));
        checks.push(example("tests", "test --locked"));
        let module = std.tell(in_folder(&dir, &format!("build --release --locked --target {TARGET}")));
        checks.push(Check { name: format!("example {name}: WebAssembly"), work: Work::Command(Box::new(module)) });
    }
    Ok(checks)
}

fn deploy() -> Vec<Check> {
    let own = |name: &str, check| Check { name: name.to_owned(), work: Work::Own(check) };
    vec![
        own("programs for deploy", Programs::ensure),
        own("Dockerfile", chart::dockerfile),
        own("chart: lint", chart::lint),
        own("chart: rendering", chart::render),
        own("chart: schemas of Kubernetes", chart::validate),
        own("chart: refusals", chart::refuse),
    ]
}

fn in_folder(dir: &Path, line: &str) -> Step {
    Step::cargo(dir, &line.split(' ').collect::<Vec<_>>())
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
