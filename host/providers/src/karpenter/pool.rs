//! NodePools, read as node groups.

use plimsoll_kube::Resource;
use plimsoll_model::{LabelSet, Quantity, Resources, Text};
use serde_json::Value;

use super::settings::NodeClassRef;
use crate::object::{list, name, taints, text, texts};
use crate::{NodeTemplate, ProviderGroup};

/// A NodePool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pool {
    pub name: Text,
    pub class: Option<NodeClassRef>,
    /// As they are written in the NodePool.
    pub startup_taints: Value,
    min: u32,
    max: u32,
    template: NodeTemplate,
}

/// NodePools.
pub(super) fn resource() -> Resource {
    super::resource("nodepools", "NodePool")
}

/// True if a NodePool keeps a number of nodes whatever happens to them (Karpenter, "static capacity").
pub(super) fn is_static(object: &Value) -> bool {
    object.pointer("/spec/replicas").is_some_and(|replicas| !replicas.is_null())
}

impl Pool {
    pub fn read(object: &Value) -> Self {
        let class = |field: &str| text(object, &format!("/spec/template/spec/nodeClassRef/{field}")).map(str::to_owned);
        let class = match (class("group"), class("kind"), class("name")) {
            (Some(group), Some(kind), Some(name)) => Some(NodeClassRef { group, kind, name }),
            _ => None,
        };
        let replicas = object.pointer("/spec/replicas").and_then(Value::as_u64);
        let min = replicas.map_or(0, |replicas| u32::try_from(replicas).unwrap_or(u32::MAX));
        let template = NodeTemplate {
            labels: labels(object),
            taints: taints(object, "/spec/template/spec/taints"),
            capacity: Resources::default(),
            allocatable: Resources::default(),
        };
        let startup = object.pointer("/spec/template/spec/startupTaints").cloned();
        Self {
            name: name(object).into(),
            class,
            startup_taints: startup.unwrap_or_default(),
            min,
            max: most(object).max(min),
            template,
        }
    }

    /// The group without its machines.
    pub fn group(&self) -> ProviderGroup {
        ProviderGroup {
            id: self.name.clone(),
            min: self.min,
            max: self.max,
            template: Some(self.template.clone()),
            ..ProviderGroup::default()
        }
    }
}

/// The most nodes that the limits can mean: no machine has less than one CPU.
fn most(object: &Value) -> u32 {
    let limit = |resource: &str| {
        let value = object.pointer("/spec/limits")?.get(resource)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(u32::try_from(Quantity::parse_amount(&text).ok()?.units()).unwrap_or(u32::MAX))
    };
    [limit("nodes"), limit("cpu")].into_iter().flatten().min().unwrap_or(u32::MAX)
}

/// Labels of the template, and what its requirements leave no choice about.
fn labels(object: &Value) -> LabelSet {
    let requirements = list(object, "/spec/template/spec/requirements");
    let only = requirements.iter().filter_map(|requirement| match list(requirement, "/values") {
        [only] if requirement["operator"] == "In" => Some((requirement["key"].as_str()?, only.as_str()?)),
        _ => None,
    });
    texts(object, "/spec/template/metadata/labels").chain(only).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_is_a_group_as_far_as_it_says() {
        let pool = |more: Value| Pool::read(&json!({"metadata": {"name": "p"}, "spec": more}));
        let whole = pool(json!({
            "limits": {"cpu": "100", "nodes": 7},
            "template": {
                "metadata": {"labels": {"team": "shop"}},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                    "taints": [{"key": "team", "effect": "NoSchedule"}, {"key": "odd", "effect": "Odd"}],
                    "startupTaints": [{"key": "net", "effect": "NoExecute"}],
                    "requirements": [
                        {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]},
                        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a", "b"]},
                        {"key": "x", "operator": "NotIn", "values": ["y"]},
                    ],
                },
            },
        }));
        let group = whole.group();
        assert_eq!((group.id.as_str(), group.min, group.max), ("p", 0, 7));
        let template = group.template.expect("a template");
        let labels: Vec<String> = template.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["kubernetes.io/arch=arm64", "team=shop"]);
        assert_eq!(template.taints.len(), 1);
        assert_eq!(whole.class.map(|class| class.name), Some("default".to_owned()));
        assert_eq!(whole.startup_taints[0]["key"], "net");
        for (limits, max) in [
            (json!({"cpu": "100"}), 100),
            (json!({"cpu": "1500m", "memory": "1Gi"}), 2),
            (json!({"cpu": "many"}), u32::MAX),
            (json!({}), u32::MAX),
            (json!(7), u32::MAX),
        ] {
            assert_eq!(pool(json!({"limits": limits})).group().max, max, "{limits}");
        }
        let fixed = pool(json!({"replicas": 3, "limits": {"nodes": "2"}})).group();
        assert_eq!((fixed.min, fixed.max), (3, 3));
        assert_eq!(pool(json!(null)).class, None);
    }
}
