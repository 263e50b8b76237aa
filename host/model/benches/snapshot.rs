//! Taking a snapshot after some pods moved, in a large cluster and in one of a tenth of its size, beside making the
//! cluster again from all of its objects. Every move is looked up in what comes out.
//!
//! `cargo bench -p plimsoll-model --bench snapshot` has 5,000 nodes and 150,000 pods; `cargo test --benches` a few,
//! to see that it works.

#![allow(clippy::unwrap_used, reason = "a cluster that is not as expected must end the bench")]

use std::hint::black_box;
use std::time::Instant;

use plimsoll_model::{
    Cluster, ClusterBuilder, MilliCpu, Millis, Node, Owner, Phase, Pod, PodId, PodShape, Pools, Resources, Scheduling,
    Snapshot, Text, Timestamp, Uid, Volumes,
};

const PODS_PER_NODE: usize = 30;
const PODS_PER_OWNER: usize = 250;
/// One pod in so many waits.
const PENDING: usize = 15;
const LOOK_UPS: usize = 100_000;

fn main() {
    let large = std::env::args().any(|argument| argument == "--bench");
    let (nodes, counts, rounds) = if large { (5_000, [1, 100, 10_000], 11) } else { (50, [1, 10, 100], 2) };
    for nodes in [nodes, nodes / 10] {
        let pods = nodes * PODS_PER_NODE;
        let mut cluster = Cluster::from(builder(nodes, &all(nodes, 0)));
        let first = cluster.snapshot();
        check(&first, nodes, 0..pods, 0);
        println!("{nodes} nodes, {pods} pods");
        reads(&first, &all(nodes, 0));
        drop(first);

        // An allocator that has just been given back much is slow for a while. Not what is measured here, so it
        // comes to rest first, and the rebuilding is last.
        let mut round = 0;
        while round < 1000 {
            round += 1;
            let moved = pod(cluster.pools(), nodes, 0, round);
            cluster.upsert_pod(moved);
            cluster.snapshot();
        }
        let spent = counts.map(|moved| {
            let (mut apply, mut take) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                round += 1;
                let which = || (0..moved).map(|index| index * pods / moved);
                let objects: Vec<Pod> = which().map(|index| pod(cluster.pools(), nodes, index, round)).collect();
                let (spent, ()) = timed(|| objects.into_iter().for_each(|pod| cluster.upsert_pod(pod)));
                apply.push(spent);
                let (spent, snapshot) = timed(|| cluster.snapshot());
                take.push(spent);
                check(&snapshot, nodes, which(), round);
                assert_eq!(snapshot.changes().pods.len(), moved, "as many as moved are listed");
            }
            (moved, median(apply), median(take))
        });
        let rebuilds = (0..rounds.min(5)).map(|round| {
            let objects = all(nodes, round);
            let (spent, snapshot) = timed(|| builder(nodes, &objects).build());
            check(&snapshot, nodes, 0..pods, round);
            spent
        });
        let rebuild = median(rebuilds.collect());
        println!("    pods moved   us to apply   us to take   us to rebuild all   rebuild / both");
        for (moved, apply, take) in spent {
            let ratio = rebuild / (apply + take);
            println!("    {moved:>10} {apply:>13.1} {take:>12.1} {rebuild:>19.0} {ratio:>16.1}");
        }
    }
}

/// How long it takes to read what is there, beside the same from plain vectors in the order of names.
fn reads(snapshot: &Snapshot, pods: &[Pod]) {
    let mut sorted: Vec<&Pod> = pods.iter().collect();
    sorted.sort_by_key(|pod| (&pod.namespace, &pod.name));
    let plain: Vec<Pod> = sorted.into_iter().cloned().collect();
    let nodes = snapshot.node_count();
    let some: Vec<usize> = (0..LOOK_UPS).map(|index| index * 7919 % plain.len()).collect();
    let ids: Vec<PodId> = some.iter().map(|&at| PodId(u32::try_from(at).unwrap())).collect();

    let ours = best(|| ids.iter().map(|&id| u64::from(snapshot.pod(id).ready)).sum());
    let theirs = best(|| some.iter().map(|&at| u64::from(plain[at].ready)).sum());
    row("ns a pod by its id", 1e3 / number(LOOK_UPS), ours, theirs);
    let few: Vec<PodId> = ids.iter().take(100).copied().collect();
    let ours = best(|| (0..LOOK_UPS).map(|at| u64::from(snapshot.pod(few[at % 100]).ready)).sum());
    let theirs = best(|| (0..LOOK_UPS).map(|at| u64::from(plain[some[at % 100]].ready)).sum());
    row("ns a pod by its id, of 100", 1e3 / number(LOOK_UPS), ours, theirs);
    let key = |at: usize| (&*plain[at].namespace, &*plain[at].name);
    let ours = best(|| some.iter().map(|&at| u64::from(snapshot.find_pod(key(at).0, key(at).1).unwrap().0.0)).sum());
    let search = |wanted| plain.binary_search_by(|pod| (&*pod.namespace, &*pod.name).cmp(&wanted)).unwrap();
    let theirs = best(|| some.iter().map(|&at| search(key(at)) as u64).sum());
    row("ns a pod by its name", 1e3 / number(LOOK_UPS), ours, theirs);
    let names: Vec<Text> = snapshot.nodes().map(|(_, node)| node.name.clone()).collect();
    let name = |at: usize| names[some[at] % nodes].as_str();
    let ours = best(|| (0..LOOK_UPS).map(|at| u64::from(snapshot.find_node(name(at)).unwrap().0.0)).sum());
    let search = |wanted| names.binary_search_by(|name| name.as_str().cmp(wanted)).unwrap();
    let theirs = best(|| (0..LOOK_UPS).map(|at| search(name(at)) as u64).sum());
    row("ns a node by its name", 1e3 / number(LOOK_UPS), ours, theirs);
    let ours = best(|| snapshot.pods().map(|(_, pod)| pod.shape.requests.cpu.0).sum());
    let theirs = best(|| plain.iter().map(|pod| pod.shape.requests.cpu.0).sum());
    row("us all pods", 1.0, ours, theirs);
    let waits = |pod: &&Pod| pod.phase == Phase::Pending && pod.node.is_none();
    let ours = best(|| snapshot.pending().count() as u64);
    let theirs = best(|| plain.iter().filter(waits).count() as u64);
    row("us all pending pods", 1.0, ours, theirs);
}

