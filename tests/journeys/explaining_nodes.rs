//! `explain node` on the shop, and on cluster-autoscaler's own cases.

use std::fs;
use std::path::PathBuf;

use crate::support::{json, run, run_with_input, stderr};
use serde_json::{Value, json};

const CLUSTER: &str = "examples/clusters/shop/cluster.yaml";
const CONFIG: &str = "examples/clusters/shop/plimsoll.yaml";

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

/// Promise 4: `simulate` and `explain` give a node the same reason.
#[test]
fn every_node_of_the_shop_has_the_reason_of_the_plan() {
    let plan = json(&run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    let output = run(&["explain", "node", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let all = json(&output);
    let names = texts(&all, "node");
    assert_eq!(names.len() as u64, plan["cluster"]["nodes"].as_u64().unwrap());
    assert!(names.is_sorted());
    let (drains, kept) = (plan["scaleDown"]["drains"].as_array().unwrap(), &plan["scaleDown"]["kept"]);
    let mut outcomes = Vec::new();
    for node in all.as_array().unwrap() {
        assert_eq!(keys(node), ["detail", "node", "pods", "reason", "removable", "savings", "wouldMoveTo"]);
        let pods = node["pods"].as_array().unwrap();
        for pod in pods {
            assert_eq!(keys(pod), ["outcome", "pod", "reason"]);
            outcomes.push(pod["outcome"].as_str().unwrap());
        }
        match drains.iter().find(|drain| drain["node"] == node["node"]) {
            Some(drain) => {
                assert_eq!((&node["removable"], &node["detail"]), (&json!(true), &drain["reason"]));
                assert_eq!(node["savings"], drain["savingsPerHour"]);
                let mut evicted = texts(&drain["evictions"], "pod");
                evicted.sort_unstable();
                let told: Vec<&str> = pods
                    .iter()
                    .filter(|pod| pod["outcome"] == "evict")
                    .map(|pod| pod["pod"].as_str().unwrap())
                    .collect();
                assert_eq!((&told, &texts(&node["wouldMoveTo"], "pod")), (&evicted, &evicted));
                assert!(texts(&node["wouldMoveTo"], "node").iter().all(|to| names.contains(to)));
            }
            None => {
                let kept = kept.as_array().unwrap().iter().find(|kept| kept["node"] == node["node"]).unwrap();
                assert_eq!((&node["reason"], &node["detail"]), (&kept["reason"], &kept["detail"]));
                assert_eq!((&node["removable"], &node["savings"]), (&json!(false), &Value::Null));
                assert_eq!(node["wouldMoveTo"], json!([]));
            }
        }
    }
    for outcome in ["evict", "daemonset", "blocked"] {
        assert!(outcomes.contains(&outcome), "{outcome}");
    }
    assert!(!drains.is_empty(), "a node of the shop goes");
    let one = json(&run(&["explain", "node", names[0], "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    assert_eq!(one, all[0], "one name, one object");
}

#[test]
fn people_get_tables() {
    let plan = json(&run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    let goes = plan["scaleDown"]["drains"][0]["node"].as_str().unwrap();
    let output = run(&["explain", "node", goes, "--cluster", CLUSTER, "--config", CONFIG]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(&format!("{goes}: goes, ")) && text.contains("saves $"), "{text}");
    assert!(text.contains("GOES TO") && text.contains("daemonset"), "{text}");
    let output = run(&["explain", "node", "--cluster", CLUSTER, "--config", CONFIG]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("SAVES/H") && text.contains("stays") && text.contains(goes), "{text}");
}

#[test]
fn a_name_that_is_none_is_an_error_with_a_hint() {
    let plan = json(&run(&["simulate", "--cluster", CLUSTER, "-o", "json"]));
    let name = plan["scaleDown"]["kept"][0]["node"].as_str().unwrap();
    let output = run(&["explain", "node", &format!("{name}x"), "--cluster", CLUSTER]);
    assert!(!output.status.success() && output.stdout.is_empty());
    let said = stderr(&output);
    assert!(said.contains(&format!("there is no node {name}x")) && said.contains("did you mean"), "{said}");
    assert!(!stderr(&run(&["explain", "node", "#", "--cluster", CLUSTER])).contains("did you mean"));
}

/// Cases of [`cluster_autoscaler_agrees`] by file; how many there must be at least, and each how manieth is run.
const FILES: [(&str, usize, usize); 2] = [("ca_getpodstomove.json", 31, 2), ("ca_rules.json", 64, 5)];

/// A sample of the cases through the binary, with the peer's options in the configuration; `drain_cases` has them all.
/// `PLIMSOLL_PEER_CASES` names the folder of cases; without it there is nothing to compare with.
#[test]
fn cluster_autoscaler_agrees() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else {
        println!("PLIMSOLL_PEER_CASES is not set: nothing to compare with");
        return;
    };
    let config = tempfile::tempdir().unwrap();
    for (file, least, step) in FILES {
        let path = folder.join("drain").join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(cases.len() >= least, "{file} has {} cases, fewer than {least}", cases.len());
        for case in cases.iter().step_by(step) {
            let id = case["id"].as_str().unwrap();
            let path = config.path().join(format!("{id}.yaml"));
            fs::write(&path, rules(&case["options"])).unwrap();
            let arguments = ["explain", "node", "node", "--cluster", "-", "--config", path.to_str().unwrap()];
            let more = ["--now", case["now"].as_str().unwrap(), "-o", "json"];
            let output = run_with_input(&[&arguments[..], &more].concat(), dump(case).as_bytes());
            assert!(output.status.success(), "{id}: {}", stderr(&output));
            let told = json(&output);
            let pods: Vec<String> = told["pods"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pod| format!("{} {}", pod["pod"], pod["outcome"]))
                .collect();
            let expect = &case["expect"];
            if file == "ca_rules.json" {
                let oracle = &case["oracle_all_rules"];
                let pod = &told["pods"][0];
                match oracle["outcome"].as_str().unwrap() {
                    "block" => {
                        assert_eq!((&pod["outcome"], &pod["reason"]), (&json!("blocked"), &oracle["reason"]), "{id}")
                    }
                    "ignore" => assert_eq!(pod["outcome"], "ignored", "{id}"),
                    _ if oracle["daemonset_pod"] == true => assert_eq!(pod["outcome"], "daemonset", "{id}"),
                    _ => assert_eq!(pod["outcome"], "evict", "{id}"),
                }
                assert_eq!(told["removable"], oracle["outcome"] != "block", "{id}: {told}");
            } else if expect["drainable"] == true {
                assert_eq!(told["removable"], true, "{id}: {told}");
                for (key, outcome) in [("evict", "evict"), ("daemonset", "daemonset"), ("ignored", "ignored")] {
                    // A second pod of the same name is not in the dump.
                    let twice = |pod: &&Value| key == "daemonset" && expect["evict"].as_array().unwrap().contains(pod);
                    for pod in expect[key].as_array().into_iter().flatten().filter(|pod| !twice(pod)) {
                        assert!(pods.contains(&format!("{pod} {}", json!(outcome))), "{id}: {told}");
                    }
                }
            } else {
                assert_eq!(
                    (&told["removable"], &told["reason"]),
                    (&json!(false), &expect["blocking"]["reason"]),
                    "{id}"
                );
                assert!(pods.contains(&format!("{} \"blocked\"", expect["blocking"]["pod"])), "{id}: {told}");
            }
        }
    }
}

/// The configuration with the peer's options in its own words.
fn rules(options: &Value) -> String {
    let rules = json!({"scaleDown": {"rules": {
        "preset": "cluster-autoscaler",
        "skipNodesWithSystemPods": options["SkipNodesWithSystemPods"],
        "skipNodesWithLocalStorage": options["SkipNodesWithLocalStorage"],
        "skipNodesWithCustomControllerPods": options["SkipNodesWithCustomControllerPods"],
        "minReplicaCount": options["MinReplicaCount"],
    }}});
    rules.to_string()
}

/// The case as a dump of a cluster, with a node beside that takes pods and never goes.
fn dump(case: &Value) -> String {
    let node = |name: &str, labels: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "status": {
                "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        })
    };
    let mut items = vec![node("node", json!({})), node("other", json!({"node-role.kubernetes.io/control-plane": ""}))];
    let mut names = Vec::new();
    for pod in case["node_pods"].as_array().unwrap() {
        let mut pod = pod.clone();
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        if pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet" && names.contains(&name) {
            // Two of one name, which no cluster has.
            continue;
        }
        names.push(name);
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        items.push(pod);
    }
    for (at, budget) in case["pdbs"].as_array().unwrap().iter().enumerate() {
        let mut budget = budget.clone();
        budget["metadata"]["name"] = format!("budget-{at}").into();
        items.push(budget);
    }
    for kind in ["replicationcontrollers", "replicasets", "daemonsets", "jobs", "statefulsets"] {
        items.extend(case[kind].as_array().unwrap().iter().cloned());
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}
