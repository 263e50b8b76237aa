//! What other approvers say to signing requests, through the host's checks and the built-in policy.
//!
//! Each case runs twice: with a policy that approves everything, and with `csr-launched-nodes` in its sandbox.
//! `PLIMSOLL_PEER_CASES` names the folder of cases; without it there is nothing to compare with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read is a failing test")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plimsoll_kube::read_stream;
use plimsoll_model::{Millis, Snapshot, Timestamp};
use plimsoll_planner::csr::{Cidr, CsrQuestion, CsrRules, CsrVerdict, plan_csrs};
use plimsoll_planner::{Asked, CsrPolicy, Point};
use plimsoll_policy::{Limits, Mode, ModuleSource, OnError, PolicyRegistry, PolicySpec, Sandbox};
use regex::Regex;
use serde_json::{Value, json};

/// File, and how many cases it must have at least.
const FILES: [(&str, usize); 4] = [
    ("openshift_cma.json", 48),
    ("kubelet_csr_approver.json", 16),
    ("kubernetes_recognizers.json", 27),
    ("openshift_literal_pems.json", 10),
];

/// A denial is final, also for other approvers: names that the inventory does not know are left.
const NOT_FINAL: &str = "a name or address that the inventory does not know is left, not denied: the inventory may be behind, and a \
     denial is final";
/// A kubelet is never asked.
const NO_DIAL: &str =
    "OpenShift renews what the kubelet shows when it is dialled; here only the inventory counts, and it is empty";
/// What a node's own credentials may ask for.
const FORGED: &str = "a node's own credentials that ask for another identity are forged, and denied";
/// Known and different.
const NOT_OWN: &str = "the inventory knows the machine and does not give it that name: there is nothing to wait for, although the \
     request is looked at again whenever anything changes";

/// Cases that differ: what is said here, and why it is the better answer.
const DIFFERENT: [(&str, &str, &str); 19] = [
    ("cma-003", "leave", "what is no PEM now never will be: the request cannot change, so nothing is retried"),
    ("cma-016", "deny", FORGED),
    ("cma-017", "deny", FORGED),
    ("cma-019", "leave", NOT_OWN),
    ("cma-020", "leave", NOT_OWN),
    ("cma-021", "leave", NOT_OWN),
    ("cma-038", "leave", "OpenShift's switch for client certificates is not ours; the node exists, so it is left"),
    ("cma-043", "retry", NO_DIAL),
    ("cma-047", "retry", NO_DIAL),
    ("cma-048", "retry", NO_DIAL),
    ("kca-005", "leave", NOT_FINAL),
    ("kca-006", "leave", NOT_FINAL),
    ("kca-007", "leave", NOT_FINAL),
    ("kca-008", "retry", "a name that does not resolve is one that the inventory does not know yet"),
    ("kca-009", "leave", NOT_FINAL),
    ("kca-010", "leave", "a life that is too long is left: another approver may allow more"),
    ("kca-014", "leave", NOT_FINAL),
    ("kca-015", "leave", NOT_FINAL),
    ("kca-016", "leave", NOT_FINAL),
];

/// What a case becomes here.
struct Case {
    id: String,
    csr: Value,
    machines: Vec<Value>,
    nodes: Vec<Value>,
    now: Timestamp,
    rules: CsrRules,
    /// `approve`, `leave`, `retry`, `deny`, or `no` where the peer only says that it is not approved.
    expected: &'static str,
}

