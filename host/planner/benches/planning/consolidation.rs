//! Scale-down of a large cluster: 150,000 pods on 5,000 nodes, of which three in ten could go.

use std::sync::Arc;

use plimsoll_model::{Millis, Snapshot};
use plimsoll_planner::Asked;
use plimsoll_planner::DrainPolicy;
use plimsoll_planner::drain::{
    Candidate, History, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion, ScaleDownConfig, ScaleDownPlan,
    plan_scale_down,
};
use plimsoll_planner::scale_up::ScaleUpConfig;
use plimsoll_scheduler::Simulation;

use super::{NOW, measure, worlds};

/// Every node goes, those with the fewest pods first, and pods leave by name.
struct Everything;

impl DrainPolicy for Everything {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let mut nodes: Vec<&Candidate> = question.candidates.iter().collect();
        nodes.sort_by_key(|node| (node.pods, node.cpu_permille, node.node.0));
        let drain = nodes.iter().map(|node| NodeChoice { node: node.node.0, reason: String::new() }).collect();
        Asked { verdict: Some(NodesVerdict::Order { drain, keep: Vec::new() }), calls: Vec::new() }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let turn =
            |pod: &plimsoll_planner::drain::DrainPod| PodTurn { pod: pod.pod.0, wait: None, reason: String::new() };
        Asked { verdict: Some(question.pods.iter().map(turn).collect()), calls: Vec::new() }
    }
}

/// The whole plan, and the plan after 100 pods have changed; smaller by `scale`.
pub fn run(scale: usize) {
    let mut cluster = worlds::sparse_cluster(scale);
    let mut snapshot = cluster.snapshot();
    let scale_up = super::config(worlds::big_groups());
    let mut simulation = Simulation::new(&snapshot);
    let nodes = snapshot.node_count();
    for (what, percentage) in [("all that can go", 100), ("10 % at once", 10)] {
        let config =
            ScaleDownConfig { max_percentage: percentage, min_node_age: Some(Millis(0)), ..ScaleDownConfig::default() };
        let full = measure(
            &format!("consolidation: {what}"),
            3,
            || plan(&snapshot, &mut simulation, &scale_up, &config),
            describe,
        );
        let least = if percentage == 100 { nodes * 28 / 100 } else { nodes * percentage as usize / 100 };
        assert!(full.drains.len() >= least, "{} of {nodes} nodes go", full.drains.len());
        check(&snapshot, &full);
        let mut change = 0;
        let again = measure(
            &format!("consolidation: {what}, 100 changes"),
            3,
            || {
                for at in 0..100 {
                    let pod = worlds::sparse_pod(&mut cluster, at * 37 % nodes, 100 + change);
                    cluster.upsert_pod(pod);
                }
                change += 1;
                snapshot = cluster.snapshot();
                assert!(simulation.sync(&snapshot), "only what has changed is done again");
                plan(&snapshot, &mut simulation, &scale_up, &config)
            },
            describe,
        );
        assert!(again.drains.len() >= least / 2, "{} of {nodes} nodes go", again.drains.len());
        check(&snapshot, &again);
    }
}

fn plan(
    snapshot: &Arc<Snapshot>,
    simulation: &mut Simulation,
    scale_up: &ScaleUpConfig,
    config: &ScaleDownConfig,
) -> ScaleDownPlan {
    plan_scale_down(snapshot, simulation, scale_up, config, &History::default(), NOW, &Everything)
}

/// Every evicted pod has a place, on a node that stays.
fn check(snapshot: &Snapshot, plan: &ScaleDownPlan) {
    let leaving: std::collections::HashSet<u32> = plan.drains.iter().map(|drain| drain.node.0).collect();
    let evicted: usize = plan.drains.iter().map(|drain| drain.evictions.len()).sum();
    assert_eq!(plan.moves.len(), evicted);
    assert!(plan.moves.iter().all(|(_, to)| !leaving.contains(&to.0)));
    assert_eq!(plan.drains.len() + plan.kept.len(), snapshot.node_count());
}

fn describe(plan: &ScaleDownPlan) -> (u32, String) {
    let evictions: usize = plan.drains.iter().map(|drain| drain.evictions.len()).sum();
    (1, format!("{} nodes go, {evictions} evictions, {} can go", plan.drains.len(), plan.removable.len()))
}
