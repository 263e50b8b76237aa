//! `simulate` on dumps as people have them, good and bad.

use std::fs;
use std::path::PathBuf;

use crate::support::{holding_policy, json, looping_policy, run, run_with_input, stderr};
use serde_json::Value;

const CLUSTER: &str = "examples/clusters/shop/cluster.yaml";
const CONFIG: &str = "examples/clusters/shop/plimsoll.yaml";

fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

#[test]
fn the_example_cluster_has_a_plan_with_reasons() {
    let output = run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let plan = json(&output);
    assert!(plan["cluster"]["nodes"].as_u64().unwrap() >= 30 && plan["cluster"]["pods"].as_u64().unwrap() >= 200);
    let launches = plan["scaleUp"]["launches"].as_array().unwrap();
    assert!(launches.len() >= 3, "{launches:?}");
    let lifecycles = names(&plan["scaleUp"]["launches"], "lifecycle");
    assert!(lifecycles.contains(&"spot") && lifecycles.contains(&"on-demand"));
    for launch in launches {
        assert!(launch["count"].as_u64().unwrap() >= 1 && !launch["pods"].as_array().unwrap().is_empty());
        assert!(!launch["reason"].as_str().unwrap().is_empty() && launch["pricePerHour"].as_f64().unwrap() > 0.0);
    }
    let pending = names(&plan["scaleUp"]["pending"], "reason");
    for reason in ["NoInstanceFits", "NoMatchingNodeGroup", "SchedulingGated", "DaemonSetPodIgnored"] {
        assert!(pending.contains(&reason), "{reason} is missing from {pending:?}");
    }
    let drains = plan["scaleDown"]["drains"].as_array().unwrap();
    assert!(!drains.is_empty());
    for (at, drain) in drains.iter().enumerate() {
        assert_eq!(drain["order"].as_u64().unwrap() as usize, at + 1);
        let times: Vec<f64> =
            drain["evictions"].as_array().unwrap().iter().map(|e| e["afterSeconds"].as_f64().unwrap()).collect();
        assert!(times.is_sorted() && times.iter().all(|time| *time < 300.0), "{times:?}");
    }
    let kept = names(&plan["scaleDown"]["kept"], "reason");
    for reason in ["ControlPlane", "PdbBlocked", "RestrictScaleDown", "NotSafeToEvict", "BarePod", "DrainCapReached"] {
        assert!(kept.contains(&reason), "{reason} is missing from {kept:?}");
    }
    let verdicts = names(&plan["csr"], "verdict");
    assert!(verdicts.contains(&"approve") && verdicts.contains(&"leave"), "{verdicts:?}");
    for decision in plan["decisions"].as_array().unwrap() {
        assert_eq!(decision["digest"].as_str().unwrap().len(), 64);
        assert!(decision["micros"].as_u64().unwrap() > 0 && decision["peakMemoryBytes"].as_u64().unwrap() > 0);
        assert_eq!(decision["outcome"], "answered");
    }
}

/// Promise 5: the same input gives the same plan, byte for byte.
#[test]
fn the_same_input_gives_the_same_plan() {
    let plan = || {
        let mut plan = json(&run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
        for decision in plan["decisions"].as_array_mut().unwrap() {
            decision["micros"] = Value::Null;
        }
        plan.to_string()
    };
    assert_eq!(plan(), plan());
}

#[test]
fn standard_input_and_tables_work() {
    let dump = fs::read(crate::support::root().join(CLUSTER)).unwrap();
    let output = run_with_input(&["simulate", "--cluster", "-", "--config", CONFIG], &dump);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for heading in ["Launch: ", "Pending without a new node", "Drain: ", "Nodes that stay", "Certificates", "Decisions"]
    {
        assert!(text.contains(heading), "{heading}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour where nobody sees it");
}

#[test]
fn a_policy_that_never_answers_costs_its_deadline_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("loop.wasm"), looping_policy()).unwrap();
    let policies = folder.path().to_str().unwrap();
    let output = run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "--policies", policies, "-o", "json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let plan = json(&output);
    let decisions = plan["decisions"].as_array().unwrap();
    assert_eq!((&decisions[0]["policy"], &decisions[0]["outcome"]), (&"loop".into(), &"deadline".into()));
    assert_eq!((&decisions[1]["policy"], &decisions[1]["outcome"]), (&"least-cost".into(), &"answered".into()));
    assert!(!plan["scaleUp"]["launches"].as_array().unwrap().is_empty());
}

#[test]
fn a_policy_from_the_folder_is_asked_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hold.wasm"), holding_policy("not on my watch")).unwrap();
    fs::write(folder.path().join("noise.wasm"), b"this is no policy").unwrap();
    let policies = folder.path().to_str().unwrap();
    let output = run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "--policies", policies, "-o", "json"]);
    assert!(!output.status.success(), "a policy that does not load is a failure");
    assert!(stderr(&output).contains("policy noise is not loaded"), "{}", stderr(&output));
    let plan = json(&output);
    assert!(plan["scaleUp"]["launches"].as_array().unwrap().is_empty());
    let held = plan["scaleUp"]["pending"].as_array().unwrap().iter().filter(|p| p["reason"] == "HeldByPolicy");
    assert!(held.clone().count() > 0 && held.clone().all(|pending| pending["detail"] == "not on my watch"));
}

