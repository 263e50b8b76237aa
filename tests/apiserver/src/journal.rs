//! Every request that came, for tests to look at afterwards.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// More than this is not kept: the oldest go.
const KEPT: usize = 200_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Who asked.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the HTTP method for paths that are
    /// no resource.
    pub verb: String,
    /// API group; empty for the core.
    pub group: String,
    /// Plural; the path if it is no resource.
    pub resource: String,
    /// Like `eviction`, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Name, or empty.
    pub name: String,
    /// The code that was answered; 0 if no answer was sent.
    pub code: u16,
    /// The client's program.
    pub user_agent: String,
    /// Whether it asked for a dry run.
    pub dry_run: bool,
    /// When the answer was ready.
    pub at: Timestamp,
}

/// The requests so far.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<VecDeque<Logged>>);

// === impl Logged ===

impl Logged {
    /// Whether it could have changed something.
    pub fn is_mutation(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && self.group != "authorization.k8s.io"
            && self.group != "authentication.k8s.io"
    }
}

// === impl Journal ===

impl Journal {
    pub(crate) fn write(&self, logged: Logged) {
        let mut journal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.len() >= KEPT {
            journal.pop_front();
        }
        journal.push_back(logged);
    }

    pub(crate) fn read(&self) -> Vec<Logged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
