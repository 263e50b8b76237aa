//! How a simulated machine goes.

use std::sync::atomic::Ordering;

use plimsoll_kube::{ApiError, ObjectName, Permit, Precondition, Resource};
use plimsoll_model::Timestamp;
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::LaunchFailure;

use super::record::{Launch, NAME, Record, RecordError, machine_name};
use super::{RemovalFault, Simulated, TRIES, now, provider_id};
use crate::outcome::{unremoved, unseen};

/// What `spec.providerID` of simulated nodes begins with.
const SCHEME: &str = "plimsoll-sim://";

/// What is known of a machine that is to go.
enum Known {
    /// It is none of the simulation's.
    Foreign,
    Gone,
    Leaving,
    There,
}

impl Simulated {
    /// Notes that a machine is to go, unless it is going.
    pub(super) async fn take_back(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        let mut fault = None;
        for _ in 0..TRIES {
            let mut record = match Record::read(&self.api, &self.namespace).await {
                Ok(record) => record,
                Err(RecordError::Api(error)) => return unseen(&error),
                Err(error) => return refused(&error),
            };
            let due = match self.known(&record, removal).await {
                Ok(Known::There) => self.due(),
                Ok(Known::Leaving) => return RemovalOutcome::Accepted,
                Ok(Known::Gone) => return RemovalOutcome::Gone,
                Ok(Known::Foreign) => {
                    let text = format!("{} is no simulated machine", removal.node);
                    return RemovalOutcome::Failed(LaunchFailure::Invalid(text));
                }
                Err(error) => return unseen(&error),
            };
            // Decided once, however often the record is in the way.
            let fault = *fault.get_or_insert_with(|| self.removal_fault());
            if fault == Some(RemovalFault::Refused) {
                return RemovalOutcome::Failed(LaunchFailure::Other("it is refused on purpose".to_owned()));
            }
            if let Some((place, _)) = record.find(&removal.node)
                && let Some(launch) = record.launches.get_mut(place.launch)
            {
                launch.pending.remove(&place.index);
                launch.leaving.insert(place.index, due.0);
            }
            match record.write(&self.api, permit, &self.namespace).await {
                Ok(()) => {
                    self.wake.notify_one();
                    return match fault {
                        Some(_) => RemovalOutcome::Unknown("no answer, on purpose".to_owned()),
                        None => RemovalOutcome::Accepted,
                    };
                }
                Err(RecordError::Api(ApiError::Conflict(_) | ApiError::AlreadyExists(_))) => {}
                Err(error) => return refused(&error),
            }
        }
        RemovalOutcome::Unknown(format!("others changed ConfigMap {}/{NAME} {TRIES} times", self.namespace))
    }

    /// Deletes the node of a machine that is gone, unless another machine has its name.
    pub(super) async fn take_away(
        &self,
        permit: &Permit,
        id: &str,
        launch: &Launch,
        index: u32,
    ) -> Result<(), ApiError> {
        let name = machine_name(id, index);
        let object = ObjectName::of_cluster(&name);
        let node = match self.api.get(&Resource::NODES, &object).await {
            Ok(node) => node,
            Err(ApiError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        if node["spec"]["providerID"] != *provider_id(&launch.zone, &name) {
            return Ok(());
        }
        let uid = node["metadata"]["uid"].as_str().map(str::to_owned);
        let this_one = Precondition { uid, resource_version: None };
        match self.api.delete(permit, &Resource::NODES, &object, &this_one).await {
            Ok(_) | Err(ApiError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn known(&self, record: &Record, removal: &Removal) -> Result<Known, ApiError> {
        let id = removal.provider_id.as_deref();
        let Some((place, launch)) = record.find(&removal.node) else {
            // Launches that are over are forgotten in the end.
            return Ok(if id.is_some_and(|id| id.starts_with(SCHEME)) { Known::Gone } else { Known::Foreign });
        };
        if id.is_some_and(|id| *id != provider_id(&launch.zone, &removal.node)) {
            return Ok(Known::Foreign);
        }
        if launch.gone.contains(&place.index) {
            return Ok(Known::Gone);
        }
        if launch.leaving.contains_key(&place.index) {
            return Ok(Known::Leaving);
        }
        if launch.pending.contains(&place.index) {
            return Ok(Known::There);
        }
        // Without a node, which somebody has deleted, there is no machine.
        match self.api.get(&Resource::NODES, &ObjectName::of_cluster(&removal.node)).await {
            Ok(_) => Ok(Known::There),
            Err(ApiError::NotFound(_)) => Ok(Known::Gone),
            Err(error) => Err(error),
        }
    }

    fn due(&self) -> Timestamp {
        let delay = u64::try_from(self.settings.removal.delay.as_millis()).unwrap_or(u64::MAX);
        Timestamp(now().0.saturating_add(delay))
    }

    fn removal_fault(&self) -> Option<RemovalFault> {
        let (fault, first) = (self.settings.removal.fail?, self.settings.removal.first);
        let count = |so_far: u32| first.is_none_or(|first| so_far < first).then_some(so_far.saturating_add(1));
        self.failed_removals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).ok().map(|_| fault)
    }
}

fn refused(error: &RecordError) -> RemovalOutcome {
    match error {
        RecordError::Api(error) => unremoved(error),
        RecordError::Garbled(problem) => RemovalOutcome::Failed(LaunchFailure::Other(problem.clone())),
        RecordError::Full => {
            let text = format!("the record of simulated machines, ConfigMap {NAME}, is full");
            RemovalOutcome::Failed(LaunchFailure::Quota(text))
        }
    }
}
