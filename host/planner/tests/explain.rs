//! Explanations of pods.
#![allow(clippy::unwrap_used, reason = "what is missing is a failing test")]

mod fixture;

use std::cell::Cell;
use std::sync::Arc;

use fixture::{NOW, World, group, instance_type, labels, node, pending, running, shape};
use plimsoll_model::{
    LabelSelector, MilliCpu, NodeInclusion, Os, Phase, PodAffinityTerm, PodShape, Scheduling, Snapshot,
    SpreadConstraint, Taint, TaintEffect, Text, Timestamp, well_known,
};
use plimsoll_planner::explain::{PodExplainer, PodExplanation, PodReason, PodState};
use plimsoll_planner::scale_up::{
    Choice, LaunchBlock, ScaleUpConfig, ScaleUpPlan, ScaleUpQuestion, ScaleUpVerdict, plan_scale_up,
};
use plimsoll_planner::{Asked, ScaleUpPolicy};
use plimsoll_scheduler::Simulation;

/// Launches the first option as often as it may.
struct First(Cell<u32>);

impl ScaleUpPolicy for First {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        self.0.set(self.0.get() + 1);
        let choice = Choice { option: 0, count: question.options[0].nodes, reason: String::new() };
        Asked { verdict: Some(ScaleUpVerdict::Launch(vec![choice])), calls: Vec::new() }
    }
}

fn planned(snapshot: &Arc<Snapshot>, simulation: &mut Simulation, config: &ScaleUpConfig) -> ScaleUpPlan {
    plan_scale_up(snapshot, simulation, config, NOW, &First(Cell::default()))
}

fn explained(snapshot: &Arc<Snapshot>, config: &ScaleUpConfig, name: &str) -> PodExplanation {
    let mut simulation = Simulation::new(snapshot);
    let plan = planned(snapshot, &mut simulation, config);
    let pod = snapshot.find_pod("shop", name).unwrap().0;
    PodExplainer::new(snapshot, &mut simulation, config, &plan, NOW).explain(pod)
}

/// What keeps the pod off each node, by filter.
fn filters(explanation: &PodExplanation) -> Vec<Vec<&'static str>> {
    explanation.nodes.iter().map(|verdict| verdict.failed.iter().map(|failure| failure.filter).collect()).collect()
}

fn config(max: u32) -> ScaleUpConfig {
    ScaleUpConfig { groups: vec![group("general", 0, max)], ..Default::default() }
}

/// Promise 4: one primary reason, the same wherever it is shown.
#[test]
fn the_reason_is_that_of_the_plan() {
    let mut gated = pending("gated", "a", shape(100, 1));
    gated.scheduling = Scheduling::Gated;
    let mut nominated = pending("nominated", "a", shape(100, 1));
    nominated.scheduling = Scheduling::Nominated("n".into());
    let snapshot = World::default()
        .nodes([node("n", "general", "a")])
        .pods([running("old", "a", "n", shape(3000, 1)), gated, nominated])
        .pods([pending("large", "a", shape(9000, 1)), pending("small", "a", shape(500, 1))])
        .pods(["x", "y", "z"].map(|name| pending(name, "a", shape(2000, 1))))
        .build();
    let mut simulation = Simulation::new(&snapshot);
    let config = config(2);
    let plan = planned(&snapshot, &mut simulation, &config);
    let mut explainer = PodExplainer::new(&snapshot, &mut simulation, &config, &plan, NOW);
    let all = explainer.pending();
    let names: Vec<&str> = all.iter().map(|&pod| &*snapshot.pod(pod).name).collect();
    assert_eq!(names, ["gated", "large", "nominated", "small", "x", "y", "z"]);
    let mut seen = Vec::new();
    for pod in all {
        let explanation = explainer.explain(pod);
        match plan.pending.iter().find(|pending| pending.pod == pod) {
            Some(pending) => {
                let said = (PodReason::Pending(pending.reason), &pending.detail);
                assert_eq!((explanation.reason, &explanation.detail), said);
            }
            None => {
                assert_eq!(explanation.reason, PodReason::NodePlanned);
                assert_eq!(explanation.detail, "general × m5.xlarge in a, 1 node, with 1 other pod");
            }
        }
        seen.push((explanation.state.label(), explanation.reason.label()));
    }
    assert_eq!(
        seen,
        [
            ("gated", "SchedulingGated"),
            ("pending", "NoInstanceFits"),
            ("nominated", "Preempting"),
            ("pending", "FitsExistingNode"),
            ("pending", "NodePlanned"),
            ("pending", "NodePlanned"),
            ("pending", "NodeGroupMaxReached"),
        ]
    );
}

