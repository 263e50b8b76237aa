//! The shape of the file. Keys are those of `ocean-features`, camelCase; unknown ones are errors.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::values::{Dollars, InstanceTypeEntry, Later, Seconds};

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? } $(later { $($later:ident),* $(,)? })?)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct $name {
            $(pub $field: $type,)*
            $($($later: Option<Later>,)*)?
        }
        $(impl $name {
            /// Keys of a later version that are set, in snake case.
            pub fn later(&self) -> Vec<&'static str> {
                let all = [$((stringify!($later), self.$later.is_some()),)*];
                all.into_iter().filter(|(_, set)| *set).map(|(key, _)| key).collect()
            }
        })?
    )*};
}

sections! {
    /// The whole file.
    ConfigFile {
        catalog: Catalogs,
        limits: LimitsFile,
        node_groups: Vec<NodeGroupFile>,
        scale_down: ScaleDownFile,
        drain: DrainFile,
        csr: CsrFile,
        labels: LabelsFile,
        policies: PoliciesFile,
    } later {
        cluster, mode, autoscaler, leader_election, provider, suspension_hours, optimization_windows, headroom,
        network, extended_resources, block_devices, startup_taints, grace_period, log,
    }

    /// `limits`.
    LimitsFile { max_vcpu: Option<u64>, max_memory_gib: Option<u64>, max_nodes: Option<u32> }

    /// `scaleDown`.
    ScaleDownFile {
        enabled: Option<bool>,
        max_percentage: Option<u32>,
        respect_pdb: Option<bool>,
        restrict: Option<bool>,
        evict_bare_pods: Option<bool>,
    } later { interval, evaluation_periods, accelerated }

    /// `drain`.
    DrainFile { timeout: Option<Seconds>, spread: Option<Seconds>, warmup_guard: Option<Seconds> }
    later { retry_interval, force_delete_after }

    /// `csr`.
    CsrFile { enabled: bool }

    /// `labels`: other keys for the labels that protect.
    LabelsFile { restrict_scale_down: Option<Vec<String>> }

    /// `policies`.
    PoliciesFile { scale_up: Vec<PolicyFile>, drain: Vec<PolicyFile>, csr_approval: Vec<PolicyFile> }

    /// `limits` of a policy.
    PolicyLimitsFile {
        timeout_ms: Option<u64>,
        memory_mib: Option<u64>,
        answer_kib: Option<u64>,
        log_lines: Option<u32>,
        log_kib: Option<u64>,
    }

    /// `systemReserved` of a node group, as quantities.
    ReservedFile {
        cpu: Option<String>,
        memory: Option<String>,
        ephemeral_storage: Option<String>,
        pods: Option<u64>,
    }
}

/// A node group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeGroupFile {
    pub name: String,
    #[serde(default)]
    pub min: u32,
    pub max: u32,
    pub zones: Vec<String>,
    #[serde(default)]
    pub lifecycle: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub taints: Vec<TaintFile>,
    pub instance_types: Vec<InstanceTypeEntry>,
    #[serde(default)]
    pub system_reserved: ReservedFile,
    #[serde(default)]
    pub restrict_scale_down: bool,
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
    #[serde(default)]
    pub arch: Option<String>,
    #[serde(default)]
    pub price_usd_per_hour: Option<Dollars>,
}

/// A policy of one point.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyFile {
    pub name: String,
    pub module: String,
    #[serde(default)]
    pub settings: Option<serde_json::Value>,
    #[serde(default)]
    pub mode: Option<String>,
    #[serde(default)]
    pub limits: PolicyLimitsFile,
    #[serde(default)]
    pub on_error: Option<String>,
}

/// One path, or several.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub enum Catalogs {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

/// Reads the file. The error has its line, its column and a sentence.
pub fn parse(text: &str) -> Result<ConfigFile, (u64, u64, String)> {
    if text.trim().is_empty() {
        return Ok(ConfigFile::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location();
        let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
        (line, column, sentence(&error))
    })
}

fn sentence(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            let close = expected
                .iter()
                .max_by(|a, b| strsim::jaro_winkler(field, a).total_cmp(&strsim::jaro_winkler(field, b)));
            match close.filter(|close| strsim::jaro_winkler(field, close) > 0.7) {
                Some(close) => format!("unknown key \"{field}\"; did you mean \"{close}\"?"),
                None => format!("unknown key \"{field}\"; known are {}", expected.join(", ")),
            }
        }
        other => {
            let text = other.to_string();
            text.lines().next().unwrap_or("it cannot be read").to_owned()
        }
    }
}
