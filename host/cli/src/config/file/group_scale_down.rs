//! What a node group says about the removal of its nodes.

use serde::Deserialize;

use super::super::values::{Seconds, SecondsOrNever};

/// `scaleDown` of a node group: instead of that of the whole cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupScaleDownFile {
    pub accelerated: Option<bool>,
    pub max_percentage: Option<u32>,
    pub evaluation_periods: Option<u32>,
}

/// `drain` of a node group: instead of that of the whole cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupDrainFile {
    pub timeout: Option<Seconds>,
    pub force_delete_after: Option<SecondsOrNever>,
}
