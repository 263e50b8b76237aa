//! Objects that make pods, or make such objects.

use std::sync::Arc;

use crate::{Owner, Text, Uid};

/// A kind of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// `apps` `Deployment`, which owns ReplicaSets.
    Deployment,
    /// `apps` `ReplicaSet`.
    ReplicaSet,
    /// `ReplicationController`.
    ReplicationController,
    /// `apps` `StatefulSet`.
    StatefulSet,
    /// `batch` `Job`.
    Job,
}

/// An object that keeps up a number of pods, or owns one that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it is.
    pub kind: WorkloadKind,
    /// The namespace it lives in.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Which object of that name this is.
    pub uid: Uid,
    /// How many pods it wants at a time, if it says: `spec.replicas`, of a Job `spec.parallelism` (0 while suspended).
    pub desired: Option<u32>,
    /// How many of them are ready.
    pub ready: u32,
    /// The object that controls it.
    pub owner: Option<Arc<Owner>>,
    /// It is being deleted.
    pub deleting: bool,
}

impl WorkloadKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Deployment, Self::ReplicaSet, Self::ReplicationController, Self::StatefulSet, Self::Job];

    /// The kind that this owner says it is; `None` for any other.
    pub fn of(owner: &Owner) -> Option<Self> {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        Self::ALL.into_iter().find(|kind| owner.kind == *kind.name() && group == kind.group())
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::StatefulSet => "StatefulSet",
            Self::Job => "Job",
        }
    }

    /// Its API group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Deployment | Self::ReplicaSet | Self::StatefulSet => "apps",
            Self::ReplicationController => "",
            Self::Job => "batch",
        }
    }
}