#[test]
fn nodes_are_judged_as_the_cluster_is_now() {
    // The plan puts one of them on the node; each is judged without the other.
    let snapshot = World::default()
        .nodes([node("n", "general", "a")])
        .pods(["x", "y"].map(|name| pending(name, "a", shape(4000, 1))))
        .build();
    for name in ["x", "y"] {
        assert_eq!(filters(&explained(&snapshot, &config(0), name)), [vec![""; 0]], "{name}");
    }
}

#[test]
fn a_pod_with_a_node_is_judged_as_if_it_were_not_there() {
    let mut starting = running("starting", "a", "n2", shape(3000, 1));
    starting.phase = Phase::Pending;
    let mut lost = running("lost", "a", "gone", shape(100, 1));
    lost.phase = Phase::Pending;
    let mut finished = running("finished", "a", "n1", shape(100, 1));
    finished.phase = Phase::Succeeded;
    let mut leaving = running("leaving", "a", "n1", shape(100, 1));
    leaving.deletion = Some(Timestamp(NOW.0));
    let there = running("there", "a", "n1", shape(3000, 1));
    let mut twin = running("twin", "a", "n3", shape(1, 1));
    (twin.shape, twin.labels) = (there.shape.clone(), there.labels.clone());
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), node("n2", "general", "b"), node("n3", "general", "b")])
        .pods([there, twin, starting, lost, finished, leaving])
        .build();
    let config = config(5);
    let mut simulation = Simulation::new(&snapshot);
    let before = format!("{:?}", simulation.nodes().collect::<Vec<_>>());
    let plan = planned(&snapshot, &mut simulation, &config);
    let mut explainer = PodExplainer::new(&snapshot, &mut simulation, &config, &plan, NOW);
    let short = vec!["NodeResourcesFit"];
    for (name, state, detail, n1, n2) in [
        ("there", PodState::Running, "on node n1", vec![], short.clone()),
        // Nothing but its node tells it from the one before.
        ("twin", PodState::Running, "on node n3", short.clone(), short.clone()),
        // What has not started may have been given its node by name, as nothing but the name of the node says.
        ("starting", PodState::Starting, "it has not started yet, on node n2", vec!["NodeName", short[0]], vec![]),
        (
            "lost",
            PodState::Starting,
            "it has not started yet, on node gone, which is not in the cluster as it was read",
            vec!["NodeName"],
            vec!["NodeName"],
        ),
        ("finished", PodState::Finished, "all its containers have ended", vec![], vec![]),
        ("leaving", PodState::Terminating, "it is being deleted, on node n1", vec![], vec![]),
    ] {
        let explanation = explainer.explain(snapshot.find_pod("shop", name).unwrap().0);
        assert_eq!((explanation.state, explanation.detail.as_str()), (state, detail));
        assert_eq!((explanation.reason, explanation.helps.len()), (PodReason::NotPending, 0));
        assert_eq!(filters(&explanation)[..2], [n1, n2], "{name}");
    }
    assert_eq!(format!("{:?}", simulation.nodes().collect::<Vec<_>>()), before);
}

