//! Objects that own pods, or own such objects.

use plimsoll_model::{Pools, Workload, WorkloadKind};
use serde::Deserialize;

use super::field::nullable;
use super::metadata::Metadata;
use super::{Object, Row, WholeProblem};

/// A `Deployment`, `ReplicaSet`, `ReplicationController`, `StatefulSet` or `Job`.
#[derive(Debug, Deserialize)]
pub(super) struct WorkloadObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(default, deserialize_with = "nullable")]
    spec: Spec,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

/// Jobs have the last two, the others the first.
#[derive(Debug, Default, Deserialize)]
struct Spec {
    #[serde(default)]
    replicas: Option<u32>,
    #[serde(default)]
    parallelism: Option<u32>,
    #[serde(default, deserialize_with = "nullable")]
    suspend: bool,
}

/// Jobs have the last one, the others the first.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default, deserialize_with = "nullable")]
    ready_replicas: u32,
    #[serde(default, deserialize_with = "nullable")]
    ready: u32,
}

impl<'a> Row<'a> for (WorkloadKind, WorkloadObject<'a>) {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let (kind, WorkloadObject { metadata, spec, status }) = self;
        let (desired, ready) = match kind {
            WorkloadKind::Job if spec.suspend => (Some(0), status.ready),
            WorkloadKind::Job => (spec.parallelism, status.ready),
            _ => (spec.replicas, status.ready_replicas),
        };
        Ok(Object::Workload(Workload {
            kind,
            namespace: metadata.namespace(pools),
            name: pools.text(&metadata.name.0),
            uid: metadata.uid(),
            desired,
            ready,
            owner: metadata.owner(pools),
            deleting: metadata.deletion().is_some(),
        }))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.1.metadata
    }
}
