//! What a scale-up policy is asked, and what it may answer.

use plimsoll_model::{Bytes, Lifecycle, MilliCpu, Millis, PodId, Price, Text, Timestamp};

/// One round's question. Shapes and options are named by their place in their lists.
#[derive(Clone, Debug)]
pub struct ScaleUpQuestion {
    /// The time of the decision.
    pub now: Timestamp,
    /// Seed for whatever needs chance.
    pub seed: u64,
    /// Which round, from 0.
    pub round: u32,
    /// The pods without room, by shape.
    pub shapes: Vec<ShapeDemand>,
    /// What could be launched.
    pub options: Vec<LaunchOption>,
    /// What the limits leave.
    pub remaining: Remaining,
}

/// Pending pods that are the same in everything that a policy is told of them.
#[derive(Clone, Debug)]
pub struct ShapeDemand {
    /// How many have no room yet.
    pub pods: u32,
    /// One of them; `None` for headroom, which has no pods.
    pub example: Option<PodId>,
    /// The namespace they live in.
    pub namespace: Text,
    /// What one of them requests.
    pub cpu: MilliCpu,
    /// What one of them requests.
    pub memory: Bytes,
    /// What one of them requests.
    pub gpus: u32,
    /// Their priority.
    pub priority: i32,
    /// The lifecycle that they insist on.
    pub lifecycle: Option<Lifecycle>,
    /// How long the oldest has been waiting; `None` also where all still run, on nodes that have to go.
    pub waiting: Option<Millis>,
    /// When the first of the nodes is gone on which some of them still run.
    pub deadline: Option<Timestamp>,
    /// Spare room that the operator asked for rather than real pods.
    pub headroom: bool,
}

/// One kind of node that could be launched now.
#[derive(Clone, Debug)]
pub struct LaunchOption {
    /// The node group.
    pub group: Text,
    /// The instance type.
    pub instance_type: Text,
    /// The zone.
    pub zone: Text,
    /// How the nodes would be bought.
    pub lifecycle: Lifecycle,
    /// What one node costs per hour.
    pub price: Option<Price>,
    /// Nodes that it takes to place `places`; at least 1, at most `max_nodes`.
    pub nodes: u32,
    /// Nodes that the limits allow.
    pub max_nodes: u32,
    /// What the nodes would place; never empty.
    pub places: Vec<Placement>,
    /// CPU of the nodes that no pod would request.
    pub wasted_cpu: MilliCpu,
    /// Memory of the nodes that no pod would request.
    pub wasted_memory: Bytes,
    /// What one node offers to pods.
    pub node_cpu: MilliCpu,
    /// What one node offers to pods.
    pub node_memory: Bytes,
    /// What one node offers to pods.
    pub node_gpus: u32,
    /// Nodes that the group has in this zone, chosen ones included.
    pub zone_nodes: u32,
    /// Free addresses in the zone, when the provider reports them.
    pub free_ips: Option<u32>,
    /// The weights of what the placed pods prefer and would get, summed up; `None` if none prefers anything.
    pub preference: Option<u64>,
}

/// Pods of one shape that an option would place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The shape's place in the question.
    pub shape: u32,
    /// How many.
    pub pods: u32,
}

/// What the operator's limits leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Nodes that may still be launched.
    pub nodes: u32,
    /// CPU that may still be launched.
    pub cpu: MilliCpu,
    /// Memory that may still be launched.
    pub memory: Bytes,
}

/// What a scale-up policy answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaleUpVerdict {
    /// Launch nothing now, and why.
    Hold(String),
    /// Launch these.
    Launch(Vec<Choice>),
}

/// One choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The option's place in the question. From outside: may name none.
    pub option: u32,
    /// How many nodes. From outside: may be anything.
    pub count: u32,
    /// Why.
    pub reason: String,
}
