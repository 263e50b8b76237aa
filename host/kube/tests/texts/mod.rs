//! Dumps as text, for tests.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::panic, reason = "tests say what they expect")]

use plimsoll_kube::{Dump, DumpError, read_stream};
use plimsoll_model::Requirement;

/// Reads text, which must be a dump.
pub fn read_yaml(text: &str) -> Dump {
    try_read(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// Reads text, which must be a dump.
pub fn read_json(text: &str) -> Dump {
    read_yaml(text)
}

/// Reads text.
pub fn try_read(text: &str) -> Result<Dump, DumpError> {
    read_stream("cluster", text.as_bytes())
}

/// Requirements as people read them.
pub fn shown(requirements: &[Requirement]) -> Vec<String> {
    requirements.iter().map(ToString::to_string).collect()
}
