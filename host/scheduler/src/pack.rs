//! How many nodes of one kind it takes to place pods of several shapes.
//!
//! First-fit decreasing over runs of equal nodes: what happens to one node of a run happens to all of them
//! at once, so the cost follows the number of shapes, not the number of pods or nodes.

use std::cmp::Reverse;

use plimsoll_model::{PodShape, Resources};

use crate::NodeState;

/// Pods of one shape that want a place.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Their shape. The node's labels and taints must suit it already: see [`crate::why_not_statically`].
    pub shape: &'a PodShape,
    /// How many.
    pub pods: u32,
}

/// Pods placed on new nodes.
#[derive(Clone, Debug)]
pub struct Packing {
    /// Nodes used; each has at least one pod.
    pub nodes: u32,
    /// Pods placed of each demand, in the order of the demands.
    pub placed: Vec<u32>,
    /// What stays free on the nodes used.
    pub free: Resources,
}

/// Equal nodes with equal pods on them.
struct Run {
    node: NodeState,
    nodes: u32,
}

/// Places pods on at most `max_nodes` new nodes that are copies of `template`.
pub fn pack(template: &NodeState, demands: &[Demand<'_>], max_nodes: u32) -> Packing {
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|&at| Reverse(share(demands[at].shape, &template.free)));
    let mut runs: Vec<Run> = Vec::new();
    let mut unused = max_nodes;
    let mut placed = vec![0; demands.len()];
    for at in order {
        let Demand { shape, pods } = demands[at];
        let mut left = pods;
        let mut next = Vec::with_capacity(runs.len() + 2);
        for run in runs {
            left -= fill(run, shape, left, &mut next);
        }
        let per_node = template.room_for(shape, left);
        if left > 0 && per_node > 0 {
            let nodes = left.div_ceil(per_node).min(unused);
            unused -= nodes;
            let fresh = Run { node: template.clone(), nodes };
            left -= fill(fresh, shape, left, &mut next);
        }
        placed[at] = pods - left;
        runs = next;
    }
    let mut free = Resources::default();
    for run in &runs {
        free.add(&run.node.free, run.nodes.into());
    }
    Packing { nodes: max_nodes - unused, placed, free }
}

/// Puts up to `left` pods on the nodes of a run, splits it where its nodes now differ, and gives how many it took.
fn fill(run: Run, shape: &PodShape, left: u32, out: &mut Vec<Run>) -> u32 {
    let per_node = run.node.room_for(shape, left);
    if per_node == 0 || run.nodes == 0 {
        if run.nodes > 0 {
            out.push(run);
        }
        return 0;
    }
    let (full, rest) = ((left / per_node).min(run.nodes), left % per_node);
    let partial = u32::from(full < run.nodes && rest > 0);
    let mut with = |nodes: u32, pods: u32| {
        if nodes > 0 {
            let mut node = run.node.clone();
            node.add(shape, pods);
            out.push(Run { node, nodes });
        }
    };
    with(full, per_node);
    with(partial, rest);
    with(run.nodes - full - partial, 0);
    full * per_node + partial * rest
}