#[test]
fn broken_objects_are_named_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("pods.yaml");
    let text = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus: {allocatable: {cpu: 4, memory: 8Gi, pods: 10}, \
        conditions: [{type: Ready, status: \"True\"}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: good, namespace: shop}\nspec: {containers: []}\n---\n\
        apiVersion: v1\nkind: Pod\nmetadata: {name: bad, namespace: shop}\nspec:\n  containers:\n  - name: c\n    \
        resources:\n      requests:\n        cpu: \"-1\"\n";
    fs::write(&dump, text).unwrap();
    let output = run(&["simulate", "--cluster", dump.to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    for part in ["pods.yaml:", "Pod shop/bad", "spec.containers[0].resources.requests.cpu", "negative"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let plan = json(&output);
    assert_eq!(plan["cluster"]["pods"], 1, "the rest is used");
    assert_eq!(plan["scaleDown"]["kept"][0]["reason"], "PodsUnknown", "nothing goes on half the truth");
}

#[test]
fn what_cannot_be_read_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("cut.json"), r#"{"kind": "List", "items": [{"kind": "Pod", "metadata": {"na"#).unwrap();
    fs::write(at("cut.yaml"), "kind: List\nitems:\n- kind: Pod\n  metadata: {name: \"x").unwrap();
    fs::write(at("noise.json"), [0u8, 255, 7, 200, 13].repeat(1000)).unwrap();
    fs::write(at("empty.yaml"), "").unwrap();
    fs::create_dir(at("folder")).unwrap();
    for name in ["cut.json", "cut.yaml", "noise.json", "empty.yaml", "folder", "missing.yaml"] {
        let output = run(&["simulate", "--cluster", at(name).to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.is_empty(), "{name}: nothing half-read is shown");
        let error = stderr(&output);
        assert!(error.starts_with("error: ") && error.contains(name), "{name}: {error}");
        assert!(!error.contains("panicked"), "{name}: {error}");
    }
}

#[test]
fn a_wrong_configuration_names_its_line_or_field() {
    let folder = tempfile::tempdir().unwrap();
    let group = "name: g, zones: [a], instanceTypes: [{name: t, vcpu: 2, memoryMib: 4096}]";
    let cases = [
        ("limits:\n  maxVcpus: 3\n", ":2:", "did you mean \"maxVcpu\""),
        ("limits: [\n", ":", "config.yaml"),
        (&format!("nodeGroups: [{{min: 5, max: 2, {group}}}]"), "nodeGroups[0].min", "above max"),
        ("nodeGroups: [{name: g, max: 1, zones: [a], instanceTypes: [m5.large]}]", "instanceTypes[0]", "no catalog"),
        (
            "nodeGroups: [{name: g, max: 1, zones: [a], instanceTypes: [{name: t, vcpus: 2}]}]",
            ":1:",
            "did you mean \"vcpu\"",
        ),
        ("scaleDown: {maxPercentage: 0}", "scaleDown.maxPercentage", "between 1 and 100"),
        ("drain: {timeout: 60}", "drain.timeout", "300"),
        ("drain: {timeout: 5 minutes}", ":1:", "5 minutes"),
        (
            "policies: {scaleUp: [{name: x, module: \"builtin:nothing\"}]}",
            "policies.scaleUp[0].module",
            "scale-up-least-cost",
        ),
        ("policies: {drain: [{name: x, module: a.wasm, onError: explode}]}", "policies.drain[0].onError", "explode"),
        ("catalog: nowhere.csv", "catalog", "nowhere.csv"),
    ];
    for (text, place, problem) in cases {
        let config = folder.path().join("config.yaml");
        fs::write(&config, text).unwrap();
        let output = run(&["simulate", "--cluster", CLUSTER, "--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let error = stderr(&output);
        assert!(error.contains(place) && error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn settings_that_a_policy_refuses_are_an_error_at_load_time() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let text = "policies: {scaleUp: [{name: mine, module: \"builtin:scale-up-least-cost\", settings: {strategie: x}}]}";
    fs::write(&config, text).unwrap();
    let output = run(&["simulate", "--cluster", CLUSTER, "--config", config.to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("policy mine is not loaded: settings: "), "{}", stderr(&output));
    assert!(stderr(&output).contains("strategie"), "{}", stderr(&output));
}

/// Real clusters of other people, where they are at hand.
#[test]
fn real_dumps_give_a_plan_or_say_what_is_missing() {
    let Some(folder) = std::env::var_os("PLIMSOLL_SHARED_DATA").map(PathBuf::from) else {
        println!("PLIMSOLL_SHARED_DATA is not set: no real dumps to read");
        return;
    };
    let mut read = 0;
    for entry in fs::read_dir(folder.join("dumps")).unwrap() {
        let path = entry.unwrap().path();
        let output = run(&["simulate", "--cluster", path.to_str().unwrap(), "-o", "json"]);
        assert!(output.status.success(), "{}: {}", path.display(), stderr(&output));
        let plan = json(&output);
        let nodes = plan["cluster"]["nodes"].as_u64().unwrap();
        let drains = plan["scaleDown"]["drains"].as_array().unwrap().len();
        let kept = plan["scaleDown"]["kept"].as_array().unwrap().len();
        assert!(nodes >= 2 && (drains + kept) as u64 == nodes, "{}", path.display());
        if plan["cluster"]["pods"] == 0 {
            assert!(plan["warnings"].to_string().contains("holds no pods"));
            assert_eq!(drains, 0, "{}: nothing is known to be empty", path.display());
        }
        read += 1;
    }
    assert!(read >= 4, "only {read} dumps");
}

/// A policy is somebody else's program: what it says is shown, and does not steer the terminal.
#[test]
fn a_reason_does_not_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hold.wasm"), holding_policy("\\1b[2Jgone\\0a\\0aall is well")).unwrap();
    let policies = folder.path().to_str().unwrap();
    let output = run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "--policies", policies]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(" [2Jgone  all is well"), "{text}");
    assert!(!text.contains('\u{1b}'));
}
