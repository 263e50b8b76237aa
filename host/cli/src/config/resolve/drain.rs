//! `drain`: how patient drains are.

use plimsoll_model::{ForceDelete, Millis, Text};
use plimsoll_planner::drain::{DrainRules, ScaleDownConfig};

use super::super::file::DrainFile;
use super::Wrong;

/// Evictions are not asked for more often than this: each is a call to the API server.
const LEAST_RETRY: Millis = Millis(1_000);

/// The rules of drains, with those of groups that have their own.
pub(super) fn rules(file: &DrainFile, scale_down: &ScaleDownConfig) -> Result<DrainRules, Wrong> {
    let default = DrainRules::default();
    let retry_interval = file.retry_interval.map_or(default.retry_interval, |seconds| seconds.0);
    if retry_interval < LEAST_RETRY {
        let problem = format!("{retry_interval} is below the least of {LEAST_RETRY}");
        return Err(("drain.retryInterval".to_owned(), problem));
    }
    let own = |group: &plimsoll_model::NodeGroup| {
        let after = match group.scale_down.force_delete? {
            ForceDelete::After(after) => Some(after),
            ForceDelete::Never => None,
        };
        Some((group.name.clone(), after))
    };
    let groups: std::collections::HashMap<Text, Option<Millis>> =
        scale_down.groups.iter().flatten().filter_map(own).collect();
    Ok(DrainRules {
        retry_interval,
        force_delete_after: file.force_delete_after.map_or(default.force_delete_after, |after| after.0),
        group_force_delete_after: groups,
        warmup_guard: scale_down.warmup_guard,
        evict_when_ready: file.evict_when_ready.unwrap_or(default.evict_when_ready),
        detach_wait: file.detach_wait.map_or(default.detach_wait, |seconds| seconds.0),
        node_delete_after: file.node_delete_after.map_or(default.node_delete_after, |seconds| seconds.0),
        breaker_after: file.breaker_after.map_or(default.breaker_after, |seconds| seconds.0),
    })
}
