//! What every provider can do.

use std::fmt;

use async_trait::async_trait;
use plimsoll_kube::{Leadership, Permit};
use plimsoll_model::{LabelSet, Machine, Resources, Taint, Text};
use plimsoll_planner::drain::{MachineState, Removal, RemovalOutcome};
use plimsoll_planner::launch::{LaunchFailure, LaunchIntent, LaunchOutcome};
use plimsoll_planner::scale_up::LaunchRequest;

/// Who turns launches into machines. Every call ends by itself within a few seconds.
#[async_trait]
pub trait NodeGroupProvider: Send + Sync + fmt::Debug {
    /// Its name in the configuration, in logs and in metrics.
    fn name(&self) -> &'static str;

    /// What the provider knows now. Cheap enough to be asked every ten seconds.
    async fn inventory(&self) -> Result<Inventory, ProviderError>;

    /// True if nothing can be launched in a group that is not in its inventory.
    fn knows_all_groups(&self) -> bool {
        false
    }

    /// What must be written down before this launch so that it can be repeated safely: the size of the group now,
    /// where the provider is told sizes; `None` where each node has a name of its own.
    ///
    /// Sizes have no owner. While a launch into a group has no answer, no other baseline of that group may be taken
    /// and nothing of it removed: two launches from one size would be one, and a smaller size looks like a launch
    /// that is missing.
    async fn baseline(&self, request: &LaunchRequest) -> Result<Option<u32>, ProviderError>;

    /// Makes sure that the nodes of this intent are on their way. Called again with the same intent, after a crash
    /// or without an answer, it launches only what is missing.
    async fn launch(&self, permit: &Permit, intent: &LaunchIntent) -> LaunchOutcome;

    /// What must be written down before this machine is removed so that the call can be repeated safely: the size of
    /// its group now, where the provider is told sizes; `None` where it is told which machine. Not while a launch
    /// into the group, or another removal from it, has no answer.
    async fn removal_baseline(&self, removal: &Removal) -> Result<Option<u32>, ProviderError>;

    /// Makes sure that this machine goes away, and no other, and that its group does not replace it. Called again
    /// with the same removal, after a crash or without an answer, it does only what is missing. The node has been
    /// drained.
    async fn remove(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome;

    /// What it does beside the calls, for as long as the process runs: whoever has the provider starts it once. It
    /// may end at once.
    async fn run(&self, _leadership: Leadership) {}

    /// Says that nothing more will be asked. Nothing depends on it.
    async fn finish(&self) {}
}

/// What a provider knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// Its node groups, in the order of their ids.
    pub groups: Vec<ProviderGroup>,
    /// Machines that it launched, with the names and addresses that it gave them.
    pub machines: Vec<Machine>,
    /// What could not be read, each a sentence; the rest holds.
    pub problems: Vec<String>,
    /// What it means if a machine is not in it.
    pub listing: Listing,
}

/// How much of what is there an inventory lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// Machines may be missing.
    #[default]
    Partial,
    /// Every machine is an instance of a group, under the provider's id; names of nodes are not known.
    ById,
    /// Every machine is there, under the provider's id and under the name of its node.
    ByName,
}

/// A node group as the provider sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProviderGroup {
    /// Its id: the `name` of the node group in the configuration.
    pub id: Text,
    /// Its smallest size.
    pub min: u32,
    /// Its largest size.
    pub max: u32,
    /// The size that it is to have.
    pub target: u32,
    /// Its machines, as far as they are known.
    pub instances: Vec<Instance>,
    /// What its nodes are, where the provider says so.
    pub template: Option<NodeTemplate>,
}

/// A machine of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The provider's id of it (`spec.providerID` of its node).
    pub id: Text,
    /// How far it has come.
    pub state: InstanceState,
}

/// How far a machine has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// It is being made.
    Creating,
    /// It is there.
    Running,
    /// It is going away.
    Deleting,
    /// It could not be made.
    Failed(LaunchFailure),
}

/// What the nodes of a group are, in the provider's words. Amounts are zero where it says nothing of them.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeTemplate {
    /// Labels.
    pub labels: LabelSet,
    /// Taints.
    pub taints: Vec<Taint>,
    /// What the machine has.
    pub capacity: Resources,
    /// What pods may request in all.
    pub allocatable: Resources,
}

