//! Plans that see nodes on their way: as rows that count like nodes, and that nobody takes for nodes.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::sync::Arc;

use fixture::*;
use plimsoll_model::{
    Bytes, DaemonSet, LabelSelector, Lifecycle, MilliCpu, Node, NodeInclusion, Pod, Snapshot, SpreadConstraint, Taint,
    TaintEffect, Timestamp, Uid, well_known,
};
use plimsoll_planner::drain::{
    History, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion, ScaleDownConfig, plan_scale_down,
};
use plimsoll_planner::explain::PodExplainer;
use plimsoll_planner::launch::{InventoryFacts, LAUNCH_LABEL, LaunchFailure, LaunchOutcome, Ledger, LedgerRules};
use plimsoll_planner::scale_up::{
    Choice, ClusterLimits, ScaleUpConfig, ScaleUpPlan, ScaleUpQuestion, ScaleUpVerdict, launch_requests, plan_scale_up,
};
use plimsoll_planner::{Asked, DrainPolicy, ScaleUpPolicy};
use plimsoll_scheduler::Simulation;

const MINUTE: u64 = 60_000;

/// Launches the first option in full, and drains everything.
struct Eager;

impl ScaleUpPolicy for Eager {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        let choice = Choice { option: 0, count: question.options[0].nodes, reason: String::new() };
        Asked { verdict: Some(ScaleUpVerdict::Launch(vec![choice])), calls: vec![] }
    }
}

impl DrainPolicy for Eager {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let choice = |node: u32| NodeChoice { node, reason: String::new() };
        let drain = question.candidates.iter().map(|candidate| choice(candidate.node.0)).collect();
        Asked { verdict: Some(NodesVerdict::Order { drain, keep: vec![] }), calls: vec![] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let turn = |pod: u32| PodTurn { pod, wait: None, reason: String::new() };
        Asked { verdict: Some(question.pods.iter().map(|pod| turn(pod.pod.0)).collect()), calls: vec![] }
    }
}

fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoSchedule }
}

fn config(max: u32) -> ScaleUpConfig {
    ScaleUpConfig { groups: vec![group("general", 0, max)], ..Default::default() }
}

fn plan(snapshot: &Arc<Snapshot>, config: &ScaleUpConfig, now: Timestamp) -> ScaleUpPlan {
    plan_scale_up(snapshot, &mut Simulation::new(snapshot), config, now, &Eager)
}

fn reasons(snapshot: &Snapshot, plan: &ScaleUpPlan) -> Vec<String> {
    let told = |pending: &plimsoll_planner::scale_up::PendingPod| {
        format!("{} {}", snapshot.pod(pending.pod).name, pending.reason.label())
    };
    plan.pending.iter().map(told).collect()
}

fn launches(plan: &ScaleUpPlan) -> Vec<String> {
    plan.launches.iter().map(|launch| format!("{} {} {}", launch.count, launch.instance_type, launch.zone)).collect()
}

fn ledger() -> Ledger {
    Ledger::new("prod".into(), LedgerRules::default())
}

/// The plan's launches, noted and accepted.
fn launch(ledger: &mut Ledger, config: &ScaleUpConfig, plan: &ScaleUpPlan, now: Timestamp) {
    for intent in ledger.intend(launch_requests(config, &plan.launches), now, &"d-1".into(), 1) {
        assert!(ledger.baseline(&intent.id, None, now));
        ledger.outcome(&intent.id, LaunchOutcome::Accepted { nodes: vec![] }, config, now);
    }
}

fn web(count: u32, cpu: u64) -> Vec<Pod> {
    (0..count).map(|at| pending(&format!("web-{at}"), "web", shape(cpu, 1))).collect()
}

fn world(nodes: &[Node], pods: &[Pod], rows: Vec<Node>) -> Arc<Snapshot> {
    World::default().nodes(nodes.to_vec()).nodes(rows).pods(pods.to_vec()).build()
}

