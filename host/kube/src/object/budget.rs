//! Pod disruption budgets.

use plimsoll_model::{DisruptionBudget, LabelSelector, Pools};
use serde::Deserialize;

use super::field::nullable;
use super::metadata::Metadata;
use super::selector::LabelSelectorObject;
use super::{Object, Row, WholeProblem};

/// A `PodDisruptionBudget`.
#[derive(Debug, Deserialize)]
pub(super) struct BudgetObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    spec: Spec<'a>,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

/// A `PodDisruptionBudget` of policy/v1beta1, where an empty selector covers no pods; in policy/v1 it covers all of
/// the namespace.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct BetaBudgetObject<'a>(#[serde(borrow)] BudgetObject<'a>);

/// Without one it covers nothing.
#[derive(Debug, Default, Deserialize)]
struct Spec<'a> {
    #[serde(borrow, default)]
    selector: Option<LabelSelectorObject<'a>>,
}

/// Without a status the controller has not looked yet, and nothing may be disrupted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default, deserialize_with = "nullable")]
    disruptions_allowed: i64,
}

impl BudgetObject<'_> {
    fn budget(self, pools: &mut Pools) -> DisruptionBudget {
        let Self { metadata, spec, status } = self;
        DisruptionBudget {
            namespace: metadata.namespace(pools),
            name: pools.text(&metadata.name.0),
            selector: spec.selector.map(|selector| selector.to_selector(pools)),
            disruptions_allowed: u32::try_from(status.disruptions_allowed.max(0)).unwrap_or(u32::MAX),
        }
    }
}

impl<'a> Row<'a> for BudgetObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        Ok(Object::Budget(self.budget(pools)))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}

impl<'a> Row<'a> for BetaBudgetObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let budget = self.0.budget(pools);
        let selector = budget.selector.filter(|selector| *selector != LabelSelector::default());
        Ok(Object::Budget(DisruptionBudget { selector, ..budget }))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.0.metadata
    }
}
