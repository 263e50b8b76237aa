//! Pods.

use plimsoll_model::{
    ClusterBuilder, HostPort, Millis, Phase, Pod, PodShape, Resources, Scheduling, Timestamp, Volumes,
    effective_requests, well_known,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::affinity::{Affinity, Spread};
use super::condition::{self, Condition};
use super::container::{Container, ContainerResources};
use super::field::{Pairs, Str, nullable};
use super::metadata::Metadata;
use super::quantities::Quantities;
use super::taint::TolerationObject;
use super::{Row, WholeProblem};

/// What a pod gets to stop if it does not say, in seconds.
const DEFAULT_GRACE: u64 = 30;

/// A `Pod`.
#[derive(Debug, Deserialize)]
pub(crate) struct PodObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Spec<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: Status<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    containers: Vec<Container<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    init_containers: Vec<Container<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    overhead: Quantities<'a>,
    /// Requests of the pod as a whole, which stand above those of its containers.
    #[serde(borrow, default, deserialize_with = "nullable")]
    resources: ContainerResources<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_selector: Pairs<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    affinity: Affinity<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    topology_spread_constraints: Vec<Spread<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    tolerations: Vec<TolerationObject<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    host_network: bool,
    #[serde(default, deserialize_with = "nullable")]
    priority: i32,
    #[serde(borrow, default, deserialize_with = "nullable")]
    priority_class_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    scheduler_name: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    scheduling_gates: Vec<IgnoredAny>,
    #[serde(default)]
    termination_grace_period_seconds: Option<i64>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    volumes: Vec<Volume<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume<'a> {
    #[serde(default)]
    host_path: Option<IgnoredAny>,
    #[serde(borrow, default)]
    empty_dir: Option<EmptyDir<'a>>,
    #[serde(default)]
    persistent_volume_claim: Option<IgnoredAny>,
    #[serde(default)]
    ephemeral: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct EmptyDir<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    medium: Str<'a>,
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

impl Row for PodObject<'_> {
    fn add_to(self, cluster: &mut ClusterBuilder) -> Result<(), WholeProblem> {
        let Self { metadata, spec, status } = self;
        let shape = spec.shape(cluster);
        let grace =
            spec.termination_grace_period_seconds.map_or(DEFAULT_GRACE, |seconds| seconds.max(0).unsigned_abs());
        let pod = Pod {
            namespace: metadata.namespace(cluster),
            name: (*metadata.name.0).into(),
            uid: metadata.uid(),
            labels: metadata.labels(cluster),
            annotations: metadata.annotations(cluster),
            owner: metadata.owner(cluster),
            shape: cluster.shape(shape),
            node: spec.node_name.some(cluster),
            phase: Phase::parse(&status.phase),
            scheduling: status.scheduling(&spec, cluster),
            priority_class: spec.priority_class_name.some(cluster),
            ready: condition::holds(&status.conditions, "Ready"),
            created: metadata.created(),
            deletion: metadata.deletion(),
            grace: Millis::from_secs(grace),
            volumes: spec.volumes(),
            claims: [].into(),
        };
        Ok(cluster.add_pod(pod)?)
    }

    fn newest(&self) -> Option<Timestamp> {
        self.metadata.created().max(condition::newest(&self.status.conditions))
    }
}

// === impl Spec ===

impl Spec<'_> {
    fn shape(&self, cluster: &mut ClusterBuilder) -> PodShape {
        let scheduler = (*self.scheduler_name != *well_known::DEFAULT_SCHEDULER).then_some(&self.scheduler_name);
        PodShape {
            requests: self.requests(cluster),
            node_selector: self.node_selector.to_set(cluster),
            node_affinity: self.affinity.node_selector(cluster),
            tolerations: self.tolerations.iter().map(|toleration| toleration.to_toleration(cluster)).collect(),
            host_ports: self.host_ports(cluster),
            priority: self.priority,
            scheduler: scheduler.and_then(|name| name.some(cluster)),
            inter_pod: self.affinity.inter_pod(&self.topology_spread_constraints, cluster),
            preferences: plimsoll_model::Preferences::default(),
            os: None,
            resource_claims: false,
        }
    }

    fn requests(&self, cluster: &mut ClusterBuilder) -> Resources {
        let containers: Vec<_> = self.containers.iter().map(|container| container.requests(cluster)).collect();
        let init: Vec<_> = self.init_containers.iter().map(|container| container.requests(cluster)).collect();
        let mut requests = effective_requests(&containers, &init, &Resources::default());
        self.resources.write_to(&mut requests, cluster);
        requests.add(&self.overhead.to_resources(cluster), 1);
        requests.pods = 1;
        requests
    }

    /// Of init containers only sidecars are there while the pod runs.
    fn host_ports(&self, cluster: &mut ClusterBuilder) -> Vec<HostPort> {
        let running = self.containers.iter().chain(self.init_containers.iter().filter(|container| container.sidecar()));
        let mut ports: Vec<_> =
            running.flat_map(|container| container.host_ports(self.host_network, cluster)).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn volumes(&self) -> Volumes {
        Volumes {
            local: self.volumes.iter().any(Volume::local),
            claims: self
                .volumes
                .iter()
                .any(|volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some()),
        }
    }
}

impl Volume<'_> {
    fn local(&self) -> bool {
        self.host_path.is_some() || self.empty_dir.as_ref().is_some_and(|dir| *dir.medium != *"Memory")
    }
}

// === impl Status ===

impl Status<'_> {
    fn scheduling(&self, spec: &Spec<'_>, cluster: &mut ClusterBuilder) -> Scheduling {
        let scheduled = self.conditions.iter().find(|condition| *condition.kind == *"PodScheduled");
        let held_by = scheduled.filter(|condition| condition.fails()).map_or("", |condition| &condition.reason);
        if !spec.node_name.is_empty() {
            Scheduling::Quiet
        } else if !spec.scheduling_gates.is_empty() || held_by == "SchedulingGated" {
            Scheduling::Gated
        } else if let Some(node) = self.nominated_node_name.some(cluster) {
            // Such a pod still has the condition Unschedulable, but room is being made for it.
            Scheduling::Nominated(node)
        } else if held_by == "Unschedulable" {
            Scheduling::Unschedulable
        } else {
            Scheduling::Quiet
        }
    }
}
