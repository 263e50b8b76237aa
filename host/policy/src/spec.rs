//! What the operator says about a policy.

use std::path::PathBuf;

use plimsoll_model::{Bytes, Millis, Text};

/// One entry of a point's list of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySpec {
    /// Its name in decisions, logs and metrics.
    pub name: Text,
    /// Where its module is.
    pub module: ModuleSource,
    /// Its settings, as JSON text; `{}` when there are none.
    pub settings: String,
    /// Whether its answers count.
    pub mode: Mode,
    /// What it may use.
    pub limits: Limits,
    /// What happens when it fails.
    pub on_error: OnError,
}

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleSource {
    /// Compiled into this binary.
    Builtin {
        /// Its name, for people.
        name: &'static str,
        /// The component.
        wasm: &'static [u8],
    },
    /// A file, read again when it changes.
    File(PathBuf),
}

/// Whether a policy's answers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    #[default]
    Active,
    /// They are recorded for comparison only.
    Shadow,
}

/// Who answers when a policy fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The next policy of the list, the built-in one last.
    Next,
    /// Nobody: nothing is done this time.
    Hold,
}

/// What a policy may use for one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall time.
    pub timeout: Millis,
    /// Linear memory, all of its memories together.
    pub memory: Bytes,
    /// Bytes of one answer.
    pub answer: Bytes,
    /// Lines of log.
    pub log_lines: u32,
    /// Bytes of log.
    pub log_bytes: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Millis(250),
            memory: Bytes(64 << 20),
            answer: Bytes(1 << 20),
            log_lines: 64,
            log_bytes: Bytes(16 << 10),
        }
    }
}
