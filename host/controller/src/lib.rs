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
mod controller;
mod decision;
mod effects;
mod health;
mod http;
mod inventory;
mod keeper;
mod ledger_book;
mod metrics;
mod parts;
mod policies;
mod provisioner;
mod rivals;
mod settings;
mod status;
mod telling;

pub use controller::run;
pub use decision::{DecisionId, Subject};
pub use effects::{Effects, QueueFull};
pub use health::Health;
pub use http::{Pages, serve};
pub use inventory::{Heard, ask as ask_inventory};
pub use ledger_book::{BookError, LedgerBook};
pub use metrics::Metrics;
pub use parts::{Parts, WallClock};
pub use policies::Policies;
pub use provisioner::Provisioner;
pub use settings::{Identity, Settings};
pub use status::{
    ConfigStatus, DecisionStatus, GroupStatus, LaunchStatus, PendingStatus, PolicyStatus, ProviderStatus, Status,
    StatusBoard, WatchStatus, rfc3339,
};
pub use telling::controller as about_controller;
