//! Node-group providers: who turns a launch into machines.
//!
//! ```text
//!   LaunchIntent ──> NodeGroupProvider ──┬─ externalgrpc: a size goes up
//!                                        ├─ Cluster API: the scale of a MachineDeployment goes up
//!   groups, machines <── inventory <─────┼─ Karpenter: NodeClaims are created
//!                                        └─ simulated: Node objects appear after a delay
//!   Removal ───────> the same, for one machine after the other
//! ```
#![forbid(unsafe_code)]

mod cluster_api;
mod config;
pub mod external_grpc;
mod karpenter;
mod node_object;
mod object;
mod outcome;
mod provider;
mod resources;
mod settings;
mod simulated;

pub use cluster_api::{ClusterApi, ClusterApiSettings};
pub use config::{BuildError, ProviderConfig, Surroundings};
pub use external_grpc::{ExternalGrpc, ExternalGrpcSettings};
pub use karpenter::{Karpenter, KarpenterGroup, KarpenterSettings, NodeClassRef, TaintSetting};
pub use plimsoll_planner::drain::MachineState;
pub use plimsoll_planner::launch::LAUNCH_LABEL;

pub use node_object::{NodeSeed, node_addresses, node_object};
pub use provider::{
    Instance, InstanceState, Inventory, Listing, NodeGroupProvider, NodeTemplate, ProviderError, ProviderGroup,
};
pub use settings::SettingError;
pub use simulated::{
    BootstrapToken, Fault, FaultSettings, KubeletRequests, RemovalFault, RemovalSettings, Requester, Simulated,
    SimulatedSettings,
};
