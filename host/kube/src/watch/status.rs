//! How watching goes, for people and for whoever must not decide on half of a cluster.

use std::fmt;
use std::sync::Arc;

use plimsoll_model::Snapshot;
use tokio::time::Instant;

use super::watched::Watched;

/// The cluster as it was last seen, and what is not known of it.
#[derive(Clone, Debug)]
pub struct View {
    /// The cluster.
    pub snapshot: Arc<Snapshot>,
    /// What is not known of it.
    pub unknown: Unknown,
}

/// What is not known of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// What is not watched, or could not be listed. Where something was known of it before, that is kept.
    pub parts: Vec<Watched>,
    /// Objects that cannot be read, and how many of each. Of such an object the last state that could be read is kept.
    pub broken: Vec<(Watched, u64)>,
}

/// How watching goes.
#[derive(Clone, Debug, Default)]
pub struct MirrorStatus {
    /// Everything required is there: decisions are made.
    pub ready: bool,
    /// Each part that is watched.
    pub parts: Vec<PartStatus>,
}

/// How the watching of one part goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartStatus {
    /// Which.
    pub watched: Watched,
    /// The resource, as permissions name it.
    pub resource: String,
    /// Every object is known, up to the last event.
    pub synced: bool,
    /// How many objects there are, broken ones included.
    pub objects: usize,
    /// How many of them cannot be read.
    pub broken: u64,
    /// Some of those: name and problem.
    pub examples: Vec<(String, String)>,
    /// When the API server last sent anything about it.
    pub last_event: Option<Instant>,
    /// How often everything was listed anew.
    pub relists: u64,
    /// What is in the way.
    pub problem: Option<WatchProblem>,
}

/// What is in the way of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchProblem {
    /// A permission is missing.
    Forbidden {
        /// What it takes, for example `list and watch pods`.
        rule: String,
        /// What the API server said.
        answer: String,
    },
    /// The API server does not serve the resource.
    NotServed,
    /// It does not go well.
    Failing {
        /// How it last ended.
        why: String,
        /// How often in a row.
        times: u32,
    },
}

// === impl Unknown ===

impl Unknown {
    /// True if all of this part is known.
    pub fn knows(&self, watched: Watched) -> bool {
        !self.parts.contains(&watched) && !self.broken.iter().any(|(part, _)| *part == watched)
    }

    /// True if nodes may be emptied as far as this goes: every pod and every budget is known.
    pub fn knows_disruption(&self) -> bool {
        self.knows(Watched::Pods) && self.knows(Watched::Budgets)
    }
}

// === impl MirrorStatus ===

impl MirrorStatus {
    /// How the watching of this part goes; `None` if it is not watched.
    pub fn part(&self, watched: Watched) -> Option<&PartStatus> {
        self.parts.iter().find(|part| part.watched == watched)
    }
}

// === impl WatchProblem ===

impl WatchProblem {
    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "Forbidden",
            Self::NotServed => "NotServed",
            Self::Failing { .. } => "Failing",
        }
    }
}

impl fmt::Display for WatchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden { rule, answer } => write!(f, "the permission to {rule} is missing: {answer}"),
            Self::NotServed => f.write_str("the API server does not serve it"),
            Self::Failing { why, times } => write!(f, "{why} ({times} times in a row)"),
        }
    }
}
