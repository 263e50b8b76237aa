//! Verdicts of kube-scheduler's own test suite, for the filters that are simulated.
//!
//! `PLIMSOLL_PEER_CASES` names the folder of cases; without it there is nothing to compare with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read is a failing test")]

use std::path::PathBuf;

use plimsoll_kube::read_stream;
use plimsoll_model::Snapshot;
use plimsoll_scheduler::{NodeState, why_not};
use serde_json::{Value, json};

/// File, the filter it is about, and how many cases it must have at least.
const FILES: [(&str, &str, usize); 6] = [
    ("kube_fit.json", "NodeResourcesFit", 50),
    ("kube_nodeaffinity.json", "NodeAffinity", 30),
    ("kube_nodename.json", "NodeName", 3),
    ("kube_ports.json", "NodePorts", 13),
    ("kube_taints.json", "TaintToleration", 9),
    ("kube_unschedulable.json", "NodeUnschedulable", 3),
];

/// Cases that need what is not simulated: scheduler plugin configuration.
const NOT_SIMULATED: [&str; 1] = ["needs-plugin-config"];

#[test]
fn filters_agree_with_kube_scheduler() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else {
        println!("PLIMSOLL_PEER_CASES is not set: nothing to compare with");
        return;
    };
    let mut differences = Vec::new();
    for (file, filter, least) in FILES {
        let path = folder.join("scheduling").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(cases.len() >= least, "{file} has {} cases, fewer than {least}", cases.len());
        let mut compared = 0;
        for case in &cases {
            let tags: Vec<&str> = case["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if tags.iter().any(|tag| NOT_SIMULATED.contains(tag)) {
                continue;
            }
            compared += 1;
            differences.extend(compare(case, filter));
        }
        println!("{file}: {compared} of {} cases compared", cases.len());
        assert!(compared * 10 >= cases.len() * 8, "{file}: only {compared} of {} cases are compared", cases.len());
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

fn compare(case: &Value, filter: &str) -> Vec<String> {
    let id = case["id"].as_str().unwrap_or("?");
    let mut items = Vec::new();
    for key in ["namespaces", "nodes", "existing_pods"] {
        items.extend(case[key].as_array().into_iter().flatten().cloned());
    }
    items.push(case["pod"].clone());
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let dump = read_stream(id, list.as_bytes()).unwrap_or_else(|error| panic!("{id}: {error}"));
    if let Some(broken) = dump.account.broken.first() {
        return vec![format!("{id}: {broken}")];
    }
    let snapshot = &dump.snapshot;
    let name = case["pod"]["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = case["pod"]["metadata"]["namespace"].as_str().unwrap_or("default");
    let (_, pod) = snapshot.pods().find(|(_, pod)| &*pod.name == name && pod.namespace == *namespace).unwrap();
    let mut differences = Vec::new();
    for (node, expected) in case["expect"].as_object().into_iter().flatten() {
        let expected_fits = expected["verdict"] == "fits";
        let state = without(snapshot, node, name);
        let rejections = why_not(&pod.shape, pod.node.as_ref(), &state);
        let by_filter: Vec<&str> =
            rejections.iter().filter(|r| r.filter.name() == filter).map(|r| r.reason.as_str()).collect();
        if by_filter.is_empty() != expected_fits {
            differences.push(format!(
                "{id} ({}) on {node}: expected {}, got {by_filter:?}",
                case["name"], expected["verdict"]
            ));
        }
    }
    differences
}

/// The node as it is before the pod in question comes.
fn without(snapshot: &Snapshot, node: &str, pod: &str) -> NodeState {
    let (id, row) = snapshot.find_node(node).unwrap();
    let mut state = NodeState {
        name: row.name.clone(),
        labels: row.labels.clone(),
        taints: row.taints.clone(),
        unschedulable: row.unschedulable,
        free: row.allocatable.clone(),
        ports: Vec::new(),
    };
    for &other in snapshot.pods_on(id) {
        let other = snapshot.pod(other);
        if &*other.name != pod {
            state.add(&other.shape, 1);
        }
    }
    state
}
