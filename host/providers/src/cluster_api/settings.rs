//! Which machines of Cluster API, and where.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::object::Kind;
use crate::SettingError;

/// `provider` with `kind: clusterApi`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterApiSettings {
    /// Objects of this namespace only.
    pub namespace: Option<String>,
    /// Objects of this cluster only (`cluster.x-k8s.io/cluster-name`).
    pub cluster_name: Option<String>,
    /// Kubeconfig of the management cluster, where it is another one.
    pub kubeconfig: Option<PathBuf>,
    /// The object of a node group by the group's name: `namespace/name` or `Kind/namespace/name`. A group that is not
    /// named here is the object of its name.
    pub groups: BTreeMap<String, String>,
}

impl ClusterApiSettings {
    /// What is wrong with them, if anything.
    pub fn check(&self) -> Result<(), SettingError> {
        for (group, object) in &self.groups {
            let parts: Vec<&str> = object.split('/').collect();
            let good = match parts.as_slice() {
                [namespace, name] => !namespace.is_empty() && !name.is_empty(),
                [kind, namespace, name] => Kind::parse(kind).is_some() && !namespace.is_empty() && !name.is_empty(),
                _ => false,
            };
            if !good {
                let problem =
                    format!("\"{object}\" names no object; write namespace/name or MachineDeployment/namespace/name");
                return Err(SettingError::new(format!("groups.{group}"), problem));
            }
        }
        if let Some(name) = &self.cluster_name
            && (name.is_empty() || name.contains([',', '=', ' ', '!']))
        {
            return Err(SettingError::new("clusterName", format!("\"{name}\" is no name of a cluster")));
        }
        Ok(())
    }
}
