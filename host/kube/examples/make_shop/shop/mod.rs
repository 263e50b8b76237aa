//! A web shop's cluster, as `kubectl get ... -A -o yaml` would print it.
//!
//! ```text
//!   nodes ── machines
//!     │
//!   workloads (tables) ──> placement ──> pods        budgets, signing requests, namespaces
//! ```

mod budgets;
mod identity;
mod nodes;
mod pending;
mod placement;
mod pods;
mod signing_requests;
mod workloads;
mod yaml;

use serde_json::{Value, json};

/// The whole dump.
pub fn cluster() -> String {
    let mut items: Vec<Value> = namespaces();
    items.extend(nodes::NODES.iter().map(nodes::node));
    items.extend(nodes::machines());
    let mut pods = workloads::pods();
    pods.extend(pending::pods());
    pods.sort_by_key(|pod| (pod["metadata"]["namespace"].to_string(), pod["metadata"]["name"].to_string()));
    items.extend(pods);
    items.extend(budgets::budgets());
    items.extend(signing_requests::signing_requests());
    for (item, version) in items.iter_mut().zip(7_310_000u64..) {
        item["metadata"]["resourceVersion"] = json!(version.to_string());
    }
    let list = json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}});
    let heading =
        "# A made-up web shop, written by `cargo run -p plimsoll-kube --example make_shop`. Do not edit it by hand.\n";
    format!("{heading}{}", yaml::document(&list))
}

fn namespaces() -> Vec<Value> {
    ["kube-system", "shop", "data", "monitoring", "batch", "ingress", "plimsoll-system"]
        .iter()
        .map(|name| {
            json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "creationTimestamp": identity::before(400 * 86_400),
                    "labels": {"kubernetes.io/metadata.name": name},
                    "name": name,
                    "uid": identity::uid(name),
                },
                "status": {"phase": "Active"},
            })
        })
        .collect()
}
