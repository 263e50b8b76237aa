//! What pods prefer, as a number, wish by wish.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

use std::sync::Arc;

use plimsoll_model::{
    Bytes, ClusterBuilder, LabelSelector, LabelSet, MilliCpu, Millis, Node, NodeInclusion, NodeSelectorTerm, Operator,
    Phase, Pod, PodAffinityTerm, PodShape, Preferences, Requirement, Resources, Scheduling, SpreadConstraint, Taint,
    TaintEffect, Text, Toleration, Uid, Volumes,
};
use plimsoll_scheduler::{ClassId, NodeState, Simulation};

const ZONE: &str = "zone";
const HOST: &str = "kubernetes.io/hostname";

fn node(name: &str, zone: &str, taints: &[&str]) -> Node {
    let taint = |key: &&str| Taint { key: (*key).into(), value: "".into(), effect: TaintEffect::PreferNoSchedule };
    Node {
        name: name.into(),
        uid: Uid::parse(name),
        labels: Arc::new([(ZONE, zone), (HOST, name)].into_iter().collect()),
        annotations: Arc::default(),
        taints: taints.iter().map(taint).collect(),
        allocatable: Resources { cpu: MilliCpu(64_000), memory: Bytes(1 << 38), pods: 110, ..Default::default() },
        unschedulable: false,
        ready: true,
        created: None,
        deleting: false,
        launching: false,
        provider_id: None,
        ready_changed: None,
        conditions: Vec::new(),
        attached_volumes: 0,
        addresses: vec![],
    }
}

fn pod(cluster: &mut ClusterBuilder, name: &str, app: &str, node: Option<&str>, shape: PodShape) {
    let pod = Pod {
        namespace: "default".into(),
        name: name.into(),
        uid: Uid::parse(name),
        labels: cluster.labels([("app", app)].into_iter().collect()),
        annotations: Arc::default(),
        owner: None,
        shape: cluster.shape(shape),
        node: node.map(Text::from),
        phase: if node.is_some() { Phase::Running } else { Phase::Pending },
        scheduling: Scheduling::Quiet,
        priority_class: None,
        ready: node.is_some(),
        created: None,
        deletion: None,
        grace: Millis(0),
        volumes: Volumes::default(),
        claims: Arc::default(),
    };
    cluster.add_pod(pod).unwrap();
}

fn shape(preferences: Preferences) -> PodShape {
    PodShape { preferences, ..PodShape::default() }
}

fn app(app: &str) -> Option<LabelSelector> {
    Some(LabelSelector { match_labels: [("app", app)].into_iter().collect(), match_expressions: vec![] })
}

fn near(selected: &str, key: &str) -> PodAffinityTerm {
    PodAffinityTerm { selector: app(selected), namespaces: vec![], namespace_selector: None, topology_key: key.into() }
}

fn in_zone(zone: &str) -> NodeSelectorTerm {
    let requirement = Requirement { key: ZONE.into(), operator: Operator::In, values: vec![zone.into()] };
    NodeSelectorTerm { match_expressions: vec![requirement], match_fields: vec![] }
}

fn even(key: &str, max_skew: u32) -> SpreadConstraint {
    SpreadConstraint {
        selector: app("p"),
        topology_key: key.into(),
        max_skew,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }
}

/// Zone a has nodes a1 and a2, zone b has b1. One pod of app `db` runs on a1, two of app `p` on a2.
fn cluster(wishes: Preferences) -> (Simulation, ClassId) {
    let mut cluster = ClusterBuilder::default();
    for (name, zone) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
        cluster.add_node(node(name, zone, &[])).unwrap();
    }
    pod(&mut cluster, "db", "db", Some("a1"), PodShape::default());
    for name in ["p1", "p2"] {
        pod(&mut cluster, name, "p", Some("a2"), PodShape::default());
    }
    pod(&mut cluster, "p", "p", None, shape(wishes));
    let snapshot = cluster.build();
    let mut simulation = Simulation::new(&snapshot);
    let (_, pod) = snapshot.pods().find(|(_, pod)| *pod.name == *"p").unwrap();
    let class = simulation.class_of(&snapshot, pod);
    simulation.prepare(&[class]);
    (simulation, class)
}

/// The preference for a1, a2, b1, and for new nodes in zones a, b and c and in none.
fn scores(wishes: Preferences) -> [u32; 7] {
    let (mut simulation, class) = cluster(wishes);
    let old: Vec<u32> = simulation.nodes().map(|(id, _)| simulation.preference(class, id)).collect();
    let mut new = |labels: &[(&str, &str)]| {
        let labels: LabelSet = labels.iter().copied().chain([(HOST, "new")]).collect();
        let site = simulation.site(NodeState { name: "new".into(), labels: Arc::new(labels), ..NodeState::default() });
        simulation.preference_new(class, &site)
    };
    [old[0], old[1], old[2], new(&[(ZONE, "a")]), new(&[(ZONE, "b")]), new(&[(ZONE, "c")]), new(&[])]
}

