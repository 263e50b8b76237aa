//! Sections about when optimisation rests, and when it may do more.

use serde::Deserialize;

/// `suspensionHours`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SuspensionFile {
    pub enabled: Option<bool>,
    pub time_zone: Option<String>,
    pub windows: Vec<String>,
}

/// One of `optimizationWindows`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptimizationWindowFile {
    pub schedule: String,
    #[serde(default)]
    pub time_zone: Option<String>,
    pub duration: String,
    pub effects: Vec<String>,
}
