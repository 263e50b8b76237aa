//! The replicas of this process, one of which stays.

use fixedbitset::FixedBitSet;
use plimsoll_model::{NodeId, Snapshot, Text};

/// Where the replicas of this process run: a node whose removal would leave none of them stays (`ocean-features` A10).
#[derive(Debug, Default)]
pub(super) struct OwnReplicas {
    homes: Vec<NodeId>,
    name: String,
}

// === impl OwnReplicas ===

impl OwnReplicas {
    /// The nodes of the pod of that namespace and name, and of the ready pods of its owner. None if it is not in the
    /// cluster.
    pub fn of(snapshot: &Snapshot, own_pod: Option<&(Text, Text)>) -> Self {
        let Some((own, pod)) = own_pod.and_then(|(namespace, name)| snapshot.find_pod(namespace, name)) else {
            return Self::default();
        };
        let home = |name: &Option<Text>| snapshot.find_node(name.as_ref()?).map(|(id, node)| (id, node.ready));
        let mut homes: Vec<NodeId> = home(&pod.node).map(|(id, _)| id).into_iter().collect();
        if let Some(owner) = &pod.owner {
            let alive = snapshot.pods().filter(|(id, other)| {
                *id != own
                    && other.namespace == pod.namespace
                    && other.ready
                    && other.deletion.is_none()
                    && !other.finished()
                    && other.owner.as_ref().is_some_and(|known| known.kind == owner.kind && known.uid == owner.uid)
            });
            homes
                .extend(alive.filter_map(|(_, other)| home(&other.node)).filter(|(_, ready)| *ready).map(|(id, _)| id));
        }
        homes.sort_unstable();
        homes.dedup();
        Self { homes, name: pod.full_name() }
    }

    /// Why a node stays beside those that leave, if it does.
    pub fn keep(&self, id: NodeId, leaving: &FixedBitSet) -> Option<String> {
        let stays = |home: &NodeId| *home != id && !leaving.contains(home.0 as usize);
        if !self.homes.contains(&id) || self.homes.iter().any(stays) {
            return None;
        }
        Some(format!("{} would have no ready replica on another node that stays", self.name))
    }
}
