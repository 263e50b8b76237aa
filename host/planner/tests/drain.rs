//! Scale-down through its public face: who is a candidate, what an answer may do, and why nodes stay.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{Millis, Node, NodeGroup, Pod, Snapshot, well_known};
use plimsoll_planner::drain::{
    Cause, History, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion, ScaleDownConfig, ScaleDownPlan,
    plan_scale_down,
};
use plimsoll_planner::scale_up::ScaleUpConfig;
use plimsoll_planner::{Asked, DrainPolicy};
use plimsoll_scheduler::Simulation;
use proptest::prelude::*;

type Nodes = dyn Fn(&NodesQuestion) -> Option<NodesVerdict>;
type Pods = dyn Fn(&PodsQuestion) -> Option<Vec<PodTurn>>;

struct Scripted<'a> {
    nodes: &'a Nodes,
    pods: &'a Pods,
    asked: RefCell<Vec<NodesQuestion>>,
}

impl DrainPolicy for Scripted<'_> {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        self.asked.borrow_mut().push(question.clone());
        Asked { verdict: (self.nodes)(question), calls: vec![] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        Asked { verdict: (self.pods)(question), calls: vec![] }
    }
}

fn choice(node: u32) -> NodeChoice {
    NodeChoice { node, reason: "because".to_owned() }
}

fn all(question: &NodesQuestion) -> Option<NodesVerdict> {
    let drain = question.candidates.iter().map(|candidate| choice(candidate.node.0)).collect();
    Some(NodesVerdict::Order { drain, keep: vec![] })
}

fn in_order(question: &PodsQuestion) -> Option<Vec<PodTurn>> {
    Some(question.pods.iter().map(|pod| PodTurn { pod: pod.pod.0, wait: None, reason: String::new() }).collect())
}

fn managed(groups: Vec<NodeGroup>) -> ScaleDownConfig {
    ScaleDownConfig { groups: Some(groups), max_percentage: 100, ..ScaleDownConfig::default() }
}

fn plan_with(
    snapshot: &Arc<Snapshot>,
    config: &ScaleDownConfig,
    nodes: &Nodes,
    pods: &Pods,
) -> (ScaleDownPlan, Vec<NodesQuestion>) {
    let policy = Scripted { nodes, pods, asked: RefCell::default() };
    let mut simulation = Simulation::new(snapshot);
    let plan = plan_scale_down(
        snapshot,
        &mut simulation,
        &ScaleUpConfig::default(),
        config,
        &History::default(),
        NOW,
        &policy,
    );
    (plan, policy.asked.into_inner())
}

fn plan(snapshot: &Arc<Snapshot>, config: &ScaleDownConfig) -> ScaleDownPlan {
    plan_with(snapshot, config, &all, &in_order).0
}

fn drained(snapshot: &Snapshot, plan: &ScaleDownPlan) -> Vec<String> {
    plan.drains.iter().map(|drain| snapshot.node(drain.node).name.to_string()).collect()
}

fn kept(snapshot: &Snapshot, plan: &ScaleDownPlan) -> HashMap<String, &'static str> {
    plan.kept.iter().map(|kept| (snapshot.node(kept.node).name.to_string(), kept.reason.label())).collect()
}

/// A group of 0 to 10 that owns nodes n1 and n2; n2 runs one small pod as `change` makes it, n1 has room.
fn why_kept(change: impl Fn(&mut Node, &mut Pod, &mut ScaleDownConfig)) -> &'static str {
    let mut config = managed(vec![group("general", 0, 10)]);
    let mut pod = running("web", "web", "n2", shape(500, 1));
    let mut second = node("n2", "general", "a");
    change(&mut second, &mut pod, &mut config);
    let mut busy = running("busy", "busy", "n1", shape(2000, 1));
    busy.annotations = labels(&[(well_known::SAFE_TO_EVICT, "false")]);
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), second])
        .pods([pod, busy])
        .budgets([
            budget("busy", "busy", 0),
            budget("one", "strict", 0),
            budget("two", "double", 9),
            budget("three", "double", 9),
        ])
        .build();
    let plan = plan(&snapshot, &config);
    let kept = kept(&snapshot, &plan);
    assert_eq!(kept.len() + plan.drains.len(), 2, "every node is accounted for");
    kept.get("n2").copied().unwrap_or("drained")
}

