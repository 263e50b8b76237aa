//! Where pods must be, and where they would like to be.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use plimsoll_model::{
    InterPodRules, LabelSelector, NodeInclusion, NodeSelectorTerm, Operator, PodAffinityTerm, Preferences, Requirement,
    SpreadConstraint, Text,
};
use texts::{pod, pod_of, shown};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
    Requirement { key: key.into(), operator, values: values.iter().map(|value| Text::from(*value)).collect() }
}

/// A selector of one label.
fn app(name: &str) -> Option<LabelSelector> {
    Some(LabelSelector { match_labels: [("app", name)].into_iter().collect(), match_expressions: vec![] })
}

fn term(selector: Option<LabelSelector>, topology_key: &str) -> PodAffinityTerm {
    PodAffinityTerm { selector, namespaces: vec![], namespace_selector: None, topology_key: topology_key.into() }
}

fn spread(topology_key: &str, max_skew: u32) -> SpreadConstraint {
    SpreadConstraint {
        selector: None,
        topology_key: topology_key.into(),
        max_skew,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }
}

#[test]
fn nodes_that_are_required_and_nodes_that_are_preferred() {
    let pod = pod(&format!(
        "affinity: {{nodeAffinity: {{{REQUIRED}: {{nodeSelectorTerms: [\
         {{matchExpressions: [{{key: zone, operator: In, values: [a, b]}}], matchFields: [{{key: metadata.name, operator: NotIn, values: [n1]}}]}}, \
         {{matchExpressions: [{{key: cores, operator: Gt, values: ['4']}}]}}, \
         {{matchExpressions: [{{key: zone, operator: In, values: ['not a value']}}]}}]}}, \
         {PREFERRED}: [{{weight: 1, preference: {{matchExpressions: [{{key: disk, operator: In, values: [ssd]}}]}}}}, \
         {{weight: 100, preference: {{matchFields: [{{key: metadata.name, operator: In, values: [n2]}}]}}}}, \
         {{weight: 50, preference: {{matchExpressions: [{{key: disk, operator: In, values: ['not a value']}}]}}}}]}}}}"
    ));
    let node = pod.shape.node_affinity.as_ref().expect("node affinity");
    let terms: Vec<_> =
        node.terms.iter().map(|term| (shown(&term.match_expressions), shown(&term.match_fields))).collect();
    let none = Vec::new;
    let one = |text: &str| vec![text.to_owned()];
    assert_eq!(terms, [(one("zone in (a,b)"), one("metadata.name not in (n1)")), (one("cores > 4"), none())]);

    let disk =
        NodeSelectorTerm { match_expressions: vec![requirement("disk", Operator::In, &["ssd"])], match_fields: vec![] };
    let name = NodeSelectorTerm {
        match_expressions: vec![],
        match_fields: vec![requirement("metadata.name", Operator::In, &["n2"])],
    };
    let expected = Preferences { node_affinity: vec![(1, disk), (100, name)], ..Default::default() };
    assert_eq!(pod.shape.preferences, expected);
    assert!(pod.shape.inter_pod.is_empty());
}

#[test]
fn pods_that_are_required_and_pods_that_are_preferred() {
    let pod = pod(&format!(
        "affinity: {{podAffinity: {{{REQUIRED}: [{{topologyKey: zone, labelSelector: {{matchLabels: {{app: db}}}}, namespaces: [x]}}], \
         {PREFERRED}: [{{weight: 10, podAffinityTerm: {{topologyKey: rack, labelSelector: {{matchLabels: {{app: cache}}}}, namespaces: [y]}}}}]}}, \
         podAntiAffinity: {{{REQUIRED}: [{{topologyKey: host, namespaceSelector: {{}}}}], \
         {PREFERRED}: [{{weight: 20, podAffinityTerm: {{topologyKey: zone, namespaceSelector: {{matchLabels: {{app: web}}}}}}}}]}}}}"
    ));
    let near = PodAffinityTerm { namespaces: vec!["x".into()], ..term(app("db"), "zone") };
    let apart = PodAffinityTerm { namespace_selector: Some(LabelSelector::default()), ..term(None, "host") };
    let rules = InterPodRules { affinity: vec![near], anti_affinity: vec![apart], spread: vec![] };
    assert_eq!(pod.shape.inter_pod, rules);
    let nearer = PodAffinityTerm { namespaces: vec!["y".into()], ..term(app("cache"), "rack") };
    let further = PodAffinityTerm { namespace_selector: app("web"), ..term(None, "zone") };
    let wishes = Preferences { affinity: vec![(10, nearer)], anti_affinity: vec![(20, further)], ..Default::default() };
    assert_eq!(pod.shape.preferences, wishes);
}

