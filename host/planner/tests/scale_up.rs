//! Scale-up through its public face: what is offered, what an answer may do, and why pods stay pending.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{
    Bytes, HostPort, MilliCpu, NodeGroup, NodeSelector, NodeSelectorTerm, Operator, Pod, Protocol, Requirement,
    Resources, Scheduling, Snapshot, Taint, TaintEffect, Timestamp,
};
use plimsoll_planner::scale_up::{
    Choice, ClusterLimits, ScaleUpConfig, ScaleUpPlan, ScaleUpQuestion, ScaleUpVerdict, plan_scale_up,
};
use plimsoll_planner::{Asked, ScaleUpPolicy};
use proptest::prelude::*;

/// Answers by a function, and keeps the questions.
struct Scripted<F>(F, RefCell<Vec<ScaleUpQuestion>>);

impl<F: Fn(&ScaleUpQuestion) -> Option<ScaleUpVerdict>> ScaleUpPolicy for Scripted<F> {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        self.1.borrow_mut().push(question.clone());
        Asked { verdict: (self.0)(question), calls: vec![] }
    }
}

fn choice(option: u32, count: u32) -> Choice {
    Choice { option, count, reason: "because".to_owned() }
}

/// Takes the first option in full.
fn first(question: &ScaleUpQuestion) -> Option<ScaleUpVerdict> {
    Some(ScaleUpVerdict::Launch(vec![choice(0, question.options[0].nodes)]))
}

fn config(groups: Vec<NodeGroup>) -> ScaleUpConfig {
    ScaleUpConfig { groups, ..Default::default() }
}

fn plan(
    snapshot: &Arc<Snapshot>,
    config: &ScaleUpConfig,
    policy: impl Fn(&ScaleUpQuestion) -> Option<ScaleUpVerdict>,
) -> (ScaleUpPlan, Vec<ScaleUpQuestion>) {
    let policy = Scripted(policy, RefCell::default());
    let plan = plan_scale_up(snapshot, &mut plimsoll_scheduler::Simulation::new(snapshot), config, NOW, &policy);
    (plan, policy.1.into_inner())
}

fn reasons(snapshot: &Snapshot, plan: &ScaleUpPlan) -> Vec<(String, &'static str)> {
    plan.pending.iter().map(|p| (snapshot.pod(p.pod).name.to_string(), p.reason.label())).collect()
}

#[test]
fn existing_room_comes_first_and_the_rest_gets_nodes() {
    let pods = (0..6).map(|i| pending(&format!("web-{i}"), "web", shape(1500, 1)));
    let snapshot = World::default().nodes([node("n1", "general", "a")]).pods(pods).build();
    let (plan, questions) = plan(&snapshot, &config(vec![group("general", 0, 10)]), first);
    let names = reasons(&snapshot, &plan);
    assert_eq!(names, [("web-0".to_owned(), "FitsExistingNode"), ("web-1".to_owned(), "FitsExistingNode")]);
    assert_eq!(questions.len(), 1);
    let option = &questions[0].options[0];
    assert_eq!((option.nodes, option.max_nodes, option.places[0].pods), (2, 9, 4));
    assert_eq!((option.zone_nodes, questions[0].options[1].zone_nodes), (1, 0));
    assert_eq!((plan.launches[0].count, plan.launches[0].pods.len()), (2, 4));
}

#[test]
fn pods_of_two_namespaces_are_two_demands() {
    let mut theirs = pending("web-2", "web", shape(500, 1));
    theirs.namespace = "theirs".into();
    let snapshot = World::default().pods([pending("web-1", "web", shape(500, 1)), theirs]).build();
    let (_, questions) = plan(&snapshot, &config(vec![group("general", 0, 5)]), first);
    let namespaces: Vec<&str> = questions[0].shapes.iter().map(|demand| demand.namespace.as_str()).collect();
    assert_eq!(namespaces, ["shop", "theirs"]);
}

#[test]
fn what_is_left_is_offered_again() {
    let pods = [pending("small", "web", shape(500, 1)), pending("big", "db", shape(500, 100))];
    let snapshot = World::default().pods(pods).build();
    let mut memory = group("memory", 0, 5);
    memory.instance_types = vec![instance_type("r5.4xlarge", 16, 128, 1008)];
    let mut general = group("general", 0, 5);
    general.zones.truncate(1);
    let (plan, questions) = plan(&snapshot, &config(vec![general, memory]), first);
    assert_eq!(questions.len(), 2);
    assert_eq!(questions[1].shapes.len(), 1);
    let groups: Vec<&str> = plan.launches.iter().map(|launch| launch.group.as_str()).collect();
    assert_eq!(groups, ["general", "memory"]);
    assert!(plan.pending.is_empty());
}

