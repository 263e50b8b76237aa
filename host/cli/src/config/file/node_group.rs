//! `nodeGroups`, and what they are made of.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::values::{Dollars, InstanceTypeEntry, Seconds};
use super::{BlockDevicesFile, GroupDrainFile, GroupHeadroomFile, GroupScaleDownFile};

/// A node group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeGroupFile {
    pub name: String,
    #[serde(default)]
    pub min: u32,
    pub max: u32,
    #[serde(default)]
    pub zones: Vec<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub subnets: Vec<SubnetFile>,
    #[serde(default)]
    pub lifecycle: Option<String>,
    #[serde(default)]
    pub lifecycles: Option<Vec<String>>,
    #[serde(default)]
    pub spot_price_percent: Option<u32>,
    #[serde(default)]
    pub os: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub taints: Vec<TaintFile>,
    /// Instead of those of the whole cluster.
    #[serde(default)]
    pub startup_taints: Option<Vec<TaintFile>>,
    #[serde(default)]
    pub grace_period: Option<Seconds>,
    pub instance_types: Vec<InstanceTypeEntry>,
    #[serde(default, rename = "reservedENIs")]
    pub reserved_enis: Option<u64>,
    #[serde(default)]
    pub max_pods: Option<u64>,
    #[serde(default)]
    pub block_devices: BlockDevicesFile,
    #[serde(default)]
    pub headroom: GroupHeadroomFile,
    #[serde(default)]
    pub system_reserved: Option<ReservedFile>,
    #[serde(default)]
    pub restrict_scale_down: bool,
    #[serde(default)]
    pub scale_down: GroupScaleDownFile,
    #[serde(default)]
    pub drain: GroupDrainFile,
}

/// Where nodes get their addresses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubnetFile {
    pub id: String,
    pub zone: String,
    pub free_ips: u32,
}

/// A taint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaintFile {
    pub key: String,
    #[serde(default)]
    pub value: String,
    pub effect: String,
}

/// An instance type.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceTypeFile {
    pub name: String,
    pub vcpu: u64,
    pub memory_mib: u64,
    #[serde(default)]
    pub gpus: u64,
    /// The resource that pods request for a GPU.
    #[serde(default)]
    pub gpu_resource: Option<String>,
    #[serde(default)]
    pub max_pods: Option<u64>,
    /// Network interfaces, and IPv4 addresses on each.
    #[serde(default)]
    pub enis: Option<u64>,
    #[serde(default)]
    pub ips_per_eni: Option<u64>,
    #[serde(default)]
    pub arch: Option<String>,
    #[serde(default)]
    pub price_usd_per_hour: Option<Dollars>,
    #[serde(default)]
    pub spot_price_usd_per_hour: Option<Dollars>,
}

/// `systemReserved` of a node group, as quantities.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReservedFile {
    pub cpu: Option<String>,
    pub memory: Option<String>,
    pub ephemeral_storage: Option<String>,
    pub pods: Option<u64>,
}
