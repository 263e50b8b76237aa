//! Pod disruption budgets.

use serde_json::{Value, json};

use super::identity::{before, uid};

/// Namespace, name, app, what the budget says, healthy now, needed, and evictions allowed now.
type Budget = (&'static str, &'static str, &'static str, (&'static str, &'static str), u64, u64, u64);

#[rustfmt::skip]
const BUDGETS: [Budget; 9] = [
    ("shop", "storefront", "storefront", ("minAvailable", "80%"), 14, 19, 0),
    ("shop", "checkout", "checkout", ("maxUnavailable", "50%"), 6, 5, 1),
    ("shop", "payments", "payments", ("minAvailable", "4"), 4, 4, 0),
    ("shop", "search", "search", ("maxUnavailable", "1"), 5, 4, 1),
    // Four of four must run, so nothing may be evicted.
    ("shop", "recommendation", "recommendation", ("minAvailable", "4"), 4, 4, 0),
    ("shop", "reviews", "reviews", ("minAvailable", "1"), 2, 1, 1),
    ("data", "postgres", "postgres", ("maxUnavailable", "1"), 3, 2, 1),
    ("data", "kafka", "kafka", ("maxUnavailable", "1"), 3, 2, 1),
    ("kube-system", "coredns", "coredns", ("maxUnavailable", "1"), 2, 1, 1),
];

/// All budgets, and one more by expression that covers pods which have a budget already.
pub fn budgets() -> Vec<Value> {
    let mut budgets: Vec<Value> = BUDGETS
        .iter()
        .map(|(namespace, name, app, rule, healthy, desired, allowed)| {
            budget(namespace, name, json!({"matchLabels": {"app": app}}), *rule, [*healthy, *desired, *allowed])
        })
        .collect();
    let by_expression =
        json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["reviews", "sitemap"]}]});
    budgets.push(budget("shop", "seo-pages", by_expression, ("maxUnavailable", "1"), [3, 2, 1]));
    budgets
}

fn budget(namespace: &str, name: &str, selector: Value, (field, bound): (&str, &str), counts: [u64; 3]) -> Value {
    let [healthy, desired, allowed] = counts;
    let mut spec = json!({"selector": selector});
    spec[field] = bound.parse::<u64>().map_or_else(|_| json!(bound), |number| json!(number));
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "creationTimestamp": before(120 * 86_400),
            "generation": 1,
            "name": name,
            "namespace": namespace,
            "uid": uid(&format!("{namespace}/budget/{name}")),
        },
        "spec": spec,
        "status": {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": healthy,
            "observedGeneration": 1,
        },
    })
}
