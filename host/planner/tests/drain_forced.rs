//! Nodes that have to go: how they are recognised, which protections yield, and room for their pods in time.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{Millis, Node, NodeGroup, Pod, Snapshot, Taint, TaintEffect, Text, Timestamp, well_known};
use plimsoll_planner::drain::{
    Cause, Forced, ForcedRules, History, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion, Protection, Protections,
    RunningDrain, ScaleDownConfig, ScaleDownPlan, note_seen, plan_scale_down, why_forced,
};
use plimsoll_planner::scale_up::{
    Choice, Displaced, PendingReason, ScaleUpConfig, ScaleUpPlan, ScaleUpQuestion, ScaleUpVerdict, plan_scale_up,
};
use plimsoll_planner::windows::{SuspensionHours, WeeklyWindow, Zone};
use plimsoll_planner::{Asked, DrainPolicy, ScaleUpPolicy};
use plimsoll_scheduler::Simulation;

/// Orders pods if it is to, nodes never; keeps what it was asked.
#[derive(Default)]
struct Clerk {
    orders_pods: bool,
    asked: RefCell<Vec<PodsQuestion>>,
}

impl DrainPolicy for Clerk {
    fn order_nodes(&self, _: &Arc<Snapshot>, _: &NodesQuestion) -> Asked<NodesVerdict> {
        Asked { verdict: None, calls: vec![] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        self.asked.borrow_mut().push(question.clone());
        let turns = || question.pods.iter().rev().map(|pod| PodTurn::plain(pod.pod)).collect();
        Asked { verdict: self.orders_pods.then(turns), calls: vec![] }
    }
}

fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: Text::default(), effect: TaintEffect::NoSchedule }
}

fn spot(name: &str) -> Node {
    Node { taints: vec![taint("aws-node-termination-handler/spot-itn")], ..node(name, "general", "a") }
}

fn requested(name: &str) -> Node {
    Node { annotations: labels(&[(well_known::DRAIN_REQUESTED, "disk swap")]), ..node(name, "general", "a") }
}

fn broken(name: &str, seconds: u64) -> Node {
    let ready_changed = Some(Timestamp(NOW.0 - seconds * 1000));
    Node { ready: false, ready_changed, ..node(name, "general", "a") }
}

fn general() -> ScaleDownConfig {
    ScaleDownConfig { groups: Some(vec![group("general", 0, 99)]), ..ScaleDownConfig::default() }
}

fn healing() -> ScaleDownConfig {
    let forced = ForcedRules { unhealthy_after: Some(Millis::from_secs(120)), ..ForcedRules::default() };
    ScaleDownConfig { forced, ..general() }
}

fn plan_by(snapshot: &Arc<Snapshot>, config: &ScaleDownConfig, history: &History, policy: &Clerk) -> ScaleDownPlan {
    let mut simulation = Simulation::new(snapshot);
    let plan = plan_scale_down(snapshot, &mut simulation, &ScaleUpConfig::default(), config, history, NOW, policy);
    let rows = snapshot.nodes().filter(|(_, node)| !node.launching).count();
    assert_eq!(plan.drains.len() + plan.kept.len(), rows, "every node is accounted for once");
    plan
}

fn plan(snapshot: &Arc<Snapshot>, config: &ScaleDownConfig) -> ScaleDownPlan {
    plan_by(snapshot, config, &History::default(), &Clerk { orders_pods: true, ..Clerk::default() })
}

fn drained(snapshot: &Snapshot, plan: &ScaleDownPlan) -> Vec<(String, Cause)> {
    plan.drains.iter().map(|drain| (snapshot.node(drain.node).name.to_string(), drain.cause)).collect()
}

fn kept<'a>(snapshot: &Snapshot, plan: &'a ScaleDownPlan, name: &str) -> (&'static str, &'a str) {
    let kept = plan.kept.iter().find(|kept| snapshot.node(kept.node).name == *name).unwrap();
    (kept.reason.label(), &kept.detail)
}