#[test]
fn each_wish_counts_where_it_is_met() {
    let none = Preferences::default;
    for (what, wishes, expected) in [
        ("nothing", none(), [0, 0, 0, 0, 0, 0, 0]),
        (
            "node affinity, each term that holds",
            Preferences {
                node_affinity: vec![
                    (30, in_zone("a")),
                    (4, in_zone("a")),
                    (7, in_zone("b")),
                    (100, Default::default()),
                ],
                ..none()
            },
            [34, 34, 7, 34, 7, 0, 0],
        ),
        (
            "pods in the zone",
            Preferences { affinity: vec![(50, near("db", ZONE))], ..none() },
            [50, 50, 0, 50, 0, 0, 0],
        ),
        ("pods on the host", Preferences { affinity: vec![(50, near("db", HOST))], ..none() }, [50, 0, 0, 0, 0, 0, 0]),
        (
            "no pods in the zone, nor where there is no zone",
            Preferences { anti_affinity: vec![(60, near("db", ZONE))], ..none() },
            [0, 0, 60, 0, 60, 60, 60],
        ),
        (
            "no pods of its own on the host",
            Preferences { anti_affinity: vec![(60, near("p", HOST))], ..none() },
            [60, 0, 60, 60, 60, 60, 60],
        ),
        // Zone a has two; a new zone counts as one without pods.
        ("even over zones", Preferences { spread: vec![even(ZONE, 1)], ..none() }, [0, 0, 1, 0, 1, 1, 0]),
        ("nearly even over zones", Preferences { spread: vec![even(ZONE, 3)], ..none() }, [1, 1, 1, 1, 1, 1, 0]),
        ("even over hosts", Preferences { spread: vec![even(HOST, 2)], ..none() }, [1, 0, 1, 1, 1, 1, 1]),
        (
            "all together",
            Preferences {
                node_affinity: vec![(7, in_zone("b"))],
                affinity: vec![(50, near("db", ZONE)), (5, near("p", ZONE))],
                anti_affinity: vec![(60, near("p", HOST))],
                spread: vec![even(ZONE, 1)],
            },
            [115, 55, 68, 115, 68, 61, 60],
        ),
        ("no overflow", Preferences { node_affinity: vec![(u32::MAX, in_zone("a")); 2], ..none() }, {
            let most = u32::MAX;
            [most, most, 0, most, 0, 0, 0]
        }),
    ] {
        assert_eq!(scores(wishes), expected, "{what}");
    }
}

#[test]
fn counts_follow_pods() {
    let wishes = Preferences {
        anti_affinity: vec![(60, near("p", HOST))],
        spread: vec![even(ZONE, 1)],
        ..Preferences::default()
    };
    let (mut simulation, class) = cluster(wishes);
    let nodes: Vec<_> = simulation.nodes().map(|(id, _)| id).collect();
    let mark = simulation.mark();
    assert_eq!(simulation.preference(class, nodes[2]), 61);
    simulation.add(class, nodes[2], 3);
    assert_eq!(simulation.preference(class, nodes[2]), 0, "now there are three of its own");
    assert_eq!(simulation.preference(class, nodes[0]), 61, "and zone a is behind");
    simulation.rollback(mark);
    assert_eq!(simulation.preference(class, nodes[2]), 61);
}

#[test]
fn wishes_keep_no_pod_off_a_node() {
    let wishes = Preferences {
        affinity: vec![(1, near("nobody", ZONE))],
        anti_affinity: vec![(1, near("p", ZONE))],
        spread: vec![even(ZONE, 1)],
        ..Preferences::default()
    };
    let (simulation, class) = cluster(wishes);
    for (id, _) in simulation.nodes() {
        assert_eq!(simulation.why_not(class, None, id), []);
    }
}

#[test]
fn soft_taints_make_a_node_unwelcome_to_those_who_do_not_tolerate_them() {
    let toleration = |key: &str| Toleration { key: Some(key.into()), value: None, effect: None };
    for (taints, tolerated, unwelcome) in [
        (&[][..], &[][..], false),
        (&["t"], &[], true),
        (&["t"], &["t"], false),
        (&["t", "u"], &["t"], true),
        (&["t", "u"], &["t", "u"], false),
    ] {
        let mut cluster = ClusterBuilder::default();
        cluster.add_node(node("n", "a", taints)).unwrap();
        let tolerations = tolerated.iter().map(|key| toleration(key)).collect();
        pod(&mut cluster, "p", "p", None, PodShape { tolerations, ..PodShape::default() });
        let snapshot = cluster.build();
        let mut simulation = Simulation::new(&snapshot);
        let class = simulation.class_of(&snapshot, snapshot.pods().next().unwrap().1);
        let (_, node) = simulation.nodes().next().unwrap();
        assert_eq!(simulation.unwelcome(class, node), unwelcome, "{taints:?} with {tolerated:?}");
    }
}
