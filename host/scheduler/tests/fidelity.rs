//! The simulation answers as the plain reference does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what is not there is a failing test")]

mod reference;
#[allow(dead_code, reason = "not every test uses all of it")]
mod world;

use std::collections::BTreeSet;

use plimsoll_model::{LabelSelector, NodeId, NodeInclusion, Pod, PodShape, Resources, Snapshot, SpreadConstraint};
use plimsoll_scheduler::{ClassId, Simulation};
use proptest::prelude::*;
use reference::Plain;
use world::{NodeSpec, PodSpec};

/// As many pods as are tried one after the other.
const WANT: u32 = 5;

/// Fails where the simulation and the reference do not agree about a pod of a prepared class.
fn agree(simulation: &Simulation, plain: &Plain, snapshot: &Snapshot, class: ClassId, pod: &Pod) {
    for (id, node) in snapshot.nodes() {
        let rejections = simulation.why_not(class, pod.node.as_ref(), id);
        let failing: BTreeSet<&str> = rejections.iter().map(|rejection| rejection.filter.name()).collect();
        assert_eq!(failing, plain.failing(pod, node), "{} on {}: {rejections:?}", pod.name, node.name);
        assert_eq!(simulation.room_for(class, id, WANT), plain.room(pod, node, WANT), "{} on {}", pod.name, node.name);
        assert_eq!(simulation.fits(class, id), failing.is_empty());
    }
}

#[test]
fn too_few_domains_count_as_an_empty_one_for_pods_that_do_not_count_themselves() {
    let node = |zone| NodeSpec {
        zone: Some(zone),
        host: true,
        rack: None,
        taint: None,
        cordoned: false,
        ready: true,
        cpu: 16,
        places: 16,
        gpus: 0,
    };
    let shape = PodShape { requests: Resources { pods: 1, ..Resources::default() }, ..PodShape::default() };
    let web = LabelSelector { match_labels: [("app", "web")].into_iter().collect(), ..LabelSelector::default() };
    let constraint = |min_domains| SpreadConstraint {
        selector: Some(web.clone()),
        topology_key: "topology.kubernetes.io/zone".into(),
        max_skew: 1,
        min_domains,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Honor,
    };
    let pod = |app, node, shape: &PodShape| PodSpec {
        namespace: 0,
        labels: vec![("app", app)],
        node,
        terminating: false,
        finished: false,
        shape: shape.clone(),
    };
    let there: Vec<PodSpec> = [0, 0, 1, 1].map(|at| pod("web", Some(at), &shape)).into();
    let mut cluster = world::cluster(&[node(0), node(1)], &there);
    let snapshot = cluster.snapshot();
    let mut simulation = Simulation::new(&snapshot);
    for (min_domains, room) in [(None, WANT), (Some(2), WANT), (Some(3), 0)] {
        let mut shape = shape.clone();
        shape.inter_pod.spread = vec![constraint(min_domains)];
        let probe = pod("other", None, &shape).to_pod("probe", &mut cluster);
        let class = simulation.class_of(&snapshot, &probe);
        simulation.prepare(&[class]);
        agree(&simulation, &Plain::of(&snapshot), &snapshot, class, &probe);
        assert_eq!(simulation.room_for(class, NodeId(0), WANT), room, "{min_domains:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn verdicts_are_those_of_the_reference(
        nodes in world::nodes(),
        pods in world::pods(15),
        probes in world::probes(),
    ) {
        let mut cluster = world::cluster(&nodes, &pods);
        let probes: Vec<Pod> =
            probes.iter().enumerate().map(|(at, probe)| probe.to_pod(&format!("probe-{at}"), &mut cluster)).collect();
        let snapshot = cluster.snapshot();
        let plain = Plain::of(&snapshot);
        let mut simulation = Simulation::new(&snapshot);
        // One by one, so that the rules of the later ones meet counters that are there already.
        for probe in &probes {
            let class = simulation.class_of(&snapshot, probe);
            simulation.prepare(&[class]);
            agree(&simulation, &plain, &snapshot, class, probe);
        }
    }

    #[test]
    fn taints_that_are_tried_count_like_others(
        nodes in world::nodes(),
        pods in world::pods(15),
        probes in world::probes(),
        at in 0usize..3,
        other in world::node(),
    ) {
        let mut cluster = world::cluster(&nodes, &pods);
        let probe = probes[0].to_pod("probe", &mut cluster);
        let snapshot = cluster.snapshot();
        let mut simulation = Simulation::new(&snapshot);
        let class = simulation.class_of(&snapshot, &probe);
        simulation.prepare(&[class]);
        let node = NodeSpec { taint: other.taint, ..nodes[at].clone() }.to_node(at, &mut cluster);
        let (id, _) = snapshot.find_node(&node.name).unwrap();
        simulation.set_taints(id, node.taints.clone());
        cluster.upsert_node(node);
        let snapshot = cluster.snapshot();
        agree(&simulation, &Plain::of(&snapshot), &snapshot, class, &probe);
    }
}
