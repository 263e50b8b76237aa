//! What became of launches, for Events, logs and metrics.

use std::fmt;

use plimsoll_model::{Millis, Text, Timestamp};

use super::{LaunchFailure, LaunchId, NodeKind, NotJoinedCause};

/// Something that became known of a launch. Each is told once, or again by the next leader if the ledger was not
/// written down since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A node is ready and has lost its startup taints.
    Joined {
        /// The launch.
        launch: LaunchId,
        /// What was launched.
        kind: NodeKind,
        /// The node.
        node: Text,
        /// How long after the decision.
        after: Millis,
    },
    /// Nodes are not there, or not usable, though they should be by now.
    NotJoined {
        /// The launch.
        launch: LaunchId,
        /// What was launched.
        kind: NodeKind,
        /// How many of its nodes.
        nodes: u32,
        /// What is known of why.
        cause: NotJoinedCause,
        /// How long after the decision.
        after: Millis,
        /// They are given up: they no longer count as coming, and their kind is not launched before this.
        given_up: Option<Timestamp>,
    },
    /// The provider launched nothing.
    Failed {
        /// The launch.
        launch: LaunchId,
        /// What was to be launched.
        kind: NodeKind,
        /// How many nodes.
        nodes: u32,
        /// What the provider said.
        failure: LaunchFailure,
        /// When it may be tried again.
        next_try: Timestamp,
        /// A kind of the same group that may be launched until then.
        fallback: Option<NodeKind>,
    },
    /// A node is ready that had been reported as not joined.
    Recovered {
        /// The launch.
        launch: LaunchId,
        /// What was launched.
        kind: NodeKind,
        /// The node.
        node: Text,
        /// How long after the decision.
        after: Millis,
    },
}

// === impl News ===

impl News {
    /// The reason of an Event about it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Joined { .. } => "NodeJoined",
            Self::NotJoined { .. } => "NodeNotJoined",
            Self::Failed { .. } => "LaunchFailed",
            Self::Recovered { .. } => "NodeRecovered",
        }
    }

    /// The launch.
    pub fn launch(&self) -> &LaunchId {
        match self {
            Self::Joined { launch, .. }
            | Self::NotJoined { launch, .. }
            | Self::Failed { launch, .. }
            | Self::Recovered { launch, .. } => launch,
        }
    }

    /// What was launched.
    pub fn kind(&self) -> &NodeKind {
        match self {
            Self::Joined { kind, .. }
            | Self::NotJoined { kind, .. }
            | Self::Failed { kind, .. }
            | Self::Recovered { kind, .. } => kind,
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |nodes: u32| if nodes == 1 { "" } else { "s" };
        match self {
            Self::Joined { launch, kind, node, after } => {
                write!(f, "node {node} joined {after} after launch {launch} was decided ({kind})")
            }
            Self::Recovered { launch, kind, node, after } => {
                write!(f, "node {node} joined late, {after} after launch {launch} was decided ({kind})")
            }
            Self::NotJoined { launch, kind, nodes, cause, after, given_up } => {
                let s = plural(*nodes);
                write!(f, "{nodes} node{s} of launch {launch} ({kind}) not joined after {after}: {cause}")?;
                if given_up.is_some() { f.write_str("; given up") } else { Ok(()) }
            }
            Self::Failed { launch, kind, nodes, failure, fallback, .. } => {
                write!(f, "launch {launch} of {nodes} node{} ({kind}) failed: {failure}", plural(*nodes))?;
                match fallback {
                    Some(fallback) => write!(f, "; {fallback} may be launched instead"),
                    None => f.write_str("; nothing else of the group may be launched for now"),
                }
            }
        }
    }
}
