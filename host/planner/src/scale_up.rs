//! Which nodes to launch for pods that have no room.
//!
//! ```text
//!   pending pods ──> minus what existing nodes take ──> demands by shape ─┐
//!   node groups  ──> template nodes ──────────────────────────────────────┴─> options ─> policy ─> checked
//!                                                          ^                                          │
//!                                                          └── what is left is offered again ─────────┘
//! ```

mod allowance;
mod demand;
mod displaced;
mod existing;
mod headroom;
mod judge;
mod launch_block;
mod launch_request;
mod launched;
mod narrow;
mod network;
mod offer;
mod plan;
mod question;
mod reason;
mod template;
mod why;

pub use displaced::Displaced;
pub(crate) use existing::{SettledHeadroom, await_starting, settle_pending};
pub use headroom::{HeadroomConfig, HeadroomUnits, ManualHeadroom, headroom};
pub(crate) use judge::{Kind, kinds};
pub use launch_block::LaunchBlock;
pub use launch_request::{LaunchRequest, launch_requests};
pub use network::{FreeIps, NetworkRules};
pub use plan::{PlannedLaunch, ScaleUpPlan, plan_scale_up};
pub use question::{Choice, LaunchOption, Placement, Remaining, ScaleUpQuestion, ScaleUpVerdict, ShapeDemand};
pub use reason::{PendingPod, PendingReason};
pub(crate) use template::Templates;
pub use template::{MaxPodsMismatch, max_pods_mismatches, runs_on};

use plimsoll_model::{Bytes, MilliCpu, NodeGroup, StartupTaints};

/// What scale-up may launch.
#[derive(Clone, Debug, Default)]
pub struct ScaleUpConfig {
    /// What the whole cluster may become.
    pub limits: ClusterLimits,
    /// What can be launched.
    pub groups: Vec<NodeGroup>,
    /// Taints that nodes of no group lose soon; a group has its own.
    pub startup: StartupTaints,
    /// Room to keep free.
    pub headroom: HeadroomConfig,
    /// How nodes use up addresses.
    pub network: NetworkRules,
    /// What may not be launched for now.
    pub blocked: Vec<LaunchBlock>,
    /// Nodes that have to go: room is planned for their pods before these are pending.
    pub displaced: Vec<Displaced>,
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

impl ScaleUpConfig {
    /// The taints that a node of this group, or of none, loses soon.
    pub fn startup_of<'a>(&'a self, group: Option<&'a NodeGroup>) -> &'a StartupTaints {
        group.map_or(&self.startup, |group| &group.startup)
    }
}

impl Default for ClusterLimits {
    /// 1000 cores and 4000 GiB (Spot Ocean, "Scaling"), 1000 nodes.
    fn default() -> Self {
        Self { max_cpu: MilliCpu(1_000_000), max_memory: Bytes(4000 << 30), max_nodes: 1000 }
    }
}
