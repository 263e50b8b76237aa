//! Drains the nodes that save most and disturb least.
//!
//! Nodes that must go come first: the cloud takes them back, they are unhealthy, somebody asked. Then empty
//! ones, then underutilized ones by the money that they save for a point of disruption. On a node, workloads
//! go before DaemonSets and those before critical pods; among equals low priority and a long warm-up go early.

pub mod nodes;
pub mod pods;
pub mod settings;

use plimsoll_sdk::Drain;
use plimsoll_sdk::drain::{NodesRequest, NodesVerdict, PodsRequest, PodsVerdict};

use settings::Settings;

/// The policy.
#[derive(Debug)]
pub struct LeastDisruption;

plimsoll_sdk::export_drain!(LeastDisruption);

impl Drain for LeastDisruption {
    type Settings = Settings;

    fn order_nodes(settings: &Settings, request: &NodesRequest) -> NodesVerdict {
        NodesVerdict::Order(nodes::order(settings, &request.candidates))
    }

    fn order_pods(_: &Settings, request: &PodsRequest) -> PodsVerdict {
        PodsVerdict::Order(pods::order(&request.pods))
    }
}