#[test]
fn peers_agree_or_are_told_why_not() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else {
        println!("PLIMSOLL_PEER_CASES is not set: nothing to compare with");
        return;
    };
    let builtin = builtin();
    let mut differences = Vec::new();
    let mut excused = Vec::new();
    for (file, least) in FILES {
        let path = folder.join("csr").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(cases.len() >= least, "{file} has {} cases, fewer than {least}", cases.len());
        let mut approved = 0;
        for case in &cases {
            let case = match file {
                "openshift_cma.json" => openshift(case),
                "kubelet_csr_approver.json" => kubelet_csr_approver(case),
                "kubernetes_recognizers.json" => recognizer(case),
                _ => literal(case),
            };
            let (generous, reason) = verdict(&case, &Generous);
            let (sandboxed, _) = verdict(&case, &builtin);
            approved += usize::from(generous == "approve");
            let id = case.id.as_str();
            if generous != sandboxed {
                differences.push(format!("{id}: {generous}, and {sandboxed} with the built-in policy: {reason}"));
            }
            let agrees = generous == case.expected || case.expected == "no" && generous != "approve";
            match DIFFERENT.iter().find(|(known, ..)| *known == id) {
                Some((_, ours, _)) if !agrees && generous == *ours => excused.push(id.to_owned()),
                None if agrees => {}
                _ => differences.push(format!("{id}: {} expected, {generous}: {reason}", case.expected)),
            }
        }
        println!("{file}: {} cases, {approved} approved", cases.len());
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    let listed: Vec<&str> = DIFFERENT.iter().map(|(id, ..)| *id).collect();
    assert_eq!(excused, listed, "every difference that is listed is still one");
}

/// OpenShift's own requests, byte for byte: what is read is what its parser reads.
#[test]
fn literal_requests_are_read_as_openshift_reads_them() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else { return };
    let text = std::fs::read_to_string(folder.join("csr/openshift_literal_pems.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut read = 0;
    for given in &cases {
        let case = literal(given);
        let Some(question) = question(&case) else {
            // Go reads it although its set is not in order.
            assert!(given["x509"]["parse_error"].as_str().unwrap().contains("InvalidSetOrdering"), "{}", case.id);
            let (_, reason) = verdict(&case, &Generous);
            assert!(reason.contains("not in the order that DER demands"), "{reason}");
            continue;
        };
        let texts = |key: &str| -> Vec<String> {
            given["x509"][key].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!((question.dns_names, question.ip_addresses), (texts("dns"), texts("ip")), "{}", case.id);
        let name = texts("cn")[0].strip_prefix("system:node:").unwrap_or_default().to_owned();
        assert_eq!(question.node_name, name, "{}", case.id);
        assert!(given["x509"]["sig_valid"] == true && !question.problems.iter().any(|p| p.contains("signature")));
        read += 1;
    }
    assert_eq!(read, 9);
}

/// Machines, nodes, times and limits are the case's own.
fn openshift(case: &Value) -> Case {
    let seconds = |key: &str| Millis::from_secs(case["config"][key].as_u64().unwrap());
    Case {
        id: text(&case["id"]),
        csr: case["csr"].clone(),
        machines: list(&case["machines"]),
        nodes: list(&case["nodes"]),
        now: timestamp(&case["now"]),
        rules: CsrRules {
            clock_skew: seconds("maxMachineClockSkewSeconds"),
            join_window: seconds("maxMachineDeltaSeconds"),
            ..CsrRules::default()
        },
        expected: match case["expect"]["category"].as_str().unwrap() {
            "approve" => "approve",
            "ignore" => "leave",
            "error_retry" => "retry",
            other => panic!("{other}"),
        },
    }
}

/// This peer has no inventory, but a pattern for names, ranges of addresses, and DNS. What those let a node have is
/// what the inventory says here: names that match and start with the node's, and the addresses that they resolve to
/// within the ranges. Where it does without DNS, whatever the request asks for within pattern and ranges.
fn kubelet_csr_approver(case: &Value) -> Case {
    let config = &case["config"];
    let pattern = Regex::new(config["provider_regex"].as_str().unwrap()).unwrap();
    let ranges: Vec<Cidr> =
        list(&config["ip_prefixes"]).iter().map(|text| Cidr::parse(text.as_str().unwrap()).unwrap()).collect();
    let node = text(&case["csr"]["spec"]["username"]).strip_prefix("system:node:").unwrap_or_default().to_owned();
    let max_expiration = Millis::from_secs(config["max_expiration_seconds"].as_u64().unwrap());
    let mut converted = Case {
        id: text(&case["id"]),
        csr: case["csr"].clone(),
        machines: vec![],
        nodes: vec![],
        now: Timestamp(1_700_000_000_000),
        rules: CsrRules { max_expiration, ..CsrRules::default() },
        expected: match case["expect"]["decision"].as_str().unwrap() {
            "approve" => "approve",
            "ignore" => "leave",
            "deny" => "deny",
            other => panic!("{other}"),
        },
    };
    let mut names: Vec<String> = Vec::new();
    let mut addresses: Vec<String> = Vec::new();
    for (name, resolved) in case["dns_zone"].as_object().into_iter().flatten() {
        names.push(name.clone());
        addresses.extend(list(resolved).iter().map(text));
    }
    if config["bypass_dns_resolution"] == true {
        let question = question(&converted).unwrap();
        names.extend(question.dns_names);
        addresses.extend(question.ip_addresses);
    }
    names.retain(|name| pattern.is_match(name) && name.starts_with(&node));
    addresses.retain(|address| ranges.iter().any(|range| range.contains(address.parse::<IpAddr>().unwrap())));
    if names.is_empty() {
        addresses.clear();
    }
    converted.machines = vec![machine(&node, &names, &addresses)];
    converted
}

/// These only say what the signer takes for a kubelet's request. The machine is the one in the common name, the
/// inventory gives it what is asked for, and a node that asks for its client certificate has joined.
fn recognizer(case: &Value) -> Case {
    let expect = &case["expect"];
    let serving = case["signer"] == "kubernetes.io/kubelet-serving";
    let approved = ["is_valid_kubelet_serving", "is_valid_kubelet_client", "is_self_node_client_cert"]
        .iter()
        .find_map(|key| expect[key].as_bool())
        .unwrap();
    let mut converted = Case {
        id: text(&case["id"]),
        csr: case["csr"].clone(),
        machines: vec![],
        nodes: vec![],
        now: Timestamp(1_700_000_000_000),
        rules: CsrRules::default(),
        expected: if approved { "approve" } else { "no" },
    };
    let question = question(&converted).unwrap();
    let node = question.node_name.as_str();
    converted.machines = vec![machine(node, &question.dns_names, &question.ip_addresses)];
    if !serving && !node.is_empty() {
        converted.nodes = vec![json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})];
    }
    converted
}

