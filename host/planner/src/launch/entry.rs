//! One launch, and how far it has come.

use plimsoll_model::{Millis, NodeGroup, Text, Timestamp};

use super::rules::doubled;
use super::{LaunchIntent, LedgerRules, NodeKind};

/// A launch of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub intent: LaunchIntent,
    pub call: Call,
    /// Calls that were not answered.
    pub tries: u32,
    /// The last of them.
    pub last_try: Option<Timestamp>,
    /// What it ended with.
    pub last_error: String,
    /// Node names that the provider gave and that are not there yet.
    pub names: Vec<Text>,
    /// Nodes that came of it, in the order in which they were seen.
    pub nodes: Vec<Arrival>,
    /// Instances that the provider could not make, by its ids.
    pub failed: Vec<Text>,
    /// Those that are missing have been reported.
    pub reported: bool,
    /// Those that are missing are given up.
    pub given_up: bool,
    /// Since when nothing more is expected.
    pub closed: Option<Timestamp>,
}

/// How far the call to the provider has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It has not been made: what must be known before is not.
    Decided,
    /// It may have been made.
    Ready,
    /// The provider has taken it.
    Accepted(Timestamp),
    /// The provider has refused it.
    Failed,
}

/// A node that came of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub name: Text,
    /// When the node was created, or else first seen.
    pub created: Timestamp,
    pub stage: Stage,
}

/// How far a node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is there, and not ready or with startup taints.
    Starting,
    /// The same, and reported.
    Late,
    /// The same, and given up.
    Stuck,
    /// It is ready.
    Ready,
    /// It is gone again.
    Left,
}

// === impl Entry ===

impl Entry {
    pub fn new(intent: LaunchIntent) -> Self {
        Self {
            intent,
            call: Call::Decided,
            tries: 0,
            last_try: None,
            last_error: String::new(),
            names: Vec::new(),
            nodes: Vec::new(),
            failed: Vec::new(),
            reported: false,
            given_up: false,
            closed: None,
        }
    }

    pub fn kind(&self) -> NodeKind {
        NodeKind::of(&self.intent.request)
    }

    pub fn group(&self) -> &Text {
        &self.intent.request.group
    }

    /// No answer has come that ends the matter.
    pub fn undecided(&self) -> bool {
        matches!(self.call, Call::Decided | Call::Ready)
    }

    /// Nodes of which nothing is there, given up or not.
    pub fn missing(&self) -> u32 {
        if self.call == Call::Failed {
            return 0;
        }
        let gone = u32::try_from(self.nodes.len().saturating_add(self.failed.len())).unwrap_or(u32::MAX);
        self.intent.request.count.saturating_sub(gone)
    }

    /// Missing nodes whose names are not known.
    pub fn unnamed(&self) -> u32 {
        self.missing().saturating_sub(u32::try_from(self.names.len()).unwrap_or(u32::MAX))
    }

    /// Nodes that are on their way: they count as capacity.
    pub fn coming(&self, rules: &LedgerRules, now: Timestamp) -> u32 {
        if self.given_up || self.overdue(rules, now) { 0 } else { self.missing() }
    }

    /// Since when the provider has been at it, as far as is known.
    pub fn begun(&self) -> Timestamp {
        match self.call {
            Call::Accepted(at) => at,
            _ => self.intent.decided,
        }
    }

    /// The time for missing nodes to come is over.
    pub fn overdue(&self, rules: &LedgerRules, now: Timestamp) -> bool {
        now.since(self.begun()) >= rules.max_provision
    }

    /// It should have an answer, and may be called now.
    pub fn callable(&self, rules: &LedgerRules, now: Timestamp) -> bool {
        let pause = doubled(rules.first_retry, self.tries, rules.longest_retry);
        let due = self.last_try.is_none_or(|last| now.since(last) >= pause || last > now);
        self.unanswered(rules, now) && due
    }

    /// It has been called, or may have been, and is to be called again. Where nodes have names of their own, even if
    /// as many nodes are there as were wanted: they may be another launch's, and a call too many launches nothing.
    pub fn unanswered(&self, rules: &LedgerRules, now: Timestamp) -> bool {
        let named = self.intent.baseline.is_none() && !self.given_up && !self.overdue(rules, now);
        self.call == Call::Ready && (named || self.coming(rules, now) > 0)
    }

    /// Nothing more is expected of it, except that what was given up may still come.
    pub fn settled(&self) -> bool {
        let starting = |node: &Arrival| matches!(node.stage, Stage::Starting | Stage::Late);
        (self.missing() == 0 || self.given_up) && !self.nodes.iter().any(starting)
    }

    /// Everything came that was to come.
    pub fn complete(&self) -> bool {
        self.missing() == 0 && self.nodes.iter().all(|node| matches!(node.stage, Stage::Ready | Stage::Left))
    }

    /// How long after the decision this is.
    pub fn after(&self, now: Timestamp) -> Millis {
        now.since(self.intent.decided)
    }
}

/// How long a node of a group may take before that is said.
pub(super) fn grace(rules: &LedgerRules, group: Option<&NodeGroup>) -> Millis {
    group.map_or(rules.least_grace, |group| group.startup.grace.max(rules.least_grace))
}

// === impl Stage ===

impl Stage {
    pub const ALL: [Self; 5] = [Self::Starting, Self::Late, Self::Stuck, Self::Ready, Self::Left];

    /// As it is written down.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Late => "late",
            Self::Stuck => "stuck",
            Self::Ready => "ready",
            Self::Left => "left",
        }
    }
}
