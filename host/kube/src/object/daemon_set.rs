//! DaemonSets.

use plimsoll_model::{DaemonSet, Pools, TaintEffect, Toleration};
use serde::Deserialize;

use super::field::{Pairs, nullable};
use super::metadata::Metadata;
use super::pod_spec::PodSpec;
use super::{Object, Row, WholeProblem};

/// Taints that every pod of a DaemonSet tolerates, as its controller writes it
/// (kubernetes, `pkg/controller/daemon/util/daemonset_util.go`).
const TOLERATED: [(&str, TaintEffect); 6] = [
    ("node.kubernetes.io/not-ready", TaintEffect::NoExecute),
    ("node.kubernetes.io/unreachable", TaintEffect::NoExecute),
    ("node.kubernetes.io/disk-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/memory-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/pid-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule),
];
/// What those on the node's own network tolerate beside.
const TOLERATED_ON_HOST_NETWORK: (&str, TaintEffect) =
    ("node.kubernetes.io/network-unavailable", TaintEffect::NoSchedule);

/// A `DaemonSet`.
#[derive(Debug, Deserialize)]
pub(crate) struct DaemonSetObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    /// Left out where only the metadata was written: then its pods ask for nothing that is known.
    #[serde(borrow, default)]
    spec: Option<Spec<'a>>,
}

#[derive(Debug, Deserialize)]
struct Spec<'a> {
    #[serde(borrow)]
    template: Template<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Template<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    metadata: TemplateMetadata<'a>,
    #[serde(borrow)]
    spec: PodSpec<'a>,
}

/// `metadata` of a template, which has no name.
#[derive(Debug, Default, Deserialize)]
struct TemplateMetadata<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    labels: Pairs<'a>,
}

impl<'a> Row<'a> for DaemonSetObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let Self { metadata, spec } = self;
        if metadata.deletion().is_some() {
            // Its controller makes no more pods.
            let (namespace, name) = (metadata.namespace(pools), pools.text(&metadata.name.0));
            return Ok(Object::NoDaemonSet { namespace, name });
        }
        let template = spec.map(|spec| spec.template).unwrap_or_default();
        let labels = template.metadata.labels.to_set(pools);
        let mut shape = template.spec.shape(&labels, pools);
        for (key, effect) in
            TOLERATED.into_iter().chain(template.spec.host_network.then_some(TOLERATED_ON_HOST_NETWORK))
        {
            let toleration = Toleration { key: Some(pools.text(key)), value: None, effect: Some(effect) };
            if !shape.tolerations.contains(&toleration) {
                shape.tolerations.push(toleration);
            }
        }
        let daemon_set = DaemonSet {
            namespace: metadata.namespace(pools),
            name: pools.text(&metadata.name.0),
            uid: metadata.uid(),
            labels: pools.labels(labels),
            shape: pools.shape(shape),
            priority_class: template.spec.priority_class_name.some(pools),
        };
        Ok(Object::DaemonSet(daemon_set))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}
