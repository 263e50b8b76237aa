//! The cluster as it changes, kept up by watching.
//!
//! ```text
//!   API server ─> follow ── one task a resource: requests what is ordered, hands on bytes
//!                   ^ └───> Mirror ── on a thread of its own
//!                   │         ├─ Feed ── one a resource
//!                   └─ Order ─┤    ├─ Course ── what to ask for next: list, page, watch, and when
//!                             │    ├─ Lines, Items ── whole objects out of the bytes
//!                             │    └─ KnownNames ── what a list no longer names is gone
//!                             └─ Rows ── model::Cluster, with what was launched beside what is there
//!                                   └─> Debounce ─> View ── a snapshot, and what is not known
//! ```
//!
//! Everything but `follow` and the loop of `handle` is free of I/O and clocks.

mod course;
mod debounce;
mod event;
mod feed;
mod follow;
mod handle;
mod lines;
mod mirror;
mod names;
mod rows;
mod status;
#[cfg(test)]
mod tests;
mod watched;

pub use debounce::DebounceTimes;
pub use handle::{MirrorEnded, MirrorHandle, MirrorOptions};
pub use mirror::Mirror;
pub use status::{MirrorStatus, PartStatus, Unknown, View, WatchProblem};
pub use watched::Watched;
