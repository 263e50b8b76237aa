//! What a pod needs, of pods and of the templates they are made from.

use std::sync::Arc;

use plimsoll_model::{
    HostPort, InterPodRules, LabelSet, Os, PodShape, Pools, Preferences, Resources, Text, Volumes, effective_requests,
    well_known,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::affinity::Affinity;
use super::container::{Container, ContainerResources};
use super::field::{Pairs, Str, nullable};
use super::pod_volume::PodVolume;
use super::quantities::Quantities;
use super::spread::{self, Spread};
use super::taint::TolerationObject;

/// `spec` of a pod or of a pod template.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec<'a> {
    #[serde(borrow)]
    containers: Vec<Container<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    init_containers: Vec<Container<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    overhead: Quantities<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    resources: ContainerResources<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub node_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_selector: Pairs<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    affinity: Affinity<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    topology_spread_constraints: Vec<Spread<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    tolerations: Vec<TolerationObject<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    pub host_network: bool,
    #[serde(default, deserialize_with = "nullable")]
    priority: i32,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub priority_class_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    scheduler_name: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    pub scheduling_gates: Vec<IgnoredAny>,
    #[serde(default)]
    pub termination_grace_period_seconds: Option<i64>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    volumes: Vec<PodVolume<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    os: PodOs<'a>,
    #[serde(default, deserialize_with = "nullable")]
    resource_claims: Vec<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
struct PodOs<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    name: Str<'a>,
}

impl PodSpec<'_> {
    /// The shape of a pod with these labels.
    pub(super) fn shape(&self, labels: &LabelSet, pools: &mut Pools) -> PodShape {
        let scheduler = (*self.scheduler_name != *well_known::DEFAULT_SCHEDULER).then_some(&self.scheduler_name);
        let (must_spread, may_spread) = spread::constraints(&self.topology_spread_constraints, labels, pools);
        PodShape {
            requests: self.requests(pools),
            node_selector: self.node_selector.to_set(pools),
            node_affinity: self.affinity.node.required(pools),
            tolerations: self.tolerations.iter().map(|toleration| toleration.to_toleration(pools)).collect(),
            host_ports: self.host_ports(pools),
            priority: self.priority,
            scheduler: scheduler.and_then(|name| name.some(pools)),
            inter_pod: InterPodRules {
                affinity: self.affinity.pod.required(labels, pools),
                anti_affinity: self.affinity.pod_anti.required(labels, pools),
                spread: must_spread,
            },
            preferences: Preferences {
                node_affinity: self.affinity.node.preferred(pools),
                affinity: self.affinity.pod.preferred(labels, pools),
                anti_affinity: self.affinity.pod_anti.preferred(labels, pools),
                spread: may_spread,
            },
            os: Os::parse(&self.os.name),
            resource_claims: !self.resource_claims.is_empty(),
        }
    }

    fn requests(&self, pools: &mut Pools) -> Resources {
        let containers: Vec<_> = self.containers.iter().map(|container| container.requests(pools)).collect();
        let init: Vec<_> = self.init_containers.iter().map(|container| container.requests(pools)).collect();
        let mut requests = effective_requests(&containers, &init, &Resources::default());
        let all = || self.containers.iter().chain(&self.init_containers);
        self.resources.write_pod_level(&mut requests, |name| all().any(|container| container.names(name)), pools);
        requests.add(&self.overhead.to_resources(pools), 1);
        requests.pods = 1;
        requests
    }

    /// Of init containers only sidecars are there while the pod runs.
    fn host_ports(&self, pools: &mut Pools) -> Vec<HostPort> {
        let running = self.containers.iter().chain(self.init_containers.iter().filter(|container| container.sidecar()));
        let mut ports: Vec<_> = running.flat_map(|container| container.host_ports(self.host_network, pools)).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// What the pod keeps on the node. `safe` are names of volumes that it can lose, as its annotation lists them: with
    /// nothing but commas between them (cluster-autoscaler, `utils/drain`).
    pub(super) fn volumes(&self, safe: &str) -> Volumes {
        let mut local = self.volumes.iter().filter(|volume| volume.local()).peekable();
        Volumes {
            local: local.peek().is_some(),
            unlisted: local.any(|volume| !safe.split(',').any(|name| !name.is_empty() && *volume.name == *name)),
            claims: self.volumes.iter().any(PodVolume::claims),
        }
    }

    /// Names of the claims that a pod of this name mounts, sorted.
    pub(super) fn claims(&self, pod: &str, pools: &mut Pools) -> Arc<[Text]> {
        let mut names: Vec<_> = self.volumes.iter().filter_map(|volume| volume.claim(pod, pools)).collect();
        if names.is_empty() {
            // Unlike an empty list from elsewhere, this one takes no memory.
            return Arc::default();
        }
        names.sort_unstable();
        names.dedup();
        names.into()
    }
}
