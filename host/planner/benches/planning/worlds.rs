//! Clusters and pods to plan for. The same seed gives the same world.

use std::sync::Arc;

use plimsoll_model::{
    Bytes, Cluster, DaemonSet, InstanceType, LabelSelector, LabelSet, Lifecycle, MilliCpu, Millis, Node, NodeGroup,
    NodeInclusion, Owner, Phase, Pod, PodAffinityTerm, PodShape, Price, Resources, Scheduling, SpreadConstraint, Text,
    Timestamp, Uid, Volumes, well_known,
};

/// Numbers without a pattern (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    pub fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % sides
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

pub fn resources(cpu: u64, memory_mib: u64) -> Resources {
    Resources { cpu: MilliCpu(cpu), memory: Bytes(memory_mib << 20), pods: 1, ..Default::default() }
}

pub fn pending(namespace: &str, name: &str, labels: Arc<LabelSet>, shape: Arc<PodShape>) -> Pod {
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        uid: Uid::parse(name),
        labels,
        annotations: Arc::default(),
        owner: None,
        shape,
        node: None,
        phase: Phase::Pending,
        scheduling: Scheduling::Unschedulable,
        priority_class: None,
        ready: false,
        created: Some(Timestamp(1)),
        deletion: None,
        grace: Millis(30_000),
        volumes: Volumes::default(),
        claims: [].into(),
    }
}

/// 400 instance types of growing size, in three zones, on demand and spot: sizes and prices as Karpenter's fake
/// provider makes them (`fake.InstanceTypes`, `PriceFromResources`).
pub fn karpenter_types() -> Vec<NodeGroup> {
    let instance_types: Vec<InstanceType> = (1..=400u64)
        .map(|size| InstanceType {
            name: format!("fake-it-{}", size - 1).into(),
            cpu: MilliCpu(size * 1000),
            memory: Bytes((size * 2) << 30),
            max_pods: size * 10,
            price: Some(Price(size * 100_000 + size * 2 * 107_374)),
            ..InstanceType::default()
        })
        .collect();
    vec![NodeGroup {
        name: "default".into(),
        max: 1_000_000,
        zones: vec!["test-zone-1".into(), "test-zone-2".into(), "test-zone-3".into()],
        lifecycles: vec![Lifecycle::Spot, Lifecycle::OnDemand],
        spot_price_percent: Some(70),
        instance_types,
        system_reserved: Resources { cpu: MilliCpu(100), memory: Bytes(10 << 20), ..Default::default() },
        ..NodeGroup::default()
    }]
}

/// Pods in fifths: generic, spread over zones, spread over hosts, together in a zone, apart on hosts. Sizes and labels are
/// drawn as in Karpenter's `scheduling_benchmark_test.go`.
pub fn karpenter_pods(count: usize) -> Cluster {
    let mut cluster = Cluster::default();
    let mut dice = Dice::new(42);
    for at in 0..count {
        let kind = at * 5 / count.max(1);
        let values = ["a", "b", "c", "d", "e", "f", "g"];
        let label = dice.of(&values);
        let other = dice.of(&values);
        let cpu = dice.of(&[100, 250, 500, 1000, 1500]);
        let memory = dice.of(&[100, 256, 512, 1024, 2048, 4096]);
        let key = ["my-label", "my-label", "my-label", "my-affinity", "my-anti-affinity"][kind];
        let mut shape = PodShape { requests: resources(cpu, memory), ..Default::default() };
        let selector = |value: &str| {
            Some(LabelSelector { match_labels: [(key, value)].into_iter().collect(), ..Default::default() })
        };
        let spread = |topology: &str| SpreadConstraint {
            selector: selector(other),
            topology_key: topology.into(),
            max_skew: 1,
            min_domains: None,
            node_affinity_policy: NodeInclusion::Honor,
            node_taints_policy: NodeInclusion::Ignore,
        };
        let term = |topology: &str| PodAffinityTerm {
            selector: selector(label),
            namespaces: vec![],
            namespace_selector: None,
            topology_key: topology.into(),
        };
        match kind {
            1 => shape.inter_pod.spread = vec![spread(well_known::ZONE)],
            2 => shape.inter_pod.spread = vec![spread(well_known::HOSTNAME)],
            3 => shape.inter_pod.affinity = vec![term(well_known::ZONE)],
            4 => shape.inter_pod.anti_affinity = vec![term(well_known::HOSTNAME)],
            _ => {}
        }
        let (labels, shape) = (cluster.labels([(key, label)].into_iter().collect()), cluster.shape(shape));
        cluster.upsert_pod(pending("default", &format!("pod-{at:05}"), labels, shape));
    }
    cluster
}