/// The shortest of some times: whatever else the machine does only adds.
fn best(read: impl Fn() -> u64) -> (f64, u64) {
    let times = (0..9).map(|_| timed(&read));
    times.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

fn row(what: &str, scale: f64, (ours, found): (f64, u64), (theirs, there): (f64, u64)) {
    assert_eq!(found, there, "{what}");
    println!("    {:>10.1} {what}; in a plain vector {:.1}", ours * scale, theirs * scale);
}

/// These pods are where this round put them.
fn check(snapshot: &Snapshot, nodes: usize, moved: impl Iterator<Item = usize>, round: usize) {
    assert_eq!((snapshot.node_count(), snapshot.pod_count()), (nodes, nodes * PODS_PER_NODE));
    for index in moved {
        let (namespace, name) = pod_name(index);
        let (id, pod) = snapshot.find_pod(namespace, &name).unwrap();
        let home = home(nodes, index, round);
        assert_eq!(pod.node.as_deref(), home.as_deref(), "{namespace}/{name}");
        if let Some(home) = home {
            assert!(snapshot.pods_on(snapshot.find_node(&home).unwrap().0).contains(&id), "{home} has {name}");
        }
    }
}

fn builder(nodes: usize, pods: &[Pod]) -> ClusterBuilder {
    let mut builder = ClusterBuilder::default();
    for index in 0..nodes {
        builder.add_node(node(index)).unwrap();
    }
    for pod in pods {
        builder.add_pod(pod.clone()).unwrap();
    }
    builder
}

fn all(nodes: usize, round: usize) -> Vec<Pod> {
    let mut pools = Pools::default();
    (0..nodes * PODS_PER_NODE).map(|index| pod(&mut pools, nodes, index, round)).collect()
}

fn node_name(index: usize) -> String {
    format!("ip-10-0-{}-{}.eu-west-1.compute.internal", index / 250, index % 250)
}

fn node(index: usize) -> Node {
    let offered = Resources { cpu: MilliCpu(16_000), pods: 110, ..Resources::default() };
    Node {
        name: node_name(index).into(),
        uid: Uid::Uuid(u128::try_from(index).unwrap()),
        labels: Default::default(),
        annotations: Default::default(),
        taints: Vec::new(),
        allocatable: offered,
        unschedulable: false,
        ready: true,
        created: Some(Timestamp(0)),
        deleting: false,
        launching: false,
        provider_id: None,
        ready_changed: None,
        conditions: Vec::new(),
        attached_volumes: 0,
        addresses: Vec::new(),
    }
}

fn pod_name(index: usize) -> (&'static str, String) {
    let namespace = ["checkout", "search", "batch", "platform"][index % 4];
    (namespace, format!("service-{}-7d4f9c-{index:06x}", index / PODS_PER_OWNER))
}

/// The node of a pod: each round the next one. Some wait.
fn home(nodes: usize, index: usize, round: usize) -> Option<String> {
    (!index.is_multiple_of(PENDING)).then(|| node_name((index / PODS_PER_NODE + round) % nodes))
}

fn pod(pools: &mut Pools, nodes: usize, index: usize, round: usize) -> Pod {
    let (namespace, name) = pod_name(index);
    let app = pools.text(&format!("service-{}", index / PODS_PER_OWNER));
    let namespace = pools.text(namespace);
    let node: Option<Text> = home(nodes, index, round).map(|name| pools.text(&name));
    let labels = [(pools.text("app"), app.clone()), (pools.text("version"), pools.text(&format!("{round}")))];
    let owner = Owner {
        kind: pools.text("ReplicaSet"),
        api_version: pools.text("apps/v1"),
        namespace: namespace.clone(),
        name: app,
        uid: Uid::Uuid(u128::try_from(index / PODS_PER_OWNER).unwrap()),
    };
    let requests = Resources { cpu: MilliCpu(100), pods: 1, ..Resources::default() };
    Pod {
        namespace,
        name: name.into(),
        uid: Uid::Uuid(u128::try_from(index).unwrap()),
        labels: pools.labels(labels.into_iter().collect()),
        annotations: Default::default(),
        owner: Some(pools.owner(owner)),
        shape: pools.shape(PodShape { requests, ..PodShape::default() }),
        phase: if node.is_some() { Phase::Running } else { Phase::Pending },
        node,
        scheduling: Scheduling::Quiet,
        priority_class: None,
        ready: true,
        created: Some(Timestamp(0)),
        deletion: None,
        grace: Millis(30_000),
        volumes: Volumes::default(),
        claims: Default::default(),
    }
}

/// Microseconds, and what came of it.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let done = black_box(work());
    (start.elapsed().as_secs_f64() * 1e6, done)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map(f64::from).unwrap()
}
