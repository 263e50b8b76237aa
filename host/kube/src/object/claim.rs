//! Persistent volume claims.

use plimsoll_model::{Pools, VolumeClaim};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::quantities::Quantities;
use super::{Object, Row, WholeProblem};

/// A `PersistentVolumeClaim`.
#[derive(Debug, Deserialize)]
pub(crate) struct ClaimObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow, default)]
    storage_class_name: Option<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    volume_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    access_modes: Vec<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    resources: Size<'a>,
}

/// `resources` of a claim; limits were never enforced.
#[derive(Debug, Default, Deserialize)]
struct Size<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    requests: Quantities<'a>,
}

impl<'a> Row<'a> for ClaimObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let Self { metadata, spec } = self;
        let class = metadata.storage_class().or(spec.storage_class_name.as_ref());
        let claim = VolumeClaim {
            namespace: metadata.namespace(pools),
            name: pools.text(&metadata.name.0),
            class: class.map(|name| pools.text(name)),
            volume: spec.volume_name.some(pools),
            request: spec.resources.requests.storage(),
            one_pod: spec.access_modes.iter().any(|mode| **mode == *"ReadWriteOncePod"),
            deleting: metadata.deletion().is_some(),
        };
        Ok(Object::Claim(claim))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}
