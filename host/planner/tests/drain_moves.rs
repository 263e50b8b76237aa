//! Scale-down through its public face: where the pods of leaving nodes can go.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::collections::HashSet;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{
    Bytes, LabelSelector, LabelSet, MilliCpu, Node, NodeId, NodeInclusion, Pod, PodAffinityTerm, PodShape, Resources,
    Snapshot, SpreadConstraint, StartupTaints, Taint, TaintEffect, Timestamp, Volume, VolumeClaim, well_known,
};
use plimsoll_planner::drain::{
    History, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion, ScaleDownConfig, ScaleDownPlan,
    plan_scale_down,
};
use plimsoll_planner::scale_up::{HeadroomConfig, ManualHeadroom, ScaleUpConfig};
use plimsoll_planner::{Asked, DrainPolicy};
use plimsoll_scheduler::{ClassId, Simulation};
use proptest::prelude::*;

/// Drains whatever it is offered, but orders no pods of the node of this name.
struct Eager(&'static str);

impl DrainPolicy for Eager {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let choice = |node: NodeId| NodeChoice { node: node.0, reason: "because".to_owned() };
        let drain = question.candidates.iter().map(|candidate| choice(candidate.node)).collect();
        Asked { verdict: Some(NodesVerdict::Order { drain, keep: vec![] }), calls: vec![] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        Asked { verdict: (question.node.name != *self.0).then(Vec::new), calls: vec![] }
    }
}

fn plan_beside(snapshot: &Arc<Snapshot>, scale_up: &ScaleUpConfig, policy: &Eager) -> ScaleDownPlan {
    let groups = Some(vec![group("general", 0, 99)]);
    let config = ScaleDownConfig { groups, max_percentage: 100, ..ScaleDownConfig::default() };
    let mut simulation = Simulation::new(snapshot);
    let plan = plan_scale_down(snapshot, &mut simulation, scale_up, &config, &History::default(), NOW, policy);
    assert_eq!(plan.drains.len() + plan.kept.len(), snapshot.node_count(), "every node is accounted for");
    assert_eq!(rooms(snapshot, &mut simulation), rooms(snapshot, &mut Simulation::new(snapshot)), "as it was");
    plan
}

/// How many pods like each pod of a snapshot every node would take, and what is on the nodes.
fn rooms(snapshot: &Snapshot, simulation: &mut Simulation) -> Vec<(Vec<u32>, bool, String)> {
    let classes: Vec<ClassId> = snapshot.pods().map(|(_, pod)| simulation.class_of(snapshot, pod)).collect();
    simulation.prepare(&classes);
    let rooms = snapshot.nodes().map(|(id, _)| {
        let room = classes.iter().map(|&class| simulation.room_for(class, id, 9)).collect();
        (room, simulation.is_open(id), format!("{:?}", simulation.node(id)))
    });
    rooms.collect()
}

fn plan(snapshot: &Arc<Snapshot>) -> ScaleDownPlan {
    plan_beside(snapshot, &ScaleUpConfig::default(), &Eager(""))
}

fn drained(snapshot: &Snapshot, plan: &ScaleDownPlan) -> Vec<String> {
    plan.drains.iter().map(|drain| snapshot.node(drain.node).name.to_string()).collect()
}

/// Why a node stays: the label, and what it says.
fn kept<'a>(snapshot: &Snapshot, plan: &'a ScaleDownPlan, name: &str) -> (&'static str, &'a str) {
    let kept = plan.kept.iter().find(|kept| snapshot.node(kept.node).name == *name).unwrap();
    (kept.reason.label(), &kept.detail)
}

/// Where the evicted pods go.
fn moves(snapshot: &Snapshot, plan: &ScaleDownPlan) -> Vec<(String, String)> {
    let names = |&(pod, node)| {
        let (pod, node): (_, NodeId) = (snapshot.pod(pod), node);
        (pod.name.to_string(), snapshot.node(node).name.to_string())
    };
    plan.moves.iter().map(names).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(pod, node)| ((*pod).to_owned(), (*node).to_owned())).collect()
}

/// A node that knows its name.
fn host(name: &str, zone: &str) -> Node {
    let labels =
        labels(&[(well_known::NODE_GROUP[0], "general"), (well_known::ZONE, zone), (well_known::HOSTNAME, name)]);
    Node { labels, ..node(name, "general", zone) }
}

