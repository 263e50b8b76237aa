//! The marks of a drain on its node: cordoned, tainted, and the drain itself as an annotation.

use plimsoll_model::well_known;
use plimsoll_planner::drain::{DrainId, NodeRef, WriteAnswer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::of_write;
use super::change::{change, entry, text};
use crate::api::{Api, ApiError, ObjectName, Permit, Precondition, Resource};

/// What tells one drain from another. The rest of the annotation is the planner's.
#[derive(Deserialize)]
struct Head {
    id: String,
    cluster: String,
}

/// What a node says about its drain.
enum Written {
    Nothing,
    Drain(Head),
    Unreadable(String),
}

/// Cordons a node, taints it, and writes a drain on it: `annotation`, which holds at least the drain's `id` and
/// `cluster`. One write, also for a change of the drain that is there already; any other drain that is there stands.
/// Remembers whether somebody else had cordoned the node before.
pub async fn mark_node(api: &Api, permit: &Permit, node: &NodeRef, cluster: &str, annotation: &str) -> WriteAnswer {
    let drain = match Written::read(Some(annotation)) {
        Written::Drain(drain) if drain.cluster == cluster => drain,
        Written::Drain(drain) => {
            return WriteAnswer::Otherwise(format!("the drain {} is of cluster {}", drain.id, drain.cluster));
        }
        Written::Nothing => return WriteAnswer::Otherwise("there is no drain to be written".to_owned()),
        Written::Unreadable(problem) => {
            return WriteAnswer::Otherwise(format!("the drain that is to be written is none: {problem}"));
        }
    };
    let name = ObjectName::of_cluster(&node.name);
    change(api, permit, &Resource::NODES, &name, &node.uid, |object| mark(object, &drain, annotation)).await
}

/// Takes taint and drain off a node and uncordons it, unless it was cordoned before. With an identity only if that
/// drain is written there, or none; without one only if none is written there that could be read.
pub async fn release_node(api: &Api, permit: &Permit, node: &NodeRef, drain: Option<&DrainId>) -> WriteAnswer {
    let name = ObjectName::of_cluster(&node.name);
    change(api, permit, &Resource::NODES, &name, &node.uid, |object| release(object, drain.map(|id| &*id.0))).await
}

/// Deletes a Node object. Where others still have to do with it (finalizers), it goes when they are done.
pub async fn delete_node(api: &Api, permit: &Permit, node: &NodeRef) -> WriteAnswer {
    let name = ObjectName::of_cluster(&node.name);
    let this_one = Precondition { uid: Some(node.uid.clone()), resource_version: None };
    let conflict = match api.delete(permit, &Resource::NODES, &name, &this_one).await {
        Ok(_) => return WriteAnswer::Done,
        Err(error @ ApiError::Conflict(_)) => error,
        Err(error) => return of_write(error),
    };
    match api.get(&Resource::NODES, &name).await {
        Ok(object) if text(&object, "/metadata/uid") != node.uid => WriteAnswer::Gone,
        Err(ApiError::NotFound(_)) => WriteAnswer::Gone,
        _ => of_write(conflict),
    }
}

/// The patch that marks a node, or why there is nothing to write.
fn mark(node: &Value, drain: &Head, annotation: &str) -> Result<Value, WriteAnswer> {
    let there = Written::of(node);
    match &there {
        Written::Nothing => {}
        Written::Drain(other) if other.cluster != drain.cluster => {
            return Err(WriteAnswer::Otherwise(format!(
                "the Plimsoll of cluster \"{}\" drains it ({})",
                other.cluster, other.id
            )));
        }
        Written::Drain(other) if other.id != drain.id => {
            return Err(WriteAnswer::Otherwise(format!("the drain {} is written on it already", other.id)));
        }
        Written::Drain(_) => {}
        Written::Unreadable(problem) => return Err(unreadable(problem)),
    }
    let (taints, cordoned) = (taints(node), is_cordoned(node));
    let wanted = json!({"key": well_known::DRAINING, "value": drain.id, "effect": "NoSchedule"});
    let same = |taint: &Value| taint["key"] == wanted["key"] && taint["effect"] == wanted["effect"];
    let tainted = taints.iter().filter(|taint| same(taint)).count() == 1
        && taints.iter().any(|taint| same(taint) && taint["value"] == wanted["value"]);
    if cordoned && tainted && entry(node, "annotations", well_known::DRAIN) == Some(annotation) {
        return Err(WriteAnswer::Done);
    }
    let mut annotations = json!({well_known::DRAIN: annotation});
    let ours = matches!(there, Written::Drain(_)) || taints.iter().any(same);
    if !ours {
        annotations[well_known::WAS_CORDONED] = if cordoned { "true".into() } else { Value::Null };
    }
    let mut spec = json!({"unschedulable": true});
    if !tainted {
        let mut taints: Vec<Value> = taints.iter().filter(|taint| !same(taint)).cloned().collect();
        taints.push(wanted);
        spec["taints"] = taints.into();
    }
    Ok(json!({"metadata": {"annotations": annotations}, "spec": spec}))
}

/// The patch that releases a node, or why there is nothing to write.
fn release(node: &Value, drain: Option<&str>) -> Result<Value, WriteAnswer> {
    let is_ours = |taint: &Value| taint["key"] == well_known::DRAINING;
    let taints = taints(node);
    match (Written::of(node), drain) {
        (Written::Drain(there), Some(id)) if there.id == id => {}
        (Written::Drain(there), _) => {
            return Err(WriteAnswer::Otherwise(format!(
                "the drain {} of cluster \"{}\" is written on it",
                there.id, there.cluster
            )));
        }
        (Written::Unreadable(problem), Some(_)) => return Err(unreadable(&problem)),
        (Written::Unreadable(_), None) => {}
        // Whatever else it is, cordoned for example, is not our doing.
        (Written::Nothing, _) if !taints.iter().any(is_ours) => return Err(WriteAnswer::Done),
        (Written::Nothing, _) => {}
    }
    let mut spec = json!({});
    if taints.iter().any(is_ours) {
        let rest: Vec<Value> = taints.iter().filter(|taint| !is_ours(taint)).cloned().collect();
        spec["taints"] = if rest.is_empty() { Value::Null } else { rest.into() };
    }
    if entry(node, "annotations", well_known::WAS_CORDONED).is_none() {
        spec["unschedulable"] = Value::Null;
    }
    let annotations = json!({well_known::DRAIN: null, well_known::WAS_CORDONED: null});
    Ok(json!({"metadata": {"annotations": annotations}, "spec": spec}))
}

fn unreadable(problem: &str) -> WriteAnswer {
    WriteAnswer::Otherwise(format!("its annotation {} cannot be read: {problem}", well_known::DRAIN))
}

fn taints(node: &Value) -> &[Value] {
    node.pointer("/spec/taints").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is_cordoned(node: &Value) -> bool {
    node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))
}

