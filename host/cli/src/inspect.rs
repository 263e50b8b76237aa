//! `plimsoll inspect`: what a policy is, and whether it will load here.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use plimsoll_model::one_line;
use plimsoll_policy::{Inspection, ModuleKind, Sandbox};
use serde::Serialize;

use crate::{Output, table};

/// Which policy to look at.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The module: a component, or a core module that carries its component type.
    #[arg(value_name = "POLICY.wasm")]
    policy: PathBuf,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What is said of a policy. Keys are part of the interface.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InspectReport {
    file: String,
    digest: String,
    size_bytes: u64,
    kind: &'static str,
    points: Vec<&'static str>,
    contract: Vec<String>,
    takes_settings: bool,
    exports: Vec<String>,
    imports: Vec<String>,
    producers: Vec<String>,
    compile_micros: Option<u64>,
    loads: bool,
    error: Option<InspectError>,
}

/// Why it will not load.
#[derive(Debug, Serialize)]
struct InspectError {
    kind: &'static str,
    sentence: String,
}

/// Runs the verb. The exit code is a failure if the policy will not load.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let file = arguments.policy.display().to_string();
    let wasm = std::fs::read(&arguments.policy).with_context(|| format!("{file} cannot be read"))?;
    let sandbox = Sandbox::new().context("the sandbox does not start")?;
    let report = InspectReport::new(file, &sandbox.inspect(&wasm));
    let text = match arguments.output {
        Output::Json => serde_json::to_string_pretty(&report).context("the report cannot be written as JSON")?,
        Output::Table => report.rows(),
    };
    table::write_out(&text)?;
    Ok(if report.loads { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl InspectReport {
    fn new(file: String, inspection: &Inspection) -> Self {
        let error = inspection.failure.as_ref();
        Self {
            file,
            digest: inspection.digest.to_string(),
            size_bytes: inspection.size.0,
            kind: match inspection.kind {
                ModuleKind::Component => "component",
                ModuleKind::CoreModule => "core module with a component type",
                ModuleKind::BareModule => "core module without a component type",
                ModuleKind::Unknown => "no WebAssembly",
            },
            points: inspection.points.iter().map(|point| point.interface()).collect(),
            contract: inspection.contract.clone(),
            takes_settings: inspection.takes_settings,
            exports: inspection.exports.clone(),
            imports: inspection.imports.clone(),
            producers: inspection
                .producers
                .iter()
                .map(|producer| format!("{} {} {}", producer.field, producer.name, producer.version))
                .collect(),
            compile_micros: inspection.compile_micros,
            loads: error.is_none(),
            error: error.map(|failure| InspectError { kind: failure.label(), sentence: failure.to_string() }),
        }
    }

    fn rows(&self) -> String {
        let mut table = table::plain(&["", ""]);
        // Some of these names are the module's own: see `one_line`.
        let plain = |items: &[String]| items.iter().map(|item| one_line(item, 200).into_owned()).collect::<Vec<_>>();
        let list = |items: &[String]| if items.is_empty() { "-".to_owned() } else { plain(items).join("\n") };
        let compile =
            self.compile_micros.map_or_else(|| "-".to_owned(), |micros| format!("{} ms", micros.div_ceil(1000)));
        let loads = match &self.error {
            None => "yes".to_owned(),
            Some(error) => format!("no: {}", error.sentence),
        };
        let rows = [
            ("file", self.file.clone()),
            ("sha256", self.digest.clone()),
            ("size", format!("{} bytes", self.size_bytes)),
            ("kind", self.kind.to_owned()),
            ("has a say in", if self.points.is_empty() { "-".to_owned() } else { self.points.join(", ") }),
            ("contract", list(&self.contract)),
            ("checks settings", if self.takes_settings { "yes" } else { "no" }.to_owned()),
            ("exports", list(&self.exports)),
            ("imports", list(&self.imports)),
            ("made with", list(&self.producers)),
            ("compiles in", compile),
            ("will load here", loads),
        ];
        for (key, value) in rows {
            table.add_row([key.to_owned(), value]);
        }
        table.to_string()
    }
}