/// How large a pod is beside the node: the sum of its CPU and memory shares, in millionths. Sorting by it is
/// what cluster-autoscaler's estimator does.
fn share(shape: &PodShape, free: &Resources) -> u128 {
    let part = |need: u64, have: u64| u128::from(need) * 1_000_000 / u128::from(have.max(1));
    part(shape.requests.cpu.0, free.cpu.0) + part(shape.requests.memory.0, free.memory.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plimsoll_model::{Bytes, HostPort, MilliCpu, Protocol};
    use proptest::prelude::*;

    use super::*;

    fn template(cpu: u64, memory: u64, pods: u64) -> NodeState {
        NodeState {
            name: "new".into(),
            labels: Arc::default(),
            taints: vec![],
            unschedulable: false,
            free: Resources { cpu: MilliCpu(cpu), memory: Bytes(memory), pods, ..Default::default() },
            ports: vec![],
        }
    }

    fn shape(cpu: u64, memory: u64) -> PodShape {
        let requests = Resources { cpu: MilliCpu(cpu), memory: Bytes(memory), pods: 1, ..Default::default() };
        PodShape { requests, ..Default::default() }
    }

    #[test]
    fn fills_nodes_as_the_estimator_does() {
        // cluster-autoscaler's "simple resource-based binpacking": 10 pods of 350m on nodes of 1000m.
        let pod = shape(350, 1000);
        let packing = pack(&template(1000, 1 << 30, 10), &[Demand { shape: &pod, pods: 10 }], 100);
        assert_eq!((packing.nodes, packing.placed), (5, vec![10]));
    }

    #[test]
    fn small_pods_fill_what_large_ones_leave() {
        let (large, small) = (shape(600, 1), shape(200, 1));
        let demands = [Demand { shape: &small, pods: 4 }, Demand { shape: &large, pods: 2 }];
        let packing = pack(&template(1000, 1 << 30, 10), &demands, 100);
        assert_eq!((packing.nodes, packing.placed), (2, vec![4, 2]));
        assert_eq!(packing.free.cpu.0, 0);
    }

    #[test]
    fn stops_at_the_limit() {
        let pod = shape(1000, 1);
        let packing = pack(&template(1000, 1 << 30, 10), &[Demand { shape: &pod, pods: 5 }], 3);
        assert_eq!((packing.nodes, packing.placed), (3, vec![3]));
        let none = pack(&template(999, 1 << 30, 10), &[Demand { shape: &pod, pods: 5 }], 3);
        assert_eq!((none.nodes, none.placed), (0, vec![0]));
    }

    #[test]
    fn one_pod_a_node_where_ports_clash() {
        let mut pod = shape(1, 1);
        pod.host_ports = vec![HostPort { port: 443, protocol: Protocol::Tcp, ip: None }];
        let packing = pack(&template(1000, 1 << 30, 10), &[Demand { shape: &pod, pods: 3 }], 10);
        assert_eq!((packing.nodes, packing.placed), (3, vec![3]));
    }

    /// First-fit decreasing, one pod and one node at a time.
    fn plain(template: &NodeState, demands: &[Demand<'_>], max_nodes: u32) -> (usize, Vec<u32>) {
        let mut order: Vec<usize> = (0..demands.len()).collect();
        order.sort_by_key(|&at| Reverse(share(demands[at].shape, &template.free)));
        let mut nodes: Vec<NodeState> = Vec::new();
        let mut placed = vec![0; demands.len()];
        for at in order {
            for _ in 0..demands[at].pods {
                let shape = demands[at].shape;
                let found = nodes.iter().position(|node| node.room_for(shape, 1) == 1);
                let target = found.or_else(|| {
                    let open = nodes.len() < max_nodes as usize && template.room_for(shape, 1) == 1;
                    open.then(|| {
                        nodes.push(template.clone());
                        nodes.len() - 1
                    })
                });
                let Some(target) = target else { break };
                nodes[target].add(shape, 1);
                placed[at] += 1;
            }
        }
        (nodes.len(), placed)
    }

    proptest! {
        #[test]
        fn runs_agree_with_one_at_a_time(
            shapes in prop::collection::vec((0u64..700, 0u64..700, 0u32..40), 1..8),
            size in (100u64..1500, 100u64..1500, 1u64..20),
            max_nodes in 0u32..30,
        ) {
            let template = template(size.0, size.1, size.2);
            let kinds: Vec<PodShape> = shapes.iter().map(|(cpu, memory, _)| shape(*cpu, *memory)).collect();
            let demands: Vec<Demand<'_>> =
                kinds.iter().zip(&shapes).map(|(shape, (_, _, pods))| Demand { shape, pods: *pods }).collect();
            let packing = pack(&template, &demands, max_nodes);
            let (nodes, placed) = plain(&template, &demands, max_nodes);
            prop_assert_eq!(packing.nodes as usize, nodes);
            prop_assert_eq!(packing.placed, placed);
        }
    }
}
