//! Every launch from its decision until its nodes are there or given up.

use std::collections::HashSet;

use plimsoll_model::{Machine, Text, Timestamp, one_line};

use super::backoff::{Backoffs, Scope};
use super::entry::{Call, Entry};
use super::{LaunchFailure, LaunchId, LaunchIntent, LaunchOutcome, LedgerRules, News, NodeKind};
use crate::scale_up::{LaunchBlock, LaunchRequest, ScaleUpConfig};

/// Nodes of one launch: more than any cluster has is an answer that cannot be meant.
pub(super) const MOST_NODES: u32 = 20_000;
/// Characters that are kept of an error.
const LONGEST: usize = 300;

/// Every launch from its decision until its nodes are there or given up, and what failed lately. A value: it is
/// written down whole, and whoever reads it goes on where the last one stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub(super) cluster: Text,
    pub(super) rules: LedgerRules,
    /// In the order of decisions.
    pub(super) entries: Vec<Entry>,
    pub(super) backoffs: Backoffs,
    /// Instances that failed and are of no launch in the ledger.
    pub(super) strays: Vec<Text>,
    /// Nodes created until then are known to be of other launches, or of none.
    pub(super) settled: Timestamp,
    /// Nodes that were there when nothing was awaited.
    pub(super) bystanders: Bystanders,
}

/// Names of nodes that cannot be of any launch to come. They spare guesses and are not written down: after a change of
/// leaders, times alone tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Bystanders(pub(super) HashSet<Text>);

impl PartialEq for Bystanders {
    /// What is not written down makes no other ledger.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Bystanders {}

/// What the providers know, as far as the ledger needs it.
#[derive(Clone, Debug, Default)]
pub struct InventoryFacts {
    /// Machines that were launched.
    pub machines: Vec<Machine>,
    /// Instances that could not be made.
    pub failed: Vec<FailedInstance>,
}

/// An instance that could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedInstance {
    /// Its node group.
    pub group: Text,
    /// The provider's id of it.
    pub id: Text,
    /// Why.
    pub failure: LaunchFailure,
}

// === impl Ledger ===

impl Ledger {
    /// An empty ledger for the cluster of this identifier.
    pub fn new(cluster: Text, rules: LedgerRules) -> Self {
        let (entries, backoffs, strays) = (Vec::new(), Backoffs::default(), Vec::new());
        Self { cluster, rules, entries, backoffs, strays, settled: Timestamp(0), bystanders: Bystanders::default() }
    }

    /// The identifier of its cluster.
    pub fn cluster(&self) -> &Text {
        &self.cluster
    }

    /// Notes launches that were decided. From now on their nodes count as coming; nothing is called before the ledger
    /// has been written down.
    pub fn intend(
        &mut self,
        requests: Vec<LaunchRequest>,
        now: Timestamp,
        decision: &Text,
        term: u64,
    ) -> Vec<LaunchIntent> {
        let mut known: HashSet<LaunchId> = self.entries.iter().map(|entry| entry.intent.id.clone()).collect();
        let mut index = self.entries.iter().filter(|entry| entry.intent.decision == *decision).count();
        let mut intents = Vec::with_capacity(requests.len());
        for mut request in requests {
            request.count = request.count.min(MOST_NODES);
            if request.count == 0 {
                continue;
            }
            let mut id = LaunchId::of(&self.cluster, decision, index);
            while !known.insert(id.clone()) {
                index += 1;
                id = LaunchId::of(&self.cluster, decision, index);
            }
            index += 1;
            let intent = LaunchIntent { id, request, baseline: None, decided: now, decision: decision.clone(), term };
            self.entries.push(Entry::new(intent.clone()));
            intents.push(intent);
        }
        intents
    }

