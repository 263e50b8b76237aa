//! Scale-down beside what came before it: drains that run, evaluations, caps, hours, and the replicas of this process.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::collections::HashMap;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{GroupScaleDown, Millis, Node, NodeGroup, Pod, Snapshot, Text, Timestamp, well_known};
use plimsoll_planner::drain::{
    BudgetArithmetic, Cause, DrainId, Evaluations, History, NodeChoice, NodesQuestion, NodesVerdict, PodTurn,
    PodsQuestion, RunningDrain, ScaleDownConfig, ScaleDownPlan, plan_scale_down,
};
use plimsoll_planner::scale_up::ScaleUpConfig;
use plimsoll_planner::windows::{
    CronWindow, Effect, OptimizationWindows, Schedule, SuspensionHours, WeeklyWindow, WindowLength, Zone,
};
use plimsoll_planner::{Asked, CallOutcome, DrainPolicy, Point, PolicyCall};
use plimsoll_scheduler::Simulation;
use proptest::prelude::*;

/// Drains whatever it is offered.
struct Eager;

fn call(subject: &str) -> PolicyCall {
    PolicyCall {
        point: Point::Drain,
        subject: subject.to_owned(),
        policy: "eager".into(),
        digest: "0123456789abcdef".into(),
        generation: 1,
        shadow: false,
        micros: 1,
        peak_memory: plimsoll_model::Bytes(1),
        outcome: CallOutcome::Answered,
        log: vec![],
        log_dropped: 0,
    }
}

impl DrainPolicy for Eager {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let choice = |node: u32| NodeChoice { node, reason: "because".to_owned() };
        let drain = question.candidates.iter().map(|candidate| choice(candidate.node.0)).collect();
        Asked { verdict: Some(NodesVerdict::Order { drain, keep: vec![] }), calls: vec![call("nodes")] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let turns = question.pods.iter().map(|pod| PodTurn::plain(pod.pod)).collect();
        Asked { verdict: Some(turns), calls: vec![call("pods")] }
    }
}

fn managed(groups: Vec<NodeGroup>) -> ScaleDownConfig {
    ScaleDownConfig { groups: Some(groups), max_percentage: 100, ..ScaleDownConfig::default() }
}

fn general() -> ScaleDownConfig {
    managed(vec![group("general", 0, 99)])
}

fn plan_at(snapshot: &Arc<Snapshot>, config: &ScaleDownConfig, history: &History, now: Timestamp) -> ScaleDownPlan {
    let mut simulation = Simulation::new(snapshot);
    let plan = plan_scale_down(snapshot, &mut simulation, &ScaleUpConfig::default(), config, history, now, &Eager);
    assert_eq!(plan.drains.len() + plan.kept.len(), snapshot.node_count(), "every node is accounted for once");
    plan
}

fn plan(snapshot: &Arc<Snapshot>, config: &ScaleDownConfig, history: &History) -> ScaleDownPlan {
    plan_at(snapshot, config, history, NOW)
}

fn drained(snapshot: &Snapshot, plan: &ScaleDownPlan) -> Vec<String> {
    plan.drains.iter().map(|drain| snapshot.node(drain.node).name.to_string()).collect()
}

fn kept<'a>(snapshot: &Snapshot, plan: &'a ScaleDownPlan, name: &str) -> (&'static str, &'a str) {
    let kept = plan.kept.iter().find(|kept| snapshot.node(kept.node).name == *name).unwrap();
    (kept.reason.label(), &kept.detail)
}

fn count(plan: &ScaleDownPlan, label: &str) -> usize {
    plan.kept.iter().filter(|kept| kept.reason.label() == label).count()
}

fn nodes(count: usize, group: &str) -> Vec<Node> {
    (0..count).map(|at| node(&format!("{}{at:02}", &group[..1]), group, "a")).collect()
}

/// A pod that keeps its node.
fn pinned(name: &str, node: &str, cpu: u64) -> Pod {
    Pod { annotations: labels(&[(well_known::SAFE_TO_EVICT, "false")]), ..running(name, name, node, shape(cpu, 1)) }
}

