//! `explain pod` on the shop, on pods made to be hard to explain, and on kube-scheduler's own cases.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::support::{json, root, run, run_with_input, stderr};
use serde_json::{Value, json};

const CLUSTER: &str = "examples/clusters/shop/cluster.yaml";
const CONFIG: &str = "examples/clusters/shop/plimsoll.yaml";

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Explains one pod of a cluster given as text.
fn explain(pod: &str, cluster: &str) -> Value {
    let output = run_with_input(&["explain", "pod", pod, "--cluster", "-", "-o", "json"], cluster.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    json(&output)
}

/// Promise 4: `simulate` and `explain` give a pod the same reason.
#[test]
fn every_pending_pod_of_the_shop_has_the_reason_of_the_plan() {
    let plan = json(&run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    let output = run(&["explain", "pod", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let all = json(&output);
    let names = texts(&all, "pod");
    assert!(names.len() >= 10 && names.is_sorted(), "{names:?}");
    let nodes = plan["cluster"]["nodes"].as_u64().unwrap();
    let mut reasons = BTreeSet::new();
    for pod in all.as_array().unwrap() {
        assert_eq!(keys(pod), ["detail", "groups", "helps", "nodes", "pod", "reason", "state"]);
        assert_eq!(pod["nodes"].as_array().unwrap().len() as u64, nodes);
        assert_eq!(texts(&pod["groups"], "group"), ["general", "general-spot", "memory", "gpu", "batch"]);
        for node in pod["nodes"].as_array().unwrap() {
            assert_eq!(keys(node), ["failed", "fits", "node"]);
            let failed = node["failed"].as_array().unwrap();
            assert_eq!(node["fits"], failed.is_empty());
            assert!(failed.iter().all(|failure| keys(failure) == ["filter", "reason"] && failure["reason"] != ""));
        }
        for group in pod["groups"].as_array().unwrap() {
            assert_eq!(keys(group), ["failed", "fits", "fitting", "group", "kinds", "limits"]);
            assert_eq!(group["fits"], group["fitting"] != 0);
        }
        let pending = plan["scaleUp"]["pending"].as_array().unwrap();
        let launches = plan["scaleUp"]["launches"].as_array().unwrap();
        match pending.iter().find(|pending| pending["pod"] == pod["pod"]) {
            Some(pending) => {
                assert_eq!((&pod["reason"], &pod["detail"]), (&pending["reason"], &pending["detail"]));
            }
            None => {
                let has = |launch: &&Value| launch["pods"].as_array().unwrap().contains(&pod["pod"]);
                let launch = launches.iter().find(has).unwrap();
                assert_eq!(pod["reason"], "NodePlanned");
                let detail = pod["detail"].as_str().unwrap();
                assert!(detail.starts_with(launch["nodeGroup"].as_str().unwrap()), "{detail}");
                let group = pod["groups"].as_array().unwrap().iter().find(|g| g["group"] == launch["nodeGroup"]);
                assert_eq!(group.unwrap()["fits"], true, "{pod}");
            }
        }
        reasons.insert(pod["reason"].as_str().unwrap());
    }
    for reason in ["NodePlanned", "NoInstanceFits", "NoMatchingNodeGroup", "SchedulingGated", "DaemonSetPodIgnored"] {
        assert!(reasons.contains(reason), "{reason} is missing from {reasons:?}");
    }
    let one = json(&run(&["explain", "pod", names[0], "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    assert_eq!(one, all[0], "one name, one object");
}

#[test]
fn people_get_tables() {
    let output = run(&["explain", "pod", "--cluster", CLUSTER, "--config", CONFIG]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["NoInstanceFits: ", "to help: ", "Node groups", "Nodes: it fits on ", "TaintToleration", "at most "] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour where nobody sees it");
    let short = text.lines().count();
    let output = run(&["explain", "pod", "--cluster", CLUSTER, "--config", CONFIG, "--all-nodes"]);
    assert!(String::from_utf8(output.stdout).unwrap().lines().count() > 2 * short);
}

#[test]
fn a_name_that_is_not_there_is_an_error_with_the_nearest() {
    let cluster = "kind: Pod\nmetadata: {name: checkout-1, namespace: shop}\nspec: {containers: []}\n---\n\
                   kind: Pod\nmetadata: {name: web, namespace: default}\nspec: {containers: []}\n";
    for (name, hint) in [
        (
            "shop/chekout-1",
            "there is no pod shop/chekout-1 in the cluster as it was read; did you mean shop/checkout-1?",
        ),
        ("checkout-1", "did you mean shop/checkout-1?"),
        ("shop/web", "did you mean default/web?"),
        ("x/y/z", "there is no pod x/y/z"),
        ("", "there is no pod default/"),
    ] {
        let output = run_with_input(&["explain", "pod", name, "--cluster", "-", "-o", "json"], cluster.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
        assert!(
            stderr(&output).starts_with("error: ") && stderr(&output).contains(hint),
            "{name}: {}",
            stderr(&output)
        );
    }
    assert_eq!(explain("web", cluster)["pod"], "default/web");
}

/// The node has no conditions: kube-scheduler does not look at them.
const NODE: &str = "kind: Node\nmetadata: {name: n1, labels: {kubernetes.io/hostname: n1, topology.kubernetes.io/zone: a}}\n\
                    status: {allocatable: {cpu: 4, memory: 8Gi, pods: 10}}\n---\n";

/// Each costs a clear reason, not a hang.
#[test]
fn what_is_hard_to_explain_gets_a_reason() {
    let pod = |name: &str, metadata: &str, spec: &str| {
        format!("kind: Pod\nmetadata: {{name: {name}, {metadata}}}\nspec: {{containers: [{{name: c}}], {spec}}}\n---\n")
    };
    let term =
        |app: &str| format!("{{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: {app}}}}}}}");
    let required = |terms: &str| format!("{{requiredDuringSchedulingIgnoredDuringExecution: [{terms}]}}");
    let (me, other) = (term("me"), term("other"));
    let many = |each: fn(u32) -> String, count| (0..count).map(each).collect::<Vec<_>>().join(", ");
    let terms = many(|at| format!("{{matchExpressions: [{{key: k{at}, operator: In, values: [v]}}]}}"), 1000);
    let expressions = many(|at| format!("{{key: k{at}, operator: NotIn, values: [v]}}"), 1000);
    let spread = format!(
        "{{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchExpressions: [{expressions}]}}}}"
    );
    let owner = |kind: &str, name: &str| {
        format!("ownerReferences: [{{apiVersion: v1, kind: {kind}, name: {name}, uid: {name}, controller: true}}]")
    };
    let cluster = [
        NODE.to_owned(),
        pod(
            "torn",
            "labels: {app: me}",
            &format!("affinity: {{podAffinity: {}, podAntiAffinity: {}}}", required(&other), required(&other)),
        ),
        pod("lonely", "", &format!("affinity: {{podAffinity: {}}}", required(&other))),
        "kind: Pod\nmetadata: {name: huge}\nspec: {containers: [{name: c, resources: {requests: {cpu: \"1000000000000000000\", \
         memory: 1000000000000000000Ki, example.com/x: \"1000000000000000000\"}}}]}\n---\n"
            .to_owned(),
        pod("labelled", &format!("labels: {{{}}}", many(|at| format!("k{at}: v{at}"), 10_000)), &format!("topologySpreadConstraints: [{spread}]")),
        pod("choosy", "", &format!("affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{terms}]}}}}}}")),
        pod("shy", "labels: {app: me}", &format!("affinity: {{podAntiAffinity: {}}}", required(&vec![me.clone(); 1000].join(", ")))),
        pod("hen", &owner("Pod", "egg"), "nodeSelector: {no: such}"),
        pod("egg", &owner("Pod", "hen"), "nodeSelector: {no: such}"),
    ]
    .concat();
    let output = run_with_input(&["explain", "pod", "--cluster", "-", "-o", "json"], cluster.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let all = json(&output);
    assert_eq!(texts(&all, "pod").len(), 8);
    for (name, reason, filter) in [
        ("torn", "NoMatchingNodeGroup", "InterPodAffinity"),
        ("lonely", "NoMatchingNodeGroup", "InterPodAffinity"),
        ("huge", "NoMatchingNodeGroup", "NodeResourcesFit"),
        ("labelled", "FitsExistingNode", ""),
        ("choosy", "NoMatchingNodeGroup", "NodeAffinity"),
        ("shy", "FitsExistingNode", ""),
        ("hen", "NoMatchingNodeGroup", "NodeAffinity"),
        ("egg", "NoMatchingNodeGroup", "NodeAffinity"),
    ] {
        let pod = all.as_array().unwrap().iter().find(|pod| pod["pod"] == format!("default/{name}")).unwrap();
        assert_eq!(pod["reason"], reason, "{pod}");
        let node = &pod["nodes"][0];
        assert_eq!(node["fits"], filter.is_empty(), "{pod}");
        assert!(filter.is_empty() || texts(&node["failed"], "filter").contains(&filter), "{pod}");
        assert!(!pod["detail"].as_str().unwrap().is_empty() && pod.to_string().len() < 10_000, "{pod}");
    }
    let torn = all.as_array().unwrap().iter().find(|pod| pod["pod"] == "default/torn").unwrap();
    assert!(torn["helps"].to_string().contains("contradict each other"), "{torn}");
}

#[test]
fn nobody_waits() {
    let output = run_with_input(&["explain", "pod", "--cluster", "-"], NODE.as_bytes());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "No pod is pending.\n");
    let output = run_with_input(&["explain", "pod", "--cluster", "-", "-o", "json"], NODE.as_bytes());
    assert_eq!(json(&output), json!([]));
}

/// Clusters of kube-scheduler's own test suite: the binary gives kube-scheduler's verdicts.
///
/// `PLIMSOLL_PEER_CASES` names the folder of cases; without it there is nothing to compare with.
#[test]
fn verdicts_of_the_binary_are_those_of_kube_scheduler() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else {
        println!("PLIMSOLL_PEER_CASES is not set: nothing to compare with");
        return;
    };
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.join("scheduling")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    let (mut verdicts, mut differences) = (0, String::new());
    for file in files {
        let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        // The rules themselves are compared elsewhere; this is about the way through the binary.
        for case in cases.iter().filter(|case| case["plugin_config"].is_null()).step_by(SAMPLE) {
            verdicts += compare(case, &mut differences);
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(verdicts >= 15, "only {verdicts} verdicts");
}

/// One case of so many goes through the binary: each is a process of its own.
const SAMPLE: usize = 16;

fn compare(case: &Value, differences: &mut String) -> usize {
    let lists = ["namespaces", "nodes", "existing_pods"];
    let mut items: Vec<&Value> = lists.iter().flat_map(|key| case[key].as_array().into_iter().flatten()).collect();
    items.push(&case["pod"]);
    let metadata = &case["pod"]["metadata"];
    let name =
        format!("{}/{}", metadata["namespace"].as_str().unwrap_or("default"), metadata["name"].as_str().unwrap());
    let explained = explain(&name, &json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    let expect = case["expect"].as_object().unwrap();
    for (node, expected) in expect {
        let said = explained["nodes"].as_array().unwrap().iter().find(|said| said["node"] == *node).unwrap();
        let filters = texts(&said["failed"], "filter");
        let rejects = filters.contains(&case["filter"].as_str().unwrap());
        let chain = &case["oracle_all_filters"][node]["verdict"];
        let fits = chain.as_str().map_or(said["fits"] == true, |verdict| verdict == "fits");
        if rejects != (expected["verdict"] != "fits") || said["fits"] != fits {
            writeln!(differences, "{} on {node}: {expected}, {chain}; got {said}", case["id"]).unwrap();
        }
    }
    expect.len()
}

/// The example in the README.
#[test]
fn the_example_is_pending() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let line = readme.lines().find(|line| line.starts_with("$ plimsoll explain pod ")).unwrap();
    let name = line.split(" ").nth(4).unwrap();
    let explained = json(&run(&["explain", "pod", name, "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    assert_eq!((&explained["pod"], &explained["state"]), (&name.into(), &"pending".into()));
}
