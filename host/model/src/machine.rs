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
    /// `InternalDNS` or `Hostname`: what the machine itself goes by.
    Dns,
    /// `ExternalDNS`: what others may call it, which says nothing about its node's name.
    ExternalDns,
}

impl AddressKind {
    /// Reads the kind's name in the API.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "InternalIP" | "ExternalIP" => Some(Self::Ip),
            "InternalDNS" | "Hostname" => Some(Self::Dns),
            "ExternalDNS" => Some(Self::ExternalDns),
            _ => None,
        }
    }
}
