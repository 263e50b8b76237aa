//! Evictions (`policy/v1`): may this pod go, and what of its disruption budget is used up?
//!
//! The order of the rules is that of `pkg/registry/core/pod/storage/eviction.go` in Kubernetes 1.36.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::condition::{self, Condition};
use super::refusal::{Cause, Refusal};
use super::{disruption, time};
use crate::selector::LabelSelector;

/// More disrupted pods than this must be confirmed before another pod goes.
const MAX_DISRUPTED_PODS: usize = 2000;

const BLOCKED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// An eviction that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name in the path.
    pub name: &'a str,
    /// The pod.
    pub pod: &'a Value,
    /// The `Eviction` that was sent.
    pub body: &'a Value,
    /// Whether the query says `dryRun=All`.
    pub dry_run: bool,
    /// All disruption budgets of the namespace.
    pub budgets: &'a [Value],
    /// Now.
    pub now: Timestamp,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// First: this budget, with its new status; its resourceVersion is the one it was read with.
    pub budget: Option<Value>,
    /// Then: the pod is deleted, or the request refused after all. A real server has used up the budget by then, too.
    pub outcome: Result<Deletion, Refusal>,
}

/// How the pod is deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Deletion {
    /// Written before the deletion: the pod with its condition `DisruptionTarget`, under the resourceVersion it was read with.
    pub pod: Option<Value>,
    /// `metav1.DeleteOptions`. A precondition on the resourceVersion is gone where `pod` is written under it.
    pub options: Value,
    /// Nothing is to be written.
    pub dry_run: bool,
    /// What the client is told when the pod changed in between.
    pub on_conflict: Option<Refusal>,
}

/// Whether the pod must still be the one that was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// As the client says.
    None,
    /// Yes, unless the client names a version itself.
    UnlessDemanded,
    /// Yes, whatever version the client names.
    Always,
}

/// What a client is told of an eviction that was done, with code 201.
pub fn success() -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 })
}

