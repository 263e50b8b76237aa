//! The index of nodes says what a check of each node says.

use std::sync::Arc;

use plimsoll_model::{
    LabelSet, NodeSelector, NodeSelectorTerm, Operator, PodShape, Requirement, Taint, TaintEffect, Text, Toleration,
};
use plimsoll_scheduler::{NodeState, Suitability, why_not_statically};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const KEYS: [&str; 4] = ["zone", "size", "host", "missing"];
/// Numbers in several spellings, and what is no number.
const VALUES: [&str; 9] = ["a", "b", "5", "05", "+5", "6", "-7", "9223372036854775807", "9223372036854775808"];
const EFFECTS: [TaintEffect; 3] = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute];
const OPERATORS: [Operator; 6] =
    [Operator::In, Operator::NotIn, Operator::Exists, Operator::DoesNotExist, Operator::Gt, Operator::Lt];

fn text(all: &'static [&'static str]) -> impl Strategy<Value = Text> {
    select(all).prop_map(Text::from)
}

fn labels() -> impl Strategy<Value = LabelSet> {
    let label = prop_oneof![(Just("zone".into()), text(&["a", "5"])), (text(&KEYS[..3]), text(&VALUES))];
    vec(label, 0..4).prop_map(|labels| labels.into_iter().collect())
}

fn taint() -> impl Strategy<Value = Taint> {
    let key = text(&["t", "u", "node.kubernetes.io/unschedulable"]);
    (key, text(&["", "v"]), select(&EFFECTS[..])).prop_map(|(key, value, effect)| Taint { key, value, effect })
}

fn node() -> impl Strategy<Value = NodeState> {
    let all =
        (text(&["a", "b", "5", "n1", "n2"]), labels(), vec(taint(), 0..3), any::<bool>(), prop::bool::weighted(0.1));
    all.prop_map(|(name, labels, taints, unschedulable, barred)| NodeState {
        name,
        labels: Arc::new(labels),
        taints,
        unschedulable,
        barred,
        ..NodeState::default()
    })
}

fn requirement(keys: &'static [&'static str]) -> impl Strategy<Value = Requirement> {
    let values = vec(text(&["a", "b", "5", "05", "6", "-7", "x", "n1", "9223372036854775807"]), 0..4);
    // A single value is what Gt and Lt want.
    let values = prop_oneof![values, text(&VALUES).prop_map(|value| vec![value])];
    (text(keys), select(&OPERATORS[..]), values).prop_map(|(key, operator, values)| Requirement {
        key,
        operator,
        values,
    })
}

fn shape() -> impl Strategy<Value = PodShape> {
    let term = (vec(requirement(&KEYS), 0..3), vec(requirement(&["metadata.name", "metadata.uid"]), 0..2))
        .prop_map(|(match_expressions, match_fields)| NodeSelectorTerm { match_expressions, match_fields });
    let affinity = vec(term, 0..4).prop_map(|terms| NodeSelector { terms });
    let toleration = (
        option::of(text(&["t", "u", "node.kubernetes.io/unschedulable"])),
        option::of(text(&["", "v"])),
        option::of(select(&EFFECTS[..])),
    )
        .prop_map(|(key, value, effect)| Toleration { key, value, effect });
    let selector = prop_oneof![3 => Just(LabelSet::default()), 1 => labels()];
    (selector, option::of(affinity), vec(toleration, 0..3)).prop_map(|(node_selector, node_affinity, tolerations)| {
        PodShape { node_selector, node_affinity, tolerations, ..PodShape::default() }
    })
}

/// Position by position, the plain way.
fn plain(nodes: &[Option<NodeState>], shape: &PodShape) -> Vec<usize> {
    let fits = |node: &NodeState| why_not_statically(shape, None, node).is_empty();
    (0..nodes.len()).filter(|at| nodes[*at].as_ref().is_some_and(fits)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn agrees_with_a_check_of_each_node(
        // Enough for sets that are lists and sets that are not.
        nodes in vec(node(), 0..150),
        shapes in vec(shape(), 1..12),
        changes in vec((0usize..100, option::of(node())), 0..40),
    ) {
        let mut index = Suitability::of(&nodes);
        let mut nodes: Vec<Option<NodeState>> = nodes.into_iter().map(Some).collect();
        for shape in &shapes {
            prop_assert_eq!(index.suits(shape).ones().collect::<Vec<_>>(), plain(&nodes, shape));
        }
        for (at, node) in changes {
            index.set(at, node.as_ref());
            if nodes.len() <= at {
                nodes.resize(at + 1, None);
            }
            nodes[at] = node;
        }
        for shape in &shapes {
            let suits = index.suits(shape);
            prop_assert_eq!(suits.len(), nodes.len());
            prop_assert_eq!(suits.ones().collect::<Vec<_>>(), plain(&nodes, shape));
        }
    }

    #[test]
    fn many_values_and_terms_mean_the_same(
        nodes in vec(node(), 1..20),
        chosen in subsequence((0..3000u32).collect::<Vec<_>>(), 0..3000),
        operator in select(&[Operator::In, Operator::NotIn][..]),
    ) {
        let values: Vec<Text> = chosen.iter().map(|value| Text::from(value.to_string())).chain(["a".into()]).collect();
        let term = |values: Vec<Text>| NodeSelectorTerm {
            match_expressions: vec![Requirement { key: "zone".into(), operator, values }],
            match_fields: vec![],
        };
        let one = PodShape {
            node_affinity: Some(NodeSelector { terms: vec![term(values.clone())] }), ..PodShape::default()
        };
        let each = values.iter().take(1000).map(|value| term(vec![value.clone()]));
        let many = PodShape { node_affinity: Some(NodeSelector { terms: each.collect() }), ..PodShape::default() };
        let index = Suitability::of(&nodes);
        let nodes: Vec<Option<NodeState>> = nodes.into_iter().map(Some).collect();
        for shape in [one, many] {
            prop_assert_eq!(index.suits(&shape).ones().collect::<Vec<_>>(), plain(&nodes, &shape));
        }
    }
}
