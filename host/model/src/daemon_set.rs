//! DaemonSets: what every new node will run.

use std::sync::Arc;

use crate::{LabelSet, PodShape, Text, Uid};

/// A `DaemonSet` with the shape of its pods, free of the affinity that ties a pod to its present node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSet {
    /// The namespace it lives in.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Which object of that name this is.
    pub uid: Uid,
    /// Labels of its pods.
    pub labels: Arc<LabelSet>,
    /// What its pods need. Their priority is that of `priority_class`.
    pub shape: Arc<PodShape>,
    /// `spec.priorityClassName` of its pods; without one they are of the default class.
    pub priority_class: Option<Text>,
}
