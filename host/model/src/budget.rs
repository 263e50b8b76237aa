//! Pod disruption budgets.

use crate::{LabelSelector, Pod, Text};

/// A `PodDisruptionBudget` with what its controller last computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    /// The namespace it covers.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// The pods it covers; `None` covers none, an empty selector all of the namespace (policy/v1).
    pub selector: Option<LabelSelector>,
    /// `status.disruptionsAllowed`: evictions that are allowed now.
    pub disruptions_allowed: u32,
}

impl DisruptionBudget {
    /// True if the pod counts against this budget.
    pub fn covers(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace && self.selector.as_ref().is_some_and(|selector| selector.matches(&pod.labels))
    }
}