/// A pod that keeps its node, and takes that much of its CPU.
fn pinned(name: &str, node: &str, cpu: u64) -> Pod {
    let annotations = labels(&[(well_known::SAFE_TO_EVICT, "false")]);
    Pod { annotations, ..running(name, name, node, shape(cpu, 1)) }
}

fn selector(app: &str) -> LabelSelector {
    LabelSelector { match_labels: [("app", app)].into_iter().collect::<LabelSet>(), ..Default::default() }
}

fn term(app: &str, key: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        selector: Some(selector(app)),
        namespaces: vec![],
        namespace_selector: None,
        topology_key: key.into(),
    }
}

fn spread(app: &str, key: &str, max_skew: u32) -> SpreadConstraint {
    SpreadConstraint {
        selector: Some(selector(app)),
        topology_key: key.into(),
        max_skew,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }
}

fn with(cpu: u64, change: impl Fn(&mut PodShape)) -> PodShape {
    let mut shape = shape(cpu, 1);
    change(&mut shape);
    shape
}

// === Topology spread ===

/// Scenario 13: the only node of a zone cannot go if its pod would make another zone too full.
#[test]
fn the_only_node_of_a_zone_stays_if_skew_would_break() {
    let cluster = |max_skew| {
        let web = with(500, |shape| shape.inter_pod.spread = vec![spread("web", well_known::ZONE, max_skew)]);
        World::default()
            .nodes([host("n1", "a"), host("n2", "b"), host("n3", "b")])
            .pods([
                running("web-1", "web", "n1", web.clone()),
                running("web-2", "web", "n2", web),
                pinned("p", "n3", 100),
            ])
            .build()
    };
    let strict = cluster(1);
    let refused = plan(&strict);
    let (label, detail) = kept(&strict, &refused, "n1");
    assert_eq!(label, "NoPlaceToMovePods");
    assert!(detail.contains("0/2 other nodes take it: 2 PodTopologySpread"), "{detail}");
    assert_eq!(moves(&strict, &refused), pairs(&[("web-2", "n3")]), "within its zone a pod may move");
    let loose = cluster(2);
    let plan = plan(&loose);
    assert_eq!(drained(&loose, &plan), ["n1", "n2"]);
    assert_eq!(moves(&loose, &plan), pairs(&[("web-1", "n3"), ("web-2", "n3")]), "guests move on");
}

// === Affinity ===

#[test]
fn anti_affinity_counts_in_both_directions() {
    let guard = with(100, |shape| shape.inter_pod.anti_affinity = vec![term("web", well_known::HOSTNAME)]);
    let pods = || [running("guard", "guard", "n1", guard.clone()), running("web", "web", "n2", shape(100, 1))];
    let two = World::default().nodes([host("n1", "a"), host("n2", "a")]).pods(pods()).build();
    let nobody = plan(&two);
    assert!(nobody.drains.is_empty());
    for node in ["n1", "n2"] {
        let (label, detail) = kept(&two, &nobody, node);
        assert_eq!(label, "NoPlaceToMovePods");
        assert!(detail.contains("1 InterPodAffinity"), "{detail}");
    }
    let three = World::default().nodes(["n1", "n2", "n3"].map(|name| host(name, "a"))).pods(pods()).build();
    let plan = plan(&three);
    assert_eq!((drained(&three, &plan), moves(&three, &plan)), (vec!["n1".to_owned()], pairs(&[("guard", "n3")])));
}

#[test]
fn anti_affinity_reaches_the_namespaces_that_it_names() {
    let blocked = |namespaces: &[&str], everywhere: bool| {
        let mut away = term("web", well_known::HOSTNAME);
        away.namespaces = namespaces.iter().map(|name| (*name).into()).collect();
        away.namespace_selector = everywhere.then(LabelSelector::default);
        let guard = with(100, |shape| shape.inter_pod.anti_affinity = vec![away.clone()]);
        let guard = Pod { namespace: "elsewhere".into(), ..running("guard", "guard", "n1", guard) };
        let snapshot = World::default()
            .nodes([host("n1", "a"), host("n2", "a")])
            .pods([guard, pinned("p", "n1", 100), running("web", "web", "n2", shape(100, 1))])
            .build();
        plan(&snapshot).drains.is_empty()
    };
    assert!(!blocked(&[], false), "its own namespace only");
    assert!(!blocked(&["third"], false));
    assert!(blocked(&["third", "shop"], false));
    assert!(blocked(&[], true));
}

