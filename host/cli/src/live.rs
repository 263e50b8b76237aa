//! The cluster itself in the place of a dump.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use plimsoll_kube::{Account, Api, Connection, Mirror, MirrorOptions, PartStatus, WatchProblem};

use crate::input::{Cluster, SharedDump};
use crate::progress;

/// A cluster that has not answered for this long does not.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reads a cluster as it is now, by the same watches as the controller.
pub fn read(connection: &Connection) -> Result<Cluster> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime does not start")?;
    let bar = progress::spinner("reading the cluster");
    let read = runtime.block_on(look(connection));
    bar.finish_and_clear();
    runtime.shutdown_background();
    read
}

async fn look(connection: &Connection) -> Result<Cluster> {
    let api = Api::connect(connection).await?;
    let mut mirror = Mirror::start(&api, &MirrorOptions::default()).context("the watch does not start")?;
    let mut statuses = mirror.clone();
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let known = mirror.latest();
        let status = mirror.status();
        // What cannot be read is not waited for: its absence is said below.
        let complete = status.parts.iter().all(|part| part.synced || part.problem.is_some());
        if let Some(view) = known.filter(|_| complete) {
            // An API that is not there has nothing to be known.
            let unread = |part: &&PartStatus| !part.synced && part.problem != Some(WatchProblem::NotServed);
            for part in status.parts.iter().filter(unread) {
                let problem = part.problem.as_ref().map(ToString::to_string).unwrap_or_default();
                eprintln!("warning: {} are not known: {problem}", part.resource);
            }
            for (watched, count) in &view.unknown.broken {
                eprintln!("error: {count} objects of {} cannot be read", watched.resource());
            }
            return Ok(Cluster { dump: SharedDump { snapshot: view.snapshot.clone(), account: Account::default() } });
        }
        tokio::select! {
            _ = mirror.changed() => {},
            _ = statuses.status_changed() => {},
            () = tokio::time::sleep_until(end) => {
                let missing = status.parts.iter().filter(|part| part.watched.required() && !part.synced);
                let missing: Vec<String> = missing.map(|part| match &part.problem {
                    Some(problem) => format!("{}: {problem}", part.resource),
                    None => part.resource.clone(),
                }).collect();
                bail!("the cluster could not be read within {} s: {}", PATIENCE.as_secs(), missing.join("; "));
            }
        }
    }
}
