//! The client of the external gRPC interface against the simulated cloud.

mod certificates;
mod launching;
mod reading;
mod removing;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use plimsoll_model::{Bytes, MilliCpu, Resources};
use plimsoll_providers::external_grpc::simulation::{Serving, SimulatedCloud, SimulatedGroup};
use plimsoll_providers::{ExternalGrpc, ExternalGrpcSettings, NodeTemplate};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn template() -> NodeTemplate {
    let capacity = Resources { cpu: MilliCpu(4000), memory: Bytes(16 << 30), pods: 58, ..Resources::default() };
    NodeTemplate {
        labels: [("team", "shop")].into_iter().collect(),
        taints: Vec::new(),
        allocatable: capacity.clone(),
        capacity,
    }
}

fn group(id: &str, max: i32) -> SimulatedGroup {
    SimulatedGroup { id: id.to_owned(), min: 0, max, template: template(), envelope: false }
}

/// A cloud with groups `a` and `b` on a port.
fn cloud() -> (SimulatedCloud, Serving) {
    let cloud = SimulatedCloud::new(vec![group("a", 10), group("b", 3)], None);
    let serving = cloud.serve(ANY_PORT, None).expect("a port");
    (cloud, serving)
}

fn settings(serving: &Serving) -> ExternalGrpcSettings {
    ExternalGrpcSettings {
        timeout: Duration::from_millis(400),
        settle: Duration::ZERO,
        ..ExternalGrpcSettings::at(serving.address().to_string())
    }
}

/// A client as a process has it that just started.
fn client(serving: &Serving) -> ExternalGrpc {
    ExternalGrpc::new(settings(serving)).expect("settings")
}
