//! Sets up, builds, tests and shows the project: `cargo xtask setup|demo|dev|test|bench`.

mod chart;
mod checks;
mod debian;
mod python;
mod shell;
mod wasm_std;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use shell::Step;
use wasm_std::WasmStd;

const USAGE: &str = "\
cargo xtask setup               brings what the builds need: the standard library for WebAssembly, dependencies
cargo xtask setup --print-env   only prints what a shell must export to build a policy, if anything
cargo xtask demo                sets up, builds, and shows what Plimsoll would do with an example cluster
cargo xtask dev [-- ARGUMENTS]  sets up, builds, and starts a local cluster with two replicas of the controller
cargo xtask test                sets up, and runs every test and lint
cargo xtask test deploy         only the checks of the Helm chart and the Dockerfile, which need no build
cargo xtask bench               sets up, and runs the benches";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["setup"] => workspace().and_then(|root| setup(&root).map(drop)),
        ["setup", "--print-env"] => workspace().and_then(|root| print_env(&root)),
        ["demo"] => workspace().and_then(|root| demo(&root)),
        ["dev"] => workspace().and_then(|root| dev(&root, &[])),
        ["dev", "--", more @ ..] => workspace().and_then(|root| dev(&root, more)),
        ["test"] => workspace().and_then(|root| checks::run(&root, &setup(&root)?)),
        ["test", "deploy"] => workspace().and_then(|root| checks::run_deploy(&root)),
        ["bench"] => workspace().and_then(|root| bench(&root)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn workspace() -> Result<PathBuf> {
    let manifest_dir = std::env::var("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    let root = Path::new(&manifest_dir).ancestors().nth(2).context("this crate is not in host/xtask")?;
    Ok(root.to_owned())
}

fn setup(root: &Path) -> Result<WasmStd> {
    let std = WasmStd::ensure(root)?;
    if let Some(export) = std.export() {
        println!("To build a policy of your own, first: {export}");
    }
    Step::cargo(root, &["fetch", "--locked"]).run().context("the dependencies could not be downloaded")?;
    Ok(std)
}

fn print_env(root: &Path) -> Result<()> {
    match WasmStd::find(root)? {
        Some(std) => {
            if let Some(export) = std.export() {
                println!("{export}");
            }
            Ok(())
        }
        None => anyhow::bail!("there is no standard library for WebAssembly yet: run `cargo xtask setup`"),
    }
}

fn demo(root: &Path) -> Result<()> {
    setup(root)?;
    Step::cargo(root, &["build", "--locked", "--package", "plimsoll"]).run()?;
    let shop = "examples/clusters/shop";
    let (cluster, config) = (format!("{shop}/cluster.yaml"), format!("{shop}/plimsoll.yaml"));
    let simulate = ["simulate", "--cluster", &cluster, "--config", &config];
    let run = ["run", "--quiet", "--locked", "--package", "plimsoll", "--"];
    Step::cargo(root, &[&run[..], &simulate[..]].concat()).run()
}

fn dev(root: &Path, more: &[&str]) -> Result<()> {
    setup(root)?;
    Step::cargo(root, &["build", "--locked", "--package", "plimsoll"]).run()?;
    let run = ["run", "--quiet", "--locked", "--package", "plimsoll", "--", "dev"];
    Step::cargo(root, &[&run[..], more].concat()).run()
}

fn bench(root: &Path) -> Result<()> {
    setup(root)?;
    Step::cargo(root, &["bench", "--workspace", "--locked"]).run()
}
