//! Label selectors and node selectors.

use plimsoll_model::{ClusterBuilder, LabelSelector, NodeSelector, NodeSelectorTerm, Operator, Requirement};
use serde::Deserialize;

use super::field::{Pairs, Str, nullable};
use super::named::Named;

/// A label selector.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LabelSelectorObject<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    match_labels: Pairs<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    match_expressions: Vec<RequirementObject<'a>>,
}

/// A node selector.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeSelectorObject<'a> {
    #[serde(borrow)]
    node_selector_terms: Vec<NodeSelectorTermObject<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeSelectorTermObject<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    match_expressions: Vec<RequirementObject<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    match_fields: Vec<RequirementObject<'a>>,
}

#[derive(Debug, Deserialize)]
struct RequirementObject<'a> {
    #[serde(borrow)]
    key: Str<'a>,
    operator: Named<Operator>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    values: Vec<Str<'a>>,
}

impl LabelSelectorObject<'_> {
    pub(super) fn to_selector(&self, cluster: &mut ClusterBuilder) -> LabelSelector {
        LabelSelector {
            match_labels: self.match_labels.to_set(cluster),
            match_expressions: requirements(&self.match_expressions, cluster),
        }
    }
}

impl NodeSelectorObject<'_> {
    pub(super) fn to_selector(&self, cluster: &mut ClusterBuilder) -> NodeSelector {
        let terms = self.node_selector_terms.iter().map(|term| NodeSelectorTerm {
            match_expressions: requirements(&term.match_expressions, cluster),
            match_fields: requirements(&term.match_fields, cluster),
        });
        NodeSelector { terms: terms.collect() }
    }
}

fn requirements(objects: &[RequirementObject<'_>], cluster: &mut ClusterBuilder) -> Vec<Requirement> {
    objects
        .iter()
        .map(|object| Requirement {
            key: cluster.text(&object.key),
            operator: object.operator.0,
            values: object.values.iter().map(|value| cluster.text(value)).collect(),
        })
        .collect()
}