#[test]
fn daemon_sets_take_their_part_of_a_new_node() {
    let mut pinned = shape(1000, 1);
    let to_its_node = Requirement { key: "metadata.name".into(), operator: Operator::In, values: vec!["n1".into()] };
    let in_a_zone =
        Requirement { key: plimsoll_model::well_known::ZONE.into(), operator: Operator::Exists, values: vec![] };
    let term = NodeSelectorTerm { match_expressions: vec![in_a_zone], match_fields: vec![to_its_node] };
    pinned.node_affinity = Some(NodeSelector { terms: vec![term] });
    let mut daemon = running("agent-n1", "agent", "n1", pinned);
    daemon.owner = owner("DaemonSet", "agent");
    let snapshot = World::default()
        .nodes([node("n1", "other", "a")])
        .pods([daemon, pending("web", "web", shape(3500, 1))])
        .build();
    let (plan, _) = plan(&snapshot, &config(vec![group("general", 0, 5)]), first);
    assert_eq!(reasons(&snapshot, &plan), [("web".to_owned(), "NoInstanceFits")]);
    assert!(plan.pending[0].detail.contains("needs 3500m, 3 free"), "{}", plan.pending[0].detail);
}

fn reason_for(pod: Pod, groups: Vec<NodeGroup>) -> (&'static str, String) {
    let snapshot = World::default().pods([pod]).build();
    let (plan, _) = plan(&snapshot, &config(groups), |_| Some(ScaleUpVerdict::Hold("not today".to_owned())));
    (plan.pending[0].reason.label(), plan.pending[0].detail.clone())
}

#[test]
fn every_pod_that_stays_has_one_reason() {
    let pod = || pending("web", "web", shape(500, 1));
    let general = || vec![group("general", 0, 5)];
    let with = |change: &dyn Fn(&mut Pod)| {
        let mut pod = pod();
        change(&mut pod);
        reason_for(pod, general()).0
    };
    let reshape = |change: &dyn Fn(&mut plimsoll_model::PodShape)| {
        with(&|pod| {
            let mut shape = (*pod.shape).clone();
            change(&mut shape);
            pod.shape = Arc::new(shape);
        })
    };
    assert_eq!(with(&|_| {}), "HeldByPolicy");
    assert_eq!(with(&|pod| pod.scheduling = Scheduling::Gated), "SchedulingGated");
    assert_eq!(with(&|pod| pod.scheduling = Scheduling::Nominated("n1".into())), "Preempting");
    assert_eq!(with(&|pod| pod.owner = owner("DaemonSet", "agent")), "DaemonSetPodIgnored");
    assert_eq!(reshape(&|shape| shape.scheduler = Some("volcano".into())), "OtherScheduler");
    assert_eq!(reshape(&|shape| shape.requests.cpu = MilliCpu(5000)), "NoInstanceFits");
    assert_eq!(
        reshape(&|shape| shape.requests.set_extended("example.com/fpga".into(), 1)),
        "UndefinedExtendedResource"
    );
    assert_eq!(reshape(&|shape| shape.node_selector = [("disk", "ssd")].into_iter().collect()), "NoMatchingNodeGroup");
    let spread = plimsoll_model::SpreadConstraint {
        selector: None,
        topology_key: "zone".into(),
        max_skew: 1,
        min_domains: None,
        node_affinity_policy: plimsoll_model::NodeInclusion::Honor,
        node_taints_policy: plimsoll_model::NodeInclusion::Ignore,
    };
    assert_eq!(reshape(&|shape| shape.inter_pod.spread = vec![spread.clone()]), "TopologySpreadBlocked");
    assert_eq!(reshape(&|shape| shape.resource_claims = true), "DevicesNotSimulated");
    assert_eq!(reason_for(pod(), vec![group("general", 0, 0)]).0, "NodeGroupMaxReached");

    let mut tainted = group("gpu", 0, 5);
    tainted.taints = vec![Taint { key: "gpu".into(), value: "".into(), effect: TaintEffect::NoSchedule }];
    let (reason, detail) = reason_for(pod(), vec![tainted]);
    assert_eq!((reason, detail.as_str()), ("NoMatchingNodeGroup", "0/1 groups: untolerated taint gpu:NoSchedule (1)"));
    let (reason, detail) = reason_for(pod(), vec![]);
    assert_eq!(reason, "NoMatchingNodeGroup");
    assert!(detail.contains("no node groups are configured"));
}

