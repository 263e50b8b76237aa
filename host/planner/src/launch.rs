//! Launches from the decision until their nodes are there.
//!
//! ```text
//!   plan ──> LaunchRequest ──> LaunchIntent ── written down ──> provider ──> LaunchOutcome ── written down
//!                                                                                 │
//!        next plan <── nodes on their way, blocks after failures <── ledger <─────┴── snapshot: who joined
//! ```

mod intent;

pub use intent::{LaunchFailure, LaunchId, LaunchIntent, LaunchOutcome};