#[test]
fn groups_say_which_kinds_of_nodes_fit_and_what_limits_them() {
    let mut config = config(5);
    config.groups[0].instance_types = vec![instance_type("small", 2, 8, 1), instance_type("large", 16, 64, 1)];
    let mut windows = group("windows", 0, 0);
    windows.os = Os::Windows;
    windows.taints = vec![Taint { key: "t".into(), value: "".into(), effect: TaintEffect::NoSchedule }];
    config.groups.push(windows);
    let block = |zone: Option<&str>, until| LaunchBlock {
        group: "general".into(),
        instance_type: None,
        zone: zone.map(Text::from),
        lifecycle: None,
        until: Timestamp(until),
        why: "no capacity".to_owned(),
    };
    config.blocked = vec![block(Some("b"), NOW.0 + 60_000), block(None, NOW.0)];
    let snapshot = World::default().pods([pending("p", "a", shape(3000, 1))]).build();
    let groups = explained(&snapshot, &config, "p").groups;
    let [general, windows] = &*groups else { unreachable!() };
    assert_eq!((general.fits(), general.kinds, general.fitting), (true, 4, 2));
    let [short] = &general.failed[..] else { unreachable!() };
    assert_eq!((short.filter, short.kinds), ("NodeResourcesFit", 2));
    assert_eq!((short.reason.as_str(), short.example.as_str()), ("cpu: needs 3, 2 free", "small in a, on-demand"));
    assert_eq!(general.limits, ["launching b failed: no capacity; next try in 60s"]);
    assert_eq!((windows.fits(), windows.kinds, windows.fitting), (false, 2, 0));
    let failed: Vec<&str> = windows.failed.iter().map(|failure| failure.filter).collect();
    assert_eq!(failed, ["OperatingSystem", "TaintToleration"]);
    assert_eq!(windows.limits, ["at its max of 0"]);
}

#[test]
fn many_kinds_that_are_too_small_take_few_lines() {
    let mut config = config(5);
    config.groups[0].instance_types = (1..=40).map(|at| instance_type(&format!("t{at}"), at, 1, 1)).collect();
    let snapshot = World::default().pods([pending("p", "a", shape(900_000, 0))]).build();
    let groups = explained(&snapshot, &config, "p").groups;
    assert_eq!((groups[0].kinds, groups[0].failed.len()), (80, 6));
    assert_eq!(groups[0].failed.iter().map(|failure| failure.kinds).sum::<u32>(), 80);
}

/// What only a running pod asks about is known of nodes that do not exist yet, too.
#[test]
fn groups_know_the_topology_of_running_pods() {
    let mut spread = shape(100, 1);
    spread.inter_pod.spread = vec![SpreadConstraint {
        selector: Some(LabelSelector::default()),
        topology_key: "rack".into(),
        max_skew: 1,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }];
    let mut config = config(5);
    config.groups[0].labels = [("rack", "r1")].into_iter().collect();
    let snapshot = World::default()
        .nodes([node("n", "general", "a")])
        .pods([running("p", "a", "n", spread), pending("q", "a", shape(1, 0))])
        .build();
    let explanation = explained(&snapshot, &config, "p");
    assert_eq!(filters(&explanation), [["PodTopologySpread"]], "the node has no rack");
    assert!(explanation.groups[0].fits(), "{:?}", explanation.groups[0]);
}

#[test]
fn pods_of_one_class_are_judged_once() {
    let same = Arc::new(shape(4100, 1));
    let numbered = |at: u32| {
        let mut pod = pending(&format!("p{at}"), "a", shape(1, 1));
        pod.shape = same.clone();
        pod.labels = labels(&[("app", "a"), ("index", &at.to_string())]);
        pod
    };
    let snapshot = World::default().nodes([node("n", "general", "a")]).pods((0..3).map(numbered)).build();
    let mut simulation = Simulation::new(&snapshot);
    let config = config(5);
    let plan = planned(&snapshot, &mut simulation, &config);
    let mut explainer = PodExplainer::new(&snapshot, &mut simulation, &config, &plan, NOW);
    let all: Vec<PodExplanation> = explainer.pending().into_iter().map(|pod| explainer.explain(pod)).collect();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| Arc::ptr_eq(&one.nodes, &all[0].nodes) && Arc::ptr_eq(&one.groups, &all[0].groups)));
}

