//! Acceptance scenarios of `ocean-features.md` 6 that are about plans, by number; those about drains are in `drains`.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::sync::Arc;

use fixture::*;
use plimsoll_model::{
    LabelSelector, Lifecycle, Node, NodeGroup, NodeInclusion, PodAffinityTerm, PodShape, Snapshot, SpreadConstraint,
    Timestamp, well_known,
};
use plimsoll_planner::drain::{
    History, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion, ScaleDownConfig, ScaleDownPlan,
    plan_scale_down,
};
use plimsoll_planner::scale_up::{
    Choice, LaunchBlock, ScaleUpConfig, ScaleUpPlan, ScaleUpQuestion, ScaleUpVerdict, plan_scale_up,
};
use plimsoll_planner::{Asked, DrainPolicy, ScaleUpPolicy};
use plimsoll_scheduler::Simulation;

/// Takes whatever it is offered, the first option first.
struct Eager;

impl ScaleUpPolicy for Eager {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        let count = question.options[0].nodes;
        let choice = Choice { option: 0, count, reason: "the first".to_owned() };
        Asked { verdict: Some(ScaleUpVerdict::Launch(vec![choice])), calls: vec![] }
    }
}

impl DrainPolicy for Eager {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let all = question.candidates.iter().map(|node| NodeChoice { node: node.node.0, reason: "goes".to_owned() });
        Asked { verdict: Some(NodesVerdict::Order { drain: all.collect(), keep: vec![] }), calls: vec![] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let turn =
            |pod: &plimsoll_planner::drain::DrainPod| PodTurn { pod: pod.pod.0, wait: None, reason: String::new() };
        Asked { verdict: Some(question.pods.iter().map(turn).collect()), calls: vec![] }
    }
}

fn up(snapshot: &Arc<Snapshot>, groups: Vec<NodeGroup>, blocked: Vec<LaunchBlock>) -> ScaleUpPlan {
    let config = ScaleUpConfig { groups, blocked, ..Default::default() };
    plan_scale_up(snapshot, &mut Simulation::new(snapshot), &config, NOW, &Eager)
}

fn down(snapshot: &Arc<Snapshot>, config: &ScaleDownConfig) -> ScaleDownPlan {
    let scale_up = ScaleUpConfig::default();
    plan_scale_down(snapshot, &mut Simulation::new(snapshot), &scale_up, config, &History::default(), NOW, &Eager)
}

