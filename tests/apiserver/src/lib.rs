//! An API server of its own, for tests and local trials: it answers on the wire as Kubernetes does.
//!
//! ```text
//!   connection ─> who is it ─> faults ─> may they ─> read, watch or write ─> log
//!                                                       │
//!                 tests and worlds ────────────────> Store (one revision counter, a history for watches)
//! ```
//!
//! Where it differs from a real server it is wrong: the conformance suite (`tests/conformance`) runs against both.
#![forbid(unsafe_code)]

pub mod patch;
pub mod selector;
pub mod semantics;
pub mod world;

mod access;
mod clock;
mod convert;
mod faults;
mod http;
mod journal;
mod resource;
mod server;
mod store;
mod tls;
mod write;

pub use access::Authorization;
pub use clock::{Clock, ManualClock, WallClock};
pub use faults::{Fault, Faults, Partition, Rule, RuleId, Who};
pub use journal::Logged;
pub use resource::{ResourceKind, StatusRule};
pub use semantics::refusal::{Refusal, User};
pub use semantics::scale::Paths as ScalePaths;
pub use server::{ApiServer, Options, StreamingLists};
pub use store::{Observed, Store, Template};
