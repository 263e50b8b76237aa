//! What the host keeps for one instance.

use std::sync::Arc;

use plimsoll_model::{Snapshot, Timestamp};
use plimsoll_planner::LogLevel;

use crate::Limits;
use crate::bindings::plimsoll::policy::{log, types};
use crate::budget::Budget;
use crate::journal::Journal;
use crate::wasi::Wasi;

/// The data of one store.
pub struct State {
    /// What `cluster` reads.
    pub snapshot: Arc<Snapshot>,
    /// What memory it may have.
    pub budget: Budget,
    /// What it says.
    pub journal: Journal,
    /// When the decision is.
    pub moment: Moment,
    /// Made when a program that uses WASI first asks for it.
    pub wasi: Option<Box<Wasi>>,
}

/// What stands for clock and chance in one decision.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of the decision.
    pub now: Timestamp,
    /// Seed for whatever needs chance.
    pub seed: u64,
}

// === impl State ===

impl State {
    /// Data for a fresh instance.
    pub fn new(snapshot: Arc<Snapshot>, moment: Moment, limits: &Limits) -> Self {
        Self { snapshot, budget: Budget::new(limits.memory), journal: Journal::new(limits), moment, wasi: None }
    }

    /// What WASI needs.
    pub fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(self.moment)))
    }
}

impl types::Host for State {}

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.journal.add(level, &message);
        Ok(())
    }
}
