//! The status of disruption budgets, as the disruption controller computes it.
//!
//! Follows `pkg/controller/disruption/disruption.go` in Kubernetes 1.36.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::condition::{self, Condition};
use super::time;
use crate::selector::LabelSelector;

/// A pod that was evicted but is still there after this long counts as available again.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// The controller of a pod or of a replica set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `apps/v1` and the like.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name, in the same namespace.
    pub name: String,
    /// UID; an object of the name with another UID is not the owner.
    pub uid: String,
}

// === impl Owner ===

impl Owner {
    /// The controller of an object, if it has one.
    pub fn controller_of(object: &Value) -> Option<Self> {
        let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|owner| owner["controller"] == true)?;
        let text = |field: &str| owner[field].as_str().unwrap_or_default().to_owned();
        Some(Self { api_version: text("apiVersion"), kind: text("kind"), name: text("name"), uid: text("uid") })
    }

    fn is_of(&self, group: &str, kind: &str) -> bool {
        self.kind == kind && self.api_version.split_once('/').map_or("", |(group, _)| group) == group
    }
}

/// The status of a budget, given the pods of its namespace and how to look up controllers there.
pub fn status(pdb: &Value, pods: &[Value], find: &dyn Fn(&Owner) -> Option<Value>, now: Timestamp) -> Value {
    let old = match pdb.get("status") {
        Some(Value::Object(status)) => Value::Object(status.clone()),
        _ => json!({}),
    };
    match sync(pdb, pods, find, now) {
        Ok(status) => status,
        Err(problem) => failed(old, &problem, now),
    }
}

fn sync(pdb: &Value, pods: &[Value], find: &dyn Fn(&Owner) -> Option<Value>, now: Timestamp) -> Result<Value, String> {
    let selector = pdb.pointer("/spec/selector").unwrap_or(&Value::Null);
    let selector = LabelSelector::from_json(selector).map_err(|refusal| refusal.message)?;
    let pods: Vec<&Value> = pods.iter().filter(|pod| selector.matches(pod)).collect();
    let (expected, desired) = expected_and_desired(pdb, &pods, find)?;
    let disrupted = disrupted(pdb, &pods, now);
    let healthy = pods.iter().filter(|pod| {
        pod["metadata"]["deletionTimestamp"].is_null()
            && !pod["metadata"]["name"].as_str().is_some_and(|name| disrupted.contains_key(name))
            && condition::holds(pod, "Ready")
    });
    let healthy = i64::try_from(healthy.count()).unwrap_or(i64::MAX);
    let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
    let generation = pdb.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    let mut new = json!({ "status": {
        "observedGeneration": generation, "disruptionsAllowed": allowed, "currentHealthy": healthy,
        "desiredHealthy": desired, "expectedPods": expected
    } });
    if !disrupted.is_empty() {
        new["status"]["disruptedPods"] = Value::Object(disrupted);
    }
    if let Some(conditions) = pdb.pointer("/status/conditions") {
        new["status"]["conditions"] = conditions.clone();
    }
    set_allowed_condition(&mut new, now);
    Ok(new["status"].take())
}

/// Says in a condition whether a disruption is allowed.
pub(super) fn set_allowed_condition(budget: &mut Value, now: Timestamp) {
    let allowed = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or_default() > 0;
    let reason = if allowed { "SufficientPods" } else { "InsufficientPods" };
    let generation = budget["status"]["observedGeneration"].as_i64();
    let condition = Condition { kind: "DisruptionAllowed", status: allowed, reason, message: "" };
    condition::set_of(budget, condition, generation, now);
}

/// What is left when nothing can be computed: no disruption is allowed.
fn failed(status: Value, problem: &str, now: Timestamp) -> Value {
    let mut budget = json!({ "status": status });
    budget["status"]["disruptionsAllowed"] = 0.into();
    for field in ["currentHealthy", "desiredHealthy", "expectedPods"] {
        if !budget["status"][field].is_i64() {
            budget["status"][field] = 0.into();
        }
    }
    let generation = budget["status"]["observedGeneration"].as_i64();
    let condition = Condition { kind: "DisruptionAllowed", status: false, reason: "SyncFailed", message: problem };
    condition::set_of(&mut budget, condition, generation, now);
    budget["status"].take()
}

/// How many pods there should be, and how many must stay healthy.
fn expected_and_desired(
    pdb: &Value,
    pods: &[&Value],
    find: &dyn Fn(&Owner) -> Option<Value>,
) -> Result<(i64, i64), String> {
    let bound = |field: &str| pdb["spec"].get(field).filter(|bound| !bound.is_null());
    if let Some(bound) = bound("maxUnavailable") {
        let expected = expected_scale(pods, find)?;
        return Ok((expected, (expected - scaled(bound, expected)?).max(0)));
    }
    match bound("minAvailable") {
        None => Ok((0, 0)),
        Some(bound) => match bound.as_i64() {
            Some(number) => Ok((i64::try_from(pods.len()).unwrap_or(i64::MAX), number)),
            None => {
                let expected = expected_scale(pods, find)?;
                Ok((expected, scaled(bound, expected)?))
            }
        },
    }
}

