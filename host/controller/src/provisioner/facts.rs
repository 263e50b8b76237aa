//! From what the provider says to what the planner takes.

use plimsoll_model::Snapshot;
use plimsoll_planner::launch::{
    FailedInstance, GroupFacts, InventoryFacts, LaunchFailure, LaunchOutcome, TemplateFacts,
};
use plimsoll_providers::{InstanceState, Inventory, ProviderError};

/// The provider's groups.
pub fn groups(inventory: &Inventory) -> Vec<GroupFacts> {
    let facts = inventory.groups.iter().map(|group| GroupFacts {
        id: group.id.clone(),
        min: group.min,
        max: group.max,
        target: group.target,
        template: group.template.as_ref().map(|template| TemplateFacts {
            labels: template.labels.clone(),
            taints: template.taints.clone(),
            capacity: template.capacity.clone(),
            allocatable: template.allocatable.clone(),
        }),
    });
    facts.collect()
}

/// Machines that were launched, those that the cluster itself knows included, and instances that failed.
pub fn inventory(inventory: Option<&Inventory>, snapshot: &Snapshot) -> InventoryFacts {
    let mut facts = InventoryFacts { machines: snapshot.machines().iter().cloned().collect(), failed: Vec::new() };
    let Some(inventory) = inventory else { return facts };
    for machine in &inventory.machines {
        if !facts.machines.iter().any(|known| known.name == machine.name) {
            facts.machines.push(machine.clone());
        }
    }
    for group in &inventory.groups {
        for instance in &group.instances {
            if let InstanceState::Failed(failure) = &instance.state {
                let (group, id, failure) = (group.id.clone(), instance.id.clone(), failure.clone());
                facts.failed.push(FailedInstance { group, id, failure });
            }
        }
    }
    facts
}

/// What a question that was not answered means for the launch that it was asked for: nothing has been launched, but
/// only some errors say that nothing ever will be.
pub fn of_error(error: &ProviderError) -> LaunchOutcome {
    match error {
        ProviderError::Unauthorized(said) => LaunchOutcome::Failed(LaunchFailure::Unauthorized(said.clone())),
        ProviderError::NotServed(said) => LaunchOutcome::Failed(LaunchFailure::Invalid(said.clone())),
        ProviderError::NoGroup(_) => LaunchOutcome::Failed(LaunchFailure::Invalid(error.to_string())),
        ProviderError::Garbled(_) | ProviderError::Failed(_) => {
            LaunchOutcome::Failed(LaunchFailure::Other(error.to_string()))
        }
        ProviderError::Unreachable(said) => LaunchOutcome::Unknown(said.clone()),
    }
}
