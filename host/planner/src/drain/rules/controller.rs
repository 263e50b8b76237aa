//! What the controller of a pod says to its eviction.

use plimsoll_model::{Owner, Pod, Snapshot, WorkloadKind, well_known};

use super::KeptReason;

/// Kinds of controllers that start a pod again, by name, whatever their API group (cluster-autoscaler,
/// `rules/replicated`).
const REPLICATING: [WorkloadKind; 4] =
    [WorkloadKind::ReplicationController, WorkloadKind::Job, WorkloadKind::ReplicaSet, WorkloadKind::StatefulSet];

/// A controller of a kind that starts pods again.
pub(super) fn replicates(owner: &Owner) -> bool {
    REPLICATING.iter().any(|kind| owner.kind == *kind.name())
}

/// A pod that leaves with its node: of a DaemonSet, or, if annotations count, one that says it is like those.
pub(super) fn leaves_with_node(pod: &Pod, annotations: bool) -> bool {
    let says = || pod.annotations.get(well_known::DAEMON_SET_POD).is_some_and(|value| *value == "true");
    pod.daemon_set() || annotations && says()
}

/// Why the controller keeps the pod where it is: it is gone, or wants too few pods (cluster-autoscaler,
/// `rules/replicacount`). Controllers are told apart by name only. Of those a dump does not hold at all, nothing is
/// known, and nothing is said.
pub(super) fn controller_rule(snapshot: &Snapshot, pod: &Pod, least: u32) -> Option<(KeptReason, String)> {
    let owner = pod.owner.as_deref()?;
    let group = match owner.api_version.split_once('/') {
        None => "",
        Some((_, version)) if version.contains('/') => return None,
        Some((group, _)) => group,
    };
    let is = |kind: WorkloadKind| owner.kind == *kind.name();
    if is(WorkloadKind::ReplicationController) {
        return workload_rule(snapshot, pod, owner, WorkloadKind::ReplicationController, least);
    }
    if leaves_with_node(pod, true) {
        let looked_up = group == "apps" && owner.kind == *"DaemonSet";
        let known = looked_up && (snapshot.daemon_sets().next().is_some() || workloads_known(snapshot));
        let gone = known && snapshot.find_daemon_set(&owner.namespace, &owner.name).is_none();
        return gone.then(|| not_found(pod, owner));
    }
    // Of the others only the StatefulSet's group is looked at, as in the rule's source.
    let kind = REPLICATING.into_iter().find(|kind| is(*kind))?;
    if kind == WorkloadKind::StatefulSet && group != "apps" {
        return None;
    }
    workload_rule(snapshot, pod, owner, kind, least)
}

fn workload_rule(
    snapshot: &Snapshot,
    pod: &Pod,
    owner: &Owner,
    kind: WorkloadKind,
    least: u32,
) -> Option<(KeptReason, String)> {
    if !workloads_known(snapshot) {
        return None;
    }
    let Some(found) = snapshot.find_workload(kind, &owner.namespace, &owner.name) else {
        return Some(not_found(pod, owner));
    };
    let counted = matches!(kind, WorkloadKind::ReplicationController | WorkloadKind::ReplicaSet);
    let desired = found.desired.filter(|desired| counted && *desired < least)?;
    let detail = format!(
        "{} {} of pod {} wants {desired} pods, fewer than scaleDown.rules.minReplicaCount ({least})",
        owner.kind,
        owner.name,
        pod.full_name()
    );
    Some((KeptReason::MinReplicasReached, detail))
}

fn workloads_known(snapshot: &Snapshot) -> bool {
    snapshot.workloads().next().is_some()
}

fn not_found(pod: &Pod, owner: &Owner) -> (KeptReason, String) {
    let detail =
        format!("{} {} of pod {} is not in the cluster as it was read", owner.kind, owner.name, pod.full_name());
    (KeptReason::ControllerNotFound, detail)
}
