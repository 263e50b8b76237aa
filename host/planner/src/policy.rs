//! How the planner sees policies: one trait per extension point, in its own types.
//!
//! Whoever implements these asks a list of policies in turn until one answers. A policy only ever chooses
//! among what it was offered, and its answer is checked again before anything comes of it.

use std::sync::Arc;

use plimsoll_model::{Bytes, Snapshot, Text};

use crate::csr::{CsrQuestion, CsrVerdict};
use crate::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use crate::scale_up::{ScaleUpQuestion, ScaleUpVerdict};

/// Where a policy has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    /// Which nodes to launch.
    ScaleUp,
    /// Which nodes leave, and in what order their pods.
    Drain,
    /// Which kubelet certificates are approved.
    CsrApproval,
}

/// What became of a question.
#[derive(Clone, Debug)]
pub struct Asked<V> {
    /// The answer of the first policy that had one; `None` if none had, and nothing may be done.
    pub verdict: Option<V>,
    /// Every policy that was asked, in order, shadows included.
    pub calls: Vec<PolicyCall>,
}

/// One question put to one policy.
#[derive(Clone, Debug)]
pub struct PolicyCall {
    /// Where.
    pub point: Point,
    /// What it was about: a round, a node, a signing request.
    pub subject: String,
    /// The policy's name.
    pub policy: Text,
    /// SHA-256 of its module, in hexadecimal.
    pub digest: Text,
    /// Which generation of the policy answered, from 1.
    pub generation: u64,
    /// Asked for comparison only.
    pub shadow: bool,
    /// Wall time, in microseconds, a fresh instance included.
    pub micros: u64,
    /// The most linear memory that it had.
    pub peak_memory: Bytes,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Lines that it logged, oldest first.
    pub log: Vec<LogLine>,
    /// Lines that found no room.
    pub log_dropped: u64,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// With an answer.
    Answered,
    /// With no opinion.
    Passed,
    /// Not at all: a stable label for metrics, and a sentence that says what to do.
    Failed {
        /// For example `deadline`.
        label: &'static str,
        /// For a person.
        sentence: String,
    },
}

/// A line that a policy logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The line.
    pub message: String,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// While writing the policy.
    Debug,
    /// When somebody asks why.
    Info,
    /// Somebody should look.
    Warn,
    /// The policy could not do what it was asked.
    Error,
}

/// Chooses which nodes to launch.
pub trait ScaleUpPolicy {
    /// Chooses among the options of one round.
    fn choose(&self, snapshot: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict>;
}

/// Orders nodes and pods for draining.
pub trait DrainPolicy {
    /// Orders the nodes that may go.
    fn order_nodes(&self, snapshot: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict>;
    /// Orders the pods of one node.
    fn order_pods(&self, snapshot: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>>;
}

/// Decides about kubelet certificates.
pub trait CsrPolicy {
    /// Decides about one request.
    fn review(&self, snapshot: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict>;
}

// === impl Point ===

impl Point {
    /// Every point.
    pub const ALL: [Point; 3] = [Point::ScaleUp, Point::Drain, Point::CsrApproval];

    /// The name of its interface in the contract.
    pub fn interface(self) -> &'static str {
        match self {
            Self::ScaleUp => "scale-up",
            Self::Drain => "drain",
            Self::CsrApproval => "csr-approval",
        }
    }
}

// === impl CallOutcome ===

impl CallOutcome {
    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Passed => "passed",
            Self::Failed { label, .. } => label,
        }
    }
}
