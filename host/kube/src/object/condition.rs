//! Conditions in an object's status.

use plimsoll_model::{Pools, Text, Timestamp};
use serde::Deserialize;

use super::field::{Moment, Str, nullable};

/// One entry of `status.conditions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub reason: Str<'a>,
    #[serde(default)]
    last_transition_time: Option<Moment>,
    #[serde(default)]
    last_heartbeat_time: Option<Moment>,
    #[serde(default)]
    last_update_time: Option<Moment>,
}

impl Condition<'_> {
    /// Its status is `True`. Conditions of signing requests had no status before v1.
    pub(super) fn holds(&self) -> bool {
        *self.status == *"True"
    }

    /// Its status is `False`.
    pub(super) fn fails(&self) -> bool {
        *self.status == *"False"
    }

    /// When its status last changed.
    pub(super) fn changed(&self) -> Option<Timestamp> {
        self.last_transition_time.map(|moment| moment.0)
    }
}

/// The latest moment in some conditions.
pub(super) fn newest(conditions: &[Condition<'_>]) -> Option<Timestamp> {
    conditions
        .iter()
        .flat_map(|condition| {
            [condition.last_transition_time, condition.last_heartbeat_time, condition.last_update_time]
        })
        .flatten()
        .max()
        .map(|moment| moment.0)
}

/// True if the condition of this type is `True`.
pub(super) fn holds(conditions: &[Condition<'_>], kind: &str) -> bool {
    conditions.iter().any(|condition| *condition.kind == *kind && condition.holds())
}

/// Types of the conditions that are `True`, sorted, but for `Ready`.
pub(super) fn others_that_hold(conditions: &[Condition<'_>], pools: &mut Pools) -> Vec<Text> {
    let that_hold = conditions.iter().filter(|condition| condition.holds() && *condition.kind != *"Ready");
    let mut types: Vec<Text> = that_hold.filter_map(|condition| condition.kind.some(pools)).collect();
    types.sort_unstable();
    types
}
