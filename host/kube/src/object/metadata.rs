//! What every object says of itself.

use std::sync::Arc;

use plimsoll_model::{ClusterBuilder, LabelSet, Owner, Text, Timestamp, Uid};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::field::{Annotations, Moment, Name, Pairs, Str, nullable};

/// The annotation that named the storage class before there was a field.
const STORAGE_CLASS_BETA: &str = "volume.beta.kubernetes.io/storage-class";

/// `metadata`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub name: Name<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub namespace: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub uid: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub labels: Pairs<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub annotations: Annotations<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub owner_references: Vec<OwnerReference<'a>>,
    #[serde(default)]
    pub creation_timestamp: Option<Moment>,
    #[serde(default)]
    pub deletion_timestamp: Option<Moment>,
}

/// One entry of `ownerReferences`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnerReference<'a> {
    #[serde(borrow)]
    api_version: Str<'a>,
    #[serde(borrow)]
    kind: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    uid: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    controller: bool,
}

/// The name of an object that may be wrong in any other way, to name it in an error.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Names<'a> {
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawNames<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
}

// === impl Metadata ===

impl Metadata<'_> {
    /// The namespace; objects written by hand may leave it out.
    pub(super) fn namespace(&self, cluster: &mut ClusterBuilder) -> Text {
        cluster.text(if self.namespace.is_empty() { "default" } else { &self.namespace })
    }

    pub(super) fn labels(&self, cluster: &mut ClusterBuilder) -> Arc<LabelSet> {
        let labels = self.labels.to_set(cluster);
        cluster.labels(labels)
    }

    pub(super) fn annotations(&self, cluster: &mut ClusterBuilder) -> Arc<LabelSet> {
        let annotations = self.annotations.to_set(cluster);
        cluster.labels(annotations)
    }

    pub(super) fn uid(&self) -> Uid {
        Uid::parse(&self.uid)
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        self.creation_timestamp.map(|moment| moment.0)
    }

    pub(super) fn deletion(&self) -> Option<Timestamp> {
        self.deletion_timestamp.map(|moment| moment.0)
    }

    /// The storage class of a claim or volume in the form before Kubernetes 1.6, which counts before the field
    /// (kubernetes, `component-helpers/storage/volume`).
    pub(super) fn storage_class(&self) -> Option<&Str<'_>> {
        self.annotations.get(STORAGE_CLASS_BETA)
    }

    /// The owner that controls the object.
    pub(super) fn owner(&self, cluster: &mut ClusterBuilder) -> Option<Arc<Owner>> {
        let reference = self.owner_references.iter().find(|reference| reference.controller)?;
        let owner = Owner {
            kind: cluster.text(&reference.kind),
            api_version: cluster.text(&reference.api_version),
            namespace: self.namespace(cluster),
            name: cluster.text(&reference.name),
            uid: Uid::parse(&reference.uid),
        };
        Some(cluster.owner(owner))
    }
}

// === impl Names ===

impl Names<'_> {
    /// The name in the text of an object, with its namespace where it has one.
    pub(crate) fn find(object: &[u8]) -> Option<String> {
        let names: Names<'_> = serde_json::from_slice(object).ok()?;
        let names: RawNames<'_> = serde_json::from_str(names.metadata?.get()).ok()?;
        let text = |raw: Option<&RawValue>| serde_json::from_str::<String>(raw?.get()).ok();
        let name = text(names.name)?;
        Some(match text(names.namespace) {
            Some(namespace) if !namespace.is_empty() => format!("{namespace}/{name}"),
            _ => name,
        })
    }
}