/// The larger pod must be near the smaller one, which therefore has to have its new place first.
#[test]
fn affinity_follows_where_the_other_pod_goes() {
    let cluster = |zone: &str| {
        let side = with(2000, |shape| shape.inter_pod.affinity = vec![term("main", well_known::ZONE)]);
        World::default()
            .nodes([host("n1", "a"), host("n2", "b"), host("n3", zone)])
            .pods([running("main", "main", "n1", shape(500, 1)), running("side", "side", "n1", side)])
            .pods([pinned("p2", "n2", 3000), pinned("p3", "n3", 100)])
            .build()
    };
    let near = cluster("b");
    let plan_near = plan(&near);
    assert_eq!(moves(&near, &plan_near), pairs(&[("main", "n2"), ("side", "n3")]));
    let far = cluster("c");
    let plan_far = plan(&far);
    let (label, detail) = kept(&far, &plan_far, "n1");
    assert_eq!(label, "NoPlaceToMovePods");
    assert!(detail.contains("1 NodeResourcesFit, 1 InterPodAffinity"), "{detail}");
}

/// A pod that nothing keeps off a zone may not make it too full for one that was moved there.
#[test]
fn moves_do_not_break_the_rules_of_moved_pods() {
    let web = with(1500, |shape| shape.inter_pod.spread = vec![spread("web", well_known::ZONE, 1)]);
    let snapshot = World::default()
        .nodes([host("n1", "a"), host("n2", "a"), host("n3", "b")])
        .pods([running("strict", "web", "n1", web), running("careless", "web", "n1", shape(1000, 1))])
        .pods([pinned("p2", "n2", 1000), pinned("p3", "n3", 3900)])
        .build();
    let plan = plan(&snapshot);
    let (label, detail) = kept(&snapshot, &plan, "n1");
    assert_eq!(label, "NoPlaceToMovePods");
    assert!(detail.contains("pod shop/strict (1500m cpu, 1Gi memory) would go to n2"), "{detail}");
}

// === Volumes ===

#[test]
fn a_volume_keeps_its_pod_in_its_zone() {
    let cluster = |third: &str| {
        let mut db = running("db", "db", "n1", shape(500, 1));
        db.claims = ["data".into()].into();
        db.volumes.claims = true;
        let mut world = World::default().nodes([host("n1", "a"), host("n2", "b"), host("n3", third)]).pods([
            db,
            pinned("p2", "n2", 100),
            pinned("p3", "n3", 100),
        ]);
        world.builder.add_claim(VolumeClaim {
            namespace: "shop".into(),
            name: "data".into(),
            class: None,
            volume: Some("disk".into()),
            request: Bytes(1 << 30),
            one_pod: false,
            deleting: false,
        });
        world.builder.add_volume(Volume {
            name: "disk".into(),
            labels: labels(&[(well_known::ZONE, "a")]),
            node_affinity: None,
            class: "".into(),
            capacity: Bytes(1 << 30),
            driver: None,
            handle: "".into(),
            available: false,
        });
        world.build()
    };
    let reachable = cluster("a");
    let here = plan(&reachable);
    assert_eq!(moves(&reachable, &here), pairs(&[("db", "n3")]));
    let alone = cluster("c");
    let stays = plan(&alone);
    let (label, detail) = kept(&alone, &stays, "n1");
    assert_eq!(label, "NoPlaceToMovePods");
    assert!(detail.contains("2 VolumeZone"), "{detail}");
}

// === Pending pods and headroom ===

fn keeping(group: Option<&str>) -> ScaleUpConfig {
    let requests = Resources { cpu: MilliCpu(2000), memory: Bytes(1 << 30), pods: 1, ..Default::default() };
    let manual = vec![ManualHeadroom { group: group.map(Into::into), count: 1, requests }];
    let headroom = HeadroomConfig { manual, ..HeadroomConfig::default() };
    ScaleUpConfig { groups: vec![fixture::group("general", 0, 99)], headroom, ..ScaleUpConfig::default() }
}

