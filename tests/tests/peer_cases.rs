//! Verdicts of kube-scheduler's own test suite, for every filter, through the simulation.
//!
//! `PLIMSOLL_PEER_CASES` names the folder of cases; without it there is nothing to compare with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read is a failing test")]

use std::path::PathBuf;

use plimsoll_kube::{Dump, read_stream};
use plimsoll_model::{Pod, Snapshot, Text};
use plimsoll_scheduler::{SchedulerProfile, Simulation};
use serde_json::{Value, json};

/// File, the filter it is about, and how many cases it must have at least.
const FILES: [(&str, &str, usize); 8] = [
    ("kube_fit.json", "NodeResourcesFit", 54),
    ("kube_interpod.json", "InterPodAffinity", 44),
    ("kube_nodeaffinity.json", "NodeAffinity", 32),
    ("kube_nodename.json", "NodeName", 3),
    ("kube_ports.json", "NodePorts", 13),
    ("kube_spread.json", "PodTopologySpread", 36),
    ("kube_taints.json", "TaintToleration", 9),
    ("kube_unschedulable.json", "NodeUnschedulable", 3),
];

/// Cases that differ, each with the reason why ours is the better answer.
const DIFFERENT: [(&str, &str); 0] = [];

#[test]
fn filters_agree_with_kube_scheduler() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else {
        println!("PLIMSOLL_PEER_CASES is not set: nothing to compare with");
        return;
    };
    let mut differences = Vec::new();
    let mut excused = Vec::new();
    for (file, filter, least) in FILES {
        let path = folder.join("scheduling").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(cases.len() >= least, "{file} has {} cases, fewer than {least}", cases.len());
        let mut verdicts = 0;
        for case in &cases {
            assert_eq!(case["filter"], filter, "{file}");
            let id = case["id"].as_str().unwrap();
            let (compared, found) = compare(id, case);
            assert!(compared > 0, "{id} expects nothing");
            verdicts += compared;
            match DIFFERENT.iter().find(|(known, _)| *known == id) {
                Some(_) if !found.is_empty() => excused.push(id.to_owned()),
                _ => differences.extend(found),
            }
        }
        println!("{file}: {} cases, {verdicts} verdicts", cases.len());
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    let listed: Vec<&str> = DIFFERENT.iter().map(|(id, _)| *id).collect();
    assert_eq!(excused, listed, "every difference that is listed is still one");
}

/// How many verdicts were compared, and those that differ.
fn compare(id: &str, case: &Value) -> (usize, Vec<String>) {
    let filter = case["filter"].as_str().unwrap();
    let cluster: Vec<Value> = ["namespaces", "nodes", "existing_pods"]
        .iter()
        .flat_map(|key| case[key].as_array().into_iter().flatten())
        .filter(|object| !is_the_pod(object, &case["pod"]))
        .cloned()
        .collect();
    let snapshot = read(id, cluster).snapshot;
    let newcomer = read(id, vec![case["pod"].clone()]).snapshot;
    let pod = only_pod(&newcomer);
    let mut simulation = Simulation::with_profile(&snapshot, profile(id, &case["plugin_config"]));
    let class = simulation.class_of(&snapshot, pod);
    simulation.prepare(&[class]);

    let mut differences = Vec::new();
    let mut compared = 0;
    for (name, expected) in case["expect"].as_object().into_iter().flatten() {
        compared += 1;
        let (node, _) = snapshot.find_node(name).unwrap();
        let rejections = simulation.why_not(class, pod.node.as_ref(), node);
        let reported: Vec<&str> = rejections.iter().map(|rejection| rejection.filter.name()).collect();
        let mut differs = |what: &str, expected: &Value| {
            differences.push(format!("{id} ({}) on {name}: {what} {expected}, got {rejections:?}", case["name"]));
        };
        if reported.contains(&filter) != (expected["verdict"] != "fits") {
            differs(filter, expected);
        }
        if pod.node.is_none() && simulation.fits(class, node) != rejections.is_empty() {
            differs("what fits has no rejections", expected);
        }
        let chain = &case["oracle_all_filters"][name];
        match (chain["verdict"].as_str(), chain["plugin"].as_str()) {
            (None, None) => {}
            (Some("fits"), None) if reported.is_empty() => {}
            (Some("unschedulable"), Some(plugin)) if reported.contains(&plugin) => {}
            _ => differs("all filters", chain),
        }
    }
    (compared, differences)
}

fn read(id: &str, items: Vec<Value>) -> Dump {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let dump = read_stream(id, list.as_bytes()).unwrap_or_else(|error| panic!("{id}: {error}"));
    assert!(dump.account.broken.is_empty(), "{id}: {}", dump.account.broken[0]);
    dump
}

fn only_pod(snapshot: &Snapshot) -> &Pod {
    let mut pods = snapshot.pods();
    let (_, pod) = pods.next().unwrap();
    assert!(pods.next().is_none());
    pod
}

fn is_the_pod(object: &Value, pod: &Value) -> bool {
    let name = |object: &Value| (object["metadata"]["namespace"].clone(), object["metadata"]["name"].clone());
    object["kind"] == "Pod" && name(object) == name(pod)
}

/// The plugin arguments of a case.
fn profile(id: &str, config: &Value) -> SchedulerProfile {
    let names = |key: &str| -> Vec<Text> {
        config[key].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().into()).collect()
    };
    let added_affinity = config.get("AddedAffinity").and_then(|affinity| {
        let spec = json!({"containers": [], "affinity": {"nodeAffinity": affinity}});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "added"}, "spec": spec});
        only_pod(&read(id, vec![pod]).snapshot).shape.node_affinity.clone()
    });
    SchedulerProfile {
        ignored_resources: names("IgnoredResources"),
        ignored_resource_groups: names("IgnoredResourceGroups"),
        added_affinity,
    }
}