fn forced_with(rules: &ForcedRules, snapshot: &Snapshot, history: &History) -> Vec<Forced> {
    why_forced(rules, snapshot, history, NOW, |_, _| Some(Millis::from_secs(300)))
}

fn signs(node: Node) -> Option<(Cause, Option<u64>, String)> {
    let snapshot = World::default().nodes([node]).build();
    let found = forced_with(&ForcedRules::default(), &snapshot, &History::default());
    let left = |at: Timestamp| at.since(NOW).0 / 1000;
    found.into_iter().next().map(|forced| (forced.cause, forced.deadline.map(left), forced.reason))
}

// === How they are recognised ===

#[test]
fn interruptions_have_well_known_signs() {
    let tainted = |key: &str| signs(Node { taints: vec![taint(key)], ..node("n1", "general", "a") });
    for key in [
        "aws-node-termination-handler/spot-itn",
        "aws-node-termination-handler/scheduled-maintenance",
        "aws-node-termination-handler/asg-lifecycle-termination",
        "cloud.google.com/impending-node-termination",
    ] {
        assert_eq!(tainted(key), Some((Cause::Interruption, Some(120), format!("taint {key}"))));
    }
    assert_eq!(tainted("aws-node-termination-handler/rebalance-recommendation"), None, "such machines often stay");
    assert_eq!(tainted("node.kubernetes.io/unschedulable"), None);
    let condition = |kind: &str| signs(Node { conditions: vec![kind.into()], ..node("n1", "general", "a") });
    assert_eq!(condition("PreemptScheduled").map(|(_, left, _)| left), Some(Some(120)));
    assert_eq!(condition("TerminateScheduled").map(|(cause, ..)| cause), Some(Cause::Interruption));
    assert_eq!(condition("DiskPressure"), None);
    assert_eq!(signs(node("n1", "general", "a")), None);
    let master = labels(&[(well_known::CONTROL_PLANE[0], "")]);
    assert_eq!(signs(Node { labels: master, ..spot("n1") }), None, "never the control plane");
    assert_eq!(signs(Node { deleting: true, ..spot("n1") }), None);
}

#[test]
fn the_annotation_says_until_when() {
    // NOW is 2023-11-14T22:13:20Z.
    let noted = |value: &str| {
        let annotations = labels(&[(well_known::INTERRUPTION, value)]);
        let snapshot = World::default().nodes([Node { annotations, ..spot("n1") }]).build();
        let found = forced_with(&ForcedRules::default(), &snapshot, &History::default()).remove(0);
        (found.deadline.unwrap().since(NOW).0 / 1000, found.warning.is_some())
    };
    assert_eq!(noted("2023-11-14T22:14:20Z"), (60, false), "it knows more than the taint");
    assert_eq!(noted("2023-11-14T23:14:20+01:00"), (60, false));
    assert_eq!(noted("2023-11-14T22:13:00Z"), (120, true), "over, and the machine is still there");
    for garbage in ["soon", "", "1700000000", "2023-13-14T22:14:20Z", "-9999-01-01T00:00:00Z", "\u{0}\u{ffff}"] {
        assert_eq!(noted(garbage), (120, true), "{garbage:?}");
    }
    // With what was first seen in mind, the time left runs out.
    let snapshot = World::default().nodes([spot("n1")]).build();
    let seen = |seconds: u64| HashMap::from([("n1".into(), Timestamp(NOW.0 - seconds * 1000))]);
    let left = |seconds| {
        let history = History { seen: seen(seconds), ..History::default() };
        forced_with(&ForcedRules::default(), &snapshot, &history)[0].deadline.unwrap()
    };
    assert_eq!(left(50), Timestamp(NOW.0 + 70_000));
    assert_eq!(left(500), Timestamp(NOW.0 - 380_000));
}

