//! How long planning takes, how much memory, and how good the plans are.
//!
//! `cargo bench -p plimsoll-planner` runs the full sizes, `-- NAME` those cases only; `cargo test --benches` small ones, to see
//! that it works. Every case asserts that the work was done: every pod that can have a place has one.

#![allow(missing_docs, reason = "a bench is read, not called")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot be set up says so and ends")]

mod consolidation;
mod counted;
mod openb;
mod policy;
mod worlds;

use std::sync::Arc;
use std::time::Instant;

use plimsoll_model::{Bytes, ClusterBuilder, MilliCpu, PodShape, Resources, Snapshot, Timestamp, well_known};
use plimsoll_planner::scale_up::{ClusterLimits, ScaleUpConfig, ScaleUpPlan, plan_scale_up};
use plimsoll_scheduler::{Batch, NodeState, PodClass, Simulation, Wanted, pack};

const NOW: Timestamp = Timestamp(2_000_000_000_000);

pub fn main() {
    let large = std::env::args().any(|argument| argument == "--bench");
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |case: &str| named.is_empty() || named.iter().any(|name| case.contains(name.as_str()));
    println!("{:<34} {:>10} {:>12} {:>10} {:>8}  result", "case", "ms", "allocations", "peak MiB", "rounds");
    if wanted("karpenter-diverse") {
        let sizes: &[usize] = if large { &[100, 1_000, 5_000, 20_000] } else { &[100] };
        sizes.iter().for_each(|&pods| karpenter_diverse(pods));
    }
    if wanted("ca-estimate") {
        ca_estimate();
    }
    if wanted("big-cluster") {
        big_cluster(if large { 1 } else { 50 });
    }
    if wanted("consolidation") {
        consolidation::run(if large { 1 } else { 50 });
    }
    if wanted("openb") {
        openb::run(large);
    }
}

/// Runs something and prints what it took.
pub fn measure<T>(name: &str, runs: usize, mut work: impl FnMut() -> T, result: impl Fn(&T) -> (u32, String)) -> T {
    let mut best: Option<(f64, usize, usize, T)> = None;
    for _ in 0..runs {
        let before = counted::start();
        let (calls, _) = counted::so_far();
        let start = Instant::now();
        let done = work();
        let took = start.elapsed().as_secs_f64() * 1e3;
        let (after, peak) = counted::so_far();
        if best.as_ref().is_none_or(|(known, ..)| took < *known) {
            best = Some((took, after - calls, peak - before, done));
        }
    }
    let (took, calls, peak, done) = best.unwrap();
    let (rounds, text) = result(&done);
    println!("{name:<34} {took:>10.2} {calls:>12} {:>10.1} {rounds:>8}  {text}", peak as f64 / f64::from(1 << 20));
    done
}

pub fn config(groups: Vec<plimsoll_model::NodeGroup>) -> ScaleUpConfig {
    let limits = ClusterLimits { max_cpu: MilliCpu(u64::MAX), max_memory: Bytes(u64::MAX), max_nodes: 1_000_000 };
    ScaleUpConfig { groups, limits, ..ScaleUpConfig::default() }
}

pub fn placed(plan: &ScaleUpPlan) -> usize {
    plan.launches.iter().map(|launch| launch.pods.len()).sum()
}

pub fn nodes(plan: &ScaleUpPlan) -> u32 {
    plan.launches.iter().map(|launch| launch.count).sum()
}

pub fn cost(plan: &ScaleUpPlan) -> f64 {
    let of = |launch: &plimsoll_planner::scale_up::PlannedLaunch| {
        launch.price.map_or(0.0, |price| price.0 as f64 / 1e6) * f64::from(launch.count)
    };
    plan.launches.iter().map(of).sum()
}

pub fn describe(plan: &ScaleUpPlan) -> (u32, String) {
    let text = format!("{} pods on {} nodes, ${:.2}/h", placed(plan), nodes(plan), cost(plan));
    (u32::try_from(plan.launches.len()).unwrap_or(u32::MAX), text)
}

pub fn plan(snapshot: &Arc<Snapshot>, simulation: &mut Simulation, config: &ScaleUpConfig) -> ScaleUpPlan {
    plan_by(snapshot, simulation, config, &policy::Thrifty { trims: false })
}

