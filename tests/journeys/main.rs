//! Journeys through the binary, as a user makes them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failing test")]

mod certificates;
mod draining;
mod explaining;
mod explaining_nodes;
mod inspecting;
mod readme;
mod running;
mod simulating;
mod support;
mod watching;
