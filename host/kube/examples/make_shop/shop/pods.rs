//! Pods.

use serde_json::{Value, json};

use super::identity::{before, pick, suffix, uid};
use super::nodes::{self, NodePlan};

/// What a pod is made from.
#[derive(Clone)]
pub struct PodPlan {
    pub namespace: &'static str,
    /// The label `app`, and how names begin.
    pub app: &'static str,
    pub owner: Owner,
    /// Which of its owner's pods.
    pub index: usize,
    /// In thousandths.
    pub cpu: u64,
    /// In MiB.
    pub memory: u64,
    pub priority: Priority,
    pub life: Life,
    /// Everything else.
    pub tweak: fn(&mut Value),
}

/// What controls a pod.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    /// A file on the node.
    Node,
    Nothing,
}

/// How much a pod matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    Node,
    Cluster,
    Business,
    Plain,
    Low,
}

/// How far a pod has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs on the node of this key.
    Runs(&'static str),
    /// It has ended well there.
    Succeeded(&'static str),
    /// It waits, as the scheduler's message says.
    Waits(&'static str),
}

impl Priority {
    fn class(self) -> Option<(&'static str, i64)> {
        match self {
            Self::Node => Some(("system-node-critical", 2_000_001_000)),
            Self::Cluster => Some(("system-cluster-critical", 2_000_000_000)),
            Self::Business => Some(("business-critical", 100_000)),
            Self::Plain => None,
            Self::Low => Some(("low", -100)),
        }
    }
}

impl PodPlan {
    fn node(&self) -> Option<&'static NodePlan> {
        match self.life {
            Life::Runs(key) | Life::Succeeded(key) => Some(nodes::find(key)),
            Life::Waits(_) => None,
        }
    }

    /// The owner's kind, version and name.
    fn controller(&self) -> Option<(&'static str, &'static str, String)> {
        let app = self.app;
        match self.owner {
            Owner::Deployment => Some(("ReplicaSet", "apps/v1", format!("{app}-{}", self.template()))),
            Owner::StatefulSet => Some(("StatefulSet", "apps/v1", app.to_owned())),
            Owner::DaemonSet => Some(("DaemonSet", "apps/v1", app.to_owned())),
            Owner::Job => Some(("Job", "batch/v1", format!("{app}-{}", 29_382_000 + self.index))),
            Owner::Node => Some(("Node", "v1", self.node()?.name())),
            Owner::Nothing => None,
        }
    }

    fn template(&self) -> String {
        suffix(&format!("{}/template", self.app), 9)
    }

    fn name(&self) -> String {
        let end = suffix(&format!("{}/{}", self.app, self.index), 5);
        match (self.owner, self.controller()) {
            (Owner::StatefulSet, _) => format!("{}-{}", self.app, self.index),
            (Owner::Node, Some((_, _, node))) => format!("{}-{node}", self.app),
            (Owner::Nothing, _) | (_, None) => self.app.to_owned(),
            (_, Some((_, _, owner))) => format!("{owner}-{end}"),
        }
    }

    /// A `Pod`.
    pub fn object(&self) -> Value {
        let (name, node) = (self.name(), self.node());
        let full_name = format!("{}/{name}", self.namespace);
        let age = match self.life {
            Life::Waits(_) => 20 + pick(&full_name, 400),
            Life::Succeeded(_) => 7_200 + pick(&full_name, 80_000),
            Life::Runs(_) => 4_000 + pick(&full_name, 900_000),
        };
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "creationTimestamp": before(age),
                "labels": {"app": self.app},
                "name": name,
                "namespace": self.namespace,
                "uid": uid(&full_name),
            },
            "spec": {
                "containers": [{
                    "image": format!("registry.shop.example/{}:2026.11.3", self.app),
                    "name": self.app,
                    "resources": {"requests": {"cpu": cpu_text(self.cpu), "memory": memory_text(self.memory)}},
                }],
                "schedulerName": "default-scheduler",
                "terminationGracePeriodSeconds": 30,
            },
            "status": self.status(&full_name, age),
        });
        if let Some((kind, version, owner)) = self.controller() {
            pod["metadata"]["ownerReferences"] = json!([{
                "apiVersion": version,
                "controller": true,
                "kind": kind,
                "name": owner,
                "uid": uid(&format!("{}/{kind}/{owner}", self.namespace)),
            }]);
        }
        if self.owner == Owner::Deployment {
            pod["metadata"]["labels"]["pod-template-hash"] = json!(self.template());
        }
        if let Some(node) = node {
            pod["spec"]["nodeName"] = json!(node.name());
        }
        if let Some((class, value)) = self.priority.class() {
            pod["spec"]["priorityClassName"] = json!(class);
            pod["spec"]["priority"] = json!(value);
        }
        (self.tweak)(&mut pod);
        pod
    }

    fn status(&self, full_name: &str, age: u64) -> Value {
        let condition = |kind: &str, status: &str, since: u64| json!({"lastTransitionTime": before(since), "status": status, "type": kind});
        let ip = |host: &str| format!("{host}.{}", 2 + pick(full_name, 250));
        match self.life {
            Life::Waits(message) => json!({
                "conditions": [{
                    "lastTransitionTime": before(age),
                    "message": message,
                    "reason": "Unschedulable",
                    "status": "False",
                    "type": "PodScheduled",
                }],
                "phase": "Pending",
            }),
            Life::Succeeded(_) => json!({
                "conditions": [{
                    "lastTransitionTime": before(age - 600),
                    "reason": "PodCompleted",
                    "status": "False",
                    "type": "Ready",
                }],
                "phase": "Succeeded",
            }),
            Life::Runs(key) => {
                let lost = nodes::find(key).state == nodes::State::NotReady;
                json!({
                    "conditions": [
                        if lost { condition("Ready", "False", 195) } else { condition("Ready", "True", age - 12) },
                        condition("PodScheduled", "True", age),
                    ],
                    "phase": "Running",
                    "podIP": ip("10.0.128"),
                })
            }
        }
    }
}