pub fn plan_by(
    snapshot: &Arc<Snapshot>,
    simulation: &mut Simulation,
    config: &ScaleUpConfig,
    policy: &policy::Thrifty,
) -> ScaleUpPlan {
    plan_scale_up(snapshot, simulation, config, NOW, policy)
}

fn karpenter_diverse(pods: usize) {
    let mut cluster = worlds::karpenter_pods(pods);
    let snapshot = cluster.snapshot();
    let config = config(worlds::karpenter_types());
    let work = || plan(&snapshot, &mut Simulation::new(&snapshot), &config);
    let plan = measure(&format!("karpenter-diverse {pods}"), if pods > 5_000 { 3 } else { 5 }, work, describe);
    assert_eq!(placed(&plan), pods, "{:?}", plan.pending.first());
}

/// `BenchmarkBinpackingEstimate` of cluster-autoscaler.
fn ca_estimate() {
    let snapshot = ClusterBuilder::default().build();
    let node = NodeState {
        name: "template".into(),
        labels: Arc::new([(well_known::HOSTNAME, "template")].into_iter().collect()),
        free: Resources { cpu: MilliCpu(1000), memory: Bytes(5000 << 20), pods: 100, ..Default::default() },
        ..Default::default()
    };
    let class = |cpu, memory| PodClass {
        namespace: "universe".into(),
        labels: Arc::default(),
        shape: Arc::new(PodShape {
            requests: Resources { cpu: MilliCpu(cpu), memory: Bytes(memory), pods: 1, ..Default::default() },
            ..Default::default()
        }),
        terminating: false,
        volumes: None,
    };
    let work = || {
        let mut simulation = Simulation::new(&snapshot);
        let classes = [simulation.intern(class(50, 100)), simulation.intern(class(95, 190))];
        simulation.prepare(&classes);
        let site = simulation.site(node.clone());
        let wanted = [(classes[0], 50_000), (classes[1], 1_000)].map(|(class, pods)| Wanted { class, pods, needs: 0 });
        pack(&Batch::new(&simulation, &site, &wanted), &site, &|_| true, 3_000)
    };
    let pods = |packing: &plimsoll_scheduler::Packing| packing.placed.iter().map(|(_, pods)| *pods).sum::<u32>();
    let packing = measure("ca-estimate 51,000 pods", 20, work, |packing| {
        (1, format!("{} pods on {} nodes", pods(packing), packing.nodes))
    });
    assert_eq!((packing.nodes, pods(&packing)), (2_595, 51_000));
}

fn big_cluster(scale: usize) {
    let mut cluster = worlds::big_cluster(scale);
    let mut snapshot = cluster.snapshot();
    let config = config(worlds::big_groups());
    let waiting = snapshot.pending().count();
    let mut simulation = measure(
        "big-cluster: cold simulation",
        3,
        || Simulation::new(&snapshot),
        |_| (0, format!("{} nodes, {} pods", snapshot.node_count(), snapshot.pod_count())),
    );
    let full = measure("big-cluster: full plan", 5, || plan(&snapshot, &mut simulation, &config), describe);
    assert_eq!(placed(&full) + full.pending.len(), waiting);
    assert!(
        full.pending.iter().all(|pending| pending.reason.label() == "FitsExistingNode"),
        "{:?}",
        full.pending.first()
    );
    let mut change = 0;
    let again = measure(
        "big-cluster: plan after 100 changes",
        5,
        || {
            for at in 0..100 {
                let pod =
                    worlds::big_pending(&mut cluster, &format!("changed-{change}-{at}"), (change * 100 + at) % 300);
                cluster.upsert_pod(pod);
            }
            change += 1;
            snapshot = cluster.snapshot();
            simulation.sync(&snapshot);
            plan(&snapshot, &mut simulation, &config)
        },
        describe,
    );
    assert!(placed(&again) + again.pending.len() > waiting);
    let (_, pod) = snapshot.pending().next().unwrap();
    let pod = pod.clone();
    let verdicts = measure(
        "big-cluster: why not, every node",
        5,
        || {
            let class = simulation.class_of(&snapshot, &pod);
            simulation.prepare(&[class]);
            snapshot.nodes().map(|(id, _)| simulation.why_not(class, None, id).len()).filter(|count| *count > 0).count()
        },
        |full| (0, format!("{full} nodes have no place for {}", pod.full_name())),
    );
    assert!(verdicts > 0);
}
