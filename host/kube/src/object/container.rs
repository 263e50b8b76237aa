//! Containers: what they request and which ports they take.

use plimsoll_model::{ClusterBuilder, ContainerRequests, HostPort, Protocol, Resources};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::named::MaybeNamed;
use super::quantities::Quantities;

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

    pub(super) fn requests(&self, cluster: &mut ClusterBuilder) -> ContainerRequests {
        let mut requests = Resources::default();
        self.resources.write_to(&mut requests, cluster);
        ContainerRequests { requests, sidecar: self.sidecar() }
    }

    /// Ports on the node. On the node's network every port is one, as the API server sets it.
    pub(super) fn host_ports(&self, host_network: bool, cluster: &mut ClusterBuilder) -> Vec<HostPort> {
        self.ports
            .iter()
            .filter_map(|port| {
                let number = if port.host_port == 0 && host_network { port.container_port } else { port.host_port };
                let ip = match &*port.host_ip {
                    "" | "0.0.0.0" | "::" => None,
                    address => Some(cluster.text(address)),
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
    pub(super) fn write_to(&self, requests: &mut Resources, cluster: &mut ClusterBuilder) {
        self.limits.write_to(requests, cluster);
        self.requests.write_to(requests, cluster);
    }
}
