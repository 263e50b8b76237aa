//! The disruption controller: budgets count their pods.

use serde_json::Value;

use super::Turn;
use super::object::{self, name, namespace};
use crate::semantics::disruption::{self, Owner};

pub(super) fn step(turn: &mut Turn<'_>) {
    for budget in turn.view.all("poddisruptionbudgets.policy") {
        let here = |object: &&Value| namespace(object) == namespace(budget);
        let pods: Vec<Value> = turn.view.all("pods").iter().filter(here).cloned().collect();
        let find = |owner: &Owner| -> Option<Value> {
            let resource = match owner.kind.as_str() {
                "ReplicaSet" => "replicasets.apps",
                "Deployment" => "deployments.apps",
                "StatefulSet" => "statefulsets.apps",
                "DaemonSet" => "daemonsets.apps",
                _ => return None,
            };
            turn.view.all(resource).iter().filter(here).find(|object| name(object) == owner.name).cloned()
        };
        let status = disruption::status(budget, &pods, &find, turn.now);
        let mut counted = budget.clone();
        object::set_status(&mut counted, serde_json::json!({ "disruptedPods": null }));
        object::set_status(&mut counted, status);
        turn.replace(budget, counted);
    }
}