#[test]
fn a_row_is_what_the_node_will_be() {
    let mut config = config(9);
    let group = &mut config.groups[0];
    group.taints = vec![taint("team")];
    group.startup.taints = vec![taint("net")];
    group.labels = [("tier", "web")].into_iter().collect();
    let mut tolerant = shape(300, 1);
    tolerant.tolerations = vec![plimsoll_model::Toleration { key: Some("team".into()), value: None, effect: None }];
    let daemon = |name: &str, shape| DaemonSet {
        namespace: "kube-system".into(),
        name: name.into(),
        uid: Uid::parse(name),
        labels: Arc::default(),
        shape: Arc::new(shape),
        priority_class: None,
    };
    let mut world = World::default();
    world.builder.add_daemon_set(daemon("logs", tolerant));
    world.builder.add_daemon_set(daemon("elsewhere", shape(500, 1)));
    let snapshot = world.build();
    let mut ledger = ledger();
    let wanted = plimsoll_planner::scale_up::PlannedLaunch {
        group: "general".into(),
        instance_type: "m5.xlarge".into(),
        zone: "b".into(),
        lifecycle: Lifecycle::OnDemand,
        count: 2,
        pods: vec![],
        headroom: 0,
        price: None,
        reason: String::new(),
    };
    let intents = ledger.intend(launch_requests(&config, &[wanted]), NOW, &"d-1".into(), 1);
    let rows = ledger.launching_nodes(&config, &snapshot, Timestamp(NOW.0 + 5));
    let row = &rows[1];
    let id = &intents[0].id.0;
    assert_eq!(row.name, format!("launch/{id}/1").as_str());
    let label = |key: &str| row.labels.get(key).map_or("", |value| value.as_str());
    assert_eq!((label(LAUNCH_LABEL), label(well_known::HOSTNAME)), (id.as_str(), row.name.as_str()));
    assert_eq!((label("tier"), label(well_known::ZONE), label(well_known::NODE_GROUP[0])), ("web", "b", "general"));
    assert_eq!(row.taints, [taint("team")], "startup taints will be gone");
    let free = &row.allocatable;
    assert_eq!((free.cpu, free.memory, free.pods), (MilliCpu(3700), Bytes(15 << 30), 19));
    assert!(row.launching && !row.ready && !row.deleting && !row.unschedulable);
    assert_eq!(row.created, Some(NOW));
    assert_eq!(rows.iter().map(|row| &row.uid).collect::<std::collections::HashSet<_>>().len(), 2);
    // What is no longer configured is still a node that comes.
    config.groups[0].instance_types.clear();
    let rows = ledger.launching_nodes(&config, &snapshot, NOW);
    assert_eq!((rows.len(), rows[0].allocatable.cpu), (2, MilliCpu(0)));
    assert_eq!(rows[0].group_label().unwrap(), "general");
}

#[test]
fn pods_wait_for_launched_nodes_until_these_are_given_up() {
    let (config, mut ledger) = (config(9), ledger());
    let pods = web(6, 1500);
    let first = plan(&world(&[], &pods, vec![]), &config, NOW);
    assert_eq!(launches(&first), ["3 m5.xlarge a"]);
    launch(&mut ledger, &config, &first, NOW);
    for minutes in [0, 1, 10, 14] {
        let now = Timestamp(NOW.0 + minutes * MINUTE);
        let bare = world(&[], &pods, vec![]);
        ledger.observe(&bare, &InventoryFacts::default(), &config, now);
        let snapshot = world(&[], &pods, ledger.launching_nodes(&config, &bare, now));
        let again = plan(&snapshot, &config, now);
        assert_eq!(launches(&again), [] as [&str; 0], "{minutes} min: whatever the startup grace");
        assert_eq!(again.pending.len(), 6);
        assert!(again.pending.iter().all(|pending| pending.reason.label() == "NodeLaunching"));
        let detail = &again.pending[0].detail;
        let id = &ledger.open().next().unwrap().id;
        let expected =
            format!("a node of group general, m5.xlarge in a, was launched and has not joined yet (launch {id})");
        assert_eq!(*detail, expected);
    }
    // One joins, and takes its row's place.
    let now = Timestamp(NOW.0 + 14 * MINUTE);
    let mut joined = node("n1", "general", "a");
    joined.created = Some(now);
    let bare = world(&[joined.clone()], &pods, vec![]);
    ledger.observe(&bare, &InventoryFacts::default(), &config, now);
    let snapshot = world(&[joined], &pods, ledger.launching_nodes(&config, &bare, now));
    assert_eq!(snapshot.node_count(), 3);
    let again = plan(&snapshot, &config, now);
    let counts = |label| again.pending.iter().filter(|pending| pending.reason.label() == label).count();
    assert_eq!((counts("FitsExistingNode"), counts("NodeLaunching")), (2, 4));
    // The others do not, and another zone is tried.
    let now = Timestamp(NOW.0 + 15 * MINUTE);
    ledger.observe(&bare, &InventoryFacts::default(), &config, now);
    let config = ScaleUpConfig { blocked: ledger.blocks(now), ..config };
    let again = plan(&bare, &config, now);
    assert_eq!(launches(&again), ["2 m5.xlarge b"]);
}

