//! Namespaces.

use plimsoll_model::Pools;
use serde::Deserialize;

use super::metadata::Metadata;
use super::{Object, Row, WholeProblem};

/// A `Namespace`.
#[derive(Debug, Deserialize)]
pub(crate) struct NamespaceObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

impl<'a> Row<'a> for NamespaceObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let labels = self.metadata.labels(pools);
        let name = pools.text(&self.metadata.name.0);
        Ok(Object::Namespace { name, labels })
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}
