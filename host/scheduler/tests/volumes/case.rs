//! A small cluster with volumes.

#![expect(clippy::unwrap_used, reason = "a cluster that cannot be made fails the test")]

use std::sync::Arc;

use plimsoll_model::{
    Bytes, ClusterBuilder, CsiNode, LabelSet, MilliCpu, Millis, Node, NodeSelector, NodeSelectorTerm, Operator, Phase,
    Pod, PodShape, Requirement, Resources, Scheduling, Snapshot, StorageClass, Text, Uid, Volume, VolumeClaim, Volumes,
};
use plimsoll_scheduler::Simulation;

pub const ZONE: &str = "topology.kubernetes.io/zone";
pub const ZONE_BETA: &str = "failure-domain.beta.kubernetes.io/zone";
pub const EBS: &str = "ebs.csi.aws.com";

fn node(name: &str, labels: &[(&str, &str)]) -> Node {
    Node {
        name: name.into(),
        uid: Uid::parse(name),
        labels: Arc::new(labels.iter().copied().collect()),
        annotations: Arc::default(),
        taints: vec![],
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

fn pod(cluster: &mut ClusterBuilder, name: &str, node: Option<&str>, claims: &[&str]) -> Pod {
    Pod {
        namespace: "default".into(),
        name: name.into(),
        uid: Uid::parse(name),
        labels: cluster.labels(LabelSet::default()),
        annotations: Arc::default(),
        owner: None,
        shape: cluster.shape(PodShape { requests: Resources { pods: 1, ..Default::default() }, ..Default::default() }),
        node: node.map(Text::from),
        phase: if node.is_some() { Phase::Running } else { Phase::Pending },
        scheduling: Scheduling::Quiet,
        priority_class: None,
        ready: node.is_some(),
        created: None,
        deletion: None,
        grace: Millis(0),
        volumes: Volumes { claims: !claims.is_empty(), ..Default::default() },
        claims: claims.iter().map(|claim| Text::from(*claim)).collect(),
    }
}

/// A cluster with one pod named `p` that wants a place.
#[derive(Default)]
pub struct Case {
    pub cluster: ClusterBuilder,
}

impl Case {
    /// Nodes `a` and `b` in zones of the same names.
    pub fn zones() -> Self {
        let mut case = Self::default();
        case.node("a", &[(ZONE, "a")]).node("b", &[(ZONE, "b")]);
        case
    }

    /// Adds a node.
    pub fn node(&mut self, name: &str, labels: &[(&str, &str)]) -> &mut Self {
        self.cluster.add_node(node(name, labels)).unwrap();
        self
    }

    pub fn pod(&mut self, name: &str, node: Option<&str>, claims: &[&str]) -> &mut Self {
        let pod = pod(&mut self.cluster, name, node, claims);
        self.cluster.add_pod(pod).unwrap();
        self
    }

    pub fn claim(&mut self, name: &str, change: impl Fn(&mut VolumeClaim)) -> &mut Self {
        let mut claim = VolumeClaim {
            namespace: "default".into(),
            name: name.into(),
            class: None,
            volume: None,
            request: Bytes(10),
            one_pod: false,
            deleting: false,
        };
        change(&mut claim);
        self.cluster.add_claim(claim);
        self
    }

    pub fn volume(&mut self, name: &str, change: impl Fn(&mut Volume)) -> &mut Self {
        let mut volume = Volume {
            name: name.into(),
            labels: Arc::default(),
            node_affinity: None,
            class: "".into(),
            capacity: Bytes(10),
            driver: None,
            handle: name.into(),
            available: false,
        };
        change(&mut volume);
        self.cluster.add_volume(volume);
        self
    }

    /// A bound claim with its volume.
    pub fn bound(&mut self, claim: &str, change: impl Fn(&mut Volume)) -> &mut Self {
        let name = format!("pv-{claim}");
        self.claim(claim, |bound| bound.volume = Some(name.as_str().into())).volume(&name, change)
    }

    pub fn class(&mut self, name: &str, change: impl Fn(&mut StorageClass)) -> &mut Self {
        let mut class = StorageClass {
            name: name.into(),
            provisioner: EBS.into(),
            waits_for_consumer: true,
            allowed_topologies: vec![],
            default: false,
        };
        change(&mut class);
        self.cluster.add_storage_class(class);
        self
    }

    pub fn limit(&mut self, node: &str, most: u32) -> &mut Self {
        self.cluster.add_csi_node(CsiNode { node: node.into(), drivers: vec![(EBS.into(), Some(most))] });
        self
    }

    /// What keeps pod `p` off each node, nodes in the order of names, as `Filter: reason`.
    pub fn verdicts(&mut self) -> Vec<String> {
        let snapshot = std::mem::take(&mut self.cluster).build();
        let pod = find(&snapshot, "p");
        let mut simulation = Simulation::new(&snapshot);
        let class = simulation.class_of(&snapshot, pod);
        simulation.prepare(&[class]);
        let mut all = Vec::new();
        for (id, _) in snapshot.nodes() {
            let why = simulation.why_not(class, None, id);
            assert_eq!(why.is_empty(), simulation.fits(class, id), "why_not and fits agree");
            let lines: Vec<String> = why.iter().map(|why| format!("{}: {}", why.filter.name(), why.reason)).collect();
            all.push(lines.join("; "));
        }
        all
    }
}

/// The pod of this name.
pub fn find<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Pod {
    snapshot.pods().find(|(_, pod)| *pod.name == *name).unwrap().1
}

/// A term that names zones.
pub fn zone_in(values: &[&str]) -> NodeSelectorTerm {
    let values = values.iter().map(|value| Text::from(*value)).collect();
    NodeSelectorTerm {
        match_expressions: vec![Requirement { key: ZONE.into(), operator: Operator::In, values }],
        match_fields: vec![],
    }
}

/// Makes a volume one of a zone.
pub fn in_zone(volume: &mut Volume, zone: &str) {
    volume.node_affinity = Some(NodeSelector { terms: vec![zone_in(&[zone])] });
}

/// Gives a volume one label.
pub fn labelled(volume: &mut Volume, key: &str, value: &str) {
    volume.labels = Arc::new([(key, value)].into_iter().collect());
}