#[test]
fn every_rule_keeps_its_node() {
    assert_eq!(why_kept(|_, _, _| {}), "drained");
    assert_eq!(why_kept(|_, _, config| config.enabled = false), "ScaleDownDisabled");
    assert_eq!(why_kept(|_, _, config| config.unknown = Some("a pod is broken".into())), "PodsUnknown");
    assert_eq!(why_kept(|node, _, _| node.labels = labels(&[(well_known::CONTROL_PLANE[0], "")])), "ControlPlane");
    assert_eq!(why_kept(|node, _, _| node.labels = labels(&[(well_known::NODE_GROUP[0], "else")])), "NotManaged");
    assert_eq!(why_kept(|node, _, _| node.deleting = true), "BeingDeleted");
    assert_eq!(why_kept(|node, _, _| node.ready = false), "NotReady");
    assert_eq!(why_kept(|_, _, config| config.groups = Some(vec![group("general", 2, 10)])), "NodeGroupMinReached");
    let restricted = NodeGroup { restrict_scale_down: true, ..group("general", 0, 10) };
    assert_eq!(why_kept(|_, _, config| config.groups = Some(vec![restricted.clone()])), "GroupRestricted");
    assert_eq!(
        why_kept(|_, pod, _| pod.labels = labels(&[(well_known::RESTRICT_SCALE_DOWN, "true")])),
        "RestrictScaleDown"
    );
    assert_eq!(why_kept(|_, pod, _| pod.labels = labels(&[(well_known::RESTRICT_SCALE_DOWN, "True")])), "drained");
    assert_eq!(
        why_kept(|_, pod, _| pod.annotations = labels(&[(well_known::SAFE_TO_EVICT, "false")])),
        "NotSafeToEvict"
    );
    assert_eq!(why_kept(|_, pod, _| pod.owner = None), "BarePod");
    let evict_bare = |_: &mut Node, pod: &mut Pod, config: &mut ScaleDownConfig| {
        pod.owner = None;
        config.evict_bare_pods = true;
    };
    assert_eq!(why_kept(evict_bare), "drained");
    assert_eq!(why_kept(|_, pod, _| pod.labels = labels(&[("app", "strict")])), "PdbBlocked");
    assert_eq!(why_kept(|_, pod, _| pod.labels = labels(&[("app", "double")])), "MultiplePdbs");
    let careless = |_: &mut Node, pod: &mut Pod, config: &mut ScaleDownConfig| {
        pod.labels = labels(&[("app", "strict")]);
        config.respect_budgets = false;
    };
    assert_eq!(why_kept(careless), "drained");
    assert_eq!(why_kept(|_, pod, _| pod.shape = Arc::new(shape(3000, 1))), "NoPlaceToMovePods");
    let devices = plimsoll_model::PodShape { resource_claims: true, ..shape(500, 1) };
    assert_eq!(why_kept(|_, pod, _| pod.shape = Arc::new(devices.clone())), "DevicesNotSimulated");
    let volume = |_: &mut Node, pod: &mut Pod, _: &mut ScaleDownConfig| {
        pod.volumes.claims = true;
        pod.claims = ["data".into()].into();
    };
    assert_eq!(why_kept(volume), "VolumesUnknown");
}

#[test]
fn daemon_mirror_and_finished_pods_do_not_count() {
    let kinds = |change: fn(&mut Pod)| {
        why_kept(move |_, pod, _| {
            pod.shape = Arc::new(shape(3900, 1));
            change(pod);
        })
    };
    assert_eq!(kinds(|pod| pod.owner = owner("DaemonSet", "agent")), "drained");
    assert_eq!(kinds(|pod| pod.annotations = labels(&[(well_known::MIRROR_POD, "x")])), "drained");
    assert_eq!(kinds(|pod| pod.phase = plimsoll_model::Phase::Succeeded), "drained");
}

#[test]
fn nodes_chosen_together_do_not_count_on_each_other() {
    // Each of the two could move to the other or to n3; n3 has room for one of them only.
    let snapshot = World::default()
        .nodes(["n1", "n2", "n3"].map(|name| node(name, "general", "a")))
        .pods([
            running("a", "a", "n1", shape(2000, 1)),
            running("b", "b", "n2", shape(2000, 1)),
            running("c", "c", "n3", shape(2000, 1)),
        ])
        .build();
    let plan = plan(&snapshot, &managed(vec![group("general", 0, 10)]));
    assert_eq!(drained(&snapshot, &plan), ["n1"]);
    assert_eq!(kept(&snapshot, &plan)["n2"], "NoPlaceToMovePods");
}

/// Even a pod that tolerates everything is not moved there: somebody cordoned the node for a reason.
#[test]
fn a_cordoned_node_may_go_but_takes_no_pods() {
    let cordoned = Node { unschedulable: true, ..node("n1", "general", "a") };
    let mut tolerant = shape(2500, 1);
    tolerant.tolerations = vec![plimsoll_model::Toleration { key: None, value: None, effect: None }];
    let moving = running("moving", "moving", "n2", tolerant);
    let world = || World::default().nodes([cordoned.clone(), node("n2", "general", "a")]).pods([moving.clone()]);
    let config = managed(vec![group("general", 0, 10)]);
    let empty = world().build();
    assert_eq!(drained(&empty, &plan(&empty, &config)), ["n1"]);
    let bare = Pod { owner: None, ..running("bare", "bare", "n1", shape(100, 1)) };
    let staying = world().pods([bare]).build();
    assert_eq!(kept(&staying, &plan(&staying, &config))["n2"], "NoPlaceToMovePods");
}

