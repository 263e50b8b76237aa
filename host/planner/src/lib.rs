//! Scale-up, scale-down, drain and certificate decisions, as pure functions.
//!
//! ```text
//!   Snapshot + config + time ──> candidates ──> question ──> policy ──> verdict ──> plan
//!                                (scheduler)    (this crate)            checked, clipped, explained
//! ```
#![forbid(unsafe_code)]

pub mod csr;
pub mod drain;
pub mod explain;
pub mod launch;

mod clipped;
mod policy;
pub mod scale_up;
pub mod windows;

pub use policy::{Asked, CallOutcome, CsrPolicy, DrainPolicy, LogLevel, LogLine, Point, PolicyCall, ScaleUpPolicy};
