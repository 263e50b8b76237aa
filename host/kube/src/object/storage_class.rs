//! Storage classes.

use plimsoll_model::{NodeSelectorTerm, Operator, Pools, Requirement, StorageClass};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::{Object, Row, WholeProblem};

/// Annotations of the default class: the present one, and that of Kubernetes before 1.6.
const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// A `StorageClass`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StorageClassObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    provisioner: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    volume_binding_mode: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    allowed_topologies: Vec<TopologyTerm<'a>>,
}

/// One entry of `allowedTopologies`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopologyTerm<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    match_label_expressions: Vec<TopologyRequirement<'a>>,
}

#[derive(Debug, Deserialize)]
struct TopologyRequirement<'a> {
    #[serde(borrow)]
    key: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    values: Vec<Str<'a>>,
}

impl<'a> Row<'a> for StorageClassObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let Self { metadata, provisioner, volume_binding_mode, allowed_topologies } = self;
        let marked = |key: &&str| metadata.annotations.get(key).is_some_and(|value| **value == *"true");
        let class = StorageClass {
            name: pools.text(&metadata.name.0),
            provisioner: pools.text(&provisioner),
            waits_for_consumer: *volume_binding_mode == *"WaitForFirstConsumer",
            allowed_topologies: allowed_topologies.iter().map(|term| term.to_term(pools)).collect(),
            default: DEFAULT_CLASS.iter().any(marked),
        };
        Ok(Object::StorageClass(class))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}

impl TopologyTerm<'_> {
    fn to_term(&self, pools: &mut Pools) -> NodeSelectorTerm {
        let requirements = self.match_label_expressions.iter().map(|requirement| Requirement {
            key: pools.text(&requirement.key),
            operator: Operator::In,
            values: requirement.values.iter().map(|value| pools.text(value)).collect(),
        });
        NodeSelectorTerm { match_expressions: requirements.collect(), match_fields: Vec::new() }
    }
}
