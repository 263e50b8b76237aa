//! What a drain policy is asked, and what it may answer.

use plimsoll_model::{Lifecycle, Millis, NodeId, PodId, Price, Text, Timestamp, Volumes};

/// Why a node may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No pod would have to be evicted.
    Empty,
    /// Its pods fit on other nodes.
    Underutilized,
    /// The cloud takes the machine back.
    Interruption,
    /// The node is broken.
    Unhealthy,
    /// A person asked for it.
    Requested,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 5] = [Self::Empty, Self::Underutilized, Self::Interruption, Self::Unhealthy, Self::Requested];

    /// A stable label for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Underutilized => "underutilized",
            Self::Interruption => "interruption",
            Self::Unhealthy => "unhealthy",
            Self::Requested => "requested",
        }
    }

    /// To save money, and not because the node has to go.
    pub fn optimizes(self) -> bool {
        matches!(self, Self::Empty | Self::Underutilized)
    }
}

/// The question about nodes.
#[derive(Clone, Debug)]
pub struct NodesQuestion {
    /// The time of the decision.
    pub now: Timestamp,
    /// Seed for whatever needs chance.
    pub seed: u64,
    /// The nodes that may go, in the order of names.
    pub candidates: Vec<Candidate>,
    /// How many may begin to drain now.
    pub max_drains: u32,
}

/// A node that may be removed.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: Text,
    /// Its node group.
    pub group: Option<Text>,
    /// Its zone.
    pub zone: Option<Text>,
    /// How it was bought.
    pub lifecycle: Option<Lifecycle>,
    /// Why it may go.
    pub cause: Cause,
    /// Pods that would be evicted.
    pub pods: u32,
    /// Of these, pods that the cluster cannot do without.
    pub critical_pods: u32,
    /// Of these, only replicas.
    pub single_replicas: u32,
    /// The highest priority among these.
    pub highest_priority: Option<i32>,
    /// The longest warm-up among these.
    pub longest_warmup: Option<Millis>,
    /// CPU requested, in thousandths of what it offers.
    pub cpu_permille: u32,
    /// Memory requested, in thousandths of what it offers.
    pub memory_permille: u32,
    /// What removing it saves per hour.
    pub savings: Option<Price>,
    /// How long it has existed.
    pub age: Option<Millis>,
    /// When the machine is gone whatever is on it; `None` where nobody but the host sets a time.
    pub deadline: Option<Timestamp>,
}

/// What a drain policy answers about nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodesVerdict {
    /// Drain nothing now, and why.
    Hold(String),
    /// Drain in this order.
    Order {
        /// The nodes to drain, first to last.
        drain: Vec<NodeChoice>,
        /// The nodes to keep.
        keep: Vec<NodeChoice>,
    },
}

/// One node of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChoice {
    /// The node's id. From outside: may name none, or one that was not offered.
    pub node: u32,
    /// Why.
    pub reason: String,
}

/// The question about the pods of one node.
#[derive(Clone, Debug)]
pub struct PodsQuestion {
    /// The time of the decision.
    pub now: Timestamp,
    /// Seed for whatever needs chance.
    pub seed: u64,
    /// The node.
    pub node: Candidate,
    /// The pods that will be evicted, in the order of namespaces and names.
    pub pods: Vec<DrainPod>,
    /// The least time between two evictions.
    pub spacing: Millis,
    /// When the node is removed whatever is still on it, after the drain begins.
    pub timeout: Millis,
}

/// A pod that will be evicted.
#[derive(Clone, Debug)]
pub struct DrainPod {
    /// The pod.
    pub pod: PodId,
    /// The namespace it lives in.
    pub namespace: Text,
    /// Its name.
    pub name: Box<str>,
    /// Its priority.
    pub priority: i32,
    /// The cluster cannot do without it.
    pub critical: bool,
    /// Controlled by a DaemonSet.
    pub daemon_set: bool,
    /// The only replica of its owner.
    pub single_replica: bool,
    /// Pods of its owner, itself included.
    pub replicas: Option<u32>,
    /// Evictions that its disruption budget allows now.
    pub disruptions_allowed: Option<u32>,
    /// What it keeps on the node or in persistent volumes.
    pub volumes: Volumes,
    /// How long it may take to stop.
    pub grace: Millis,
    /// The warm-up that it asks for.
    pub warmup: Option<Millis>,
}

/// One pod's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTurn {
    /// The pod's id. From outside: may name none, or one twice.
    pub pod: u32,
    /// How long to wait after the turn before; `None` for the host's spacing.
    pub wait: Option<Millis>,
    /// Why here.
    pub reason: String,
}

// === impl PodTurn ===

impl PodTurn {
    /// A turn at the host's spacing, without a reason.
    pub fn plain(pod: PodId) -> Self {
        Self { pod: pod.0, wait: None, reason: String::new() }
    }
}
