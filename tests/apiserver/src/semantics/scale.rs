//! The scale subresource: replicas of any scalable object, seen as one kind.

use serde_json::{Map, Value, json};

use super::refusal::{Cause, Refusal, Target};
use crate::selector::LabelSelector;

/// Where replicas and selector stand in an object, as JSON paths with a leading dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Wanted replicas.
    pub spec_replicas: String,
    /// Counted replicas.
    pub status_replicas: String,
    /// The selector as a text; `None` for an object that has none.
    pub selector: Option<String>,
    /// Whether the selector is that of `spec.selector`, which is an object.
    pub selector_is_object: bool,
}

// === impl Paths ===

impl Paths {
    /// The paths of a kind of Kubernetes itself.
    pub fn builtin(group: &str, resource: &str) -> Option<Self> {
        let scalable = matches!((group, resource), ("apps", "deployments" | "replicasets" | "statefulsets"));
        (scalable || (group, resource) == ("", "replicationcontrollers")).then(|| Self {
            spec_replicas: ".spec.replicas".to_owned(),
            status_replicas: ".status.replicas".to_owned(),
            selector: Some(".spec.selector".to_owned()),
            selector_is_object: true,
        })
    }

    /// The paths that `subresources.scale` of a CustomResourceDefinition names.
    pub fn of_crd(scale: &Value) -> Option<Self> {
        let text = |field: &str| scale.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            spec_replicas: text("specReplicasPath")?,
            status_replicas: text("statusReplicasPath")?,
            selector: text("labelSelectorPath").filter(|path| !path.is_empty()),
            selector_is_object: false,
        })
    }
}

/// The `autoscaling/v1` Scale of an object.
pub fn read(target: &Target<'_>, paths: &Paths, parent: &Value) -> Result<Value, Refusal> {
    let metadata: Map<String, Value> = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"]
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), parent.get("metadata")?.get(field)?.clone())))
        .collect();
    let wanted = match at(parent, &paths.spec_replicas).and_then(Value::as_i64) {
        Some(replicas) => replicas,
        None if target.custom => {
            let why = format!("the spec replicas field {:?} does not exist", paths.spec_replicas);
            return Err(Refusal::internal(&why));
        }
        None => 1,
    };
    let counted = at(parent, &paths.status_replicas).and_then(Value::as_i64).unwrap_or_default();
    let selector = paths.selector.as_deref().and_then(|path| at(parent, path));
    let selector = match selector {
        Some(selector) if paths.selector_is_object => LabelSelector::from_json(selector)?.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {}, "status": { "replicas": counted }
    });
    // Zero is left out, as by a real server.
    if wanted != 0 {
        scale["spec"]["replicas"] = wanted.into();
    }
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    Ok(scale)
}

/// The object with the replicas of this Scale, under the resourceVersion that the Scale names, if it names one.
pub fn write(target: &Target<'_>, paths: &Paths, parent: &Value, scale: &Value) -> Result<Value, Refusal> {
    for (field, expected) in [("kind", "Scale"), ("apiVersion", "autoscaling/v1")] {
        if scale.get(field).and_then(Value::as_str).is_some_and(|found| found != expected) {
            let message = format!("the {field} of the scale must be {expected}, not {}", scale[field]);
            return Err(Refusal::bad_request(message));
        }
    }
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        value => value.as_i64().filter(|replicas| i32::try_from(*replicas).is_ok()).ok_or_else(|| {
            Refusal::bad_request("Scale in version \"v1\" cannot be handled as a Scale: spec.replicas must be an int32")
        })?,
    };
    if replicas < 0 {
        let cause = Cause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
        return Err(Refusal::invalid("Scale", "autoscaling", target.name, &[cause]));
    }
    let uid = scale.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let actual = parent.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    if !uid.is_empty() && uid != actual {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}");
        return Err(Refusal::conflict(target.group, target.resource, target.name, &why));
    }
    let mut parent = parent.clone();
    put(&mut parent, &paths.spec_replicas, replicas.into())?;
    let version = scale.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    if let Some(metadata) = parent.get_mut("metadata").and_then(Value::as_object_mut) {
        match version {
            "" => metadata.remove("resourceVersion"),
            version => metadata.insert("resourceVersion".to_owned(), version.into()),
        };
    }
    Ok(parent)
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(object, |value, part| value.get(part))
}

