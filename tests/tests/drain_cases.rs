//! What cluster-autoscaler says to the pods of a node that would go, through the rules under its preset.
//!
//! `PLIMSOLL_PEER_CASES` names the folder of cases; without it there is nothing to compare with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read is a failing test")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use plimsoll_kube::read_stream;
use plimsoll_model::{Millis, Snapshot, Timestamp};
use plimsoll_planner::drain::{DrainabilityRules, PodOutcome, RulesPreset, ScaleDownConfig, judge_pods};
use serde_json::{Value, json};

/// File, and how many cases it must have at least.
const FILES: [(&str, usize); 2] = [("ca_getpodstomove.json", 31), ("ca_rules.json", 64)];

/// Cases that differ, each with the reason why ours is the better answer.
const DIFFERENT: [(&str, &str); 0] = [];

/// A second pod of one name, which no cluster has: it is told apart here.
const SECOND: &str = "-second";

#[test]
fn cluster_autoscaler_agrees_under_its_preset() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else {
        println!("PLIMSOLL_PEER_CASES is not set: nothing to compare with");
        return;
    };
    let (mut differences, mut excused) = (Vec::new(), Vec::new());
    for (file, least) in FILES {
        let path = folder.join("drain").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(cases.len() >= least, "{file} has {} cases, fewer than {least}", cases.len());
        let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
        for case in &cases {
            let id = case["id"].as_str().unwrap();
            let found = judged(case, &config(&case["options"]));
            let differs = if file == "ca_rules.json" { one_pod(case, &found) } else { whole_node(case, &found) };
            found.values().flatten().for_each(|outcome| *reasons.entry(said(outcome)).or_default() += 1);
            match (differs, DIFFERENT.iter().any(|(known, _)| *known == id)) {
                (None, false) => {}
                (Some(_), true) => excused.push(id.to_owned()),
                (Some(difference), false) => differences.push(format!("{id}: {difference}")),
                (None, true) => differences.push(format!("{id}: it is listed, but agrees")),
            }
        }
        println!("{file}: {} cases, {reasons:?}", cases.len());
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert_eq!(excused.len(), DIFFERENT.len(), "every difference that is listed is still one");
}