fn draining(node: &str, cause: Cause) -> RunningDrain {
    let deadline = Timestamp(NOW.0 + 200_000);
    RunningDrain { node: node.into(), group: None, cause, deadline, progress: "7/10 evicted, 140 s left".to_owned() }
}

fn after(drains: &[&str]) -> History {
    let running = drains.iter().map(|node| draining(node, Cause::Underutilized)).collect();
    History { running, ..History::default() }
}

// === Drains that run ===

#[test]
fn a_node_that_drains_is_neither_a_candidate_nor_a_target() {
    let snapshot = World::default()
        .nodes(nodes(3, "general"))
        .pods([pinned("busy", "g00", 3500), running("web", "web", "g02", shape(1000, 1))])
        .build();
    assert_eq!(drained(&snapshot, &plan(&snapshot, &general(), &History::default())), ["g01"]);
    let beside = plan(&snapshot, &general(), &after(&["g01"]));
    assert_eq!(kept(&snapshot, &beside, "g01"), ("Draining", "7/10 evicted, 140 s left"));
    assert_eq!(kept(&snapshot, &beside, "g02").0, "NoPlaceToMovePods", "not to the node that drains");
    // Marked on the node, by whomever.
    let taint = plimsoll_model::Taint {
        key: well_known::DRAINING.into(),
        value: Text::default(),
        effect: plimsoll_model::TaintEffect::NoSchedule,
    };
    let marked = World::default()
        .nodes([Node { taints: vec![taint], ..node("g00", "general", "a") }, node("g01", "general", "a")])
        .pods([pinned("busy", "g01", 100)])
        .build();
    assert_eq!(kept(&marked, &plan(&marked, &general(), &History::default()), "g00").0, "Draining");
}

/// C1: the pods of nodes that drain get their places first; where one has none, nothing else begins.
#[test]
fn pods_of_nodes_that_drain_come_first() {
    let cluster = |waiting: u64| {
        World::default()
            .nodes(nodes(4, "general"))
            .pods([
                pinned("busy", "g00", 2500),
                running("old", "old", "g01", shape(waiting, 1)),
                running("web", "web", "g02", shape(1000, 1)),
                pinned("full", "g03", 3900),
            ])
            .build()
    };
    // g00 has room for one of the two.
    let small = cluster(1000);
    assert_eq!(kept(&small, &plan(&small, &general(), &after(&["g01"])), "g02").0, "NoPlaceToMovePods");
    let moves = plan(&small, &general(), &after(&["g01"])).moves;
    assert_eq!(moves.len(), 1, "the pod that leaves already has the place");
    let large = cluster(3800);
    let stuck = plan(&large, &general(), &after(&["g01"]));
    assert!(stuck.drains.is_empty());
    // An empty node could go, were it not for the pod without a place.
    let empty = World::default()
        .nodes([node("g00", "general", "a"), node("g01", "general", "a"), node("g02", "general", "a")])
        .pods([running("old", "old", "g01", shape(3800, 1)), pinned("busy", "g00", 500)])
        .pods([Pod { shape: Arc::new(shape(500, 1)), ..running("web", "web", "g02", shape(500, 1)) }])
        .build();
    let (label, detail) = {
        let plan = plan(&empty, &general(), &after(&["g01"]));
        assert!(plan.removable.is_empty() && plan.drains.is_empty());
        let (label, detail) = kept(&empty, &plan, "g02");
        (label, detail.to_owned())
    };
    assert_eq!(label, "NeededByDrainingPods");
    assert!(detail.contains("shop/old") && detail.contains("leaves g01"), "{detail}");
    // Once it has been evicted, it is no pod of the node any more.
    let gone = Pod { deletion: Some(NOW), ..running("old", "old", "g01", shape(3800, 1)) };
    let evicted = World::default()
        .nodes([node("g00", "general", "a"), node("g01", "general", "a"), node("g02", "general", "a")])
        .pods([gone, pinned("busy", "g00", 500), running("web", "web", "g02", shape(500, 1))])
        .build();
    assert_eq!(drained(&evicted, &plan(&evicted, &general(), &after(&["g01"]))), ["g02"]);
}

