//! Whole questions: the order of nodes and of pods, and why.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use drain_least_disruption::LeastDisruption;
use drain_least_disruption::settings::Settings;
use plimsoll_sdk::Drain;
use plimsoll_sdk::drain::{
    Candidate, Cause, DrainPod, NodeChoice, NodeOrder, NodesRequest, NodesVerdict, PodsRequest, PodsVerdict,
};

fn underutilized(node: u32, savings: Option<u64>, pods: u32) -> Candidate {
    let (name, cause) = (format!("node-{node}"), Cause::Underutilized);
    Candidate { node, name, cause, savings, pods, cpu_permille: 400, memory_permille: 300, ..Candidate::default() }
}

fn because(cause: Cause, node: u32, pods: u32) -> Candidate {
    Candidate { cause, ..underutilized(node, None, pods) }
}

#[track_caller]
fn order(settings: &Settings, candidates: Vec<Candidate>) -> NodeOrder {
    let request = NodesRequest { candidates, ..NodesRequest::default() };
    match LeastDisruption::order_nodes(settings, &request) {
        NodesVerdict::Order(order) => order,
        verdict => panic!("{verdict:?}"),
    }
}

fn ids(choices: &[NodeChoice]) -> Vec<u32> {
    choices.iter().map(|choice| choice.node).collect()
}

#[track_caller]
fn assert_order(candidates: Vec<Candidate>, expected: &[u32]) {
    assert_eq!(ids(&order(&Settings::default(), candidates).drain), expected);
}

#[test]
fn what_must_go_goes_first_and_empty_nodes_next() {
    assert_order(
        vec![
            underutilized(0, Some(900_000), 1),
            because(Cause::Empty, 1, 0),
            because(Cause::Requested, 2, 9),
            because(Cause::Unhealthy, 3, 9),
            because(Cause::Interruption, 4, 9),
        ],
        &[4, 3, 2, 1, 0],
    );
}

#[test]
fn money_counts_for_its_disruption() {
    // 0.30 for 11 points, 0.20 for 5, 0.01 for 2: 0.027, 0.040 and 0.005 a point.
    assert_order(
        vec![
            underutilized(0, Some(300_000), 10),
            underutilized(1, Some(200_000), 4),
            underutilized(2, Some(10_000), 1),
        ],
        &[1, 0, 2],
    );
    let shaky = Candidate { single_replicas: 2, ..underutilized(1, Some(200_000), 4) };
    let slow = Candidate { longest_warmup_ms: Some(600_000), ..underutilized(3, Some(300_000), 10) };
    assert_order(vec![underutilized(0, Some(300_000), 10), shaky, slow], &[0, 1, 3]);
}

#[test]
fn unknown_savings_follow_by_use() {
    let used = |node, cpu_permille| Candidate { cpu_permille, ..underutilized(node, None, 1) };
    assert_order(vec![used(0, 500), used(1, 350), used(2, 100), underutilized(3, Some(1), 50)], &[3, 2, 1, 0]);
}

#[test]
fn equal_nodes_go_oldest_first_then_in_their_order() {
    let aged = |node, age_ms| Candidate { age_ms, ..underutilized(node, Some(10), 1) };
    assert_order(vec![aged(0, None), aged(1, Some(5)), aged(2, Some(9)), aged(3, Some(5))], &[2, 1, 3, 0]);
}

#[test]
fn of_those_that_must_go_the_fullest_goes_first() {
    let cause = Cause::Interruption;
    assert_order(vec![because(cause, 0, 2), because(cause, 1, 8), because(cause, 2, 5)], &[1, 2, 0]);
}

#[test]
fn too_much_disruption_keeps_underutilized_nodes_only() {
    let settings = Settings { max_disruption: Some(7), ..Settings::default() };
    let shaky = Candidate { single_replicas: 1, ..underutilized(1, Some(900_000), 2) };
    let answer = order(&settings, vec![underutilized(0, Some(10), 6), shaky, because(Cause::Unhealthy, 2, 50)]);
    assert_eq!(ids(&answer.drain), [2, 0]);
    let reason = "above `maxDisruption` 7, disruption 8: 2 pods, 1 only replica".into();
    assert_eq!(answer.keep, [NodeChoice { node: 1, reason }]);
}

#[test]
fn every_node_has_its_reason() {
    let laden = Candidate {
        single_replicas: 2,
        critical_pods: 1,
        longest_warmup_ms: Some(90_000),
        ..underutilized(5, Some(192_000), 6)
    };
    let empty = Candidate { savings: Some(96_000), ..because(Cause::Empty, 3, 0) };
    let unpriced = Candidate { cpu_permille: 87, memory_permille: 12, ..because(Cause::Empty, 4, 0) };
    let candidates = vec![
        because(Cause::Interruption, 0, 1),
        because(Cause::Unhealthy, 1, 3),
        because(Cause::Requested, 2, 3),
        empty,
        unpriced,
        laden,
        underutilized(6, None, 2),
    ];
    let reasons: Vec<_> =
        order(&Settings::default(), candidates).drain.into_iter().map(|choice| choice.reason).collect();
    assert_eq!(
        reasons,
        [
            "the cloud takes the machine back, disruption 2: 1 pod",
            "the node is unhealthy, disruption 4: 3 pods",
            "somebody asked for it, disruption 4: 3 pods",
            "empty, saves $0.096/h",
            "empty, savings unknown, 8% used",
            "saves $0.192/h, disruption 41: 6 pods, 2 only replicas, 1 critical, warm-up 90s",
            "savings unknown, 40% used, disruption 3: 2 pods",
        ]
    );
}

#[test]
fn pods_leave_in_the_order_of_what_matters_least() {
    let pod = |pod, name: &str| DrainPod { pod, namespace: "shop".into(), name: name.into(), ..DrainPod::default() };
    let pods = vec![
        DrainPod { critical: true, daemon_set: true, priority: 2_000_001_000, ..pod(0, "proxy") },
        DrainPod { critical: true, priority: 2_000_000_000, ..pod(1, "dns") },
        DrainPod { daemon_set: true, priority: -10, ..pod(2, "logs") },
        DrainPod { priority: 1_000, warmup_ms: Some(900_000), ..pod(3, "checkout") },
        pod(4, "web-2"),
        pod(5, "web-1"),
        DrainPod { warmup_ms: Some(60_000), ..pod(6, "search") },
        DrainPod { warmup_ms: Some(300_000), single_replica: true, ..pod(7, "cache") },
        DrainPod { namespace: "batch".into(), ..pod(8, "web-9") },
        DrainPod { priority: -1, ..pod(9, "report") },
    ];
    let verdict = LeastDisruption::order_pods(&Settings::default(), &PodsRequest { pods, ..PodsRequest::default() });
    let PodsVerdict::Order(turns) = verdict else { panic!("{verdict:?}") };
    assert_eq!(turns.iter().map(|turn| turn.pod).collect::<Vec<_>>(), [9, 7, 6, 8, 5, 4, 3, 2, 1, 0]);
    assert!(turns.iter().all(|turn| turn.wait_ms.is_none()));
    assert_eq!(turns[1].reason, "workload, priority 0, warm-up 5m, only replica");
    assert_eq!(turns[7].reason, "DaemonSet pod, after the workloads, priority -10");
    assert_eq!(turns[8].reason, "critical pod, after all others, priority 2000000000");
    assert_eq!(turns[9].reason, "critical DaemonSet pod, last, priority 2000001000");
}
