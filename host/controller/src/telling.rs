//! What Events are about.

use plimsoll_kube::{EventNote, EventReason, ObjectName, Regarding, Resource};
use plimsoll_model::{Node, Pod, SigningRequest};

use crate::{DecisionId, Identity, Parts};

/// The controller itself, as the ConfigMap with its status.
pub fn controller(identity: &Identity) -> Regarding {
    let name = ObjectName::in_namespace(&identity.namespace, &identity.status_record());
    Regarding::new(&Resource::CONFIG_MAPS, name, "")
}

/// A pod.
pub fn pod(pod: &Pod) -> Regarding {
    let name = ObjectName::in_namespace(&pod.namespace, &pod.name);
    Regarding::new(&Resource::PODS, name, &pod.uid.to_string())
}

/// A node.
pub fn node(node: &Node) -> Regarding {
    Regarding::new(&Resource::NODES, ObjectName::of_cluster(&node.name), &node.uid.to_string())
}

/// A node that is not there any more.
pub fn gone_node(name: &str) -> Regarding {
    Regarding::new(&Resource::NODES, ObjectName::of_cluster(name), "")
}

/// A signing request.
pub fn signing_request(request: &SigningRequest) -> Regarding {
    Regarding::new(&Resource::SIGNING_REQUESTS, ObjectName::of_cluster(&request.name), "")
}

impl Parts {
    /// Tells the cluster that something happened.
    pub fn tell(
        &self,
        regarding: Regarding,
        reason: EventReason,
        message: impl Into<String>,
        from: Option<&DecisionId>,
    ) {
        let decision = from.map(ToString::to_string).unwrap_or_default();
        self.events.report(EventNote { regarding, reason, message: message.into(), decision });
    }
}
