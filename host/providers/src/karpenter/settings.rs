//! What NodeClaims need beyond a launch.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_model::{Quantity, TaintEffect};
use serde::{Deserialize, Serialize};

use crate::SettingError;

/// `provider` with `kind: karpenter`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KarpenterSettings {
    /// The node class of groups that have none of their own and no NodePool of their name.
    pub node_class_ref: Option<NodeClassRef>,
    /// `Never`, or after what time Karpenter replaces a node by itself, for example `720h`.
    pub expire_after: String,
    /// The longest that Karpenter waits for pods when a node goes.
    pub termination_grace_period: Option<String>,
    /// By the name of the node group.
    pub groups: BTreeMap<String, KarpenterGroup>,
}

/// One of `groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KarpenterGroup {
    /// The node class; where nothing is said, that of the NodePool of this name.
    pub node_class_ref: Option<NodeClassRef>,
    /// Taints that whoever prepares the node removes; where nothing is said, those of the NodePool.
    pub startup_taints: Option<Vec<TaintSetting>>,
    /// What the machine must have room for, by resource.
    pub requests: BTreeMap<String, String>,
}

/// A reference to a node class.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeClassRef {
    /// The API group, for example `karpenter.k8s.aws`.
    pub group: String,
    /// The kind, for example `EC2NodeClass`.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// A taint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaintSetting {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The effect.
    pub effect: String,
}

impl Default for KarpenterSettings {
    /// Nodes stay until somebody decides otherwise.
    fn default() -> Self {
        Self {
            node_class_ref: None,
            expire_after: "Never".to_owned(),
            termination_grace_period: None,
            groups: BTreeMap::new(),
        }
    }
}

impl KarpenterSettings {
    /// What is wrong with them, if anything.
    pub fn check(&self) -> Result<(), SettingError> {
        if self.expire_after != "Never" && !is_duration(&self.expire_after) {
            let problem = format!("\"{}\" is neither Never nor a duration like 720h", self.expire_after);
            return Err(SettingError::new("expireAfter", problem));
        }
        if let Some(period) = &self.termination_grace_period
            && !is_duration(period)
        {
            let problem = format!("\"{period}\" is no duration; write it like 30m");
            return Err(SettingError::new("terminationGracePeriod", problem));
        }
        check_class("nodeClassRef", self.node_class_ref.as_ref())?;
        for (name, group) in &self.groups {
            check_class(&format!("groups.{name}.nodeClassRef"), group.node_class_ref.as_ref())?;
            for (at, taint) in group.startup_taints.iter().flatten().enumerate() {
                if taint.key.is_empty() || TaintEffect::parse(&taint.effect).is_none() {
                    let problem = format!("\"{}\" with effect \"{}\" is no taint", taint.key, taint.effect);
                    return Err(SettingError::new(format!("groups.{name}.startupTaints[{at}]"), problem));
                }
            }
            for (resource, amount) in &group.requests {
                if let Err(error) = Quantity::parse_amount(amount) {
                    return Err(SettingError::new(format!("groups.{name}.requests.{resource}"), error.to_string()));
                }
            }
        }
        Ok(())
    }
}

fn check_class(key: &str, class: Option<&NodeClassRef>) -> Result<(), SettingError> {
    match class {
        Some(class) if class.group.is_empty() || class.kind.is_empty() || class.name.is_empty() => {
            Err(SettingError::new(key, "group, kind and name must all be there"))
        }
        _ => Ok(()),
    }
}

/// The pattern of the NodeClaim's schema: numbers with `s`, `m` or `h`.
fn is_duration(text: &str) -> bool {
    let units = text.ends_with(['s', 'm', 'h']) && !text.contains("ms");
    units
        && plimsoll_model::Millis::parse_duration(text)
            .is_some_and(|time| Duration::from_millis(time.0) > Duration::ZERO)
}
