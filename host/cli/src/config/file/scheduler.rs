//! `scheduler`: what the cluster's kube-scheduler is configured to do otherwise.

use serde::Deserialize;

/// `scheduler`, in the words of `KubeSchedulerConfiguration`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SchedulerFile {
    pub ignored_resources: Vec<String>,
    pub ignored_resource_groups: Vec<String>,
    pub added_affinity: Option<AddedAffinityFile>,
}

/// `addedAffinity`: the required part, as what is only preferred keeps no pod off a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddedAffinityFile {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: NodeSelectorFile,
}

/// A node selector.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeSelectorFile {
    pub node_selector_terms: Vec<TermFile>,
}

/// One of its terms.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TermFile {
    pub match_expressions: Vec<RequirementFile>,
    pub match_fields: Vec<RequirementFile>,
}

/// One condition.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequirementFile {
    pub key: String,
    pub operator: String,
    #[serde(default)]
    pub values: Vec<String>,
}
