//! What fields of leases and disruption budgets may hold, and which kinds are only updated under a resourceVersion.

use serde_json::{Value, json};

use super::refusal::{Cause, Refusal, Target};

/// Whether an object may be created like this.
pub fn create(target: &Target<'_>, object: &Value) -> Result<(), Refusal> {
    let causes = match (target.group, target.resource) {
        ("coordination.k8s.io", "leases") => of_lease(object),
        ("policy", "poddisruptionbudgets") => of_budget(object),
        _ => Vec::new(),
    };
    if causes.is_empty() { Ok(()) } else { Err(target.invalid(&causes)) }
}

/// Whether an object may be replaced by this one. `new` still holds the resourceVersion that was sent.
pub fn update(target: &Target<'_>, new: &Value) -> Result<(), Refusal> {
    let version = new.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    if needs_version(target) && matches!(version, "" | "0") {
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        return Err(Refusal::invalid(target.resource, target.group, target.name, &[cause]));
    }
    create(target, new)
}

/// Whether objects of this kind are only replaced under a resourceVersion (`AllowUnconditionalUpdate` false).
pub fn needs_version(target: &Target<'_>) -> bool {
    target.custom
        || matches!(
            (target.group, target.resource),
            ("coordination.k8s.io", "leases")
                | ("policy", "poddisruptionbudgets")
                | ("storage.k8s.io", "csinodes" | "volumeattachments")
                | ("apiextensions.k8s.io", "customresourcedefinitions")
                | ("apiregistration.k8s.io", "apiservices")
        )
}

fn of_lease(lease: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &lease["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        let value = &spec["leaseDurationSeconds"];
        causes.push(Cause::invalid("spec.leaseDurationSeconds", value, "must be greater than 0"));
    }
    causes.extend(not_negative(spec, "spec", &["leaseTransitions"]));
    causes
}

fn of_budget(budget: &Value) -> Vec<Cause> {
    let spec = &budget["spec"];
    let mut causes = Vec::new();
    let given = |field: &str| !spec[field].is_null();
    if given("minAvailable") && given("maxUnavailable") {
        causes.push(Cause::invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        let bound = &spec[field];
        let at = format!("spec.{field}");
        if bound.as_i64().is_some_and(|number| number < 0) {
            causes.push(Cause::invalid(at, bound, "must be greater than or equal to 0"));
        } else if let Some(text) = bound.as_str() {
            let digits = text.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                           regex used for validation is '[0-9]+%')";
                causes.push(Cause::invalid(at, bound, why));
            } else if digits.parse::<u64>().is_ok_and(|percent| percent > 100) {
                causes.push(Cause::invalid(at, bound, "must not be greater than 100%"));
            }
        }
    }
    let policy = &spec["unhealthyPodEvictionPolicy"];
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    if !policy.is_null() && !policy.as_str().is_some_and(|policy| policies.contains(&policy)) {
        causes.push(Cause::unsupported("spec.unhealthyPodEvictionPolicy", policy, &policies));
    }
    let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
    causes.extend(not_negative(&budget["status"], "status", &counts));
    causes
}

fn not_negative(object: &Value, at: &str, fields: &[&str]) -> Vec<Cause> {
    let negative = |field: &&&str| object[**field].as_i64().is_some_and(|number| number < 0);
    let cause =
        |field: &&str| Cause::invalid(format!("{at}.{field}"), &object[*field], "must be greater than or equal to 0");
    fields.iter().filter(negative).map(cause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Target<'static> = Target {
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        resource: "leases",
        name: "l1",
        custom: false,
    };
    const BUDGET: Target<'static> = Target {
        group: "policy",
        version: "v1",
        kind: "PodDisruptionBudget",
        resource: "poddisruptionbudgets",
        name: "b3",
        custom: false,
    };
    const POD: Target<'static> =
        Target { group: "", version: "v1", kind: "Pod", resource: "pods", name: "p", custom: false };

    #[test]
    fn leases_are_replaced_under_a_version_only() {
        let refusal = update(&LEASE, &json!({ "metadata": {} })).unwrap_err();
        assert_eq!(refusal.code, 422);
        assert_eq!(
            refusal.message,
            "leases.coordination.k8s.io \"l1\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        );
        assert!(update(&LEASE, &json!({ "metadata": { "resourceVersion": "7" } })).is_ok());
        assert!(update(&POD, &json!({ "metadata": {} })).is_ok());
        assert!(update(&Target { custom: true, ..POD }, &json!({ "metadata": {} })).is_err());
    }

    #[test]
    fn fields_are_checked() {
        for (target, object, problem) in [
            (
                LEASE,
                json!({ "spec": { "leaseDurationSeconds": 0 } }),
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            ),
            (LEASE, json!({ "spec": { "leaseTransitions": -1 } }), "must be greater than or equal to 0"),
            (
                BUDGET,
                json!({ "spec": { "minAvailable": 1, "maxUnavailable": 1 } }),
                "minAvailable and maxUnavailable cannot be both set",
            ),
            (BUDGET, json!({ "spec": { "minAvailable": "x%" } }), "a valid percent string must be"),
            (BUDGET, json!({ "spec": { "minAvailable": "101%" } }), "must not be greater than 100%"),
            (BUDGET, json!({ "spec": { "maxUnavailable": -1 } }), "spec.maxUnavailable: Invalid value: -1"),
            (
                BUDGET,
                json!({ "spec": { "unhealthyPodEvictionPolicy": "Foo" } }),
                "supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
            (
                BUDGET,
                json!({ "spec": {}, "status": { "disruptionsAllowed": -1 } }),
                "status.disruptionsAllowed: Invalid value: -1",
            ),
        ] {
            let refusal = create(&target, &object).unwrap_err();
            assert!(refusal.message.contains(problem), "{}", refusal.message);
        }
        assert!(create(&BUDGET, &json!({ "spec": { "minAvailable": "50%" } })).is_ok());
        assert!(create(&LEASE, &json!({ "spec": { "leaseDurationSeconds": 15 } })).is_ok());
    }
}
