//! What a Kubernetes API server does, one test for each rule.
//!
//! Without more the tests run against our own server. `PLIMSOLL_APISERVER=https://…`, `PLIMSOLL_APISERVER_TOKEN` and
//! `PLIMSOLL_APISERVER_CA` (a file) let them run against a real one: where the two differ, ours is wrong. Tests that need
//! the hooks of our own server say that they are skipped then. Every test works in a namespace of its own.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod endpoint;

mod applying;
mod binding;
mod deleting;
mod discovery;
mod eviction;
mod faults;
mod listing;
mod living;
mod patching;
mod permissions;
mod selecting;
mod signing;
mod storing;
mod subresources;
mod watching;
