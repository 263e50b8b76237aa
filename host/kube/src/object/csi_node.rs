//! What the CSI drivers say of nodes.

use plimsoll_model::{CsiNode, Pools};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::{Object, Row, WholeProblem};

/// A `CSINode`, which bears the name of its node.
#[derive(Debug, Deserialize)]
pub(crate) struct CsiNodeObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Debug, Deserialize)]
struct Spec<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    drivers: Vec<Driver<'a>>,
}

/// One entry of `drivers`.
#[derive(Debug, Deserialize)]
struct Driver<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    allocatable: Allocatable,
}

#[derive(Debug, Default, Deserialize)]
struct Allocatable {
    #[serde(default)]
    count: Option<u32>,
}

impl<'a> Row<'a> for CsiNodeObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let drivers = self.spec.drivers.iter().map(|driver| (pools.text(&driver.name), driver.allocatable.count));
        let drivers = drivers.collect();
        let node = pools.text(&self.metadata.name.0);
        Ok(Object::CsiNode(CsiNode { node, drivers }))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}
