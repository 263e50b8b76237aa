//! The status of disruption budgets: counted again a moment after their pods change.

use plimsoll_apiserver::semantics::disruption::{self, Owner};
use plimsoll_model::{Millis, Pod};
use serde_json::{Value, json};

use super::{Event, PodKey, World};

// === impl World ===

impl World {
    /// A disruption budget over the pods of an `app`; `rule` is its `minAvailable` or `maxUnavailable`.
    pub fn guard(&mut self, namespace: &str, name: &str, app: &str, rule: (&str, Value)) {
        let mut spec = json!({ "selector": { "matchLabels": { "app": app } } });
        spec[rule.0] = rule.1;
        let _ = self.store.create(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": { "namespace": namespace, "name": name }, "spec": spec, "status": { "disruptionsAllowed": 0 }
        }));
    }

    pub(super) fn budgets_of_changed(&mut self, old: Option<&Pod>, new: Option<&Pod>) {
        // What nobody counts changes no budget.
        let counts = |pod: &Pod| (pod.ready, pod.deletion, pod.labels.clone(), pod.finished(), pod.owner.is_some());
        if old.map(counts) == new.map(counts) {
            return;
        }
        for (key, budget) in &self.budgets {
            if old.is_some_and(|pod| budget.covers(pod)) || new.is_some_and(|pod| budget.covers(pod)) {
                self.dirty_budgets.insert(key.clone());
            }
        }
        self.wake_budgets();
    }

    pub(super) fn count_budgets(&mut self) {
        self.counting = false;
        for (namespace, name) in std::mem::take(&mut self.dirty_budgets) {
            let Some(budget) = self.budgets.get(&(namespace.clone(), name.clone())) else { continue };
            let mut keys: Vec<PodKey> =
                self.live.iter().filter(|(_, pod)| budget.covers(pod)).map(|(key, _)| key.clone()).collect();
            keys.sort();
            let pods: Vec<Value> = keys.iter().filter_map(|key| self.store.get("pods", &key.0, &key.1)).collect();
            let Some(old) = self.store.get("poddisruptionbudgets.policy", &namespace, &name) else { continue };
            let find = |owner: &Owner| -> Option<Value> {
                let resource = match owner.kind.as_str() {
                    "ReplicaSet" => "replicasets.apps",
                    "Deployment" => "deployments.apps",
                    _ => return None,
                };
                self.store.get(resource, &namespace, &owner.name)
            };
            let stamp: jiff::Timestamp =
                jiff::Timestamp::from_millisecond(i64::try_from(self.now.0).unwrap_or(i64::MAX)).unwrap_or_default();
            let status = disruption::status(&old, &pods, &find, stamp);
            if old["status"] != status {
                self.update("poddisruptionbudgets.policy", (&namespace, &name), |budget| budget["status"] = status);
            }
            // An evicted pod that stays counts again after two minutes.
            if old["status"]["disruptedPods"].as_object().is_some_and(|pods| !pods.is_empty()) {
                self.after(Millis::from_secs(121), Event::Recount((namespace, name)));
            }
        }
    }

    /// A budget is counted again, whatever has changed.
    pub(super) fn recount(&mut self, budget: PodKey) {
        self.dirty_budgets.insert(budget);
        self.wake_budgets();
    }

    fn wake_budgets(&mut self) {
        if !self.counting && !self.dirty_budgets.is_empty() {
            self.counting = true;
            self.after(self.pace.budgets, Event::Budgets);
        }
    }
}
