//! What a leader wants done, done to the objects: with the same conditions as over the wire, and with faults.

use plimsoll_apiserver::Refusal;
use plimsoll_apiserver::patch::PatchType;
use plimsoll_model::{Millis, well_known};
use plimsoll_planner::drain::{
    Drain, DrainAction, DrainAnswer, DrainId, EvictionAnswer, NodeRef, PodRef, Warmup, WriteAnswer,
};
use serde_json::{Value, json};

use crate::world::World;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Nothing is done, and the server says so with a 5xx.
    Failed,
    /// It is done, and no answer comes.
    AnswerLost,
    /// Nothing is done: the server has too much to do.
    TooMany,
    /// Nothing is done, and nobody answers.
    Cut,
}

/// Something that a leader had done.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Which replica.
    pub replica: usize,
    /// In which term.
    pub term: u64,
    /// What.
    pub action: DrainAction,
    /// What came of it, whether or not anybody hears.
    pub answer: DrainAnswer,
    /// It went wrong on purpose.
    pub fault: Fault,
}

/// Does it. The answer is the true one; `fault` says whether it was done, and whether it is heard.
pub fn execute(world: &mut World, action: &DrainAction, fault: Fault) -> DrainAnswer {
    if matches!(fault, Fault::Failed | Fault::TooMany | Fault::Cut) {
        return unknown(action, if fault == Fault::TooMany { Some(Millis(2_000)) } else { None });
    }
    let answer = match action {
        DrainAction::Mark { node, drain } => DrainAnswer::Marked(mark(world, node, drain)),
        DrainAction::Release { node, drain } => DrainAnswer::Released(release(world, node, drain.as_ref())),
        DrainAction::Evict { pod, grace, .. } => DrainAnswer::Evicted(pod.uid.clone(), evict(world, pod, *grace)),
        DrainAction::Delete { pod, grace, .. } => DrainAnswer::Deleted(pod.uid.clone(), delete(world, pod, *grace)),
        DrainAction::StartReplacement { pod, warmup, .. } => {
            DrainAnswer::ReplacementStarted(pod.uid.clone(), take_out(world, pod, warmup))
        }
        DrainAction::MeasureRemoval { .. } => DrainAnswer::Measured(Ok(None)),
        DrainAction::Remove { removal } => DrainAnswer::Removed(world.remove(removal)),
        DrainAction::DeleteNode { node } => DrainAnswer::NodeDeleted(delete_node(world, node)),
    };
    world.follow();
    answer
}

/// What a leader hears when nobody knows what was done.
pub fn unknown(action: &DrainAction, too_many: Option<Millis>) -> DrainAnswer {
    let why = || "no answer".to_owned();
    let eviction = match too_many {
        Some(pause) => EvictionAnswer::TooMany { retry_after: Some(pause) },
        None => EvictionAnswer::Unknown(why()),
    };
    match action {
        DrainAction::Mark { .. } => DrainAnswer::Marked(WriteAnswer::Unknown(why())),
        DrainAction::Release { .. } => DrainAnswer::Released(WriteAnswer::Unknown(why())),
        DrainAction::Evict { pod, .. } => DrainAnswer::Evicted(pod.uid.clone(), eviction),
        DrainAction::Delete { pod, .. } => DrainAnswer::Deleted(pod.uid.clone(), eviction),
        DrainAction::StartReplacement { pod, .. } => {
            DrainAnswer::ReplacementStarted(pod.uid.clone(), WriteAnswer::Unknown(why()))
        }
        DrainAction::MeasureRemoval { .. } => DrainAnswer::Measured(Err("no answer".into())),
        DrainAction::Remove { .. } => DrainAnswer::Removed(plimsoll_planner::drain::RemovalOutcome::Unknown(why())),
        DrainAction::DeleteNode { .. } => DrainAnswer::NodeDeleted(WriteAnswer::Unknown(why())),
    }
}

/// The drain that is written on a node's object.
pub fn written(node: &Value) -> Option<Drain> {
    Drain::read(node["metadata"]["annotations"][well_known::DRAIN].as_str()?).ok()
}

fn node_of(world: &World, node: &NodeRef) -> Option<Value> {
    world.store.get("nodes", "", &node.name).filter(|object| object["metadata"]["uid"] == *node.uid)
}

