//! What a plan is told of what happened before it.

use std::collections::HashMap;

use plimsoll_model::{Text, Timestamp};

use super::Cause;

/// A drain that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningDrain {
    /// The name of the node.
    pub node: Text,
    /// Its node group, where one is known.
    pub group: Option<Text>,
    /// Why it is drained.
    pub cause: Cause,
    /// When the node is removed whatever is on it.
    pub deadline: Timestamp,
    /// How far it has come, for a person: `7/10 evicted, 2 retrying, 1 terminating, 140 s left`.
    pub progress: String,
}

/// What a plan is told of what happened before it. The default is for dumps, of which nothing of the sort is known:
/// every node counts as removable long enough.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Drains that are under way, in the order of nodes.
    pub running: Vec<RunningDrain>,
    /// In how many evaluations in a row, up to the last one, each node could have gone: see
    /// [`Evaluations::before`](super::Evaluations::before). `None`: evaluations are not counted.
    pub evaluations: Option<HashMap<Text, u32>>,
    /// Nothing is removed to save money until then: something was launched or removed just before.
    pub cooling_until: Option<Timestamp>,
    /// Why no further drain may begin now, a sentence: drained pods have not come back.
    pub halted: Option<String>,
    /// The pod of this process, namespace and name, so that the last ready replica stays where it is.
    pub own_pod: Option<(Text, Text)>,
    /// Nobody can remove a machine: nothing is drained to save money.
    pub no_provider: bool,
    /// When the interruption of each node was first seen; kept by [`note_seen`](super::note_seen).
    pub seen: HashMap<Text, Timestamp>,
}
