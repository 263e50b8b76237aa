//! `plimsoll explain`: why something is as it is.

mod names;
mod report;
mod tables;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use plimsoll_planner::explain::PodExplainer;
use plimsoll_planner::scale_up::plan_scale_up;
use plimsoll_scheduler::Simulation;
use serde::Serializer as _;

use crate::input::Inputs;
use crate::table::stream_out;
use crate::{Output, table};
use report::PodReport;

/// What to explain.
#[derive(Debug, Args)]
#[command(subcommand_required = true)]
pub struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Why a pod is where it is, from a dump of a cluster: the one primary reason, what every node and every node
    /// group says to it, and what would help. Changes nothing.
    Pod(PodArguments),
}

/// Which pods.
#[derive(Debug, Args)]
struct PodArguments {
    /// The pod; a name without a namespace is one of namespace `default`. Without it: every pending pod.
    #[arg(value_name = "NAMESPACE/NAME")]
    pod: Option<String>,
    #[command(flatten)]
    inputs: Inputs,
    /// List every node, also where many say the same.
    #[arg(long)]
    all_nodes: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Runs the verb. The exit code is a failure if there is no such pod, or part of the dump could not be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Subject::Pod(arguments) = &arguments.subject;
    let loaded = arguments.inputs.load()?;
    let (cluster, config) = (&loaded.cluster, &loaded.config);
    let snapshot = &cluster.dump.snapshot;
    let named = arguments.pod.as_ref().map(|name| names::find(snapshot, name)).transpose()?;
    let now = arguments.inputs.moment(cluster);
    let mut simulation = Simulation::with_profile(snapshot, config.scheduler.clone());
    let plan = plan_scale_up(snapshot, &mut simulation, &config.scale_up, now, &loaded.registry);
    let mut explainer = PodExplainer::new(snapshot, &mut simulation, &config.scale_up, &plan, now);
    match (arguments.output, named) {
        (Output::Json, Some(pod)) => stream_out(|out| {
            serde_json::to_writer_pretty(&mut *out, &PodReport::new(snapshot, &explainer.explain(pod)))?;
            writeln!(out)
        })?,
        (Output::Json, None) => stream_out(|out| {
            // One after the other: each pod has a line for each node, which is a lot to hold at once.
            let all = explainer.pending().into_iter().map(|pod| PodReport::new(snapshot, &explainer.explain(pod)));
            serde_json::Serializer::pretty(&mut *out).collect_seq(all)?;
            writeln!(out)
        })?,
        (Output::Table, named) => {
            let pods = named.map_or_else(|| explainer.pending(), |pod| vec![pod]);
            table::write_out(&tables::pods(snapshot, &mut explainer, &pods, arguments.all_nodes))?;
        }
    }
    Ok(if loaded.incomplete() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
