//! `plimsoll simulate --trace`: what a policy would have cost and disrupted on a trace of arrivals.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use plimsoll_simulator::plot::{Course, svg};
use plimsoll_simulator::trace::{Trace, groups_for, no_limits, read, replay};
use plimsoll_simulator::world::START;
use plimsoll_simulator::{Report, Run, Sample, Seed, Settings, Totals};
use serde::Serialize;

use crate::config::Config;
use crate::{Output, policies, progress, table};

/// A trace in the place of a cluster.
#[derive(Debug, Args)]
pub struct TraceArguments {
    /// Arrivals of a real cluster, in the place of a dump: azure-v1 or openb, compressed or not. Days of it go by in
    /// virtual time.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cluster", "watch"])]
    pub trace: Option<PathBuf>,
    /// How many days of the trace.
    #[arg(long, value_name = "N", default_value_t = 1.0, requires = "trace")]
    days: f64,
    /// Where to begin, in days: what had arrived by then is there at the beginning.
    #[arg(long, value_name = "DAY", default_value_t = 0.0, requires = "trace")]
    from: f64,
    /// A part of the trace: one of so many arrivals.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "trace")]
    every: usize,
    /// Another configuration to run the same trace with, side by side.
    #[arg(long, value_name = "FILE", requires = "trace")]
    against: Option<PathBuf>,
    /// Another folder of policies to run the same trace with, side by side.
    #[arg(long, value_name = "DIR", requires = "trace")]
    against_policies: Option<PathBuf>,
    /// Draw nodes, cost, pending pods and evictions over time into this file.
    #[arg(long, value_name = "FILE", requires = "trace")]
    svg: Option<PathBuf>,
}

/// One side.
struct Side {
    name: String,
    report: Report,
}

#[derive(Serialize)]
struct Whole<'a> {
    days: f64,
    runs: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    #[serde(flatten)]
    totals: Totals,
    samples: &'a [Sample],
}

/// Runs the trace once or twice, prints, and draws.
pub fn run(
    arguments: &TraceArguments,
    path: &Path,
    config: Option<&Path>,
    folder: Option<&PathBuf>,
    output: Output,
) -> Result<ExitCode> {
    if !(arguments.days.is_finite() && arguments.days > 0.0 && arguments.days <= 3650.0) {
        bail!("--days {}: give a number of days above 0, at most 3650", arguments.days);
    }
    let spinner = progress::spinner("reading the trace");
    let trace = read(path, &mut |lines| spinner.set_message(format!("reading the trace: {lines} lines")))?;
    let trace = trace.from_day(arguments.from).thinned(arguments.every);
    spinner.finish_and_clear();
    let mut sides = vec![side("this", arguments, &trace, config, folder)?];
    if arguments.against.is_some() || arguments.against_policies.is_some() {
        let config = arguments.against.as_deref().or(config);
        let folder = arguments.against_policies.as_ref().or(folder);
        sides.push(side("against", arguments, &trace, config, folder)?);
    }
    if let Some(path) = &arguments.svg {
        let courses: Vec<Course<'_>> =
            sides.iter().map(|side| Course { name: &side.name, samples: &side.report.samples }).collect();
        let title = format!("{:?}, {} days", trace.format, arguments.days);
        std::fs::write(path, svg(&title, &courses)?).with_context(|| path.display().to_string())?;
    }
    let text = match output {
        Output::Json => {
            let told = |side| {
                let Side { name, report }: &Side = side;
                Told { name, totals: report.totals, samples: &report.samples }
            };
            let whole = Whole { days: arguments.days, runs: sides.iter().map(told).collect() };
            serde_json::to_string_pretty(&whole).context("the report cannot be written as JSON")?
        }
        Output::Table => figures(&sides),
    };
    table::write_out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn side(
    name: &str,
    arguments: &TraceArguments,
    trace: &Trace,
    config: Option<&Path>,
    folder: Option<&PathBuf>,
) -> Result<Side> {
    let config = config.map_or_else(|| Ok(Config::without_file()), Config::read)?;
    let (registry, changes) = policies::open(folder.cloned(), config.policies.clone())?;
    crate::input::say_rejections(&changes);
    let mut scale_up = config.scale_up.clone();
    if scale_up.groups.is_empty() {
        eprintln!("no node groups are configured: machines that fit the trace are assumed");
        scale_up.groups = groups_for(trace);
        scale_up.limits = no_limits();
    }
    let mut scale_down = config.scale_down.clone();
    scale_down.groups = Some(scale_up.groups.clone());
    let settings = Settings {
        cluster: "simulated".into(),
        scale_up,
        cooldown: config.controller.cooldown,
        scale_down,
        drain: config.drain.clone(),
        policies: Rc::new(registry),
    };
    let spinner = progress::spinner("simulating");
    let run = Run::new(replay(trace, arguments.days, settings, Seed(1)), Vec::new());
    let report = run.finish(&mut |now| {
        let hours = now.since(START).0 / 3_600_000;
        spinner.set_message(format!("simulating {name}: day {}, {:02} h", hours / 24 + 1, hours % 24));
    })?;
    spinner.finish_and_clear();
    Ok(Side { name: name.to_owned(), report })
}

/// How a figure is written.
type Figure = fn(&Totals) -> String;

fn dollars(micros: u64) -> String {
    format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000)
}

/// A column for each side.
fn figures(sides: &[Side]) -> String {
    let rows: [(&str, Figure); 12] = [
        ("cost, dollars", |totals| dollars(totals.cost)),
        ("node-hours", |totals| format!("{}.{}", totals.node_seconds / 3600, totals.node_seconds % 3600 / 360)),
        ("nodes at most", |totals| totals.most_nodes.to_string()),
        ("launches", |totals| totals.launches.to_string()),
        ("removals", |totals| totals.removals.to_string()),
        ("evictions", |totals| totals.evictions.to_string()),
        ("pods lost with their machine", |totals| totals.lost_pods.to_string()),
        ("pods placed", |totals| totals.placed.to_string()),
        ("pending pod-seconds", |totals| totals.pending_pod_seconds.to_string()),
        ("wait, p50, seconds", |totals| totals.wait_p50.to_string()),
        ("wait, p99, seconds", |totals| totals.wait_p99.to_string()),
        ("CPU requested of offered", |totals| {
            format!("{}.{} %", totals.utilisation_permille / 10, totals.utilisation_permille % 10)
        }),
    ];
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(std::iter::once("").chain(sides.iter().map(|side| side.name.as_str())));
    for (name, value) in rows {
        table.add_row(std::iter::once(name.to_owned()).chain(sides.iter().map(|side| value(&side.report.totals))));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.trim_fmt()
}
