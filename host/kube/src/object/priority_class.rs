//! Priority classes.

use plimsoll_model::{Pools, PriorityClass};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::{Object, Row, WholeProblem};

/// A `PriorityClass`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PriorityClassObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    value: i32,
    #[serde(default, deserialize_with = "nullable")]
    global_default: bool,
    #[serde(borrow, default, deserialize_with = "nullable")]
    preemption_policy: Str<'a>,
}

impl<'a> Row<'a> for PriorityClassObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        Ok(Object::PriorityClass(PriorityClass {
            name: pools.text(&self.metadata.name.0),
            value: self.value,
            global_default: self.global_default,
            preempts: *self.preemption_policy != *"Never",
        }))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}
