//! What was kept up to date is what would be counted again.

#![allow(clippy::unwrap_used, reason = "what is not there is a failing test")]

use std::collections::BTreeMap;

use plimsoll_model::{
    Bytes, Cluster, CsiNode, NodeId, Phase, Pod, Snapshot, TaintEffect, Text, Uid, Volume, VolumeClaim,
};
use proptest::prelude::*;

use super::*;
use crate::ClassId;
use crate::rules::Counters;
use crate::tracker::TrackerId;
use world::{NAMESPACES, NodeSpec, PodSpec};

#[path = "../../tests/world/mod.rs"]
mod world;

/// As many pods as are tried at once.
const WANT: u32 = 5;

/// Something that happens to the cluster.
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
#[derive(Clone, Debug)]
enum Change {
    /// A node comes, or is not as it was.
    Node(usize, NodeSpec),
    /// Another node of the same name.
    Recreated(usize, NodeSpec),
    NodeGone(usize),
    Cordoned(usize, bool),
    Ready(usize, bool),
    Tainted(usize, Option<(u8, TaintEffect)>),
    Pod(usize, PodSpec),
    PodGone(usize),
    Bound(usize, usize),
    /// It is on another node now.
    Moved(usize, usize),
    Evicted(usize),
    Finished(usize),
    Relabelled(usize, Vec<(&'static str, &'static str)>),
    /// A namespace is of another team, or not known any more.
    Team(usize, Option<&'static str>),
    /// Nothing that anybody looks at.
    Heartbeat(usize),
}

/// What somebody tries and takes back.
#[derive(Clone, Debug)]
enum Trial {
    Add(usize, u32, u32),
    Remove(u32),
    Close(u32),
    Untaint(u32),
    Nested(u32, u32),
}

/// The cluster as it should be.
struct World {
    cluster: Cluster,
    nodes: BTreeMap<usize, (NodeSpec, u32)>,
    pods: BTreeMap<usize, PodSpec>,
}

fn change() -> impl Strategy<Value = Change> {
    let (at, pod) = (0usize..9, 0usize..14);
    prop_oneof![
        3 => (at.clone(), world::node()).prop_map(|(at, node)| Change::Node(at, node)),
        1 => (at.clone(), world::node()).prop_map(|(at, node)| Change::Recreated(at, node)),
        2 => at.clone().prop_map(Change::NodeGone),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, now)| Change::Cordoned(at, now)),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, now)| Change::Ready(at, now)),
        3 => (at.clone(), proptest::option::of((0u8..2, Just(TaintEffect::NoSchedule))))
            .prop_map(|(at, taint)| Change::Tainted(at, taint)),
        4 => (pod.clone(), world::pod()).prop_map(|(at, pod)| Change::Pod(at, pod)),
        2 => pod.clone().prop_map(Change::PodGone),
        2 => (pod.clone(), at.clone()).prop_map(|(pod, at)| Change::Bound(pod, at)),
        1 => (pod.clone(), at.clone()).prop_map(|(pod, at)| Change::Moved(pod, at)),
        2 => pod.clone().prop_map(Change::Evicted),
        1 => pod.clone().prop_map(Change::Finished),
        2 => (pod.clone(), world::labels()).prop_map(|(pod, labels)| Change::Relabelled(pod, labels)),
        1 => (0usize..3, proptest::option::of(prop_oneof![Just("red"), Just("blue")]))
            .prop_map(|(at, team)| Change::Team(at, team)),
        1 => at.prop_map(Change::Heartbeat),
    ]
}

fn trial() -> impl Strategy<Value = Trial> {
    prop_oneof![
        3 => (0usize..4, 0u32..9, 1u32..4).prop_map(|(class, node, count)| Trial::Add(class, node, count)),
        2 => (0u32..9).prop_map(Trial::Remove),
        1 => (0u32..9).prop_map(Trial::Close),
        1 => (0u32..9).prop_map(Trial::Untaint),
        1 => (0u32..9, 0u32..9).prop_map(|(add, remove)| Trial::Nested(add, remove)),
    ]
}

