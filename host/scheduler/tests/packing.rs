//! Packing new nodes, against one pod and one node at a time.

use std::sync::Arc;

use plimsoll_model::{
    Bytes, ClusterBuilder, HostPort, LabelSelector, LabelSet, MilliCpu, NodeInclusion, PodAffinityTerm, PodShape,
    Protocol, Resources, SpreadConstraint, well_known,
};
use plimsoll_scheduler::{Batch, ClassId, NodeState, Packing, PodClass, Simulation, Wanted, pack};
use proptest::prelude::*;

fn template(cpu: u64, memory: u64, pods: u64) -> NodeState {
    NodeState {
        name: "new".into(),
        labels: Arc::new([(well_known::HOSTNAME, "new"), ("zone", "a")].into_iter().collect()),
        free: Resources { cpu: MilliCpu(cpu), memory: Bytes(memory), pods, ..Default::default() },
        ..Default::default()
    }
}

fn shape(cpu: u64, memory: u64) -> PodShape {
    let requests = Resources { cpu: MilliCpu(cpu), memory: Bytes(memory), pods: 1, ..Default::default() };
    PodShape { requests, ..Default::default() }
}

fn selector(app: &str) -> Option<LabelSelector> {
    Some(LabelSelector { match_labels: [("app", app)].into_iter().collect(), ..Default::default() })
}

fn term(app: &str, key: &str) -> PodAffinityTerm {
    PodAffinityTerm { selector: selector(app), namespaces: vec![], namespace_selector: None, topology_key: key.into() }
}

fn spread(app: &str, key: &str, max_skew: u32) -> SpreadConstraint {
    SpreadConstraint {
        selector: selector(app),
        topology_key: key.into(),
        max_skew,
        min_domains: None,
        node_affinity_policy: NodeInclusion::Honor,
        node_taints_policy: NodeInclusion::Ignore,
    }
}

fn labels(app: &str) -> Arc<LabelSet> {
    Arc::new([("app", app)].into_iter().collect())
}

struct World {
    simulation: Simulation,
    wanted: Vec<Wanted>,
}

impl World {
    fn new() -> Self {
        Self { simulation: Simulation::new(&ClusterBuilder::default().build()), wanted: Vec::new() }
    }

    fn want(&mut self, app: &str, shape: PodShape, pods: u32) -> ClassId {
        let class = PodClass {
            namespace: "shop".into(),
            labels: labels(app),
            shape: Arc::new(shape),
            terminating: false,
            volumes: None,
        };
        let class = self.simulation.intern(class);
        self.simulation.prepare(&[class]);
        self.wanted.push(Wanted { class, pods, needs: 0 });
        class
    }

    fn pack(&mut self, template: &NodeState, max_nodes: u32) -> Packing {
        let site = self.simulation.site(template.clone());
        let batch = Batch::new(&self.simulation, &site, &self.wanted);
        let packing = pack(&batch, &site, &|_| true, max_nodes);
        assert_eq!(packing.nodes, packing.runs.iter().map(|run| run.nodes).sum::<u32>(), "nodes are those of the runs");
        packing
    }
}

fn result(packing: &Packing) -> (u32, Vec<(u32, u32)>) {
    (packing.nodes, packing.placed.clone())
}

#[test]
fn fills_nodes_as_the_estimator_does() {
    // cluster-autoscaler's "simple resource-based binpacking": 10 pods of 350m on nodes of 1000m.
    let mut world = World::new();
    world.want("a", shape(350, 1000), 10);
    assert_eq!(result(&world.pack(&template(1000, 1 << 30, 10), 100)), (5, vec![(0, 10)]));
}

#[test]
fn small_pods_fill_what_large_ones_leave() {
    let mut world = World::new();
    world.want("a", shape(200, 1), 4);
    world.want("a", shape(600, 1), 2);
    let packing = world.pack(&template(1000, 1 << 30, 10), 100);
    assert_eq!(result(&packing), (2, vec![(0, 4), (1, 2)]));
    assert_eq!(packing.free.cpu.0, 0);
}

