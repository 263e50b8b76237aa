//! A drain as it is written on its node.

use std::fmt;

use plimsoll_model::{Millis, Text, Timestamp, Uid};

use crate::drain::Cause;

/// Identity of a drain: lower-case letters, digits and dashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DrainId(pub Text);

/// A drain as it is written on its node (annotation [`DRAIN`](plimsoll_model::well_known::DRAIN)), so that any replica
/// can take it over at any point and keep its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Its identity.
    pub id: DrainId,
    /// The identifier of the cluster in the configuration of whoever began it: another Plimsoll's drains are left alone.
    pub cluster: Text,
    /// Why the node goes.
    pub cause: Cause,
    /// The same, in the words of the policy or of the person who asked for it.
    pub reason: String,
    /// When it began.
    pub started: Timestamp,
    /// When the node is removed whatever is on it. Only ever moved forward in time by an interruption that comes
    /// sooner.
    pub deadline: Timestamp,
    /// The policy that ordered its pods: its name, `@`, and the beginning of its digest.
    pub policy: Option<Text>,
    /// The decision that it comes from.
    pub decision: Text,
    /// The turns of its pods, in the order of time.
    pub slots: Vec<Slot>,
    /// The time between two evictions of pods that come late.
    pub spacing: Millis,
    /// The machine is being removed; set before the provider is called.
    pub removal: Option<RemovalMark>,
}

/// A pod's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The pod.
    pub pod: Uid,
    /// When it is evicted, or its replacement is started, after the drain began.
    pub after: Millis,
    /// The warm-up that it asks for: its replacement is started at its turn and it is evicted later.
    pub warmup: Option<Millis>,
}

/// The point from which on a drain cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalMark {
    /// When.
    pub since: Timestamp,
    /// The size of its group before, where the provider goes by sizes.
    pub baseline: Option<u32>,
}

impl fmt::Display for DrainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
