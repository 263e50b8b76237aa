//! The end: the first signal asks for it, the second one insists.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tokens for an orderly end and for one at once, set by `SIGTERM` or `SIGINT`.
pub fn listen() -> Result<(CancellationToken, CancellationToken)> {
    let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
    let mut term = signal(SignalKind::terminate()).context("signals cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be caught")?;
    let tokens = [stop.clone(), hurry.clone()];
    tokio::spawn(async move {
        for token in tokens {
            tokio::select! {
                _ = term.recv() => {},
                _ = interrupt.recv() => {},
            }
            token.cancel();
        }
    });
    Ok((stop, hurry))
}
