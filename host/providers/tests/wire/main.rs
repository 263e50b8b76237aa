//! Each provider against a server on the wire.
#![allow(clippy::expect_used, clippy::panic, reason = "what cannot be set up is a failing test")]

mod cluster;
mod cluster_api;
mod external_grpc;
mod karpenter;
mod simulated;
mod support;
