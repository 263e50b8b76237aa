//! Pods leave: asked politely by the Eviction API, or deleted.

use std::time::Duration;

use plimsoll_model::Millis;
use plimsoll_planner::drain::{EvictionAnswer, PodRef};
use serde_json::json;

use super::answer::of_eviction;
use super::change::text;
use crate::api::{Api, ApiError, ObjectName, Permit, Precondition, Resource};

/// Asks for the eviction of a pod: its disruption budget is heeded. `grace` is the time that it has to stop, where that
/// is less than its own.
pub async fn evict(api: &Api, permit: &Permit, pod: &PodRef, grace: Option<Millis>) -> EvictionAnswer {
    let mut body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": &*pod.name, "namespace": &*pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid.to_string()}},
    });
    if let Some(grace) = grace {
        body["deleteOptions"]["gracePeriodSeconds"] = seconds(grace).into();
    }
    let done = api.create_part(permit, &Resource::PODS, &name_of(pod), "eviction", &body).await;
    answered(api, pod, done.map(drop)).await
}

/// Deletes a pod, whatever its disruption budget says.
pub async fn delete_pod(api: &Api, permit: &Permit, pod: &PodRef, grace: Millis) -> EvictionAnswer {
    let this_one = Precondition { uid: Some(pod.uid.to_string()), resource_version: None };
    let grace = Duration::from_secs(seconds(grace));
    let done = api.delete_within(permit, &Resource::PODS, &name_of(pod), &this_one, grace).await;
    answered(api, pod, done.map(drop)).await
}

async fn answered(api: &Api, pod: &PodRef, done: Result<(), ApiError>) -> EvictionAnswer {
    match done {
        Ok(()) => EvictionAnswer::Accepted,
        // Of the UID, or because the pod or its budget changed in that moment: the sentences differ by version.
        Err(conflict @ ApiError::Conflict(_)) => match api.get(&Resource::PODS, &name_of(pod)).await {
            Ok(object) if text(&object, "/metadata/uid") != pod.uid.to_string() => EvictionAnswer::Gone,
            Err(ApiError::NotFound(_)) => EvictionAnswer::Gone,
            _ => of_eviction(conflict),
        },
        Err(error) => of_eviction(error),
    }
}

/// Whole seconds, none too many. Never 0: that would take the pod from the API while its containers still run, and
/// another of its name could start beside it (Kubernetes, "Pod Lifecycle", forced termination).
fn seconds(grace: Millis) -> u64 {
    (grace.0 / 1000).clamp(1, i64::MAX.unsigned_abs())
}

fn name_of(pod: &PodRef) -> ObjectName {
    ObjectName::in_namespace(&pod.namespace, &pod.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_is_never_longer_than_asked_nor_none() {
        for (millis, expected) in [(0, 1), (1, 1), (1_999, 1), (2_000, 2), (30_999, 30), (u64::MAX, u64::MAX / 1000)] {
            assert_eq!(seconds(Millis(millis)), expected, "{millis} ms");
        }
    }
}
