//! What every provider can do.

use std::fmt;

use async_trait::async_trait;
use plimsoll_kube::{Leadership, Permit};
use plimsoll_model::{LabelSet, Machine, Resources, Taint, Text};
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
