//! Suspension hours and optimisation windows: tables of edges, and answers compared with a clock that is looked at
//! minute by minute.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

#[path = "windows/clock.rs"]
mod clock;
#[path = "windows/errors.rs"]
mod errors;
#[path = "windows/optimization.rs"]
mod optimization;
#[path = "windows/suspension.rs"]
mod suspension;