impl World {
    fn new(nodes: &[NodeSpec], pods: &[PodSpec]) -> Self {
        Self {
            cluster: world::cluster(nodes, pods),
            nodes: nodes.iter().map(|node| (node.clone(), 0)).enumerate().collect(),
            pods: pods.iter().cloned().enumerate().collect(),
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Node(at, spec) => self.put_node(at, |node| node.0 = spec),
            Change::Recreated(at, spec) => self.put_node(at, |node| *node = (spec, node.1 + 1)),
            Change::NodeGone(at) => {
                self.nodes.remove(&at);
                self.cluster.remove_node(&format!("node-{at}"));
            }
            Change::Cordoned(at, now) => self.put_node(at, |node| node.0.cordoned = now),
            Change::Ready(at, now) => self.put_node(at, |node| node.0.ready = now),
            Change::Tainted(at, taint) => self.put_node(at, |node| node.0.taint = taint),
            Change::Pod(at, spec) => {
                self.drop_pod(at);
                self.pods.insert(at, spec);
                self.put_pod(at, |_| {});
            }
            Change::PodGone(at) => self.drop_pod(at),
            Change::Bound(at, node) => self.put_pod(at, |pod| pod.node = pod.node.or(Some(node))),
            Change::Moved(at, node) => self.put_pod(at, |pod| pod.node = Some(node)),
            Change::Evicted(at) => self.put_pod(at, |pod| pod.terminating = true),
            Change::Finished(at) => self.put_pod(at, |pod| pod.finished = true),
            Change::Relabelled(at, labels) => self.put_pod(at, |pod| pod.labels = labels),
            Change::Team(at, Some(team)) => {
                self.cluster.upsert_namespace(NAMESPACES[at].into(), world::team(team));
            }
            Change::Team(at, None) => self.cluster.remove_namespace(NAMESPACES[at]),
            Change::Heartbeat(at) => {
                if let Some((spec, generation)) = self.nodes.get(&at) {
                    let mut node = spec.to_node(at, &mut self.cluster);
                    node.uid = uid(&node.name, *generation);
                    node.annotations = self.cluster.labels([("seen", "now")].into_iter().collect());
                    self.cluster.upsert_node(node);
                }
            }
        }
    }

    fn put_node(&mut self, at: usize, change: impl FnOnce(&mut (NodeSpec, u32))) {
        let new = NodeSpec {
            zone: None,
            host: true,
            rack: None,
            taint: None,
            cordoned: false,
            ready: true,
            cpu: 9,
            places: 9,
            gpus: 0,
        };
        let known = self.nodes.entry(at).or_insert((new, 0));
        change(known);
        let mut node = known.0.to_node(at, &mut self.cluster);
        node.uid = uid(&node.name, known.1);
        self.cluster.upsert_node(node);
    }

    fn put_pod(&mut self, at: usize, change: impl FnOnce(&mut PodSpec)) {
        if let Some(spec) = self.pods.get_mut(&at) {
            change(spec);
            let pod = spec.to_pod(&format!("pod-{at}"), &mut self.cluster);
            self.cluster.upsert_pod(pod);
        }
    }

    fn drop_pod(&mut self, at: usize) {
        if let Some(old) = self.pods.remove(&at) {
            self.cluster.remove_pod(NAMESPACES[old.namespace], &format!("pod-{at}"));
        }
    }
}

fn uid(name: &Text, generation: u32) -> Uid {
    Uid::Other(if generation == 0 { name.to_string().into() } else { format!("{name}-{generation}").into() })
}

/// Classes of the probes, prepared.
fn prepared(simulation: &mut Simulation, snapshot: &Snapshot, probes: &[Pod]) -> Vec<ClassId> {
    let classes: Vec<ClassId> = probes.iter().map(|probe| simulation.class_of(snapshot, probe)).collect();
    simulation.prepare(&classes);
    classes
}

type Table = (BTreeMap<Text, u32>, BTreeMap<Text, u32>, BTreeMap<u32, u32>, u64);

