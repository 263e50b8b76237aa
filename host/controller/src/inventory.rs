//! What the provider knows, asked every few seconds while this replica leads.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_kube::Leadership;
use plimsoll_providers::{Inventory, NodeGroupProvider, ProviderError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::Metrics;

/// What was heard from the provider last.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// What it knows; `None` if it never answered.
    pub inventory: Option<Arc<Inventory>>,
    /// When that was.
    pub at: Option<Instant>,
    /// Counted from 1; the same number is the same inventory.
    pub number: u64,
    /// Why the last question was not answered; what was heard before still stands.
    pub problem: Option<ProviderError>,
}

/// Asks as long as this replica leads.
pub fn ask(
    provider: Arc<dyn NodeGroupProvider>,
    mut leadership: Leadership,
    every: Duration,
    again: Arc<Notify>,
    metrics: Metrics,
    stop: CancellationToken,
) -> watch::Receiver<Heard> {
    let (tell, heard) = watch::channel(Heard::default());
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // A new leader asks at once.
                () = leadership.changed() => ticks.reset_immediately(),
                // Machines that were just launched ask for certificates soon.
                () = again.notified() => ticks.reset(),
                _ = ticks.tick() => {}
            }
            if !leadership.leads() {
                continue;
            }
            let answer = provider.inventory().await;
            if let Err(error) = &answer {
                metrics.provider_failed(provider.name(), error.label());
            }
            tell.send_modify(|heard| heard.take(answer));
        }
    });
    heard
}

impl Heard {
    fn take(&mut self, answer: Result<Inventory, ProviderError>) {
        match answer {
            Ok(inventory) => {
                self.at = Some(Instant::now());
                self.problem = None;
                if self.inventory.as_deref() != Some(&inventory) {
                    self.inventory = Some(Arc::new(inventory));
                    self.number += 1;
                }
            }
            Err(error) => {
                if self.problem.as_ref() != Some(&error) {
                    tracing::warn!(%error, "the provider was asked for its inventory");
                }
                self.problem = Some(error);
            }
        }
    }
}
