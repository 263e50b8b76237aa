//! Drain.

use plimsoll_model::Millis;
use plimsoll_planner::drain::{
    Candidate, Cause, DrainPod, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion,
};
use wasmtime::AsContextMut;

use super::{context, lifecycle};
use crate::bindings::exports::plimsoll::policy::drain as wit;
use crate::state::Moment;

/// Asks which nodes go.
pub fn order_nodes(
    store: impl AsContextMut,
    guest: &wit::Guest,
    question: &NodesQuestion,
    settings: &str,
) -> wasmtime::Result<Option<NodesVerdict>> {
    let candidates: Vec<wit::Candidate<'_>> = question.candidates.iter().map(candidate).collect();
    let request = wit::NodesRequest {
        context: context(Moment { now: question.now, seed: question.seed }, settings),
        candidates: &candidates,
        max_drains: question.max_drains,
    };
    guest.call_order_nodes(store, request).map(nodes_verdict)
}

/// Asks in what order the pods of a node go.
pub fn order_pods(
    store: impl AsContextMut,
    guest: &wit::Guest,
    question: &PodsQuestion,
    settings: &str,
) -> wasmtime::Result<Option<Vec<PodTurn>>> {
    let pods: Vec<wit::DrainPod<'_>> = question.pods.iter().map(drain_pod).collect();
    let request = wit::PodsRequest {
        context: context(Moment { now: question.now, seed: question.seed }, settings),
        node: candidate(&question.node),
        pods: &pods,
        spacing_ms: question.spacing.0,
        timeout_ms: question.timeout.0,
    };
    guest.call_order_pods(store, request).map(pods_verdict)
}

fn candidate(candidate: &Candidate) -> wit::Candidate<'_> {
    wit::Candidate {
        node: candidate.node.0,
        name: &candidate.name,
        group: candidate.group.as_deref(),
        zone: candidate.zone.as_deref(),
        lifecycle: candidate.lifecycle.map(lifecycle),
        cause: match candidate.cause {
            Cause::Empty => wit::Cause::Empty,
            Cause::Underutilized => wit::Cause::Underutilized,
            Cause::Interruption => wit::Cause::Interruption,
            Cause::Unhealthy => wit::Cause::Unhealthy,
            Cause::Requested => wit::Cause::Requested,
        },
        pods: candidate.pods,
        critical_pods: candidate.critical_pods,
        single_replicas: candidate.single_replicas,
        highest_priority: candidate.highest_priority,
        longest_warmup_ms: candidate.longest_warmup.map(|warmup| warmup.0),
        cpu_permille: candidate.cpu_permille,
        memory_permille: candidate.memory_permille,
        savings: candidate.savings.map(|savings| savings.0),
        age_ms: candidate.age.map(|age| age.0),
        deadline_ms: candidate.deadline.map(|at| at.0),
    }
}

fn drain_pod(pod: &DrainPod) -> wit::DrainPod<'_> {
    wit::DrainPod {
        pod: pod.pod.0,
        namespace: &pod.namespace,
        name: &pod.name,
        priority: pod.priority,
        critical: pod.critical,
        daemon_set: pod.daemon_set,
        single_replica: pod.single_replica,
        replicas: pod.replicas,
        disruptions_allowed: pod.disruptions_allowed,
        volume_claims: pod.volumes.claims,
        local_storage: pod.volumes.local,
        grace_ms: pod.grace.0,
        warmup_ms: pod.warmup.map(|warmup| warmup.0),
    }
}

fn nodes_verdict(verdict: wit::NodesVerdict) -> Option<NodesVerdict> {
    let choices = |choices: Vec<wit::NodeChoice>| {
        choices
            .into_iter()
            .map(|choice| NodeChoice { node: choice.node, reason: super::reason(choice.reason) })
            .collect()
    };
    match verdict {
        wit::NodesVerdict::Pass => None,
        wit::NodesVerdict::Hold(reason) => Some(NodesVerdict::Hold(super::reason(reason))),
        wit::NodesVerdict::Order(order) => {
            Some(NodesVerdict::Order { drain: choices(order.drain), keep: choices(order.keep) })
        }
    }
}

fn pods_verdict(verdict: wit::PodsVerdict) -> Option<Vec<PodTurn>> {
    let turn = |turn: wit::PodTurn| PodTurn {
        pod: turn.pod,
        wait: turn.wait_ms.map(Millis),
        reason: super::reason(turn.reason),
    };
    match verdict {
        wit::PodsVerdict::Pass => None,
        wit::PodsVerdict::Order(turns) => Some(turns.into_iter().map(turn).collect()),
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Lifecycle, NodeId, PodId, Price, Timestamp, Volumes};

    use super::*;
    use crate::bindings::plimsoll::policy::types;

    #[test]
    fn every_field_of_a_candidate_has_its_place() {
        let known = Candidate {
            node: NodeId(1),
            name: "a".into(),
            group: Some("b".into()),
            zone: Some("c".into()),
            lifecycle: Some(Lifecycle::OnDemand),
            cause: Cause::Underutilized,
            pods: 2,
            critical_pods: 3,
            single_replicas: 4,
            highest_priority: Some(-5),
            longest_warmup: Some(Millis(6)),
            cpu_permille: 7,
            memory_permille: 8,
            savings: Some(Price(9)),
            age: Some(Millis(10)),
            deadline: Some(Timestamp(11)),
        };
        let expected = wit::Candidate {
            node: 1,
            name: "a",
            group: Some("b"),
            zone: Some("c"),
            lifecycle: Some(types::Lifecycle::OnDemand),
            cause: wit::Cause::Underutilized,
            pods: 2,
            critical_pods: 3,
            single_replicas: 4,
            highest_priority: Some(-5),
            longest_warmup_ms: Some(6),
            cpu_permille: 7,
            memory_permille: 8,
            savings: Some(9),
            age_ms: Some(10),
            deadline_ms: Some(11),
        };
        assert_eq!(format!("{:?}", candidate(&known)), format!("{expected:?}"));
    }

    #[test]
    fn every_field_of_a_pod_has_its_place() {
        for flag in 0..5 {
            let pod = DrainPod {
                pod: PodId(1),
                namespace: "a".into(),
                name: "b".into(),
                priority: -2,
                critical: flag == 0,
                daemon_set: flag == 1,
                single_replica: flag == 2,
                replicas: Some(5),
                disruptions_allowed: Some(6),
                volumes: Volumes { claims: flag == 3, local: flag == 4, unlisted: false },
                grace: Millis(3),
                warmup: Some(Millis(4)),
            };
            let expected = wit::DrainPod {
                pod: 1,
                namespace: "a",
                name: "b",
                priority: -2,
                critical: flag == 0,
                daemon_set: flag == 1,
                single_replica: flag == 2,
                replicas: Some(5),
                disruptions_allowed: Some(6),
                volume_claims: flag == 3,
                local_storage: flag == 4,
                grace_ms: 3,
                warmup_ms: Some(4),
            };
            assert_eq!(format!("{:?}", drain_pod(&pod)), format!("{expected:?}"));
        }
    }
}
