//! Kinds that are added at run time: from custom resource definitions, and those of the node-group providers.

use serde_json::Value;

use super::{ResourceKind, StatusRule};
use crate::semantics::scale;

/// The kind that a custom resource definition describes; none if it does not describe one.
pub(crate) fn of_crd(definition: &Value) -> Option<ResourceKind> {
    let spec = definition.get("spec")?;
    let names = spec.get("names")?;
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let texts = |field: &str| -> Vec<String> {
        let list = names.get(field).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut served: Vec<&Value> = spec.get("versions")?.as_array()?.iter().collect();
    served.retain(|version| version.get("served").and_then(Value::as_bool) == Some(true));
    // The stored one comes first.
    served.sort_by_key(|version| version.get("storage").and_then(Value::as_bool) != Some(true));
    let first = served.first()?;
    let subresources = first.get("subresources");
    let selectable = first.get("selectableFields").and_then(Value::as_array);
    Some(ResourceKind {
        versions: served.iter().filter_map(|version| text(version, "name")).collect(),
        short_names: texts("shortNames"),
        categories: texts("categories"),
        namespaced: text(spec, "scope")? == "Namespaced",
        status: match subresources.and_then(|subresources| subresources.get("status")) {
            Some(Value::Object(_)) => StatusRule::Separate,
            _ => StatusRule::Plain,
        },
        scale: subresources.and_then(|subresources| scale::Paths::of_crd(subresources.get("scale")?)),
        selectable: selectable.into_iter().flatten().filter_map(|field| text(field, "jsonPath")).collect(),
        ..ResourceKind::custom(&text(spec, "group")?, &[], &text(names, "kind")?, &text(names, "plural")?)
    })
}

/// The kinds of Cluster API that node groups are made of.
pub(crate) fn cluster_api() -> Vec<ResourceKind> {
    let kind = |kind: &str, plural: &str, short: &str, selector: Option<&str>, scales: bool| ResourceKind {
        short_names: vec![short.to_owned()],
        categories: vec!["cluster-api".to_owned()],
        scale: scales.then(|| scale::Paths {
            spec_replicas: ".spec.replicas".to_owned(),
            status_replicas: ".status.replicas".to_owned(),
            selector: selector.map(str::to_owned),
            selector_is_object: false,
        }),
        ..ResourceKind::custom("cluster.x-k8s.io", &["v1beta2", "v1beta1"], kind, plural)
    };
    vec![
        kind("Cluster", "clusters", "cl", None, false),
        kind("MachineDeployment", "machinedeployments", "md", Some(".status.selector"), true),
        kind("MachineSet", "machinesets", "ms", Some(".status.selector"), true),
        kind("MachinePool", "machinepools", "mp", None, true),
        kind("Machine", "machines", "ma", None, false),
    ]
}

/// The kinds of Karpenter.
pub(crate) fn karpenter() -> Vec<ResourceKind> {
    let kind = |kind: &str, plural: &str| ResourceKind {
        namespaced: false,
        categories: vec!["karpenter".to_owned()],
        ..ResourceKind::custom("karpenter.sh", &["v1"], kind, plural)
    };
    vec![kind("NodeClaim", "nodeclaims"), kind("NodePool", "nodepools")]
}

/// The kinds of the metrics server. Objects are put there by the world, not by clients.
pub(crate) fn metrics() -> Vec<ResourceKind> {
    let kind = |kind: &str, plural: &str, namespaced: bool| ResourceKind {
        namespaced,
        custom: true,
        ..ResourceKind::new("metrics.k8s.io", "v1beta1", kind, plural)
    };
    vec![kind("NodeMetrics", "nodes", false), kind("PodMetrics", "pods", true)]
}
