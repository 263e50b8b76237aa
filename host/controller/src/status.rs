//! What this controller is and does, for people and machines: the status ConfigMap and `/status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_model::Timestamp;
use serde::Serialize;

/// A moment as the API writes it.
pub fn rfc3339(moment: Timestamp) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| format!("{} ms", moment.0), |moment| moment.to_string())
}

/// The whole status. Keys are part of the interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Which Plimsoll: `cluster.identifier`.
    pub cluster: String,
    /// The version of the binary.
    pub version: String,
    /// `act` or `observe`.
    pub mode: String,
    /// Who writes this.
    pub replica: String,
    /// This replica leads.
    pub leads: bool,
    /// The term of its leadership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// What keeps it from being ready, each a sentence.
    pub not_ready: Vec<String>,
    /// The configuration.
    pub config: ConfigStatus,
    /// The last decision of each subject.
    pub decisions: BTreeMap<String, DecisionStatus>,
    /// Pods without a node, by reason.
    pub pending: BTreeMap<String, PendingStatus>,
    /// Node groups by name.
    pub groups: BTreeMap<String, GroupStatus>,
    /// Launches whose nodes have not joined, by id.
    pub launches: BTreeMap<String, LaunchStatus>,
    /// Nodes that are being drained, by name.
    pub drains: BTreeMap<String, DrainStatus>,
    /// Nodes that stay, by the primary reason.
    pub nodes: BTreeMap<String, KeptStatus>,
    /// Policies.
    pub policies: Vec<PolicyStatus>,
    /// What the permissions allow, by feature: `enabled`, or why not.
    pub features: BTreeMap<String, String>,
    /// Watched resources.
    pub watches: BTreeMap<String, WatchStatus>,
    /// The node-group provider.
    pub provider: ProviderStatus,
    /// Signing requests that wait, with the verdict about each; the oldest few.
    pub certificates: BTreeMap<String, String>,
    /// Other autoscalers in charge of the same nodes, each a sentence.
    pub rivals: Vec<String>,
    /// What could not be read, and what else a person should know, each a sentence.
    pub warnings: Vec<String>,
}

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigStatus {
    /// The file.
    pub file: String,
    /// SHA-256 of what is in use, in hexadecimal.
    pub digest: String,
    /// What is wrong with the file as it is now; the one before goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionStatus {
    /// Its id.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What came of it, in a sentence.
    pub outcome: String,
}

/// Pods that wait for one reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingStatus {
    /// How many.
    pub count: u64,
    /// The first few, each with its detail.
    pub examples: BTreeMap<String, String>,
}

/// A node group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// The smallest size.
    pub min: u32,
    /// The largest size.
    pub max: u32,
    /// The size that the provider was told, where it is told sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u32>,
    /// Nodes that are there.
    pub joined: u32,
    /// Nodes that are expected.
    pub launching: u32,
    /// Why nothing of it, or part of it, is launched now, each a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<String>,
}

/// A launch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchStatus {
    /// The node group.
    pub group: String,
    /// The instance type.
    pub instance_type: String,
    /// The zone.
    pub zone: String,
    /// How many nodes.
    pub count: u32,
    /// When it was decided, RFC 3339.
    pub decided: String,
    /// The decision that it comes from.
    pub decision: String,
}

/// A drain.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainStatus {
    /// Why: a stable label.
    pub cause: &'static str,
    /// The node group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Why, in the words of the policy or of whoever asked.
    pub reason: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// When the node is removed whatever is on it, RFC 3339.
    pub deadline: String,
    /// How far it is.
    pub progress: String,
    /// The decision that it comes from.
    pub decision: String,
}

/// Nodes that stay for one reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptStatus {
    /// How many.
    pub count: u64,
    /// The first few, each with its detail.
    pub examples: BTreeMap<String, String>,
}

/// A policy at one point.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Its name.
    pub name: String,
    /// Where it is asked.
    pub point: &'static str,
    /// `active` or `shadow`.
    pub mode: String,
    /// The generation that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// SHA-256 of its module, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// It rests after repeated failures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resting: bool,
    /// What is wrong with it as it is configured now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A watch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchStatus {
    /// It has been listed.
    pub synced: bool,
    /// Objects that are known.
    pub objects: u64,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Which; `none` if nothing is launched.
    pub kind: String,
    /// Machines in its inventory.
    pub machines: u64,
    /// Where it and the configuration do not agree, each a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Where the parts of the controller write what they know of the status. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StatusBoard(Arc<Mutex<Status>>);

impl StatusBoard {
    /// A board that begins like this.
    pub fn new(status: Status) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    /// Changes a part of it.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// As it is now.
    pub fn get(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.get()).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    }
}
