//! The few fields of each kind that decisions use, and how they become rows of the model.
//!
//! Values are checked while they are decoded, so that an error names its field and line by itself.

mod affinity;
mod budget;
mod claim;
mod condition;
mod container;
mod csi_node;
mod csr;
mod daemon_set;
mod field;
mod machine;
mod metadata;
mod named;
mod namespace;
mod node;
mod pod;
mod pod_spec;
mod pod_volume;
mod quantities;
mod selector;
mod spread;
mod storage_class;
mod taint;
mod volume;

pub(crate) use budget::BudgetObject;
pub(crate) use claim::ClaimObject;
pub(crate) use csi_node::CsiNodeObject;
pub(crate) use csr::CsrObject;
pub(crate) use daemon_set::DaemonSetObject;
pub(crate) use machine::{MachineObject, NodeClaimObject};
pub(crate) use metadata::Names;
pub(crate) use namespace::NamespaceObject;
pub(crate) use node::NodeObject;
pub(crate) use pod::PodObject;
pub(crate) use storage_class::StorageClassObject;
pub(crate) use volume::VolumeObject;

use plimsoll_model::{ClusterBuilder, Timestamp};

/// An object that becomes a part of the model.
pub(crate) trait Row {
    /// Adds it; what is wrong with it as a whole is the error.
    fn add_to(self, cluster: &mut ClusterBuilder) -> Result<(), WholeProblem>;

    /// The latest moment it mentions of what has happened.
    fn newest(&self) -> Option<Timestamp>;
}

/// What is wrong with an object whose fields are right each by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WholeProblem {
    /// The field it concerns; empty for the object as a whole.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl From<plimsoll_model::Duplicate> for WholeProblem {
    fn from(duplicate: plimsoll_model::Duplicate) -> Self {
        Self { field: "metadata.uid", problem: duplicate.to_string() }
    }
}