/// 4.4: `batch` adds up over nodes that drain, `staged` asks for one.
#[test]
fn budgets_count_nodes_that_drain() {
    let cluster = |allowed| {
        World::default()
            .nodes(nodes(3, "general"))
            .pods([
                pinned("busy", "g00", 100),
                running("web-1", "web", "g01", shape(100, 1)),
                running("web-2", "web", "g02", shape(100, 1)),
            ])
            .budgets([budget("web", "web", allowed)])
            .build()
    };
    let staged = || {
        let mut config = general();
        config.rules.budgets = BudgetArithmetic::Staged;
        config
    };
    let one = cluster(1);
    let batch = plan(&one, &general(), &after(&["g01"]));
    assert_eq!(kept(&one, &batch, "g02").0, "PdbBlocked");
    assert_eq!(drained(&one, &plan(&one, &staged(), &after(&["g01"]))), ["g02"]);
    let two = cluster(2);
    assert_eq!(drained(&two, &plan(&two, &general(), &after(&["g01"]))), ["g02"]);
    let none = cluster(0);
    assert_eq!(kept(&none, &plan(&none, &staged(), &after(&["g01"])), "g02").0, "PdbBlocked");
}

#[test]
fn groups_keep_their_least_size_without_the_nodes_that_drain() {
    let snapshot = World::default().nodes(nodes(4, "general")).pods([pinned("busy", "g00", 100)]).build();
    let config = managed(vec![group("general", 2, 9)]);
    assert_eq!(drained(&snapshot, &plan(&snapshot, &config, &History::default())).len(), 2);
    assert_eq!(drained(&snapshot, &plan(&snapshot, &config, &after(&["g03"]))).len(), 1);
    assert_eq!(drained(&snapshot, &plan(&snapshot, &config, &after(&["g02", "g03"]))).len(), 0);
}

// === Caps ===

/// Scenario 7.
#[test]
fn caps_count_drains_that_run() {
    let fifty = World::default().nodes(nodes(50, "general")).pods([pinned("busy", "g00", 100)]).build();
    let config = |percent| ScaleDownConfig { max_percentage: percent, ..general() };
    assert_eq!(plan(&fifty, &config(10), &History::default()).drains.len(), 5);
    assert_eq!(plan(&fifty, &config(10), &after(&["g01", "g02"])).drains.len(), 3);
    let full = plan(&fifty, &config(10), &after(&["g01", "g02", "g03", "g04", "g05"]));
    assert!(full.drains.is_empty() && full.calls.is_empty(), "nobody is asked");
    assert_eq!(kept(&fifty, &full, "g06"), ("DrainCapReached", "max 5 of 50 nodes (10 %)"));
    let five = World::default().nodes(nodes(5, "general")).pods([pinned("busy", "g00", 100)]).build();
    assert_eq!(plan(&five, &config(10), &History::default()).drains.len(), 1);
    let nine = World::default().nodes(nodes(9, "general")).pods([pinned("busy", "g00", 100)]).build();
    let full = plan(&nine, &config(10), &after(&["g01"]));
    assert_eq!(kept(&nine, &full, "g02"), ("DrainCapReached", "max 1 of 9 nodes (10 %)"));
    let accelerated = ScaleDownConfig { accelerated: true, ..general() };
    let first = History { evaluations: Some(HashMap::new()), ..History::default() };
    assert_eq!(plan(&fifty, &accelerated, &first).drains.len(), 49, "all eligible on the first tick");
}

/// Scenario 7 and 4.11: a group's percentage holds for its nodes, and the cluster's for all where it was set on purpose.
#[test]
fn a_group_has_a_cap_of_its_own() {
    let own = |percent| NodeGroup {
        scale_down: GroupScaleDown { max_percentage: Some(percent), ..Default::default() },
        ..group("special", 0, 99)
    };
    let snapshot = World::default()
        .nodes(nodes(20, "general").into_iter().chain(nodes(30, "special")))
        .pods([pinned("busy", "g00", 100)])
        .build();
    let of = |plan: &ScaleDownPlan, letter: char| {
        drained(&snapshot, plan).iter().filter(|name| name.starts_with(letter)).count()
    };
    let config = |percent, caps_total| ScaleDownConfig {
        max_percentage: 10,
        caps_total,
        ..managed(vec![group("general", 0, 99), own(percent)])
    };
    let apart = plan(&snapshot, &config(20, false), &History::default());
    assert_eq!((of(&apart, 'g'), of(&apart, 's')), (2, 6));
    assert!(apart.kept.iter().any(|kept| kept.detail == "max 6 of 30 nodes of group special (20 %)"));
    let together = plan(&snapshot, &config(20, true), &History::default());
    assert_eq!(together.drains.len(), 5);
    let less = plan(&snapshot, &config(4, true), &History::default());
    assert_eq!(of(&less, 's'), 1);
    let running = plan(&snapshot, &config(20, false), &after(&["s00", "s01", "s02", "s03", "s04"]));
    assert_eq!((of(&running, 'g'), of(&running, 's')), (2, 1));
}

