//! Objects whose scale can be set.
//!
//! Annotations: cluster-autoscaler, cloudprovider/clusterapi/README.md.

use std::borrow::Cow;

use plimsoll_kube::{ObjectName, Resource};
use plimsoll_model::{LabelSet, Quantity, Resources, Taint, TaintEffect, Text};
use serde_json::Value;

use super::GROUP;
use crate::NodeTemplate;
use crate::object::{annotation, full_name, label, list, name, namespace, shown, taints, texts};

const MIN: &str = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size";
const MAX: &str = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size";
const CAPACITY: &str = "capacity.cluster-autoscaler.kubernetes.io/";
/// What a kubelet allows where nothing else is said.
const PODS: u64 = 110;

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Deployment,
    Set,
    Pool,
}

/// An object with bounds: a node group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaled {
    pub kind: Kind,
    pub object: ObjectName,
    pub min: u32,
    pub max: u32,
    /// The size that it is to have.
    pub replicas: u32,
    pub template: Option<NodeTemplate>,
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 3] = [Self::Deployment, Self::Set, Self::Pool];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "MachineDeployment",
            Self::Set => "MachineSet",
            Self::Pool => "MachinePool",
        }
    }

    /// The label of machines that names such an object.
    fn label(self) -> &'static str {
        match self {
            Self::Deployment => "cluster.x-k8s.io/deployment-name",
            Self::Set => "cluster.x-k8s.io/set-name",
            Self::Pool => "cluster.x-k8s.io/pool-name",
        }
    }

    pub fn resource(self, version: &str) -> Resource {
        let plural = match self {
            Self::Deployment => "machinedeployments",
            Self::Set => "machinesets",
            Self::Pool => "machinepools",
        };
        Resource {
            group: Cow::Borrowed(GROUP),
            version: Cow::Owned(version.to_owned()),
            plural: Cow::Borrowed(plural),
            kind: Cow::Borrowed(self.name()),
            namespaced: true,
        }
    }
}

// === impl Scaled ===

impl Scaled {
    /// `None` where the object is no node group; an error where it is meant to be one and cannot.
    pub fn read(kind: Kind, object: &Value, problems: &mut Vec<String>) -> Option<Self> {
        // The set of a deployment follows it.
        let owned = list(object, "/metadata/ownerReferences").iter().any(|owner| owner["kind"] == "MachineDeployment");
        if kind == Kind::Set && owned {
            return None;
        }
        let (min, max) = (annotation(object, MIN)?, annotation(object, MAX)?);
        let what = format!("{} {}", kind.name(), full_name(object));
        let (min, max) = match (min.trim().parse::<u32>(), max.trim().parse::<u32>()) {
            (Ok(min), Ok(max)) if min <= max => (min, max),
            _ => {
                let bounds = format!("\"{}\" and \"{}\"", shown(min), shown(max));
                problems.push(format!("{what} is no node group: its annotations for the sizes are {bounds}"));
                return None;
            }
        };
        let template = template(object).unwrap_or_else(|problem| {
            problems.push(format!("the template of {what}: {problem}"));
            None
        });
        let replicas = object["spec"]["replicas"].as_u64();
        Some(Self {
            kind,
            object: ObjectName::in_namespace(namespace(object), name(object)),
            min,
            max,
            // Where none are set one is made (Cluster API, MachineDeployment).
            replicas: replicas.map_or(1, |replicas| u32::try_from(replicas).unwrap_or(u32::MAX)),
            template,
        })
    }

    /// `Kind/namespace/name`.
    pub fn exact(&self) -> String {
        format!("{}/{}", self.kind.name(), self.object)
    }

    /// True if this machine is one of its own.
    pub fn has(&self, machine: &Value) -> bool {
        namespace(machine) == self.object.namespace && label(machine, self.kind.label()) == Some(&self.object.name)
    }
}

/// What the annotations say of the nodes, where they say enough.
fn template(object: &Value) -> Result<Option<NodeTemplate>, String> {
    let said = |key: &str| annotation(object, &format!("{CAPACITY}{key}"));
    let (Some(cpu), Some(memory)) = (said("cpu"), said("memory")) else { return Ok(None) };
    let amount = |key: &str, text: &str| {
        Quantity::parse_amount(text.trim()).map_err(|error| format!("annotation {CAPACITY}{key}: {error}"))
    };
    let mut capacity = Resources {
        cpu: amount("cpu", cpu)?.cpu(),
        memory: amount("memory", memory)?.bytes(),
        pods: said("maxPods").map_or(Ok(PODS), |pods| amount("maxPods", pods).map(Quantity::units))?,
        ..Resources::default()
    };
    if let Some(disk) = said("ephemeral-disk") {
        capacity.ephemeral_storage = amount("ephemeral-disk", disk)?.bytes();
    }
    if let (Some(kind), Some(count)) = (said("gpu-type"), said("gpu-count")) {
        capacity.set_extended(kind.into(), amount("gpu-count", count)?.units());
    }
    let mut all_taints = taints(object, "/spec/template/spec/taints");
    for text in parts(said("taints")) {
        all_taints
            .push(taint(text).ok_or_else(|| format!("annotation {CAPACITY}taints: \"{}\" is none", shown(text)))?);
    }
    // Labels of the machines that Cluster API passes on to nodes.
    let mut labels: Vec<(&str, &str)> =
        texts(object, "/spec/template/metadata/labels").filter(|(key, _)| is_passed_on(key)).collect();
    for text in parts(said("labels")) {
        let pair = text.split_once('=');
        labels.push(pair.ok_or_else(|| format!("annotation {CAPACITY}labels: \"{}\" is none", shown(text)))?);
    }
    let labels: LabelSet = labels.into_iter().collect();
    Ok(Some(NodeTemplate { labels, taints: all_taints, allocatable: capacity.clone(), capacity }))
}

