//! What is to be done next.

use plimsoll_model::{Millis, Text, Timestamp, Uid};

use super::{Drain, DrainId};
use crate::drain::Removal;

/// A node, and which object of that name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeRef {
    /// Its name.
    pub name: Text,
    /// Its UID, as text.
    pub uid: String,
}

/// A pod, and which object of that name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodRef {
    /// The namespace it lives in.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Which object.
    pub uid: Uid,
}

/// A pod that is taken out of its ReplicaSet, so that the ReplicaSet starts another one while the Services of its
/// other labels still send it requests. Written on the pod (annotation
/// [`WARMING_UP`](plimsoll_model::well_known::WARMING_UP)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warmup {
    /// The drain.
    pub drain: DrainId,
    /// The ReplicaSet that it was taken out of: where its replacement is looked for.
    pub replica_set: Text,
    /// That one's UID, as text.
    pub replica_set_uid: String,
    /// The value of `pod-template-hash` that was taken away.
    pub hash: Text,
    /// When.
    pub since: Timestamp,
    /// How long the replacement may take at most.
    pub warmup: Millis,
}

/// What is to be done next. Each is safe to be done twice, and is answered by a
/// [`DrainAnswer`](super::DrainAnswer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainAction {
    /// Cordon the node, taint it, and write the drain on it; also to write a change of the drain. One write.
    Mark {
        /// The node.
        node: NodeRef,
        /// What is written.
        drain: Drain,
    },
    /// Take taint and drain off the node again, and uncordon it.
    Release {
        /// The node.
        node: NodeRef,
        /// Only if this is the drain that is written there; `None`: only if no drain is there that can be read.
        drain: Option<DrainId>,
    },
    /// Ask for the eviction of a pod (`policy/v1` Eviction, with its UID as precondition).
    Evict {
        /// The node.
        node: Text,
        /// The pod.
        pod: PodRef,
        /// Time to stop, where less than the pod's own is left.
        grace: Option<Millis>,
    },
    /// Delete a pod, whatever its disruption budget says, with its UID as precondition.
    Delete {
        /// The node.
        node: Text,
        /// The pod.
        pod: PodRef,
        /// Time to stop.
        grace: Millis,
    },
    /// Take a pod out of its ReplicaSet.
    StartReplacement {
        /// The node.
        node: Text,
        /// The pod.
        pod: PodRef,
        /// What is written on it.
        warmup: Warmup,
    },
    /// Ask the provider what must be written down before the machine is removed.
    MeasureRemoval {
        /// The machine; its baseline is not known yet.
        removal: Removal,
    },
    /// Have the provider remove the machine.
    Remove {
        /// The machine.
        removal: Removal,
    },
    /// Delete the Node object, whose machine is gone.
    DeleteNode {
        /// The node.
        node: NodeRef,
    },
}
