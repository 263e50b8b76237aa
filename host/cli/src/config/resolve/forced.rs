//! `interruption` and `unhealthy`.

use plimsoll_model::{Millis, Text};
use plimsoll_planner::drain::{ForcedRules, LEAST_UNHEALTHY};

use super::super::file::ConfigFile;
use super::Wrong;

/// After how long a node is replaced that is not ready (`ocean-features` D11).
const UNHEALTHY_AFTER: Millis = Millis(120_000);

/// How nodes are recognised that have to go.
pub(super) fn forced(file: &ConfigFile) -> Result<ForcedRules, Wrong> {
    let (default, interruption, unhealthy) = (ForcedRules::default(), &file.interruption, &file.unhealthy);
    let texts = |own: &Option<Vec<String>>, default| match own {
        Some(own) => own.iter().map(|text| Text::from(text.as_str())).collect(),
        None => default,
    };
    let after = unhealthy.after.map_or(UNHEALTHY_AFTER, |seconds| seconds.0);
    if after < LEAST_UNHEALTHY {
        return Err(("unhealthy.after".to_owned(), format!("{after} is below the least of {LEAST_UNHEALTHY}")));
    }
    Ok(ForcedRules {
        interruption_taints: texts(&interruption.taints, default.interruption_taints),
        interruption_conditions: texts(&interruption.conditions, default.interruption_conditions),
        notice: interruption.notice.map_or(default.notice, |seconds| seconds.0),
        unhealthy_after: unhealthy.enabled.unwrap_or(false).then_some(after),
    })
}