fn parts(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// `key=value:Effect` or `key:Effect`.
fn taint(text: &str) -> Option<Taint> {
    let (pair, effect) = text.rsplit_once(':')?;
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let effect = TaintEffect::parse(effect)?;
    (!key.is_empty()).then(|| Taint { key: Text::from(key), value: value.into(), effect })
}

/// Cluster API, "Metadata propagation".
fn is_passed_on(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let within = |parent: &str| domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    domain == "node-role.kubernetes.io" || within("node-restriction.kubernetes.io") || within("node.cluster.x-k8s.io")
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Bytes, MilliCpu};
    use serde_json::json;

    use super::*;

    fn read(kind: Kind, more: Value) -> (Option<Scaled>, Vec<String>) {
        let mut object = json!({
            "metadata": {"name": "workers", "namespace": "clusters", "annotations": {MIN: "1", MAX: "5"}},
            "spec": {"replicas": 2, "template": {"metadata": {"labels": {
                "node.cluster.x-k8s.io/pool": "a", "x.node.cluster.x-k8s.io/b": "b", "evilnode.cluster.x-k8s.io/c": "c",
                "node-role.kubernetes.io/worker": "", "team": "x",
            }}}},
        });
        merge(&mut object, more);
        let mut problems = Vec::new();
        (Scaled::read(kind, &object, &mut problems), problems)
    }

    fn merge(into: &mut Value, more: Value) {
        match (into, more) {
            (Value::Object(into), Value::Object(more)) => {
                more.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
            }
            (into, more) => *into = more,
        }
    }

    fn annotated(pairs: &[(&str, &str)]) -> Value {
        let all: serde_json::Map<String, Value> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        json!({"metadata": {"annotations": all}})
    }

    #[test]
    fn bounds_make_a_node_group() {
        let (group, problems) = read(Kind::Deployment, json!({}));
        let group = group.expect("a group");
        assert_eq!((group.min, group.max, group.replicas, group.template), (1, 5, 2, None));
        assert!(problems.is_empty());
        for more in [annotated(&[(MIN, "six")]), annotated(&[(MIN, "6")]), annotated(&[(MAX, "-1")])] {
            let (group, problems) = read(Kind::Deployment, more);
            assert!(group.is_none() && problems.len() == 1, "{problems:?}");
        }
        let (group, problems) = read(Kind::Deployment, json!({"metadata": {"annotations": {MAX: null}}}));
        assert!(group.is_none() && problems.is_empty());
        let of_deployment = json!({"metadata": {"ownerReferences": [{"kind": "MachineDeployment", "name": "d"}]}});
        assert!(read(Kind::Set, of_deployment).0.is_none());
        let of_cluster = json!({"metadata": {"ownerReferences": [{"kind": "Cluster", "name": "c"}]}});
        assert!(read(Kind::Set, of_cluster).0.is_some());
        assert_eq!(read(Kind::Deployment, json!({"spec": {"replicas": null}})).0.expect("a group").replicas, 1);
    }

    #[test]
    fn capacity_annotations_make_a_template() {
        let key = |key: &str| format!("{CAPACITY}{key}");
        let with = |pairs: &[(&str, &str)]| {
            let base = [("cpu", "4"), ("memory", "16Gi")];
            let all: Vec<(String, &str)> = base.iter().chain(pairs).map(|(name, value)| (key(name), *value)).collect();
            let all: Vec<(&str, &str)> = all.iter().map(|(key, value)| (key.as_str(), *value)).collect();
            let (group, problems) = read(Kind::Deployment, annotated(&all));
            (group.expect("a group").template, problems)
        };
        let template = with(&[
            ("ephemeral-disk", "100Gi"),
            ("maxPods", "58"),
            ("gpu-type", "nvidia.com/gpu"),
            ("gpu-count", "2"),
            ("labels", "kubernetes.io/arch=arm64, team=shop"),
            ("taints", "team=shop:NoSchedule,spot:NoExecute"),
        ]);
        assert_eq!(template.1, [""; 0]);
        let template = template.0.expect("a template");
        assert_eq!((template.capacity.cpu, template.capacity.memory), (MilliCpu(4000), Bytes(16 << 30)));
        assert_eq!((template.capacity.pods, template.capacity.gpus()), (58, 2));
        assert_eq!(template.allocatable, template.capacity);
        let labels: Vec<String> = template.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            labels,
            [
                "kubernetes.io/arch=arm64",
                "node-role.kubernetes.io/worker=",
                "node.cluster.x-k8s.io/pool=a",
                "team=shop",
                "x.node.cluster.x-k8s.io/b=b",
            ]
        );
        let taints: Vec<String> = template.taints.iter().map(ToString::to_string).collect();
        assert_eq!(taints, ["team=shop:NoSchedule", "spot:NoExecute"]);
        assert_eq!(with(&[]).0.expect("a template").capacity.pods, PODS);
        for (key, value) in
            [("cpu", "four"), ("maxPods", "-1"), ("labels", "team"), ("taints", "team=x"), ("taints", ":NoExecute")]
        {
            let (template, problems) = with(&[(key, value)]);
            assert!(template.is_none() && problems[0].contains(key), "{key}={value}: {problems:?}");
        }
    }
}