#[test]
fn the_cluster_limit_holds() {
    let pods = (0..10).map(|i| pending(&format!("web-{i}"), "web", shape(4000, 1)));
    let snapshot = World::default().pods(pods).build();
    let limits = ClusterLimits { max_cpu: MilliCpu(15_999), max_memory: Bytes(1 << 50), max_nodes: 100 };
    let config = ScaleUpConfig { limits, groups: vec![group("general", 0, 100)], ..Default::default() };
    let (plan, _) = plan(&snapshot, &config, first);
    assert_eq!(plan.launches.iter().map(|launch| launch.count).sum::<u32>(), 3);
    assert!(reasons(&snapshot, &plan).iter().all(|(_, reason)| *reason == "ClusterLimitReached"));
    assert_eq!(plan.pending.len(), 7);
}

#[test]
fn silence_and_nonsense_launch_nothing() {
    let snapshot = World::default().pods([pending("web", "web", shape(500, 1))]).build();
    let config = config(vec![group("general", 0, 5)]);
    let (silent, _) = plan(&snapshot, &config, |_| None);
    assert_eq!(reasons(&snapshot, &silent)[0].1, "PolicyFailed");
    let (nonsense, questions) = plan(&snapshot, &config, |_| {
        Some(ScaleUpVerdict::Launch(vec![choice(7, 1), choice(u32::MAX, u32::MAX), choice(0, 0)]))
    });
    assert!(nonsense.launches.is_empty());
    assert_eq!(questions.len(), 1, "an answer that changes nothing ends the rounds");
    assert_eq!(nonsense.clipped.len(), 2);
}

#[test]
fn an_answer_of_a_million_choices_is_one_choice() {
    let pods = (0..6).map(|i| pending(&format!("web-{i}"), "web", shape(3000, 1)));
    let snapshot = World::default().pods(pods).build();
    let (plan, _) = plan(&snapshot, &config(vec![group("general", 0, 4)]), |_| {
        Some(ScaleUpVerdict::Launch((0..1_000_000u32).map(|i| choice(i % 3, 1)).collect()))
    });
    assert_eq!(plan.launches.len(), 1);
    assert_eq!((plan.launches[0].count, plan.pending.len()), (4, 2));
    assert!(plan.clipped.len() < 200);
}

#[test]
fn one_pod_to_a_node_where_host_ports_clash() {
    let mut ingress = shape(100, 1);
    ingress.host_ports = vec![HostPort { port: 443, protocol: Protocol::Tcp, ip: None }];
    let pods = (0..3).map(|i| pending(&format!("ingress-{i}"), "ingress", ingress.clone()));
    let snapshot = World::default().pods(pods).build();
    let (plan, _) = plan(&snapshot, &config(vec![group("general", 0, 5)]), first);
    assert_eq!((plan.launches[0].count, plan.launches[0].pods.len()), (3, 3));
}

#[test]
fn nodes_that_are_not_ready_give_no_room_and_the_system_keeps_its_part() {
    let not_ready = plimsoll_model::Node { ready: false, ..node("n1", "general", "a") };
    let leaving = plimsoll_model::Node { deleting: true, ..node("n2", "general", "a") };
    let mut reserved = group("general", 0, 5);
    reserved.system_reserved.cpu = MilliCpu(500);
    for (cpu, launched) in [(3500, 1), (3501, 0)] {
        let snapshot = World::default()
            .nodes([not_ready.clone(), leaving.clone()])
            .pods([pending("web", "web", shape(cpu, 1))])
            .build();
        let mut groups = vec![reserved.clone()];
        groups[0].instance_types[0].name = "other".into();
        let (plan, _) = plan(&snapshot, &config(groups), first);
        assert_eq!(plan.launches.len(), launched, "{cpu}m");
    }
}

#[test]
fn a_live_node_teaches_what_the_next_one_offers() {
    let mut live = node("n1", "general", "a");
    live.allocatable = Resources { cpu: MilliCpu(3000), ..live.allocatable };
    live.unschedulable = true;
    let snapshot = World::default().nodes([live]).pods([pending("web", "web", shape(3500, 1))]).build();
    let (plan, _) = plan(&snapshot, &config(vec![group("general", 0, 5)]), first);
    assert_eq!(reasons(&snapshot, &plan)[0].1, "NoInstanceFits");
}

