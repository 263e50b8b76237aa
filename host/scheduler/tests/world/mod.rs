//! Small random clusters in which every rule between pods has something to say.

use std::sync::Arc;

use plimsoll_model::{
    Bytes, Cluster, HostPort, InterPodRules, LabelSelector, LabelSet, MilliCpu, Millis, Node, NodeInclusion,
    NodeSelector, NodeSelectorTerm, Operator, Phase, Pod, PodAffinityTerm, PodShape, Preferences, Protocol,
    Requirement, Resources, Scheduling, SpreadConstraint, Taint, TaintEffect, Text, Timestamp, Toleration, Uid,
    Volumes,
};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

/// Node labels that rules name.
const KEYS: [&str; 4] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname", "rack", "nowhere"];
/// Namespaces of pods; the last is known to nobody.
pub const NAMESPACES: [&str; 3] = ["red", "blue", "lost"];

/// A node as it is written down.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    pub zone: Option<u8>,
    pub host: bool,
    pub rack: Option<u8>,
    pub taint: Option<(u8, TaintEffect)>,
    pub cordoned: bool,
    pub ready: bool,
    pub cpu: u64,
    pub places: u64,
    pub gpus: u64,
}

/// A pod as it is written down.
#[derive(Clone, Debug)]
pub struct PodSpec {
    pub namespace: usize,
    pub labels: Vec<(&'static str, &'static str)>,
    /// Which node of the list; of none beyond its end.
    pub node: Option<usize>,
    pub terminating: bool,
    pub finished: bool,
    pub shape: PodShape,
}

/// Some nodes.
pub fn nodes() -> impl Strategy<Value = Vec<NodeSpec>> {
    vec(node(), 3..8)
}

/// A node.
pub fn node() -> impl Strategy<Value = NodeSpec> {
    let effects = select(vec![TaintEffect::NoSchedule, TaintEffect::NoExecute, TaintEffect::PreferNoSchedule]);
    (
        (weighted(0.9, 0u8..3), prop::bool::weighted(0.9), of(0u8..2)),
        (weighted(0.2, (0u8..2, effects)), prop::bool::weighted(0.1), prop::bool::weighted(0.95)),
        (prop_oneof![4 => Just(16u64), 1 => 0u64..6], prop_oneof![4 => Just(20u64), 1 => 0u64..4], 0u64..3),
    )
        .prop_map(|((zone, host, rack), (taint, cordoned, ready), (cpu, places, gpus))| NodeSpec {
            zone,
            host,
            rack,
            taint,
            cordoned,
            ready,
            cpu,
            places,
            gpus,
        })
}

/// A pod, of which some are on a node.
pub fn pod() -> impl Strategy<Value = PodSpec> {
    (
        (prop_oneof![5 => Just(0usize), 3 => Just(1), 1 => Just(2)], labels(), weighted(0.9, 0usize..9)),
        (prop::bool::weighted(0.1), prop::bool::weighted(0.05)),
        shape(),
    )
        .prop_map(|((namespace, labels, node), (terminating, finished), shape)| PodSpec {
            namespace,
            labels,
            node,
            terminating,
            finished,
            shape,
        })
}

/// Pods, of which some are on a node.
pub fn pods(most: usize) -> impl Strategy<Value = Vec<PodSpec>> {
    vec(pod(), 0..most)
}

/// Pods that look for a place.
pub fn probes() -> impl Strategy<Value = Vec<PodSpec>> {
    let waiting = pod().prop_map(|pod| PodSpec { node: None, terminating: false, finished: false, ..pod });
    vec(waiting, 1..4)
}

/// Labels of a pod.
pub fn labels() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    (of(select(vec!["web", "db", "job"])), weighted(0.4, select(vec!["stable", "canary"]))).prop_map(|(app, track)| {
        let app = app.map(|app| ("app", app));
        app.into_iter().chain(track.map(|track| ("track", track))).collect()
    })
}

