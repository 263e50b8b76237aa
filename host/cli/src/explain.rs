//! `plimsoll explain`: why something is as it is.

mod csr;
mod names;
mod nodes;
mod report;
mod tables;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use plimsoll_planner::drain::{History, ScaleDownConfig, plan_scale_down};
use plimsoll_planner::explain::{NodeExplainer, PodExplainer};
use plimsoll_planner::scale_up::plan_scale_up;
use plimsoll_scheduler::Simulation;
use serde::Serializer as _;

use crate::input::Inputs;
use crate::table::stream_out;
use crate::{Output, table};
use nodes::NodeReport;
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
    /// Why a node stays or would be removed, from a dump of a cluster: the one primary reason, what becomes of each of
    /// its pods, what removing it saves, where the pods would go. Changes nothing.
    Node(NodeArguments),
    /// What becomes of a signing request of a kubelet, from a dump of a cluster: the verdict of the host and the
    /// policies, and every check that was made. Changes nothing.
    Csr(CsrArguments),
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

/// Which nodes.
#[derive(Debug, Args)]
struct NodeArguments {
    /// The node. Without it: all of them.
    name: Option<String>,
    #[command(flatten)]
    inputs: Inputs,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Which signing requests.
#[derive(Debug, Args)]
struct CsrArguments {
    /// The request. Without it: all of them.
    name: Option<String>,
    #[command(flatten)]
    inputs: Inputs,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Runs the verb. The exit code is a failure if there is no such object, or part of the dump could not be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.subject {
        Subject::Pod(arguments) => pod(arguments),
        Subject::Node(arguments) => node(arguments),
        Subject::Csr(arguments) => csr(arguments),
    }
}

fn csr(arguments: &CsrArguments) -> Result<ExitCode> {
    let loaded = arguments.inputs.load()?;
    let (cluster, config) = (&loaded.cluster, &loaded.config);
    let now = arguments.inputs.moment(cluster);
    let rules = cluster.csr_rules(config);
    let name = arguments.name.as_deref();
    let reports = csr::reports(&cluster.dump.snapshot, name, &rules, config.csr_enabled, now, &loaded.registry)?;
    match (arguments.output, reports.as_slice()) {
        (Output::Json, [one]) if name.is_some() => table::write_out(&serde_json::to_string_pretty(one)?)?,
        (Output::Json, all) => table::write_out(&serde_json::to_string_pretty(all)?)?,
        (Output::Table, all) => table::write_out(&csr::tables(all, name.is_some()))?,
    }
    Ok(if loaded.incomplete() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn node(arguments: &NodeArguments) -> Result<ExitCode> {
    let loaded = arguments.inputs.load()?;
    let (cluster, config) = (&loaded.cluster, &loaded.config);
    let snapshot = &cluster.dump.snapshot;
    let named = arguments.name.as_ref().map(|name| nodes::find(snapshot, name)).transpose()?;
    let now = arguments.inputs.moment(cluster);
    let rules = ScaleDownConfig { unknown: cluster.unknown(), ..config.scale_down.clone() };
    let mut simulation = Simulation::with_profile(snapshot, config.scheduler.clone());
    let plan = plan_scale_down(
        snapshot,
        &mut simulation,
        &config.scale_up,
        &rules,
        &History::default(),
        now,
        &loaded.registry,
    );
    let explainer = NodeExplainer::new(snapshot, &rules, &plan, now);
    match (arguments.output, named) {
        (Output::Json, Some(node)) => {
            let report = NodeReport::new(snapshot, &explainer.explain(node));
            table::write_out(&serde_json::to_string_pretty(&report)?)?;
        }
        (Output::Json, None) => stream_out(|out| {
            let all = explainer.nodes().into_iter().map(|node| NodeReport::new(snapshot, &explainer.explain(node)));
            serde_json::Serializer::pretty(&mut *out).collect_seq(all)?;
            writeln!(out)
        })?,
        (Output::Table, Some(node)) => table::write_out(&nodes::details(snapshot, &explainer.explain(node)))?,
        (Output::Table, None) => table::write_out(&nodes::overview(snapshot, &explainer))?,
    }
    Ok(if loaded.incomplete() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn pod(arguments: &PodArguments) -> Result<ExitCode> {
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
