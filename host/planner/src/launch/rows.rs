//! Rows that stand for launched nodes until they are there.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{LabelSet, Node, Resources, Snapshot, Text, Timestamp, Uid, well_known};

use super::{LAUNCH_LABEL, Ledger, NodeKind};
use crate::scale_up::{ScaleUpConfig, Templates};

/// Rows in all, whatever the ledger says.
const MOST_ROWS: u32 = 50_000;

impl Ledger {
    /// A row for every node that is on its way, for the snapshot of the next plan: what the group's next node would
    /// be, less what DaemonSets will take of it, with the taints that stay. Its name is none that a node can have. The
    /// rows of one ledger at one time are always the same.
    pub fn launching_nodes(&self, config: &ScaleUpConfig, snapshot: &Snapshot, now: Timestamp) -> Vec<Node> {
        let mut rows = Vec::new();
        let mut left = MOST_ROWS;
        if self.entries.iter().all(|entry| entry.coming(&self.rules, now) == 0) {
            return rows;
        }
        let mut templates = Templates::new(snapshot, &config.groups);
        let mut offers: HashMap<NodeKind, Offer> = HashMap::new();
        for entry in &self.entries {
            let coming = entry.coming(&self.rules, now).min(left);
            if coming == 0 {
                continue;
            }
            left -= coming;
            let (intent, kind) = (&entry.intent, entry.kind());
            let offer = offers.entry(kind).or_insert_with_key(|kind| Offer::of(&mut templates, kind));
            let id = &intent.id.0;
            // The first ones are taken to have come first.
            for place in intent.request.count.saturating_sub(coming)..intent.request.count {
                let name: Text = format!("launch/{id}/{place}").into();
                let own = [(well_known::HOSTNAME.into(), name.clone()), (LAUNCH_LABEL.into(), id.clone())];
                let labels = offer.labels.iter().chain(intent.request.labels.iter());
                let labels: LabelSet = labels.map(|(key, value)| (key.clone(), value.clone())).chain(own).collect();
                rows.push(Node {
                    uid: Uid::parse(&name),
                    name,
                    labels: Arc::new(labels),
                    annotations: Arc::default(),
                    taints: intent.request.taints.clone(),
                    allocatable: offer.free.clone(),
                    unschedulable: false,
                    ready: false,
                    created: Some(intent.decided),
                    deleting: false,
                    launching: true,
                    provider_id: None,
                    ready_changed: None,
                    conditions: Vec::new(),
                    attached_volumes: 0,
                    addresses: Vec::new(),
                });
            }
        }
        rows
    }
}

/// What a node of one kind will be.
#[derive(Default)]
struct Offer {
    labels: LabelSet,
    free: Resources,
}

impl Offer {
    /// Nothing but a node, for what is no longer configured.
    fn of(templates: &mut Templates<'_>, kind: &NodeKind) -> Self {
        let template = templates.find(&kind.group, &kind.instance_type, &kind.zone, kind.lifecycle);
        template.map_or_else(Self::default, |node| Self { labels: LabelSet::clone(&node.labels), free: node.free })
    }
}
