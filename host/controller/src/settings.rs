//! What the controller goes by. Replaced as a whole when the configuration file changes.

use std::time::Duration;

use plimsoll_model::{Millis, Text};
use plimsoll_planner::csr::CsrRules;
use plimsoll_planner::drain::{DrainRules, ScaleDownConfig};
use plimsoll_planner::scale_up::ScaleUpConfig;
use plimsoll_scheduler::SchedulerProfile;

/// What may change while the controller runs.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Node groups, limits, headroom.
    pub scale_up: ScaleUpConfig,
    /// How the cluster's scheduler is configured.
    pub scheduler: SchedulerProfile,
    /// Nodes are launched.
    pub launching: bool,
    /// After a launch nothing more is launched for this long.
    pub cooldown: Millis,
    /// What may be removed.
    pub scale_down: ScaleDownConfig,
    /// How patient drains are.
    pub drain: DrainRules,
    /// Nodes are removed although another autoscaler is at work.
    pub beside_rivals: bool,
    /// What must hold of a certificate; `None`: none is approved.
    pub certificates: Option<CsrRules>,
    /// The Node object of a machine that has been gone for this long is deleted; `None`: none is.
    pub cleanup: Option<Duration>,
    /// The metrics server is asked how busy nodes are.
    pub usage: bool,
    /// Changes with every change of the file.
    pub revision: u64,
}

/// What does not change while the controller runs.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Which Plimsoll of this cluster: `cluster.identifier`.
    pub cluster: String,
    /// Which replica.
    pub replica: String,
    /// The pod that it is, namespace and name, where it is one.
    pub pod: Option<(Text, Text)>,
    /// The namespace of its lease, status and ledger.
    pub namespace: String,
    /// `mode: observe`.
    pub observe: bool,
    /// How often the provider is asked what it knows.
    pub inventory_every: Duration,
}

impl Identity {
    /// The name of the lease.
    pub fn lease(&self) -> String {
        format!("plimsoll-{}", self.cluster)
    }

    /// The name of the ConfigMap with the status.
    pub fn status_record(&self) -> String {
        format!("plimsoll-{}-status", self.cluster)
    }

    /// The name of the ConfigMap with the ledger of launches.
    pub fn ledger_record(&self) -> String {
        format!("plimsoll-{}-launches", self.cluster)
    }
}