#[test]
fn stops_at_the_limit() {
    let mut world = World::new();
    world.want("a", shape(1000, 1), 5);
    assert_eq!(result(&world.pack(&template(1000, 1 << 30, 10), 3)), (3, vec![(0, 3)]));
    assert_eq!(result(&world.pack(&template(999, 1 << 30, 10), 3)), (0, vec![]));
}

#[test]
fn one_pod_a_node_where_ports_clash() {
    let mut world = World::new();
    let port = HostPort { port: 443, protocol: Protocol::Tcp, ip: None };
    world.want("a", PodShape { host_ports: vec![port], ..shape(1, 1) }, 3);
    assert_eq!(result(&world.pack(&template(1000, 1 << 30, 10), 10)), (3, vec![(0, 3)]));
}

#[test]
fn hosts_keep_pods_apart_and_together() {
    let mut apart = shape(1, 1);
    apart.inter_pod.anti_affinity = vec![term("web", well_known::HOSTNAME)];
    let mut even = shape(2, 1);
    even.inter_pod.spread = vec![spread("api", well_known::HOSTNAME, 2)];
    let mut together = shape(3, 1);
    together.inter_pod.affinity = vec![term("cache", well_known::HOSTNAME)];
    let mut follower = shape(1, 2);
    follower.inter_pod.affinity = vec![term("cache", well_known::HOSTNAME)];

    let mut world = World::new();
    world.want("web", apart, 4);
    assert_eq!(result(&world.pack(&template(1000, 1 << 30, 10), 9)), (4, vec![(0, 4)]), "one to a node");
    // Others may share the nodes, but not the pods that the rule names.
    world.want("other", shape(1, 1), 20);
    world.want("web", shape(500, 1), 2);
    let packing = world.pack(&template(1000, 1 << 30, 10), 9);
    assert_eq!(packing.nodes, 5, "{packing:?}");

    let mut world = World::new();
    world.want("api", even, 7);
    assert_eq!(result(&world.pack(&template(1000, 1 << 30, 10), 9)), (4, vec![(0, 7)]), "two to a node");

    let mut world = World::new();
    world.want("cache", together, 6);
    assert_eq!(result(&world.pack(&template(10, 1 << 30, 10), 9)), (1, vec![(0, 3)]), "all on the first's node");
    let mut world = World::new();
    world.want("cache", shape(5, 1), 2);
    world.want("sidekick", follower.clone(), 30);
    assert_eq!(result(&world.pack(&template(16, 1 << 30, 8), 9)), (1, vec![(0, 2), (1, 6)]), "only where a cache is");
    let mut world = World::new();
    world.want("sidekick", follower, 30);
    assert_eq!(result(&world.pack(&template(10, 1 << 30, 8), 9)), (0, vec![]), "no cache, no place");
}

#[test]
fn zones_keep_pods_apart_and_let_them_follow() {
    let mut apart = shape(1, 1);
    apart.inter_pod.anti_affinity = vec![term("web", "zone")];
    let mut follower = shape(2, 1);
    follower.inter_pod.affinity = vec![term("web", "zone")];
    let mut next = shape(3, 1);
    next.inter_pod.affinity = vec![term("follower", "zone")];
    let mut lost = shape(1, 1);
    lost.inter_pod.affinity = vec![term("nobody", "zone")];
    let mut world = World::new();
    world.want("web", apart, 4);
    world.want("follower", follower, 3);
    world.want("next", next, 2);
    world.want("lost", lost, 2);
    let packing = world.pack(&template(1000, 1 << 30, 10), 9);
    assert_eq!(
        packing.placed,
        [(0, 1), (1, 3), (2, 2)],
        "one web, then those that follow it, then those that follow them"
    );
}

