//! What is said about policies: how each stands, and what a reload changed.

use std::fmt;
use std::path::PathBuf;

use plimsoll_model::{Millis, Text};
use plimsoll_planner::Point;

use crate::{Failure, Mode};

/// How a policy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStatus {
    /// Its name.
    pub name: Text,
    /// Where its module is, for people.
    pub module: String,
    /// The points where it is asked.
    pub points: Vec<Point>,
    /// Whether its answers count.
    pub mode: Mode,
    /// The generation that answers; `None` if none was ever good.
    pub active: Option<GenerationStatus>,
    /// The generation to roll back to.
    pub previous: Option<GenerationStatus>,
    /// What is wrong with its file or settings as they are now, if anything.
    pub setback: Option<Setback>,
    /// The points where the active generation rests after repeated failures.
    pub resting: Vec<Resting>,
}

/// One generation of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationStatus {
    /// Counted from 1.
    pub number: u64,
    /// SHA-256 of the module, in hexadecimal.
    pub digest: Text,
    /// How long ago it was loaded.
    pub age: Millis,
}

/// Why what is configured now is not what answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// SHA-256 of the refused module, in hexadecimal; `None` if it could not be read.
    pub digest: Option<Text>,
    /// What is wrong.
    pub failure: Failure,
}

/// A rest after repeated failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Where.
    pub point: Point,
    /// When it is tried again; zero if the next question is the trial.
    pub remaining: Millis,
    /// Its latest failure.
    pub failure: Failure,
}

/// Something that a reload changed. As text, a sentence for a log or a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A generation answers from now on.
    Activated {
        /// The policy.
        policy: Text,
        /// Which generation.
        generation: u64,
        /// SHA-256 of its module, in hexadecimal.
        digest: Text,
    },
    /// What is configured now is not fit to answer.
    Rejected {
        /// The policy.
        policy: Text,
        /// SHA-256 of the refused module, in hexadecimal; `None` if it could not be read.
        digest: Option<Text>,
        /// What is wrong.
        failure: Failure,
        /// The generation that goes on, if there ever was a good one.
        kept: Option<u64>,
    },
    /// The policy is no longer configured, or its file has left the directory.
    Removed {
        /// The policy.
        policy: Text,
    },
    /// The policies directory cannot be read. Its policies stay as they are.
    DirectoryUnreadable {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Activated { policy, generation, digest } => {
                write!(f, "policy {policy}: generation {generation} answers (sha256 {digest})")
            }
            Self::Rejected { policy, failure, kept: Some(kept), .. } => {
                write!(f, "policy {policy}: the change is refused and generation {kept} goes on: {failure}")
            }
            Self::Rejected { policy, failure, kept: None, .. } => write!(f, "policy {policy} is not loaded: {failure}"),
            Self::Removed { policy } => write!(f, "policy {policy} is gone"),
            Self::DirectoryUnreadable { directory, problem } => {
                write!(f, "{}: {problem}; the policies found there before stay as they are", directory.display())
            }
        }
    }
}
