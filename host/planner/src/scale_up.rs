//! Which nodes to launch for pods that have no room.
//!
//! ```text
//!   pending pods ──> minus what existing nodes take ──> demands by shape ─┐
//!   node groups  ──> template nodes ──────────────────────────────────────┴─> options ─> policy ─> checked
//!                                                          ^                                          │
//!                                                          └── what is left is offered again ─────────┘
//! ```

mod demand;
mod plan;
mod question;
mod reason;
mod template;

pub(crate) use demand::existing_room;
pub use plan::{PlannedLaunch, ScaleUpPlan, plan_scale_up};
pub use question::{Choice, LaunchOption, Placement, Remaining, ScaleUpQuestion, ScaleUpVerdict, ShapeDemand};
pub use reason::{PendingPod, PendingReason};

use plimsoll_model::{Bytes, MilliCpu, NodeGroup};

/// What scale-up may launch.
#[derive(Clone, Debug)]
pub struct ScaleUpConfig {
    /// What the whole cluster may become.
    pub limits: ClusterLimits,
    /// What can be launched.
    pub groups: Vec<NodeGroup>,
}

/// What the whole cluster may become, launches included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterLimits {
    /// CPU of all nodes.
    pub max_cpu: MilliCpu,
    /// Memory of all nodes.
    pub max_memory: Bytes,
    /// Nodes.
    pub max_nodes: u32,
}

impl Default for ClusterLimits {
    /// 1000 cores and 4000 GiB (Spot Ocean, "Scaling"), 1000 nodes.
    fn default() -> Self {
        Self { max_cpu: MilliCpu(1_000_000), max_memory: Bytes(4000 << 30), max_nodes: 1000 }
    }
}
