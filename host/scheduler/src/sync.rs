//! A simulation that follows the cluster.
//!
//! Costs what has changed. What reaches further than single nodes and pods (labels of namespaces, volumes) is seldom,
//! and makes it start again.

use std::sync::Arc;

use plimsoll_model::{NodeId, Pod, PodId, Snapshot, Text};
use rustc_hash::FxHashSet;

use crate::simulation::{ClassEntry, SimulatedNode};
use crate::{NodeState, Simulation};

#[cfg(test)]
mod tests;

/// With fewer unused classes, or values of one topology key, nobody looks for them.
const SMALL: usize = 10_000;

/// The snapshot that a simulation shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    pub lineage: u64,
    pub version: u64,
}

/// The claims of a pod, with their namespace.
#[derive(Clone, Debug)]
pub(crate) struct Mounts {
    namespace: Text,
    claims: Arc<[Text]>,
}

// === impl Stand ===

impl Stand {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self { lineage: snapshot.lineage(), version: snapshot.version() }
    }

    fn next(self) -> Self {
        Self { version: self.version + 1, ..self }
    }
}

// === impl Simulation ===

impl Simulation {
    /// Shows another snapshot from now on. Where that is the next one of the same cluster, only what has changed is
    /// done again, and the result is true; otherwise all is, and classes have other ids than before.
    ///
    /// What was changed for trial and not rolled back is gone.
    pub fn sync(&mut self, snapshot: &Snapshot) -> bool {
        let stand = Stand::of(snapshot);
        let strayed = self.strayed || self.marks > 0;
        if stand == self.stand && !strayed {
            return true;
        }
        if stand != self.stand.next() || strayed || snapshot.changes().wide || self.is_littered() {
            *self = Self::with_profile(snapshot, std::mem::take(&mut self.profile));
            return false;
        }
        self.stand = stand;
        let changes = snapshot.changes();
        let mut pods: Vec<PodId> = changes.pods.clone();
        pods.extend(self.neighbours(snapshot, &changes.pods));
        // Pods leave before nodes change, and come when all nodes are there.
        for &id in &pods {
            self.leave(snapshot, id);
        }
        for &id in &changes.nodes {
            self.change_node(snapshot, id, &mut pods);
        }
        for id in pods {
            if let Some((_, pod)) = snapshot.find_pod_id(id.0) {
                self.put_pod(snapshot, id, pod);
            }
        }
        true
    }

    pub(crate) fn put_node(&mut self, snapshot: &Snapshot, id: NodeId) {
        let new = self.look_at(snapshot, id);
        let at = id.0 as usize;
        if self.nodes.len() <= at {
            self.nodes.resize_with(at + 1, || None);
        }
        for tracker in &mut self.trackers {
            tracker.add_node(at, &new.state, new.place.domain(tracker.key));
        }
        self.nodes[at] = Some(new);
    }

    /// A node of the snapshot without pods.
    fn look_at(&mut self, snapshot: &Snapshot, id: NodeId) -> SimulatedNode {
        let node = snapshot.node(id);
        let mut state = NodeState::empty(snapshot, id);
        state.barred = self.profile.bars(&state);
        let place = self.topology.place(&state.labels);
        let open = node.ready && !node.deleting;
        SimulatedNode { state, allocatable: node.allocatable.clone(), place, open, pods: Vec::new(), ids: Vec::new() }
    }

    pub(crate) fn put_pod(&mut self, snapshot: &Snapshot, id: PodId, pod: &Pod) {
        if pod.finished() {
            return;
        }
        if !pod.claims.is_empty() {
            self.mounts.insert(id, Mounts { namespace: pod.namespace.clone(), claims: pod.claims.clone() });
        }
        let Some((node, _)) = pod.node.as_ref().and_then(|name| snapshot.find_node(name)) else { return };
        let at = id.0 as usize;
        if self.pods.len() <= at {
            self.pods.resize(at + 1, None);
        }
        if self.pods[at].is_some() {
            return;
        }
        let class = self.class_of(snapshot, pod);
        self.pods[at] = Some((class, node));
        self.add_pods(class, node, 1);
        if let Some(Some(node)) = self.nodes.get_mut(node.0 as usize) {
            node.ids.push(id);
        }
    }