/// Whether a pod may be evicted now.
pub fn decide(question: &Question<'_>) -> Result<Verdict, Refusal> {
    let Question { name, pod, body, now, .. } = *question;
    if body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default() != name {
        return Err(Refusal::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut options = match body.get("deleteOptions") {
        Some(Value::Object(options)) => Value::Object(options.clone()),
        _ => json!({}),
    };
    if options.get("preconditions").is_some_and(|preconditions| !preconditions.is_object()) {
        return Err(Refusal::bad_request("deleteOptions.preconditions must be an object"));
    }
    let listed = |options: &Value| options["dryRun"].as_array().is_some_and(|list| !list.is_empty());
    if question.dry_run && !listed(&options) {
        options["dryRun"] = json!(["All"]);
    }
    let dry_run = listed(&options);
    let demanded = options.pointer("/preconditions/resourceVersion").is_some_and(|version| !version.is_null());
    let deletion = |guard: Guard, budget: Option<&str>| -> Result<Deletion, Refusal> {
        let mut options = options.clone();
        if guard == Guard::Always || (guard == Guard::UnlessDemanded && !demanded) {
            options["preconditions"]["resourceVersion"] = pod["metadata"]["resourceVersion"].clone();
        }
        let on_conflict = budget.filter(|_| !demanded).map(still_processed);
        if dry_run {
            return Ok(Deletion { pod: None, options, dry_run, on_conflict });
        }
        check_preconditions(pod, &options)?;
        if let Some(preconditions) = options["preconditions"].as_object_mut() {
            preconditions.remove("resourceVersion");
        }
        if options["preconditions"].is_null()
            && let Some(options) = options.as_object_mut()
        {
            options.remove("preconditions");
        }
        let mut pod = pod.clone();
        let disrupted = Condition {
            kind: "DisruptionTarget",
            status: true,
            reason: "EvictionByEvictionAPI",
            message: "Eviction API: evicting",
        };
        condition::set_of_pod(&mut pod, disrupted, now);
        Ok(Deletion { pod: Some(pod), options, dry_run, on_conflict })
    };

    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    let ended = matches!(phase, "Succeeded" | "Failed") || !pod["metadata"]["deletionTimestamp"].is_null();
    if ended || phase == "Pending" {
        return Ok(Verdict {
            budget: None,
            outcome: deletion(if ended { Guard::None } else { Guard::UnlessDemanded }, None),
        });
    }
    let matching: Vec<&Value> = question.budgets.iter().filter(|budget| guards(budget, pod)).collect();
    let budget = match matching.as_slice() {
        [] => return Ok(Verdict { budget: None, outcome: deletion(Guard::None, None) }),
        [budget] => *budget,
        _ => {
            let message =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Refusal::new(500, "", message));
        }
    };
    let budget_name = budget.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if !condition::holds(pod, "Ready") {
        let policy = budget.pointer("/spec/unhealthyPodEvictionPolicy").and_then(Value::as_str);
        let desired = count(budget, "desiredHealthy");
        if policy == Some("AlwaysAllow") || (count(budget, "currentHealthy") >= desired && desired > 0) {
            return Ok(Verdict { budget: None, outcome: deletion(Guard::Always, Some(budget_name)) });
        }
    }
    let used = use_up(budget, budget_name, name, now)?;
    Ok(Verdict { budget: (!dry_run).then_some(used), outcome: deletion(Guard::None, None) })
}

/// Whether a budget is about this pod: of its namespace, with a selector that matches.
fn guards(budget: &Value, pod: &Value) -> bool {
    let selector = budget.pointer("/spec/selector").unwrap_or(&Value::Null);
    budget.pointer("/metadata/namespace") == pod.pointer("/metadata/namespace")
        && LabelSelector::from_json(selector).is_ok_and(|selector| selector.matches(pod))
}

/// The budget with one disruption less, if it allows one.
fn use_up(budget: &Value, budget_name: &str, pod_name: &str, now: Timestamp) -> Result<Value, Refusal> {
    let forbidden = |why| Err(Refusal::forbidden("policy", "poddisruptionbudget", budget_name, why));
    let generation = budget.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    if count(budget, "observedGeneration") < generation {
        return Err(still_processed(budget_name));
    }
    let allowed = count(budget, "disruptionsAllowed");
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    let disrupted = budget.pointer("/status/disruptedPods").and_then(Value::as_object);
    if disrupted.is_some_and(|pods| pods.len() > MAX_DISRUPTED_PODS) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        return Err(blocked(&why_blocked(budget, budget_name), 0));
    }
    let mut budget = budget.clone();
    budget["status"]["disruptionsAllowed"] = (allowed - 1).into();
    if allowed == 1 {
        disruption::set_allowed_condition(&mut budget, now);
    }
    if !budget["status"]["disruptedPods"].is_object() {
        budget["status"]["disruptedPods"] = json!({});
    }
    budget["status"]["disruptedPods"][pod_name] = time::seconds(now);
    Ok(budget)
}

