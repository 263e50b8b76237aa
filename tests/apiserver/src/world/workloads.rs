//! Workload controllers: what is wanted becomes pods.

mod daemon_set;
mod deployment;
mod replica_set;
mod stateful_set;

use serde_json::{Value, json};

use super::object::{
    self, is_controlled_by, is_leaving, is_over, leaving, list, name, namespace, node_of, short_hash, text, uid,
};
use super::{Change, Turn};
use crate::selector::LabelSelector;
use crate::semantics::condition;

pub(super) fn step(turn: &mut Turn<'_>) {
    for deployment in turn.view.all("deployments.apps").iter().filter(|one| !is_leaving(one)) {
        deployment::step(deployment, turn);
    }
    for set in turn.view.all("replicasets.apps").iter().filter(|one| !is_leaving(one)) {
        replica_set::step(set, turn);
    }
    for set in turn.view.all("statefulsets.apps").iter().filter(|one| !is_leaving(one)) {
        stateful_set::step(set, turn);
    }
    for set in turn.view.all("daemonsets.apps").iter().filter(|one| !is_leaving(one)) {
        daemon_set::step(set, turn);
    }
}

/// The replicas that are wanted: one when nobody says.
fn wanted(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1).clamp(0, 100_000)
}

fn generation(object: &Value) -> &Value {
    object.pointer("/metadata/generation").unwrap_or(&Value::Null)
}

/// The pods of an owner that have not ended and are not asked to.
fn active_pods<'a>(owner: &Value, turn: &Turn<'a>) -> Vec<&'a Value> {
    let pods = turn.view.all("pods").iter();
    pods.filter(|pod| is_controlled_by(pod, owner) && !is_leaving(pod) && !is_over(pod)).collect()
}

/// The active pods that an owner counts: its own, as long as its selector matches them, and those without an owner
/// that it matches. Those that it does not match any more are released, those that it finds are adopted
/// (`pkg/controller/controller_ref_manager.go`).
fn claimed_pods<'a>(owner: &Value, kind: &str, selector: &LabelSelector, turn: &mut Turn<'a>) -> Vec<&'a Value> {
    let all = turn.view.all("pods").iter();
    let active = all.filter(|pod| namespace(pod) == namespace(owner) && !is_leaving(pod) && !is_over(pod));
    let mut claimed = Vec::new();
    for pod in active {
        let own = is_controlled_by(pod, owner);
        if !own && object::controller(pod).is_some() {
            continue;
        }
        match (own, selector.matches(pod)) {
            (true, true) => claimed.push(pod),
            (true, false) => {
                let mut released = pod.clone();
                let others = list(pod, "/metadata/ownerReferences").iter().filter(|other| other["uid"] != uid(owner));
                let others: Vec<Value> = others.cloned().collect();
                if let Some(metadata) = released.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("ownerReferences");
                    if !others.is_empty() {
                        metadata.insert("ownerReferences".to_owned(), others.into());
                    }
                }
                turn.replace(pod, released);
            }
            (false, true) => {
                let mut adopted = pod.clone();
                let mut owners = list(pod, "/metadata/ownerReferences").to_vec();
                owners.extend(list(&object::owner_reference("apps/v1", kind, owner), "").to_vec());
                adopted["metadata"]["ownerReferences"] = owners.into();
                turn.replace(pod, adopted);
                claimed.push(pod);
            }
            (false, false) => {}
        }
    }
    claimed
}

fn ready(pods: &[&Value]) -> i64 {
    length(pods.iter().filter(|pod| condition::holds(pod, "Ready")).count())
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A pod of the template of its owner.
fn pod_of(owner: &Value, kind: &str, name: String) -> Value {
    let template = owner.pointer("/spec/template").unwrap_or(&Value::Null);
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": namespace(owner), "ownerReferences": object::owner_reference("apps/v1", kind, owner)
        },
        "spec": template.get("spec").filter(|spec| spec.is_object()).cloned().unwrap_or_else(|| json!({})),
        "status": { "phase": "Pending" }
    });
    for field in ["labels", "annotations"] {
        if let Some(value @ Value::Object(_)) = template.pointer("/metadata").and_then(|metadata| metadata.get(field)) {
            pod["metadata"][field] = value.clone();
        }
    }
    for (field, default) in [
        ("restartPolicy", json!("Always")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
    ] {
        if pod["spec"][field].is_null() {
            pod["spec"][field] = default;
        }
    }
    pod
}

/// A name that no pod of this owner had before.
fn new_name(owner: &Value, index: i64, turn: &Turn<'_>) -> String {
    let seed = format!("{}/{}/{index}", uid(owner), turn.now.as_nanosecond());
    format!("{}-{}", name(owner), short_hash(&seed))
}

/// Asks a pod to go.
fn remove(pod: &Value, turn: &mut Turn<'_>) {
    match leaving(pod, turn.now) {
        Some(pod) => turn.step.changes.push(Change::Replace(pod)),
        None => turn.delete("pods", pod),
    }
}

/// Which pods go first: without a node, not ready, cheap by annotation, young.
fn by_worth(pods: &mut [&Value]) {
    pods.sort_by_cached_key(|pod| {
        let cost = pod.pointer("/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost");
        let cost = cost.and_then(Value::as_str).and_then(|cost| cost.parse::<i64>().ok()).unwrap_or_default();
        let age = std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned());
        (!node_of(pod).is_empty(), condition::holds(pod, "Ready"), cost, age, name(pod).to_owned())
    });
}