#[test]
fn a_budget_counts_every_node_that_leaves() {
    let snapshot = World::default()
        .nodes(["n1", "n2", "n3"].map(|name| node(name, "general", "a")))
        .pods([running("a", "web", "n1", shape(100, 1)), running("b", "web", "n2", shape(100, 1))])
        .budgets([budget("web", "web", 1)])
        .build();
    let plan = plan(&snapshot, &managed(vec![group("general", 0, 10)]));
    assert_eq!(drained(&snapshot, &plan), ["n1", "n3"]);
    assert_eq!(kept(&snapshot, &plan)["n2"], "PdbBlocked");
}

#[test]
fn the_cap_is_a_percentage_and_never_zero() {
    for (nodes, percentage, expected) in [(50, 10, 5), (5, 10, 1), (7, 50, 3), (3, 100, 2)] {
        let all: Vec<Node> = (0..nodes).map(|i| node(&format!("n{i:02}"), "general", "a")).collect();
        let pod = running("busy", "busy", "n00", shape(3900, 1));
        let restrict = labels(&[(well_known::RESTRICT_SCALE_DOWN, "true")]);
        let snapshot = World::default().nodes(all).pods([Pod { labels: restrict, ..pod }]).build();
        let config = ScaleDownConfig { max_percentage: percentage, ..managed(vec![group("general", 0, 99)]) };
        let plan = plan(&snapshot, &config);
        assert_eq!(plan.drains.len(), expected, "{percentage} % of {nodes}");
        let capped = kept(&snapshot, &plan).values().filter(|reason| **reason == "DrainCapReached").count();
        assert_eq!(capped, nodes - 1 - expected);
    }
}

#[test]
fn room_for_pending_pods_is_not_taken_away() {
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), node("n2", "general", "a")])
        .pods([running("busy", "busy", "n1", shape(3900, 1)), pending("web", "web", shape(1000, 1))])
        .build();
    let plan = plan(&snapshot, &managed(vec![group("general", 0, 10)]));
    assert_eq!(kept(&snapshot, &plan)["n2"], "NeededByPendingPods");
}

#[test]
fn without_any_pods_nothing_is_called_empty() {
    let snapshot = World::default().nodes([node("n1", "general", "a")]).build();
    assert_eq!(kept(&snapshot, &plan(&snapshot, &ScaleDownConfig::default()))["n1"], "PodsUnknown");
}

#[test]
fn candidates_carry_what_a_policy_weighs() {
    let mut warm = running("warm", "warm", "n2", shape(1000, 2));
    warm.labels = labels(&[("app", "warm"), (well_known::PRE_EVICTION_WARMUP, "90s")]);
    warm.priority_class = Some("system-cluster-critical".into());
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), node("n2", "general", "a")])
        .pods([running("busy", "busy", "n1", shape(2500, 1)), warm])
        .build();
    let (plan, asked) = plan_with(&snapshot, &managed(vec![group("general", 0, 10)]), &all, &in_order);
    let candidate = asked[0].candidates.iter().find(|candidate| candidate.name == "n2").unwrap();
    assert_eq!((candidate.pods, candidate.critical_pods, candidate.single_replicas), (1, 1, 1));
    assert_eq!((candidate.cpu_permille, candidate.memory_permille), (250, 125));
    assert_eq!(candidate.longest_warmup, Some(Millis(90_000)));
    assert_eq!(candidate.savings.unwrap().0, 192_000);
    assert_eq!(candidate.age, Some(Millis(86_400_000)));
    assert_eq!(candidate.cause, Cause::Underutilized);
    let n2 = plan.drains.iter().find(|drain| snapshot.node(drain.node).name == "n2").map(|drain| &drain.evictions);
    // Both single pods fit on the other node, so the first in order goes and the other stays.
    assert!(n2.is_none());
    assert_eq!(drained(&snapshot, &plan), ["n1"]);
}

#[test]
fn pods_carry_what_a_policy_weighs() {
    let mut web = running("web-1", "web", "n2", shape(100, 1));
    web.volumes.local = true;
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), node("n2", "general", "a")])
        .pods([web, running("web-2", "web", "n1", shape(100, 1)), running("solo", "solo", "n2", shape(100, 1))])
        .budgets([budget("web", "web", 2)])
        .build();
    let seen: Rc<RefCell<Vec<PodsQuestion>>> = Rc::default();
    let keep = seen.clone();
    let pods = move |question: &PodsQuestion| {
        keep.borrow_mut().push(question.clone());
        in_order(question)
    };
    plan_with(&snapshot, &managed(vec![group("general", 0, 10)]), &all, &pods);
    let seen = seen.borrow();
    let pod = |name: &str| seen.iter().flat_map(|q| &q.pods).find(|pod| &*pod.name == name).unwrap();
    // The first node in order goes; the other has to take its pods.
    assert_eq!(seen.len(), 1);
    let facts = pod("web-2");
    assert_eq!((facts.replicas, facts.single_replica, facts.disruptions_allowed), (Some(2), false, Some(2)));
    assert_eq!((facts.volumes.local, facts.volumes.claims), (false, false));
}

