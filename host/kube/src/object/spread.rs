//! Topology spread constraints.

use plimsoll_model::{LabelSet, NodeInclusion, Pools, SpreadConstraint};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::named::{MaybeNamed, WhenUnsatisfiable};
use super::selector::LabelSelectorObject;

/// One entry of `topologySpreadConstraints`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spread<'a> {
    #[serde(borrow, default)]
    label_selector: Option<LabelSelectorObject<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    match_label_keys: Vec<Str<'a>>,
    #[serde(borrow)]
    topology_key: Str<'a>,
    max_skew: std::num::NonZeroU32,
    #[serde(default)]
    min_domains: Option<u32>,
    #[serde(default)]
    node_affinity_policy: MaybeNamed<NodeInclusion>,
    #[serde(default)]
    node_taints_policy: MaybeNamed<NodeInclusion>,
    #[serde(default)]
    when_unsatisfiable: MaybeNamed<WhenUnsatisfiable>,
}

/// The constraints of a pod with these labels: those it insists on, and those it would like to be kept.
pub(super) fn constraints(
    objects: &[Spread<'_>],
    labels: &LabelSet,
    pools: &mut Pools,
) -> (Vec<SpreadConstraint>, Vec<SpreadConstraint>) {
    let (mut required, mut preferred) = (Vec::new(), Vec::new());
    for object in objects {
        let list = match object.when_unsatisfiable.0 {
            Some(WhenUnsatisfiable::ScheduleAnyway) => &mut preferred,
            Some(WhenUnsatisfiable::DoNotSchedule) | None => &mut required,
        };
        list.push(object.to_constraint(labels, pools));
    }
    (required, preferred)
}

impl Spread<'_> {
    /// Policies that are not given are those of Kubernetes, "Pod Topology Spread Constraints".
    fn to_constraint(&self, labels: &LabelSet, pools: &mut Pools) -> SpreadConstraint {
        let selector = self.label_selector.as_ref();
        SpreadConstraint {
            selector: selector.map(|selector| selector.to_selector_of(labels, &self.match_label_keys, &[], pools)),
            topology_key: pools.text(&self.topology_key),
            max_skew: self.max_skew.get(),
            min_domains: self.min_domains,
            node_affinity_policy: self.node_affinity_policy.0.unwrap_or(NodeInclusion::Honor),
            node_taints_policy: self.node_taints_policy.0.unwrap_or(NodeInclusion::Ignore),
        }
    }
}