// === Time ===

#[test]
fn a_node_goes_after_so_many_evaluations_in_a_row() {
    let snapshot = World::default().nodes(nodes(2, "general")).pods([pinned("busy", "g00", 100)]).build();
    let blocked = World::default()
        .nodes(nodes(2, "general"))
        .pods([pinned("busy", "g00", 100), pinned("other", "g01", 100)])
        .build();
    let mut evaluations = Evaluations::new(Millis::from_secs(60));
    let at = |minutes: u64, seconds: u64| Timestamp(NOW.0 + minutes * 60_000 + seconds * 1000);
    let step = |evaluations: &mut Evaluations, snapshot: &Arc<Snapshot>, now: Timestamp| {
        let history = History { evaluations: Some(evaluations.before(now)), ..History::default() };
        let plan = plan_at(snapshot, &general(), &history, now);
        evaluations.tick(&plan, now);
        plan
    };
    for minute in 0..4 {
        let plan = step(&mut evaluations, &snapshot, at(minute, 0));
        let expected = format!("{} of 5 evaluations", minute + 1);
        assert_eq!(kept(&snapshot, &plan, "g01"), ("NotUnneededLongEnough", expected.as_str()));
        assert_eq!(plan.removable, ["g01"]);
        // What is planned in between does not count, however often.
        for second in [5, 10, 30, 50] {
            let plan = step(&mut evaluations, &snapshot, at(minute, second));
            assert_eq!(kept(&snapshot, &plan, "g01").1, expected, "at {second} s");
        }
    }
    let mut interrupted = evaluations.clone();
    assert_eq!(drained(&snapshot, &step(&mut evaluations, &snapshot, at(4, 0))), ["g01"]);
    // Once it could not go, it starts again.
    step(&mut interrupted, &blocked, at(4, 0));
    assert_eq!(kept(&snapshot, &step(&mut interrupted, &snapshot, at(5, 0)), "g01").1, "1 of 5 evaluations");
    // A timer that is a little early counts, and a clock that was set back does not stop the count.
    assert!(interrupted.due(at(5, 58)) && !interrupted.due(at(5, 50)) && interrupted.due(at(1, 0)));
}

#[test]
fn evaluations_and_cooldown_have_exceptions() {
    let snapshot = World::default().nodes(nodes(2, "general")).pods([pinned("busy", "g00", 100)]).build();
    let never = History { evaluations: Some(HashMap::new()), ..History::default() };
    let with = |down: GroupScaleDown| managed(vec![NodeGroup { scale_down: down, ..group("general", 0, 9) }]);
    let accelerated = |own| GroupScaleDown { accelerated: Some(own), ..Default::default() };
    let label = |config: &ScaleDownConfig, history: &History| {
        let plan = plan(&snapshot, config, history);
        plan.kept
            .iter()
            .find(|kept| snapshot.node(kept.node).name == "g01")
            .map_or("drained", |kept| kept.reason.label())
    };
    assert_eq!(label(&general(), &never), "NotUnneededLongEnough");
    assert_eq!(label(&ScaleDownConfig { evaluation_periods: 1, ..general() }, &never), "drained");
    let one = GroupScaleDown { evaluation_periods: Some(1), ..Default::default() };
    assert_eq!(label(&with(one), &never), "drained");
    assert_eq!(label(&with(accelerated(true)), &never), "drained");
    let slow = ScaleDownConfig { accelerated: true, ..with(accelerated(false)) };
    assert_eq!(label(&slow, &never), "NotUnneededLongEnough", "the group has the last word");
    let cooling = |seconds| History { cooling_until: Some(Timestamp(NOW.0 + seconds)), ..History::default() };
    assert_eq!(label(&general(), &cooling(1)), "CoolingDown");
    assert_eq!(label(&general(), &cooling(0)), "drained");
    assert_eq!(label(&with(accelerated(true)), &cooling(1)), "drained");
}

