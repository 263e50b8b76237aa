//! Sections about nodes that have to go.

use serde::Deserialize;

use super::super::values::Seconds;

/// `interruption`: how it shows that a machine is taken back.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InterruptionFile {
    pub taints: Option<Vec<String>>,
    pub conditions: Option<Vec<String>>,
    pub notice: Option<Seconds>,
}

/// `unhealthy`: whether nodes that are not ready are replaced.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UnhealthyFile {
    pub enabled: Option<bool>,
    pub after: Option<Seconds>,
}