proptest! {
    /// Promise 1: whatever a policy answers, no limit is passed and no pod is placed twice.
    #[test]
    fn no_answer_passes_a_limit(
        answers in prop::collection::vec(prop::collection::vec((0u32..12, prop_oneof![0u32..6, Just(u32::MAX)]), 0..6), 1..6),
        max_nodes in 0u32..8,
        maximum in 0u32..5,
        pods in 0u32..25,
    ) {
        let pods = (0..pods).map(|i| pending(&format!("web-{i}"), "web", shape(1000 + u64::from(i % 3) * 700, 2)));
        let snapshot = World::default().nodes([node("n1", "general", "a")]).pods(pods).build();
        let limits = ClusterLimits { max_nodes, ..ClusterLimits::default() };
        let config = ScaleUpConfig { limits, groups: vec![group("general", 0, maximum), group("other", 0, 3)], ..Default::default() };
        let (plan, questions) = plan(&snapshot, &config, |question| {
            let answer = answers.get(question.round as usize)?;
            Some(ScaleUpVerdict::Launch(answer.iter().map(|(option, count)| choice(*option, *count)).collect()))
        });
        let count = |name: &str| -> u32 {
            plan.launches.iter().filter(|launch| launch.group == *name).map(|launch| launch.count).sum()
        };
        prop_assert!(count("general") <= maximum.saturating_sub(1));
        prop_assert!(count("other") <= 3);
        prop_assert!(count("general") + count("other") <= max_nodes.saturating_sub(1));
        let mut placed = HashSet::new();
        for launch in &plan.launches {
            prop_assert!(launch.count >= 1 && launch.pods.len() >= launch.count as usize);
            for pod in &launch.pods {
                prop_assert!(placed.insert(*pod), "placed twice");
            }
        }
        for pending in &plan.pending {
            prop_assert!(placed.insert(pending.pod), "placed and pending");
        }
        prop_assert_eq!(placed.len(), snapshot.pod_count(), "every pod is accounted for");
        for question in &questions {
            prop_assert!(question.options.iter().all(|o| o.nodes >= 1 && o.nodes <= o.max_nodes && !o.places.is_empty()));
        }
    }
}

#[test]
fn a_node_that_is_starting_is_room_until_its_grace_ends() {
    let taint = |key: &str| Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoSchedule };
    let with_age = |seconds: u64, extra: &str| {
        let mut young = node("n1", "general", "a");
        young.ready = false;
        young.taints = vec![taint("node.kubernetes.io/not-ready"), taint(extra)];
        young.created = Some(Timestamp(NOW.0 - seconds * 1000));
        let snapshot = World::default().nodes([young]).pods([pending("web-1", "web", shape(1000, 1))]).build();
        let mut general = group("general", 0, 5);
        general.startup.taints = vec![taint("example.com/starting")];
        let (plan, _) = plan(&snapshot, &config(vec![general]), first);
        (plan.launches.len(), reasons(&snapshot, &plan).first().map(|(_, reason)| *reason))
    };
    assert_eq!(with_age(60, "example.com/starting"), (0, Some("FitsExistingNode")));
    assert_eq!(with_age(300, "example.com/starting"), (1, None), "it should have been ready by now");
    assert_eq!(with_age(60, "example.com/lasting"), (1, None), "what it keeps counts");
}

#[test]
fn headroom_is_room_that_pods_may_take_and_that_is_bought_again() {
    let units = |count| ScaleUpConfig {
        headroom: plimsoll_planner::scale_up::HeadroomConfig {
            manual: vec![plimsoll_planner::scale_up::ManualHeadroom {
                group: Some("general".into()),
                count,
                requests: Resources { cpu: MilliCpu(2000), memory: Bytes(2 << 30), ..Default::default() },
            }],
            ..Default::default()
        },
        ..config(vec![group("general", 0, 9)])
    };
    let free = World::default().nodes([node("n1", "general", "a")]).build();
    let (kept, questions) = plan(&free, &units(2), first);
    assert!(kept.launches.is_empty() && questions.is_empty(), "two units of two cores fit on the node that is there");
    let (more, questions) = plan(&free, &units(4), first);
    assert_eq!(more.launches.iter().map(|l| (l.count, l.pods.len(), l.headroom)).collect::<Vec<_>>(), [(1, 0, 2)]);
    assert!(questions[0].shapes.iter().all(|shape| shape.headroom && shape.example.is_none()));
    let busy =
        World::default().nodes([node("n1", "general", "a")]).pods([pending("web-1", "web", shape(3000, 1))]).build();
    let (bought, _) = plan(&busy, &units(2), first);
    assert_eq!(reasons(&busy, &bought), [("web-1".to_owned(), "FitsExistingNode")], "a pod takes what headroom kept");
    assert_eq!(bought.launches.iter().map(|l| l.headroom).sum::<u32>(), 2);
}
