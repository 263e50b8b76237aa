//! Kubernetes in and out: dump files, and calls to the API server.
//!
//! ```text
//!   file, folder, stdin ─> stream ── one object's text at a time, YAML turned into JSON on the way
//!                            └─> object ── the few fields that decisions use, decoded and checked
//!                                  └─> model::ClusterBuilder ── compact rows; the text is dropped
//! ```
//!
//! Nothing larger than one object is ever held as a tree. What cannot be read is either an error of the whole
//! file (it is cut off, it is no text) or one [`BrokenObject`] with file, line and field, and reading goes on.
#![forbid(unsafe_code)]

mod account;
mod api;
mod collector;
mod dump;
mod error;
mod kind;
mod object;
mod source;
mod stream;

pub use account::{Account, BrokenObject};
pub use api::{
    Answer, Api, ApiError, ConnectError, Connection, Leadership, LeadershipSetter, ObjectName, Patch, Permit, Precondition,
    Purpose, Refused, Resource, Term,
};
pub use dump::{Dump, Progress, read_dump, read_stream};
pub use error::DumpError;
pub use source::Source;
