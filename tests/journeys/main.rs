//! Journeys through the binary, as a user makes them.

mod inspecting;
mod readme;
mod simulating;
mod support;
mod watching;
