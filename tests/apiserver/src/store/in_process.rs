//! The store without a server: what a client may ask, as calls of functions, and what a watch would tell.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Change, Store};
use crate::clock::Clock;
use crate::patch::PatchType;
use crate::semantics::refusal::{Refusal, User};
use crate::write::{DeleteOptions, Update, Write, Written};

/// What happened to an object.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The revision of the change.
    pub revision: u64,
    /// The resource, as a store calls it: `pods`, `deployments.apps`.
    pub resource: &'static str,
    /// It is gone; `body` is what it was last.
    pub gone: bool,
    /// Empty for objects of the cluster.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The object, as JSON.
    pub body: Bytes,
}

// === impl Store ===

impl Store {
    /// An empty store with the built-in kinds, for use without a server. Each kind remembers its last `window` events.
    pub fn in_process(window: usize, clock: Arc<dyn Clock>) -> Self {
        Self::new(window, clock)
    }

    /// Asks for the eviction of a pod, as a client would through its subresource.
    pub fn evict(&self, namespace: &str, name: &str, delete_options: &Value) -> Result<Value, Refusal> {
        let body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace }, "deleteOptions": delete_options
        });
        self.write("pods", namespace, |write| write.evict(name, &body))
    }

    /// Deletes an object as a client would: with grace, and under the preconditions of the options.
    pub fn delete_with(&self, resource: &str, namespace: &str, name: &str, options: &Value) -> Result<Value, Refusal> {
        let options = DeleteOptions::parse(options)?;
        self.write(resource, namespace, |write| write.delete(name, &options))
    }

    /// Patches an object as a client would. A UID or resourceVersion in the patch is a precondition.
    pub fn patch(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        how: PatchType,
        body: Value,
    ) -> Result<Value, Refusal> {
        self.write(resource, namespace, |write| write.update(name, Update::Patch(how, body)))
    }

    /// What happened to objects of these resources after a revision, oldest first; none if that is forgotten.
    pub fn changes(&self, resources: &[&'static str], after: u64) -> Option<Vec<Observed>> {
        let state = self.lock();
        let mut changes = Vec::new();
        for resource in resources {
            let index = state.registry.find_by_name(resource)?;
            let collection = state.collections.get(index)?;
            if collection.last_change() <= after {
                continue;
            }
            let events = collection.after(after, usize::MAX).ok()?;
            changes.extend(events.into_iter().map(|event| Observed {
                revision: event.revision,
                resource,
                gone: event.change == Change::Deleted,
                namespace: event.object.key.namespace.clone(),
                name: event.object.key.name.clone(),
                body: event.object.body().clone(),
            }));
        }
        changes.sort_by_key(|change| change.revision);
        Some(changes)
    }

    fn write(
        &self,
        resource: &str,
        namespace: &str,
        work: impl FnOnce(&mut Write<'_>) -> Result<Written, Refusal>,
    ) -> Result<Value, Refusal> {
        let now: Timestamp = self.clock().now();
        let mut state = self.lock();
        let served = state.serve(resource).ok_or_else(|| super::unknown(resource))?;
        let user = User { name: "in-process".to_owned(), ..User::default() };
        let mut write = Write {
            state: &mut state,
            served: &served,
            namespace,
            subresource: "",
            user: &user,
            manager: "in-process",
            dry_run: false,
            now,
            namespace_controller: true,
        };
        work(&mut write).map(|written| written.tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    fn store() -> Store {
        let store = Store::in_process(100, Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)));
        store
            .create(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "namespace": "shop", "labels": { "app": "web" } },
                "spec": { "nodeName": "n1", "terminationGracePeriodSeconds": 7 },
                "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] }
            }))
            .unwrap();
        store
    }

    #[test]
    fn an_eviction_needs_its_budget_and_the_right_pod() {
        let store = store();
        let budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "b", "namespace": "shop" },
            "spec": { "maxUnavailable": 0, "selector": { "matchLabels": { "app": "web" } } },
            "status": { "disruptionsAllowed": 0, "observedGeneration": 1 }
        });
        store.create(budget).unwrap();
        assert_eq!(store.evict("shop", "p", &json!({})).unwrap_err().code, 429);
        store
            .update("poddisruptionbudgets.policy", "shop", "b", |b| b["status"]["disruptionsAllowed"] = 1.into())
            .unwrap();
        let other = json!({ "preconditions": { "uid": "other" } });
        assert_eq!(store.evict("shop", "p", &other).unwrap_err().code, 409);
    }

    #[test]
    fn an_accepted_eviction_keeps_the_grace_and_shows_in_the_changes() {
        let store = store();
        let before = store.revision();
        store.evict("shop", "p", &json!({})).unwrap();
        let pod = store.get("pods", "shop", "p").unwrap();
        assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 7);
        store.delete("pods", "shop", "p");
        let changes = store.changes(&["pods", "nodes"], before).unwrap();
        assert!(changes.iter().all(|change| change.resource == "pods" && &*change.name == "p"));
        assert!(changes.last().is_some_and(|last| last.gone));
        assert!(changes.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    }
}