#[test]
fn headroom_keeps_the_last_node_that_has_room_for_it() {
    let busy = || [pinned("p1", "n1", 3900)];
    let one = World::default().nodes([host("n1", "a"), host("n2", "a")]).pods(busy()).build();
    assert_eq!(drained(&one, &plan(&one)), ["n2"], "no headroom");
    let stays = plan_beside(&one, &keeping(None), &Eager(""));
    let (label, detail) = kept(&one, &stays, "n2");
    assert_eq!(label, "HeadroomNeeded");
    assert!(
        detail.contains("a unit of headroom (2 cpu, 1Gi memory): 0/1 other nodes take it: 1 NodeResourcesFit"),
        "{detail}"
    );

    let two = World::default().nodes(["n1", "n2", "n3"].map(|name| host(name, "a"))).pods(busy()).build();
    let moved = plan_beside(&two, &keeping(None), &Eager(""));
    assert_eq!(drained(&two, &moved), ["n2"]);
    assert_eq!(kept(&two, &moved, "n3").0, "HeadroomNeeded", "headroom that moved there");

    let elsewhere =
        World::default().nodes([host("n1", "a"), host("n2", "a"), node("n3", "other", "a")]).pods(busy()).build();
    assert_eq!(drained(&elsewhere, &plan_beside(&elsewhere, &keeping(None), &Eager(""))), ["n2"]);
    let bound = plan_beside(&elsewhere, &keeping(Some("general")), &Eager(""));
    assert_eq!(kept(&elsewhere, &bound, "n2").0, "HeadroomNeeded", "not on nodes of another group");
}

/// Pods are evicted for room that is there, not for room that is to come.
#[test]
fn a_node_that_is_starting_takes_pending_pods_only() {
    let mut young = host("n3", "a");
    young.created = Some(Timestamp(NOW.0 - 10_000));
    young.taints = vec![Taint { key: "starting".into(), value: "".into(), effect: TaintEffect::NoSchedule }];
    let startup = StartupTaints { taints: young.taints.clone(), ..StartupTaints::default() };
    let scale_up = ScaleUpConfig { startup, ..ScaleUpConfig::default() };
    let nodes = [host("n1", "a"), host("n2", "a"), young];
    let pods = || [running("web", "web", "n1", shape(1000, 1)), pinned("p2", "n2", 3900)];
    let calm = World::default().nodes(nodes.clone()).pods(pods()).build();
    let stays = plan_beside(&calm, &scale_up, &Eager(""));
    assert_eq!(kept(&calm, &stays, "n1").0, "NoPlaceToMovePods");
    let waiting = World::default().nodes(nodes).pods(pods()).pods([pending("next", "next", shape(3500, 1))]).build();
    let needed = plan_beside(&waiting, &scale_up, &Eager(""));
    assert_eq!(kept(&waiting, &needed, "n3").0, "NeededByPendingPods");
}

// === What was chosen before ===

/// The budget lets n1 go, but then not n2, which can take what was to go to n3.
#[test]
fn guests_of_a_node_that_is_drained_later_move_on() {
    let snapshot = World::default()
        .nodes(["n1", "n2", "n3"].map(|name| host(name, "a")))
        .pods([running("a", "web", "n1", shape(1000, 1)), running("b", "web", "n2", shape(1000, 1))])
        .pods([running("c", "c", "n3", shape(500, 1))])
        .budgets([budget("web", "web", 1)])
        .build();
    let plan = plan(&snapshot);
    assert_eq!(drained(&snapshot, &plan), ["n1", "n3"]);
    assert_eq!(moves(&snapshot, &plan), pairs(&[("a", "n2"), ("c", "n2")]));
}

#[test]
fn pods_go_where_nothing_will_be_drained_before_they_go_elsewhere() {
    let snapshot = World::default()
        .nodes(["n1", "n2", "n3", "n4"].map(|name| host(name, "a")))
        .pods(["n1", "n2", "n4"].map(|at| running(&format!("on-{at}"), at, at, shape(1500, 1))))
        .pods([pinned("p", "n3", 2000)])
        .build();
    let plan = plan(&snapshot);
    assert_eq!(drained(&snapshot, &plan), ["n1", "n2"]);
    assert_eq!(moves(&snapshot, &plan), pairs(&[("on-n1", "n3"), ("on-n2", "n4")]));
}