#[test]
fn what_was_seen_first_is_remembered_while_it_is_there() {
    let both = World::default().nodes([spot("n1"), spot("n2"), requested("n3")]).build();
    let forced = |snapshot: &Snapshot| forced_with(&ForcedRules::default(), snapshot, &History::default());
    let mut seen = HashMap::new();
    note_seen(&mut seen, &forced(&both), NOW);
    note_seen(&mut seen, &forced(&both), Timestamp(NOW.0 + 9000));
    assert_eq!(seen, HashMap::from([("n1".into(), NOW), ("n2".into(), NOW)]));
    let one = World::default().nodes([spot("n2")]).build();
    note_seen(&mut seen, &forced(&one), Timestamp(NOW.0 + 9000));
    assert_eq!(seen, HashMap::from([("n2".into(), NOW)]));
}

#[test]
fn requests_come_from_an_annotation() {
    let asked = |value: &str| {
        let annotations = labels(&[(well_known::DRAIN_REQUESTED, value)]);
        signs(Node { annotations, ..node("n1", "general", "a") }).map(|(cause, deadline, reason)| {
            assert_eq!((cause, deadline), (Cause::Requested, None));
            reason
        })
    };
    assert_eq!(asked("true").as_deref(), Some("asked for"));
    assert_eq!(asked("").as_deref(), Some("asked for"));
    assert_eq!(asked(" disk swap ").as_deref(), Some("asked for: disk swap"));
    assert_eq!(asked("false"), None);
    let both = Node { taints: spot("n1").taints, ..requested("n1") };
    assert_eq!(signs(both).unwrap().0, Cause::Interruption, "what presses more");
}

#[test]
fn broken_nodes_are_replaced_few_at_a_time() {
    let forced = |nodes: Vec<Node>, history: &History| {
        let snapshot = World::default().nodes(nodes).build();
        let found = forced_with(&healing().forced, &snapshot, history);
        found.iter().map(|forced| forced.name.to_string()).collect::<Vec<_>>()
    };
    let healthy = |count: usize| (0..count).map(|at| node(&format!("h{at:02}"), "general", "a"));
    let with = |bad: Vec<Node>, count| healthy(count).chain(bad).collect::<Vec<_>>();
    let none = History::default();
    assert_eq!(forced(with(vec![broken("b1", 121)], 9), &none), ["b1"]);
    assert!(forced(with(vec![broken("b1", 120)], 9), &none).is_empty(), "not long enough");
    let unknown = Node { ready_changed: None, ..broken("b1", 0) };
    assert!(forced(with(vec![unknown], 9), &none).is_empty(), "nobody knows for how long");
    let young = Node { created: Some(Timestamp(NOW.0 - 200_000)), ..broken("b1", 150) };
    assert!(forced(with(vec![young], 9), &none).is_empty(), "it is still starting");
    // One of ten, and the longest first.
    let three = || vec![broken("b1", 200), broken("b2", 900), broken("b3", 300)];
    assert_eq!(forced(with(three(), 17), &none), ["b2", "b3"]);
    assert_eq!(forced(with(three(), 7), &none), ["b2"]);
    let deadline = Timestamp(NOW.0 + 1);
    let running = |name: &str| RunningDrain {
        node: name.into(),
        group: None,
        cause: Cause::Unhealthy,
        deadline,
        progress: String::new(),
    };
    let one = History { running: vec![running("b1")], ..History::default() };
    assert_eq!(forced(with(three(), 17), &one), ["b1", "b2"], "one of the two drains already");
    // More than a third: the network is cut.
    assert_eq!(forced(with(three(), 6), &none), ["b2"], "a third");
    assert!(forced(with(three(), 5), &none).is_empty(), "more than a third");
    let off = World::default().nodes(with(three(), 17)).build();
    assert!(forced_with(&ForcedRules::default(), &off, &none).is_empty(), "off by default");
}

// === Which protections yield ===

/// A node that has to go, with everything on it that could keep it.
fn protected(going: Node, change: impl Fn(&mut Pod)) -> Arc<Snapshot> {
    let mut pod = running("web", "web", "n1", shape(1000, 1));
    change(&mut pod);
    World::default()
        .nodes([going, node("n2", "general", "a"), node("n3", "general", "a"), node("n4", "general", "a")])
        .pods([pod, running("busy", "busy", "n2", shape(100, 1))])
        .budgets([budget("strict", "strict", 0), budget("one", "double", 9), budget("two", "double", 9)])
        .build()
}

