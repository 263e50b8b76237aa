//! Pods that the scheduler cannot tell apart.

use std::sync::Arc;

use plimsoll_model::{LabelSet, PodShape, Text};

use crate::volumes::VolumeNeeds;

/// A class of pods within one [`crate::Simulation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(pub(crate) u32);

/// Everything about a pod that decides where it may run, and where it lets others run.
#[derive(Clone, Debug)]
pub struct PodClass {
    /// The namespace it lives in.
    pub namespace: Text,
    /// Its labels, by which rules of other pods select it.
    pub labels: Arc<LabelSet>,
    /// What it needs.
    pub shape: Arc<PodShape>,
    /// It is being deleted: topology spread does not count it, everything else does.
    pub terminating: bool,
    /// What its volumes need; `None` if it has no claims.
    pub volumes: Option<Arc<VolumeNeeds>>,
}

/// Classes are looked up by identity: equal labels and shapes of one cluster are one allocation each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClassKey {
    namespace: Text,
    labels: usize,
    shape: usize,
    terminating: bool,
    volumes: Option<Arc<VolumeNeeds>>,
}

// === impl PodClass ===

impl PodClass {
    pub(crate) fn key(&self) -> ClassKey {
        ClassKey {
            namespace: self.namespace.clone(),
            labels: Arc::as_ptr(&self.labels).addr(),
            shape: Arc::as_ptr(&self.shape).addr(),
            terminating: self.terminating,
            volumes: self.volumes.clone(),
        }
    }
}