fn cpu_text(milli: u64) -> String {
    if milli.is_multiple_of(1000) { (milli / 1000).to_string() } else { format!("{milli}m") }
}

fn memory_text(mebi: u64) -> String {
    if mebi.is_multiple_of(1024) { format!("{}Gi", mebi / 1024) } else { format!("{mebi}Mi") }
}

/// What most tweaks do.
pub mod with {
    use serde_json::{Value, json};

    /// A label.
    pub fn label(pod: &mut Value, key: &str, value: &str) {
        pod["metadata"]["labels"][key] = json!(value);
    }

    /// An annotation.
    pub fn annotation(pod: &mut Value, key: &str, value: &str) {
        pod["metadata"]["annotations"][key] = json!(value);
    }

    /// A toleration of the taint `workload=VALUE`.
    pub fn workload(pod: &mut Value, value: &str) {
        let toleration = json!({"effect": "NoSchedule", "key": "workload", "operator": "Equal", "value": value});
        pod["spec"]["tolerations"] = json!([toleration]);
        pod["spec"]["nodeSelector"]["plimsoll.dev/node-group"] = json!(value);
    }

    /// Nodes of this lifecycle only.
    pub fn lifecycle(pod: &mut Value, value: &str) {
        require(pod, json!({"key": "spotinst.io/node-lifecycle", "operator": "In", "values": [value]}));
    }

    /// A required node affinity.
    pub fn require(pod: &mut Value, expression: Value) {
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({"nodeSelectorTerms": [{"matchExpressions": [expression]}]});
    }

    /// A claim of the pod's own, as a StatefulSet makes it.
    pub fn claim(pod: &mut Value) {
        let name = format!("data-{}", pod["metadata"]["name"].as_str().unwrap_or_default());
        pod["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": name}}]);
    }

    /// Never two of an app on one node.
    pub fn apart(pod: &mut Value) {
        let app = pod["metadata"]["labels"]["app"].clone();
        pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!([{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}]);
    }

    /// A directory on the node.
    pub fn scratch(pod: &mut Value) {
        pod["spec"]["volumes"] = json!([{"emptyDir": {}, "name": "scratch"}]);
    }
}
