//! Deployments: the replica set of the present template grows, older ones go once it stands.

use serde_json::{Value, json};

use super::{generation, wanted};
use crate::semantics::condition::{self, Condition};
use crate::world::Turn;
use crate::world::object::{self, is_controlled_by, name, namespace, short_hash};

const HASH: &str = "pod-template-hash";

pub(super) fn step(deployment: &Value, turn: &mut Turn<'_>) {
    let template = deployment.pointer("/spec/template").unwrap_or(&Value::Null);
    let hash = short_hash(&template.to_string());
    let sets: Vec<&Value> =
        turn.view.all("replicasets.apps").iter().filter(|set| is_controlled_by(set, deployment)).collect();
    let replicas = wanted(deployment);
    let (present, older): (Vec<&Value>, Vec<&Value>) = sets
        .iter()
        .copied()
        .partition(|set| set.pointer("/metadata/labels").is_some_and(|labels| labels[HASH] == *hash));
    let count = |set: &Value, field: &str| set["status"][field].as_i64().unwrap_or_default();
    match present.first() {
        None => turn.create(replica_set_of(deployment, template, &hash, replicas)),
        Some(set) => {
            scale(set, replicas, turn);
            if count(set, "availableReplicas") >= replicas {
                older.iter().for_each(|set| scale(set, 0, turn));
            }
        }
    }
    let sum = |field: &str| sets.iter().fold(0_i64, |sum, set| sum.saturating_add(count(set, field)));
    let (all, ready, available) = (sum("replicas"), sum("readyReplicas"), sum("availableReplicas"));
    let mut counted = deployment.clone();
    let or_none = |number: i64| if number == 0 { Value::Null } else { number.into() };
    object::set_status(
        &mut counted,
        json!({
            "observedGeneration": generation(deployment), "replicas": or_none(all), "readyReplicas": or_none(ready),
            "availableReplicas": or_none(available), "unavailableReplicas": or_none((replicas - available).max(0)),
            "updatedReplicas": or_none(present.first().map_or(0, |set| count(set, "replicas")))
        }),
    );
    // A quarter may be missing, rounded down: the default of a rolling update.
    let enough = available >= replicas - replicas / 4;
    let (reason, message) = match enough {
        true => ("MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let at = turn.now;
    condition::set_of(&mut counted, Condition { kind: "Available", status: enough, reason, message }, None, at);
    let done = present.first().is_some_and(|set| count(set, "availableReplicas") >= replicas);
    let reason = if done { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" };
    condition::set_of(&mut counted, Condition { kind: "Progressing", status: true, reason, message: "" }, None, at);
    turn.replace(deployment, counted);
}

fn scale(set: &Value, replicas: i64, turn: &mut Turn<'_>) {
    if wanted(set) != replicas {
        let mut scaled = set.clone();
        if let Some(spec) = scaled.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("replicas".to_owned(), replicas.into());
        }
        turn.replace(set, scaled);
    }
}

fn replica_set_of(deployment: &Value, template: &Value, hash: &str, replicas: i64) -> Value {
    let labelled = |labels: Option<&Value>| {
        let mut labels = labels.and_then(Value::as_object).cloned().unwrap_or_default();
        labels.insert(HASH.to_owned(), hash.into());
        Value::Object(labels)
    };
    let labels = labelled(template.pointer("/metadata/labels"));
    let mut selector =
        deployment.pointer("/spec/selector").filter(|one| one.is_object()).cloned().unwrap_or_else(|| json!({}));
    selector["matchLabels"] = labelled(selector.get("matchLabels"));
    let mut own_template = if template.is_object() { template.clone() } else { json!({}) };
    if !own_template["metadata"].is_object() {
        own_template["metadata"] = json!({});
    }
    own_template["metadata"]["labels"] = labels.clone();
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment), "labels": labels,
            "ownerReferences": object::owner_reference("apps/v1", "Deployment", deployment)
        },
        "spec": { "replicas": replicas, "selector": selector, "template": own_template },
        "status": { "replicas": 0 }
    })
}
