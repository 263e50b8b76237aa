//! Every command in the README does what it says.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Running, plimsoll, root};

/// What `cargo xtask test` is running right now cannot be run inside it.
const SELF: &str = "cargo xtask test";

/// The local cluster.
const DEV: &str = "cargo xtask dev";

fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut inside = false;
    let mut commands = Vec::new();
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside => commands.push(line.strip_prefix("$ ").unwrap().to_owned()),
            _ => {}
        }
    }
    commands
}

#[test]
fn every_command_works() {
    let commands = commands();
    assert!(commands.len() >= 12 && commands.iter().any(|command| command == "cargo xtask demo"), "{commands:?}");
    let (watching, ordinary): (Vec<_>, Vec<_>) = commands.iter().partition(|command| command.contains("--watch"));
    let mut script = String::from("set -eu\n");
    for command in ordinary.iter().filter(|command| **command != SELF) {
        // It lasts until somebody ends it.
        let once = if *command == DEV { " -- --once" } else { "" };
        writeln!(script, "echo '+ {command}{once}' >&2\n{command}{once}").unwrap();
    }
    let bin = plimsoll().parent().unwrap().to_str().unwrap();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let done = Command::new("bash").arg("-c").arg(&script).env("PATH", path).current_dir(root()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{err}\n{out}");
    assert!(out.matches("Launch: ").count() >= 3, "the demo, and two simulations as tables:\n{out}");
    assert!(out.contains("19 of 20 pods have a node"), "the local cluster:\n{out}");
    assert!(out.contains("spot-budget"), "the policy of the example decides:\n{out}");
    assert_eq!(watching.len(), 1);
    for command in watching {
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        Running::start(&arguments).wait_for("spot-budget");
    }
}

#[test]
fn ci_runs_exactly_the_test_command() {
    assert!(commands().iter().any(|command| command == SELF));
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let last = ci.lines().rfind(|line| !line.trim().is_empty()).unwrap();
    assert_eq!(last.trim_start_matches("exec "), SELF);
}

#[test]
fn links_lead_somewhere() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let targets: Vec<&str> = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://"))
        .collect();
    assert!(targets.len() > 10);
    for target in targets {
        assert!(root().join(Path::new(target)).exists(), "{target} does not exist");
    }
}