#[test]
fn the_next_plan_falls_back_after_a_failure() {
    let (mut config, mut ledger) = (config(9), ledger());
    config.groups[0].instance_types.push(instance_type("r5.xlarge", 4, 32, 252));
    let snapshot = world(&[], &web(2, 1500), vec![]);
    let mut tried = Vec::new();
    for failure in [LaunchFailure::NoCapacity, LaunchFailure::Quota, LaunchFailure::NoCapacity] {
        config.blocked = ledger.blocks(NOW);
        let plan = plan(&snapshot, &config, NOW);
        tried.extend(launches(&plan));
        let decision = format!("d-{}", tried.len()).into();
        for intent in ledger.intend(launch_requests(&config, &plan.launches), NOW, &decision, 1) {
            ledger.outcome(&intent.id, LaunchOutcome::Failed(failure("none".to_owned())), &config, NOW);
        }
    }
    assert_eq!(tried, ["1 m5.xlarge a", "1 m5.xlarge b", "1 r5.xlarge a"]);
    config.blocked = ledger.blocks(NOW);
    assert_eq!(launches(&plan(&snapshot, &config, NOW)), ["1 r5.xlarge b"]);
    ledger.intend(launch_requests(&config, &plan(&snapshot, &config, NOW).launches), NOW, &"d-9".into(), 1);
    let last = ledger.open().last().unwrap().id.clone();
    ledger.outcome(&last, LaunchOutcome::Failed(LaunchFailure::Invalid("bad image".to_owned())), &config, NOW);
    config.blocked = ledger.blocks(NOW);
    assert_eq!(reasons(&snapshot, &plan(&snapshot, &config, NOW)), ["web-0 LaunchFailed", "web-1 LaunchFailed"]);
    let later = Timestamp(NOW.0 + 5 * MINUTE);
    assert_eq!(launches(&plan(&snapshot, &config, later)), ["1 m5.xlarge a"]);
}

#[test]
fn rows_count_in_limits_and_sizes_as_when_they_were_chosen() {
    let mut config = config(3);
    let mut ledger = ledger();
    let pods = web(6, 3000);
    let daemons = |pods: &[Pod], rows: Vec<Node>| {
        let mut world = World::default().nodes(rows).pods(pods.to_vec());
        world.builder.add_daemon_set(DaemonSet {
            namespace: "kube-system".into(),
            name: "logs".into(),
            uid: Uid::parse("logs"),
            labels: Arc::default(),
            shape: Arc::new(shape(900, 1)),
            priority_class: None,
        });
        world.build()
    };
    let bare = daemons(&pods, vec![]);
    launch(&mut ledger, &config, &plan(&bare, &config, NOW), NOW);
    let snapshot = daemons(&pods, ledger.launching_nodes(&config, &bare, NOW));
    assert_eq!(snapshot.node_count(), 3);
    let full = plan(&snapshot, &config, NOW);
    let counts = |plan: &ScaleUpPlan, label| plan.pending.iter().filter(|p| p.reason.label() == label).count();
    assert_eq!((counts(&full, "NodeLaunching"), counts(&full, "NodeGroupMaxReached")), (3, 3));
    // 3 × 4 cores are launched. Had DaemonSets' part been left out, there would be room for one more under 15 cores.
    config.groups[0].max = 100;
    config.limits = ClusterLimits { max_cpu: MilliCpu(15_000), ..ClusterLimits::default() };
    let limited = plan(&snapshot, &config, NOW);
    assert_eq!((limited.launches.len(), counts(&limited, "ClusterLimitReached")), (0, 3));
}

#[test]
fn nodes_that_are_there_come_first() {
    let (config, mut ledger) = (config(9), ledger());
    let pods = web(4, 1500);
    launch(&mut ledger, &config, &plan(&world(&[], &pods[..2], vec![]), &config, NOW), NOW);
    let there = [node("zz", "general", "b")];
    let rows = ledger.launching_nodes(&config, &world(&there, &pods, vec![]), NOW);
    let snapshot = world(&there, &pods, rows);
    let plan = plan(&snapshot, &config, NOW);
    assert_eq!(
        reasons(&snapshot, &plan),
        ["web-0 FitsExistingNode", "web-1 FitsExistingNode", "web-2 NodeLaunching", "web-3 NodeLaunching"]
    );
}