    /// Takes a pod away, unless it counts in the new snapshot as it did.
    fn leave(&mut self, snapshot: &Snapshot, id: PodId) {
        let now = snapshot.find_pod_id(id.0).map(|(_, pod)| pod).filter(|pod| !pod.finished());
        if now.is_none_or(|pod| pod.claims.is_empty()) {
            self.mounts.remove(&id);
        }
        let Some((class, at)) = self.placed(id) else { return };
        let place = now.and_then(|pod| Some((pod, snapshot.find_node(pod.node.as_ref()?)?.0)));
        if place.is_some_and(|(pod, place)| place == at && self.class_of(snapshot, pod) == class) {
            return;
        }
        self.pods[id.0 as usize] = None;
        if let Some(Some(node)) = self.nodes.get_mut(at.0 as usize)
            && let Some(place) = node.ids.iter().position(|known| *known == id)
        {
            node.ids.swap_remove(place);
        }
        self.remove_pods(class, at, 1);
    }

    /// A node is new, different or gone. `pods` gets those that come with a new one.
    fn change_node(&mut self, snapshot: &Snapshot, id: NodeId, pods: &mut Vec<PodId>) {
        let there = snapshot.find_node_id(id.0).is_some();
        let Some(old) = self.nodes.get_mut(id.0 as usize).and_then(Option::take) else {
            if there {
                self.put_node(snapshot, id);
                pods.extend(snapshot.pods_on(id));
            }
            return;
        };
        if there && old.is_as(&self.look_at(snapshot, id)) {
            self.nodes[id.0 as usize] = Some(old);
            return;
        }
        self.forget(id, &old);
        if there {
            self.put_node(snapshot, id);
            for &(class, count) in &old.pods {
                self.add_pods(class, id, count);
            }
            if let Some(Some(node)) = self.nodes.get_mut(id.0 as usize) {
                node.ids = old.ids;
            }
        } else {
            for pod in old.ids {
                self.pods[pod.0 as usize] = None;
            }
        }
    }

    /// Takes a node out of all counters, with its pods.
    fn forget(&mut self, id: NodeId, node: &SimulatedNode) {
        let at = id.0 as usize;
        for &(class, count) in &node.pods {
            let entry = &mut self.classes[class.0 as usize];
            entry.pods = entry.pods.saturating_sub(count);
            for &feed in &entry.feeds {
                let tracker = &mut self.trackers[feed.0 as usize];
                if let Some(domain) = node.place.domain(tracker.key)
                    && tracker.eligible(at)
                {
                    tracker.remove(domain, count);
                }
            }
        }
        for tracker in &mut self.trackers {
            tracker.remove_node(at, node.place.domain(tracker.key));
        }
    }

    /// Pods that mount a claim that one of these mounts or did: what a volume means for them depends on who else
    /// uses it.
    fn neighbours(&self, snapshot: &Snapshot, changed: &[PodId]) -> Vec<PodId> {
        let mut claims: FxHashSet<(&Text, &Text)> = FxHashSet::default();
        for id in changed {
            if let Some(mounts) = self.mounts.get(id) {
                claims.extend(mounts.claims.iter().map(|claim| (&mounts.namespace, claim)));
            }
            if let Some((_, pod)) = snapshot.find_pod_id(id.0) {
                claims.extend(pod.claims.iter().map(|claim| (&pod.namespace, claim)));
            }
        }
        let users = |(namespace, claim): (&Text, &Text)| snapshot.claim_users(namespace, claim).collect::<Vec<_>>();
        let mut all: Vec<PodId> = claims.into_iter().flat_map(users).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// True if most of what is remembered is of no use any more.
    fn is_littered(&self) -> bool {
        let unused = |class: &&ClassEntry| class.pods == 0 && class.asked < self.stand.version;
        let most = |some: usize, all: usize| some > SMALL && some > all / 2;
        let (classes, values) = (self.classes.len(), self.topology.most_values());
        classes > SMALL && most(self.classes.iter().filter(unused).count(), classes)
            || values > SMALL && most(values.saturating_sub(self.nodes.iter().flatten().count()), values)
    }
}

// === impl SimulatedNode ===

impl SimulatedNode {
    /// True if pods cannot tell the two apart, whatever runs there.
    fn is_as(&self, empty: &Self) -> bool {
        let (old, new) = (&self.state, &empty.state);
        self.open == empty.open
            && self.allocatable == empty.allocatable
            && old.name == new.name
            && old.labels == new.labels
            && old.taints == new.taints
            && old.unschedulable == new.unschedulable
    }
}
