//! Objects as their makers write them.

use plimsoll_model::{Millis, Text, well_known};
use serde_json::{Map, Value, json};

/// Annotation of a pod: how many seconds it takes from bound to ready.
pub(super) const READY_AFTER: &str = "simulator.plimsoll.dev/ready-after";
/// Annotation of a pod: how many seconds it takes to stop.
pub(super) const STOPS_AFTER: &str = "simulator.plimsoll.dev/stops-after";
/// Annotation of a pod: how many seconds its finalizers take.
pub(super) const FINALIZED_AFTER: &str = "simulator.plimsoll.dev/finalized-after";

/// What a pod is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodSpec {
    /// CPU in thousandths of a core.
    pub cpu: u64,
    /// Memory in MiB.
    pub memory: u64,
    /// GPUs.
    pub gpus: u64,
    /// Labels beside `app`.
    pub labels: Vec<(String, String)>,
    /// Annotations.
    pub annotations: Vec<(String, String)>,
    /// Priority.
    pub priority: i32,
    /// Time to stop that it may take.
    pub grace: u64,
    /// At most so many more in one zone than in another.
    pub zone_skew: Option<u32>,
    /// No two of the same `app` on one node.
    pub apart: bool,
    /// Seconds from bound to ready; what the cluster takes if none is given.
    pub ready_after: Option<u64>,
    /// Seconds to stop.
    pub stops_after: u64,
    /// Seconds until its finalizer is through; it has none for `None`.
    pub finalized_after: Option<u64>,
    /// Which template this is: a rollout changes it.
    pub revision: u64,
}

// === impl PodSpec ===

impl PodSpec {
    /// Keeps its node from being removed to save money.
    pub fn restricting(mut self) -> Self {
        self.labels.push((well_known::RESTRICT_SCALE_DOWN.to_owned(), "true".to_owned()));
        self
    }

    /// Wants its replacement started first.
    pub fn warming_up(mut self, span: Millis) -> Self {
        self.labels.push((well_known::PRE_EVICTION_WARMUP.to_owned(), format!("{}s", span.0 / 1000)));
        self
    }

    /// The template of its pods, for this `app`.
    pub fn template(&self, app: &str, hash: Option<&str>) -> Value {
        let pairs = |pairs: &[(String, String)]| -> Map<String, Value> {
            pairs.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect()
        };
        let mut labels = pairs(&self.labels);
        labels.insert("app".to_owned(), app.into());
        if let Some(hash) = hash {
            labels.insert(well_known::POD_TEMPLATE_HASH.to_owned(), hash.into());
        }
        let mut annotations = pairs(&self.annotations);
        annotations.insert(STOPS_AFTER.to_owned(), self.stops_after.to_string().into());
        if let Some(seconds) = self.ready_after {
            annotations.insert(READY_AFTER.to_owned(), seconds.to_string().into());
        }
        let mut requests = json!({ "cpu": format!("{}m", self.cpu), "memory": format!("{}Mi", self.memory) });
        if self.gpus > 0 {
            requests["nvidia.com/gpu"] = self.gpus.to_string().into();
        }
        let mut spec = json!({
            "containers": [{ "name": "main", "image": format!("{app}:{}", self.revision), "resources": { "requests": requests } }],
            "terminationGracePeriodSeconds": self.grace, "priority": self.priority,
            "restartPolicy": "Always", "schedulerName": well_known::DEFAULT_SCHEDULER
        });
        let same = json!({ "matchLabels": { "app": app } });
        if let Some(skew) = self.zone_skew {
            spec["topologySpreadConstraints"] = json!([{
                "maxSkew": skew, "topologyKey": well_known::ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": same
            }]);
        }
        if self.apart {
            spec["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
                { "topologyKey": well_known::HOSTNAME, "labelSelector": same }
            ] } });
        }
        let mut metadata = json!({ "labels": labels, "annotations": annotations });
        if let Some(seconds) = self.finalized_after {
            metadata["finalizers"] = json!(["simulator.plimsoll.dev/hold"]);
            metadata["annotations"][FINALIZED_AFTER] = seconds.to_string().into();
        }
        json!({ "metadata": metadata, "spec": spec })
    }
}

/// A reference by which an object is controlled.
pub fn owner_of(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!([{
        "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true
    }])
}

/// A pod of a template.
pub(super) fn pod_of(template: &Value, namespace: &str, name: &str, owner: Option<Value>) -> Value {
    let mut metadata = template["metadata"].clone();
    metadata["namespace"] = namespace.into();
    metadata["name"] = name.into();
    if let Some(owner) = owner {
        metadata["ownerReferences"] = owner;
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"], "status": { "phase": "Pending" } })
}

/// Writes a condition of a status: the old one of its type goes.
pub(super) fn set_condition(object: &mut Value, kind: &str, status: bool, reason: &str, now: &str) {
    let status = if status { "True" } else { "False" };
    if !object["status"].is_object() {
        object["status"] = json!({});
    }
    let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != kind);
    let mut condition = json!({ "type": kind, "status": status, "lastTransitionTime": now });
    if !reason.is_empty() {
        condition["reason"] = reason.into();
    }
    conditions.push(condition);
    object["status"]["conditions"] = conditions.into();
}

/// A number of seconds in an annotation.
pub(super) fn seconds(annotations: &plimsoll_model::LabelSet, key: &str) -> Option<Millis> {
    annotations.get(key).map(Text::as_str).and_then(|text| text.parse().ok()).map(Millis::from_secs)
}