pub const GROUPS: usize = 100;
const ZONES: [&str; 3] = ["a", "b", "c"];

/// 100 groups of four sizes in three zones; every third has a label and a taint of its own.
pub fn big_groups() -> Vec<NodeGroup> {
    let of = |at: usize| NodeGroup {
        name: format!("group-{at:03}").into(),
        max: 1000,
        zones: ZONES.map(Text::from).to_vec(),
        labels: [("team", format!("team-{}", at % 10))].into_iter().collect(),
        instance_types: (0..4u64)
            .map(|size| InstanceType {
                name: format!("m5.{}x", 1 << size).into(),
                cpu: MilliCpu(16_000 << size),
                memory: Bytes((64 << 30) << size),
                max_pods: 110,
                price: Some(Price(768_000 << size)),
                ..InstanceType::default()
            })
            .collect(),
        ..NodeGroup::default()
    };
    (0..GROUPS).map(of).collect()
}

/// A pending pod of one of 300 shapes: a fifth for one team's nodes, a fifth spread over zones, a tenth apart on hosts.
pub fn big_pending(cluster: &mut Cluster, name: &str, kind: usize) -> Pod {
    let app = format!("new-{kind}");
    let mut shape = PodShape {
        requests: resources(250 + 50 * (kind as u64 % 40), 512 + 128 * (kind as u64 % 25)),
        ..Default::default()
    };
    let selector =
        Some(LabelSelector { match_labels: [("app", app.as_str())].into_iter().collect(), ..Default::default() });
    match kind % 10 {
        0 | 1 => shape.node_selector = [("team", format!("team-{}", kind / 10 % 10))].into_iter().collect(),
        2 | 3 => {
            shape.inter_pod.spread = vec![SpreadConstraint {
                selector,
                topology_key: well_known::ZONE.into(),
                max_skew: 1,
                min_domains: None,
                node_affinity_policy: NodeInclusion::Honor,
                node_taints_policy: NodeInclusion::Ignore,
            }];
        }
        4 => {
            shape.inter_pod.anti_affinity = vec![PodAffinityTerm {
                selector,
                namespaces: vec![],
                namespace_selector: None,
                topology_key: well_known::HOSTNAME.into(),
            }];
        }
        _ => {}
    }
    let (labels, shape) = (cluster.labels([("app", app.as_str())].into_iter().collect()), cluster.shape(shape));
    pending("jobs", name, labels, shape)
}

/// A node of the big clusters.
fn big_node(cluster: &mut Cluster, at: usize) {
    let group = at % GROUPS;
    let name = format!("node-{at:05}");
    let labels: LabelSet = [
        (well_known::HOSTNAME, name.as_str()),
        (well_known::ZONE, ZONES[at / GROUPS % 3]),
        (well_known::INSTANCE_TYPE, "m5.1x"),
        (well_known::NODE_GROUP[0], &format!("group-{group:03}")),
        ("team", &format!("team-{}", group % 10)),
    ]
    .into_iter()
    .collect();
    let labels = cluster.labels(labels);
    cluster.upsert_node(Node {
        name: name.as_str().into(),
        uid: Uid::parse(&name),
        labels,
        annotations: Arc::default(),
        taints: vec![],
        allocatable: Resources { cpu: MilliCpu(15_800), memory: Bytes(60 << 30), pods: 110, ..Default::default() },
        unschedulable: false,
        ready: true,
        created: Some(Timestamp(1)),
        deleting: false,
        launching: false,
        provider_id: None,
        ready_changed: None,
        conditions: Vec::new(),
        attached_volumes: 0,
        addresses: vec![],
    });
}

