//! Kinds of nodes by name.

use std::fmt;

use plimsoll_model::{Lifecycle, Text};

use crate::scale_up::{LaunchBlock, LaunchRequest};

/// A kind of node: an instance type of a group in one zone, bought one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeKind {
    /// The node group.
    pub group: Text,
    /// The instance type.
    pub instance_type: Text,
    /// The zone.
    pub zone: Text,
    /// How it is bought.
    pub lifecycle: Lifecycle,
}

// === impl NodeKind ===

impl NodeKind {
    /// The kind that a request asks for.
    pub fn of(request: &LaunchRequest) -> Self {
        Self {
            group: request.group.clone(),
            instance_type: request.instance_type.clone(),
            zone: request.zone.clone(),
            lifecycle: request.lifecycle,
        }
    }

    /// True if a block concerns it.
    pub(super) fn covered_by(&self, block: &LaunchBlock) -> bool {
        block.covers(&self.group, &self.instance_type, &self.zone, self.lifecycle)
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {} in {}, {}", self.group, self.instance_type, self.zone, self.lifecycle.name())
    }
}