#[test]
fn young_nodes_stay() {
    let aged = |seconds: u64| {
        let young = Node { created: Some(Timestamp(NOW.0 - seconds * 1000)), ..node("g01", "general", "a") };
        World::default().nodes([node("g00", "general", "a"), young]).pods([pinned("busy", "g00", 100)]).build()
    };
    let label = |seconds, least: Option<u64>, accelerated| {
        let snapshot = aged(seconds);
        let config = ScaleDownConfig { min_node_age: least.map(Millis::from_secs), accelerated, ..general() };
        plan(&snapshot, &config, &History::default()).drains.len()
    };
    assert_eq!((label(299, None, false), label(300, None, false)), (0, 1), "as long as it may be starting");
    assert_eq!((label(300, Some(600), false), label(600, Some(600), false)), (0, 1));
    assert_eq!(label(100, Some(10), true), 0, "never younger than that");
}

/// Scenario 8: `Fri:15:30-Mon:08:00`.
#[test]
fn nothing_goes_to_save_in_suspension_hours() {
    let snapshot = World::default().nodes(nodes(3, "general")).pods([pinned("busy", "g00", 100)]).build();
    let window = WeeklyWindow::parse("Fri:15:30-Mon:08:00", Zone::default()).unwrap();
    let config = ScaleDownConfig { suspension: SuspensionHours::new(vec![window]), ..general() };
    let at = |text: &str| {
        let moment: jiff::Timestamp = text.parse().unwrap();
        Timestamp(moment.as_millisecond().try_into().unwrap())
    };
    let saturday = plan_at(&snapshot, &config, &after(&["g02"]), at("2023-11-18T12:00:00Z"));
    assert_eq!(kept(&snapshot, &saturday, "g01"), ("Suspended", "suspended until 2023-11-20T08:00:00Z"));
    assert_eq!(kept(&snapshot, &saturday, "g02").0, "Draining", "what runs is finished");
    assert!(saturday.removable.is_empty());
    assert_eq!(plan_at(&snapshot, &config, &History::default(), at("2023-11-17T15:29:59Z")).drains.len(), 2);
    assert_eq!(plan_at(&snapshot, &config, &History::default(), at("2023-11-17T15:30:00Z")).drains.len(), 0);
    assert_eq!(plan_at(&snapshot, &config, &History::default(), at("2023-11-20T08:00:00Z")).drains.len(), 2);
}

/// D12: in such a window budgets, or the label and the group's flag, yield; the annotation does not.
#[test]
fn protections_yield_in_optimization_windows() {
    let restrict = labels(&[("app", "job"), (well_known::RESTRICT_SCALE_DOWN, "true")]);
    let snapshot = World::default()
        .nodes(nodes(4, "general"))
        .pods([
            pinned("busy", "g00", 100),
            running("web", "web", "g01", shape(100, 1)),
            Pod { labels: restrict, ..running("job", "job", "g02", shape(100, 1)) },
            pinned("keep", "g03", 100),
        ])
        .budgets([budget("web", "web", 0)])
        .build();
    let config = |effect, restricted| {
        let schedule = Schedule::parse("* * * * *", Zone::default()).unwrap();
        let length = WindowLength::parse("5m").unwrap();
        let window = CronWindow::new(schedule, length, [effect].into()).unwrap();
        let optimization = OptimizationWindows::new(vec![window]);
        let groups = vec![NodeGroup { restrict_scale_down: restricted, ..group("general", 0, 9) }];
        ScaleDownConfig { optimization, ..managed(groups) }
    };
    let none = History::default();
    assert!(plan(&snapshot, &general(), &none).drains.is_empty());
    assert_eq!(drained(&snapshot, &plan(&snapshot, &config(Effect::IgnorePdb, false), &none)), ["g01"]);
    let label = config(Effect::IgnoreRestrictScaleDown, true);
    assert_eq!(drained(&snapshot, &plan(&snapshot, &label, &none)), ["g02"]);
    assert_eq!(count(&plan(&snapshot, &config(Effect::IgnorePdb, true), &none), "GroupRestricted"), 4);
}

