//! What became of drains, for Events, logs and metrics.

use std::fmt;

use plimsoll_model::{Millis, Text, Timestamp};

use super::{DrainId, PodRef};
use crate::drain::Cause;
use crate::launch::LaunchFailure;

/// Pods that are named one by one.
const MOST_NAMED: usize = 10;

/// Something that became known of a drain. Each is told once, or again by the next leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainNews {
    /// The node.
    pub node: Text,
    /// The drain; `None` where none can be read.
    pub drain: Option<DrainId>,
    /// The decision that it comes from; `None` where none can be read.
    pub decision: Option<Text>,
    /// The pod that it is about; `None` if it is about the node.
    pub pod: Option<PodRef>,
    /// What happened.
    pub change: DrainChange,
}

/// What happened to a drain, or to one of its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainChange {
    /// The node is cordoned and tainted, and the drain is written on it.
    Started {
        /// Why the node goes.
        cause: Cause,
        /// The same in words.
        reason: String,
        /// Pods that have to leave.
        pods: usize,
        /// How long it may take.
        within: Millis,
    },
    /// The pod's eviction was accepted.
    Evicted,
    /// The pod's eviction was refused for the first time.
    Refused {
        /// The budgets that cover it, as far as they are known.
        budgets: Vec<Text>,
        /// What the server said.
        said: String,
        /// When it is deleted whatever the budget says; `None`: never.
        force: Option<Millis>,
    },
    /// The pod was deleted whatever its budget says.
    ForceDeleted {
        /// How long it had been refused.
        refused: Millis,
    },
    /// The deadline has come with pods still there; the machine goes with them.
    TimedOut {
        /// Those pods, namespace and name.
        pods: Vec<String>,
    },
    /// The provider is asked to remove the machine.
    Terminating,
    /// The node is empty and cordoned, and nobody removes its machine.
    Drained,
    /// The node is gone.
    Completed {
        /// Pods that left it.
        pods: usize,
        /// How long after the drain began.
        took: Millis,
    },
    /// The drain was taken back, and the node takes pods again.
    Cancelled {
        /// Why.
        why: String,
    },
    /// The node was cordoned by us, but no drain of it is known: it takes pods again.
    Released {
        /// What was found.
        found: String,
    },
    /// A drain that another leader began goes on.
    Adopted {
        /// Until when.
        deadline: Timestamp,
        /// How long that is.
        left: Millis,
    },
    /// A drain on the node is not ours: it is left alone.
    LeftAlone {
        /// What was found.
        found: String,
    },
    /// The pod's replacement was asked for.
    WarmupStarted {
        /// How long the pod stays at most.
        warmup: Millis,
    },
    /// The pod's replacement is ready.
    WarmupReady {
        /// How long that took.
        after: Millis,
    },
    /// The pod goes before its replacement is ready and warm.
    WarmupCutShort {
        /// Why.
        why: String,
    },
    /// The pod asks for a warm-up and gets none.
    WarmupUnsupported {
        /// Why.
        why: String,
    },
    /// A permission is missing.
    PermissionMissing {
        /// Which: verb and resource.
        permission: &'static str,
        /// What the server said.
        said: String,
    },
    /// The machine could not be removed.
    RemovalFailed {
        /// What the provider said.
        failure: LaunchFailure,
        /// How long until it is asked again.
        retry: Millis,
    },
    /// The pod is the only one of its workload and asks for no warm-up.
    SingleReplicaHint {
        /// The workload: kind and name.
        workload: String,
    },
}

// === impl DrainChange ===

impl DrainChange {
    /// A stable label: the reason of an Event about it, and a label of metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Started { .. } => "DrainStarted",
            Self::Evicted => "PodEvicted",
            Self::Refused { .. } => "EvictionRefused",
            Self::ForceDeleted { .. } => "ForceDeleted",
            Self::TimedOut { .. } => "TerminatedWithPods",
            Self::Terminating => "NodeTerminating",
            Self::Drained => "NodeDrained",
            Self::Completed { .. } => "DrainCompleted",
            Self::Cancelled { .. } => "DrainCancelled",
            Self::Released { .. } => "NodeReleased",
            Self::Adopted { .. } => "DrainAdopted",
            Self::LeftAlone { .. } => "DrainLeftAlone",
            Self::WarmupStarted { .. } => "WarmupStarted",
            Self::WarmupReady { .. } => "WarmupReady",
            Self::WarmupCutShort { .. } => "WarmupCutShort",
            Self::WarmupUnsupported { .. } => "WarmupUnsupported",
            Self::PermissionMissing { .. } => "DrainPermissionMissing",
            Self::RemovalFailed { .. } => "NodeRemovalFailed",
            Self::SingleReplicaHint { .. } => "SingleReplica",
        }
    }

    /// Somebody should look.
    pub fn warns(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::ForceDeleted { .. }
                | Self::TimedOut { .. }
                | Self::LeftAlone { .. }
                | Self::Released { .. }
                | Self::WarmupCutShort { .. }
                | Self::WarmupUnsupported { .. }
                | Self::PermissionMissing { .. }
                | Self::RemovalFailed { .. }
        )
    }
}