/// A kind of pod for the property: how it looks at others on its host.
#[derive(Clone, Copy, Debug)]
enum Rule {
    None,
    Apart(&'static str),
    Even(&'static str, u32),
    Port(u16),
}

fn rules() -> impl Strategy<Value = Rule> {
    let app = prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        3 => Just(Rule::None),
        2 => app.clone().prop_map(Rule::Apart),
        2 => (app, 1u32..3).prop_map(|(app, skew)| Rule::Even(app, skew)),
        1 => (1u16..3).prop_map(Rule::Port),
    ]
}

#[derive(Clone, Debug)]
struct Kind {
    app: &'static str,
    rule: Rule,
    shape: PodShape,
    pods: u32,
}

/// Pods of each kind on one node.
type Node = Vec<u32>;

fn lets_in(kinds: &[Kind], node: &Node, template: &NodeState, new: usize) -> bool {
    let mut state = template.clone();
    for (kind, &pods) in kinds.iter().zip(node) {
        for _ in 0..pods {
            state.add(&kind.shape, 1);
        }
    }
    let on_node =
        |app: &str| -> u32 { kinds.iter().zip(node).filter(|(k, _)| k.app == app).map(|(_, pods)| *pods).sum() };
    let kind = &kinds[new];
    let repelled =
        kinds.iter().zip(node).any(|(k, &pods)| matches!(k.rule, Rule::Apart(app) if app == kind.app && pods > 0));
    let own = match kind.rule {
        Rule::Apart(app) => on_node(app) == 0,
        Rule::Even(app, skew) => on_node(app) + u32::from(app == kind.app) <= skew,
        Rule::None | Rule::Port(_) => true,
    };
    state.room_for(&kind.shape, 1) == 1 && !repelled && own
}

fn plain(kinds: &[Kind], template: &NodeState, max_nodes: usize) -> (Vec<Node>, Vec<u32>) {
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    let proportion = (template.free.memory.0 as f64 / template.free.cpu.0 as f64).log2() * 8.0;
    let size = |kind: &Kind| {
        let (cpu, memory) = (kind.shape.requests.cpu.0 as f64, kind.shape.requests.memory.0 as f64);
        cpu * (proportion.round() / 8.0).exp2() + memory
    };
    order.sort_by(|&a, &b| size(&kinds[b]).total_cmp(&size(&kinds[a])).then(a.cmp(&b)));
    let (mut nodes, mut placed): (Vec<Node>, _) = (Vec::new(), vec![0; kinds.len()]);
    for at in order {
        for _ in 0..kinds[at].pods {
            let found = nodes.iter().position(|node| lets_in(kinds, node, template, at));
            let target = found.or_else(|| {
                let empty = vec![0; kinds.len()];
                (nodes.len() < max_nodes && lets_in(kinds, &empty, template, at)).then(|| {
                    nodes.push(empty);
                    nodes.len() - 1
                })
            });
            let Some(target) = target else { break };
            nodes[target][at] += 1;
            placed[at] += 1;
        }
    }
    (nodes, placed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn runs_agree_with_one_at_a_time(
        kinds in prop::collection::vec((rules(), prop::sample::select(vec!["a", "b", "c"]), 0u64..40, 0u64..40, 0u32..30), 1..9),
        size in (100u64..1500, 100u64..1500, 1u64..20),
        max_nodes in 0u32..30,
    ) {
        let template = template(size.0, size.1, size.2);
        // No two of one size: in which order equal ones come is nobody's business.
        let kinds: Vec<Kind> = kinds.into_iter().zip(0u64..).map(|((rule, app, cpu, memory, pods), at)| {
            let mut shape = shape(cpu * 16 + at, memory * 16);
            match rule {
                Rule::None => {}
                Rule::Apart(app) => shape.inter_pod.anti_affinity = vec![term(app, well_known::HOSTNAME)],
                Rule::Even(app, skew) => shape.inter_pod.spread = vec![spread(app, well_known::HOSTNAME, skew)],
                Rule::Port(port) => shape.host_ports = vec![HostPort { port, protocol: Protocol::Tcp, ip: None }],
            }
            Kind { app, rule, shape, pods }
        }).collect();
        let mut world = World::new();
        for kind in &kinds {
            world.want(kind.app, kind.shape.clone(), kind.pods);
        }
        let packing = world.pack(&template, max_nodes);
        let (nodes, placed) = plain(&kinds, &template, max_nodes as usize);
        prop_assert_eq!(packing.nodes as usize, nodes.len());
        let placed: Vec<(u32, u32)> = (0..).zip(placed).filter(|(_, pods)| *pods > 0).collect();
        prop_assert_eq!(packing.placed, placed);
    }
}