#[test]
fn what_stops_everything_is_said() {
    let snapshot = World::default().nodes(nodes(2, "general")).pods([pinned("busy", "g00", 100)]).build();
    let halted = History { halted: Some("4 drained pods have not come back".to_owned()), ..History::default() };
    let stopped = plan(&snapshot, &general(), &halted);
    assert_eq!(kept(&snapshot, &stopped, "g01"), ("DrainsHalted", "4 drained pods have not come back"));
    assert_eq!(kept(&snapshot, &stopped, "g00").0, "NotSafeToEvict", "a reason of its own comes first");
    let nobody = History { no_provider: true, ..History::default() };
    assert_eq!(kept(&snapshot, &plan(&snapshot, &general(), &nobody), "g01").0, "NoProvider");
}

// === The replicas of this process ===

#[test]
fn one_ready_replica_of_this_process_stays() {
    let replica = |name: &str, node: &str, ready| Pod { ready, ..running(name, "plimsoll", node, shape(100, 1)) };
    let cluster = |pods: Vec<Pod>| World::default().nodes(nodes(4, "general")).pods(pods).build();
    let own = |running: &[&str]| History { own_pod: Some(("shop".into(), "me".into())), ..after(running) };
    let safe = |snapshot: &Arc<Snapshot>, running: &[&str]| {
        let plan = plan(snapshot, &general(), &own(running));
        (drained(snapshot, &plan), count(&plan, "OwnReplica"))
    };
    let alone = cluster(vec![replica("me", "g01", true), pinned("busy", "g00", 100)]);
    assert_eq!(safe(&alone, &[]), (vec!["g02".to_owned(), "g03".to_owned()], 1));
    let starting =
        cluster(vec![replica("me", "g01", true), replica("other", "g02", false), pinned("busy", "g00", 100)]);
    assert_eq!(safe(&starting, &[]).1, 1, "the other one is not ready");
    let both = cluster(vec![replica("me", "g01", true), replica("other", "g02", true), pinned("busy", "g00", 100)]);
    let (gone, stays) = safe(&both, &[]);
    assert_eq!((gone, stays), (vec!["g01".to_owned(), "g03".to_owned()], 1), "never both in one plan");
    assert_eq!(safe(&both, &["g02"]), (vec!["g03".to_owned()], 1), "the other one leaves already");
    assert_eq!(safe(&both, &["g01"]), (vec!["g03".to_owned()], 1), "this one leaves already");
    let shared = cluster(vec![replica("me", "g01", true), replica("other", "g01", true), pinned("busy", "g00", 100)]);
    assert_eq!(safe(&shared, &[]).1, 1, "both are on one node");
    let elsewhere = History { own_pod: Some(("shop".into(), "away".into())), ..History::default() };
    assert_eq!(plan(&both, &general(), &elsewhere).drains.len(), 3, "outside the cluster");
}

// === What a plan says ===

