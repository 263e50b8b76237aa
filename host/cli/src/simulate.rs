//! `plimsoll simulate`: read a dump, ask the policies, print the plan. Changes nothing.

mod input;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::Args;
use plimsoll_model::Timestamp;
use plimsoll_planner::csr::plan_csrs;
use plimsoll_planner::drain::{ScaleDownConfig, plan_scale_down};
use plimsoll_planner::scale_up::plan_scale_up;
use plimsoll_policy::{Change, PolicyRegistry};

use crate::config::Config;
use crate::report::{Plans, Report};
use crate::{Output, policies, progress, table};
use input::Cluster;

/// What to simulate.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Dumps of one cluster: files or folders, YAML or JSON, as `kubectl get nodes,pods,pdb,csr -A -o yaml` writes
    /// them; `-` for standard input.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    cluster: Vec<String>,
    /// The configuration: node groups, limits, rules, policies.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of policies (`*.wasm`) to ask before the configured ones, in the order of their names.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Repeat whenever the dump, the configuration or a policy changes.
    #[arg(long)]
    watch: bool,
    /// The time of the decisions, RFC 3339; by default the latest moment that the dump mentions.
    #[arg(long, value_name = "TIME")]
    now: Option<jiff::Timestamp>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Runs the verb. The exit code is a failure if part of the dump could not be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let config = match &arguments.config {
        None => Config::without_file(),
        Some(path) => Config::read(path)?,
    };
    let cluster = Cluster::read(&arguments.cluster)?;
    let spinner = progress::spinner("compiling policies");
    let (registry, changes) = policies::open(arguments.policies.clone(), config.policies.clone())?;
    spinner.finish_and_clear();
    let refused = say_rejections(&changes);
    if arguments.watch {
        watch::run(arguments, config, cluster, &registry)?;
        return Ok(ExitCode::SUCCESS);
    }
    print(arguments, &config, &cluster, &registry)?;
    Ok(if cluster.broken() || refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Says on standard error which policies are not what is configured, and whether there are any.
fn say_rejections(changes: &[Change]) -> bool {
    let refused = |change: &&Change| matches!(change, Change::Rejected { .. } | Change::DirectoryUnreadable { .. });
    changes.iter().filter(refused).inspect(|change| eprintln!("error: {change}")).count() > 0
}

/// Plans once and prints.
fn print(arguments: &Arguments, config: &Config, cluster: &Cluster, registry: &PolicyRegistry) -> Result<()> {
    let now = arguments.now.map_or_else(|| cluster.newest().unwrap_or_else(wall_clock), from_jiff);
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
    Plans {
        scale_up: plan_scale_up(snapshot, &config.scale_up, now, registry),
        scale_down: plan_scale_down(snapshot, &scale_down, now, registry),
        csr: plan_csrs(snapshot, now, registry),
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn from_jiff(moment: jiff::Timestamp) -> Timestamp {
    Timestamp(u64::try_from(moment.as_millisecond()).unwrap_or(0))
}