/// The names of the rules in the cases, each with what turns every other blocking rule off.
#[test]
fn each_rule_blocks_by_itself() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else { return };
    let text = std::fs::read_to_string(folder.join("drain/ca_rules.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut seen = BTreeSet::new();
    for case in cases.iter().filter(|case| case["expect_rule"]["outcome"] == "block") {
        let (id, rule) = (case["id"].as_str().unwrap(), case["rule"].as_str().unwrap());
        let asked = config(&case["options"]);
        let only = ScaleDownConfig {
            evict_bare_pods: rule != "replicated",
            respect_budgets: rule == "pdb",
            rules: DrainabilityRules {
                skip_nodes_with_system_pods: rule == "system",
                skip_nodes_with_local_storage: rule == "localstorage",
                skip_nodes_with_custom_controller_pods: ["replicacount", "replicated"].contains(&rule)
                    && asked.rules.skip_nodes_with_custom_controller_pods,
                ..asked.rules
            },
            ..ScaleDownConfig::default()
        };
        let found = judged(case, &only);
        let outcome = &found.values().next().unwrap()[0];
        let expected = format!("blocked {}", case["expect_rule"]["reason"].as_str().unwrap());
        assert_eq!(said(outcome), expected, "{id}");
        seen.insert(rule.to_owned());
    }
    let all = ["localstorage", "notsafetoevict", "pdb", "replicacount", "replicated", "system"];
    assert!(all.iter().all(|rule| seen.contains(*rule)), "{seen:?}");
}

/// The outcomes of the pods of each name: one, but for pods of one name.
type Judged = BTreeMap<String, Vec<PodOutcome>>;

fn judged(case: &Value, config: &ScaleDownConfig) -> Judged {
    let snapshot = snapshot(case);
    assert_eq!(snapshot.pod_count(), list(&case["node_pods"]).len());
    let pods: Vec<_> = snapshot.pods().map(|(id, _)| id).collect();
    let mut found = Judged::new();
    for (pod, outcome) in judge_pods(config, &snapshot, &pods, now(case), &HashMap::new()) {
        let name = snapshot.pod(pod).full_name();
        found.entry(name.trim_end_matches(SECOND).to_owned()).or_default().push(outcome);
    }
    found
}

fn said(outcome: &PodOutcome) -> String {
    match outcome {
        PodOutcome::Blocked(reason, _) => format!("blocked {}", reason.label()),
        other => other.label().to_owned(),
    }
}

fn named(found: &Judged, label: &str) -> BTreeSet<String> {
    let has = |(_, outcomes): &(&String, &Vec<PodOutcome>)| outcomes.iter().any(|outcome| outcome.label() == label);
    found.iter().filter(has).map(|(name, _)| name.clone()).collect()
}

/// How the answer for a whole node differs, if it does. Where a pod blocks, the peer says nothing of the others.
fn whole_node(case: &Value, found: &Judged) -> Option<String> {
    let expect = &case["expect"];
    let names = |key: &str| -> BTreeSet<String> {
        list(&expect[key]).iter().map(|name| name.as_str().unwrap().into()).collect()
    };
    let agrees = if expect["drainable"] == true {
        named(found, "blocked").is_empty()
            && [("evict", "evict"), ("daemonset", "daemonset"), ("ignored", "ignored")]
                .iter()
                .all(|(key, label)| named(found, label) == names(key))
    } else {
        let blocking = &expect["blocking"];
        let reason = format!("blocked {}", blocking["reason"].as_str().unwrap());
        found
            .get(blocking["pod"].as_str().unwrap())
            .is_some_and(|outcomes| outcomes.iter().any(|outcome| said(outcome) == reason))
    };
    (!agrees).then(|| format!("{expect} expected, {found:?}"))
}

/// How the answer for the only pod differs, if it does.
fn one_pod(case: &Value, found: &Judged) -> Option<String> {
    let expect = &case["oracle_all_rules"];
    let expected = match expect["outcome"].as_str().unwrap() {
        "evict" if expect["daemonset_pod"] == true => "daemonset".to_owned(),
        "evict" => "evict".to_owned(),
        "ignore" => "ignored".to_owned(),
        "block" => format!("blocked {}", expect["reason"].as_str().unwrap()),
        other => panic!("{other}"),
    };
    let all: Vec<String> = found.values().flatten().map(said).collect();
    (all != [expected.clone()]).then(|| format!("{expected} expected, {found:?}"))
}

/// The peer's rules with the case's options.
fn config(options: &Value) -> ScaleDownConfig {
    let on = |key: &str| options[key].as_bool().unwrap();
    let rules = DrainabilityRules {
        skip_nodes_with_system_pods: on("SkipNodesWithSystemPods"),
        skip_nodes_with_local_storage: on("SkipNodesWithLocalStorage"),
        skip_nodes_with_custom_controller_pods: on("SkipNodesWithCustomControllerPods"),
        min_replica_count: u32::try_from(options["MinReplicaCount"].as_u64().unwrap()).unwrap(),
        ..DrainabilityRules::of(RulesPreset::ClusterAutoscaler)
    };
    assert_eq!(rules.blocking_system_pod_timeout, Some(Millis::from_secs(3600)));
    ScaleDownConfig { rules, ..ScaleDownConfig::default() }
}

fn snapshot(case: &Value) -> Snapshot {
    let id = case["id"].as_str().unwrap();
    let mut items = vec![json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node"},
        "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}},
    })];
    let mut names = BTreeSet::new();
    for mut pod in list(&case["node_pods"]) {
        if !names.insert((pod["metadata"]["namespace"].to_string(), pod["metadata"]["name"].to_string())) {
            pod["metadata"]["name"] = format!("{}{SECOND}", pod["metadata"]["name"].as_str().unwrap()).into();
        }
        items.push(pod);
    }
    for (at, mut budget) in list(&case["pdbs"]).into_iter().enumerate() {
        // Most have none, as no budget in a cluster has.
        budget["metadata"]["name"] = format!("budget-{at}").into();
        items.push(budget);
    }
    for kind in ["replicationcontrollers", "replicasets", "daemonsets", "jobs", "statefulsets"] {
        items.extend(list(&case[kind]));
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let dump = read_stream(id, list.as_bytes()).unwrap_or_else(|error| panic!("{id}: {error}"));
    assert!(dump.account.broken.is_empty(), "{id}: {}", dump.account.broken[0]);
    dump.snapshot
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The end of an afternoon in December 2020, as all cases have it.
fn now(case: &Value) -> Timestamp {
    assert_eq!(case["now"], "2020-12-18T17:00:00Z");
    Timestamp(1_608_310_800_000)
}