#[test]
fn a_planned_drain_becomes_one_that_is_written_down() {
    let mut warm = running("warm", "warm", "g01", shape(100, 1));
    warm.labels = labels(&[("app", "warm"), (well_known::PRE_EVICTION_WARMUP, "90s")]);
    let down = GroupScaleDown { timeout: Some(Millis::from_secs(600)), ..Default::default() };
    let snapshot = World::default()
        .nodes(nodes(2, "general"))
        .pods([pinned("busy", "g00", 100), warm, running("zweb", "web", "g01", shape(100, 1))])
        .build();
    let config = managed(vec![NodeGroup { scale_down: down, ..group("general", 0, 9) }]);
    let plan = plan(&snapshot, &config, &History::default());
    let [planned] = plan.drains.as_slice() else { unreachable!("{plan:?}") };
    assert_eq!((planned.cause, planned.spacing), (Cause::Underutilized, Millis::from_secs(60)));
    assert_eq!(planned.deadline, Timestamp(NOW.0 + 600_000));
    assert_eq!(planned.policy.as_deref(), Some("eager@0123456789ab"));
    let later = Timestamp(NOW.0 + 50);
    let drain = planned.to_drain(&snapshot, DrainId("d1".into()), "prod".into(), "s1".into(), later);
    assert_eq!((drain.started, drain.deadline), (later, planned.deadline));
    let slots: Vec<_> = drain.slots.iter().map(|slot| (slot.pod.to_string(), slot.after.0, slot.warmup)).collect();
    // The turns in order, although the pod with the warm-up is evicted last.
    let expected = [("warm".to_owned(), 0, Some(Millis(90_000))), ("zweb".to_owned(), 60_000, None)];
    assert_eq!(slots, expected);
    let order: Vec<u64> = planned.evictions.iter().map(|eviction| eviction.after.0).collect();
    assert_eq!(order, [60_000, 90_000]);
}

#[derive(Debug)]
struct Random {
    drain: Vec<u32>,
    keep: Vec<u32>,
    turns: Option<Vec<(u32, Option<u64>)>>,
}

