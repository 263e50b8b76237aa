//! The claim of one node is deleted.

use plimsoll_kube::{ApiError, ObjectName, Permit, Precondition};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::LaunchFailure;
use serde_json::Value;

use super::{Karpenter, claim, pool};
use crate::object::{deleting, name, text};
use crate::outcome::{unremoved, unseen};

impl Karpenter {
    /// Deletes the claim of a node, unless that has been done.
    pub(super) async fn delete(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        let invalid = |text: String| RemovalOutcome::Failed(LaunchFailure::Invalid(text));
        let claims = match self.api.list(&claim::resource(), "", "").await {
            Ok(claims) => claims,
            Err(error) => return unseen(&error),
        };
        let mut of_node = claims.iter().filter(|claim| is_of(claim, removal));
        let Some(found) = of_node.next() else {
            return match &removal.group {
                Some(_) => RemovalOutcome::Gone,
                None => invalid(format!("no NodeClaim is of node {}, which has no node group either", removal.node)),
            };
        };
        if let Some(other) = of_node.next() {
            let (one, other) = (name(found), name(other));
            return invalid(format!("node {} is of two NodeClaims, {one} and {other}", removal.node));
        }
        if deleting(found) {
            return RemovalOutcome::Accepted;
        }
        if let Err(outcome) = self.is_not_replaced(found).await {
            return outcome;
        }
        let Some(uid) = text(found, "/metadata/uid") else {
            return RemovalOutcome::Unknown(format!("nothing was sent: NodeClaim {} has no UID", name(found)));
        };
        // Another claim may get the name meanwhile.
        let this_one = Precondition { uid: Some(uid.to_owned()), resource_version: None };
        let object = ObjectName::of_cluster(name(found));
        match self.api.delete(permit, &claim::resource(), &object, &this_one).await {
            Ok(_) => RemovalOutcome::Accepted,
            Err(ApiError::NotFound(_)) => RemovalOutcome::Gone,
            Err(error) => unremoved(&error),
        }
    }

    /// A NodePool of a fixed size replaces what it loses.
    async fn is_not_replaced(&self, found: &Value) -> Result<(), RemovalOutcome> {
        let Some(of) = claim::pool_of(found) else { return Ok(()) };
        match self.api.get(&pool::resource(), &ObjectName::of_cluster(of)).await {
            Ok(object) if pool::is_static(&object) => {
                let text = format!(
                    "NodePool {of} keeps a fixed number of nodes and would replace this one; lower its spec.replicas"
                );
                Err(RemovalOutcome::Failed(LaunchFailure::Invalid(text)))
            }
            Ok(_) | Err(ApiError::NotFound(_) | ApiError::NotServed { .. }) => Ok(()),
            Err(error) => Err(unseen(&error)),
        }
    }
}

/// True if a claim is that of the node: by the provider's id where both have one, else by the node's name.
fn is_of(claim: &Value, removal: &Removal) -> bool {
    match (&removal.provider_id, text(claim, "/status/providerID")) {
        (Some(wanted), Some(id)) => *id == **wanted,
        _ => text(claim, "/status/nodeName") == Some(&removal.node),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_id_before_name() {
        let claim = |id: Value, node: Value| json!({"status": {"providerID": id, "nodeName": node}});
        for (provider_id, id, node, expected) in [
            (Some("i-1"), json!("i-1"), json!("n1"), true),
            (Some("i-1"), json!("i-1"), json!(null), true),
            // The name was given to another machine.
            (Some("i-1"), json!("i-2"), json!("n1"), false),
            (Some("i-1"), json!(null), json!("n1"), true),
            (None, json!("i-2"), json!("n1"), true),
            (None, json!("i-2"), json!("n2"), false),
            (None, json!(7), json!({}), false),
        ] {
            let removal = Removal {
                node: "n1".into(),
                provider_id: provider_id.map(Into::into),
                group: None,
                drain: "d1".into(),
                baseline: None,
            };
            assert_eq!(is_of(&claim(id.clone(), node.clone()), &removal), expected, "{provider_id:?} {id} {node}");
        }
    }
}
