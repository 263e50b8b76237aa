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
mod decode;
mod field;
mod machine;
mod metadata;
mod named;
mod namespace;
mod node;
mod pod;
mod pod_spec;
mod pod_volume;
mod priority_class;
mod quantities;
mod row;
mod selector;
mod spread;
mod storage_class;
mod taint;
mod volume;
mod workload;

pub(crate) use decode::{Problem, decode};
pub(crate) use metadata::Names;
pub(crate) use row::Object;

use row::Row;

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
