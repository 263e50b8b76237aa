//! What a policy learns of a node and of its pods.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{Lifecycle, Millis, NodeGroup, NodeId, Owner, Pod, PodId, Snapshot, Timestamp};
use plimsoll_scheduler::PodClass;

use super::{Candidate, Cause, DrainPod, KeptReason, warmup_of};

/// How many pods each owner has. Pods of one owner share it, so that most are known by its address.
#[derive(Default)]
pub(super) struct Replicas(HashMap<*const Owner, u32>);

impl Replicas {
    fn of(&mut self, snapshot: &Snapshot, pod: &Pod) -> Option<u32> {
        let owner = pod.owner.as_ref()?;
        Some(*self.0.entry(Arc::as_ptr(owner)).or_insert_with(|| snapshot.replicas_of(owner)))
    }
}

/// A pod that will be evicted.
pub(super) fn drain_pod(snapshot: &Snapshot, id: PodId) -> DrainPod {
    let pod = snapshot.pod(id);
    let replicas = pod.owner.as_ref().map(|owner| snapshot.replicas_of(owner));
    DrainPod {
        pod: id,
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        priority: pod.shape.priority,
        critical: pod.critical(),
        daemon_set: pod.daemon_set(),
        single_replica: replicas == Some(1),
        replicas,
        disruptions_allowed: snapshot.budgets_of(pod).map(|(_, budget)| budget.disruptions_allowed).min(),
        volumes: pod.volumes,
        grace: pod.grace,
        warmup: warmup_of(pod),
    }
}

/// A node that these pods have to leave; `group` is the one that owns it.
pub(super) fn candidate(
    snapshot: &Snapshot,
    replicas: &mut Replicas,
    group: Option<&NodeGroup>,
    id: NodeId,
    pods: &[PodId],
    now: Timestamp,
) -> Candidate {
    let node = snapshot.node(id);
    let requested = snapshot.requested_on(id);
    let permille =
        |used: u64, all: u64| u32::try_from(u128::from(used) * 1000 / u128::from(all.max(1))).unwrap_or(u32::MAX);
    let lifecycle = node.lifecycle().or(group.and_then(NodeGroup::only_lifecycle));
    let price = |group: &NodeGroup| {
        let instance_type = group.instance_type(node.instance_type()?)?;
        group.price(instance_type, lifecycle.unwrap_or(Lifecycle::OnDemand))
    };
    let mut candidate = Candidate {
        node: id,
        name: node.name.clone(),
        group: group.map(|group| group.name.clone()).or_else(|| node.group_label().cloned()),
        zone: node.zone().cloned(),
        lifecycle,
        cause: if pods.is_empty() { Cause::Empty } else { Cause::Underutilized },
        pods: u32::try_from(pods.len()).unwrap_or(u32::MAX),
        critical_pods: 0,
        single_replicas: 0,
        highest_priority: None,
        longest_warmup: None,
        cpu_permille: permille(requested.cpu.0, node.allocatable.cpu.0),
        memory_permille: permille(requested.memory.0, node.allocatable.memory.0),
        savings: group.and_then(price),
        age: node.created.map(|created| now.since(created)).filter(|age| *age > Millis(0)),
        deadline: None,
    };
    for &pod in pods {
        let pod = snapshot.pod(pod);
        candidate.critical_pods += u32::from(pod.critical());
        candidate.single_replicas += u32::from(replicas.of(snapshot, pod) == Some(1));
        candidate.highest_priority = candidate.highest_priority.max(Some(pod.shape.priority));
        candidate.longest_warmup = candidate.longest_warmup.max(warmup_of(pod));
    }
    candidate
}

/// What the simulation does not know of a pod, so that no place for it can be promised.
pub(super) fn unsimulated(pod: &Pod, class: Option<&PodClass>) -> Option<(KeptReason, String)> {
    let name = pod.full_name();
    let Some(class) = class else {
        return Some((KeptReason::PodsUnknown, format!("pod {name} is not simulated")));
    };
    if class.shape.resource_claims {
        let detail =
            format!("pod {name} claims devices (spec.resourceClaims); dynamic resource allocation is not simulated");
        return Some((KeptReason::DevicesNotSimulated, detail));
    }
    let unknown = pod.volumes.claims && class.volumes.as_ref().is_none_or(|volumes| !volumes.known());
    unknown.then(|| {
        let detail = format!("pod {name} mounts volume claims; where they can be mounted is not known");
        (KeptReason::VolumesUnknown, detail)
    })
}
