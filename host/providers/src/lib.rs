//! Node-group providers: who turns a launch into machines.
//!
//! ```text
//!   LaunchIntent ──> NodeGroupProvider ──┬─ externalgrpc: a size goes up
//!                                        ├─ Cluster API: the scale of a MachineDeployment goes up
//!   groups, machines <── inventory <─────┼─ Karpenter: NodeClaims are created
//!                                        └─ simulated: Node objects appear after a delay
//! ```
#![forbid(unsafe_code)]

mod provider;

pub use provider::{Instance, InstanceState, Inventory, NodeGroupProvider, NodeTemplate, ProviderError, ProviderGroup};