#[test]
fn spread_constraints_by_what_happens_where_they_cannot_be_kept() {
    let of = |text: &str| {
        let shape = pod(&format!("topologySpreadConstraints: [{text}]")).shape;
        assert!(shape.inter_pod.affinity.is_empty() && shape.preferences.affinity.is_empty());
        (shape.inter_pod.spread.clone(), shape.preferences.spread.clone())
    };
    for (text, expected) in [
        ("whenUnsatisfiable: DoNotSchedule", (vec![spread("zone", 2)], vec![])),
        ("whenUnsatisfiable: ScheduleAnyway", (vec![], vec![spread("zone", 2)])),
        ("", (vec![spread("zone", 2)], vec![])),
        (
            "minDomains: null, nodeAffinityPolicy: null, nodeTaintsPolicy: '', labelSelector: null, \
             matchLabelKeys: null, whenUnsatisfiable: null",
            (vec![spread("zone", 2)], vec![]),
        ),
        ("labelSelector: {}", (vec![SpreadConstraint { selector: Some(<_>::default()), ..spread("zone", 2) }], vec![])),
        (
            "labelSelector: {matchLabels: {app: web}}",
            (vec![SpreadConstraint { selector: app("web"), ..spread("zone", 2) }], vec![]),
        ),
        ("minDomains: 3", (vec![SpreadConstraint { min_domains: Some(3), ..spread("zone", 2) }], vec![])),
        (
            "nodeAffinityPolicy: Ignore, nodeTaintsPolicy: Honor",
            (
                vec![SpreadConstraint {
                    node_affinity_policy: NodeInclusion::Ignore,
                    node_taints_policy: NodeInclusion::Honor,
                    ..spread("zone", 2)
                }],
                vec![],
            ),
        ),
        ("nodeAffinityPolicy: Honor, nodeTaintsPolicy: Ignore", (vec![spread("zone", 2)], vec![])),
    ] {
        assert_eq!(of(&format!("{{topologyKey: zone, maxSkew: 2, {text}}}")), expected, "{text}");
    }
    let both = "{topologyKey: a, maxSkew: 1}, {topologyKey: b, maxSkew: 3, whenUnsatisfiable: ScheduleAnyway}, \
                {topologyKey: c, maxSkew: 2}";
    assert_eq!(of(both), (vec![spread("a", 1), spread("c", 2)], vec![spread("b", 3)]));
}

/// Conditions of the selectors of a pod that has the labels `app: web` and `hash: h1`.
fn conditions(selector_and_keys: &str) -> [Option<Vec<String>>; 4] {
    let labels = "labels: {app: web, hash: h1}";
    let of = |selector: &Option<LabelSelector>| selector.as_ref().map(|selector| shown(&selector.match_expressions));
    let kinds = ["podAffinity", "podAntiAffinity"].map(|kind| {
        format!(
            "{kind}: {{{REQUIRED}: [{{topologyKey: z, {selector_and_keys}}}], \
             {PREFERRED}: [{{weight: 1, podAffinityTerm: {{topologyKey: z, {selector_and_keys}}}}}]}}"
        )
    });
    let shape = pod_of(labels, &format!("affinity: {{{}}}", kinds.join(", ")), "").shape;
    [
        of(&shape.inter_pod.affinity[0].selector),
        of(&shape.preferences.affinity[0].1.selector),
        of(&shape.inter_pod.anti_affinity[0].selector),
        of(&shape.preferences.anti_affinity[0].1.selector),
    ]
}

#[test]
fn label_keys_become_conditions_with_the_values_of_the_pod() {
    for (text, expected) in [
        ("labelSelector: {}, matchLabelKeys: [hash]", Some(&["hash in (h1)"][..])),
        ("labelSelector: {}, mismatchLabelKeys: [hash]", Some(&["hash not in (h1)"])),
        (
            "labelSelector: {}, matchLabelKeys: [hash], mismatchLabelKeys: [app]",
            Some(&["hash in (h1)", "app not in (web)"]),
        ),
        ("labelSelector: {}, matchLabelKeys: [gone, hash], mismatchLabelKeys: [gone]", Some(&["hash in (h1)"])),
        ("labelSelector: {}, matchLabelKeys: null, mismatchLabelKeys: []", Some(&[])),
        (
            "labelSelector: {matchExpressions: [{key: app, operator: Exists}]}, matchLabelKeys: [app]",
            Some(&["app exists", "app in (web)"]),
        ),
        ("matchLabelKeys: [hash]", None),
        ("labelSelector: null, mismatchLabelKeys: [hash]", None),
        // The API server has written these when the pod had another label.
        (
            "labelSelector: {matchExpressions: [{key: hash, operator: In, values: [h1]}]}, matchLabelKeys: [hash]",
            Some(&["hash in (h1)"]),
        ),
        (
            "labelSelector: {matchExpressions: [{key: hash, operator: In, values: [h0]}]}, matchLabelKeys: [hash]",
            Some(&["hash in (h0)"]),
        ),
        (
            "labelSelector: {matchExpressions: [{key: hash, operator: NotIn, values: [h0]}]}, mismatchLabelKeys: [hash]",
            Some(&["hash not in (h0)"]),
        ),
    ] {
        let expected = expected.map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(conditions(text), [(); 4].map(|()| expected.clone()), "{text}");
    }
}

#[test]
fn spread_counts_pods_with_the_same_values_of_label_keys() {
    for (text, expected) in [
        ("labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [hash, gone]", Some(&["hash in (h1)"][..])),
        (
            "labelSelector: {matchExpressions: [{key: hash, operator: In, values: [h0]}]}, matchLabelKeys: [hash]",
            Some(&["hash in (h0)"]),
        ),
        ("matchLabelKeys: [hash]", None),
    ] {
        let spec = format!("topologySpreadConstraints: [{{topologyKey: z, maxSkew: 1, {text}}}]");
        let shape = pod_of("labels: {app: web, hash: h1}", &spec, "").shape;
        let found = shape.inter_pod.spread[0].selector.as_ref().map(|selector| shown(&selector.match_expressions));
        assert_eq!(found, expected.map(|list| list.iter().map(ToString::to_string).collect()), "{text}");
    }
}
