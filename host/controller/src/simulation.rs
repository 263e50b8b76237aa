//! The one simulation of the cluster, which whoever plans borrows.

use std::sync::Arc;

use plimsoll_model::Snapshot;
use plimsoll_scheduler::{SchedulerProfile, Simulation};
use tokio::sync::Mutex;

/// A simulation that follows the cluster. Cheap to clone; every clone is the same one.
#[derive(Clone, Debug, Default)]
pub struct SharedSimulation(Arc<Mutex<Option<Simulated>>>);

#[derive(Debug)]
struct Simulated {
    simulation: Simulation,
    lineage: u64,
    version: u64,
}

/// Why no work was done with the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSimulated {
    /// It shows a later state of the cluster already: come again with that one.
    Stale,
    /// The work has panicked; the next work begins with a new simulation.
    Panicked,
}

impl SharedSimulation {
    /// Lets the simulation show this snapshot, and works with it on a thread where that may take long. The work leaves
    /// it as it was.
    pub async fn with<T: Send + 'static>(
        &self,
        snapshot: &Arc<Snapshot>,
        profile: &SchedulerProfile,
        work: impl FnOnce(&mut Simulation) -> T + Send + 'static,
    ) -> Result<T, NotSimulated> {
        let mut slot = self.0.clone().lock_owned().await;
        let (lineage, version) = (snapshot.lineage(), snapshot.version());
        // Going back would mean to begin anew, and to begin anew again for whoever is ahead.
        if slot.as_ref().is_some_and(|known| known.lineage == lineage && known.version > version) {
            return Err(NotSimulated::Stale);
        }
        let (snapshot, profile) = (snapshot.clone(), profile.clone());
        let work = tokio::task::spawn_blocking(move || {
            let mut simulation = match slot.take() {
                Some(Simulated { mut simulation, .. }) if *simulation.profile() == profile => {
                    simulation.sync(&snapshot);
                    simulation
                }
                _ => Simulation::with_profile(&snapshot, profile),
            };
            let done = work(&mut simulation);
            *slot = Some(Simulated { simulation, lineage, version });
            done
        });
        work.await.map_err(|_| NotSimulated::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::Cluster;

    use super::*;

    #[tokio::test]
    async fn nobody_is_taken_back_and_a_panic_costs_one_piece_of_work() {
        let (shared, profile) = (SharedSimulation::default(), SchedulerProfile::default());
        let mut cluster = Cluster::default();
        let first = cluster.snapshot();
        cluster.upsert_namespace("shop".into(), Arc::default());
        let second = cluster.snapshot();
        assert!(second.version() > first.version());
        assert_eq!(shared.with(&second, &profile, |_| 1).await, Ok(1));
        assert_eq!(shared.with(&first, &profile, |_| 2).await, Err(NotSimulated::Stale));
        assert_eq!(
            shared.with(&second, &profile, |_| -> u8 { panic!("on purpose") }).await,
            Err(NotSimulated::Panicked)
        );
        assert_eq!(shared.with(&second, &profile, |_| 3).await, Ok(3));
    }
}