fn shape() -> impl Strategy<Value = PodShape> {
    let rules = (few(term()), few(term()), few(spread()));
    let ports = weighted(0.1, (select(vec![80u16, 443]), of(select(vec!["10.0.0.1", "10.0.0.2"])), any::<bool>()));
    (
        (0u64..4, weighted(0.1, 1u64..3), ports),
        (vec(toleration(), 0..2), weighted(0.15, 0u8..3), weighted(0.2, node_affinity())),
        rules,
    )
        .prop_map(|((cpu, gpus, port), (tolerations, zone, node_affinity), (affinity, anti_affinity, spread))| {
            let mut requests =
                Resources { cpu: MilliCpu(cpu), memory: Bytes(cpu / 2), pods: 1, ..Resources::default() };
            requests.set_extended("nvidia.com/gpu".into(), gpus.unwrap_or(0));
            let host_port = |(port, ip, udp): (u16, Option<&str>, bool)| HostPort {
                port,
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                ip: ip.map(Text::from),
            };
            PodShape {
                requests,
                node_selector: zone.map(|zone| (KEYS[0], format!("z{zone}"))).into_iter().collect(),
                node_affinity,
                tolerations,
                host_ports: port.map(host_port).into_iter().collect(),
                inter_pod: InterPodRules { affinity, anti_affinity, spread },
                preferences: Preferences::default(),
                ..PodShape::default()
            }
        })
}

/// None, more often than one, more often than several.
fn few<T: std::fmt::Debug>(element: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    (vec(element, 3), select(vec![0usize, 0, 0, 0, 1, 1, 2, 3])).prop_map(|(mut all, count)| {
        all.truncate(count);
        all
    })
}

fn toleration() -> impl Strategy<Value = Toleration> {
    let keys = vec![Some("taint-0"), Some("taint-1"), Some("node.kubernetes.io/unschedulable"), None];
    let effects = vec![None, Some(TaintEffect::NoSchedule), Some(TaintEffect::NoExecute)];
    (select(keys), weighted(0.2, Just("yes")), select(effects)).prop_map(|(key, value, effect)| Toleration {
        key: key.map(Text::from),
        value: value.filter(|_| key.is_some()).map(Text::from),
        effect,
    })
}

fn node_affinity() -> impl Strategy<Value = NodeSelector> {
    let condition = (select(vec![KEYS[0], KEYS[2]]), select(vec![Operator::In, Operator::NotIn, Operator::Exists]));
    let expressions = vec(condition, 0..2).prop_map(|all| {
        let requirement = |(key, operator): (&str, Operator)| Requirement {
            key: key.into(),
            operator,
            values: if operator == Operator::Exists { vec![] } else { vec!["z0".into(), "r1".into()] },
        };
        all.into_iter().map(requirement).collect::<Vec<_>>()
    });
    let name = |at: usize| Requirement {
        key: "metadata.name".into(),
        operator: Operator::In,
        values: vec![format!("node-{at}").into()],
    };
    let term = (expressions, weighted(0.2, 0usize..8)).prop_map(move |(match_expressions, at)| NodeSelectorTerm {
        match_expressions,
        match_fields: at.map(name).into_iter().collect(),
    });
    vec(term, 0..3).prop_map(|terms| NodeSelector { terms })
}

/// A selector of pods; nil and empty ones too.
fn selector() -> impl Strategy<Value = Option<LabelSelector>> {
    let expression = |key: &str, operator, values: &[&str]| {
        let values = values.iter().map(|value| Text::from(*value)).collect();
        Some(LabelSelector {
            match_expressions: vec![Requirement { key: key.into(), operator, values }],
            ..LabelSelector::default()
        })
    };
    let by_label = |value: &str| {
        Some(LabelSelector { match_labels: [("app", value)].into_iter().collect(), ..LabelSelector::default() })
    };
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(LabelSelector::default())),
        4 => Just(by_label("web")),
        2 => Just(by_label("db")),
        1 => Just(expression("app", Operator::In, &["web", "job"])),
        1 => Just(expression("app", Operator::NotIn, &["web"])),
        1 => Just(expression("track", Operator::Exists, &[])),
        1 => Just(expression("track", Operator::DoesNotExist, &[])),
    ]
}

/// A selector of namespaces.
fn namespace_selector() -> impl Strategy<Value = LabelSelector> {
    let not_red = Requirement { key: "team".into(), operator: Operator::NotIn, values: vec!["red".into()] };
    let team =
        |name: &str| LabelSelector { match_labels: [("team", name)].into_iter().collect(), ..LabelSelector::default() };
    prop_oneof![
        Just(LabelSelector::default()),
        Just(team("red")),
        Just(team("blue")),
        Just(LabelSelector { match_expressions: vec![not_red], ..LabelSelector::default() }),
    ]
}

