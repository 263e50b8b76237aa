//! Sections about what is launched, for the whole cluster and for one group.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `network`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkFile {
    #[serde(rename = "reservedENIs")]
    pub reserved_enis: Option<u64>,
    pub max_pods: Option<u64>,
    pub pods_use_subnet_ips: bool,
    pub min_free_ips: u32,
}

/// One of `extendedResources`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtendedResourceFile {
    pub name: String,
    /// Quantities by instance type; `*` for all others.
    pub mapping: BTreeMap<String, String>,
}

/// `blockDevices`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BlockDevicesFile {
    pub dynamic_iops: Option<DynamicFile>,
    pub dynamic_volume_size: Option<DynamicFile>,
}

/// An amount that grows with the instance type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DynamicFile {
    pub base_size: u64,
    pub resource: String,
    pub size_per_resource_unit: u64,
}

/// `headroom`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeadroomFile {
    pub manual: Vec<ManualFile>,
    pub automatic: AutomaticFile,
    pub combine: bool,
}

/// `headroom` of a node group.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupHeadroomFile {
    pub manual: Vec<ManualFile>,
}

/// `headroom.automatic`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AutomaticFile {
    pub percent: u32,
}

/// One of `headroom.manual`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManualFile {
    #[serde(alias = "numOfUnits")]
    pub count: u32,
    #[serde(default)]
    pub cpu: Option<String>,
    #[serde(default)]
    pub memory: Option<String>,
    #[serde(default)]
    pub gpus: u64,
    #[serde(default)]
    pub group: Option<String>,
}
