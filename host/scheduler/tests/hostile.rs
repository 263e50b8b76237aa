//! Pods that nobody means well with cost a reason, not a hang and not a crash.

#![allow(clippy::unwrap_used, reason = "what is not there is a failing test")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod world;

use plimsoll_model::{
    Bytes, Cluster, LabelSelector, LabelSet, MilliCpu, NodeId, NodeInclusion, NodeSelector, NodeSelectorTerm, Operator,
    Pod, PodAffinityTerm, PodShape, Requirement, Resources, SpreadConstraint, Text,
};
use plimsoll_scheduler::{ClassId, Filter, NodeState, Rejection, Simulation};
use world::{NodeSpec, PodSpec};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";
/// 10^18, in the smallest units there are.
const HUGE: u64 = 1_000_000_000_000_000_000;

/// Nodes of three zones.
fn cluster(nodes: u8) -> Cluster {
    let node = |at: u8| NodeSpec {
        zone: Some(at % 3),
        host: true,
        rack: None,
        taint: None,
        cordoned: false,
        ready: true,
        cpu: 100,
        places: 100,
        gpus: 0,
    };
    world::cluster(&(0..nodes).map(node).collect::<Vec<_>>(), &[])
}

fn pod(shape: PodShape, node: Option<usize>, cluster: &mut Cluster) -> Pod {
    let labels = vec![("app", "web")];
    PodSpec { namespace: 0, labels, node, terminating: false, finished: false, shape }.to_pod("bad", cluster)
}

fn one() -> Resources {
    Resources { cpu: MilliCpu(1), pods: 1, ..Resources::default() }
}

fn web() -> Option<LabelSelector> {
    Some(LabelSelector { match_labels: [("app", "web")].into_iter().collect(), ..LabelSelector::default() })
}

fn term(selector: Option<LabelSelector>, key: &str) -> PodAffinityTerm {
    PodAffinityTerm { selector, namespaces: vec![], namespace_selector: None, topology_key: key.into() }
}

fn listed(key: &str, operator: Operator, values: usize) -> Requirement {
    Requirement { key: key.into(), operator, values: (0..values).map(|at| format!("value-{at}").into()).collect() }
}

/// What one node says of the pod.
fn verdict(shape: PodShape) -> (Simulation, ClassId, Vec<Rejection>) {
    let mut cluster = cluster(6);
    let pod = pod(shape, None, &mut cluster);
    let snapshot = cluster.snapshot();
    let mut simulation = Simulation::new(&snapshot);
    let class = simulation.class_of(&snapshot, &pod);
    simulation.prepare(&[class]);
    let rejections = simulation.why_not(class, None, NodeId(0));
    assert_eq!(simulation.fits(class, NodeId(0)), rejections.is_empty());
    assert!(rejections.len() < 20, "{} rejections", rejections.len());
    assert!(rejections.iter().all(|one| one.reason.len() < 500), "{rejections:?}");
    (simulation, class, rejections)
}

fn filters(rejections: &[Rejection]) -> Vec<Filter> {
    rejections.iter().map(|rejection| rejection.filter).collect()
}

#[test]
fn devices_are_not_guessed() {
    let shape = PodShape { requests: one(), resource_claims: true, ..PodShape::default() };
    let (simulation, class, rejections) = verdict(shape);
    assert_eq!(filters(&rejections), [Filter::DynamicResources]);
    assert_eq!(simulation.room_for(class, NodeId(0), 10), 0);
}

#[test]
fn an_affinity_that_contradicts_itself() {
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    let both = vec![listed(ZONE, Operator::In, 1), listed(ZONE, Operator::NotIn, 1)];
    let term_of = |match_expressions| NodeSelectorTerm { match_expressions, match_fields: vec![] };
    shape.node_affinity = Some(NodeSelector { terms: vec![term_of(both)] });
    let (_, _, rejections) = verdict(shape);
    assert_eq!(filters(&rejections), [Filter::NodeAffinity]);
    assert!(rejections[0].reason.contains("value-0"), "{rejections:?}");
}

#[test]
fn near_itself_and_away_from_itself() {
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    shape.inter_pod.affinity = vec![term(web(), ZONE)];
    shape.inter_pod.anti_affinity = vec![term(web(), ZONE)];
    let (mut simulation, class, rejections) = verdict(shape);
    assert!(rejections.is_empty(), "the first of its kind is near nobody, as kube-scheduler has it");
    assert_eq!(simulation.room_for(class, NodeId(0), 10), 1);
    simulation.add(class, NodeId(0), 1);
    for node in 0..6 {
        assert_eq!(filters(&simulation.why_not(class, None, NodeId(node)))[0], Filter::InterPodAffinity, "{node}");
        assert_eq!(simulation.room_for(class, NodeId(node), 10), 0);
    }
}

