//! How a node goes, step by step: a state machine without effects.
//!
//! ```text
//!                       ┌─────────────── answers, each on a path of its own ───────────────┐
//!   planned drain ──> Mark (cordon, taint, annotate) ──> Evict by the timetable ──> nothing left ──> volumes detached
//!        ▲                 │ cancelled before the first eviction: Release                                │
//!   the annotation, read by the next leader: same id, same deadline            gone ──> DeleteNode <── Remove
//! ```

mod action;
mod answer;
mod breaker;
mod clock;
mod drains;
mod facts;
mod hearing;
mod leaver;
mod leaving;
mod news;
mod record;
mod rules;
mod steps;
mod written;

pub use action::{DrainAction, NodeRef, PodRef, Warmup};
pub use answer::{DrainAnswer, EvictionAnswer, WriteAnswer};
pub use drains::{Canceller, CannotCancel, Drains};
pub use facts::{DrainFacts, MachineState};
pub use news::{DrainChange, DrainNews};
pub use record::{Drain, DrainId, RemovalMark, Slot};
pub use rules::DrainRules;
pub use written::DrainRecordError;
