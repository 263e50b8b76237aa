//! Nodes.

use plimsoll_model::{Address, AddressKind, Node, Pools, Timestamp};
use serde::Deserialize;

use super::condition::{self, Condition};
use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::quantities::Quantities;
use super::taint::TaintObject;
use super::{Object, Row, WholeProblem};

/// A `Node`.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    spec: Spec<'a>,
    #[serde(borrow)]
    status: Status<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Spec<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    taints: Vec<TaintObject<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    unschedulable: bool,
    #[serde(borrow, default, deserialize_with = "nullable", rename = "providerID")]
    provider_id: Str<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    allocatable: Quantities<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    capacity: Quantities<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    conditions: Vec<Condition<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    addresses: Vec<AddressObject<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    volumes_attached: Vec<serde::de::IgnoredAny>,
}

/// One entry of `status.addresses`, of nodes and of machines.
#[derive(Debug, Deserialize)]
pub(super) struct AddressObject<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow)]
    address: Str<'a>,
}

/// The addresses of known types.
pub(super) fn addresses(objects: &[AddressObject<'_>], pools: &mut Pools) -> Vec<Address> {
    objects
        .iter()
        .filter_map(|object| {
            let kind = AddressKind::parse(&object.kind)?;
            Some(Address { kind, value: object.address.some(pools)? })
        })
        .collect()
}

impl<'a> Row<'a> for NodeObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let Self { metadata, spec, status } = self;
        let offered = if status.allocatable.is_empty() { &status.capacity } else { &status.allocatable };
        if offered.is_empty() {
            let problem = "neither allocatable nor capacity is given, so nothing is known of its size; write the dump \
                           with its status"
                .to_owned();
            return Err(WholeProblem { field: "status", problem });
        }
        let node = Node {
            name: pools.text(&metadata.name.0),
            uid: metadata.uid(),
            labels: metadata.labels(pools),
            annotations: metadata.annotations(pools),
            taints: spec.taints.iter().map(|taint| taint.to_taint(pools)).collect(),
            allocatable: offered.to_resources(pools),
            unschedulable: spec.unschedulable,
            // kube-scheduler goes by taints alone: a node that says nothing of itself is one to use.
            ready: status.conditions.iter().all(|condition| *condition.kind != *"Ready" || condition.holds()),
            created: metadata.created(),
            deleting: metadata.deletion().is_some(),
            launching: false,
            addresses: addresses(&status.addresses, pools),
            provider_id: spec.provider_id.some(pools),
            ready_changed: status.conditions.iter().find(|is| *is.kind == *"Ready").and_then(Condition::changed),
            conditions: condition::others_that_hold(&status.conditions, pools),
            attached_volumes: u32::try_from(status.volumes_attached.len()).unwrap_or(u32::MAX),
        };
        Ok(Object::Node(node))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }

    fn newest(&self) -> Option<Timestamp> {
        self.metadata.created().max(condition::newest(&self.status.conditions))
    }
}
