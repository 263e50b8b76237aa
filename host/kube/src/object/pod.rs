//! Pods.

use plimsoll_model::{Millis, Phase, Pod, Pools, Scheduling, Timestamp, well_known};
use serde::Deserialize;

use super::condition::{self, Condition};
use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::pod_spec::PodSpec;
use super::{Object, Row, WholeProblem};

/// What a pod gets to stop if it does not say, in seconds.
const DEFAULT_GRACE: u64 = 30;

/// A `Pod`.
#[derive(Debug, Deserialize)]
pub(crate) struct PodObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: PodSpec<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: Status<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    phase: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    conditions: Vec<Condition<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    nominated_node_name: Str<'a>,
}

// === impl PodObject ===

impl<'a> Row<'a> for PodObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let Self { metadata, spec, status } = self;
        let labels = metadata.labels(pools);
        let shape = spec.shape(&labels, pools);
        let grace =
            spec.termination_grace_period_seconds.map_or(DEFAULT_GRACE, |seconds| seconds.max(0).unsigned_abs());
        let safe = metadata.annotations.get(well_known::SAFE_LOCAL_VOLUMES).map_or("", |names| names);
        let pod = Pod {
            namespace: metadata.namespace(pools),
            name: (*metadata.name.0).into(),
            uid: metadata.uid(),
            labels,
            annotations: metadata.annotations(pools),
            owner: metadata.owner(pools),
            shape: pools.shape(shape),
            node: spec.node_name.some(pools),
            phase: Phase::parse(&status.phase),
            scheduling: status.scheduling(&spec, pools),
            priority_class: spec.priority_class_name.some(pools),
            ready: condition::holds(&status.conditions, "Ready"),
            created: metadata.created(),
            deletion: metadata.deletion(),
            grace: Millis::from_secs(grace),
            volumes: spec.volumes(safe),
            claims: spec.claims(&metadata.name.0, pools),
        };
        Ok(Object::Pod(pod))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }

    fn newest(&self) -> Option<Timestamp> {
        self.metadata.created().max(condition::newest(&self.status.conditions))
    }
}

// === impl Status ===

impl Status<'_> {
    fn scheduling(&self, spec: &PodSpec<'_>, pools: &mut Pools) -> Scheduling {
        let scheduled = self.conditions.iter().find(|condition| *condition.kind == *"PodScheduled");
        let held_by = scheduled.filter(|condition| condition.fails()).map_or("", |condition| &condition.reason);
        if !spec.node_name.is_empty() {
            Scheduling::Quiet
        } else if !spec.scheduling_gates.is_empty() || held_by == "SchedulingGated" {
            Scheduling::Gated
        } else if let Some(node) = self.nominated_node_name.some(pools) {
            // Such a pod still has the condition Unschedulable, but room is being made for it.
            Scheduling::Nominated(node)
        } else if held_by == "Unschedulable" {
            Scheduling::Unschedulable
        } else {
            Scheduling::Quiet
        }
    }
}
