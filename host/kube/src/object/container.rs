//! Containers: what they request and which ports they take.

use plimsoll_model::{ContainerRequests, HostPort, Pools, Protocol, Resources};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::named::MaybeNamed;
use super::quantities::Quantities;

/// Resources of this prefix cannot be overcommitted.
const HUGE_PAGES: &str = "hugepages-";

/// One entry of `containers` or `initContainers`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    resources: ContainerResources<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    ports: Vec<ContainerPort<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    restart_policy: Str<'a>,
}

/// `resources` of a container or of a pod.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ContainerResources<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    requests: Quantities<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    limits: Quantities<'a>,
}

/// One entry of `ports`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPort<'a> {
    #[serde(default, deserialize_with = "nullable")]
    container_port: u16,
    #[serde(default, deserialize_with = "nullable")]
    host_port: u16,
    #[serde(borrow, default, deserialize_with = "nullable", rename = "hostIP")]
    host_ip: Str<'a>,
    #[serde(default)]
    protocol: MaybeNamed<Protocol>,
}

// === impl Container ===

impl Container<'_> {
    /// An init container that keeps running. (The field means nothing on ordinary containers.)
    pub(super) fn sidecar(&self) -> bool {
        *self.restart_policy == *"Always"
    }

    pub(super) fn requests(&self, pools: &mut Pools) -> ContainerRequests {
        let mut requests = Resources::default();
        self.resources.write_to(&mut requests, pools);
        ContainerRequests { requests, sidecar: self.sidecar() }
    }

    /// A request or a limit is given for this resource.
    pub(super) fn names(&self, resource: &str) -> bool {
        self.resources.requests.names(resource) || self.resources.limits.names(resource)
    }

    /// Ports on the node. On the node's network every port is one, as the API server sets it.
    pub(super) fn host_ports(&self, host_network: bool, pools: &mut Pools) -> Vec<HostPort> {
        self.ports
            .iter()
            .filter_map(|port| {
                let number = if port.host_port == 0 && host_network { port.container_port } else { port.host_port };
                let ip = match &*port.host_ip {
                    "" | "0.0.0.0" | "::" => None,
                    address => Some(pools.text(address)),
                };
                let protocol = port.protocol.0.unwrap_or(Protocol::Tcp);
                (number != 0).then_some(HostPort { port: number, protocol, ip })
            })
            .collect()
    }
}

// === impl ContainerResources ===

impl ContainerResources<'_> {
    /// Sets what is requested; where only a limit is given, that is the request, as the API server sets it.
    pub(super) fn write_to(&self, requests: &mut Resources, pools: &mut Pools) {
        self.limits.write_to(requests, pools);
        self.requests.write_to(requests, pools);
    }

    /// Sets what is requested for the pod as a whole, which replaces what its containers request together.
    ///
    /// Only CPU, memory and huge pages can be given so. A limit without a request counts as one where no container
    /// `names` the resource; huge pages always have request and limit equal (kubernetes,
    /// `component-helpers/resource/helpers.go` and `defaultPodRequests` in `pkg/apis/core/v1/defaults.go`).
    pub(super) fn write_pod_level(&self, requests: &mut Resources, names: impl Fn(&str) -> bool, pools: &mut Pools) {
        let huge = |name: &str| name.starts_with(HUGE_PAGES);
        let supported = |name: &str| matches!(name, "cpu" | "memory") || huge(name);
        self.limits.write_some(requests, |name| supported(name) && (huge(name) || !names(name)), pools);
        self.requests.write_some(requests, supported, pools);
    }
}