/// What the counters of a class say, by the values of their keys.
fn tables(simulation: &Simulation, class: ClassId) -> Vec<Table> {
    let rules = simulation.rules(class).unwrap();
    let spread = rules.spread.iter().map(|rule| rule.tracker);
    let of = |id: TrackerId| {
        let tracker = simulation.tracker(id);
        let (counts, nodes, levels) = tracker.table();
        let name = |domain| simulation.topology.value(tracker.key, domain).unwrap().clone();
        let named = |all: BTreeMap<_, u32>| all.into_iter().map(|(domain, count)| (name(domain), count)).collect();
        (named(counts), named(nodes), levels, tracker.total())
    };
    let mut repelled: Vec<Table> = rules.repelled.iter().copied().map(of).filter(|table| table.3 > 0).collect();
    repelled.sort();
    rules.near.iter().chain(&rules.away).copied().chain(spread).map(of).chain(repelled).collect()
}

fn assert_same(kept: &mut Simulation, snapshot: &Snapshot, probes: &[Pod]) {
    let mut fresh = Simulation::new(snapshot);
    let (old, new) = (prepared(kept, snapshot, probes), prepared(&mut fresh, snapshot, probes));
    for (&old, &new) in old.iter().zip(&new) {
        assert_eq!(tables(kept, old), tables(&fresh, new));
        for (node, _) in snapshot.nodes() {
            assert_eq!(kept.why_not(old, None, node), fresh.why_not(new, None, node));
            assert_eq!(kept.room_for(old, node, WANT), fresh.room_for(new, node, WANT));
        }
    }
    assert_eq!(kept.mounts.len(), fresh.mounts.len());
    let ids = |simulation: &Simulation| -> Vec<Vec<PodId>> {
        let sorted = |node: &SimulatedNode| {
            let mut ids = node.ids.clone();
            ids.sort_unstable();
            ids
        };
        simulation.nodes.iter().flatten().map(sorted).collect()
    };
    assert_eq!(ids(kept), ids(&fresh));
    let placed = |simulation: &Simulation| {
        let pods = snapshot.pods().map(|(id, pod)| (id, pod.name.clone(), simulation.placed(id).map(|at| at.1)));
        let nodes = simulation.nodes().map(|(id, node)| (id, node.free.clone(), node.ports.len()));
        let crowd = |id| simulation.pods_on(id).iter().map(|(_, pods)| *pods).sum::<u32>();
        let crowds = simulation.nodes().map(|(id, _)| crowd(id));
        (pods.collect::<Vec<_>>(), nodes.collect::<Vec<_>>(), crowds.collect::<Vec<_>>())
    };
    assert_eq!(placed(kept), placed(&fresh));
    let used = |simulation: &Simulation| simulation.classes.iter().map(|class| class.pods).sum::<u32>();
    assert_eq!(used(kept), used(&fresh));
}

/// Tries something and takes it back.
fn tried(simulation: &mut Simulation, classes: &[ClassId], trials: &[Trial]) {
    let mark = simulation.mark();
    for trial in trials {
        match *trial {
            Trial::Add(class, node, count) => simulation.add(classes[class % classes.len()], NodeId(node), count),
            Trial::Remove(node) => {
                if let Some(&(class, count)) = simulation.pods_on(NodeId(node)).last() {
                    simulation.remove(class, NodeId(node), count);
                }
            }
            Trial::Close(node) => simulation.close(NodeId(node)),
            Trial::Untaint(node) => simulation.set_taints(NodeId(node), Vec::new()),
            Trial::Nested(add, remove) => {
                let inner = simulation.mark();
                simulation.add(classes[0], NodeId(add), 2);
                simulation.remove(classes[0], NodeId(remove), 1);
                simulation.rollback(inner);
            }
        }
    }
    simulation.rollback(mark);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_follows_is_what_starts_again(
        nodes in world::nodes(),
        pods in world::pods(12),
        probes in world::probes(),
        rounds in prop::collection::vec(
            (prop::collection::vec(change(), 0..4), prop::collection::vec(trial(), 0..4), 0u8..12),
            1..6,
        ),
    ) {
        let mut world = World::new(&nodes, &pods);
        let name = |at: usize| format!("probe-{at}");
        let probes: Vec<Pod> =
            probes.iter().enumerate().map(|(at, probe)| probe.to_pod(&name(at), &mut world.cluster)).collect();
        let mut snapshot = world.cluster.snapshot();
        let mut kept = Simulation::new(&snapshot);
        assert_same(&mut kept, &snapshot, &probes);
        for (changes, trials, luck) in rounds {
            let classes = prepared(&mut kept, &snapshot, &probes);
            tried(&mut kept, &classes, &trials);
            assert_same(&mut kept, &snapshot, &probes);
            let reaches_far = changes.iter().any(|change| matches!(change, Change::Team(..)));
            changes.into_iter().for_each(|change| world.apply(change));
            if luck == 0 {
                world.cluster.snapshot();
            }
            snapshot = world.cluster.snapshot();
            let followed = kept.sync(&snapshot);
            prop_assert!(followed || luck == 0 || reaches_far, "it starts again only if it must");
            assert_same(&mut kept, &snapshot, &probes);
        }
    }
}