/// Why a provider could not be asked. The text is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No answer.
    #[error("the provider does not answer: {0}")]
    Unreachable(String),
    /// The credentials or permissions are not good enough.
    #[error("the provider refuses the credentials: {0}")]
    Unauthorized(String),
    /// What it needs in the cluster is not there, for example the API group of Cluster API.
    #[error("{0}")]
    NotServed(String),
    /// There is no such group.
    #[error("the provider knows no node group {0}")]
    NoGroup(Text),
    /// Its answer makes no sense.
    #[error("the provider's answer cannot be used: {0}")]
    Garbled(String),
    /// It failed in a way of its own.
    #[error("the provider failed: {0}")]
    Failed(String),
}

// === impl Inventory ===

impl Inventory {
    /// What has become of the machine of a node, by the provider's id of it (`spec.providerID`) and by the node's
    /// name. Only of machines that the provider had: of one that never was its own it would say that it is gone.
    ///
    /// `Unknown` is a machine that is not listed where that means nothing: not everything could be read, or it cannot
    /// be told by what is known of it. Where the id is not listed and the name is, the machine counts as there: another one may have got the name,
    /// and nothing is taken for gone that may be there.
    pub fn machine_state(&self, node: &str, provider_id: Option<&str>) -> MachineState {
        let instances = || self.groups.iter().flat_map(|group| &group.instances);
        if let Some(instance) = provider_id.and_then(|id| instances().find(|instance| instance.id == *id)) {
            return match instance.state {
                InstanceState::Deleting => MachineState::Deleting,
                InstanceState::Creating | InstanceState::Running | InstanceState::Failed(_) => MachineState::Present,
            };
        }
        let mut named = self.machines.iter().filter(|machine| machine.node.as_deref() == Some(node)).peekable();
        if named.peek().is_some() {
            let going = named.all(|machine| machine.deleting);
            return if going { MachineState::Deleting } else { MachineState::Present };
        }
        match self.listing {
            Listing::ByName => MachineState::Gone,
            Listing::ById if provider_id.is_some() => MachineState::Gone,
            Listing::ById | Listing::Partial => MachineState::Unknown,
        }
    }
}

// === impl ProviderError ===

impl ProviderError {
    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "Unreachable",
            Self::Unauthorized(_) => "Unauthorized",
            Self::NotServed(_) => "NotServed",
            Self::NoGroup(_) => "NoGroup",
            Self::Garbled(_) => "Garbled",
            Self::Failed(_) => "Failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(listing: Listing) -> Inventory {
        let instance = |id: &str, state| Instance { id: id.into(), state };
        let machine = |node: &str, deleting| Machine {
            name: format!("m-{node}").into(),
            node: Some(node.into()),
            group: None,
            addresses: Vec::new(),
            created: None,
            deleting,
        };
        let group = |id: &str, instances| ProviderGroup { id: id.into(), instances, ..ProviderGroup::default() };
        Inventory {
            groups: vec![
                group("a", vec![instance("i-1", InstanceState::Running), instance("i-2", InstanceState::Deleting)]),
                group("b", vec![instance("i-3", InstanceState::Failed(LaunchFailure::Other("odd".into())))]),
            ],
            machines: vec![machine("n4", false), machine("n5", true), machine("n6", true), machine("n6", false)],
            problems: Vec::new(),
            listing,
        }
    }

    #[test]
    fn a_machine_is_gone_only_where_everything_is_listed() {
        use MachineState::*;
        for (node, id, partial, by_id, by_name) in [
            ("n1", Some("i-1"), Present, Present, Present),
            ("n2", Some("i-2"), Deleting, Deleting, Deleting),
            ("n3", Some("i-3"), Present, Present, Present),
            ("n4", None, Present, Present, Present),
            ("n5", Some("other"), Deleting, Deleting, Deleting),
            // Two machines of one name: one of them stays.
            ("n6", None, Present, Present, Present),
            ("n9", Some("i-9"), Unknown, Gone, Gone),
            ("n9", None, Unknown, Unknown, Gone),
            ("n4", Some("i-9"), Present, Present, Present),
        ] {
            for (listing, expected) in [(Listing::Partial, partial), (Listing::ById, by_id), (Listing::ByName, by_name)]
            {
                let found = inventory(listing).machine_state(node, id);
                assert_eq!(found, expected, "{node} {id:?} {listing:?}");
            }
        }
        assert_eq!(Inventory::default().machine_state("n", Some("i")), Unknown, "never asked");
    }
}
