//! Giving pods a place on the nodes that are there, as kube-scheduler would one after the other.

use std::collections::BTreeMap;

use plimsoll_model::{Bytes, MilliCpu, NodeId, Resources};

use crate::rules::{Counters, SpreadRule};
use crate::topology::{DomainId, HOSTNAME};
use crate::tracker::TrackerId;
use crate::{ClassId, Simulation};

/// Nodes to choose from, with what is free on each close at hand: most are out by two comparisons.
#[derive(Clone, Debug, Default)]
pub struct NodeList(Vec<Listed>);

#[derive(Clone, Copy, Debug)]
struct Listed {
    cpu: MilliCpu,
    memory: Bytes,
    node: NodeId,
}

/// Nodes in the same domains of every spread constraint of a class that is not about single hosts.
struct Cell {
    nodes: Vec<NodeId>,
    /// Where the search goes on.
    next: usize,
    /// None of the nodes takes another pod.
    full: bool,
}

impl NodeList {
    /// These nodes of a simulation, in this order.
    pub fn of(simulation: &Simulation, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        Self(nodes.into_iter().filter_map(|node| Listed::of(simulation, node)).collect())
    }

    /// Those that a class could fit on by size.
    fn large_enough(&self, simulation: &Simulation, class: ClassId) -> Vec<NodeId> {
        let need = &simulation.class(class).shape.requests;
        self.0.iter().filter(|listed| listed.takes(need)).map(|listed| listed.node).collect()
    }
}

impl Listed {
    fn of(simulation: &Simulation, node: NodeId) -> Option<Self> {
        let free = &simulation.node(node)?.free;
        Some(Self { cpu: free.cpu, memory: free.memory, node })
    }

    fn takes(&self, need: &Resources) -> bool {
        need.cpu <= self.cpu && need.memory <= self.memory
    }
}

impl Simulation {
    /// Puts up to `want` pods of a prepared class on these nodes, the first ones first, and tells how many went
    /// where. Pods that must be spread go to the emptiest domain that takes them.
    pub fn settle(&mut self, class: ClassId, want: u32, nodes: &mut NodeList) -> Vec<(NodeId, u32)> {
        if want == 0 {
            return Vec::new();
        }
        let rules = self.rules(class).cloned();
        let shared: Vec<SpreadRule> = rules
            .iter()
            .flat_map(|rules| &rules.spread)
            .filter(|rule| self.key(rule.tracker) != HOSTNAME)
            .copied()
            .collect();
        if shared.is_empty() {
            self.settle_in_order(class, want, nodes)
        } else {
            self.settle_evenly(class, want, nodes, &shared)
        }
    }

    fn settle_in_order(&mut self, class: ClassId, want: u32, nodes: &mut NodeList) -> Vec<(NodeId, u32)> {
        let mut placed = Vec::new();
        let mut left = want;
        let shape = self.class(class).shape.clone();
        loop {
            let before = left;
            for listed in &mut nodes.0 {
                if left == 0 {
                    return placed;
                }
                if !listed.takes(&shape.requests) {
                    continue;
                }
                let room = self.room_for(class, listed.node, left);
                if room > 0 {
                    self.add(class, listed.node, room);
                    left -= room;
                    placed.push((listed.node, room));
                    *listed = Listed::of(self, listed.node).unwrap_or(*listed);
                }
            }
            // One pod can make room for the next: near it, or where the least crowded host got fuller.
            if left == before || !self.is_topological(class) {
                return placed;
            }
        }
    }

    fn settle_evenly(
        &mut self,
        class: ClassId,
        want: u32,
        nodes: &mut NodeList,
        shared: &[SpreadRule],
    ) -> Vec<(NodeId, u32)> {
        let mut cells = self.cells(class, &nodes.large_enough(self, class), shared);
        let mut placed: BTreeMap<NodeId, u32> = BTreeMap::new();
        for _ in 0..want {
            let mut order: Vec<(u64, usize)> = (0..cells.len())
                .filter(|&at| !cells[at].full)
                .filter_map(|at| Some((self.crowd(cells[at].nodes.first()?, shared), at)))
                .collect();
            order.sort_unstable();
            let found = order.into_iter().find_map(|(_, at)| {
                let cell = &mut cells[at];
                if !self.spread_allows(*cell.nodes.first()?, shared) {
                    return None;
                }
                let found = (0..cell.nodes.len())
                    .map(|step| (cell.next + step) % cell.nodes.len())
                    .find(|&node| self.fits(class, cell.nodes[node]));
                cell.full = found.is_none();
                cell.next = found?;
                Some(cell.nodes[cell.next])
            });
            let Some(node) = found else { break };
            self.add(class, node, 1);
            *placed.entry(node).or_insert(0) += 1;
        }
        for listed in nodes.0.iter_mut().filter(|listed| placed.contains_key(&listed.node)) {
            *listed = Listed::of(self, listed.node).unwrap_or(*listed);
        }
        placed.into_iter().collect()
    }

    /// Nodes that could take a pod by themselves, by the domains of the constraints.
    fn cells(&self, class: ClassId, nodes: &[NodeId], shared: &[SpreadRule]) -> Vec<Cell> {
        let shape = &self.class(class).shape;
        let mut cells: BTreeMap<Vec<Option<DomainId>>, Cell> = BTreeMap::new();
        let mut key = Vec::with_capacity(shared.len());
        for &id in nodes {
            let (Some(node), Some(place)) = (self.node(id), self.place(id)) else { continue };
            if !self.is_open(id) || !crate::fits(shape, node) {
                continue;
            }
            key.clear();
            key.extend(shared.iter().map(|rule| place.domain(self.key(rule.tracker))));
            match cells.get_mut(&key[..]) {
                Some(cell) => cell.nodes.push(id),
                None => drop(cells.insert(key.clone(), Cell { nodes: vec![id], next: 0, full: false })),
            }
        }
        cells.into_values().collect()
    }

    fn crowd(&self, node: &NodeId, shared: &[SpreadRule]) -> u64 {
        shared.iter().map(|rule| u64::from(self.count_at(*node, rule.tracker).unwrap_or(0))).sum()
    }

    fn spread_allows(&self, node: NodeId, shared: &[SpreadRule]) -> bool {
        shared.iter().all(|rule| {
            let tracker = self.tracker(rule.tracker);
            let domain = self.place(node).and_then(|place| place.domain(tracker.key));
            domain.is_some_and(|domain| rule.room(tracker, domain, tracker.eligible(node.0 as usize)) > 0)
        })
    }

    fn count_at(&self, node: NodeId, id: TrackerId) -> Option<u32> {
        let tracker = self.tracker(id);
        Some(tracker.count(self.place(node)?.domain(tracker.key)?))
    }
}