/// The table, and what it comes to.
#[test]
fn protections_yield_as_the_table_says() {
    let of = |going: &dyn Fn() -> Node, pod: &dyn Fn(&mut Pod), change: &dyn Fn(&mut ScaleDownConfig, &mut History)| {
        let snapshot = protected(going(), pod);
        let (mut config, mut history) = (healing(), History::default());
        change(&mut config, &mut history);
        let plan = plan_by(&snapshot, &config, &history, &Clerk { orders_pods: true, ..Clerk::default() });
        let kept = plan.kept.iter().find(|kept| snapshot.node(kept.node).name == "n1");
        kept.map_or("drained", |kept| kept.reason.label())
    };
    let calm = |_: &mut ScaleDownConfig, _: &mut History| {};
    type Change<'a> = (Protection, &'a dyn Fn(&mut Pod), &'a dyn Fn(&mut ScaleDownConfig, &mut History));
    let plain = |_: &mut Pod| {};
    let labelled = |app: &'static str| move |pod: &mut Pod| pod.labels = labels(&[("app", app)]);
    let strict = labelled("strict");
    let double = labelled("double");
    let suspended = |config: &mut ScaleDownConfig, _: &mut History| {
        let windows = ["Mon:00:00-Thu:00:00", "Thu:00:00-Mon:00:00"];
        let windows = windows.iter().map(|text| WeeklyWindow::parse(text, Zone::default()).unwrap()).collect();
        config.suspension = SuspensionHours::new(windows);
    };
    let changes: Vec<Change<'_>> = vec![
        (Protection::Restrict, &|pod| pod.labels = labels(&[(well_known::RESTRICT_SCALE_DOWN, "true")]), &calm),
        (Protection::Restrict, &plain, &|config, _| {
            let groups = vec![NodeGroup { restrict_scale_down: true, ..group("general", 0, 9) }];
            config.groups = Some(groups);
        }),
        (Protection::SafeToEvict, &|pod| pod.annotations = labels(&[(well_known::SAFE_TO_EVICT, "false")]), &calm),
        (Protection::Budgets, &strict, &calm),
        (Protection::Budgets, &double, &calm),
        (Protection::BarePods, &|pod| pod.owner = None, &calm),
        (Protection::Places, &|pod| pod.shape = Arc::new(shape(9000, 1)), &calm),
        (Protection::Minimum, &plain, &|config, _| config.groups = Some(vec![group("general", 4, 9)])),
        (Protection::Caps, &plain, &|config, history| {
            config.max_percentage = 1;
            let running = RunningDrain {
                node: "n3".into(),
                group: None,
                cause: Cause::Empty,
                deadline: NOW,
                progress: String::new(),
            };
            history.running = vec![running];
        }),
        (Protection::Suspension, &plain, &suspended),
        (Protection::Evaluations, &plain, &|_, history| history.evaluations = Some(HashMap::new())),
        (Protection::Cooldown, &plain, &|_, history| history.cooling_until = Some(Timestamp(u64::MAX))),
        (Protection::Switches, &plain, &|config, _| config.enabled = false),
        (Protection::Switches, &plain, &|_, history| history.halted = Some("halt".to_owned())),
        (Protection::Switches, &plain, &|_, history| history.no_provider = true),
        (Protection::Knowledge, &plain, &|config, _| config.unknown = Some("a pod is broken".to_owned())),
        (Protection::OwnReplica, &plain, &|_, history| history.own_pod = Some(("shop".into(), "web".into()))),
        (Protection::Ownership, &plain, &|config, _| config.groups = Some(vec![group("other", 0, 9)])),
    ];
    let causes: [(Cause, &dyn Fn() -> Node); 3] = [
        (Cause::Interruption, &|| spot("n1")),
        (Cause::Unhealthy, &|| broken("n1", 500)),
        (Cause::Requested, &|| requested("n1")),
    ];
    for (cause, going) in causes {
        assert_eq!(of(going, &plain, &calm), "drained", "{cause:?}");
        for (at, (protection, pod, change)) in changes.iter().enumerate() {
            let label = of(going, pod, change);
            let holds = Protections::of(cause).hold(*protection);
            assert_eq!(label != "drained", holds, "{cause:?}, {protection:?} ({at}): {label}");
        }
    }
    // To save, each of them holds, and nobody's pods are evicted.
    for (protection, ..) in &changes {
        assert!(Protections::of(Cause::Underutilized).hold(*protection), "{protection:?}");
    }
}