/// Names of the nodes that go, and why the others stay.
fn verdicts(snapshot: &Snapshot, plan: &ScaleDownPlan) -> (Vec<String>, Vec<(String, &'static str)>) {
    let name = |id| snapshot.node(id).name.to_string();
    let goes = plan.drains.iter().map(|drain| name(drain.node)).collect();
    (goes, plan.kept.iter().map(|kept| (name(kept.node), kept.reason.label())).collect())
}

fn selector(app: &str) -> LabelSelector {
    LabelSelector { match_labels: [("app", app)].into_iter().collect(), ..Default::default() }
}

#[test]
fn scenario_5_a_budget_without_disruptions_keeps_its_node_unless_it_is_not_respected() {
    let world = || World::default().nodes([node("n1", "general", "a"), node("n2", "general", "a")]);
    let pods = [running("web", "web", "n1", shape(3_000, 1)), running("big", "big", "n2", shape(2_000, 1))];
    let snapshot = world().pods(pods).budgets([budget("web", "web", 0), budget("big", "big", 0)]).build();
    let (goes, stays) = verdicts(&snapshot, &down(&snapshot, &ScaleDownConfig::default()));
    assert!(goes.is_empty());
    assert!(stays.iter().all(|(_, reason)| *reason == "PdbBlocked"), "{stays:?}");
    let spare = world().nodes([node("n3", "general", "a")]);
    let snapshot = spare.pods([running("web", "web", "n1", shape(500, 1))]).budgets([budget("web", "web", 0)]).build();
    let careless = ScaleDownConfig { respect_budgets: false, max_percentage: 100, ..Default::default() };
    assert!(verdicts(&snapshot, &down(&snapshot, &careless)).0.len() >= 2, "the eviction API still says no");
}

#[test]
fn scenario_6_a_group_that_may_not_shrink_loses_empty_nodes_only() {
    let mut agent = running("agent", "agent", "idle", shape(100, 0));
    agent.owner = owner("DaemonSet", "agent");
    let nodes = [node("busy", "kept", "a"), node("idle", "kept", "a"), node("other", "general", "a")];
    let snapshot = World::default().nodes(nodes).pods([running("web", "web", "busy", shape(500, 1)), agent]).build();
    let kept = NodeGroup { restrict_scale_down: true, ..group("kept", 0, 9) };
    let groups = Some(vec![kept, group("general", 0, 9)]);
    let config = ScaleDownConfig { groups, max_percentage: 100, ..Default::default() };
    let (goes, stays) = verdicts(&snapshot, &down(&snapshot, &config));
    assert!(goes.contains(&"idle".to_owned()), "{goes:?}, {stays:?}");
    assert!(stays.contains(&("busy".to_owned(), "GroupRestricted")), "{stays:?}");
}

#[test]
fn scenario_12_pods_that_keep_apart_get_nodes_in_three_zones() {
    let mut apart: PodShape = shape(500, 1);
    apart.inter_pod.anti_affinity = vec![PodAffinityTerm {
        selector: Some(selector("db")),
        namespaces: vec![],
        namespace_selector: None,
        topology_key: well_known::ZONE.into(),
    }];
    let pods = (0..3).map(|at| pending(&format!("db-{at}"), "db", apart.clone()));
    let snapshot = World::default().pods(pods).build();
    let zones = ["a", "b", "c"].map(Into::into).to_vec();
    let plan = up(&snapshot, vec![NodeGroup { zones, ..group("general", 0, 9) }], vec![]);
    let mut zones: Vec<String> = plan.launches.iter().map(|launch| launch.zone.to_string()).collect();
    zones.sort();
    assert_eq!(zones, ["a", "b", "c"]);
    assert!(plan.launches.iter().all(|launch| launch.count == 1 && launch.pods.len() == 1));
}

#[test]
fn scenario_14_no_on_demand_node_stands_in_for_spot_across_the_spread() {
    let mut spread: PodShape = shape(3_000, 1);
    spread.inter_pod.spread = vec![SpreadConstraint {
        selector: Some(selector("web")),
        topology_key: well_known::LIFECYCLE.into(),
        max_skew: 1,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }];
    let of = |name: &str, lifecycle: &str| Node {
        labels: labels(&[
            (well_known::HOSTNAME, name),
            (well_known::ZONE, "a"),
            (well_known::NODE_GROUP[0], if lifecycle == "od" { "steady" } else { "spot" }),
            (well_known::LIFECYCLE, lifecycle),
        ]),
        ..node(name, "steady", "a")
    };
    let filler = |node: &str| running(&format!("full-{node}"), "full", node, shape(900, 0));
    let world = World::default()
        .nodes([of("od", "od"), of("spot", "spot")])
        .pods([running("web-0", "web", "od", spread.clone()), filler("od")])
        .pods([running("full-spot", "full", "spot", shape(3_900, 1))])
        .pods([pending("web-1", "web", spread)]);
    let snapshot = world.build();
    let lifecycle = |name: &str, lifecycle| NodeGroup { lifecycles: vec![lifecycle], ..group(name, 0, 9) };
    let groups = vec![lifecycle("steady", Lifecycle::OnDemand), lifecycle("spot", Lifecycle::Spot)];
    let none = LaunchBlock {
        group: "spot".into(),
        instance_type: None,
        zone: None,
        lifecycle: None,
        until: Timestamp(NOW.0 + 300_000),
        why: "there is no spot capacity".to_owned(),
    };
    let plan = up(&snapshot, groups.clone(), vec![none]);
    assert!(plan.launches.is_empty(), "{:?}", plan.launches);
    let reason = plan.pending[0].reason.label();
    assert!(["TopologySpreadBlocked", "TopologyCapacityUnavailable", "LaunchFailed"].contains(&reason), "{reason}");
    // With spot to be had, that is what comes.
    let plan = up(&snapshot, groups, vec![]);
    assert!(plan.launches.iter().all(|launch| launch.lifecycle == Lifecycle::Spot) && !plan.launches.is_empty());
}
