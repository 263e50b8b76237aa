//! Drains in a world of virtual time: the acceptance scenarios by number, and promises that hold whatever is answered.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failing test")]

mod acceptance;
mod answers;
mod evictions;
#[path = "../fixture/mod.rs"]
mod fixture;
mod leaders;
mod random;
mod removal;
mod warmup;
mod world;