#[test]
fn a_request_that_has_to_wait_says_for_what() {
    let snapshot = protected(requested("n1"), |pod| pod.labels = labels(&[("app", "strict")]));
    let waits = plan(&snapshot, &general());
    let (label, detail) = kept(&snapshot, &waits, "n1");
    assert_eq!(label, "PdbBlocked");
    assert!(detail.starts_with("asked for: disk swap; budget shop/strict allows 0 evictions now"), "{detail}");
    assert!(waits.displaced.is_empty(), "no room is made before it goes");
    assert_eq!(waits.forced.len(), 1);
}

#[test]
fn forced_drains_come_first_and_tell_the_policy() {
    let mut nodes = vec![requested("n1"), spot("n2"), node("n3", "general", "a"), node("n4", "general", "a")];
    nodes.extend((5..9).map(|at| node(&format!("n{at}"), "general", "a")));
    nodes.push(broken("n9", 500));
    let annotations = labels(&[(well_known::INTERRUPTION, "2023-11-14T22:13:50Z")]);
    nodes[2] = Node { annotations, ..nodes[2].clone() };
    let pods = (0..5).map(|at| running(&format!("web-{at}"), "web", "n3", shape(100, 1)));
    let snapshot = World::default().nodes(nodes).pods(pods).build();
    let clerk = Clerk { orders_pods: true, ..Clerk::default() };
    let plan = plan_by(&snapshot, &healing(), &History::default(), &clerk);
    let expected = [
        ("n3".to_owned(), Cause::Interruption),
        ("n2".to_owned(), Cause::Interruption),
        ("n9".to_owned(), Cause::Unhealthy),
        ("n1".to_owned(), Cause::Requested),
    ];
    assert_eq!(drained(&snapshot, &plan), expected, "whoever has least time first");
    let deadlines: Vec<u64> = plan.drains.iter().map(|drain| drain.deadline.since(NOW).0 / 1000).collect();
    assert_eq!(deadlines, [30, 120, 300, 300]);
    let asked = clerk.asked.into_inner();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].node.cause, asked[0].node.deadline), (Cause::Interruption, Some(Timestamp(NOW.0 + 30_000))));
    // 4.5: the evictions are spread over the notice without the guard: 25 s, in the policy's order.
    let turns: Vec<(String, u64)> = plan.drains[0]
        .evictions
        .iter()
        .map(|eviction| (snapshot.pod(eviction.pod).name.to_string(), eviction.after.0 / 1000))
        .collect();
    let expected = [("web-4", 0), ("web-3", 5), ("web-2", 10), ("web-1", 15), ("web-0", 20)];
    assert_eq!(turns, expected.map(|(pod, at)| (pod.to_owned(), at)));
}

#[test]
fn a_node_that_has_to_go_does_not_wait_for_a_policy() {
    let snapshot = protected(spot("n1"), |_| {});
    let silent = plan_by(&snapshot, &general(), &History::default(), &Clerk::default());
    assert_eq!(drained(&snapshot, &silent), [("n1".to_owned(), Cause::Interruption)]);
    assert_eq!(silent.drains[0].evictions.len(), 1);
    assert!(silent.clipped.iter().any(|sentence| sentence.contains("no policy ordered")));
}

