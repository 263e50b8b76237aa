//! The shape of the file. Keys are those of `ocean-features`, camelCase; unknown ones are errors.

mod controller;
mod forced;
mod group_scale_down;
mod launch;
mod node_group;
mod rules;
mod scheduler;
mod windows;

use serde::Deserialize;

use super::values::{Seconds, SecondsOrNever};

pub use controller::{
    ApiServerFile, AutoscalerFile, CleanupFile, ClusterFile, LeaderElectionFile, LogFile, MetricsFile,
};
pub use forced::{InterruptionFile, UnhealthyFile};
pub use group_scale_down::{GroupDrainFile, GroupScaleDownFile};
pub use launch::{
    BlockDevicesFile, DynamicFile, ExtendedResourceFile, GroupHeadroomFile, HeadroomFile, ManualFile, NetworkFile,
};
pub use node_group::{InstanceTypeFile, NodeGroupFile, ReservedFile, TaintFile};
pub use rules::RulesFile;
pub use scheduler::{RequirementFile, SchedulerFile};
pub use windows::{OptimizationWindowFile, SuspensionFile};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConfigFile {
    pub catalog: Catalogs,
    pub limits: LimitsFile,
    pub node_groups: Vec<NodeGroupFile>,
    pub system_reserved: ReservedFile,
    pub network: NetworkFile,
    pub extended_resources: Vec<ExtendedResourceFile>,
    pub startup_taints: Vec<TaintFile>,
    pub grace_period: Option<Seconds>,
    pub block_devices: BlockDevicesFile,
    pub headroom: HeadroomFile,
    pub scheduler: SchedulerFile,
    pub scale_down: ScaleDownFile,
    pub drain: DrainFile,
    pub interruption: InterruptionFile,
    pub unhealthy: UnhealthyFile,
    pub csr: CsrFile,
    pub labels: LabelsFile,
    pub policies: PoliciesFile,
    pub cluster: ClusterFile,
    pub mode: Option<String>,
    pub autoscaler: AutoscalerFile,
    pub leader_election: LeaderElectionFile,
    pub api_server: ApiServerFile,
    pub provider: Option<plimsoll_providers::ProviderConfig>,
    pub cleanup: CleanupFile,
    pub metrics: MetricsFile,
    pub log: LogFile,
    pub suspension_hours: SuspensionFile,
    pub optimization_windows: Vec<OptimizationWindowFile>,
}

/// `limits`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsFile {
    pub max_vcpu: Option<u64>,
    pub max_memory_gib: Option<u64>,
    pub max_nodes: Option<u32>,
}

/// `scaleDown`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScaleDownFile {
    pub enabled: Option<bool>,
    pub max_percentage: Option<u32>,
    pub respect_pdb: Option<bool>,
    pub restrict: Option<bool>,
    pub evict_bare_pods: Option<bool>,
    pub rules: RulesFile,
    pub interval: Option<Seconds>,
    pub evaluation_periods: Option<u32>,
    pub accelerated: Option<bool>,
    pub min_node_age: Option<Seconds>,
    pub beside_rivals: Option<bool>,
}

/// `drain`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DrainFile {
    pub timeout: Option<Seconds>,
    pub spread: Option<Seconds>,
    pub warmup_guard: Option<Seconds>,
    pub retry_interval: Option<Seconds>,
    pub force_delete_after: Option<SecondsOrNever>,
    pub evict_when_ready: Option<bool>,
    pub detach_wait: Option<Seconds>,
    pub node_delete_after: Option<Seconds>,
    pub breaker_after: Option<Seconds>,
}

/// `csr`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CsrFile {
    pub enabled: bool,
    pub deny_forged: Option<bool>,
    pub max_expiration: Option<Seconds>,
    pub join_window: Option<Seconds>,
    pub clock_skew: Option<Seconds>,
    pub max_age: Option<Seconds>,
    pub bootstrap_users: Vec<String>,
    pub forbidden_names: Vec<String>,
    pub forbidden_cidrs: Vec<String>,
}

/// `labels`: other keys for the labels that protect.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LabelsFile {
    pub restrict_scale_down: Option<Vec<String>>,
}

/// `policies`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PoliciesFile {
    pub scale_up: Vec<PolicyFile>,
    pub drain: Vec<PolicyFile>,
    pub csr_approval: Vec<PolicyFile>,
}

/// `limits` of a policy.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicyLimitsFile {
    pub timeout_ms: Option<u64>,
    pub memory_mib: Option<u64>,
    pub answer_kib: Option<u64>,
    pub log_lines: Option<u32>,
    pub log_kib: Option<u64>,
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