/// OpenShift's requests without objects around them: they belong to the machines of its other cases.
fn literal(case: &Value) -> Case {
    let id = text(&case["id"]);
    let client = id.starts_with("client");
    let (signer, auth, username, groups) = if client {
        let account = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper";
        (
            "kubernetes.io/kube-apiserver-client-kubelet",
            "client auth",
            account,
            ["system:serviceaccounts", "system:authenticated"],
        )
    } else {
        ("kubernetes.io/kubelet-serving", "server auth", "system:node:test", ["system:nodes", "system:authenticated"])
    };
    let mut machines: Vec<Value> = ["panda", "bear", "monkey", "zebra"]
        .iter()
        .map(|name| {
            let addresses = [json!({"type": "InternalDNS", "address": name})];
            json!({"metadata": {"name": format!("machine-{name}")}, "status": {"addresses": addresses}})
        })
        .collect();
    let own = ["node1", "node1.local"].map(str::to_owned);
    machines.push(machine("test", &own, &["127.0.0.1", "10.0.0.1"].map(str::to_owned)));
    Case {
        csr: json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": id},
            "spec": {
                "request": STANDARD.encode(text(&case["pem"])),
                "signerName": signer,
                "username": username,
                "groups": groups,
                "usages": ["digital signature", "key encipherment", auth],
            },
        }),
        expected: if ["goodCSR", "clientGood"].contains(&id.as_str()) { "approve" } else { "no" },
        id,
        machines,
        nodes: vec![],
        now: Timestamp(1_700_000_000_000),
        rules: CsrRules::default(),
    }
}

