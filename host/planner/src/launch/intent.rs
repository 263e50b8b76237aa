//! What is written down before a provider is called, and what came of the call.

use std::fmt;

use plimsoll_model::{Text, Timestamp};

use crate::scale_up::LaunchRequest;

/// Identity of a launch: lower-case letters, digits and dashes, fit for names of objects and values of labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaunchId(pub Text);

/// A launch that has been decided. It is written down before the provider is called, so that whoever leads after a
/// crash can finish the call without doubling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchIntent {
    /// Its identity, also of the nodes that come of it where the provider can pass it on.
    pub id: LaunchId,
    /// Which nodes, and how many.
    pub request: LaunchRequest,
    /// The size of the group before, where a provider is told sizes and not nodes: after the launch it is to be
    /// `baseline + count` at least.
    pub baseline: Option<u32>,
    /// When it was decided.
    pub decided: Timestamp,
    /// Which decision it comes from.
    pub decision: Text,
    /// The term of the leader that decided.
    pub term: u64,
}

/// What came of a call to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchOutcome {
    /// The provider has taken it. Names of the nodes, as far as it knows them already.
    Accepted {
        /// Node names, at most one for each node.
        nodes: Vec<Text>,
    },
    /// The provider has refused it: nothing was launched.
    Failed(LaunchFailure),
    /// No answer came: it may have been done. The same intent is tried again.
    Unknown(String),
}

/// Why a launch failed, in what the provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchFailure {
    /// There are no such machines to be had now.
    NoCapacity(String),
    /// A quota is used up.
    Quota(String),
    /// The group is at its maximum, as the provider sees it.
    GroupFull(String),
    /// The provider is asked too often.
    RateLimited(String),
    /// The credentials or permissions are not good enough.
    Unauthorized(String),
    /// The request makes no sense to it: an image, a type, a group that is not there.
    Invalid(String),
    /// Anything else.
    Other(String),
}

// === impl LaunchId ===

impl LaunchId {
    /// The identity of a decision's launch: the same for the same cluster, decision and place in it.
    pub(super) fn of(cluster: &str, decision: &str, index: usize) -> Self {
        // FNV-1a, 64 bits: short, and the same on every machine and in every release.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in cluster.bytes().chain([0]).chain(decision.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(format!("l{hash:016x}-{index}").into())
    }
}

impl fmt::Display for LaunchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl LaunchFailure ===

impl LaunchFailure {
    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoCapacity(_) => "NoCapacity",
            Self::Quota(_) => "Quota",
            Self::GroupFull(_) => "GroupFull",
            Self::RateLimited(_) => "RateLimited",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Invalid(_) => "Invalid",
            Self::Other(_) => "Other",
        }
    }

    /// What the provider said.
    pub fn message(&self) -> &str {
        match self {
            Self::NoCapacity(said)
            | Self::Quota(said)
            | Self::GroupFull(said)
            | Self::RateLimited(said)
            | Self::Unauthorized(said)
            | Self::Invalid(said)
            | Self::Other(said) => said,
        }
    }
}

impl fmt::Display for LaunchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label(), self.message())
    }
}