    /// Launches of which the provider has to be asked what must be written down before the call: of each group the
    /// first one, and no other before that one has its answer.
    pub fn open_baselines(&self, now: Timestamp) -> Vec<&LaunchIntent> {
        let mut taken: HashSet<&Text> = HashSet::new();
        let mut open = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.undecided() && entry.coming(&self.rules, now) > 0) {
            // A launch without a baseline changes no size that another one's baseline could be.
            let holds = entry.call == Call::Decided || entry.intent.baseline.is_some();
            if holds && taken.insert(entry.group()) && entry.call == Call::Decided {
                open.push(&entry.intent);
            }
        }
        open
    }

    /// Notes what the provider said has to be written down before the call. False, and nothing changes, if it is not
    /// this launch's turn.
    pub fn baseline(&mut self, id: &LaunchId, baseline: Option<u32>, now: Timestamp) -> bool {
        if !self.open_baselines(now).iter().any(|intent| intent.id == *id) {
            return false;
        }
        if let Some(entry) = self.entry(id) {
            entry.intent.baseline = baseline;
            entry.call = Call::Ready;
        }
        true
    }

    /// Launches that are to be called now: their calls were never made, or nobody knows how they ended. Once the
    /// ledger has been written down.
    pub fn open_calls(&self, now: Timestamp) -> Vec<&LaunchIntent> {
        self.entries.iter().filter(|entry| entry.callable(&self.rules, now)).map(|entry| &entry.intent).collect()
    }

    /// When the next call of [`open_calls`](Self::open_calls) is due that is not due now.
    pub fn next_call(&self, now: Timestamp) -> Option<Timestamp> {
        let waiting =
            self.entries.iter().filter(|entry| entry.unanswered(&self.rules, now) && !entry.callable(&self.rules, now));
        let due = |entry: &Entry| {
            let pause = super::rules::doubled(self.rules.first_retry, entry.tries, self.rules.longest_retry);
            Some(Timestamp(entry.last_try?.0.saturating_add(pause.0)))
        };
        waiting.filter_map(due).min()
    }

    /// The launch of this id, if the ledger has it.
    pub fn find(&self, id: &str) -> Option<&LaunchIntent> {
        self.entries.iter().map(|entry| &entry.intent).find(|intent| *intent.id.0 == *id)
    }

    /// Launches of which something is still expected.
    pub fn open(&self) -> impl Iterator<Item = &LaunchIntent> {
        self.entries.iter().filter(|entry| entry.closed.is_none()).map(|entry| &entry.intent)
    }

    /// Groups of which a launch has no answer yet: each may still change its size.
    pub fn unanswered(&self) -> impl Iterator<Item = &Text> {
        self.entries.iter().filter(|entry| entry.undecided() && entry.closed.is_none()).map(Entry::group)
    }

    /// When the last of the launches was decided that are in the ledger, whoever led then.
    pub fn last_decided(&self) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.intent.decided).max()
    }

    /// Notes what came of a call, or of asking for the baseline. What is known to have ended does not change.
    pub fn outcome(
        &mut self,
        id: &LaunchId,
        outcome: LaunchOutcome,
        config: &ScaleUpConfig,
        now: Timestamp,
    ) -> Vec<News> {
        let Some(at) = self.entries.iter().position(|entry| entry.intent.id == *id) else { return Vec::new() };
        match outcome {
            LaunchOutcome::Accepted { nodes } => {
                let elsewhere: HashSet<Text> = self.named_elsewhere(at);
                let entry = &mut self.entries[at];
                if entry.undecided() {
                    entry.call = Call::Accepted(now);
                    let group = entry.group().clone();
                    self.backoffs.accepted(&group);
                }
                let entry = &mut self.entries[at];
                if matches!(entry.call, Call::Accepted(_)) {
                    for name in nodes {
                        let known = entry.names.contains(&name) || entry.nodes.iter().any(|node| node.name == name);
                        if entry.unnamed() > 0 && !known && !elsewhere.contains(&name) {
                            entry.names.push(name);
                        }
                    }
                }
                Vec::new()
            }
            LaunchOutcome::Unknown(said) => {
                let entry = &mut self.entries[at];
                if entry.undecided() {
                    entry.tries = entry.tries.saturating_add(1);
                    entry.last_try = Some(now);
                    entry.last_error = one_line(&said, LONGEST).into_owned();
                }
                Vec::new()
            }
            LaunchOutcome::Failed(failure) => {
                if !self.entries[at].undecided() {
                    return Vec::new();
                }
                let kind = self.entries[at].kind();
                let block = self.backoffs.fail(&self.rules, &kind, Scope::of(&failure), &failure.to_string(), now);
                // Launches that were never called would fail alike.
                let alike = |entry: &Entry| entry.call == Call::Decided && entry.kind().covered_by(&block);
                let mut ended: Vec<usize> = (0..self.entries.len()).filter(|&at| alike(&self.entries[at])).collect();
                if !ended.contains(&at) {
                    ended.insert(0, at);
                }
                let mut news = Vec::with_capacity(ended.len());
                for at in ended {
                    let nodes = self.entries[at].missing();
                    let kind = self.entries[at].kind();
                    let fallback = self.fallback(config, &kind, now);
                    let entry = &mut self.entries[at];
                    entry.call = Call::Failed;
                    entry.names.clear();
                    if entry.settled() {
                        entry.closed = Some(now);
                    }
                    let (launch, failure, next_try) = (entry.intent.id.clone(), failure.clone(), block.until);
                    news.push(News::Failed { launch, kind, nodes, failure, next_try, fallback });
                }
                news
            }
        }
    }

    /// What may not be launched for now, for the next plan.
    pub fn blocks(&self, now: Timestamp) -> Vec<LaunchBlock> {
        self.backoffs.blocks(now).cloned().collect()
    }

    /// The first kind of the same group that is not left alone.
    pub(super) fn fallback(&self, config: &ScaleUpConfig, kind: &NodeKind, now: Timestamp) -> Option<NodeKind> {
        let group = config.groups.iter().find(|group| group.name == kind.group)?;
        for instance_type in &group.instance_types {
            for zone in &group.zones {
                for &lifecycle in &group.lifecycles {
                    let other = NodeKind {
                        group: group.name.clone(),
                        instance_type: instance_type.name.clone(),
                        zone: zone.clone(),
                        lifecycle,
                    };
                    let blocked = self.backoffs.blocks(now).any(|block| other.covered_by(block))
                        || config.is_blocked(&group.name, &instance_type.name, zone, lifecycle, now).is_some();
                    if !blocked && other != *kind {
                        return Some(other);
                    }
                }
            }
        }
        None
    }

    fn entry(&mut self, id: &LaunchId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.intent.id == *id)
    }

    /// Names of nodes that belong to other launches, or did. One that is used again still finds its launch by its group.
    fn named_elsewhere(&self, at: usize) -> HashSet<Text> {
        let others = self.entries.iter().enumerate().filter(|(other, _)| *other != at);
        let names = |(_, entry)| {
            let Entry { names, nodes, .. }: &Entry = entry;
            names.iter().chain(nodes.iter().map(|node| &node.name))
        };
        others.flat_map(names).cloned().collect()
    }
}
