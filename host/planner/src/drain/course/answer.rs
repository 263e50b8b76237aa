//! What came of an action.

use plimsoll_model::{Millis, Text, Uid};

use crate::drain::RemovalOutcome;

/// What the API server said to an eviction or a deletion (Kubernetes, "API-initiated Eviction", and
/// `pkg/registry/core/pod/storage/eviction.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvictionAnswer {
    /// 200 or 201: the pod is on its way out.
    Accepted,
    /// 404, or 409 because another pod has the name: this one is gone.
    Gone,
    /// 409: the pod changed meanwhile; the same again at once.
    Conflict,
    /// 429 with the cause `DisruptionBudget`: no disruption is allowed now.
    Budget {
        /// What the server says, which names the budget where it does.
        message: String,
        /// When it may be tried again, if it says.
        retry_after: Option<Millis>,
    },
    /// 429 without that cause: the API server has too much to do.
    TooMany {
        /// When it may be tried again, if it says.
        retry_after: Option<Millis>,
    },
    /// 500 because several budgets cover the pod: no eviction will ever be allowed.
    SeveralBudgets(String),
    /// 403 because the namespace is being deleted: its pods go by themselves.
    NamespaceTerminating,
    /// 403: the permission is missing, or the budget's status makes no sense.
    Forbidden(String),
    /// 400 or 422: asked again, it is refused again.
    Invalid(String),
    /// No answer, or another failure of the server: it may have been done.
    Unknown(String),
}

/// What came of a write to a node, or to a pod that gets a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteAnswer {
    /// It is written, or was already.
    Done,
    /// There is no such object any more, or another one of its name.
    Gone,
    /// It stands otherwise there, for good: the sentence says how. For example the drain of another Plimsoll.
    Otherwise(String),
    /// The permission is missing.
    Forbidden(String),
    /// It changed meanwhile, or no answer came: the same again.
    Unknown(String),
}

/// An answer to a [`DrainAction`](super::DrainAction).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainAnswer {
    /// To `Mark`.
    Marked(WriteAnswer),
    /// To `Release`.
    Released(WriteAnswer),
    /// To `Evict`.
    Evicted(Uid, EvictionAnswer),
    /// To `Delete`.
    Deleted(Uid, EvictionAnswer),
    /// To `StartReplacement`.
    ReplacementStarted(Uid, WriteAnswer),
    /// To `MeasureRemoval`: the baseline, or why there is none.
    Measured(Result<Option<u32>, Text>),
    /// To `Remove`.
    Removed(RemovalOutcome),
    /// To `DeleteNode`.
    NodeDeleted(WriteAnswer),
}