#[test]
fn a_drain_that_runs_is_hastened_and_not_begun_again() {
    let snapshot = protected(spot("n1"), |_| {});
    let running = |cause, seconds: u64| {
        let deadline = Timestamp(NOW.0 + seconds * 1000);
        let drain = RunningDrain { node: "n1".into(), group: None, cause, deadline, progress: "1/2".to_owned() };
        let history = History { running: vec![drain], ..History::default() };
        plan_by(&snapshot, &general(), &history, &Clerk::default())
    };
    let slow = running(Cause::Underutilized, 200);
    assert!(slow.drains.is_empty());
    assert_eq!(kept(&snapshot, &slow, "n1"), ("Draining", "1/2"));
    assert_eq!(slow.hastened.iter().map(|forced| &*forced.name).collect::<Vec<_>>(), ["n1"]);
    let soon = Some(Timestamp(NOW.0 + 120_000));
    assert_eq!(slow.displaced, [Displaced { node: "n1".into(), deadline: soon }]);
    let fast = running(Cause::Interruption, 60);
    assert!(fast.hastened.is_empty() && fast.drains.is_empty());
    assert_eq!(fast.displaced[0].deadline, Some(Timestamp(NOW.0 + 60_000)));
    assert!(running(Cause::Underutilized, 60).displaced.is_empty(), "it has its places");
}

/// No cascade: what is displaced has no place yet, so that nothing else begins.
#[test]
fn nothing_goes_to_save_while_displaced_pods_have_no_place() {
    let snapshot = World::default()
        .nodes([spot("n1"), node("n2", "general", "a"), node("n3", "general", "a")])
        .pods([
            running("large", "large", "n1", shape(3900, 1)),
            running("web", "web", "n2", shape(500, 1)),
            running("api", "api", "n3", shape(500, 1)),
        ])
        .build();
    let plan = plan(&snapshot, &ScaleDownConfig { max_percentage: 100, ..general() });
    assert_eq!(drained(&snapshot, &plan).len(), 1);
    assert_eq!(kept(&snapshot, &plan, "n2").0, "NeededByDrainingPods");
}

// === Room in time ===

struct Cheapest {
    asked: RefCell<Vec<ScaleUpQuestion>>,
}

impl ScaleUpPolicy for Cheapest {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        self.asked.borrow_mut().push(question.clone());
        let choice = Choice { option: 0, count: question.options[0].nodes, reason: "cheapest".to_owned() };
        Asked { verdict: Some(ScaleUpVerdict::Launch(vec![choice])), calls: vec![] }
    }
}

fn scale_up(snapshot: &Arc<Snapshot>, displaced: &[Displaced]) -> (ScaleUpPlan, Vec<ScaleUpQuestion>) {
    let groups = vec![group("general", 0, 9)];
    let config = ScaleUpConfig { groups, displaced: displaced.to_vec(), ..ScaleUpConfig::default() };
    let policy = Cheapest { asked: RefCell::default() };
    let mut simulation = Simulation::new(snapshot);
    let plan = plan_scale_up(snapshot, &mut simulation, &config, NOW, &policy);
    let again = plan_scale_up(snapshot, &mut simulation, &config, NOW, &policy);
    assert_eq!(format!("{:?}", plan.launches), format!("{:?}", again.launches), "the simulation is as it was");
    let asked = policy.asked.into_inner();
    (plan, asked[..asked.len() / 2].to_vec())
}

fn launched(plan: &ScaleUpPlan) -> u32 {
    plan.launches.iter().map(|launch| launch.count).sum()
}