/// 5,000 nodes that 30 pods each nearly fill, and 10,000 pending pods in 300 shapes; smaller by `scale`.
pub fn big_cluster(scale: usize) -> Cluster {
    let (nodes, waiting) = (5_000 / scale, 10_000 / scale);
    let mut cluster = Cluster::default();
    let agent = PodShape { requests: resources(100, 128), ..Default::default() };
    let agent = DaemonSet {
        namespace: "kube-system".into(),
        name: "agent".into(),
        uid: Uid::parse("agent"),
        labels: Arc::default(),
        shape: Arc::new(agent),
        priority_class: None,
    };
    cluster.upsert_daemon_set(agent);
    for at in 0..nodes {
        let name = format!("node-{at:05}");
        big_node(&mut cluster, at);
        for pod in 0..30 {
            let app = (at * 7 + pod * 13) % 500;
            let owner = cluster.owner(Owner {
                kind: "ReplicaSet".into(),
                api_version: "apps/v1".into(),
                namespace: "run".into(),
                name: format!("app-{app}").into(),
                uid: Uid::parse(&format!("app-{app}")),
            });
            let mut shape = PodShape { requests: resources(510, 1024 + 16 * (app as u64 % 10)), ..Default::default() };
            if app % 25 == 0 {
                let labels = [("app", format!("app-{app}"))].into_iter().collect();
                shape.inter_pod.anti_affinity = vec![PodAffinityTerm {
                    selector: Some(LabelSelector { match_labels: labels, ..Default::default() }),
                    namespaces: vec![],
                    namespace_selector: None,
                    topology_key: "rack".into(),
                }];
            }
            let labels = cluster.labels([("app", format!("app-{app}"))].into_iter().collect());
            let shape = cluster.shape(shape);
            let pod = Pod {
                owner: Some(owner),
                node: Some(name.as_str().into()),
                phase: Phase::Running,
                scheduling: Scheduling::Quiet,
                ready: true,
                ..pending("run", &format!("app-{app}-{at}-{pod}"), labels, shape)
            };
            cluster.upsert_pod(pod);
        }
    }
    for at in 0..waiting {
        let pod = big_pending(&mut cluster, &format!("pending-{at:05}"), at % 300);
        cluster.upsert_pod(pod);
    }
    cluster
}

/// A pod of the sparse cluster: the 30 first of each node are there from the beginning.
pub fn sparse_pod(cluster: &mut Cluster, node: usize, at: usize) -> Pod {
    let app = (node * 7 + at * 13) % 500;
    let owner = cluster.owner(Owner {
        kind: "ReplicaSet".into(),
        api_version: "apps/v1".into(),
        namespace: "run".into(),
        name: format!("app-{app}").into(),
        uid: Uid::parse(&format!("app-{app}")),
    });
    let shape = PodShape { requests: resources(365, 1024 + 16 * (app as u64 % 10)), ..Default::default() };
    let labels = cluster.labels([("app", format!("app-{app}"))].into_iter().collect());
    let shape = cluster.shape(shape);
    Pod {
        owner: Some(owner),
        node: Some(format!("node-{node:05}").into()),
        phase: Phase::Running,
        scheduling: Scheduling::Quiet,
        ready: true,
        ..pending("run", &format!("app-{app}-{node}-{at}"), labels, shape)
    }
}

/// 5,000 nodes with 30 pods each, for which seven nodes in ten would do; smaller by `scale`.
pub fn sparse_cluster(scale: usize) -> Cluster {
    let mut cluster = Cluster::default();
    for node in 0..5_000 / scale {
        big_node(&mut cluster, node);
        for at in 0..30 {
            let pod = sparse_pod(&mut cluster, node, at);
            cluster.upsert_pod(pod);
        }
    }
    cluster
}
