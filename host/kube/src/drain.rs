//! What a drain does to the API server: nodes are marked and released, pods are evicted, deleted and replaced.
//!
//! ```text
//!   DrainAction ──> GET, look, write under the version that was read ──> WriteAnswer
//!               └─> POST pods/NAME/eviction, with the pod's UID ───────> EvictionAnswer
//! ```
//!
//! Every function is safe to be called twice and ends in an answer that says what to do next; none of them gives an
//! error of the API back.

mod answer;
mod change;
mod node;
mod pod;
mod replacement;
mod request;

pub use node::{delete_node, mark_node, release_node};
pub use pod::{delete_pod, evict};
pub use replacement::start_replacement;
pub use request::{request_drain, withdraw_request};