/// A machine that has become this node.
fn machine(node: &str, names: &[String], addresses: &[String]) -> Value {
    let names = names.iter().map(|name| json!({"type": "InternalDNS", "address": name}));
    let addresses = addresses.iter().map(|address| json!({"type": "InternalIP", "address": address}));
    let all: Vec<Value> = names.chain(addresses).collect();
    json!({"metadata": {"name": "machine-1"}, "status": {"nodeRef": {"name": node}, "addresses": all}})
}

fn snapshot(case: &Case) -> Arc<Snapshot> {
    let mut items = vec![case.csr.clone()];
    for machine in &case.machines {
        let mut machine = machine.clone();
        machine["apiVersion"] = "machine.openshift.io/v1beta1".into();
        machine["kind"] = "Machine".into();
        items.push(machine);
    }
    for node in &case.nodes {
        // The cases leave out what every real node states.
        let mut node = node.clone();
        node["status"]["capacity"] = json!({"cpu": "4", "memory": "8Gi", "pods": "110"});
        items.push(node);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let dump = read_stream(&case.id, list.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", case.id));
    assert!(dump.account.broken.is_empty(), "{}: {}", case.id, dump.account.broken[0]);
    assert_eq!(dump.snapshot.signing_requests().len(), 1);
    Arc::new(dump.snapshot)
}

fn verdict(case: &Case, policy: &dyn CsrPolicy) -> (&'static str, String) {
    let plan = plan_csrs(&snapshot(case), case.now, &case.rules, policy);
    match plan.decisions.into_iter().next().unwrap().verdict {
        CsrVerdict::Approve(reason) => ("approve", reason),
        CsrVerdict::Deny(reason) => ("deny", reason),
        CsrVerdict::Leave(reason) => ("leave", reason),
        CsrVerdict::Retry(reason) => ("retry", reason),
    }
}

/// What a policy is asked about the request; `None` if it cannot be read.
fn question(case: &Case) -> Option<CsrQuestion> {
    struct Curious(Mutex<Option<CsrQuestion>>);
    impl CsrPolicy for Curious {
        fn review(&self, _: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict> {
            *self.0.lock().unwrap() = Some(question.clone());
            Asked { verdict: None, calls: vec![] }
        }
    }
    let curious = Curious(Mutex::new(None));
    // Nobody is asked about what is forged, and here it is only read.
    let rules = CsrRules { deny_forged: false, ..case.rules.clone() };
    let mut csr = case.csr.clone();
    if !["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"]
        .iter()
        .any(|signer| csr["spec"]["signerName"] == *signer)
    {
        csr["spec"]["signerName"] = "kubernetes.io/kubelet-serving".into();
    }
    let asked = Case { csr, id: case.id.clone(), machines: vec![], nodes: vec![], now: case.now, rules, expected: "" };
    verdict(&asked, &curious);
    curious.0.into_inner().unwrap()
}

/// Approves whatever it sees.
struct Generous;

impl CsrPolicy for Generous {
    fn review(&self, _: &Arc<Snapshot>, _: &CsrQuestion) -> Asked<CsrVerdict> {
        Asked { verdict: Some(CsrVerdict::Approve("why not".to_owned())), calls: vec![] }
    }
}

/// The policy that answers where none is configured.
fn builtin() -> PolicyRegistry {
    let policy = plimsoll_builtin::find("csr-launched-nodes").unwrap();
    let spec = PolicySpec {
        name: policy.name.into(),
        module: ModuleSource::Builtin { name: policy.name, wasm: policy.wasm },
        settings: "{}".to_owned(),
        mode: Mode::Active,
        limits: Limits::default(),
        on_error: OnError::Hold,
    };
    PolicyRegistry::sandboxed(Sandbox::new().unwrap(), None, vec![(Point::CsrApproval, spec)], vec![]).0
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Midnight of a day of November 2020, as these cases have it.
fn timestamp(value: &Value) -> Timestamp {
    assert_eq!(value, "2020-11-19T00:00:00Z");
    Timestamp(1_605_744_000_000)
}
