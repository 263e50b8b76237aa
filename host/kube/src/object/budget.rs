//! Pod disruption budgets.

use plimsoll_model::{ClusterBuilder, DisruptionBudget, LabelSelector, Timestamp};
use serde::Deserialize;

use super::WholeProblem;
use super::field::nullable;
use super::metadata::Metadata;
use super::selector::LabelSelectorObject;

/// A `PodDisruptionBudget`.
#[derive(Debug, Deserialize)]
pub(crate) struct BudgetObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Spec<'a>,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

#[derive(Debug, Deserialize)]
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
    /// In policy/v1beta1 an empty selector covers no pods, in policy/v1 all of the namespace.
    pub(crate) fn add_to(self, beta: bool, cluster: &mut ClusterBuilder) -> Result<(), WholeProblem> {
        let Self { metadata, spec, status } = self;
        let selector = spec.selector.map(|selector| selector.to_selector(cluster));
        let budget = DisruptionBudget {
            namespace: metadata.namespace(cluster),
            name: cluster.text(&metadata.name.0),
            selector: selector.filter(|selector| !beta || *selector != LabelSelector::default()),
            disruptions_allowed: u32::try_from(status.disruptions_allowed.max(0)).unwrap_or(u32::MAX),
        };
        cluster.add_budget(budget);
        Ok(())
    }

    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.metadata.created()
    }
}