#[test]
fn nodes_that_say_the_same_are_one_row() {
    let mut other = node("n5", "general", "a");
    other.unschedulable = true;
    let snapshot = World::default()
        .nodes(["n1", "n2", "n3", "n4"].map(|name| node(name, "general", "a")))
        .nodes([other])
        .pods(
            [("a", "n1", 3000), ("b", "n2", 1500), ("c", "n3", 3999)]
                .map(|(name, node, cpu)| running(name, "a", node, shape(cpu, 1))),
        )
        .pods([pending("p", "a", shape(3500, 1))])
        .build();
    let config = config(0);
    let mut simulation = Simulation::new(&snapshot);
    let plan = planned(&snapshot, &mut simulation, &config);
    let mut explainer = PodExplainer::new(&snapshot, &mut simulation, &config, &plan, NOW);
    let explanation = explainer.explain(snapshot.find_pod("shop", "p").unwrap().0);
    let sets: Vec<(usize, String)> = explainer
        .node_sets(&explanation)
        .into_iter()
        .map(|set| (set.nodes.len(), set.failed.first().map_or_else(String::new, |failure| failure.reason.clone())))
        .collect();
    let expected = [(1, ""), (3, "cpu: needs 3500m, at most 2500m free"), (1, "the node is cordoned")];
    assert_eq!(sets, expected.map(|(nodes, reason)| (nodes, reason.to_owned())));
}

#[test]
fn what_would_help_follows_from_the_reasons() {
    let base = || shape(500, 1);
    let selecting = |key: &str, value: &str| PodShape { node_selector: [(key, value)].into_iter().collect(), ..base() };
    let near = PodAffinityTerm {
        selector: Some(LabelSelector { match_labels: [("app", "b")].into_iter().collect(), ..Default::default() }),
        namespaces: vec![],
        namespace_selector: None,
        topology_key: well_known::ZONE.into(),
    };
    let mut torn = base();
    torn.inter_pod.affinity = vec![near.clone()];
    torn.inter_pod.anti_affinity = vec![near];
    let mut gpu = base();
    gpu.requests.set_extended("nvidia.com/gpu".into(), 1);
    let mut full = config(1);
    full.groups[0].taints = vec![Taint { key: "only".into(), value: "b".into(), effect: TaintEffect::NoSchedule }];
    for (shape, config, help) in [
        (base(), ScaleUpConfig::default(), "configure node groups (--config)"),
        (base(), ScaleUpConfig::default(), "free 500m cpu on node full"),
        (base(), ScaleUpConfig::default(), "uncordon cordoned"),
        (base(), config(1), "raise max of general"),
        (base(), full, "let the pod tolerate only=b:NoSchedule to use group general"),
        (selecting(well_known::ZONE, "c"), config(9), "let group general use zone c"),
        (selecting(well_known::INSTANCE_TYPE, "m9"), config(9), "let group general use instance type m9"),
        (selecting("disk", "ssd"), config(9), "give nodes of group general the label disk=ssd, or ask for another"),
        (
            shape(64_000, 1),
            config(9),
            "give group general an instance type that leaves pods 64 cpu, or let the pod request less",
        ),
        (
            gpu,
            config(9),
            "give group general an instance type that leaves pods 1 nvidia.com/gpu, or let the pod request less",
        ),
        (
            torn,
            config(9),
            "take out one of two required terms that contradict each other: its affinity and its anti-affinity name \
             the same pods in the same topology.kubernetes.io/zone",
        ),
    ] {
        let mut cordoned = node("cordoned", "general", "a");
        cordoned.unschedulable = true;
        let mut full = node("full", "other", "a");
        full.allocatable.cpu = MilliCpu(4000);
        let snapshot = World::default()
            .nodes([full, cordoned])
            .pods([running("old", "b", "full", fixture::shape(4000, 1)), pending("p", "a", shape)])
            .build();
        let explanation = explained(&snapshot, &config, "p");
        let text = format!("{}: {:?}", explanation.detail, explanation.helps);
        assert!(explanation.helps.iter().any(|known| known == help), "{help}; {text}");
    }
}
