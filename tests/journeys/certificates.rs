//! `explain csr` on the shop, and on small clusters whose machines come from each inventory.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{json, root, run, run_with_input, stderr};

const CLUSTER: &str = "examples/clusters/shop/cluster.yaml";
const CONFIG: &str = "examples/clusters/shop/plimsoll.yaml";
const NOW: &str = "2026-11-20T10:00:00Z";

/// Node `n1` asks for its serving certificate, for `n1.internal` and `10.0.0.1`.
fn serving() -> Value {
    let pem = fs::read(root().join("host/planner/tests/csr/requests/rsa-2048.pem")).unwrap();
    json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "csr-n1", "creationTimestamp": "2026-11-20T09:59:00Z"},
        "spec": {
            "request": STANDARD.encode(pem),
            "signerName": "kubernetes.io/kubelet-serving",
            "username": "system:node:n1",
            "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "key encipherment", "server auth"],
        },
    })
}

/// The first request of a machine that was just launched, as the shop has it.
fn joining() -> Value {
    let pem = fs::read(root().join("host/kube/examples/make_shop/requests/joining.pem")).unwrap();
    let mut request = serving();
    request["metadata"]["name"] = "csr-joining".into();
    request["spec"]["request"] = STANDARD.encode(pem).into();
    request["spec"]["signerName"] = "kubernetes.io/kube-apiserver-client-kubelet".into();
    request["spec"]["username"] = "system:bootstrap:abcdef".into();
    request["spec"]["groups"] = json!(["system:bootstrappers", "system:authenticated"]);
    request["spec"]["usages"] = json!(["digital signature", "client auth"]);
    request
}

fn machine(api: &str, name: &str, node: &str, addresses: &[(&str, &str)]) -> Value {
    let addresses: Vec<Value> =
        addresses.iter().map(|(kind, address)| json!({"type": kind, "address": address})).collect();
    json!({
        "apiVersion": api,
        "kind": "Machine",
        "metadata": {"name": name, "namespace": "machines", "creationTimestamp": "2026-11-20T09:50:00Z"},
        "status": {"nodeRef": {"name": node}, "addresses": addresses},
    })
}

const OWN: [(&str, &str); 2] = [("InternalDNS", "n1.internal"), ("InternalIP", "10.0.0.1")];

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// Explains the one request of a cluster.
fn explain(items: &[Value], more: &[&str]) -> Value {
    let arguments = [&["explain", "csr", "csr-n1", "--cluster", "-", "--now", NOW, "-o", "json"], more].concat();
    let output = run_with_input(&arguments, list(items).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    json(&output)
}

/// The checks that are not ok.
fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["ok"] == false).map(|check| check["check"].as_str().unwrap()).collect()
}

#[test]
fn the_requests_of_the_shop_have_the_verdicts_of_the_plan_and_say_why() {
    let output = run(&["explain", "csr", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let all = json(&output);
    let plan = json(&run(&["simulate", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    let mut seen = Vec::new();
    for (report, planned) in all.as_array().unwrap().iter().zip(plan["csr"].as_array().unwrap()) {
        let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["checks", "csr", "reason", "verdict"]);
        assert_eq!((&report["csr"], &report["verdict"]), (&planned["name"], &planned["verdict"]));
        assert_eq!(report["reason"], planned["reason"]);
        for check in report["checks"].as_array().unwrap() {
            assert_eq!(check.as_object().unwrap().len(), 3);
            assert!(check["ok"].is_boolean() && check["check"] != "" && check["detail"] != "", "{check}");
        }
        let last = failed(report).last().copied().unwrap_or("");
        seen.push((report["csr"].as_str().unwrap(), report["verdict"].as_str().unwrap(), last));
    }
    let expected = [
        ("csr-2xk7p", "approve", ""),
        ("csr-5wq9d", "approve", ""),
        ("csr-6hd2m", "leave", "ForeignNames"),
        ("csr-7tznb", "deny", "Organization"),
        ("csr-8rlq4", "leave", "Machine"),
        ("csr-9vcgs", "leave", "Pem"),
        ("csr-b4kfx", "leave", "State"),
        ("csr-c8msj", "leave", "State"),
        ("csr-d6pwh", "approve", ""),
        ("jane-developer", "leave", "Signer"),
    ];
    assert_eq!(seen, expected);
    let one = json(&run(&["explain", "csr", "csr-6hd2m", "--cluster", CLUSTER, "--config", CONFIG, "-o", "json"]));
    assert_eq!(one, all[2], "one name, one object");
}

#[test]
fn every_inventory_counts() {
    let verdict = |items: &[Value]| {
        let report = explain(&[&[serving()], items].concat(), &[]);
        let failed: Vec<String> = failed(&report).into_iter().map(str::to_owned).collect();
        (report["verdict"].as_str().unwrap().to_owned(), failed)
    };
    let (capi, openshift) = ("cluster.x-k8s.io/v1beta1", "machine.openshift.io/v1beta1");
    let claim = json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": {"name": "claim-1", "creationTimestamp": "2026-11-20T09:50:00Z"},
        "status": {"nodeName": "n1", "providerID": "aws:///eu-west-1a/i-0123456789abcdef0"},
    });
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for api in [capi, "cluster.x-k8s.io/v1beta2", openshift] {
        assert_eq!(verdict(&[machine(api, "m1", "n1", &OWN)]), ("approve".to_owned(), words(&[])), "{api}");
    }
    assert_eq!(verdict(&[]), ("retry".to_owned(), words(&["Machine", "OwnNames"])));
    assert_eq!(verdict(&[machine(capi, "m2", "n2", &[])]), ("leave".to_owned(), words(&["Machine", "OwnNames"])));
    assert_eq!(verdict(&[machine(capi, "m1", "n1", &[])]), ("retry".to_owned(), words(&["OwnNames"])));
    assert_eq!(verdict(&[machine(capi, "m1", "n1", &OWN[..1])]), ("leave".to_owned(), words(&["OwnNames"])));
    // A NodeClaim says which node it is, and nothing of its addresses.
    assert_eq!(verdict(std::slice::from_ref(&claim)), ("retry".to_owned(), words(&["OwnNames"])));
    // Each claims the same address.
    let thief = machine(openshift, "m2", "n2", &OWN[1..]);
    assert_eq!(verdict(&[machine(capi, "m1", "n1", &OWN), thief]), ("leave".to_owned(), words(&["ForeignNames"])));
    // And the same node.
    assert_eq!(
        verdict(&[claim, machine(capi, "m1", "n1", &OWN)]),
        ("leave".to_owned(), words(&["Machine", "OwnNames", "ForeignNames"]))
    );
    // What the node says of itself counts for nothing.
    let boast = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1"},
        "status": {
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n1.internal"}],
        },
    });
    assert_eq!(verdict(std::slice::from_ref(&boast)), ("retry".to_owned(), words(&["Machine", "OwnNames"])));
    let other = machine(capi, "m1", "n1", &[("InternalIP", "10.0.0.7")]);
    assert_eq!(verdict(&[boast, other]), ("leave".to_owned(), words(&["OwnNames"])));
}

