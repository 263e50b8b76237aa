//! What a drain does to the API server, on the wire.
//!
//! Against a real server (see [`wire`]) its own controllers count budgets and replace pods; our own server has a world
//! for that. In both the kubelets are the tests.
#![allow(clippy::expect_used, clippy::panic, reason = "whatever is not as expected fails the test")]

mod wire;

#[path = "draining/cluster.rs"]
mod cluster;
#[path = "draining/nodes.rs"]
mod nodes;
#[path = "draining/pods.rs"]
mod pods;
#[path = "draining/replacements.rs"]
mod replacements;
