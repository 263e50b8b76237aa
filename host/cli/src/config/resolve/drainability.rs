//! `scaleDown.rules`.

use plimsoll_planner::drain::{BudgetArithmetic, DrainabilityRules, RulesPreset};

use super::Wrong;
use crate::config::file::RulesFile;

/// The rules about pods: those of the preset, and what is set beside it.
pub(super) fn rules(file: &RulesFile) -> Result<DrainabilityRules, Wrong> {
    let preset = match file.preset.as_deref() {
        None | Some("default") => RulesPreset::Ocean,
        Some("cluster-autoscaler") => RulesPreset::ClusterAutoscaler,
        Some(other) => {
            let problem = format!("\"{other}\" is not known; write default or cluster-autoscaler");
            return Err(("scaleDown.rules.preset".to_owned(), problem));
        }
    };
    let default = DrainabilityRules::of(preset);
    let budgets = match file.budgets.as_deref() {
        None => default.budgets,
        Some(text) => BudgetArithmetic::parse(text).ok_or_else(|| {
            ("scaleDown.rules.budgets".to_owned(), format!("\"{text}\" is not known; write batch or staged"))
        })?,
    };
    Ok(DrainabilityRules {
        preset,
        skip_nodes_with_system_pods: file.skip_nodes_with_system_pods.unwrap_or(default.skip_nodes_with_system_pods),
        blocking_system_pod_timeout: file
            .blocking_system_pod_disruption_timeout
            .map_or(default.blocking_system_pod_timeout, |timeout| timeout.0),
        skip_nodes_with_local_storage: file
            .skip_nodes_with_local_storage
            .unwrap_or(default.skip_nodes_with_local_storage),
        skip_nodes_with_custom_controller_pods: file
            .skip_nodes_with_custom_controller_pods
            .unwrap_or(default.skip_nodes_with_custom_controller_pods),
        min_replica_count: file.min_replica_count.unwrap_or(default.min_replica_count),
        budgets,
    })
}