#[test]
fn the_configuration_and_the_time_count() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("plimsoll.yaml");
    let items = [serving(), machine("cluster.x-k8s.io/v1beta1", "m1", "n1", &OWN)];
    let with = |text: &str| {
        fs::write(&config, text).unwrap();
        explain(&items, &["--config", config.to_str().unwrap()])
    };
    let report = with("csr: {enabled: true}");
    assert_eq!(report["verdict"], "approve");
    assert!(!report["reason"].as_str().unwrap().contains("csr.enabled"));
    // Off: what would be decided, and that nothing comes of it.
    let report = with("csr: {enabled: false}");
    assert_eq!(report["verdict"], "approve");
    assert!(report["reason"].as_str().unwrap().ends_with("approval is off (csr.enabled), so nothing comes of it"));
    assert_eq!(failed(&with("csr: {enabled: true, forbiddenCidrs: [10.0.0.0/24]}")), ["ForbiddenNames"]);
    assert_eq!(failed(&with("csr: {enabled: true, forbiddenNames: ['*.internal']}")), ["ForbiddenNames"]);
    assert_eq!(failed(&with("csr: {enabled: true, maxAge: 59s}")), ["Age"]);
    // A policy has the last word of what passed every check.
    let report = with(
        "csr: {enabled: true}\npolicies: {csrApproval: [{name: strict, module: 'builtin:csr-launched-nodes', \
         settings: {maxAgeSeconds: 59}}]}",
    );
    assert_eq!((&report["verdict"], failed(&report)), (&json!("leave"), vec![]));
    assert!(report["reason"].as_str().unwrap().contains("maxAgeSeconds"), "{report}");
}

#[test]
fn a_node_that_cannot_be_read_exists_all_the_same() {
    let name = "ip-10-0-64-132.eu-west-1.compute.internal";
    let mut launched = machine("cluster.x-k8s.io/v1beta1", "m1", "", &[("InternalDNS", name)]);
    launched["status"]["nodeRef"] = Value::Null;
    let verdict = |items: &[Value]| {
        let all = [&[joining(), launched.clone()], items].concat();
        let arguments = ["explain", "csr", "csr-joining", "--cluster", "-", "--now", NOW, "-o", "json"];
        let output = run_with_input(&arguments, list(&all).as_bytes());
        (json(&output)["verdict"].as_str().unwrap().to_owned(), output.status.success())
    };
    let bare = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"capacity": {"cpu": "many"}}});
    assert_eq!(verdict(&[]), ("approve".to_owned(), true));
    assert_eq!(verdict(&[bare(name)]), ("leave".to_owned(), false), "part of the dump could not be used");
    assert_eq!(verdict(&[bare("other")]), ("approve".to_owned(), false));
    let mut nameless = bare("x");
    nameless["metadata"] = json!({});
    assert_eq!(verdict(&[nameless]).0, "retry");
}

#[test]
fn people_get_tables_and_suggestions() {
    let output = run(&["explain", "csr", "csr-6hd2m", "--cluster", CLUSTER, "--config", CONFIG]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("csr-6hd2m: leave: "), "{text}");
    for word in ["Signature", "OwnNames", "not ok", "ok"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let output = run(&["explain", "csr", "--cluster", CLUSTER, "--config", CONFIG]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("REQUEST") && text.contains("jane-developer") && text.contains("ForeignNames"), "{text}");
    let output = run(&["explain", "csr", "csr-6hd2n", "--cluster", CLUSTER]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("did you mean csr-6hd2m"), "{}", stderr(&output));
    let none = run_with_input(
        &["explain", "csr", "--cluster", "-"],
        list(&[machine("cluster.x-k8s.io/v1beta1", "m1", "n1", &OWN)]).as_bytes(),
    );
    assert_eq!(String::from_utf8(none.stdout).unwrap(), "There is no signing request.\n");
}
