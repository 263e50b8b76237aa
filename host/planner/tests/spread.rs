//! Plans for pods that must be spread: whatever the policy leaves out, no promise breaks a constraint.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{LabelSelector, NodeInclusion, Pod, PodShape, Snapshot, SpreadConstraint, well_known};
use plimsoll_planner::scale_up::{Choice, ScaleUpConfig, ScaleUpPlan, ScaleUpQuestion, ScaleUpVerdict, plan_scale_up};
use plimsoll_planner::{Asked, ScaleUpPolicy};
use plimsoll_scheduler::Simulation;
use proptest::prelude::*;

/// Chooses what dice say: an option of each question, and a part of its nodes; holds once they are used up.
struct Dice(Vec<(u32, u32)>, Cell<usize>);

impl ScaleUpPolicy for Dice {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        let at = self.1.replace(self.1.get() + 1);
        let verdict = match self.0.get(at) {
            None => ScaleUpVerdict::Hold("enough".to_owned()),
            Some(&(option, part)) => {
                let option = option % u32::try_from(question.options.len()).unwrap();
                let count = (question.options[option as usize].nodes * part).div_ceil(4).max(1);
                ScaleUpVerdict::Launch(vec![Choice { option, count, reason: "dice".to_owned() }])
            }
        };
        Asked { verdict: Some(verdict), calls: vec![] }
    }
}

fn spread(app: &str, max_skew: u32, cpu: u64) -> PodShape {
    let selector = LabelSelector { match_labels: [("app", app)].into_iter().collect(), ..Default::default() };
    let mut shape = shape(cpu, 1);
    shape.inter_pod.spread = vec![SpreadConstraint {
        selector: Some(selector),
        topology_key: well_known::ZONE.into(),
        max_skew,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }];
    shape
}

/// Pods of an app by zone: those that run, and those that the plan promises a node.
fn by_zone(snapshot: &Snapshot, plan: &ScaleUpPlan, app: &str) -> (BTreeMap<String, u32>, BTreeMap<String, u32>) {
    let is = |pod: &Pod| pod.labels.get("app").is_some_and(|label| *label == *app);
    let (mut all, mut planned) = (BTreeMap::new(), BTreeMap::new());
    for (_, node) in snapshot.nodes() {
        all.entry(node.zone().unwrap().to_string()).or_insert(0);
    }
    for (_, pod) in snapshot.pods().filter(|(_, pod)| is(pod)) {
        if let Some((_, node)) = pod.node.as_ref().and_then(|name| snapshot.find_node(name)) {
            *all.entry(node.zone().unwrap().to_string()).or_insert(0) += 1;
        }
    }
    for pending in plan.pending.iter().filter(|pending| pending.reason.label() == "FitsExistingNode") {
        assert!(!is(snapshot.pod(pending.pod)), "existing nodes are full");
    }
    for launch in &plan.launches {
        let zone = launch.zone.to_string();
        let pods = launch.pods.iter().filter(|&&pod| is(snapshot.pod(pod))).count();
        *all.entry(zone.clone()).or_insert(0) += u32::try_from(pods).unwrap();
        *planned.entry(zone).or_insert(0) += u32::try_from(pods).unwrap();
    }
    (all, planned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_promise_breaks_a_spread(
        running in prop::collection::vec((0usize..3, 0usize..2), 0..6),
        waiting in prop::collection::vec((1u32..12, 1u32..3, 1u64..5), 1..3),
        dice in prop::collection::vec((0u32..40, 1u32..5), 0..8),
        zones in 1usize..4,
    ) {
        const APPS: [&str; 2] = ["web", "api"];
        let names = ["a", "b", "c"];
        let mut world = World::default();
        for (at, (zone, app)) in running.iter().enumerate() {
            let mut full = node(&format!("n{at}"), "general", names[*zone]);
            full.allocatable.pods = 1;
            let name = full.name.to_string();
            world = world.nodes([full]).pods([fixture::running(&format!("r{at}"), APPS[*app], &name, shape(100, 0))]);
        }
        for (app, (count, max_skew, cpu)) in waiting.iter().enumerate() {
            let shape = spread(APPS[app], *max_skew, cpu * 500);
            world = world.pods((0..*count).map(|at| pending(&format!("{}-{at}", APPS[app]), APPS[app], shape.clone())));
        }
        let snapshot = world.build();
        let mut general = group("general", 0, 50);
        general.zones = names[..zones].iter().map(|&zone| zone.into()).collect();
        let config = ScaleUpConfig { groups: vec![general], ..Default::default() };
        let mut simulation = Simulation::new(&snapshot);
        let plan = plan_scale_up(&snapshot, &mut simulation, &config, NOW, &Dice(dice, Cell::new(0)));
        for (app, (count, max_skew, _)) in waiting.iter().enumerate() {
            let (all, planned) = by_zone(&snapshot, &plan, APPS[app]);
            let least = all.values().min().copied().unwrap_or(0);
            for (zone, pods) in planned.iter().filter(|(_, pods)| **pods > 0) {
                prop_assert!(all[zone] <= least + max_skew, "{} in {zone}: {all:?}, {pods} planned", APPS[app]);
            }
            let promised: u32 = planned.values().sum();
            let left = plan.pending.iter().filter(|p| snapshot.pod(p.pod).name.starts_with(APPS[app])).count();
            prop_assert_eq!(promised as usize + left, *count as usize, "every pod is promised a node or has a reason");
        }
        for launch in &plan.launches {
            prop_assert!(!launch.pods.is_empty(), "no node without pods: {launch:?}");
        }
    }
}