/// Scenario 24: the nodes for the pods of an interrupted one are launched before these are pending, and once.
#[test]
fn replacements_are_planned_once_before_pods_are_pending() {
    let pods = |on: &str| (0..3).map(|at| running(&format!("web-{at}"), "web", on, shape(1300, 1))).collect::<Vec<_>>();
    let daemon = || Pod { owner: owner("DaemonSet", "agent"), ..running("agent", "agent", "n1", shape(100, 1)) };
    let busy = || running("busy", "busy", "n2", shape(2500, 1));
    let cordoned = || Node { unschedulable: true, ..spot("n1") };
    let world = |nodes: Vec<Node>, pods: Vec<Pod>| World::default().nodes(nodes).pods(pods).build();

    // 1. The notice: n2 takes one of the three.
    let bare = Pod { owner: None, ..running("bare", "bare", "n1", shape(100, 1)) };
    let mut all = pods("n1");
    all.extend([daemon(), busy(), bare]);
    let first = world(vec![spot("n1"), node("n2", "general", "a")], all.clone());
    let down = plan_by(&first, &general(), &History::default(), &Clerk::default());
    let deadline = Timestamp(NOW.0 + 120_000);
    assert_eq!(down.displaced, [Displaced { node: "n1".into(), deadline: Some(deadline) }]);
    assert!(down.drains[0].evictions.iter().all(|eviction| eviction.after < Millis::from_secs(120)), "in the notice");
    let (up, asked) = scale_up(&first, &down.displaced);
    assert_eq!((launched(&up), up.launches[0].pods.len()), (1, 2));
    assert!(up.pending.is_empty(), "nothing is pending");
    assert_eq!(up.displaced.len(), 1);
    assert_eq!(up.displaced[0].reason, PendingReason::FitsExistingNode);
    let shape_of = &asked[0].shapes[0];
    assert_eq!((shape_of.pods, shape_of.deadline, shape_of.waiting), (2, Some(deadline), None));
    assert_eq!(launched(&scale_up(&first, &[]).0), 0, "not without the notice");

    // 2. The node was launched and has not joined.
    let row = || Node { launching: true, ready: true, created: Some(NOW), ..node("launch-1", "general", "a") };
    let second = world(vec![cordoned(), node("n2", "general", "a"), row()], all.clone());
    assert_eq!(launched(&scale_up(&second, &down.displaced).0), 0);

    // 3. One pod was evicted, and its replacement is pending.
    let mut third = all.clone();
    third[0].deletion = Some(NOW);
    third.push(pending("web-3", "web", shape(1300, 1)));
    let third = world(vec![cordoned(), node("n2", "general", "a"), row()], third);
    assert_eq!(launched(&scale_up(&third, &down.displaced).0), 0);
    let alone = world(vec![cordoned(), node("n2", "general", "a")], {
        let mut pods = all.clone();
        pods[0].deletion = Some(NOW);
        pods.push(pending("web-3", "web", shape(1300, 1)));
        pods
    });
    let (up, asked) = scale_up(&alone, &down.displaced);
    assert_eq!((launched(&up), asked[0].shapes[0].pods), (1, 2), "one of three has room, none counts twice");

    // 4. The node has joined, and all are there.
    let mut last = pods("n3");
    last.truncate(2);
    last.push(running("web-3", "web", "n2", shape(1300, 1)));
    last.extend([daemon(), busy()]);
    let fourth = world(vec![cordoned(), node("n2", "general", "a"), node("n3", "general", "a")], last);
    assert_eq!(launched(&scale_up(&fourth, &down.displaced).0), 0);
}

#[test]
fn room_is_not_looked_for_on_nodes_that_leave() {
    let nodes = ["n1", "n2", "n3"].map(|name| node(name, "general", "a"));
    let pods = [
        running("web", "web", "n1", shape(1000, 1)),
        running("busy", "busy", "n3", shape(3500, 1)),
        pending("next", "next", shape(2000, 1)),
    ];
    let snapshot = World::default().nodes(nodes).pods(pods).build();
    let of = |names: &[&str]| -> Vec<Displaced> {
        names.iter().map(|name| Displaced { node: (*name).into(), deadline: None }).collect()
    };
    assert_eq!(launched(&scale_up(&snapshot, &[]).0), 0, "n1 and n2 have room");
    assert_eq!(launched(&scale_up(&snapshot, &of(&["n1"])).0), 0, "n2 takes both");
    let (up, _) = scale_up(&snapshot, &of(&["n1", "n2", "gone"]));
    assert_eq!((launched(&up), up.launches[0].pods.len()), (1, 2));
}
