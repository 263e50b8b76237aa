//! What a plan says.

use plimsoll_model::{Millis, NodeId, PodId, Price, Snapshot, Text, Timestamp};

use super::{Cause, Drain, DrainId, Eviction, Forced, KeptNode, Slot};
use crate::PolicyCall;
use crate::scale_up::Displaced;

/// Which nodes leave and which stay.
#[derive(Clone, Debug, Default)]
pub struct ScaleDownPlan {
    /// Nodes to drain now, first to last; those that have to go come first.
    pub drains: Vec<PlannedDrain>,
    /// Nodes that stay, or drain already, in the order of names.
    pub kept: Vec<KeptNode>,
    /// Names of the nodes that could go to save, each by itself, if it were not for evaluations, cooldown, caps and the
    /// policy, in the order of names: what [`Evaluations`](super::Evaluations) count.
    pub removable: Vec<Text>,
    /// All nodes that have to go, whether their drains begin now, have begun, or cannot yet.
    pub forced: Vec<Forced>,
    /// Those of them that drain already, and have less time than their drains: the deadline moves forward.
    pub hastened: Vec<Forced>,
    /// Nodes that have to go and are drained, now or already: their pods may need new nodes before they are pending.
    /// For [`ScaleUpConfig::displaced`](crate::scale_up::ScaleUpConfig::displaced).
    pub displaced: Vec<Displaced>,
    /// Where each evicted pod can go once all of the nodes are gone, those that drain already included, in the order of
    /// namespaces and names. kube-scheduler decides; this shows that there is a way.
    pub moves: Vec<(PodId, NodeId)>,
    /// What the host changed in the answers, each a sentence.
    pub clipped: Vec<String>,
    /// Every policy call.
    pub calls: Vec<PolicyCall>,
}

/// A node to drain.
#[derive(Clone, Debug)]
pub struct PlannedDrain {
    /// The node.
    pub node: NodeId,
    /// Its node group, where one is known.
    pub group: Option<Text>,
    /// Why it goes.
    pub cause: Cause,
    /// The same, in the policy's words, or of whoever wants it gone.
    pub reason: String,
    /// What removing it saves per hour.
    pub savings: Option<Price>,
    /// When it is removed whatever is on it.
    pub deadline: Timestamp,
    /// The least time between two evictions, also of pods that come late.
    pub spacing: Millis,
    /// The policy that ordered its pods, or the node where it has none: its name, `@`, and the beginning of its digest.
    /// `None` if none did.
    pub policy: Option<Text>,
    /// When its pods are evicted, in the order of time.
    pub evictions: Vec<Eviction>,
}

// === impl PlannedDrain ===

impl PlannedDrain {
    /// The drain as it is written on its node.
    pub fn to_drain(&self, snapshot: &Snapshot, id: DrainId, cluster: Text, decision: Text, now: Timestamp) -> Drain {
        let slot = |eviction: &Eviction| Slot {
            pod: snapshot.pod(eviction.pod).uid.clone(),
            after: eviction.turn,
            warmup: eviction.warmup,
        };
        let mut slots: Vec<Slot> = self.evictions.iter().map(slot).collect();
        slots.sort_by_key(|slot| slot.after);
        Drain {
            id,
            cluster,
            cause: self.cause,
            reason: self.reason.clone(),
            started: now,
            deadline: self.deadline,
            policy: self.policy.clone(),
            decision,
            slots,
            spacing: self.spacing,
            removal: None,
        }
    }
}

/// The policy that answered: its name, `@`, and the beginning of its digest.
pub(super) fn answered_by(calls: &[PolicyCall]) -> Option<Text> {
    let call = calls.iter().rev().find(|call| !call.shadow && call.outcome == crate::CallOutcome::Answered)?;
    let digest = call.digest.get(..12).unwrap_or(&call.digest);
    Some(Text::from(format!("{}@{digest}", call.policy).as_str()))
}
