//! Machines.

use std::borrow::Cow;

use plimsoll_kube::Resource;
use plimsoll_model::{Machine, Text};
use plimsoll_planner::drain::Removal;
use plimsoll_planner::launch::LaunchFailure;
use serde_json::Value;

use super::GROUP;
use crate::object::{addresses, annotation, created, deleting, label, name, shown, text};
use crate::{Instance, InstanceState};

/// Who bears it goes first when a set gets smaller, whatever its order of deletion (Cluster API, `MachineSet`,
/// `machineset_delete_policy.go`).
pub(super) const MARK: &str = "cluster.x-k8s.io/delete-machine";
/// The label that names the MachineSet of a machine.
const SET: &str = "cluster.x-k8s.io/set-name";

/// Machines.
pub(super) fn resource(version: &str) -> Resource {
    Resource {
        group: Cow::Borrowed(GROUP),
        version: Cow::Owned(version.to_owned()),
        plural: Cow::Borrowed("machines"),
        kind: Cow::Borrowed("Machine"),
        namespaced: true,
    }
}

/// True if it is the machine of the node: by the provider's id where both have one, else by the node's name.
pub(super) fn is_of(machine: &Value, removal: &Removal) -> bool {
    match (&removal.provider_id, text(machine, "/spec/providerID")) {
        (Some(wanted), Some(id)) => *id == **wanted,
        _ => text(machine, "/status/nodeRef/name") == Some(&removal.node),
    }
}

/// What it is marked with, if it is marked to go first.
pub(super) fn mark(machine: &Value) -> Option<&str> {
    annotation(machine, MARK)
}

/// The MachineSet that it is of.
pub(super) fn set(machine: &Value) -> Option<&str> {
    label(machine, SET)
}

/// The machine as the inventory knows it.
pub(super) fn machine(object: &Value, group: Option<Text>) -> Machine {
    Machine {
        name: name(object).into(),
        node: text(object, "/status/nodeRef/name").map(Text::from),
        group,
        addresses: addresses(object),
        created: created(object),
        deleting: deleting(object),
    }
}

/// The machine as one of its group.
pub(super) fn instance(object: &Value) -> Instance {
    let phase = text(object, "/status/phase").unwrap_or_default();
    // v1beta2 keeps what v1beta1 says of failures for the time being.
    let said = |field: &str| {
        let now = text(object, &format!("/status/{field}"));
        now.or_else(|| text(object, &format!("/status/deprecated/v1beta1/{field}")))
    };
    let state = match (said("failureReason"), said("failureMessage")) {
        _ if deleting(object) || phase == "Deleting" => InstanceState::Deleting,
        (None, None) if phase == "Failed" => InstanceState::Failed(LaunchFailure::Other("the machine failed".into())),
        (None, None) if phase == "Provisioned" || phase == "Running" => InstanceState::Running,
        (None, None) => InstanceState::Creating,
        (reason, message) => {
            let words = shown(message.or(reason).unwrap_or_default()).to_string();
            // `MachineStatusError` of Cluster API's errors package.
            InstanceState::Failed(match reason {
                Some("InsufficientResources") => LaunchFailure::NoCapacity(words),
                Some("InvalidConfiguration") => LaunchFailure::Invalid(words),
                _ => LaunchFailure::Other(words),
            })
        }
    };
    Instance { id: text(object, "/spec/providerID").unwrap_or(name(object)).into(), state }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_machine_says_how_far_it_has_come() {
        let failed = |failure| InstanceState::Failed(failure);
        for (status, expected) in [
            (json!({}), InstanceState::Creating),
            (json!({"phase": "Provisioning"}), InstanceState::Creating),
            (json!({"phase": "Provisioned"}), InstanceState::Running),
            (json!({"phase": "Running"}), InstanceState::Running),
            (json!({"phase": "Deleting"}), InstanceState::Deleting),
            (json!({"phase": "Failed"}), failed(LaunchFailure::Other("the machine failed".into()))),
            (
                json!({"failureReason": "InsufficientResources", "failureMessage": "no m5"}),
                failed(LaunchFailure::NoCapacity("no m5".into())),
            ),
            (
                json!({"deprecated": {"v1beta1": {"failureReason": "InvalidConfiguration"}}}),
                failed(LaunchFailure::Invalid("InvalidConfiguration".into())),
            ),
            (json!({"phase": 7, "failureMessage": ["x"]}), InstanceState::Creating),
        ] {
            let found = instance(&json!({"metadata": {"name": "m"}, "status": status}));
            assert_eq!((found.id.as_str(), found.state), ("m", expected), "{status}");
        }
    }
}