fn why_blocked(budget: &Value, name: &str) -> String {
    let (current, desired) = (count(budget, "currentHealthy"), count(budget, "desiredHealthy"));
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let said = condition::find(budget, "DisruptionAllowed")
        .filter(|condition| condition["status"] == "False")
        .map(|condition| (text(condition, "reason"), text(condition, "message")))
        .filter(|(_, message)| !message.is_empty());
    match said {
        Some((reason, message)) if reason == "SyncFailed" => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
        ),
        _ if current <= desired => {
            format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently")
        }
        Some((reason, message)) => {
            format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {message}")
        }
        None => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

fn still_processed(budget: &str) -> Refusal {
    blocked(&format!("The disruption budget {budget} is still being processed by the server."), 10)
}

fn blocked(why: &str, retry_after: u64) -> Refusal {
    let cause = Cause { reason: "DisruptionBudget", message: why.to_owned(), field: String::new() };
    Refusal::too_many_requests(BLOCKED, retry_after).with_causes(&[cause])
}

fn check_preconditions(pod: &Value, options: &Value) -> Result<(), Refusal> {
    let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    for (field, called, hint) in [
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ] {
        let demanded = options["preconditions"][field].as_str().unwrap_or_default();
        let actual = pod["metadata"][field].as_str().unwrap_or_default();
        if !demanded.is_empty() && demanded != actual {
            let why = format!(
                "the {called} in the precondition ({demanded}) does not match the {called} in record ({actual}). {hint}"
            );
            return Err(Refusal::conflict("", "Pod", name, &why));
        }
    }
    Ok(())
}

/// A number in the status of a budget.
fn count(budget: &Value, field: &str) -> i64 {
    budget["status"][field].as_i64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T05:05:01Z".parse().unwrap()
    }

    fn pod(phase: &str, ready: bool) -> Value {
        json!({
            "metadata": { "name": "p", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "labels": { "app": "web" } },
            "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }] }
        })
    }

    fn budget(status: Value) -> Value {
        json!({
            "metadata": { "name": "b", "namespace": "shop", "generation": 2 },
            "spec": { "selector": { "matchLabels": { "app": "web" } } }, "status": status
        })
    }

    fn ask(pod: &Value, budgets: &[Value], options: Value) -> Result<Verdict, Refusal> {
        let body = json!({ "metadata": { "name": "p" }, "deleteOptions": options });
        decide(&Question { name: "p", pod, body: &body, dry_run: false, budgets, now: now() })
    }

    fn cause(refusal: &Refusal) -> String {
        refusal.details.as_ref().unwrap()["causes"][0]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_name_must_agree() {
        let body = json!({ "metadata": { "name": "q" } });
        let question =
            Question { name: "p", pod: &pod("Running", true), body: &body, dry_run: false, budgets: &[], now: now() };
        assert_eq!(decide(&question).unwrap_err().code, 400);
    }

    #[test]
    fn pods_that_disrupt_nobody_go_whatever_the_budget_says() {
        let closed = [budget(json!({ "observedGeneration": 2, "disruptionsAllowed": 0 }))];
        let mut leaving = pod("Running", true);
        leaving["metadata"]["deletionTimestamp"] = "2026-11-22T05:05:00Z".into();
        for (pod, guarded) in [
            (pod("Succeeded", false), false),
            (pod("Failed", false), false),
            (pod("Pending", false), true),
            (leaving, false),
        ] {
            let verdict = ask(&pod, &closed, json!({ "dryRun": ["All"] })).unwrap();
            let deletion = verdict.outcome.unwrap();
            assert_eq!(verdict.budget, None);
            assert_eq!(deletion.options.pointer("/preconditions/resourceVersion").is_some(), guarded, "{pod}");
            assert!(ask(&pod, &closed, json!({})).unwrap().outcome.unwrap().pod.is_some());
        }
    }

    #[test]
    fn without_a_budget_the_options_are_passed_on() {
        let verdict = ask(&pod("Running", true), &[], json!({ "gracePeriodSeconds": 7 })).unwrap();
        let deletion = verdict.outcome.unwrap();
        assert_eq!(deletion.options, json!({ "gracePeriodSeconds": 7 }));
        let condition = deletion.pod.unwrap()["status"]["conditions"][1].clone();
        assert_eq!(condition["reason"], "EvictionByEvictionAPI");
        assert_eq!(condition["lastTransitionTime"], "2026-11-22T05:05:01Z");
    }

    #[test]
    fn budgets_of_other_namespaces_and_without_a_selector_do_not_count() {
        let mut elsewhere = budget(json!({}));
        elsewhere["metadata"]["namespace"] = "other".into();
        let mut unselective = budget(json!({}));
        unselective["spec"] = json!({});
        let mut broken = budget(json!({}));
        broken["spec"]["selector"] = json!({ "matchExpressions": [{ "key": "a", "operator": "Near" }] });
        let verdict = ask(&pod("Running", true), &[elsewhere, unselective, broken], json!({})).unwrap();
        assert_eq!(verdict.budget, None);
        assert!(verdict.outcome.is_ok());
    }

    #[test]
    fn an_empty_selector_guards_every_pod() {
        let mut all = budget(json!({ "observedGeneration": 2 }));
        all["spec"]["selector"] = json!({});
        assert_eq!(ask(&pod("Running", true), &[all], json!({})).unwrap_err().code, 429);
    }

    #[test]
    fn two_budgets_are_an_error_of_the_server() {
        let budgets = [budget(json!({})), budget(json!({}))];
        let refusal = ask(&pod("Running", true), &budgets, json!({})).unwrap_err();
        assert_eq!((refusal.code, refusal.reason), (500, ""));
    }

    #[test]
    fn a_budget_blocks_with_its_reason() {
        let many: Map<String, Value> = (0..2001).map(|index| (format!("p{index}"), json!("x"))).collect();
        for (status, code, wait, text) in [
            (
                json!({ "observedGeneration": 1, "disruptionsAllowed": 5 }),
                429,
                Some(10),
                "The disruption budget b is still being processed by the server.",
            ),
            (
                json!({ "observedGeneration": 2, "disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 3 }),
                429,
                None,
                "The disruption budget b needs 3 healthy pods and has 2 currently",
            ),
            (
                json!({ "observedGeneration": 2, "currentHealthy": 4, "desiredHealthy": 3 }),
                429,
                None,
                "The disruption budget b does not allow evicting pods currently",
            ),
            (
                json!({ "observedGeneration": 2, "conditions": [
                    { "type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "found no controllers" }
                ] }),
                429,
                None,
                "The disruption budget b does not allow evicting pods currently because it failed sync: found no controllers",
            ),
            (json!({ "observedGeneration": 2, "disruptionsAllowed": -1 }), 403, None, ""),
            (json!({ "observedGeneration": 2, "disruptionsAllowed": 9, "disruptedPods": many }), 403, None, ""),
        ] {
            let refusal = ask(&pod("Running", true), &[budget(status)], json!({})).unwrap_err();
            assert_eq!((refusal.code, refusal.retry_after()), (code, wait), "{text}");
            if !text.is_empty() {
                assert_eq!(cause(&refusal), text);
            }
        }
    }

    #[test]
    fn one_disruption_is_used_up() {
        let open =
            json!({ "observedGeneration": 2, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2 });
        let verdict = ask(&pod("Running", true), &[budget(open.clone())], json!({})).unwrap();
        let status = verdict.budget.unwrap()["status"].clone();
        assert_eq!(status["disruptionsAllowed"], 0);
        assert_eq!(status["disruptedPods"], json!({ "p": "2026-11-22T05:05:01Z" }));
        assert_eq!(status["conditions"][0]["reason"], "InsufficientPods");
        assert!(verdict.outcome.is_ok());
        let dry = ask(&pod("Running", true), &[budget(open.clone())], json!({ "dryRun": ["All"] })).unwrap();
        assert_eq!(dry.budget, None);
        assert!(dry.outcome.unwrap().dry_run);
        let wrong = ask(&pod("Running", true), &[budget(open)], json!({ "preconditions": { "uid": "u2" } })).unwrap();
        assert!(wrong.budget.is_some(), "a real server has used it up by then");
        assert_eq!(wrong.outcome.unwrap_err().code, 409);
    }

    #[test]
    fn pods_that_are_not_ready_go_when_enough_others_are() {
        let enough = json!({ "observedGeneration": 2, "currentHealthy": 2, "desiredHealthy": 2 });
        let too_few = json!({ "observedGeneration": 2, "currentHealthy": 1, "desiredHealthy": 2 });
        let none = json!({ "observedGeneration": 2, "currentHealthy": 0, "desiredHealthy": 0 });
        let sick = pod("Running", false);
        let verdict = ask(&sick, &[budget(enough.clone())], json!({})).unwrap();
        assert_eq!(verdict.budget, None);
        assert_eq!(verdict.outcome.unwrap().on_conflict.unwrap().code, 429);
        for status in [too_few.clone(), none] {
            assert_eq!(ask(&sick, &[budget(status)], json!({})).unwrap_err().code, 429);
        }
        let mut always = budget(too_few);
        always["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow".into();
        assert!(ask(&sick, &[always], json!({})).unwrap().outcome.is_ok());
        let older = ask(&sick, &[budget(enough)], json!({ "preconditions": { "resourceVersion": "6" } })).unwrap();
        assert!(older.outcome.is_ok(), "the version of the client does not count here");
        let pending = ask(&pod("Pending", false), &[], json!({ "preconditions": { "resourceVersion": "6" } })).unwrap();
        assert_eq!(pending.outcome.unwrap_err().code, 409);
    }

    #[test]
    fn nonsense_in_the_objects_does_not_panic() {
        for pod in
            [json!(null), json!([]), json!({ "status": 5 }), json!({ "metadata": [], "status": { "conditions": {} } })]
        {
            let body = json!({ "metadata": { "name": "p" }, "deleteOptions": 7 });
            let budgets = [json!(5), json!({ "spec": 1, "status": [] })];
            for dry_run in [false, true] {
                let _ = decide(&Question { name: "p", pod: &pod, body: &body, dry_run, budgets: &budgets, now: now() });
            }
        }
    }
}
