//! Plimsoll: a Kubernetes node autoscaler whose choices are made by sandboxed WebAssembly policies.
//!
//! This binary only wires: it reads arguments, files and the environment, asks the planner, and prints.

mod config;
mod dev;
mod drain;
mod explain;
mod input;
mod inspect;
mod live;
mod policies;
mod progress;
mod providers;
mod report;
mod run;
mod simulate;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Decides which nodes to add, which to remove and how, and which kubelet certificates to approve. Every choice
/// is made by a sandboxed WebAssembly policy.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the controller: watch a cluster, launch nodes for pods that have no room, approve kubelet certificates.
    Run(run::Arguments),
    /// Try Plimsoll in a local cluster: an API server of its own, pods that wait, and two replicas of the controller.
    Dev(dev::Arguments),
    /// Show what would be done, and why, from a dump of a cluster. Changes nothing.
    Simulate(simulate::Arguments),
    /// Show why a pod is where it is: every node and group, fits or what keeps it off, and what would help.
    Explain(explain::Arguments),
    /// Ask the controller to drain a node: gracefully, with replacements for its pods before they are evicted.
    Drain(drain::Arguments),
    /// Show what a policy exports and imports, and whether it will load here.
    Inspect(inspect::Arguments),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables for people.
    #[default]
    Table,
    /// JSON for machines.
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !matches!(arguments.verb, Verb::Run(_)) {
        let filter = tracing_subscriber::EnvFilter::try_from_env("PLIMSOLL_LOG").unwrap_or_else(|_| "error".into());
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let done: Result<ExitCode> = match arguments.verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Dev(arguments) => dev::run(&arguments),
        Verb::Simulate(arguments) => simulate::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Drain(arguments) => drain::run(&arguments),
        Verb::Inspect(arguments) => inspect::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
