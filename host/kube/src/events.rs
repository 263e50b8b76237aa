//! Events: what happened to an object, where people look first.
//!
//! ```text
//!   report() ── bounded queue ── Aggregator (pure): said already? a series? too many? ── events.k8s.io/v1
//! ```
//!
//! kube's own `Recorder` is not used: it writes whoever leads, without a limit, and without counting what it drops.

mod aggregator;
mod reason;
mod writer;

pub use aggregator::EventLimits;
pub use reason::{EventReason, Severity};
pub use writer::{EventCounts, Events, EventsOptions, write_events};

use crate::api::{ObjectName, Resource};

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Regarding {
    /// `apiVersion` of the object.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub object: ObjectName,
    /// Its UID; empty where it is not known.
    pub uid: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// What it is about.
    pub regarding: Regarding,
    /// What happened.
    pub reason: EventReason,
    /// In a sentence.
    pub message: String,
    /// The decision that it came from; empty if from none.
    pub decision: String,
}

// === impl Regarding ===

impl Regarding {
    /// An object.
    pub fn new(resource: &Resource, object: ObjectName, uid: &str) -> Self {
        Self { api_version: resource.api_version(), kind: resource.kind.to_string(), object, uid: uid.to_owned() }
    }
}
