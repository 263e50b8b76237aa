//! What every decision is called, from the change that caused it to the effect.

use std::fmt;

use plimsoll_model::{Snapshot, Text, Timestamp};

/// Identity of a decision: in log lines, in Events, in the status, and on what comes of it. Fit for a label's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DecisionId(pub Text);

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Which nodes to launch.
    ScaleUp,
    /// Which nodes to remove.
    ScaleDown,
    /// Which certificates to approve.
    Certificates,
    /// Which Node objects have no machine any more.
    Cleanup,
}

impl DecisionId {
    /// The id of what is decided now about this state of the cluster. Ids of one subject differ by time or state.
    pub fn new(subject: Subject, snapshot: &Snapshot, now: Timestamp) -> Self {
        let letter = match subject {
            Subject::ScaleUp => 'u',
            Subject::ScaleDown => 'd',
            Subject::Certificates => 'c',
            Subject::Cleanup => 'n',
        };
        Self(format!("{letter}{:x}-{:x}", now.0, snapshot.version()).as_str().into())
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Subject {
    /// A stable label.
    pub fn label(self) -> &'static str {
        match self {
            Self::ScaleUp => "scale-up",
            Self::ScaleDown => "scale-down",
            Self::Certificates => "csr-approval",
            Self::Cleanup => "cleanup",
        }
    }
}