#[test]
fn a_node_whose_pods_no_policy_orders_gives_its_room_back() {
    let snapshot = World::default()
        .nodes(["n1", "n2", "n3"].map(|name| host(name, "a")))
        .pods(["a", "b"].map(|name| running(name, name, if name == "a" { "n1" } else { "n2" }, shape(3000, 1))))
        .pods([pinned("p", "n3", 1000)])
        .build();
    let plan = plan_beside(&snapshot, &ScaleUpConfig::default(), &Eager("n1"));
    assert_eq!(kept(&snapshot, &plan, "n1").0, "PolicyFailed");
    assert_eq!(moves(&snapshot, &plan), pairs(&[("b", "n3")]));
}

// === Whatever there is ===

fn ruled(kind: u32, app: &str, cpu: u64) -> PodShape {
    with(cpu, |shape| {
        let rules = &mut shape.inter_pod;
        match kind {
            0 => rules.spread = vec![spread(app, well_known::ZONE, 1)],
            1 => rules.spread = vec![spread(app, well_known::HOSTNAME, 2), spread(app, well_known::ZONE, 2)],
            2 => rules.anti_affinity = vec![term(app, well_known::HOSTNAME)],
            3 => rules.affinity = vec![term(app, well_known::ZONE)],
            4 => rules.affinity = vec![term("web", well_known::ZONE)],
            5 => rules.anti_affinity = vec![term("db", well_known::ZONE)],
            6 => rules.spread = vec![SpreadConstraint { min_domains: Some(3), ..spread(app, well_known::ZONE, 3) }],
            _ => {}
        }
    })
}

proptest! {
    /// Once the nodes are gone and the pods are where the plan has them, a scheduler that sees all this for the first
    /// time would put every moved pod there.
    #[test]
    fn what_moved_fits_where_it_went(
        pods in prop::collection::vec((0u32..8, 0u32..14, 0usize..3, 200u64..1500), 1..30),
    ) {
        let nodes: Vec<Node> = (0..8).map(|i| host(&format!("n{i}"), ["a", "b", "c"][i % 3])).collect();
        let apps = ["web", "db", "job"];
        let mut all: Vec<Pod> = pods.iter().enumerate().map(|(i, &(at, kind, app, cpu))| {
            running(&format!("p{i:02}"), apps[app], &format!("n{at}"), ruled(kind, apps[app], cpu))
        }).collect();
        let daemons = (0..8).map(|i| {
            Pod { owner: owner("DaemonSet", "web"), ..running(&format!("d{i}"), "web", &format!("n{i}"), shape(10, 0)) }
        });
        all.extend(daemons);
        let before = World::default().nodes(nodes.clone()).pods(all.clone()).build();
        let plan = plan(&before);
        let gone: HashSet<&str> = plan.drains.iter().map(|drain| before.node(drain.node).name.as_str()).collect();
        let evicted: usize = plan.drains.iter().map(|drain| drain.evictions.len()).sum();
        prop_assert_eq!(plan.moves.len(), evicted, "every evicted pod has a place");
        for &(pod, to) in &plan.moves {
            let pod = before.pod(pod);
            let known = all.iter_mut().find(|known| known.name == pod.name).unwrap();
            known.node = Some(before.node(to).name.clone());
        }
        let left = nodes.into_iter().filter(|node| !gone.contains(node.name.as_str()));
        let staying = all.into_iter().filter(|pod| !gone.contains(pod.node.as_ref().unwrap().as_str()));
        let after = World::default().nodes(left).pods(staying).build();
        let mut simulation = Simulation::new(&after);
        for &(pod, _) in &plan.moves {
            let (id, pod) = after.find_pod("shop", &before.pod(pod).name).unwrap();
            let (class, node) = simulation.placed(id).unwrap();
            simulation.prepare(&[class]);
            prop_assert!(simulation.still_fits(class, node), "{} on {}", pod.name, after.node(node).name);
        }
    }
}
