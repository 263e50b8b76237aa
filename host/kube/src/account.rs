//! What was read, what was not, and what was wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use plimsoll_model::Timestamp;

/// An account of everything that the files held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Objects of the kinds that decisions use, by kind. Broken ones are not among them.
    pub read: BTreeMap<String, u64>,
    /// Objects of kinds that nothing uses, by kind.
    pub unknown: BTreeMap<String, u64>,
    /// Objects that could not be used, in the order they were met.
    pub broken: Vec<BrokenObject>,
    /// The latest moment that any object used mentions: about when the dump was taken.
    pub newest: Option<Timestamp>,
}

/// An object that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenObject {
    /// The file it is in, or `standard input`.
    pub file: String,
    /// The line of the field that is wrong, or where the object starts.
    pub line: u64,
    /// Its kind, as far as it is known.
    pub kind: Option<String>,
    /// Its name, with its namespace where it has one, as far as it is known.
    pub name: Option<String>,
    /// The field that is wrong, like `spec.containers[0].resources.requests.cpu`; empty for the whole object.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

// === impl Account ===

impl Account {
    /// How many objects there were of any sort.
    pub fn objects(&self) -> u64 {
        let broken = u64::try_from(self.broken.len()).unwrap_or(u64::MAX);
        self.read.values().chain(self.unknown.values()).sum::<u64>().saturating_add(broken)
    }
}

// === impl BrokenObject ===

impl fmt::Display for BrokenObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.kind.as_deref().unwrap_or("object"))?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if !self.field.is_empty() {
            write!(f, ", field {}", self.field)?;
        }
        write!(f, ": {}", self.problem)
    }
}
