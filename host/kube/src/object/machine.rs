//! Machines: what an inventory launched.

use plimsoll_model::{Address, Machine, Pools, Text, well_known};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::node::{AddressObject, addresses};
use super::{Object, Row, WholeProblem};

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

impl<'a> Row<'a> for MachineObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let node = self.status.node_ref.name.some(pools);
        let addresses = addresses(&self.status.addresses, pools);
        Ok(Object::Machine(machine(&self.metadata, node, addresses, pools)))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}

impl<'a> Row<'a> for NodeClaimObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let node = self.status.node_name.some(pools);
        Ok(Object::Machine(machine(&self.metadata, node, Vec::new(), pools)))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}

fn machine(metadata: &Metadata<'_>, node: Option<Text>, addresses: Vec<Address>, pools: &mut Pools) -> Machine {
    let group = well_known::NODE_GROUP.iter().chain(&MACHINE_GROUP).find_map(|key| metadata.labels.get(key));
    Machine {
        name: pools.text(&metadata.name.0),
        node,
        group: group.and_then(|name| name.some(pools)),
        addresses,
        created: metadata.created(),
        deleting: metadata.deletion().is_some(),
    }
}