// === impl Written ===

impl Written {
    fn of(node: &Value) -> Self {
        Self::read(entry(node, "annotations", well_known::DRAIN))
    }

    fn read(annotation: Option<&str>) -> Self {
        match annotation.map(serde_json::from_str) {
            None => Self::Nothing,
            Some(Ok(head)) => Self::Drain(head),
            Some(Err(error)) => Self::Unreadable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r#"{"id":"d1","cluster":"shop","deadline":1}"#;

    fn drain() -> Head {
        Head { id: "d1".to_owned(), cluster: "shop".to_owned() }
    }

    fn node(annotations: Value, spec: Value) -> Value {
        json!({"metadata": {"name": "n1", "annotations": annotations}, "spec": spec})
    }

    fn taint(value: &str) -> Value {
        json!({"key": well_known::DRAINING, "value": value, "effect": "NoSchedule"})
    }

    #[test]
    fn marking_changes_what_it_must_and_nothing_else() {
        let other = json!({"key": "dedicated", "value": "x", "effect": "NoExecute"});
        let executing = json!({"key": well_known::DRAINING, "effect": "NoExecute"});
        let later = r#"{"id":"d1","cluster":"shop","deadline":2}"#;
        // Spec and annotations before; the annotation to write; taints and was-cordoned after, None where they stay.
        for (spec, annotations, text, taints, was) in [
            (json!({}), json!({}), OURS, Some(json!([taint("d1")])), Some(json!(null))),
            (
                json!({"taints": null, "unschedulable": false}),
                json!(null),
                OURS,
                Some(json!([taint("d1")])),
                Some(json!(null)),
            ),
            (
                json!({"taints": [other], "unschedulable": true}),
                json!({}),
                OURS,
                Some(json!([other, taint("d1")])),
                Some(json!("true")),
            ),
            (
                json!({"taints": [taint("d0"), executing, taint("d1")], "unschedulable": true}),
                json!({}),
                OURS,
                Some(json!([executing, taint("d1")])),
                None,
            ),
            (
                json!({"taints": [taint("d1")], "unschedulable": true}),
                json!({well_known::DRAIN: OURS}),
                later,
                None,
                None,
            ),
            (json!({"taints": [taint("d1")]}), json!({well_known::DRAIN: OURS}), OURS, None, None),
        ] {
            let before = node(annotations, spec);
            let patch = mark(&before, &drain(), text).expect("to be written");
            assert_eq!(patch["spec"]["unschedulable"], true);
            assert_eq!(patch["metadata"]["annotations"][well_known::DRAIN], text);
            assert_eq!(patch["spec"].get("taints"), taints.as_ref(), "{before}");
            assert_eq!(patch["metadata"]["annotations"].get(well_known::WAS_CORDONED), was.as_ref(), "{before}");
        }
        let spec = json!({"taints": [taint("d1")], "unschedulable": true});
        assert_eq!(mark(&node(json!({well_known::DRAIN: OURS}), spec), &drain(), OURS), Err(WriteAnswer::Done));
    }

    #[test]
    fn any_other_drain_that_is_written_there_stands() {
        for (there, said) in [
            (r#"{"id":"d1","cluster":"bank"}"#, "bank"),
            (r#"{"id":"d0","cluster":"shop"}"#, "d0"),
            ("{", "cannot be read"),
            (r#"{"id":7,"cluster":"shop"}"#, "cannot be read"),
            ("null", "cannot be read"),
            ("", "cannot be read"),
        ] {
            let node = node(json!({well_known::DRAIN: there}), json!({"taints": [taint("d0")]}));
            let Err(WriteAnswer::Otherwise(sentence)) = mark(&node, &drain(), OURS) else { panic!("marked: {there}") };
            assert!(sentence.contains(said), "{sentence}");
            let released = release(&node, Some("d1"));
            match there.contains("d1") {
                // An identity is one drain, whoever looks.
                true => assert!(released.is_ok()),
                false => assert!(matches!(released, Err(WriteAnswer::Otherwise(_))), "{there}"),
            }
            let unread = release(&node, None);
            assert_eq!(unread.is_ok(), said == "cannot be read", "{there}: {unread:?}");
        }
    }

    #[test]
    fn releasing_undoes_what_marking_did() {
        let other = json!({"key": "dedicated", "effect": "NoExecute"});
        let ours = json!({well_known::DRAIN: OURS});
        let before = json!({well_known::DRAIN: OURS, well_known::WAS_CORDONED: "true"});
        let cordoned = |taints: &[Value]| json!({"taints": taints, "unschedulable": true});
        for (annotations, spec, expected) in [
            (ours.clone(), cordoned(&[other.clone(), taint("d1")]), json!({"taints": [other], "unschedulable": null})),
            (ours.clone(), cordoned(&[taint("d1")]), json!({"taints": null, "unschedulable": null})),
            (before, cordoned(&[taint("d1")]), json!({"taints": null})),
            (ours, cordoned(&[other]), json!({"unschedulable": null})),
            (json!({}), cordoned(&[taint("d1")]), json!({"taints": null, "unschedulable": null})),
        ] {
            let node = node(annotations, spec);
            let patch = release(&node, Some("d1")).expect("to be written");
            assert_eq!(patch["spec"], expected, "{node}");
            let annotations = json!({well_known::DRAIN: null, well_known::WAS_CORDONED: null});
            assert_eq!(patch["metadata"]["annotations"], annotations);
        }
        for drain in [None, Some("d1")] {
            let cordoned_by_a_person = node(json!({}), json!({"unschedulable": true}));
            assert_eq!(release(&cordoned_by_a_person, drain), Err(WriteAnswer::Done));
            for garbage in [json!(null), json!([]), json!({"spec": {"taints": 7}, "metadata": {"annotations": []}})] {
                assert_eq!(release(&garbage, drain), Err(WriteAnswer::Done));
                assert!(mark(&garbage, &super::tests::drain(), OURS).is_ok());
            }
        }
    }
}