fn patch(world: &World, resource: &str, namespace: &str, name: &str, patch: Value) -> WriteAnswer {
    match world.store.patch(resource, namespace, name, PatchType::Merge, patch) {
        Ok(_) => WriteAnswer::Done,
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> WriteAnswer {
    match refusal.code {
        404 => WriteAnswer::Gone,
        403 => WriteAnswer::Forbidden(refusal.to_string()),
        400 | 422 => WriteAnswer::Otherwise(refusal.to_string()),
        _ => WriteAnswer::Unknown(refusal.to_string()),
    }
}

fn mark(world: &mut World, node: &NodeRef, drain: &Drain) -> WriteAnswer {
    let Some(object) = node_of(world, node) else { return WriteAnswer::Gone };
    if let Some(there) = written(&object).filter(|there| there.id != drain.id) {
        return WriteAnswer::Otherwise(format!("the drain {} is written on it already", there.id));
    }
    let mut taints = others(&object);
    taints.push(json!({ "key": well_known::DRAINING, "value": drain.id.0.as_str(), "effect": "NoSchedule" }));
    let mut annotations = json!({ well_known::DRAIN: drain.write() });
    let ours = written(&object).is_some();
    if !ours && object["spec"]["unschedulable"] == true {
        annotations[well_known::WAS_CORDONED] = "true".into();
    }
    let body =
        json!({ "metadata": { "annotations": annotations }, "spec": { "unschedulable": true, "taints": taints } });
    patch(world, "nodes", "", &node.name, body)
}

fn release(world: &mut World, node: &NodeRef, drain: Option<&DrainId>) -> WriteAnswer {
    let Some(object) = node_of(world, node) else { return WriteAnswer::Gone };
    match (written(&object), drain) {
        (Some(there), Some(id)) if there.id != *id => {
            return WriteAnswer::Otherwise(format!("the drain {} is written on it", there.id));
        }
        (Some(there), None) => return WriteAnswer::Otherwise(format!("the drain {} is written on it", there.id)),
        _ => {}
    }
    let cordoned = object["metadata"]["annotations"][well_known::WAS_CORDONED] == "true";
    let body = json!({
        "metadata": { "annotations": { well_known::DRAIN: null, well_known::WAS_CORDONED: null } },
        "spec": { "unschedulable": if cordoned { json!(true) } else { Value::Null }, "taints": others(&object) }
    });
    patch(world, "nodes", "", &node.name, body)
}

/// The taints of a node that are not ours.
fn others(node: &Value) -> Vec<Value> {
    let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.into_iter().filter(|taint| taint["key"] != well_known::DRAINING).collect()
}

fn evict(world: &mut World, pod: &PodRef, grace: Option<Millis>) -> EvictionAnswer {
    let mut options = json!({ "preconditions": { "uid": pod.uid.to_string() } });
    if let Some(grace) = grace {
        options["gracePeriodSeconds"] = (grace.0 / 1000).into();
    }
    eviction(world.store.evict(&pod.namespace, &pod.name, &options))
}

fn delete(world: &mut World, pod: &PodRef, grace: Millis) -> EvictionAnswer {
    let options = json!({ "preconditions": { "uid": pod.uid.to_string() }, "gracePeriodSeconds": grace.0 / 1000 });
    eviction(world.store.delete_with("pods", &pod.namespace, &pod.name, &options))
}

fn eviction(done: Result<Value, Refusal>) -> EvictionAnswer {
    let Err(refusal) = done else { return EvictionAnswer::Accepted };
    let retry_after = refusal.retry_after().map(Millis::from_secs);
    let message = refusal.to_string();
    let cause = refusal.details.as_ref().and_then(|details| details["causes"][0]["reason"].as_str());
    match refusal.code {
        404 => EvictionAnswer::Gone,
        409 if message.contains("UID") => EvictionAnswer::Gone,
        409 => EvictionAnswer::Conflict,
        429 if cause == Some("DisruptionBudget") => EvictionAnswer::Budget { message, retry_after },
        429 => EvictionAnswer::TooMany { retry_after },
        500 if message.contains("more than one PodDisruptionBudget") => EvictionAnswer::SeveralBudgets(message),
        403 => EvictionAnswer::Forbidden(message),
        400 | 422 => EvictionAnswer::Invalid(message),
        _ => EvictionAnswer::Unknown(message),
    }
}

fn take_out(world: &mut World, pod: &PodRef, warmup: &Warmup) -> WriteAnswer {
    let found = world.store.get("pods", &pod.namespace, &pod.name);
    let Some(object) = found.filter(|object| object["metadata"]["uid"] == pod.uid.to_string()) else {
        return WriteAnswer::Gone;
    };
    if object["metadata"]["labels"][well_known::POD_TEMPLATE_HASH].is_null() {
        return WriteAnswer::Done;
    }
    let body = json!({ "metadata": {
        "labels": { well_known::POD_TEMPLATE_HASH: null }, "annotations": { well_known::WARMING_UP: warmup.write() }
    } });
    patch(world, "pods", &pod.namespace, &pod.name, body)
}

fn delete_node(world: &mut World, node: &NodeRef) -> WriteAnswer {
    let options = json!({ "preconditions": { "uid": node.uid } });
    match world.store.delete_with("nodes", "", &node.name, &options) {
        Ok(_) => WriteAnswer::Done,
        Err(refusal) if refusal.code == 409 => WriteAnswer::Gone,
        Err(refusal) => refused(&refusal),
    }
}
