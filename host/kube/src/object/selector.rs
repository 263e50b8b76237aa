//! Label selectors and node selectors.

use plimsoll_model::{LabelSelector, LabelSet, NodeSelector, NodeSelectorTerm, Operator, Pools, Requirement};
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
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_selector_terms: Vec<NodeSelectorTermObject<'a>>,
}

/// One term of a node selector, or what a pod prefers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeSelectorTermObject<'a> {
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
    pub(super) fn to_selector(&self, pools: &mut Pools) -> LabelSelector {
        LabelSelector {
            match_labels: self.match_labels.to_set(pools),
            match_expressions: requirements(&self.match_expressions, pools),
        }
    }

    /// The selector of a pod with these labels, which asks for others with the same values of the keys `like` and
    /// other values of the keys `unlike` (`matchLabelKeys` and `mismatchLabelKeys`; KEP-3243 and KEP-3633).
    pub(super) fn to_selector_of(
        &self,
        labels: &LabelSet,
        like: &[Str<'_>],
        unlike: &[Str<'_>],
        pools: &mut Pools,
    ) -> LabelSelector {
        let mut selector = self.to_selector(pools);
        for (keys, operator) in [(like, Operator::In), (unlike, Operator::NotIn)] {
            for key in keys {
                // API servers write the condition into the selector, with the value the label had at that time.
                let written = |known: &Requirement| known.key == **key && known.operator == operator;
                if let Some(value) = labels.get(key)
                    && !selector.match_expressions.iter().any(written)
                {
                    let requirement = Requirement { key: pools.text(key), operator, values: vec![value.clone()] };
                    selector.match_expressions.push(requirement);
                }
            }
        }
        selector
    }
}

impl NodeSelectorObject<'_> {
    pub(super) fn to_selector(&self, pools: &mut Pools) -> NodeSelector {
        NodeSelector { terms: self.node_selector_terms.iter().filter_map(|term| term.to_term(pools)).collect() }
    }
}

impl NodeSelectorTermObject<'_> {
    /// The scheduler cannot read a term with an impossible label value, so that it holds for no node: `None`.
    pub(super) fn to_term(&self, pools: &mut Pools) -> Option<NodeSelectorTerm> {
        let mut values = self.match_expressions.iter().flat_map(|object| &object.values);
        values.all(|value| label_value(value)).then(|| NodeSelectorTerm {
            match_expressions: requirements(&self.match_expressions, pools),
            match_fields: requirements(&self.match_fields, pools),
        })
    }
}

fn requirements(objects: &[RequirementObject<'_>], pools: &mut Pools) -> Vec<Requirement> {
    objects
        .iter()
        .map(|object| Requirement {
            key: pools.text(&object.key),
            operator: object.operator.0,
            values: object.values.iter().map(|value| pools.text(value)).collect(),
        })
        .collect()
}

/// True if a label can have this value: empty, or up to 63 letters, digits, `-`, `_` and `.`, the first and the
/// last a letter or digit (Kubernetes, "Labels and Selectors").
fn label_value(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    let inner = |byte: u8| plain(&byte) || matches!(byte, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && bytes.first().is_none_or(plain)
        && bytes.last().is_none_or(plain)
}

#[cfg(test)]
mod tests {
    use super::label_value;

    #[test]
    fn label_values_as_the_api_server_takes_them() {
        for good in ["", "a", "v1.2_3-x", &"x".repeat(63)] {
            assert!(label_value(good), "{good}");
        }
        for bad in ["-a", "a.", "{{.bad}}", "a b", "é", &"x".repeat(64)] {
            assert!(!label_value(bad), "{bad}");
        }
    }
}
