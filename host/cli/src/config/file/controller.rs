//! What the controller needs beside what decisions need.

use serde::Deserialize;

use crate::config::values::Seconds;

/// `cluster`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterFile {
    pub identifier: Option<String>,
}

/// `autoscaler`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AutoscalerFile {
    pub enabled: Option<bool>,
    pub cooldown: Option<Seconds>,
    pub quiet: Option<Seconds>,
    pub at_most: Option<Seconds>,
    pub max_provision_time: Option<Seconds>,
}

/// `leaderElection`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LeaderElectionFile {
    pub enabled: Option<bool>,
    pub lease_duration: Option<Seconds>,
    pub renew_deadline: Option<Seconds>,
    pub retry_period: Option<Seconds>,
}

/// `apiServer`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiServerFile {
    pub proxy_url: Option<String>,
    pub ca_file: Option<String>,
    pub writes_per_second: Option<u32>,
    pub write_burst: Option<u32>,
}

/// `cleanup`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CleanupFile {
    pub enabled: Option<bool>,
    pub after: Option<Seconds>,
}

/// `metrics`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MetricsFile {
    pub usage: Option<bool>,
}

/// `log`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogFile {
    pub level: Option<String>,
    pub format: Option<String>,
    pub traces: TracesFile,
}

/// `log.traces`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TracesFile {
    pub endpoint: Option<String>,
}
