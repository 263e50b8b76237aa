//! The one owner of what is known of the cluster.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_model::{Machine, Node};
use tokio::time::Instant;

use super::course::End;
use super::feed::{Feed, Order};
use super::rows::Rows;
use super::status::{MirrorStatus, Unknown, View};
use super::watched::Watched;

/// The cluster as the API server shows it. No I/O: answers go in, requests and views come out.
#[derive(Debug)]
pub struct Mirror {
    feeds: Vec<Feed>,
    rows: Rows,
}

// === impl Mirror ===

impl Mirror {
    /// A mirror of these parts, each once, and of those that are required.
    pub(super) fn new(watched: &[Watched]) -> Self {
        let wanted = |part: &Watched| part.required() || watched.contains(part);
        let feeds = Watched::ALL.into_iter().filter(wanted).map(Feed::new).collect();
        Self { feeds, rows: Rows::default() }
    }

    /// The first request for each part.
    pub(super) fn begin(&mut self) -> Vec<Order> {
        self.feeds.iter_mut().map(|feed| feed.order(Duration::ZERO)).collect()
    }

    /// An answer for this part has begun.
    pub(super) fn opened(&mut self, part: usize) {
        self.feeds[part].opened();
    }

    /// The next bytes of an answer for this part.
    pub(super) fn bytes(&mut self, part: usize, bytes: &[u8], now: Instant) {
        self.feeds[part].bytes(bytes, &mut self.rows, now);
    }

    /// An answer for this part has ended. Gives the next request; `chance` is any number.
    pub(super) fn ended(&mut self, part: usize, end: End, chance: u64) -> Order {
        self.feeds[part].ended(end, &mut self.rows, chance)
    }

    /// True if somebody waits for what comes of this part.
    pub(super) fn urgent(&self, part: usize) -> bool {
        self.feeds[part].watched == Watched::SigningRequests
    }

    /// Every node that was launched and may not have joined.
    pub(super) fn set_launching(&mut self, nodes: Vec<Node>) {
        self.rows.set_launching(nodes);
    }

    /// Every machine that the provider knows.
    pub(super) fn set_machines(&mut self, machines: Vec<Machine>) {
        self.rows.set_machines(machines);
    }

    /// Everything required is known, and all else is known or will not be soon.
    pub(super) fn ready(&self) -> bool {
        self.feeds.iter().all(|feed| if feed.watched.required() { feed.synced() } else { feed.settled() })
    }

    /// Differs whenever a view would differ.
    pub(super) fn revision(&self) -> (u64, u64) {
        (self.rows.cluster.revision(), self.feeds.iter().map(Feed::doubts).sum())
    }

    /// The cluster as it is now; `None` unless everything required is known.
    pub(super) fn view(&mut self) -> Option<View> {
        self.ready().then(|| View { snapshot: self.rows.cluster.snapshot(), unknown: self.unknown() })
    }

    /// What is not known.
    pub(super) fn unknown(&self) -> Unknown {
        let known = |part: Watched| self.feeds.iter().any(|feed| feed.watched == part && feed.synced());
        let broken = |feed: &Feed| (feed.broken() > 0).then(|| (feed.watched, feed.broken()));
        Unknown {
            parts: Watched::ALL.into_iter().filter(|&part| !known(part)).collect(),
            broken: self.feeds.iter().filter_map(broken).collect(),
        }
    }

    pub(super) fn status(&self) -> Arc<MirrorStatus> {
        Arc::new(MirrorStatus { ready: self.ready(), parts: self.feeds.iter().map(Feed::status).collect() })
    }

    /// The parts with what is in the way of each.
    pub(super) fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    #[cfg(test)]
    pub(super) fn snapshot_for_test(&mut self) -> Arc<plimsoll_model::Snapshot> {
        self.rows.cluster.snapshot()
    }
}
