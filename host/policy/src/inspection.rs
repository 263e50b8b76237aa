//! What can be said of a policy's file.

use plimsoll_model::{Bytes, Text};
use plimsoll_planner::Point;

use crate::Failure;
use crate::module::{ModuleKind, Producer};

/// What a module is, and whether it loads here.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// SHA-256 of the file, in hexadecimal.
    pub digest: Text,
    /// The size of the file.
    pub size: Bytes,
    /// What it is.
    pub kind: ModuleKind,
    /// Everything that it exports.
    pub exports: Vec<String>,
    /// Everything that it imports.
    pub imports: Vec<String>,
    /// Versions of the contract that these name, each once.
    pub contract: Vec<String>,
    /// Where it has a say.
    pub points: Vec<Point>,
    /// It checks its settings.
    pub takes_settings: bool,
    /// Tools and languages that had a part in it.
    pub producers: Vec<Producer>,
    /// How long it took to compile, in microseconds; `None` if it came to nothing before that.
    pub compile_micros: Option<u64>,
    /// Why it does not load; `None` if it does.
    pub failure: Option<Failure>,
}

// === impl Inspection ===

impl Inspection {
    /// Of which nothing more is known yet.
    pub(crate) fn new(kind: ModuleKind, digest: Text, size: Bytes) -> Self {
        Self {
            digest,
            size,
            kind,
            exports: Vec::new(),
            imports: Vec::new(),
            contract: Vec::new(),
            points: Vec::new(),
            takes_settings: false,
            producers: Vec::new(),
            compile_micros: None,
            failure: None,
        }
    }
}