// === impl DrainNews ===

impl DrainNews {
    /// A stable label: the reason of an Event about it, and a label of metrics.
    pub fn label(&self) -> &'static str {
        self.change.label()
    }
}

impl fmt::Display for DrainNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.node;
        let pod = |f: &mut fmt::Formatter<'_>| match &self.pod {
            Some(pod) => write!(f, "pod {}/{} of node {node}", pod.namespace, pod.name),
            None => write!(f, "a pod of node {node}"),
        };
        match &self.change {
            DrainChange::Started { cause, reason, pods, within } => {
                write!(f, "node {node} is drained within {within} ({}): {pods} pods to evict", cause.label())?;
                if reason.is_empty() { Ok(()) } else { write!(f, "; {reason}") }
            }
            DrainChange::Evicted => {
                pod(f)?;
                f.write_str(" is evicted")
            }
            DrainChange::Refused { budgets, said, force } => {
                pod(f)?;
                f.write_str(" may not be evicted now")?;
                match budgets.as_slice() {
                    [] => {}
                    [one] => write!(f, " (disruption budget {one})")?,
                    all => write!(f, " (disruption budgets {})", all.join(", "))?,
                }
                write!(f, ": {said}; ")?;
                match force {
                    Some(force) => write!(f, "it is asked again, and deleted after {force}"),
                    None => f.write_str("it is asked again until the deadline"),
                }
            }
            DrainChange::ForceDeleted { refused } => {
                pod(f)?;
                write!(f, " was deleted against its disruption budget: its eviction was refused for {refused}")
            }
            DrainChange::TimedOut { pods } => {
                let named = pods.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "the time to drain node {node} is over, its machine goes with {} pods: {named}", pods.len())?;
                if pods.len() > MOST_NAMED { write!(f, " and {} more", pods.len() - MOST_NAMED) } else { Ok(()) }
            }
            DrainChange::Terminating => write!(f, "the machine of node {node} is being removed"),
            DrainChange::Drained => {
                write!(f, "node {node} is empty and stays cordoned: no provider here removes machines")
            }
            DrainChange::Completed { pods, took } => {
                write!(f, "node {node} is gone, {took} after its drain began; {pods} pods left it")
            }
            DrainChange::Cancelled { why } => write!(f, "node {node} is no longer drained: {why}"),
            DrainChange::Released { found } => write!(f, "node {node} takes pods again: {found}"),
            DrainChange::Adopted { left, .. } => {
                write!(f, "the drain of node {node}, begun by another leader, goes on; {left} left")
            }
            DrainChange::LeftAlone { found } => write!(f, "the drain of node {node} is left alone: {found}"),
            DrainChange::WarmupStarted { warmup } => {
                pod(f)?;
                write!(f, " stays for {warmup} at most while its replacement starts")
            }
            DrainChange::WarmupReady { after } => {
                write!(f, "the replacement of ")?;
                pod(f)?;
                write!(f, " is ready after {after}")
            }
            DrainChange::WarmupCutShort { why } => {
                f.write_str("the warm-up of ")?;
                pod(f)?;
                write!(f, " was cut short: {why}")
            }
            DrainChange::WarmupUnsupported { why } => {
                pod(f)?;
                write!(f, " is evicted without a warm-up: {why}")
            }
            DrainChange::PermissionMissing { permission, said } => {
                write!(f, "the drain of node {node} needs the permission to {permission}: {said}")
            }
            DrainChange::RemovalFailed { failure, retry } => {
                write!(f, "the machine of node {node} was not removed ({failure}); tried again in {retry}")
            }
            DrainChange::SingleReplicaHint { workload } => {
                pod(f)?;
                write!(f, " is the only one of {workload}, which is not served until another is ready; ")?;
                write!(f, "label {} starts that one first", plimsoll_model::well_known::PRE_EVICTION_WARMUP)
            }
        }
    }
}
