//! Label selectors and node selectors.

use crate::{LabelSet, Text};

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The value is one of the list.
    In,
    /// The key is absent or its value is none of the list.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above the one given. Node selectors only.
    Gt,
    /// The value is an integer below the one given. Node selectors only.
    Lt,
}

/// One condition on one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The key.
    pub key: Text,
    /// How it compares.
    pub operator: Operator,
    /// What it compares with.
    pub values: Vec<Text>,
}

/// `matchLabels` and `matchExpressions`, all of which must hold. Empty, it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// Keys with the values they must have.
    pub match_labels: LabelSet,
    /// Further conditions.
    pub match_expressions: Vec<Requirement>,
}

/// Terms of which one must hold. Without terms it matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelector {
    /// The terms.
    pub terms: Vec<NodeSelectorTerm>,
}

/// Conditions on a node that must all hold. Without any it matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelectorTerm {
    /// Conditions on labels.
    pub match_expressions: Vec<Requirement>,
    /// Conditions on fields; the API knows `metadata.name` only.
    pub match_fields: Vec<Requirement>,
}

// === impl Requirement ===

impl Operator {
    /// Reads the operator's name in the API.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            "Gt" => Self::Gt,
            "Lt" => Self::Lt,
            _ => return None,
        })
    }
}

impl Requirement {
    /// True if a key with this value (or without the key) meets the condition.
    pub fn accepts(&self, value: Option<&Text>) -> bool {
        match (self.operator, value) {
            (Operator::In, Some(value)) => self.values.contains(value),
            (Operator::NotIn, Some(value)) => !self.values.contains(value),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::Gt | Operator::Lt, Some(value)) => self.compares(value),
            (Operator::NotIn, None) => true,
            (Operator::In | Operator::Gt | Operator::Lt, None) => false,
        }
    }

    fn compares(&self, value: &Text) -> bool {
        let [bound] = self.values.as_slice() else { return false };
        match (value.parse::<i64>(), bound.parse::<i64>()) {
            (Ok(value), Ok(bound)) if self.operator == Operator::Gt => value > bound,
            (Ok(value), Ok(bound)) => value < bound,
            _ => false,
        }
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = || self.values.iter().map(Text::as_str).collect::<Vec<_>>().join(",");
        match self.operator {
            Operator::In => write!(f, "{} in ({})", self.key, values()),
            Operator::NotIn => write!(f, "{} not in ({})", self.key, values()),
            Operator::Exists => write!(f, "{} exists", self.key),
            Operator::DoesNotExist => write!(f, "{} absent", self.key),
            Operator::Gt => write!(f, "{} > {}", self.key, values()),
            Operator::Lt => write!(f, "{} < {}", self.key, values()),
        }
    }
}

// === impl LabelSelector ===

impl LabelSelector {
    /// True if every condition holds.
    pub fn matches(&self, labels: &LabelSet) -> bool {
        labels.contains_all(&self.match_labels)
            && self.match_expressions.iter().all(|requirement| requirement.accepts(labels.get(&requirement.key)))
    }
}

// === impl NodeSelector ===

impl NodeSelector {
    /// True if one term holds for a node of this name and these labels.
    pub fn matches(&self, name: &Text, labels: &LabelSet) -> bool {
        self.terms.iter().any(|term| term.matches(name, labels))
    }
}

impl NodeSelectorTerm {
    /// True if there are conditions and all hold.
    pub fn matches(&self, name: &Text, labels: &LabelSet) -> bool {
        let empty = self.match_expressions.is_empty() && self.match_fields.is_empty();
        let fields = |requirement: &Requirement| requirement.key == "metadata.name" && requirement.accepts(Some(name));
        !empty
            && self.match_expressions.iter().all(|requirement| requirement.accepts(labels.get(&requirement.key)))
            && self.match_fields.iter().all(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(operator: Operator, values: &[&str]) -> Requirement {
        Requirement { key: "k".into(), operator, values: values.iter().map(|v| Text::from(*v)).collect() }
    }

    #[test]
    fn every_operator_with_and_without_the_key() {
        use Operator::*;
        for (operator, values, with, without) in [
            (In, &["5", "x"][..], true, false),
            (In, &["6"], false, false),
            (NotIn, &["5"], false, true),
            (NotIn, &["6"], true, true),
            (Exists, &[], true, false),
            (DoesNotExist, &[], false, true),
            (Gt, &["4"], true, false),
            (Gt, &["5"], false, false),
            (Lt, &["6"], true, false),
            (Lt, &["x"], false, false),
            (Gt, &["1", "2"], false, false),
        ] {
            let requirement = requirement(operator, values);
            assert_eq!(requirement.accepts(Some(&"5".into())), with, "{requirement} with");
            assert_eq!(requirement.accepts(None), without, "{requirement} without");
        }
    }

    #[test]
    fn empty_selectors() {
        let labels = LabelSet::default();
        assert!(LabelSelector::default().matches(&labels));
        assert!(!NodeSelector::default().matches(&"n".into(), &labels));
        let empty_term = NodeSelector { terms: vec![NodeSelectorTerm::default()] };
        assert!(!empty_term.matches(&"n".into(), &labels));
    }

    #[test]
    fn fields_know_the_name_only() {
        let field = |key: &str| Requirement { key: key.into(), operator: Operator::In, values: vec!["n1".into()] };
        let selector = |key| NodeSelector {
            terms: vec![NodeSelectorTerm { match_fields: vec![field(key)], ..Default::default() }],
        };
        assert!(selector("metadata.name").matches(&"n1".into(), &LabelSet::default()));
        assert!(!selector("metadata.name").matches(&"n2".into(), &LabelSet::default()));
        assert!(!selector("metadata.namespace").matches(&"n1".into(), &LabelSet::default()));
    }
}