#[test]
fn who_else_uses_a_claim_counts() {
    let mut world = World::new(&[plain_node()], &[]);
    let driver = Text::from("ebs.csi.aws.com");
    world.cluster.upsert_claim(VolumeClaim {
        namespace: NAMESPACES[0].into(),
        name: "data".into(),
        class: None,
        volume: Some("pv".into()),
        request: Bytes(1),
        one_pod: false,
        deleting: false,
    });
    world.cluster.upsert_volume(Volume {
        name: "pv".into(),
        labels: Arc::default(),
        node_affinity: None,
        class: "".into(),
        capacity: Bytes(1),
        driver: Some(driver.clone()),
        handle: "vol-1".into(),
        available: false,
    });
    world.cluster.upsert_csi_node(CsiNode { node: "node-0".into(), drivers: vec![(driver, Some(1))] });
    let pod = |name: &str, node: Option<usize>, cluster: &mut Cluster| {
        let pod = plain_pod(node).to_pod(name, cluster);
        Pod { claims: ["data".into()].into(), ..pod }
    };
    let mut kept = Simulation::new(&world.cluster.snapshot());
    let probe = pod("probe", None, &mut world.cluster);
    world.cluster.upsert_pod(probe.clone());
    // The second user comes, waits, gets a place, ends, and goes: what the first one attached changes with it.
    for step in 0..6 {
        let finished = |pod: Pod| Pod { phase: Phase::Succeeded, ..pod };
        let next = match step {
            0 => pod("one", Some(0), &mut world.cluster),
            1 => pod("two", None, &mut world.cluster),
            2 => pod("two", Some(0), &mut world.cluster),
            3 => finished(pod("two", Some(0), &mut world.cluster)),
            4 => finished(pod("probe", None, &mut world.cluster)),
            _ => pod("one", Some(0), &mut world.cluster),
        };
        world.cluster.upsert_pod(next);
        if step == 5 {
            world.cluster.remove_pod(NAMESPACES[0], "two");
        }
        let snapshot = world.cluster.snapshot();
        assert!(kept.sync(&snapshot), "{step}");
        assert_same(&mut kept, &snapshot, std::slice::from_ref(&probe));
        let fresh = Simulation::new(&snapshot);
        assert_eq!(kept.node(NodeId(0)).unwrap().attached, fresh.node(NodeId(0)).unwrap().attached, "{step}");
    }
}

fn plain_node() -> NodeSpec {
    NodeSpec {
        zone: Some(0),
        host: true,
        rack: None,
        taint: None,
        cordoned: false,
        ready: true,
        cpu: 100_000,
        places: 100_000,
        gpus: 0,
    }
}

fn plain_pod(node: Option<usize>) -> PodSpec {
    PodSpec { namespace: 0, labels: vec![], node, terminating: false, finished: false, shape: Default::default() }
}

