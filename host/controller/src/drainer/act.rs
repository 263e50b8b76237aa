//! Actions of a drain, carried out.

use plimsoll_kube::{Permit, delete_node, delete_pod, evict, mark_node, release_node, start_replacement};
use plimsoll_planner::drain::{DrainAction, DrainAnswer, RemovalOutcome};

use crate::Parts;

/// Does it, and says what came of it.
pub async fn carry_out(parts: &Parts, permit: &Permit, action: DrainAction) -> DrainAnswer {
    let api = &parts.api;
    match action {
        DrainAction::Mark { node, drain } => {
            DrainAnswer::Marked(mark_node(api, permit, &node, &drain.cluster, &drain.write()).await)
        }
        DrainAction::Release { node, drain } => {
            DrainAnswer::Released(release_node(api, permit, &node, drain.as_ref()).await)
        }
        DrainAction::Evict { pod, grace, .. } => {
            let answer = evict(api, permit, &pod, grace).await;
            DrainAnswer::Evicted(pod.uid, answer)
        }
        DrainAction::Delete { pod, grace, .. } => {
            let answer = delete_pod(api, permit, &pod, grace).await;
            DrainAnswer::Deleted(pod.uid, answer)
        }
        DrainAction::StartReplacement { pod, warmup, .. } => {
            let answer = start_replacement(api, permit, &pod, &warmup, &warmup.write()).await;
            DrainAnswer::ReplacementStarted(pod.uid, answer)
        }
        DrainAction::MeasureRemoval { removal } => DrainAnswer::Measured(match &parts.provider {
            Some(provider) => provider.removal_baseline(&removal).await.map_err(|error| error.to_string().into()),
            None => Err(NO_PROVIDER.into()),
        }),
        DrainAction::Remove { removal } => DrainAnswer::Removed(match &parts.provider {
            Some(provider) => provider.remove(permit, &removal).await,
            None => RemovalOutcome::Unknown(NO_PROVIDER.to_owned()),
        }),
        DrainAction::DeleteNode { node } => DrainAnswer::NodeDeleted(delete_node(api, permit, &node).await),
    }
}

const NO_PROVIDER: &str = "no provider is configured";

/// The answer to what has to wait for a launch of the same group.
pub fn no_turn(action: &DrainAction) -> DrainAnswer {
    let wait = "a launch of its group has no answer yet";
    match action {
        DrainAction::MeasureRemoval { .. } => DrainAnswer::Measured(Err(wait.into())),
        _ => DrainAnswer::Removed(RemovalOutcome::Unknown(wait.to_owned())),
    }
}
