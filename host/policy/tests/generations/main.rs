//! Generations and the registry, with policies that need no sandbox.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod fake;
mod history;
mod order;