#[test]
fn quantities_without_measure() {
    let mut requests = Resources {
        cpu: MilliCpu(HUGE),
        memory: Bytes(HUGE),
        ephemeral_storage: Bytes(u64::MAX),
        pods: 1,
        ..Resources::default()
    };
    requests.set_extended("nvidia.com/gpu".into(), HUGE);
    let shape = PodShape { requests, ..PodShape::default() };
    let (mut simulation, class, rejections) = verdict(shape);
    assert_eq!(filters(&rejections), [Filter::NodeResourcesFit; 4]);
    assert_eq!(simulation.room_for(class, NodeId(0), u32::MAX), 0);
    let before = simulation.node(NodeId(0)).unwrap().free.clone();
    let mark = simulation.mark();
    for _ in 0..3 {
        simulation.add(class, NodeId(0), u32::MAX);
    }
    assert_eq!(simulation.node(NodeId(0)).unwrap().free.cpu, MilliCpu(0));
    simulation.rollback(mark);
    assert_eq!(simulation.node(NodeId(0)).unwrap().free, before);

    // A node without measure takes as many as are wanted.
    let free = Resources { cpu: MilliCpu(u64::MAX), pods: u64::MAX, ..Resources::default() };
    let node = NodeState { free, ..NodeState::default() };
    assert_eq!(node.room_for(&PodShape { requests: one(), ..PodShape::default() }, u32::MAX), u32::MAX);
}

#[test]
fn skew_and_domains_without_measure() {
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    let constraint = |max_skew, min_domains| SpreadConstraint {
        selector: web(),
        topology_key: ZONE.into(),
        max_skew,
        min_domains,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Honor,
    };
    shape.inter_pod.spread = vec![constraint(u32::MAX, Some(u32::MAX)), constraint(u32::MAX, None)];
    let (simulation, class, rejections) = verdict(shape.clone());
    assert!(rejections.is_empty());
    assert_eq!(simulation.room_for(class, NodeId(0), 10), 10);
    shape.inter_pod.spread = vec![constraint(1, Some(u32::MAX)), constraint(1, Some(0))];
    let (simulation, class, _) = verdict(shape);
    assert_eq!(simulation.room_for(class, NodeId(0), 10), 1);
}

#[test]
fn ten_thousand_labels() {
    let mut cluster = cluster(6);
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    shape.inter_pod.anti_affinity = vec![term(web(), HOST)];
    let mut pod = pod(shape, Some(0), &mut cluster);
    let labels = (0..10_000).map(|at| (format!("key-{at}"), format!("value-{at}")));
    let labels: LabelSet = labels.chain([("app".to_owned(), "web".to_owned())]).collect();
    pod.labels = cluster.labels(labels);
    cluster.upsert_pod(pod.clone());
    let snapshot = cluster.snapshot();
    let mut simulation = Simulation::new(&snapshot);
    let class = simulation.class_of(&snapshot, &Pod { node: None, ..pod });
    simulation.prepare(&[class]);
    assert_eq!(filters(&simulation.why_not(class, None, NodeId(0))), [Filter::InterPodAffinity; 2]);
    assert!(simulation.fits(class, NodeId(1)));
}

#[test]
fn a_thousand_terms_of_node_affinity_with_a_thousand_values_each() {
    let values = listed("size", Operator::In, 1000);
    let term = NodeSelectorTerm { match_expressions: vec![values], match_fields: vec![] };
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    shape.node_affinity = Some(NodeSelector { terms: vec![term; 1000] });
    shape.node_selector = (0..1000).map(|at| (format!("key-{at}"), "x")).collect();
    let (_, _, rejections) = verdict(shape.clone());
    assert_eq!(filters(&rejections), [Filter::NodeAffinity]);
    shape.node_selector = LabelSet::default();
    let (_, _, rejections) = verdict(shape);
    assert_eq!(filters(&rejections), [Filter::NodeAffinity]);
}

/// A selector of a thousand conditions, all of which the pod meets.
fn long_selector() -> Option<LabelSelector> {
    let condition = |at: usize| listed(&format!("key-{at}"), Operator::NotIn, 3);
    let match_expressions = (0..1000).map(condition).collect();
    Some(LabelSelector { match_labels: [("app", "web")].into_iter().collect(), match_expressions })
}

