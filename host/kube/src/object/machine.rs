//! Machines: what an inventory launched.

use plimsoll_model::{Address, ClusterBuilder, Machine, Text, Timestamp, well_known};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::node::{AddressObject, addresses};
use super::{Row, WholeProblem};

/// Labels of machines that name their group, beside those of nodes.
const MACHINE_GROUP: [&str; 3] =
    ["cluster.x-k8s.io/pool-name", "machine.openshift.io/cluster-api-machineset", "cluster.x-k8s.io/set-name"];

/// A `Machine` of Cluster API or OpenShift.
#[derive(Debug, Deserialize)]
pub(crate) struct MachineObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: MachineStatus<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MachineStatus<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_ref: NodeRef<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    addresses: Vec<AddressObject<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct NodeRef<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    name: Str<'a>,
}

/// A `NodeClaim` of Karpenter.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeClaimObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: NodeClaimStatus<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeClaimStatus<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_name: Str<'a>,
}

impl Row for MachineObject<'_> {
    fn add_to(self, cluster: &mut ClusterBuilder) -> Result<(), WholeProblem> {
        let node = self.status.node_ref.name.some(cluster);
        let addresses = addresses(&self.status.addresses, cluster);
        let machine = machine(&self.metadata, node, addresses, cluster);
        cluster.add_machine(machine);
        Ok(())
    }

    fn newest(&self) -> Option<Timestamp> {
        self.metadata.created()
    }
}

impl Row for NodeClaimObject<'_> {
    fn add_to(self, cluster: &mut ClusterBuilder) -> Result<(), WholeProblem> {
        let node = self.status.node_name.some(cluster);
        let machine = machine(&self.metadata, node, Vec::new(), cluster);
        cluster.add_machine(machine);
        Ok(())
    }

    fn newest(&self) -> Option<Timestamp> {
        self.metadata.created()
    }
}

fn machine(
    metadata: &Metadata<'_>,
    node: Option<Text>,
    addresses: Vec<Address>,
    cluster: &mut ClusterBuilder,
) -> Machine {
    let group = well_known::NODE_GROUP.iter().chain(&MACHINE_GROUP).find_map(|key| metadata.labels.get(key));
    Machine {
        name: cluster.text(&metadata.name.0),
        node,
        group: group.and_then(|name| name.some(cluster)),
        addresses,
        created: metadata.created(),
        deleting: metadata.deletion().is_some(),
    }
}
