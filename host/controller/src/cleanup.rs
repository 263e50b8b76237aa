//! Node objects of machines that are gone, where no cloud controller deletes them (`ocean-features`, A25).

mod departures;
#[cfg(test)]
mod tests;

use plimsoll_kube::{
    ApiError, EventReason, Feature, MirrorHandle, ObjectName, Permit, Precondition, Purpose, Regarding, Resource,
};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{DecisionId, Parts, Subject};
use departures::{Confirmation, Departed, Departures};

/// Looks at each inventory of the provider while this replica leads, until told to stop.
pub async fn clean(parts: Parts, stop: CancellationToken) {
    let Some(provider) = parts.provider.clone() else { return };
    let mut cleaner = Cleaner {
        mirror: parts.mirror.clone(),
        knows_all_groups: provider.knows_all_groups(),
        parts,
        departures: Departures::default(),
        term: None,
        heard: None,
    };
    let mut heard = cleaner.parts.heard.clone();
    let mut leadership = cleaner.parts.leadership.clone();
    loop {
        cleaner.turn();
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = heard.changed() => {},
            () = leadership.changed() => {},
        }
    }
}

struct Cleaner {
    parts: Parts,
    mirror: MirrorHandle,
    knows_all_groups: bool,
    departures: Departures,
    /// The term that the departures are of.
    term: Option<u64>,
    /// When the last inventory came that was looked at.
    heard: Option<Instant>,
}

impl Cleaner {
    fn turn(&mut self) {
        let heard = self.parts.heard.borrow().clone();
        let settings = self.parts.settings.borrow().clone();
        let term = self.parts.leadership.term();
        let on = self.parts.features.is_on(Feature::Cleanup);
        let (Some(after), Some(_), true) = (settings.cleanup, term.filter(|_| term == self.term), on) else {
            // What was heard in another term may be long ago.
            self.departures = Departures::default();
            (self.term, self.heard) = (term, heard.at);
            return;
        };
        if heard.problem.is_some() {
            self.departures.interrupt();
            return;
        }
        let (Some(inventory), Some(at)) = (&heard.inventory, heard.at) else { return };
        if self.heard == Some(at) {
            return;
        }
        self.heard = Some(at);
        let Some(view) = self.mirror.latest() else { return };
        let groups = &settings.scale_up.groups;
        let rules = Confirmation { after, knows_all_groups: self.knows_all_groups };
        let departed = self.departures.hear(inventory, at, &view.snapshot, groups, rules);
        if departed.is_empty() {
            return;
        }
        let Ok(permit) = self.parts.leadership.permit(Purpose::Effect) else { return };
        let id = DecisionId::new(Subject::Cleanup, &view.snapshot, self.parts.now());
        let span = tracing::info_span!("decision", decision = %id, subject = Subject::Cleanup.label());
        let _inside = span.enter();
        for gone in departed {
            tracing::info!(node = %gone.node, group = %gone.group, "{}", why(&gone));
            let (parts, permit, id) = (self.parts.clone(), permit.clone(), id.clone());
            let change = async move { delete(&parts, &permit, &gone, &id).await };
            if self.parts.effects.submit(change.in_current_span()).is_err() {
                // It is confirmed again in a while.
                break;
            }
        }
    }
}

/// Deletes a Node object if it is still the one that was judged, and still not ready.
async fn delete(parts: &Parts, permit: &Permit, gone: &Departed, id: &DecisionId) {
    match try_delete(parts, permit, gone).await {
        Ok(Deleted::Yes) => {
            parts.metrics.wrote("cleanup", "ok");
            parts.metrics.cleaned_up(&gone.group);
            let about = Regarding::new(&Resource::NODES, ObjectName::of_cluster(&gone.node), &gone.uid.to_string());
            parts.tell(about, EventReason::NodeObjectDeleted, why(gone), Some(id));
        }
        Ok(Deleted::No(because)) => tracing::info!(node = %gone.node, "the Node object stays: {because}"),
        Err(error) => {
            parts.metrics.wrote("cleanup", "failed");
            tracing::warn!(node = %gone.node, %error, "the Node object of a machine that is gone is not deleted");
            parts.features.failed(&error);
        }
    }
}

enum Deleted {
    Yes,
    No(&'static str),
}

async fn try_delete(parts: &Parts, permit: &Permit, gone: &Departed) -> Result<Deleted, ApiError> {
    let name = ObjectName::of_cluster(&gone.node);
    let node = match parts.api.get(&Resource::NODES, &name).await {
        Ok(node) => node,
        Err(ApiError::NotFound(_)) => return Ok(Deleted::No("somebody else has deleted it")),
        Err(error) => return Err(error),
    };
    let (uid, version) = (&node["metadata"]["uid"], &node["metadata"]["resourceVersion"]);
    let (Some(uid), Some(version)) = (uid.as_str(), version.as_str()) else {
        return Ok(Deleted::No("the API server gives it neither a UID nor a version"));
    };
    if plimsoll_model::Uid::parse(uid) != gone.uid {
        return Ok(Deleted::No("another node has its name"));
    }
    if is_ready(&node) {
        return Ok(Deleted::No("the node is ready"));
    }
    let precondition = Precondition { uid: Some(uid.to_owned()), resource_version: Some(version.to_owned()) };
    match parts.api.delete(permit, &Resource::NODES, &name, &precondition).await {
        Ok(_) => Ok(Deleted::Yes),
        Err(ApiError::NotFound(_)) => Ok(Deleted::No("somebody else has deleted it")),
        Err(ApiError::Conflict(_)) => Ok(Deleted::No("it changes just now; it is looked at again")),
        Err(error) => Err(error),
    }
}

/// The condition `Ready` is true, or there is none: nothing is known against it.
fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|known| known["type"] == "Ready");
    ready.is_none_or(|ready| ready["status"] == "True")
}

fn why(gone: &Departed) -> String {
    format!(
        "the provider has not listed its machine for {} s, and the node is not ready: its Node object is deleted",
        gone.missing.as_secs()
    )
}
