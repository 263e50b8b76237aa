//! Which rules about pods hold, as configuration.

use plimsoll_model::Millis;

use super::super::BudgetArithmetic;

/// Whose rules about pods hold, and in whose words reasons are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RulesPreset {
    /// Those of Spot Ocean's "Scaling", with what it leaves open settled on the careful side.
    #[default]
    Ocean,
    /// Those of cluster-autoscaler, in its order and its words (`simulator/drainability/rules`).
    ClusterAutoscaler,
}

/// Which rules about pods hold. Budgets, restrict labels and bare pods have settings of their own in
/// [`ScaleDownConfig`](super::super::ScaleDownConfig).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainabilityRules {
    /// Whose rules they are.
    pub preset: RulesPreset,
    /// Pods of `kube-system` without a disruption budget keep their node.
    pub skip_nodes_with_system_pods: bool,
    /// After this age such a pod keeps its node no longer; `None`: whatever its age. A pod whose age is not known is
    /// young.
    pub blocking_system_pod_timeout: Option<Millis>,
    /// Pods with volumes on the node keep it, unless the pod says that it can lose them.
    pub skip_nodes_with_local_storage: bool,
    /// Pods keep their node whose controller is of a kind that is not known, is gone, or wants too few of them.
    pub skip_nodes_with_custom_controller_pods: bool,
    /// How many pods a ReplicaSet or ReplicationController must want for one of them to be evicted.
    pub min_replica_count: u32,
    /// How evictions are held against a budget.
    pub budgets: BudgetArithmetic,
}

impl DrainabilityRules {
    /// The defaults of a preset. Those of cluster-autoscaler are its flags'.
    pub fn of(preset: RulesPreset) -> Self {
        let peer = preset == RulesPreset::ClusterAutoscaler;
        Self {
            preset,
            skip_nodes_with_system_pods: peer,
            blocking_system_pod_timeout: Some(Millis::from_secs(3600)),
            skip_nodes_with_local_storage: peer,
            skip_nodes_with_custom_controller_pods: peer,
            min_replica_count: 0,
            budgets: if peer { BudgetArithmetic::Staged } else { BudgetArithmetic::Batch },
        }
    }

    /// cluster-autoscaler's rules, in its words.
    pub(super) fn peer(&self) -> bool {
        self.preset == RulesPreset::ClusterAutoscaler
    }

    /// The annotation `safe-to-evict` says more than `"false"`: there is something that it could lift.
    pub(super) fn heeds_safe_to_evict(&self) -> bool {
        self.peer()
            || self.skip_nodes_with_system_pods
            || self.skip_nodes_with_local_storage
            || self.skip_nodes_with_custom_controller_pods
    }
}

impl Default for DrainabilityRules {
    fn default() -> Self {
        Self::of(RulesPreset::default())
    }
}
