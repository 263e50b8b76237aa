//! The cluster as data: nodes, pods, groups, quantities, selectors.
//!
//! ```text
//!   a dump ──> ClusterBuilder ─┐
//!                              ├─> Cluster ──> Snapshot ─┬─ nodes ── allocatable, labels, taints
//!   changes ───────────────────┘   (shares shapes,       ├─ pods  ── shape (shared), node, owner (shared)
//!                                   labels, owners)      ├─ budgets, signing requests, machines
//!                                                        ├─ indexes: pods by node, by owner, pending
//!                                                        └─ what differs from the one before
//! ```
//!
//! No I/O and no clock: whoever reads a file or a watch builds these values, and time is an argument.
#![forbid(unsafe_code)]

mod block_device;
mod budget;
mod cluster;
mod csr;
mod daemon_set;
mod group;
mod instance_type;
mod inter_pod;
mod labels;
mod machine;
mod node;
mod pod;
mod priority_class;
mod quantity;
mod resources;
mod selector;
mod taint;
mod text;
mod units;
mod volume;
pub mod well_known;
mod workload;

pub use block_device::{BlockDevice, DynamicAmount, SizedBy};
pub use budget::DisruptionBudget;
pub use cluster::{Changes, Cluster, ClusterBuilder, Duplicate, NodeId, PodId, Pools, Snapshot};
pub use csr::{CsrState, SigningRequest};
pub use daemon_set::DaemonSet;
pub use group::{ForceDelete, GroupIndex, GroupScaleDown, Lifecycle, NodeGroup, Os, StartupTaints, Subnet};
pub use instance_type::{Arch, InstanceType, Interfaces};
pub use inter_pod::{InterPodRules, NodeInclusion, PodAffinityTerm, Preferences, SpreadConstraint};
pub use labels::LabelSet;
pub use machine::{Address, AddressKind, Machine};
pub use node::Node;
pub use pod::{HostPort, Owner, Phase, Pod, PodShape, Protocol, Scheduling, Uid, Volumes};
pub use priority_class::PriorityClass;
pub use quantity::{Quantity, QuantityError};
pub use resources::{ContainerRequests, ExtendedResources, Resources, effective_requests};
pub use selector::{LabelSelector, NodeSelector, NodeSelectorTerm, Operator, Requirement};
pub use taint::{Taint, TaintEffect, Toleration};
pub use text::{Pool, Text, one_line};
pub use units::{Bytes, MilliCpu, Millis, Price, Timestamp};
pub use volume::{CsiNode, StorageClass, Volume, VolumeClaim};
pub use workload::{Workload, WorkloadKind};
