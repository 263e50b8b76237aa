//! Kubelets: bound pods run, deleted ones end, nodes report.
//!
//! A node or pod with the annotation `world.plimsoll.dev/ready: "false"` is never ready.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Turn;
use super::object::{self, is_leaving, is_over, list, name, node_of, text};
use crate::semantics::condition::{self, Condition};
use crate::semantics::time;

/// What keeps a node or pod from being ready.
const READY: &str = "world.plimsoll.dev/ready";

pub(super) fn step(turn: &mut Turn<'_>) {
    let nodes: HashMap<&str, &Value> = turn.view.all("nodes").iter().map(|node| (name(node), node)).collect();
    for node in turn.view.all("nodes").iter().filter(|node| !is_leaving(node)) {
        report(node, turn);
    }
    for pod in turn.view.all("pods") {
        let node = nodes.get(node_of(pod));
        if is_leaving(pod) {
            // Who bound it is gone, or nobody did: nobody has to be waited for.
            end(pod, node.is_some(), turn);
        } else if let Some(node) = node
            && condition::holds(node, "Ready")
            && !is_over(pod)
        {
            run(pod, node, turn);
        }
    }
}

/// The node says that it is well, now and then.
fn report(node: &Value, turn: &mut Turn<'_>) {
    let ready = !is_kept_back(node);
    let last = condition::find(node, "Ready").and_then(|condition| time::read(condition.get("lastHeartbeatTime")));
    let next = last.map(|last| after(last, turn.config.heartbeat));
    if let Some(next) = next.filter(|next| *next > turn.now && condition::holds(node, "Ready") == ready) {
        turn.again_at(next);
        return;
    }
    let mut well = node.clone();
    if list_is_empty(&well, "/status/capacity") && list_is_empty(&well, "/status/allocatable") {
        object::set_status(&mut well, json!({ "capacity": { "cpu": "4", "memory": "16Gi", "pods": "110" } }));
    }
    if list_is_empty(&well, "/status/allocatable") {
        let capacity = well["status"]["capacity"].clone();
        object::set_status(&mut well, json!({ "allocatable": capacity }));
    }
    let (reason, message) = match ready {
        true => ("KubeletReady", "kubelet is posting ready status"),
        false => ("KubeletNotReady", "kept back by an annotation"),
    };
    condition::set_of_node(&mut well, Condition { kind: "Ready", status: ready, reason, message }, turn.now);
    turn.replace(node, well);
    turn.again_at(after(turn.now, turn.config.heartbeat));
}

/// A bound pod starts after a while.
fn run(pod: &Value, node: &Value, turn: &mut Turn<'_>) {
    let ready = !is_kept_back(pod);
    let running = text(pod, "/status/phase") == "Running" && condition::find(pod, "Ready").is_some();
    if running && condition::holds(pod, "Ready") == ready {
        return;
    }
    let bound =
        condition::find(pod, "PodScheduled").and_then(|condition| time::read(condition.get("lastTransitionTime")));
    let start = after(bound.unwrap_or(turn.now), turn.config.pod_start);
    if !running && bound.is_some() && start > turn.now {
        turn.again_at(start);
        return;
    }
    let mut up = pod.clone();
    for kind in ["PodReadyToStartContainers", "Initialized"] {
        condition::set_of_pod(&mut up, Condition { kind, status: true, reason: "", message: "" }, turn.now);
    }
    let (reason, message) = if ready { ("", "") } else { ("ContainersNotReady", "kept back by an annotation") };
    for kind in ["Ready", "ContainersReady"] {
        condition::set_of_pod(&mut up, Condition { kind, status: ready, reason, message }, turn.now);
    }
    if condition::find(&up, "PodScheduled").is_none() {
        let scheduled = Condition { kind: "PodScheduled", status: true, reason: "", message: "" };
        condition::set_of_pod(&mut up, scheduled, turn.now);
    }
    let started = time::seconds(turn.now);
    let containers: Vec<Value> = list(pod, "/spec/containers")
        .iter()
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "started": true,
                "restartCount": 0, "state": { "running": { "startedAt": started } }, "lastState": {}
            })
        })
        .collect();
    let address = address_of(object::uid(pod), name(pod));
    let addresses = list(node, "/status/addresses");
    let internal = addresses.iter().find(|address| address["type"] == "InternalIP").map(|one| one["address"].clone());
    let since = pod.pointer("/status/startTime").unwrap_or(&started);
    object::set_status(
        &mut up,
        json!({
            "phase": "Running", "startTime": since, "podIP": address,
            "podIPs": [{ "ip": address }], "hostIP": internal.unwrap_or_default(), "containerStatuses": containers
        }),
    );
    turn.replace(pod, up);
}

/// A pod that is asked to go is gone after a while.
fn end(pod: &Value, waits: bool, turn: &mut Turn<'_>) {
    if !list(pod, "/metadata/finalizers").is_empty() {
        return;
    }
    let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default().max(0);
    let grace = SignedDuration::from_secs(grace);
    let stop = SignedDuration::try_from(turn.config.pod_stop).unwrap_or(SignedDuration::MAX);
    let asked = time::read(pod.pointer("/metadata/deletionTimestamp")).and_then(|end| end.checked_sub(grace).ok());
    let gone = asked.and_then(|asked| asked.checked_add(grace.min(stop)).ok());
    match gone.filter(|gone| waits && !is_over(pod) && *gone > turn.now) {
        Some(gone) => turn.again_at(gone),
        None => turn.delete("pods", pod),
    }
}

fn is_kept_back(object: &Value) -> bool {
    object
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(READY))
        .is_some_and(|ready| ready == "false")
}

fn list_is_empty(object: &Value, path: &str) -> bool {
    object.pointer(path).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
}

fn after(time: Timestamp, delay: Duration) -> Timestamp {
    time.checked_add(delay).unwrap_or(time)
}

/// An address that is always the same for the same pod.
fn address_of(uid: &str, name: &str) -> String {
    let sum =
        uid.bytes().chain(name.bytes()).fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let [a, b, c, _] = sum.to_be_bytes();
    format!("10.{a}.{b}.{}", c.clamp(1, 254))
}
