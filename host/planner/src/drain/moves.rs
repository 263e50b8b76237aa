//! Finding a place for the pods of nodes that leave.

use plimsoll_model::{NodeId, Pod, PodId, Snapshot};
use plimsoll_scheduler::{NodeState, fits};

/// The nodes that stay, with everything that was moved there so far.
pub(super) struct Moves<'a> {
    snapshot: &'a Snapshot,
    nodes: Vec<NodeState>,
    /// Pods of leaving nodes that were given a place on each node.
    guests: Vec<Vec<PodId>>,
    /// May take pods: ready, not being deleted, not leaving.
    open: Vec<bool>,
}

/// What it takes to take a move back.
pub(super) struct Undo {
    /// Nodes as they were before each pod came, in that order.
    before: Vec<(NodeId, NodeState)>,
    /// Guests that had to leave with the node's own pods.
    guests: Vec<PodId>,
    /// Whether the node itself took pods.
    was_open: bool,
}

impl<'a> Moves<'a> {
    /// Starts with the nodes as they are, pending pods included.
    pub fn new(snapshot: &'a Snapshot, nodes: Vec<NodeState>) -> Self {
        let open = snapshot.nodes().map(|(_, node)| node.ready && !node.deleting && !node.unschedulable).collect();
        let guests = vec![Vec::new(); nodes.len()];
        Self { snapshot, nodes, guests, open }
    }

    /// Moves every pod off a node, the largest first, and with them the pods that were to go there; or leaves
    /// all as it was and names the pod that has no place.
    pub fn empty(&mut self, from: NodeId, pods: &[PodId]) -> Result<Undo, PodId> {
        let mut undo = Undo {
            before: Vec::new(),
            guests: std::mem::take(&mut self.guests[from.0 as usize]),
            was_open: std::mem::replace(&mut self.open[from.0 as usize], false),
        };
        let mut order: Vec<PodId> = pods.iter().chain(&undo.guests).copied().collect();
        order.sort_by_key(|&pod| {
            let requests = &self.snapshot.pod(pod).shape.requests;
            (std::cmp::Reverse((requests.cpu, requests.memory)), pod)
        });
        for pod in order {
            let moved = self.snapshot.pod(pod);
            let Some(to) = self.place_for(moved) else {
                self.undo(from, undo);
                return Err(pod);
            };
            let node = &mut self.nodes[to.0 as usize];
            undo.before.push((to, node.clone()));
            node.add(&moved.shape, 1);
            self.guests[to.0 as usize].push(pod);
        }
        Ok(undo)
    }

    /// Takes a move back, which must be the last one.
    pub fn undo(&mut self, from: NodeId, undo: Undo) {
        for (id, node) in undo.before.into_iter().rev() {
            self.nodes[id.0 as usize] = node;
            self.guests[id.0 as usize].pop();
        }
        self.guests[from.0 as usize] = undo.guests;
        self.open[from.0 as usize] = undo.was_open;
    }

    fn place_for(&self, pod: &Pod) -> Option<NodeId> {
        let home = pod.node.as_ref().and_then(|name| self.snapshot.find_node(name));
        let zone = home.and_then(|(_, node)| node.zone());
        let found = self.snapshot.nodes().find(|(id, node)| {
            // Where its volume is attached is not simulated yet; volumes seldom leave their zone.
            let reachable = !pod.volumes.claims || node.zone() == zone;
            let at = id.0 as usize;
            self.open[at] && reachable && fits(&pod.shape, &self.nodes[at])
        });
        found.map(|(id, _)| id)
    }
}
