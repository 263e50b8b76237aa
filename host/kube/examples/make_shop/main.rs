//! Writes the example cluster of a web shop: `cargo run -p plimsoll-kube --example make_shop`.
//!
//! The same bytes every time. Whoever changes it runs this and commits what it wrote.
#![allow(clippy::expect_used, reason = "its tables are its own")]

mod shop;

use std::path::PathBuf;
use std::process::ExitCode;

/// Beside the project's other examples.
const PLACE: &str = "../../examples/clusters/shop/cluster.yaml";

fn main() -> ExitCode {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(PLACE);
    let path = std::env::args_os().nth(1).map_or(default, PathBuf::from);
    let text = shop::cluster();
    match std::fs::write(&path, &text) {
        Ok(()) => {
            println!("{}: {} KiB", path.display(), text.len() / 1024);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: cannot be written: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
