//! The controller: when to decide, what comes of it, and how it is said.
//!
//! ```text
//!   watches ──> Snapshot ──┬─> Provisioner ── plan ──> Ledger ── written down ──> provider ─┐
//!                          │        ^                    │                                   │ effects: leader only,
//!   inventory ─────────────┤        └── outcomes, joins ─┘                                   │ one bounded queue
//!                          └─> Certifier ─── verdicts ──────────────────> approval ──────────┘
//!                                     │
//!                                     └──> log line, Event, metric, status: of one decision, under its id
//! ```
#![forbid(unsafe_code)]

mod certifier;
mod cleanup;
mod controller;
mod decision;
mod drainer;
mod effects;
mod exchange;
#[cfg(test)]
mod fixture;
mod health;
mod http;
mod inventory;
mod keeper;
mod ledger_book;
mod metrics;
mod node_usage;
mod parts;
mod policies;
mod provisioner;
mod rivals;
mod settings;
mod simulation;
mod status;
mod telling;

pub use controller::run;
pub use decision::{DecisionId, Subject};
pub use drainer::Drainer;
pub use effects::{Effects, QueueFull};
pub use exchange::Exchange;
pub use health::Health;
pub use http::{Pages, serve};
pub use inventory::{Heard, ask as ask_inventory};
pub use ledger_book::{BookError, LedgerBook};
pub use metrics::{GroupAmount, Metrics};
pub use parts::{Parts, WallClock};
pub use policies::Policies;
pub use provisioner::Provisioner;
pub use settings::{Identity, Settings};
pub use simulation::SharedSimulation;
pub use status::{
    ConfigStatus, DecisionStatus, DrainStatus, GroupStatus, KeptStatus, LaunchStatus, PendingStatus, PolicyStatus,
    ProviderStatus, Status, StatusBoard, WatchStatus, rfc3339,
};
pub use telling::controller as about_controller;
