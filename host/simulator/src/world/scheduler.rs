//! Pods get nodes: by the filters of the host's own scheduler model, to the emptiest node that takes them.

use std::cmp::Reverse;
use std::collections::HashSet;

use plimsoll_model::{Millis, NodeId, Pod, PodId, Scheduling};
use plimsoll_scheduler::ClassId;
use serde_json::json;

use super::object::set_condition;
use super::{Event, Occurrence, PodKey, World};

/// Between two looks at the pods without a node.
const PAUSE: Millis = Millis(400);

// === impl World ===

impl World {
    /// Something changed that may help a pod without a node.
    pub(super) fn wake_scheduler(&mut self) {
        if !self.scheduling {
            self.scheduling = true;
            self.after(PAUSE, Event::Schedule);
        }
    }

    /// Looks at every pod without a node, the most important first.
    pub(super) fn schedule(&mut self) {
        self.scheduling = false;
        let snapshot = self.snapshot.clone();
        let mut waiting: Vec<(PodId, &Pod)> =
            snapshot.pending().filter(|(_, pod)| pod.node.is_none() && pod.deletion.is_none()).collect();
        if waiting.is_empty() {
            return;
        }
        waiting.sort_by_key(|(_, pod)| {
            (Reverse(pod.shape.priority), pod.created, pod.namespace.clone(), pod.name.clone())
        });
        let mark = self.simulation.mark();
        let classes: Vec<ClassId> = waiting.iter().map(|(_, pod)| self.simulation.class_of(&snapshot, pod)).collect();
        let mut distinct = classes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        self.simulation.prepare(&distinct);
        let mut hopeless: HashSet<ClassId> = HashSet::new();
        let (mut bound, mut failed) = (Vec::new(), Vec::new());
        for ((_, pod), class) in waiting.into_iter().zip(classes) {
            let place = if hopeless.contains(&class) { None } else { self.best_node(class) };
            match place {
                Some(node) => {
                    self.simulation.add(class, node, 1);
                    bound.push((pod, node));
                }
                None => {
                    // One pod of a class can make room for another only where rules are about places.
                    if !self.simulation.is_topological(class) {
                        hopeless.insert(class);
                    }
                    failed.push(pod);
                }
            }
        }
        self.simulation.rollback(mark);
        let now = self.stamp();
        for (pod, node) in bound {
            let name = snapshot.node(node).name.clone();
            self.update("pods", (&pod.namespace, &pod.name), |object| {
                object["spec"]["nodeName"] = name.as_str().into();
                set_condition(object, "PodScheduled", true, "", &now);
            });
            let waited = pod.created.map_or(Millis(0), |created| self.now.since(created));
            let key: PodKey = (pod.namespace.clone(), (*pod.name).into());
            self.occurred.push(Occurrence::Bound(key, waited));
        }
        for pod in failed.into_iter().filter(|pod| pod.scheduling != Scheduling::Unschedulable) {
            self.update("pods", (&pod.namespace, &pod.name), |object| {
                set_condition(object, "PodScheduled", false, "Unschedulable", &now);
                object["status"]["conditions"] = object["status"]["conditions"].clone();
                if object["status"]["phase"].is_null() {
                    object["status"] = json!({ "phase": "Pending" });
                }
            });
        }
    }

    /// The node that has the most left after the pod, the first by name among equals (`NodeResourcesFit`,
    /// `LeastAllocated`, the default of kube-scheduler).
    fn best_node(&mut self, class: ClassId) -> Option<NodeId> {
        let requests = self.simulation.class(class).shape.requests.clone();
        let free = |have: u64, want: u64, all: u64| (have.saturating_sub(want)).saturating_mul(1000) / all.max(1);
        let mut best: Option<(u64, Reverse<&str>, NodeId)> = None;
        for (id, state) in self.simulation.nodes() {
            if requests.cpu > state.free.cpu || requests.memory > state.free.memory {
                continue;
            }
            let node = self.snapshot.node(id);
            let score = free(state.free.cpu.0, requests.cpu.0, node.allocatable.cpu.0)
                + free(state.free.memory.0, requests.memory.0, node.allocatable.memory.0);
            let rank = (score, Reverse(node.name.as_str()), id);
            if best.is_none_or(|best| rank > best) && self.simulation.fits(class, id) {
                best = Some(rank);
            }
        }
        best.map(|(_, _, id)| id)
    }
}
