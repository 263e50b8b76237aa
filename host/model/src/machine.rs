//! Machines that were launched, as an inventory knows them.

use crate::{Text, Timestamp};

/// A launched machine: a `Machine` of Cluster API or OpenShift, or a `NodeClaim` of Karpenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name in the inventory.
    pub name: Text,
    /// The node it became or will become: `status.nodeRef.name` or `status.nodeName`.
    pub node: Option<Text>,
    /// Its node group, as its labels state it.
    pub group: Option<Text>,
    /// Names and addresses that the cloud gave it.
    pub addresses: Vec<Address>,
    /// When it was launched.
    pub created: Option<Timestamp>,
    /// It is being deleted.
    pub deleting: bool,
}

/// A name or address of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// What it is.
    pub kind: AddressKind,
    /// The name or address.
    pub value: Text,
}

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// `InternalIP` or `ExternalIP`.
    Ip,
    /// `InternalDNS`, `ExternalDNS` or `Hostname`.
    Dns,
}

impl AddressKind {
    /// Reads the kind's name in the API.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "InternalIP" | "ExternalIP" => Some(Self::Ip),
            "InternalDNS" | "ExternalDNS" | "Hostname" => Some(Self::Dns),
            _ => None,
        }
    }
}
