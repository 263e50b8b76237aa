//! Days of a cluster's life in seconds: planner, ledger and drains against a cluster in virtual time.
//!
//! ```text
//!   scenario or trace ──> World (API server of the tests, controllers, machines) <── actions, with faults ──┐
//!                           │ what changed, with a delay                                                     │
//!                           ├──> replicas: Snapshot ──> planner, policies ──> Ledger, Drains ────────────────┤
//!                           └──> invariants at every step; report ──> table, plot                            │
//!                                                                                └── one leader at a time ───┘
//! ```
//!
//! One thread, one queue, no clock but its own: the same seed gives the same run.
#![forbid(unsafe_code)]

mod act;
mod chance;
pub mod invariant;
pub mod plot;
mod policies;
mod queue;
mod replica;
mod report;
mod row;
mod run;
pub mod scenario;
pub mod trace;
pub mod world;

pub use act::{Deed, Fault};
pub use chance::{Chance, Seed};
pub use policies::{Hostile, Sensible};
pub use queue::Queue;
pub use replica::{Policies, Replica, Settings};
pub use report::{Report, Sample, Totals};
pub use row::{Entry, Row};
pub use run::{Broken, Faults, Life, Plan, Run};
pub use world::World;