#[test]
fn all_that_was_removed_comes_back() {
    let mut world = World::new(&[plain_node()], &[]);
    let snapshot = world.cluster.snapshot();
    let mut simulation = Simulation::new(&snapshot);
    let pod = plain_pod(None).to_pod("one", &mut world.cluster);
    let class = simulation.class_of(&snapshot, &pod);
    simulation.add(class, NodeId(0), 3);
    let mark = simulation.mark();
    simulation.remove(class, NodeId(0), 2);
    simulation.remove(class, NodeId(0), 2);
    assert!(simulation.pods_on(NodeId(0)).is_empty());
    simulation.rollback(mark);
    assert_eq!(simulation.pods_on(NodeId(0)), [(class, 3)]);
}

#[test]
fn what_was_not_taken_back_is_gone() {
    let mut world = World::new(&[plain_node()], &[]);
    let snapshot = world.cluster.snapshot();
    let mut simulation = Simulation::new(&snapshot);
    let pod = plain_pod(None).to_pod("one", &mut world.cluster);
    let class = simulation.class_of(&snapshot, &pod);
    assert!(simulation.sync(&snapshot), "nothing has changed");
    simulation.add(class, NodeId(0), 1);
    assert!(!simulation.sync(&snapshot), "it starts again");
    assert!(simulation.pods_on(NodeId(0)).is_empty());

    let class = simulation.class_of(&snapshot, &pod);
    let _never_taken_back = simulation.mark();
    simulation.add(class, NodeId(0), 1);
    assert!(!simulation.sync(&world.cluster.snapshot()));
    assert!(simulation.pods_on(NodeId(0)).is_empty());
}

#[test]
fn classes_that_nobody_uses_do_not_pile_up() {
    let mut world = World::new(&[plain_node()], &[]);
    let mut simulation = Simulation::new(&world.cluster.snapshot());
    let many = SMALL + 50;
    for at in 0..many {
        let mut pod = plain_pod(Some(0)).to_pod(&format!("pod-{at}"), &mut world.cluster);
        pod.labels = world.cluster.labels([("pod", format!("{at}"))].into_iter().collect());
        world.cluster.upsert_pod(pod);
    }
    assert!(simulation.sync(&world.cluster.snapshot()));
    assert!(simulation.sync(&world.cluster.snapshot()), "what pods use is no litter");
    assert_eq!(simulation.classes.len(), many);
    for at in 0..many {
        world.cluster.remove_pod(NAMESPACES[0], &format!("pod-{at}"));
    }
    assert!(simulation.sync(&world.cluster.snapshot()), "what was asked for at the last snapshot is no litter");
    assert!(!simulation.sync(&world.cluster.snapshot()));
    assert_eq!(simulation.classes.len(), 0);
}

#[test]
fn classes_that_wait_for_a_place_are_no_litter() {
    let mut world = World::new(&[plain_node()], &[]);
    let mut simulation = Simulation::new(&world.cluster.snapshot());
    let pods: Vec<Pod> = (0..SMALL + 50)
        .map(|at| {
            let mut pod = plain_pod(None).to_pod(&format!("pod-{at}"), &mut world.cluster);
            pod.labels = world.cluster.labels([("pod", format!("{at}"))].into_iter().collect());
            pod
        })
        .collect();
    for _ in 0..3 {
        let snapshot = world.cluster.snapshot();
        assert!(simulation.sync(&snapshot));
        pods.iter().for_each(|pod| {
            simulation.class_of(&snapshot, pod);
        });
    }
}

#[test]
fn values_of_labels_do_not_pile_up() {
    let mut world = World::new(&[], &[]);
    let mut simulation = Simulation::new(&world.cluster.snapshot());
    let many = SMALL + 50;
    (0..many).for_each(|at| world.put_node(at, |_| {}));
    assert!(simulation.sync(&world.cluster.snapshot()));
    assert!(simulation.sync(&world.cluster.snapshot()), "what nodes have is no litter");
    (1..many).for_each(|at| world.apply(Change::NodeGone(at)));
    assert!(simulation.sync(&world.cluster.snapshot()));
    assert!(!simulation.sync(&world.cluster.snapshot()));
    assert_eq!(simulation.topology.most_values(), 1);
}
