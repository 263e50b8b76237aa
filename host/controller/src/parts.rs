//! What the loops of the controller share.

use std::fmt;
use std::sync::Arc;

use plimsoll_kube::{Api, Events, Features, Leadership, MirrorHandle};
use plimsoll_model::Timestamp;
use plimsoll_providers::NodeGroupProvider;
use tokio::sync::{Notify, watch};

use crate::exchange::Exchange;
use crate::simulation::SharedSimulation;
use crate::{Effects, Health, Heard, Identity, Metrics, Policies, Settings, StatusBoard};

/// Tells the time of day.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Everything that a loop needs of its surroundings. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// The API server.
    pub api: Api,
    /// The cluster, watched.
    pub mirror: MirrorHandle,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// Who launches nodes; `None`: nobody.
    pub provider: Option<Arc<dyn NodeGroupProvider>>,
    /// What the provider knows.
    pub heard: watch::Receiver<Heard>,
    /// Lets the provider be asked now.
    pub ask_again: Arc<Notify>,
    /// Who chooses.
    pub policies: Arc<dyn Policies>,
    /// What to go by.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Who this is.
    pub identity: Arc<Identity>,
    /// Kubernetes Events.
    pub events: Events,
    /// The cluster, simulated.
    pub simulation: SharedSimulation,
    /// What the loops tell each other.
    pub exchange: Exchange,
    /// What the permissions allow.
    pub features: Features,
    /// Changes on their way.
    pub effects: Effects,
    /// Figures.
    pub metrics: Metrics,
    /// The status.
    pub status: StatusBoard,
    /// For the probes.
    pub health: Health,
    /// The time.
    pub clock: WallClock,
}

impl Parts {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("identity", &self.identity).finish_non_exhaustive()
    }
}
