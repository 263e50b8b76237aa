//! Generations and the registry: most with policies that need no sandbox, the last with one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod fake;
#[path = "../guest/mod.rs"]
mod guest;
mod history;
mod order;
mod property;
mod sandboxed;