impl DrainPolicy for Random {
    fn order_nodes(&self, _: &Arc<Snapshot>, _: &NodesQuestion) -> Asked<NodesVerdict> {
        let choices = |nodes: &[u32]| nodes.iter().map(|&node| NodeChoice { node, reason: String::new() }).collect();
        let order = NodesVerdict::Order { drain: choices(&self.drain), keep: choices(&self.keep) };
        Asked { verdict: Some(order), calls: vec![] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, _: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let turn =
            |(pod, wait): &(u32, Option<u64>)| PodTurn { pod: *pod, wait: wait.map(Millis), reason: String::new() };
        Asked { verdict: self.turns.as_ref().map(|turns| turns.iter().map(turn).collect()), calls: vec![] }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Promise 1, beside drains that run and nodes that have to go: whatever a policy answers (nodes and pods that were
    /// not offered, all at once, twice, an hour between two pods, nothing), caps, minima, budgets and protected pods
    /// hold, and every pod leaves in time.
    #[test]
    fn no_answer_breaks_a_promise(
        drain in prop::collection::vec(0u32..16, 0..24),
        keep in prop::collection::vec(0u32..16, 0..4),
        turns in prop::option::of(prop::collection::vec((0u32..40, prop::option::of(prop_oneof![0u64..100, 3_000_000u64..u64::MAX])), 0..30)),
        sizes in prop::collection::vec((0usize..12, 200u64..1800, 0u32..4), 0..24),
        running in prop::collection::btree_set(0usize..12, 0..4),
        forced in prop::collection::btree_map(0usize..12, 0u32..3, 0..3),
        allowed in 0u32..5,
        percentage in 1u32..=100,
        minimum in 0u32..8,
    ) {
        let name = |at: usize| format!("n{at:02}");
        let all = (0..12).map(|at| {
            let mut row = node(&name(at), if at % 3 == 0 { "special" } else { "general" }, if at % 2 == 0 { "a" } else { "b" });
            match forced.get(&at) {
                Some(0) => row.annotations = labels(&[(well_known::DRAIN_REQUESTED, "true")]),
                Some(1) => row.conditions = vec!["PreemptScheduled".into()],
                Some(_) => row.annotations = labels(&[(well_known::INTERRUPTION, "soon")]),
                None => {}
            }
            row
        });
        let pods = sizes.iter().enumerate().map(|(i, (at, cpu, kind))| {
            let mut pod = running_pod(i, *kind, &name(*at), *cpu);
            if *kind == 2 {
                pod.annotations = labels(&[(well_known::SAFE_TO_EVICT, "false")]);
            }
            pod
        });
        let snapshot = World::default().nodes(all).pods(pods).budgets([budget("web", "web", allowed)]).build();
        let special = GroupScaleDown { max_percentage: Some(25), ..Default::default() };
        let groups = vec![group("general", minimum, 20), NodeGroup { scale_down: special, ..group("special", 1, 20) }];
        let config = ScaleDownConfig { max_percentage: percentage, caps_total: true, ..managed(groups) };
        let names: Vec<String> = running.iter().map(|at| name(*at)).collect();
        let history = after(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let policy = Random { drain, keep, turns };
        let mut simulation = Simulation::new(&snapshot);
        let plan = plan_scale_down(&snapshot, &mut simulation, &ScaleUpConfig::default(), &config, &history, NOW, &policy);

        prop_assert_eq!(plan.drains.len() + plan.kept.len(), snapshot.node_count(), "every node once");
        let named = |id: plimsoll_model::NodeId| snapshot.node(id).name.to_string();
        let saving: Vec<_> = plan.drains.iter().filter(|drain| drain.cause.optimizes()).collect();
        let must = plan.drains.len() - saving.len();
        prop_assert!(plan.drains.iter().take(must).all(|drain| !drain.cause.optimizes()), "those that have to go come first");
        prop_assert!(plan.drains.iter().all(|drain| !names.contains(&named(drain.node))), "none a second time");
        for node in &names {
            let label = plan.kept.iter().find(|kept| named(kept.node) == *node).map(|kept| kept.reason.label());
            prop_assert_eq!(label, Some("Draining"));
        }
        if !saving.is_empty() {
            let most = (12 * percentage as usize / 100).max(1);
            prop_assert!(plan.drains.len() + names.len() <= most, "the cap, with what runs");
            let of = |group: &str, node: &str| (group == "special") == (node[1..].parse::<usize>().unwrap() % 3 == 0);
            let gone = |group: &str| plan.drains.iter().map(|drain| named(drain.node)).chain(names.iter().cloned()).filter(|node| of(group, node)).count();
            if saving.iter().any(|drain| of("special", &named(drain.node))) {
                prop_assert!(gone("special") <= 1, "25 % of 4");
                prop_assert!(4 - gone("special") >= 1);
            }
            if saving.iter().any(|drain| of("general", &named(drain.node))) {
                prop_assert!(8 - gone("general") >= minimum as usize, "the minimum");
            }
        }
        let on_web = |node: plimsoll_model::NodeId| snapshot.pods_on(node).iter().filter(|pod| *snapshot.pod(**pod).labels.get("app").unwrap() == "web").count();
        let evicted_web: usize = saving.iter().map(|drain| on_web(drain.node)).sum();
        if evicted_web > 0 {
            let others: usize = plan.drains.iter().filter(|drain| !drain.cause.optimizes()).map(|drain| on_web(drain.node)).sum();
            let before: usize = names.iter().map(|node| on_web(snapshot.find_node(node).unwrap().0)).sum();
            prop_assert!(evicted_web + others + before <= allowed as usize, "batch arithmetic over all of them");
        }
        for drain in &plan.drains {
            let budget = drain.deadline.since(NOW);
            prop_assert!(drain.evictions.iter().all(|eviction| eviction.after < budget), "within the time");
            let mut starts: Vec<u64> = drain.evictions.iter().map(|eviction| eviction.turn.0).collect();
            starts.sort_unstable();
            prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= drain.spacing.0), "never closer");
            let mut pods: Vec<_> = drain.evictions.iter().map(|eviction| eviction.pod).collect();
            pods.sort_unstable();
            pods.dedup();
            prop_assert_eq!(pods.len(), snapshot.pods_on(drain.node).len(), "every pod once");
        }
        for drain in &saving {
            let safe = |pod: &plimsoll_model::PodId| snapshot.pod(*pod).annotations.get(well_known::SAFE_TO_EVICT).is_none();
            prop_assert!(snapshot.pods_on(drain.node).iter().all(safe), "protected pods are not touched");
        }
        let targets = plan.moves.iter().all(|(_, to)| plan.drains.iter().all(|drain| drain.node != *to) && !names.contains(&named(*to)));
        prop_assert!(targets, "nothing is moved to a node that leaves");
    }
}

fn running_pod(at: usize, kind: u32, node: &str, cpu: u64) -> Pod {
    running(&format!("p{at:02}"), if kind == 0 { "web" } else { "free" }, node, shape(cpu, 1))
}
