//! NodeClaims.

use plimsoll_kube::Resource;
use plimsoll_model::{Machine, Text, well_known};
use plimsoll_planner::launch::{LaunchFailure, LaunchIntent};
use serde_json::{Map, Value, json};

use super::pool::Pool;
use super::settings::{KarpenterSettings, NodeClassRef};
use crate::object::{condition_is_true, created, deleting, false_condition, label, name, text};
use crate::{Instance, InstanceState, LAUNCH_LABEL};

/// The label of claims that came of a NodePool.
const NODE_POOL: &str = "karpenter.sh/nodepool";
/// Labels that Karpenter sets itself, by the machine that it gets.
const SET_BY_KARPENTER: [&str; 11] = [
    well_known::ZONE,
    well_known::ZONE_BETA,
    well_known::REGION,
    well_known::REGION_BETA,
    well_known::INSTANCE_TYPE,
    well_known::INSTANCE_TYPE_BETA,
    well_known::ARCH,
    well_known::ARCH_BETA,
    well_known::OS,
    well_known::OS_BETA,
    well_known::LIFECYCLE_KARPENTER,
];

/// NodeClaims.
pub(super) fn resource() -> Resource {
    super::resource("nodeclaims", "NodeClaim")
}

/// The name of a claim: the same however often the launch is repeated.
fn claim_name(intent: &LaunchIntent, index: u32) -> String {
    format!("{}-{index}", intent.id)
}

/// A claim for one node of a launch.
pub(super) fn claim(
    intent: &LaunchIntent,
    index: u32,
    class: &NodeClassRef,
    pool: Option<&Pool>,
    settings: &KarpenterSettings,
) -> Value {
    let request = &intent.request;
    let mut labels: Map<String, Value> = request
        .labels
        .iter()
        .filter(|(key, _)| !SET_BY_KARPENTER.contains(&key.as_str()))
        .map(|(key, value)| (key.to_string(), value.as_str().into()))
        .collect();
    labels.insert(well_known::NODE_GROUP[0].to_owned(), request.group.as_str().into());
    labels.insert(LAUNCH_LABEL.to_owned(), intent.id.0.as_str().into());
    let is = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    let mut requirements = vec![
        is(well_known::INSTANCE_TYPE, &request.instance_type),
        is(well_known::ZONE, &request.zone),
        is(well_known::LIFECYCLE_KARPENTER, request.lifecycle.name()),
    ];
    for key in [well_known::ARCH, well_known::OS] {
        requirements.extend(request.labels.get(key).map(|value| is(key, value)));
    }
    let mut spec = json!({
        "nodeClassRef": class,
        "requirements": requirements,
        "expireAfter": settings.expire_after,
    });
    let taints: Vec<Value> = request
        .taints
        .iter()
        .map(|taint| {
            let mut object = json!({"key": taint.key.as_str(), "effect": taint.effect.name()});
            if !taint.value.is_empty() {
                object["value"] = taint.value.as_str().into();
            }
            object
        })
        .collect();
    if !taints.is_empty() {
        spec["taints"] = taints.into();
    }
    let group = settings.groups.get(request.group.as_str());
    let startup = match group.and_then(|group| group.startup_taints.as_ref()) {
        Some(taints) => json!(taints),
        None => pool.map_or(Value::Null, |pool| pool.startup_taints.clone()),
    };
    if startup.as_array().is_some_and(|taints| !taints.is_empty()) {
        spec["startupTaints"] = startup;
    }
    let requests = group.map(|group| &group.requests).filter(|requests| !requests.is_empty());
    if let Some(requests) = requests {
        spec["resources"] = json!({"requests": requests});
    }
    if let Some(period) = &settings.termination_grace_period {
        spec["terminationGracePeriod"] = period.as_str().into();
    }
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": {
            "name": claim_name(intent, index),
            "labels": labels,
            "annotations": {
                "plimsoll.dev/decision": intent.decision.as_str(),
                "plimsoll.dev/term": intent.term.to_string(),
            },
        },
        "spec": spec,
    })
}

/// The NodePool that a claim came of.
pub(super) fn pool_of(object: &Value) -> Option<&str> {
    label(object, NODE_POOL)
}

/// The group of a claim.
pub(super) fn group(object: &Value) -> Option<&str> {
    label(object, well_known::NODE_GROUP[0]).or_else(|| pool_of(object))
}

/// The claim as the inventory knows it.
pub(super) fn machine(object: &Value) -> Machine {
    Machine {
        name: name(object).into(),
        node: text(object, "/status/nodeName").map(Text::from),
        group: group(object).map(Text::from),
        // Karpenter writes none down.
        addresses: Vec::new(),
        created: created(object),
        deleting: deleting(object),
    }
}

/// The claim as one of its group.
pub(super) fn instance(object: &Value) -> Instance {
    let state = match false_condition(object, "Launched") {
        _ if deleting(object) => InstanceState::Deleting,
        Some((reason, message)) => InstanceState::Failed(failure(reason, message)),
        None if condition_is_true(object, "Launched") => InstanceState::Running,
        None => InstanceState::Creating,
    };
    Instance { id: text(object, "/status/providerID").unwrap_or(name(object)).into(), state }
}

/// Reasons: Karpenter, controllers/nodeclaim/lifecycle.
fn failure(reason: &str, message: String) -> LaunchFailure {
    match reason {
        "InsufficientCapacity" | "InsufficientCapacityError" => LaunchFailure::NoCapacity(message),
        "NodeClassNotReady" | "NodeClassNotFound" => LaunchFailure::Invalid(message),
        _ if reason.contains("Quota") || reason.contains("LimitExceeded") => LaunchFailure::Quota(message),
        _ => LaunchFailure::Other(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_says_how_far_it_has_come() {
        let launched = |status: &str, reason: &str| {
            let condition = json!({"type": "Launched", "status": status, "reason": reason, "message": "m"});
            let other = json!({"type": "Registered", "status": "False", "reason": "InsufficientCapacity"});
            instance(&json!({"metadata": {"name": "c"}, "status": {"conditions": [other, condition]}})).state
        };
        let failed = |failure| InstanceState::Failed(failure);
        for (found, expected) in [
            (launched("True", ""), InstanceState::Running),
            (launched("Unknown", "AwaitingReconciliation"), InstanceState::Creating),
            (launched("False", "InsufficientCapacity"), failed(LaunchFailure::NoCapacity("m".into()))),
            (launched("False", "NodeClassNotReady"), failed(LaunchFailure::Invalid("m".into()))),
            (launched("False", "VcpuLimitExceeded"), failed(LaunchFailure::Quota("m".into()))),
            (launched("False", "LaunchFailed"), failed(LaunchFailure::Other("m".into()))),
        ] {
            assert_eq!(found, expected);
        }
        let going = json!({"metadata": {"name": "c", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(instance(&going).state, InstanceState::Deleting);
        assert_eq!(instance(&json!({"status": []})).state, InstanceState::Creating);
    }
}