#[test]
fn a_thousand_terms_about_other_pods() {
    let other = |at: usize| LabelSelector {
        match_labels: [("app", format!("other-{at}"))].into_iter().collect(),
        ..LabelSelector::default()
    };
    // Each about another key, then all about one.
    for key in [|at: usize| format!("key-{at}"), |_| ZONE.to_owned()] {
        let terms: Vec<PodAffinityTerm> = (0..1000).map(|at| term(Some(other(at)), &key(at))).collect();
        let mut shape = PodShape { requests: one(), ..PodShape::default() };
        shape.inter_pod.affinity = terms.clone();
        let (_, _, rejections) = verdict(shape.clone());
        assert_eq!(filters(&rejections), [Filter::InterPodAffinity]);
        shape.inter_pod.affinity = vec![];
        shape.inter_pod.anti_affinity = terms;
        let (_, _, rejections) = verdict(shape);
        assert!(rejections.is_empty());
    }
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    shape.inter_pod.affinity = vec![term(long_selector(), ZONE)];
    shape.inter_pod.anti_affinity = vec![term(long_selector(), HOST)];
    let (simulation, class, rejections) = verdict(shape);
    assert!(rejections.is_empty());
    assert_eq!(simulation.room_for(class, NodeId(0), 10), 1);
}

#[test]
fn a_thousand_terms_that_all_say_no_are_one_reason() {
    let mut cluster = cluster(6);
    let condition = |at: usize| listed(&format!("key-{at}"), Operator::NotIn, 3);
    let selector = |at| LabelSelector { match_expressions: vec![condition(at)], ..LabelSelector::default() };
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    shape.inter_pod.anti_affinity = (0..1000).map(|at| term(Some(selector(at)), ZONE)).collect();
    let pod = pod(shape, Some(0), &mut cluster);
    cluster.upsert_pod(pod.clone());
    let snapshot = cluster.snapshot();
    let mut simulation = Simulation::new(&snapshot);
    let class = simulation.class_of(&snapshot, &pod);
    simulation.prepare(&[class]);
    assert_eq!(simulation.why_not(class, None, NodeId(3)).len(), 2, "its own rules and those of the other");
    assert!(simulation.fits(class, NodeId(1)));
}

#[test]
fn a_thousand_constraints_of_one_pod_with_a_thousand_terms() {
    let mut cluster = cluster(60);
    let selector = |at: usize| LabelSelector {
        match_expressions: vec![listed(&format!("key-{at}"), Operator::NotIn, 1)],
        ..LabelSelector::default()
    };
    let constraint = |at| SpreadConstraint {
        selector: Some(selector(at)),
        topology_key: ZONE.into(),
        max_skew: 1,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Honor,
    };
    let term = |at: usize| NodeSelectorTerm {
        match_expressions: vec![listed("rack", Operator::In, at)],
        match_fields: vec![],
    };
    let terms: Vec<NodeSelectorTerm> = (0..1000).map(|_| term(2)).collect();
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    shape.inter_pod.spread = (0..1000).map(constraint).collect();
    shape.node_affinity = Some(NodeSelector { terms });
    let pod = pod(shape, None, &mut cluster);
    let snapshot = cluster.snapshot();
    let mut simulation = Simulation::new(&snapshot);
    let class = simulation.class_of(&snapshot, &pod);
    simulation.prepare(&[class]);
    assert_eq!(filters(&simulation.why_not(class, None, NodeId(0))), [Filter::NodeAffinity]);
}

#[test]
fn namespaces_named_a_thousand_times() {
    let mut cluster = cluster(6);
    let mut shape = PodShape { requests: one(), ..PodShape::default() };
    let names = vec![Text::from("red"); 1000];
    shape.inter_pod.anti_affinity = vec![PodAffinityTerm { namespaces: names, ..term(web(), ZONE) }];
    let pod = pod(shape, Some(0), &mut cluster);
    cluster.upsert_pod(pod.clone());
    let mut simulation = Simulation::new(&cluster.snapshot());
    let snapshot = cluster.snapshot();
    let class = simulation.class_of(&snapshot, &pod);
    simulation.prepare(&[class]);
    assert!(!simulation.fits(class, NodeId(0)));
    let mut waits = pod.clone();
    waits.node = None;
    cluster.upsert_pod(waits);
    let snapshot = cluster.snapshot();
    assert!(!simulation.sync(&snapshot), "a version was left out");
    let class = simulation.class_of(&snapshot, &pod);
    simulation.prepare(&[class]);
    assert!(simulation.fits(class, NodeId(0)));
}
