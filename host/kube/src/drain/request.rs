//! A person asks for a node to be drained.

use plimsoll_model::well_known;
use plimsoll_planner::drain::WriteAnswer;
use serde_json::{Value, json};

use super::answer::of_write;
use crate::api::{Api, Leadership, ObjectName, Patch, Purpose, Resource, Term};

/// Writes on a node that somebody wants it drained, and why. It is done with the permissions of whoever asks, and
/// needs no leadership: whoever leads does the rest.
pub async fn request_drain(api: &Api, node: &str, reason: Option<&str>) -> WriteAnswer {
    annotate(api, node, reason.unwrap_or_default().into()).await
}

/// Takes such a request back. A drain whose evictions have begun is not called off by it.
pub async fn withdraw_request(api: &Api, node: &str) -> WriteAnswer {
    annotate(api, node, Value::Null).await
}

async fn annotate(api: &Api, node: &str, value: Value) -> WriteAnswer {
    // Held until the write is done: dropped, it ends the permit.
    let (setter, leadership) = Leadership::new(false);
    setter.lead(Term { number: 0, until: None });
    let permit = match leadership.permit(Purpose::Effect) {
        Ok(permit) => permit,
        Err(refused) => return of_write(refused.into()),
    };
    let patch = json!({"metadata": {"annotations": {well_known::DRAIN_REQUESTED: value}}});
    let name = ObjectName::of_cluster(node);
    match api.patch(&permit, &Resource::NODES, &name, None, Patch::Merge, &patch).await {
        Ok(_) => WriteAnswer::Done,
        Err(error) => of_write(error),
    }
}
