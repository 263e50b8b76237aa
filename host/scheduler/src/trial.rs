//! What is tried in a simulation and taken back.

use plimsoll_model::{NodeId, Taint};

use crate::topology::DomainId;
use crate::tracker::{Counted, TrackerId};
use crate::{ClassId, Simulation};

/// A moment to which a simulation can be taken back.
#[derive(Debug)]
#[must_use = "a trial that is not rolled back stays"]
pub struct Mark(usize);

#[derive(Debug)]
pub(crate) enum Step {
    Added(ClassId, NodeId, u32),
    Removed(ClassId, NodeId, u32),
    Closed(NodeId),
    Opened(NodeId),
    Tainted(NodeId, Vec<Taint>),
    Counted(TrackerId, DomainId, u32),
    Uncounted(TrackerId, DomainId, u32),
    Grown(TrackerId, DomainId, u32),
}

// === impl Simulation ===

impl Simulation {
    /// Remembers the present state.
    pub fn mark(&mut self) -> Mark {
        self.marks += 1;
        Mark(self.journal.len())
    }

    /// Takes everything back that was done since the mark. Marks are taken back in reverse order.
    pub fn rollback(&mut self, mark: Mark) {
        while self.journal.len() > mark.0 {
            match self.journal.pop() {
                Some(Step::Added(class, node, count)) => self.remove_pods(class, node, count),
                Some(Step::Removed(class, node, count)) => self.add_pods(class, node, count),
                Some(Step::Closed(node)) => self.set_open(node, true),
                Some(Step::Opened(node)) => self.set_open(node, false),
                Some(Step::Tainted(node, before)) => self.retaint(node, before),
                Some(Step::Counted(tracker, domain, count)) => {
                    self.trackers[tracker.0 as usize].remove(domain, count);
                }
                Some(Step::Uncounted(tracker, domain, count)) => {
                    self.trackers[tracker.0 as usize].add(domain, count);
                }
                Some(Step::Grown(tracker, domain, nodes)) => {
                    self.trackers[tracker.0 as usize].remove_nodes(domain, nodes);
                }
                None => break,
            }
        }
        self.marks = self.marks.saturating_sub(1);
    }

    /// Puts pods on a node, whether they fit or not.
    pub fn add(&mut self, class: ClassId, node: NodeId, count: u32) {
        if count > 0 && self.simulated(node).is_some() {
            self.add_pods(class, node, count);
            self.record(Step::Added(class, node, count));
        }
    }

    /// Takes pods off a node, as many as there are.
    pub fn remove(&mut self, class: ClassId, node: NodeId, count: u32) {
        let there = self.pods_on(node).iter().find(|(known, _)| *known == class).map_or(0, |(_, pods)| *pods);
        let count = count.min(there);
        if count > 0 {
            self.remove_pods(class, node, count);
            self.record(Step::Removed(class, node, count));
        }
    }

    /// Lets no more pods come to a node.
    pub fn close(&mut self, node: NodeId) {
        if self.is_open(node) {
            self.set_open(node, false);
            self.record(Step::Closed(node));
        }
    }

    /// Lets pods come to a node.
    pub fn open(&mut self, node: NodeId) {
        if self.simulated(node).is_some_and(|node| !node.open) {
            self.set_open(node, true);
            self.record(Step::Opened(node));
        }
    }

    /// Gives a node other taints.
    pub fn set_taints(&mut self, node: NodeId, taints: Vec<Taint>) {
        if let Some(known) = self.node(node) {
            let before = known.taints.clone();
            self.retaint(node, taints);
            self.record(Step::Tainted(node, before));
        }
    }

    /// Taints can decide whether a spread constraint counts a node.
    fn retaint(&mut self, id: NodeId, taints: Vec<Taint>) {
        let at = id.0 as usize;
        let Some(Some(node)) = self.nodes.get_mut(at) else { return };
        node.state.taints = taints;
        for (tracker, number) in self.trackers.iter_mut().zip(0u32..) {
            let Counted::Spread(spread) = &tracker.counted else { continue };
            let Some(domain) = node.place.domain(tracker.key) else { continue };
            let counts = spread.counts_on(&node.state);
            if counts == tracker.eligible(at) {
                continue;
            }
            let fed = |class: ClassId| self.classes[class.0 as usize].feeds.contains(&TrackerId(number));
            let pods = node.pods.iter().filter(|(class, _)| fed(*class)).map(|(_, pods)| *pods).sum();
            if counts {
                tracker.add_node(at, &node.state, Some(domain));
                tracker.add(domain, pods);
            } else {
                tracker.remove(domain, pods);
                tracker.remove_node(at, Some(domain));
            }
        }
    }

    fn set_open(&mut self, node: NodeId, open: bool) {
        if let Some(Some(node)) = self.nodes.get_mut(node.0 as usize) {
            node.open = open;
        }
    }

    /// Counts pods in a domain that are on no node of the simulation.
    pub(crate) fn count_more(&mut self, tracker: TrackerId, domain: DomainId, pods: u32) {
        self.trackers[tracker.0 as usize].add(domain, pods);
        self.record(Step::Counted(tracker, domain, pods));
    }

    /// Takes pods back that were counted so.
    pub(crate) fn count_less(&mut self, tracker: TrackerId, domain: DomainId, pods: u32) {
        let pods = pods.min(self.trackers[tracker.0 as usize].count(domain));
        self.trackers[tracker.0 as usize].remove(domain, pods);
        self.record(Step::Uncounted(tracker, domain, pods));
    }

    /// Counts nodes in a domain that the simulation does not have.
    pub(crate) fn grow_domain(&mut self, tracker: TrackerId, domain: DomainId, nodes: u32) {
        self.trackers[tracker.0 as usize].add_nodes(domain, nodes);
        self.record(Step::Grown(tracker, domain, nodes));
    }

    fn record(&mut self, step: Step) {
        if self.marks > 0 {
            self.journal.push(step);
        } else {
            self.strayed = true;
        }
    }
}
