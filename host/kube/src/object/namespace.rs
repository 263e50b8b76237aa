//! Namespaces.

use plimsoll_model::{ClusterBuilder, Timestamp};
use serde::Deserialize;

use super::metadata::Metadata;
use super::{Row, WholeProblem};

/// A `Namespace`.
#[derive(Debug, Deserialize)]
pub(crate) struct NamespaceObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

impl Row for NamespaceObject<'_> {
    fn add_to(self, cluster: &mut ClusterBuilder) -> Result<(), WholeProblem> {
        let labels = self.metadata.labels(cluster);
        let name = cluster.text(&self.metadata.name.0);
        cluster.add_namespace(name, labels);
        Ok(())
    }

    fn newest(&self) -> Option<Timestamp> {
        self.metadata.created()
    }
}
