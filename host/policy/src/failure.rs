//! What a policy can do wrong.

use plimsoll_model::{Bytes, Millis};

/// Why a policy did not load or did not answer. Each kind has a label for metrics; the sentence says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The file cannot be read, is too large, or is no WebAssembly that this host can run.
    #[error("cannot load: {0}")]
    Load(String),
    /// It speaks another contract, or imports what a policy may not have.
    #[error("contract: {0}")]
    Contract(String),
    /// It refuses its settings.
    #[error("settings: {0}")]
    Settings(String),
    /// It stopped by itself: a panic, an out-of-bounds access, a stack overflow.
    #[error("trapped: {0}")]
    Trap(String),
    /// It did not answer in time.
    #[error("no answer within {limit}; shorten the work or raise limits.timeoutMs")]
    Deadline {
        /// The time it had.
        limit: Millis,
    },
    /// It wanted more memory or larger tables than it may have.
    #[error("wanted more than {limit} of memory; use less or raise limits.memoryMib")]
    Memory {
        /// The memory it may have.
        limit: Bytes,
    },
    /// Its answer is too large or makes no sense.
    #[error("answer: {0}")]
    Output(String),
}

impl Failure {
    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::Contract(_) => "contract",
            Self::Settings(_) => "settings",
            Self::Trap(_) => "trap",
            Self::Deadline { .. } => "deadline",
            Self::Memory { .. } => "memory",
            Self::Output(_) => "output",
        }
    }
}
