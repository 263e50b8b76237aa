//! Certificates through the public face, with a policy that approves everything.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failing test")]

#[path = "../fixture/mod.rs"]
mod fixture;

mod der;
mod draft;
mod hostile;
mod inventory;
mod keys;
mod mutation;
mod planning;
mod sound;