/// A number, or a percentage rounded up.
fn scaled(bound: &Value, total: i64) -> Result<i64, String> {
    if let Some(number) = bound.as_i64() {
        return Ok(number);
    }
    let text = bound.as_str().unwrap_or_default();
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<u32>().ok());
    let percent = percent
        .ok_or_else(|| format!("invalid value for IntOrString: invalid type: string is not a percentage: {text:?}"))?;
    let exact = i64::from(percent).saturating_mul(total);
    Ok(exact / 100 + i64::from(exact % 100 > 0))
}

/// The replicas of all controllers of these pods. Pods without one do not count.
fn expected_scale(pods: &[&Value], find: &dyn Fn(&Owner) -> Option<Value>) -> Result<i64, String> {
    let mut owners: BTreeMap<String, i64> = BTreeMap::new();
    let mut seen: BTreeMap<String, ()> = BTreeMap::new();
    for pod in pods {
        let Some(owner) = Owner::controller_of(pod) else { continue };
        if seen.insert(owner.uid.clone(), ()).is_some() {
            continue;
        }
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let Some((uid, replicas)) = scale_of(&owner, find)? else {
            return Err(format!("found no controllers for pod {name:?}"));
        };
        owners.insert(uid, replicas);
    }
    Ok(owners.values().fold(0, |sum, replicas| sum.saturating_add(*replicas)))
}

/// UID and replicas of what scales the pods of this owner: the deployment, where it is the replica set of one.
fn scale_of(owner: &Owner, find: &dyn Fn(&Owner) -> Option<Value>) -> Result<Option<(String, i64)>, String> {
    let same = |owner: &Owner| {
        find(owner).filter(|object| object.pointer("/metadata/uid").and_then(Value::as_str) == Some(&owner.uid))
    };
    let Some(object) = same(owner) else { return Ok(None) };
    let (mut owner, mut object) = (owner.clone(), object);
    if owner.is_of("apps", "ReplicaSet")
        && let Some(above) = Owner::controller_of(&object)
        && above.is_of("apps", "Deployment")
    {
        let Some(deployment) = same(&above) else { return Ok(None) };
        (owner, object) = (above, deployment);
    }
    if matches!(owner.kind.as_str(), "DaemonSet" | "Job" | "Node") {
        let resource = format!("{}s", owner.kind.to_lowercase());
        let group = owner.api_version.split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
        return Err(format!("{resource}{group} does not implement the scale subresource"));
    }
    // A number of replicas that is not written is one.
    let replicas = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    Ok(Some((owner.uid, replicas)))
}

