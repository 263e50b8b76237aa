//! What every object says of itself.

use std::sync::Arc;

use plimsoll_model::{LabelSet, Owner, Pools, Text, Timestamp, Uid};
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
    pub resource_version: Str<'a>,
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

/// What an object is called that may be wrong in any other way, to name it in an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Empty where it has none.
    pub namespace: String,
    pub name: String,
    /// `metadata.resourceVersion`, as far as it can be read.
    pub version: String,
}

#[derive(Deserialize)]
struct RawObject<'a> {
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resource_version: Option<&'a RawValue>,
}

// === impl Metadata ===

impl Metadata<'_> {
    /// The namespace; objects written by hand may leave it out.
    pub(super) fn namespace(&self, pools: &mut Pools) -> Text {
        pools.text(if self.namespace.is_empty() { "default" } else { &self.namespace })
    }

    pub(super) fn labels(&self, pools: &mut Pools) -> Arc<LabelSet> {
        let labels = self.labels.to_set(pools);
        pools.labels(labels)
    }

    pub(super) fn annotations(&self, pools: &mut Pools) -> Arc<LabelSet> {
        let annotations = self.annotations.to_set(pools);
        pools.labels(annotations)
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
    pub(super) fn owner(&self, pools: &mut Pools) -> Option<Arc<Owner>> {
        let reference = self.owner_references.iter().find(|reference| reference.controller)?;
        let owner = Owner {
            kind: pools.text(&reference.kind),
            api_version: pools.text(&reference.api_version),
            namespace: self.namespace(pools),
            name: pools.text(&reference.name),
            uid: Uid::parse(&reference.uid),
        };
        Some(pools.owner(owner))
    }
}

// === impl Names ===

impl Names {
    /// What an object with this text is called; `None` if it does not say.
    pub(crate) fn find(object: &[u8]) -> Option<Self> {
        let object: RawObject<'_> = serde_json::from_slice(object).ok()?;
        let metadata: RawMetadata<'_> = serde_json::from_str(object.metadata?.get()).ok()?;
        let text = |raw: Option<&RawValue>| serde_json::from_str::<String>(raw?.get()).ok();
        Some(Self {
            name: text(metadata.name)?,
            namespace: text(metadata.namespace).unwrap_or_default(),
            version: text(metadata.resource_version).unwrap_or_default(),
        })
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}
