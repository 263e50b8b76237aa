//! What a node group says about the removal of its nodes.

use plimsoll_model::{ForceDelete, GroupScaleDown, Millis};

use super::super::file::NodeGroupFile;
use super::Wrong;

/// The least time in which a node is drained (Spot Ocean, "Scaling").
pub(super) const LEAST_TIMEOUT: Millis = Millis(300_000);

/// The group's own `scaleDown` and `drain`.
pub(super) fn group_scale_down(file: &NodeGroupFile) -> Result<GroupScaleDown, Wrong> {
    let (down, drain) = (&file.scale_down, &file.drain);
    if let Some(percentage) = down.max_percentage {
        percentage_in_range("scaleDown.maxPercentage", percentage)?;
    }
    if let Some(periods) = down.evaluation_periods {
        some_periods("scaleDown.evaluationPeriods", periods)?;
    }
    let timeout = drain.timeout.map(|seconds| seconds.0);
    if let Some(timeout) = timeout.filter(|timeout| *timeout < LEAST_TIMEOUT) {
        return Err(("drain.timeout".to_owned(), format!("{timeout} is below the least of 300s")));
    }
    Ok(GroupScaleDown {
        accelerated: down.accelerated,
        max_percentage: down.max_percentage,
        evaluation_periods: down.evaluation_periods,
        timeout,
        force_delete: drain.force_delete_after.map(|after| after.0.map_or(ForceDelete::Never, ForceDelete::After)),
    })
}

/// From 1 to 100: 0 would be another way to write that nothing is removed, for which there are better ones.
pub(super) fn percentage_in_range(field: &str, percentage: u32) -> Result<(), Wrong> {
    if (1..=100).contains(&percentage) {
        return Ok(());
    }
    Err((field.to_owned(), format!("{percentage} is not between 1 and 100")))
}

/// At least one: a node goes no sooner than it is looked at.
pub(super) fn some_periods(field: &str, periods: u32) -> Result<(), Wrong> {
    if periods > 0 {
        return Ok(());
    }
    Err((field.to_owned(), "0 evaluations; the least is 1".to_owned()))
}
