//! `simulate --watch`: the plan again whenever something changes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use plimsoll_policy::{ChangeWatch, ModuleSource, Patience, PolicyRegistry, Watched};

use super::{Arguments, print};
use crate::config::Config;
use crate::input::{Cluster, Inputs};

/// Prints the plan, waits for a change, and so on until the process is ended. What cannot be read any more is
/// said on standard error, and the last good state of it goes on.
pub fn run(arguments: &Arguments, mut config: Config, mut cluster: Cluster, registry: &PolicyRegistry) -> Result<()> {
    loop {
        // Before printing: what changes while the plan is printed is seen afterwards.
        let watch = ChangeWatch::start(&watched(&arguments.inputs, &config), Patience::default())
            .context("the files cannot be watched")?;
        print(arguments, &config, &cluster, registry)?;
        eprintln!("watching for changes; end with Ctrl-C");
        watch.recv().context("the watch ended")?;
        if let Some(path) = &arguments.inputs.config {
            match Config::read(path) {
                Ok(new) => config = new,
                Err(error) => eprintln!("error: {error}; the configuration of before goes on"),
            }
        }
        // Standard input can be read once only.
        if !arguments.inputs.cluster.iter().any(|path| path == "-") {
            match Cluster::read(&arguments.inputs.cluster) {
                Ok(new) => cluster = new,
                Err(error) => eprintln!("error: {error:#}; the cluster of before goes on"),
            }
        }
        let changes = registry.replace_specs(config.policies.clone());
        for change in &changes {
            eprintln!("changed: {change}");
        }
    }
}

fn watched(inputs: &Inputs, config: &Config) -> Vec<Watched> {
    let dumps = inputs.cluster.iter().filter(|path| *path != "-").map(|path| Watched::Tree(path.into()));
    let modules = config.policies.iter().filter_map(|(_, spec)| match &spec.module {
        ModuleSource::File(path) => Some(path.clone()),
        ModuleSource::Builtin { .. } => None,
    });
    let config_files: Vec<PathBuf> =
        if config.files.is_empty() { inputs.config.iter().cloned().collect() } else { config.files.clone() };
    let files = config_files.into_iter().chain(modules).chain(inputs.policies.clone());
    dumps.chain(files.map(Watched::Path)).collect()
}
