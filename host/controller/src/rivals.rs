//! Other autoscalers in charge of the same nodes.

use std::time::Duration;

use plimsoll_kube::{EventReason, OwnName, RivalFacts, gather_rival_facts, rivals};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{Parts, telling};

/// Leases and heartbeats of others change more often than this.
const EVERY: Duration = Duration::from_secs(60);

/// Looks for them once a minute while this replica leads.
pub async fn look(parts: Parts, stop: CancellationToken) {
    let own = OwnName {
        namespace: parts.identity.namespace.clone(),
        lease: parts.identity.lease(),
        through_karpenter: parts.provider.as_ref().is_some_and(|provider| provider.name() == "karpenter"),
    };
    let mut before: Option<RivalFacts> = None;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {},
        }
        if !parts.leadership.leads() {
            before = None;
            continue;
        }
        let facts = gather_rival_facts(&parts.api).await;
        let found: Vec<String> =
            rivals(&facts, before.as_ref(), &own).into_iter().map(|rival| rival.sentence).collect();
        let known = parts.status.get().rivals;
        for sentence in found.iter().filter(|sentence| !known.contains(sentence)) {
            tracing::warn!("{sentence}");
            parts.tell(telling::controller(&parts.identity), EventReason::RivalAutoscaler, sentence.as_str(), None);
        }
        parts.status.update(|status| status.rivals = found);
        before = Some(facts);
    }
}