/// The evicted pods that are still to go, with the time of their eviction.
fn disrupted(pdb: &Value, pods: &[&Value], now: Timestamp) -> Map<String, Value> {
    let Some(noted) = pdb.pointer("/status/disruptedPods").and_then(Value::as_object) else { return Map::new() };
    let waiting = |pod: &&&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let names = pods.iter().filter(waiting).filter_map(|pod| pod["metadata"]["name"].as_str());
    names
        .filter_map(|name| noted.get_key_value(name))
        .filter(|(_, since)| time::read(Some(since)).is_some_and(|since| now.duration_since(since) <= DELETION_TIMEOUT))
        .map(|(name, since)| (name.clone(), since.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn owned(object: &mut Value, kind: &str, name: &str) {
        object["metadata"]["ownerReferences"] =
            json!([{ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true }]);
    }

    fn pods(ready: usize, others: usize) -> Vec<Value> {
        (0..ready + others)
            .map(|index| {
                let mut pod = json!({
                    "metadata": { "name": format!("p{index}"), "labels": { "app": "web" } },
                    "status": { "conditions": [{ "type": "Ready", "status": if index < ready { "True" } else { "False" } }] }
                });
                owned(&mut pod, "ReplicaSet", "rs");
                pod
            })
            .collect()
    }

    fn pdb(spec: Value) -> Value {
        let mut pdb = json!({ "metadata": { "generation": 3 }, "spec": spec });
        pdb["spec"]["selector"] = json!({ "matchLabels": { "app": "web" } });
        pdb
    }

    fn find(owner: &Owner) -> Option<Value> {
        let mut object = json!({ "metadata": { "uid": owner.uid }, "spec": { "replicas": 7 } });
        match owner.kind.as_str() {
            "ReplicaSet" if owner.name == "rs" => owned(&mut object, "Deployment", "web"),
            "Deployment" => object["spec"]["replicas"] = 10.into(),
            "StatefulSet" | "ReplicaSet" | "DaemonSet" => {}
            _ => return None,
        }
        Some(object)
    }

    fn numbers(status: &Value) -> (i64, i64, i64, i64) {
        let number = |field: &str| status[field].as_i64().unwrap();
        (number("expectedPods"), number("desiredHealthy"), number("currentHealthy"), number("disruptionsAllowed"))
    }

    #[test]
    fn bounds_are_numbers_or_percentages() {
        for (spec, ready, others, expected) in [
            (json!({ "minAvailable": 2 }), 3, 1, (4, 2, 3, 1)),
            (json!({ "minAvailable": 5 }), 3, 1, (4, 5, 3, 0)),
            (json!({ "minAvailable": 0 }), 0, 0, (0, 0, 0, 0)),
            (json!({ "minAvailable": "25%" }), 9, 1, (10, 3, 9, 6)),
            (json!({ "maxUnavailable": 1 }), 10, 0, (10, 9, 10, 1)),
            (json!({ "maxUnavailable": "25%" }), 9, 1, (10, 7, 9, 2)),
            (json!({ "maxUnavailable": "100%" }), 3, 0, (10, 0, 3, 3)),
            (json!({ "maxUnavailable": 20 }), 3, 0, (10, 0, 3, 3)),
            (json!({}), 3, 0, (0, 0, 3, 0)),
        ] {
            let status = status(&pdb(spec.clone()), &pods(ready, others), &find, at(0));
            assert_eq!(numbers(&status), expected, "{spec}");
            assert_eq!(status["observedGeneration"], 3);
            let reason = if expected.3 > 0 { "SufficientPods" } else { "InsufficientPods" };
            assert_eq!(status["conditions"][0]["reason"], reason);
        }
    }

    #[test]
    fn replicas_are_those_of_the_controllers() {
        let mut of_stateful_set = pods(4, 0);
        of_stateful_set.iter_mut().for_each(|pod| owned(pod, "StatefulSet", "db"));
        let mut mixed = of_stateful_set.clone();
        owned(&mut mixed[0], "ReplicaSet", "alone");
        let mut unmanaged = pods(2, 0);
        unmanaged[0]["metadata"]["ownerReferences"] = json!([]);
        for (pods, expected) in [(of_stateful_set, 7), (mixed, 14), (unmanaged, 10)] {
            let status = status(&pdb(json!({ "maxUnavailable": 1 })), &pods, &find, at(0));
            assert_eq!(status["expectedPods"], expected);
        }
    }

    #[test]
    fn what_cannot_be_computed_allows_nothing() {
        for (kind, spec, problem) in [
            ("Machine", json!({ "maxUnavailable": 1 }), "found no controllers for pod \"p0\""),
            ("DaemonSet", json!({ "minAvailable": "5%" }), "daemonsets.apps does not implement the scale subresource"),
            ("StatefulSet", json!({ "maxUnavailable": "many" }), "invalid value for IntOrString"),
        ] {
            let mut pods = pods(2, 0);
            pods.iter_mut().for_each(|pod| owned(pod, kind, "x"));
            let mut pdb = pdb(spec);
            pdb["status"] = json!({ "disruptionsAllowed": 4, "observedGeneration": 1 });
            let status = status(&pdb, &pods, &find, at(0));
            assert_eq!(status["disruptionsAllowed"], 0);
            assert_eq!(status["observedGeneration"], 1, "a generation that was not understood is not observed");
            assert_eq!(status["conditions"][0]["reason"], "SyncFailed");
            assert!(status["conditions"][0]["message"].as_str().unwrap().contains(problem), "{status}");
        }
    }

    #[test]
    fn evicted_pods_do_not_count_until_they_are_late() {
        let mut pdb = pdb(json!({ "minAvailable": 1 }));
        pdb["status"] = json!({ "disruptedPods": { "p0": "1970-01-01T00:00:00Z", "p1": "1970-01-01T00:02:00Z", "gone": "1970-01-01T00:02:00Z" } });
        let status = status(&pdb, &pods(4, 0), &find, at(125));
        assert_eq!(numbers(&status), (4, 1, 3, 2));
        assert_eq!(status["disruptedPods"], json!({ "p1": "1970-01-01T00:02:00Z" }));
        let mut leaving = pods(4, 0);
        leaving[1]["metadata"]["deletionTimestamp"] = "1970-01-01T00:02:05Z".into();
        let status = super::status(&pdb, &leaving, &find, at(125));
        assert_eq!(numbers(&status), (4, 1, 3, 2));
        assert_eq!(status.get("disruptedPods"), None);
    }

    #[test]
    fn the_same_again_is_the_same() {
        let mut pdb = pdb(json!({ "minAvailable": 1 }));
        let first = status(&pdb, &pods(4, 0), &find, at(0));
        pdb["status"] = first.clone();
        assert_eq!(status(&pdb, &pods(4, 0), &find, at(500)), first);
    }
}
