//! `plimsoll drain`: ask the controller to drain a node, or take that back.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use plimsoll_kube::{Api, request_drain, withdraw_request};
use plimsoll_planner::drain::WriteAnswer;

use crate::config::Config;
use crate::run::ConnectionArguments;

/// Which node, and why.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The node.
    node: String,
    /// Why, for whoever reads the Events.
    #[arg(long, value_name = "TEXT", default_value = "asked for by a person")]
    reason: String,
    /// Take the request back. The node is used again, unless its machine is being removed already.
    #[arg(long, conflicts_with = "reason")]
    cancel: bool,
    /// The configuration: how the API server is reached.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let config = arguments.config.as_deref().map_or_else(|| Ok(Config::without_file()), Config::read)?;
    let connection = arguments.connection.with(&config.controller.api);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime does not start")?;
    let node = arguments.node.as_str();
    let answer = runtime.block_on(async {
        let api = Api::connect(&connection).await?;
        anyhow::Ok(if arguments.cancel {
            withdraw_request(&api, node).await
        } else {
            request_drain(&api, node, Some(&arguments.reason)).await
        })
    })?;
    match answer {
        WriteAnswer::Done if arguments.cancel => println!("node {node}: the request is taken back"),
        WriteAnswer::Done => {
            println!(
                "node {node}: its drain is asked for. `plimsoll explain node {node} --cluster live` says how far it is"
            );
        }
        WriteAnswer::Gone => bail!("there is no node {node}"),
        WriteAnswer::Otherwise(why) => bail!("node {node}: {why}"),
        WriteAnswer::Forbidden(why) => bail!("node {node}: {why}; it takes the permission to patch nodes"),
        WriteAnswer::Unknown(why) => bail!("node {node}: {why}; it may have been done all the same: try again"),
    }
    Ok(ExitCode::SUCCESS)
}