fn term() -> impl Strategy<Value = PodAffinityTerm> {
    let names = prop_oneof![3 => Just(vec![]), 2 => vec(select(NAMESPACES.to_vec()), 1..3)];
    (selector(), names, weighted(0.25, namespace_selector()), key()).prop_map(
        |(selector, namespaces, namespace_selector, topology_key)| PodAffinityTerm {
            selector,
            namespaces: namespaces.into_iter().map(Text::from).collect(),
            namespace_selector,
            topology_key,
        },
    )
}

fn spread() -> impl Strategy<Value = SpreadConstraint> {
    let policy = || select(vec![NodeInclusion::Honor, NodeInclusion::Ignore]);
    (selector(), key(), 1u32..4, weighted(0.3, 1u32..5), policy(), policy()).prop_map(
        |(selector, topology_key, max_skew, min_domains, node_affinity_policy, node_taints_policy)| SpreadConstraint {
            selector,
            topology_key,
            max_skew,
            min_domains,
            node_affinity_policy,
            node_taints_policy,
        },
    )
}

fn key() -> impl Strategy<Value = Text> {
    prop_oneof![6 => Just(KEYS[0]), 4 => Just(KEYS[1]), 2 => Just(KEYS[2]), 1 => Just(KEYS[3])].prop_map(Text::from)
}

// === As objects ===

/// The labels of a namespace, told by their team.
pub fn team(name: &str) -> Arc<LabelSet> {
    Arc::new([("team", name)].into_iter().collect())
}

/// A cluster of these, with every namespace but the last known.
pub fn cluster(nodes: &[NodeSpec], pods: &[PodSpec]) -> Cluster {
    let mut cluster = Cluster::default();
    for name in &NAMESPACES[..2] {
        cluster.upsert_namespace((*name).into(), team(name));
    }
    for (at, spec) in nodes.iter().enumerate() {
        let node = spec.to_node(at, &mut cluster);
        cluster.upsert_node(node);
    }
    for (at, spec) in pods.iter().enumerate() {
        let pod = spec.to_pod(&format!("pod-{at}"), &mut cluster);
        cluster.upsert_pod(pod);
    }
    cluster
}

impl NodeSpec {
    /// The node that is called after its place.
    pub fn to_node(&self, at: usize, cluster: &mut Cluster) -> Node {
        let name = format!("node-{at}");
        let zone = self.zone.map(|zone| (KEYS[0], format!("z{zone}")));
        let host = self.host.then(|| (KEYS[1], name.clone()));
        let rack = self.rack.map(|rack| (KEYS[2], format!("r{rack}")));
        let labels = zone.into_iter().chain(host).chain(rack).collect();
        let mut allocatable =
            Resources { cpu: MilliCpu(self.cpu), memory: Bytes(self.cpu), pods: self.places, ..Resources::default() };
        allocatable.set_extended("nvidia.com/gpu".into(), self.gpus);
        let taint = |(kind, effect): (u8, TaintEffect)| Taint {
            key: format!("taint-{kind}").into(),
            value: if kind == 0 { "".into() } else { "yes".into() },
            effect,
        };
        Node {
            name: cluster.text(&name),
            uid: Uid::Other(name.into()),
            labels: cluster.labels(labels),
            annotations: Arc::default(),
            taints: self.taint.map(taint).into_iter().collect(),
            allocatable,
            unschedulable: self.cordoned,
            ready: self.ready,
            created: None,
            deleting: false,
            launching: false,
            provider_id: None,
            ready_changed: None,
            conditions: Vec::new(),
            attached_volumes: 0,
            addresses: Vec::new(),
        }
    }
}

impl PodSpec {
    /// The pod of this name.
    pub fn to_pod(&self, name: &str, cluster: &mut Cluster) -> Pod {
        let phase = if self.finished { Phase::Succeeded } else { Phase::Running };
        Pod {
            namespace: cluster.text(NAMESPACES[self.namespace]),
            name: name.into(),
            uid: Uid::Other(name.into()),
            labels: cluster.labels(self.labels.iter().copied().collect()),
            annotations: Arc::default(),
            owner: None,
            shape: cluster.shape(self.shape.clone()),
            node: self.node.map(|at| cluster.text(&format!("node-{at}"))),
            phase: if self.node.is_some() { phase } else { Phase::Pending },
            scheduling: Scheduling::Quiet,
            priority_class: None,
            ready: true,
            created: None,
            deletion: self.terminating.then_some(Timestamp(0)),
            grace: Millis(0),
            volumes: Volumes::default(),
            claims: Arc::from([]),
        }
    }
}
