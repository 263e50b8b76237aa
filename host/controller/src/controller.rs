//! All of it, from the start to the end.

use std::time::Duration;

use plimsoll_planner::launch::LedgerRules;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::certifier::Certifier;
use crate::keeper::keep;
use crate::{Drainer, Parts, Provisioner, cleanup, node_usage, rivals};

/// Changes that are on their way when the process is told to end get this long.
const LAST_CHANGES: Duration = Duration::from_secs(25);

/// Runs the loops until `stop`; then waits for the changes that are on their way, or until `hurry`. When this returns
/// nothing is changed any more, and the lease can be released. True if every change had ended.
pub async fn run(parts: Parts, rules: LedgerRules, stop: CancellationToken, hurry: CancellationToken) -> bool {
    let loops = TaskTracker::new();
    let (drained, ended) = (CancellationToken::new(), CancellationToken::new());
    loops.spawn(Provisioner::new(parts.clone(), rules).run(stop.clone(), drained.clone()));
    loops.spawn(Drainer::new(parts.clone()).run(stop.clone()));
    loops.spawn(Certifier::new(parts.clone()).run(stop.clone()));
    loops.spawn(rivals::look(parts.clone(), stop.clone()));
    loops.spawn(cleanup::clean(parts.clone(), stop.clone()));
    loops.spawn(node_usage::look(parts.clone(), stop.clone()));
    let keeper = tokio::spawn(keep(parts.clone(), ended.clone()));
    loops.close();
    stop.cancelled().await;
    let pending = parts.effects.pending();
    tracing::info!(pending, "ending: waiting for the changes that are on their way");
    let done = parts.effects.finish(LAST_CHANGES, &hurry).await;
    if !done {
        tracing::warn!(pending = parts.effects.pending(), "changes are given up; the next leader goes on with them");
    }
    drained.cancel();
    tokio::select! {
        () = loops.wait() => {},
        () = hurry.cancelled() => {},
    }
    ended.cancel();
    tokio::select! {
        _ = keeper => {},
        () = hurry.cancelled() => {},
    }
    done
}
