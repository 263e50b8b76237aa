//! `scaleDown.rules`.

use serde::Deserialize;

use crate::config::values::SecondsOrNever;

/// `scaleDown.rules`: rules about pods, in the words of cluster-autoscaler's flags.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RulesFile {
    pub preset: Option<String>,
    pub skip_nodes_with_system_pods: Option<bool>,
    /// The flag itself is spelt like the alias.
    #[serde(alias = "blockingSystemPodDistruptionTimeout")]
    pub blocking_system_pod_disruption_timeout: Option<SecondsOrNever>,
    pub skip_nodes_with_local_storage: Option<bool>,
    pub skip_nodes_with_custom_controller_pods: Option<bool>,
    pub min_replica_count: Option<u32>,
    pub budgets: Option<String>,
}