#[test]
fn nobody_answers_and_nothing_happens() {
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), node("n2", "general", "a")])
        .pods([running("web", "web", "n2", shape(100, 1))])
        .build();
    let config = managed(vec![group("general", 0, 10)]);
    let (silent, _) = plan_with(&snapshot, &config, &|_| None, &in_order);
    assert!(silent.drains.is_empty());
    assert_eq!(kept(&snapshot, &silent)["n1"], "PolicyFailed");
    let (no_turns, _) = plan_with(&snapshot, &config, &all, &|_| None);
    assert_eq!(drained(&snapshot, &no_turns), ["n1"], "an empty node needs no order of pods");
    assert_eq!(kept(&snapshot, &no_turns)["n2"], "NoPlaceToMovePods");
    let hold = |_: &NodesQuestion| Some(NodesVerdict::Hold("business hours".to_owned()));
    let (held, _) = plan_with(&snapshot, &config, &hold, &in_order);
    assert!(held.kept.iter().all(|kept| kept.detail == "business hours"));
}

proptest! {
    /// Promise 1: whatever a policy answers, no protected node leaves, no budget and no cap is passed, and
    /// every evicted pod fits on the nodes that stay.
    #[test]
    fn no_answer_breaks_a_rule(
        drain in prop::collection::vec(0u32..14, 0..20),
        keep in prop::collection::vec(0u32..14, 0..4),
        sizes in prop::collection::vec((0u32..10, 200u64..2500, 0u32..3), 0..24),
        allowed in 0u32..4,
        percentage in 1u32..=100,
        minimum in 0u32..6,
    ) {
        let nodes = (0..10).map(|i| node(&format!("n{i}"), "general", if i % 2 == 0 { "a" } else { "b" }));
        let pods = sizes.iter().enumerate().map(|(i, (node, cpu, kind))| {
            let mut pod = running(&format!("p{i:02}"), if *kind == 0 { "web" } else { "free" }, &format!("n{node}"), shape(*cpu, 1));
            if *kind == 2 {
                pod.labels = labels(&[(well_known::RESTRICT_SCALE_DOWN, "true")]);
            }
            pod
        });
        let snapshot = World::default().nodes(nodes).pods(pods).budgets([budget("web", "web", allowed)]).build();
        let config = ScaleDownConfig { max_percentage: percentage, ..managed(vec![group("general", minimum, 10)]) };
        let answer = move |_: &NodesQuestion| Some(NodesVerdict::Order {
            drain: drain.iter().map(|node| choice(*node)).collect(),
            keep: keep.iter().map(|node| choice(*node)).collect(),
        });
        let (plan, _) = plan_with(&snapshot, &config, &answer, &|_| Some(vec![]));
        prop_assert!(plan.drains.len() <= (10 * percentage as usize / 100).max(1));
        prop_assert!(10 - plan.drains.len() >= minimum as usize);
        let gone: HashSet<_> = plan.drains.iter().map(|drain| drain.node).collect();
        prop_assert_eq!(gone.len(), plan.drains.len(), "no node twice");
        prop_assert_eq!(plan.drains.len() + plan.kept.len(), snapshot.node_count(), "every node is accounted for");
        let evicted: Vec<_> = plan.drains.iter().flat_map(|drain| &drain.evictions).map(|e| snapshot.pod(e.pod)).collect();
        prop_assert!(evicted.iter().all(|pod| pod.labels.get(well_known::RESTRICT_SCALE_DOWN).is_none()));
        prop_assert!(evicted.iter().filter(|pod| *pod.labels.get("app").unwrap() == "web").count() <= allowed as usize);
        let on_gone = |pod: &Pod| pod.node.as_ref().and_then(|name| snapshot.find_node(name)).is_some_and(|(id, _)| gone.contains(&id));
        prop_assert_eq!(evicted.len(), snapshot.pods().filter(|(_, pod)| on_gone(pod)).count(), "every pod has its turn");
        let free: u64 = snapshot.nodes().filter(|(id, _)| !gone.contains(id))
            .map(|(id, node)| node.allocatable.cpu.0.saturating_sub(snapshot.requested_on(id).cpu.0)).sum();
        prop_assert!(evicted.iter().map(|pod| pod.shape.requests.cpu.0).sum::<u64>() <= free);
    }
}
