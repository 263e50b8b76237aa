//! `plimsoll simulate`: read a dump, ask the policies, print the plan; or let days of a trace go by. Changes nothing.

mod trace;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use plimsoll_model::Timestamp;
use plimsoll_planner::csr::plan_csrs;
use plimsoll_planner::drain::{History, ScaleDownConfig, plan_scale_down};
use plimsoll_planner::scale_up::plan_scale_up;
use plimsoll_policy::PolicyRegistry;
use plimsoll_scheduler::Simulation;

use crate::config::Config;
use crate::input::{Cluster, Inputs};
use crate::report::{Plans, Report};
use crate::{Output, table};

/// What to simulate.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    trace: trace::TraceArguments,
    /// Repeat whenever the dump, the configuration or a policy changes.
    #[arg(long)]
    watch: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Runs the verb. The exit code is a failure if part of the dump could not be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(path) = &arguments.trace.trace {
        let (config, policies) = (arguments.inputs.config.as_deref(), arguments.inputs.policies.as_ref());
        return trace::run(&arguments.trace, path, config, policies, arguments.output);
    }
    let loaded = arguments.inputs.load()?;
    if arguments.watch {
        watch::run(arguments, loaded.config, loaded.cluster, &loaded.registry)?;
        return Ok(ExitCode::SUCCESS);
    }
    print(arguments, &loaded.config, &loaded.cluster, &loaded.registry)?;
    Ok(if loaded.incomplete() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Plans once and prints.
fn print(arguments: &Arguments, config: &Config, cluster: &Cluster, registry: &PolicyRegistry) -> Result<()> {
    let now = arguments.inputs.moment(cluster);
    let plans = plan(cluster, config, now, registry);
    let warnings = cluster.warnings(config).into_iter().chain(config.warnings.iter().cloned()).collect();
    let snapshot = &cluster.dump.snapshot;
    let unused = cluster.dump.account.unknown.clone();
    let report = Report::new(now, snapshot, unused, &registry.status(), &plans, warnings);
    let text = match arguments.output {
        Output::Json => serde_json::to_string_pretty(&report).context("the report cannot be written as JSON")?,
        Output::Table => table::simulation(&report),
    };
    table::write_out(&text)
}

fn plan(cluster: &Cluster, config: &Config, now: Timestamp, registry: &PolicyRegistry) -> Plans {
    let snapshot: &Arc<_> = &cluster.dump.snapshot;
    let scale_down = ScaleDownConfig { unknown: cluster.unknown(), ..config.scale_down.clone() };
    let mut simulation = Simulation::with_profile(snapshot, config.scheduler.clone());
    Plans {
        scale_up: plan_scale_up(snapshot, &mut simulation, &config.scale_up, now, registry),
        scale_down: plan_scale_down(
            snapshot,
            &mut simulation,
            &config.scale_up,
            &scale_down,
            &History::default(),
            now,
            registry,
        ),
        csr: plan_csrs(snapshot, now, &cluster.csr_rules(config), registry),
    }
}
