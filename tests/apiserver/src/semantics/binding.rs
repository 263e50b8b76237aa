//! Bindings: a pod gets its node.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::condition::{self, Condition};
use super::refusal::Refusal;

/// The pod on the node that a `Binding` names.
pub fn bind(pod: &Value, body: &Value, name: &str, now: Timestamp) -> Result<Value, Refusal> {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if text("/metadata/name") != name {
        return Err(Refusal::bad_request("name in URL does not match name in Binding object"));
    }
    let (kind, node) = (text("/target/kind"), text("/target/name"));
    if !matches!(kind, "" | "Node") {
        let message = format!("target.kind: Unsupported value: {kind:?}: supported values: \"Node\", \"<empty>\"");
        return Err(Refusal::new(500, "", message));
    }
    if node.is_empty() {
        return Err(Refusal::new(500, "", "target.name: Required value"));
    }
    for (field, called) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let demanded = body["metadata"][field].as_str().unwrap_or_default();
        let actual = pod["metadata"][field].as_str().unwrap_or_default();
        if !demanded.is_empty() && demanded != actual {
            let why =
                format!("Precondition failed: {called} in precondition: {demanded}, {called} in object meta: {actual}");
            return Err(Refusal::conflict("", "pods", name, &why));
        }
    }
    let conflict = |why: String| Err(Refusal::conflict("", "pods/binding", name, &why));
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(taken) = pod.pointer("/spec/nodeName").and_then(Value::as_str).filter(|taken| !taken.is_empty()) {
        return conflict(format!("pod {name} is already assigned to node {taken:?}"));
    }
    if pod.pointer("/spec/schedulingGates").and_then(Value::as_array).is_some_and(|gates| !gates.is_empty()) {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut pod = pod.clone();
    let Some(object) = pod.as_object_mut() else { return conflict(format!("pod {name} is no object")) };
    for part in ["metadata", "spec", "status"] {
        if !object.get(part).is_some_and(Value::is_object) {
            object.insert(part.to_owned(), json!({}));
        }
    }
    pod["spec"]["nodeName"] = node.into();
    if let Some(status) = pod["status"].as_object_mut() {
        status.remove("nominatedNodeName");
    }
    for part in ["annotations", "labels"] {
        let Some(added) = body["metadata"][part].as_object().filter(|added| !added.is_empty()) else { continue };
        if !pod["metadata"][part].is_object() {
            pod["metadata"][part] = json!({});
        }
        if let Some(own) = pod["metadata"][part].as_object_mut() {
            own.extend(added.clone());
        }
    }
    let scheduled = Condition { kind: "PodScheduled", status: true, reason: "", message: "" };
    condition::set_of_pod(&mut pod, scheduled, now);
    Ok(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_bound_once() {
        let pod = json!({ "metadata": { "name": "p", "uid": "u", "labels": { "a": "1" } }, "spec": {},
            "status": { "nominatedNodeName": "x", "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" }] } });
        let body = json!({ "metadata": { "name": "p", "uid": "u", "labels": { "zone": "z" } }, "target": { "kind": "Node", "name": "n1" } });
        let bound = bind(&pod, &body, "p", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(bound["spec"]["nodeName"], "n1");
        assert_eq!(bound["metadata"]["labels"], json!({ "a": "1", "zone": "z" }));
        assert_eq!(
            bound["status"],
            json!({ "conditions": [{ "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": "1970-01-01T00:00:00Z" }] })
        );
        let refusal = bind(&bound, &body, "p", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (409, "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = json!({ "metadata": { "name": "p" }, "target": { "name": "n1" } });
        let pod = |metadata: Value, spec: Value| json!({ "metadata": metadata, "spec": spec });
        for (pod, body, code) in [
            (pod(json!({}), json!({})), json!({ "metadata": { "name": "q" } }), 400),
            (
                pod(json!({}), json!({})),
                json!({ "metadata": { "name": "p" }, "target": { "kind": "Pod", "name": "n" } }),
                500,
            ),
            (pod(json!({}), json!({})), json!({ "metadata": { "name": "p" }, "target": { "kind": "Node" } }), 500),
            (
                pod(json!({ "uid": "a" }), json!({})),
                json!({ "metadata": { "name": "p", "uid": "b" }, "target": { "name": "n" } }),
                409,
            ),
            (pod(json!({ "deletionTimestamp": "x" }), json!({})), good.clone(), 409),
            (pod(json!({}), json!({ "schedulingGates": [{ "name": "g" }] })), good.clone(), 409),
            (json!([]), good.clone(), 409),
        ] {
            assert_eq!(bind(&pod, &body, "p", Timestamp::UNIX_EPOCH).unwrap_err().code, code, "{body}");
        }
        assert!(bind(&json!({}), &good, "p", Timestamp::UNIX_EPOCH).is_ok());
    }
}
