//! Launches from the decision until their nodes are there.
//!
//! ```text
//!   plan ──> LaunchRequest ──> LaunchIntent ── written down ──> provider ──> LaunchOutcome ── written down
//!                                                                                 │
//!        next plan <── nodes on their way, blocks after failures <── ledger <─────┴── snapshot: who joined
//! ```
//!
//! How the ledger is used, so that a crash at any point neither loses nor doubles a launch:
//!
//! 1. [`Ledger::intend`] with what a plan wants; write the ledger down.
//! 2. [`Ledger::open_baselines`]: ask the provider, [`Ledger::baseline`]; write the ledger down. Right after 1 both can
//!    be written at once: nothing has been called yet.
//! 3. [`Ledger::open_calls`]: call the provider, [`Ledger::outcome`]; write the ledger down.
//! 4. Each time the cluster is looked at: [`Ledger::observe`], then [`Ledger::launching_nodes`] and [`Ledger::blocks`]
//!    for the next plan.
//!
//! Whoever leads next reads what was written, and goes on with 2.

mod arrivals;
mod backoff;
mod cause;
mod entry;
mod groups;
mod intent;
mod kind;
mod ledger;
mod news;
mod provisioning;
mod rows;
mod rules;
mod written;

pub use cause::NotJoinedCause;
pub use groups::{GroupFacts, GroupWarning, MergedGroups, TemplateFacts, merge_provider_groups};
pub use intent::{LaunchFailure, LaunchId, LaunchIntent, LaunchOutcome};
pub use kind::NodeKind;
pub use ledger::{FailedInstance, InventoryFacts, Ledger};
pub use news::News;
pub use provisioning::GroupProvisioning;
pub use rules::LedgerRules;
pub use written::LedgerError;

/// The label of a node that names the launch that it comes from, where a provider can set labels.
pub const LAUNCH_LABEL: &str = "plimsoll.dev/launch";