#[test]
fn rows_are_domains_of_topology_spread() {
    let (mut config, mut ledger) = (config(9), ledger());
    let mut spread = shape(3000, 1);
    spread.inter_pod.spread = vec![SpreadConstraint {
        topology_key: well_known::ZONE.into(),
        max_skew: 1,
        min_domains: Some(1),
        selector: Some(LabelSelector { match_labels: [("app", "web")].into_iter().collect(), ..Default::default() }),
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }];
    let pods: Vec<Pod> = (0..4).map(|at| pending(&format!("web-{at}"), "web", spread.clone())).collect();
    let bare = world(&[], &pods, vec![]);
    let mut both = Vec::new();
    // Once in each zone.
    for zone in ["a", "b"] {
        config.groups[0].zones = vec![zone.into()];
        let first = plan(&world(&[], &web(2, 3000), vec![]), &config, NOW);
        both.extend(launch_requests(&config, &first.launches));
    }
    config.groups[0].zones = vec!["a".into(), "b".into()];
    for intent in ledger.intend(both, NOW, &"d-1".into(), 1) {
        ledger.baseline(&intent.id, None, NOW);
        ledger.outcome(&intent.id, LaunchOutcome::Accepted { nodes: vec![] }, &config, NOW);
    }
    let snapshot = world(&[], &pods, ledger.launching_nodes(&config, &bare, NOW));
    let plan = plan(&snapshot, &config, NOW);
    assert_eq!(launches(&plan), [] as [&str; 0]);
    assert!(plan.pending.iter().all(|pending| pending.reason.label() == "NodeLaunching"), "{:?}", plan.pending);
}

#[test]
fn scale_down_neither_takes_rows_nor_relies_on_them() {
    let (config, mut ledger) = (config(9), ledger());
    let nodes = [node("n1", "general", "a"), node("n2", "general", "b")];
    let pods = [running("a", "web", "n1", shape(3000, 1)), running("b", "web", "n2", shape(3000, 1))];
    let wanted = plan(&world(&[], &web(1, 1000), vec![]), &config, NOW);
    launch(&mut ledger, &config, &wanted, NOW);
    let rows = ledger.launching_nodes(&config, &world(&nodes, &pods, vec![]), NOW);
    assert_eq!(rows.len(), 1);
    let scale_down = |snapshot: &Arc<Snapshot>, min: u32| {
        let mut group = config.groups[0].clone();
        group.min = min;
        let down = ScaleDownConfig { groups: Some(vec![group]), max_percentage: 100, ..ScaleDownConfig::default() };
        let mut simulation = Simulation::new(snapshot);
        let plan = plan_scale_down(snapshot, &mut simulation, &config, &down, &History::default(), NOW, &Eager);
        let kept = plan.kept.iter();
        let kept: Vec<String> = kept
            .map(|kept| format!("{} {}: {}", snapshot.node(kept.node).name, kept.reason.label(), kept.detail))
            .collect();
        (plan.drains.len(), kept)
    };
    let snapshot = world(&nodes, &pods, rows.clone());
    let pod = |name| format!("pod shop/{name} (3 cpu, 1Gi memory): 0/1 other nodes take it: 1 NodeResourcesFit");
    let stuck = [format!("n1 NoPlaceToMovePods: {}", pod("a")), format!("n2 NoPlaceToMovePods: {}", pod("b"))];
    assert_eq!(scale_down(&snapshot, 0), (0, stuck.to_vec()));
    // Two empty nodes, and a third on its way: at least two stay.
    let idle = world(&nodes, &[running("x", "web", "elsewhere", shape(100, 1))], rows);
    let (drains, kept) = scale_down(&idle, 2);
    assert_eq!((drains, kept.len()), (0, 2));
    assert!(kept[0].contains("NodeGroupMinReached: group general has 2 nodes"), "{kept:?}");
}

#[test]
fn explanations_name_real_nodes_only() {
    let (config, mut ledger) = (config(1), ledger());
    let pods = web(3, 1500);
    let nodes = [node("n1", "elsewhere", "a")];
    let busy = running("busy", "db", "n1", shape(3500, 1));
    let pods: Vec<Pod> = pods.into_iter().chain([busy]).collect();
    let bare = world(&nodes, &pods, vec![]);
    launch(&mut ledger, &config, &plan(&bare, &config, NOW), NOW);
    let snapshot = world(&nodes, &pods, ledger.launching_nodes(&config, &bare, NOW));
    assert_eq!(snapshot.node_count(), 2);
    let mut simulation = Simulation::new(&snapshot);
    let plan = plan_scale_up(&snapshot, &mut simulation, &config, NOW, &Eager);
    let mut explainer = PodExplainer::new(&snapshot, &mut simulation, &config, &plan, NOW);
    let pods = explainer.pending();
    let all: Vec<_> = pods.into_iter().map(|pod| explainer.explain(pod)).collect();
    assert_eq!(all[0].reason.label(), "NodeLaunching");
    assert_eq!(all[0].helps, ["wait for the launched node to join; if it does not, it is given up and reported"]);
    assert_eq!(all[2].reason.label(), "NodeGroupMaxReached");
    for explanation in &all {
        let names: Vec<&str> =
            explanation.nodes.iter().map(|verdict| snapshot.node(verdict.node).name.as_str()).collect();
        assert_eq!(names, ["n1"]);
        assert!(!explanation.helps.iter().any(|help| help.contains("launch/")), "{:?}", explanation.helps);
    }
}
