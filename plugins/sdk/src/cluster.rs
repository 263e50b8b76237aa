//! Look-ups into the snapshot of this decision. Each is a call to the host, so that a policy pays only for
//! what it reads. Outside the sandbox, in a unit test, the snapshot is empty.

pub use crate::bindings::imports::plimsoll::policy::cluster::{Entry, Node as NodeFacts, Pod as PodFacts, Resources};
pub use crate::bindings::imports::plimsoll::policy::types::{NodeId, PodId};

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::plimsoll::policy::cluster as host;

/// A node of the snapshot; nothing is read before it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node(pub NodeId);

/// A pod of the snapshot; nothing is read before it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pod(pub PodId);

/// Every node, in the order of their names.
pub fn nodes() -> impl ExactSizeIterator<Item = Node> {
    host::nodes().into_iter().map(Node)
}

impl Node {
    /// Name, zone, resources; `None` if there is no such node.
    #[must_use]
    pub fn facts(self) -> Option<NodeFacts> {
        host::get_node(self.0)
    }

    /// The value of one label.
    #[must_use]
    pub fn label(self, key: &str) -> Option<String> {
        host::node_label(self.0, key)
    }

    /// All labels, in the order of their keys.
    #[must_use]
    pub fn labels(self) -> Vec<Entry> {
        host::node_labels(self.0)
    }

    /// The value of one annotation.
    #[must_use]
    pub fn annotation(self, key: &str) -> Option<String> {
        host::node_annotation(self.0, key)
    }

    /// The pods on it that have not finished, by namespace and name.
    pub fn pods(self) -> impl ExactSizeIterator<Item = Pod> {
        host::node_pods(self.0).into_iter().map(Pod)
    }
}

impl Pod {
    /// Namespace, name, owner, requests; `None` if there is no such pod.
    #[must_use]
    pub fn facts(self) -> Option<PodFacts> {
        host::get_pod(self.0)
    }

    /// The value of one label.
    #[must_use]
    pub fn label(self, key: &str) -> Option<String> {
        host::pod_label(self.0, key)
    }

    /// All labels, in the order of their keys.
    #[must_use]
    pub fn labels(self) -> Vec<Entry> {
        host::pod_labels(self.0)
    }

    /// The value of one annotation; `None` also for values over 1 KiB.
    #[must_use]
    pub fn annotation(self, key: &str) -> Option<String> {
        host::pod_annotation(self.0, key)
    }
}

/// The empty snapshot that unit tests see: the generated imports would abort outside the sandbox.
#[cfg(not(target_arch = "wasm32"))]
mod host {
    use super::{Entry, NodeFacts, NodeId, PodFacts, PodId};

    pub fn nodes() -> Vec<NodeId> {
        Vec::new()
    }
    pub fn get_node(_: NodeId) -> Option<NodeFacts> {
        None
    }
    pub fn node_label(_: NodeId, _: &str) -> Option<String> {
        None
    }
    pub fn node_labels(_: NodeId) -> Vec<Entry> {
        Vec::new()
    }
    pub fn node_annotation(_: NodeId, _: &str) -> Option<String> {
        None
    }
    pub fn node_pods(_: NodeId) -> Vec<PodId> {
        Vec::new()
    }
    pub fn get_pod(_: PodId) -> Option<PodFacts> {
        None
    }
    pub fn pod_label(_: PodId, _: &str) -> Option<String> {
        None
    }
    pub fn pod_labels(_: PodId) -> Vec<Entry> {
        Vec::new()
    }
    pub fn pod_annotation(_: PodId, _: &str) -> Option<String> {
        None
    }
}
