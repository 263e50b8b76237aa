//! The sandbox: WIT bindings, wasmtime, limits, generations, hot reload.
//!
//! ```text
//!   bytes ──> Module ──> Names ──> Component ──> Program ──────────> Run
//!             size,      contract  compiled,     typed, tried once;  a fresh instance, one question,
//!             validity   version   linked        settings, limits    an answer or a Failure
//! ```
#![forbid(unsafe_code)]

mod bindings;
mod blame;
mod budget;
mod cluster;
mod contract;
mod engine;
mod failure;
mod inspection;
mod journal;
mod module;
mod program;
mod sandbox;
mod slots;
mod spec;
mod state;
mod ticker;
mod v0_1;
mod wasi;

pub use engine::Allocation;
pub use failure::Failure;
pub use inspection::Inspection;
pub use module::{ModuleKind, Producer};
pub use program::{Program, Run};
pub use sandbox::Sandbox;
pub use spec::{Limits, Mode, ModuleSource, OnError, PolicySpec};

// Which program answers: generations of each policy, the order of policies, changes of their files.
mod directory;
mod fingerprint;
mod generation;
mod inquiry;
mod quarantine;
mod registry;
mod sandboxed;
mod status;
mod watch;

pub use fingerprint::{Fingerprint, Watched};
pub use registry::{Answers, Clock, Loader, Registry};
pub use sandboxed::PolicyRegistry;
pub use status::{Change, GenerationStatus, PolicyStatus, Resting, Setback};
pub use watch::{ChangeWatch, Patience};