fn put(object: &mut Value, path: &str, value: Value) -> Result<(), Refusal> {
    let mut place = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let wrong = || Refusal::internal(&format!("{path} leads through what is no object"));
        if place.is_null() {
            *place = json!({});
        }
        place = place.as_object_mut().ok_or_else(wrong)?.entry(part).or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(custom: bool) -> Target<'static> {
        Target { group: "apps", version: "v1", kind: "Deployment", resource: "deployments", name: "d", custom }
    }

    fn deployment() -> Value {
        json!({
            "metadata": { "name": "d", "namespace": "n", "uid": "u", "resourceVersion": "5", "labels": { "x": "y" } },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "a": "b" }, "matchExpressions": [
                { "key": "z", "operator": "In", "values": ["2", "1"] }] } },
            "status": { "replicas": 1 }
        })
    }

    #[test]
    fn a_deployment_has_a_scale() {
        let paths = Paths::builtin("apps", "deployments").unwrap();
        let scale = read(&target(false), &paths, &deployment()).unwrap();
        assert_eq!(
            scale,
            json!({ "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": { "name": "d", "namespace": "n", "uid": "u", "resourceVersion": "5" },
                "spec": { "replicas": 2 }, "status": { "replicas": 1, "selector": "a=b,z in (1,2)" } })
        );
        let mut none = deployment();
        none["spec"]["replicas"] = 0.into();
        assert_eq!(read(&target(false), &paths, &none).unwrap()["spec"], json!({}));
        assert_eq!(Paths::builtin("apps", "daemonsets"), None);
    }

    #[test]
    fn writing_changes_replicas_under_the_version_of_the_scale() {
        let paths = Paths::builtin("apps", "deployments").unwrap();
        let scale = json!({ "metadata": { "resourceVersion": "4" }, "spec": { "replicas": 9 } });
        let written = write(&target(false), &paths, &deployment(), &scale).unwrap();
        assert_eq!((&written["spec"]["replicas"], &written["metadata"]["resourceVersion"]), (&json!(9), &json!("4")));
        let written = write(&target(false), &paths, &deployment(), &json!({})).unwrap();
        assert_eq!(written["spec"]["replicas"], 0);
        assert_eq!(written["metadata"].get("resourceVersion"), None);
        for (scale, code) in [
            (json!({ "spec": { "replicas": -3 } }), 422),
            (json!({ "metadata": { "uid": "x" } }), 409),
            (json!({ "kind": "Deployment" }), 400),
            (json!({ "spec": { "replicas": "3" } }), 400),
            (json!({ "spec": { "replicas": 99999999999i64 } }), 400),
        ] {
            assert_eq!(write(&target(false), &paths, &deployment(), &scale).unwrap_err().code, code, "{scale}");
        }
    }

    #[test]
    fn custom_resources_name_their_paths() {
        let paths = Paths::of_crd(&json!({ "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
            "labelSelectorPath": ".status.selector" }))
        .unwrap();
        let pool = json!({ "metadata": { "name": "p" }, "spec": { "size": 3 }, "status": { "selector": "pool=p" } });
        let scale = read(&target(true), &paths, &pool).unwrap();
        assert_eq!(scale["spec"]["replicas"], 3);
        assert_eq!(scale["status"], json!({ "replicas": 0, "selector": "pool=p" }));
        let written = write(&target(true), &paths, &pool, &json!({ "spec": { "replicas": 4 } })).unwrap();
        assert_eq!(written["spec"]["size"], 4);
        assert_eq!(read(&target(true), &paths, &json!({})).unwrap_err().code, 500);
        assert_eq!(write(&target(true), &paths, &json!({ "spec": 5 }), &scale).unwrap_err().code, 500);
        assert_eq!(Paths::of_crd(&json!({ "specReplicasPath": ".spec.size" })), None);
    }
}
