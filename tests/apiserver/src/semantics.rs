//! What an API server decides, apart from storing and sending: every rule is a function over JSON and a time.
//!
//! Wording and codes are those of kube-apiserver 1.36, as clients match on them.

pub mod binding;
pub mod condition;
pub mod csr;
pub mod disruption;
pub mod eviction;
mod pem;
pub mod protobuf;
pub mod rbac;
pub mod refusal;
pub mod scale;
pub mod time;
pub mod validate;
