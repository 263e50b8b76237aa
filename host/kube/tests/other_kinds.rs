//! How everything but pods becomes rows.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use plimsoll_model::{Address, AddressKind, CsrState, LabelSelector, Node, Taint, TaintEffect, Text, Timestamp};
use texts::{read_json, read_yaml, shown};

fn node(text: &str) -> Node {
    let dump = read_yaml(&format!("kind: Node\napiVersion: v1\nmetadata: {{name: n, uid: u}}\n{text}"));
    assert_eq!(dump.account.broken, [], "{text}");
    dump.snapshot.nodes().next().expect("a node").1.clone()
}

#[test]
fn nodes_offer_what_is_allocatable() {
    let offered = node(
        "status:\n  capacity: {cpu: '4', memory: 16Gi, pods: '58'}\n  allocatable:\n    cpu: 3920m\n    memory: 14226852Ki\n    \
         ephemeral-storage: '37087380622'\n    pods: '58'\n    attachable-volumes-aws-ebs: '25'\n    hugepages-2Mi: '0'\n    \
         nvidia.com/gpu: 1\n",
    )
    .allocatable;
    assert_eq!((offered.cpu.0, offered.memory.0, offered.pods), (3920, 14_226_852 * 1024, 58));
    assert_eq!(offered.ephemeral_storage.0, 37_087_380_622);
    let names: Vec<_> = offered.extended().iter().map(|(name, amount)| (name.as_str(), *amount)).collect();
    assert_eq!(names, [("nvidia.com/gpu", 1)]);

    let whole = node("status: {capacity: {cpu: 4}}").allocatable;
    assert_eq!((whole.cpu.0, whole.pods), (4000, 0));
}

/// kube-scheduler knows no conditions: a node that has none of this type is used.
#[test]
fn a_node_is_ready_unless_it_says_otherwise() {
    for (conditions, ready) in [
        ("", true),
        ("{type: MemoryPressure, status: 'False'}", true),
        ("{type: Ready, status: 'True'}", true),
        ("{type: Ready, status: 'False'}", false),
        ("{type: Ready, status: Unknown}", false),
        ("{type: Ready}", false),
    ] {
        let node = node(&format!("status: {{capacity: {{cpu: 4}}, conditions: [{conditions}]}}"));
        assert_eq!(node.ready, ready, "{conditions}");
    }
}

#[test]
fn nodes_keep_what_decisions_use() {
    let plain = node("status: {capacity: {cpu: 4}}");
    assert!(!plain.unschedulable && !plain.deleting && plain.taints.is_empty());

    let full = read_yaml(
        "kind: Node\nmetadata:\n  name: n\n  creationTimestamp: '2026-11-20T10:00:00Z'\n  deletionTimestamp: '2026-11-20T10:00:00Z'\n  \
         labels: {topology.kubernetes.io/zone: eu-west-1a}\nspec:\n  unschedulable: true\n  taints:\n  - {key: a, value: b, effect: NoSchedule}\n  \
         - {key: c, effect: NoExecute, timeAdded: '2026-11-20T10:00:00Z'}\nstatus:\n  capacity: {cpu: 1}\n  conditions:\n  \
         - {type: MemoryPressure, status: 'False'}\n  - {type: Ready, status: 'True', lastHeartbeatTime: '2026-11-20T10:05:00Z'}\n  \
         addresses:\n  - {type: InternalIP, address: 10.0.0.1}\n  - {type: Hostname, address: ip-1}\n  - {type: Carrier, address: x}\n",
    );
    let node = full.snapshot.find_node("n").expect("the node").1;
    assert!(node.ready && node.unschedulable && node.deleting);
    let taint = |key: &str, value: &str, effect| Taint { key: key.into(), value: value.into(), effect };
    assert_eq!(node.taints, [taint("a", "b", TaintEffect::NoSchedule), taint("c", "", TaintEffect::NoExecute)]);
    let address = |kind, value: &str| Address { kind, value: value.into() };
    assert_eq!(node.addresses, [address(AddressKind::Ip, "10.0.0.1"), address(AddressKind::Dns, "ip-1")]);
    assert_eq!(node.zone().map(Text::as_str), Some("eu-west-1a"));
    assert_eq!(full.account.newest, Some(Timestamp(1_795_169_100_000)));
}

#[test]
fn budgets_by_version_and_status() {
    let budget = |version: &str, selector: &str, status: &str| {
        let text = format!(
            "kind: PodDisruptionBudget\napiVersion: {version}\nmetadata: {{name: b, namespace: n}}\nspec: {{{selector}}}\n{status}"
        );
        let dump = read_yaml(&text);
        let budget = &dump.snapshot.budgets()[0];
        (budget.selector.clone(), budget.disruptions_allowed)
    };
    let all = Some(LabelSelector::default());
    assert_eq!(budget("policy/v1", "selector: {}", "status: {disruptionsAllowed: 2}"), (all.clone(), 2));
    assert_eq!(budget("policy/v1beta1", "selector: {}", "status: {disruptionsAllowed: 2}"), (None, 2));
    assert_eq!(budget("policy/v1", "maxUnavailable: 1", ""), (None, 0));
    assert_eq!(budget("policy/v1", "selector: {}", "status: {disruptionsAllowed: -1}"), (all.clone(), 0));
    assert_eq!(budget("policy/v1", "selector: {}", "status: {disruptionsAllowed: 99999999999}"), (all, u32::MAX));
    for spec in ["", "spec: null\n"] {
        let text = format!("kind: PodDisruptionBudget\napiVersion: policy/v1\nmetadata: {{name: b}}\n{spec}");
        let dump = read_yaml(&text);
        assert_eq!((dump.account.broken.len(), dump.snapshot.budgets().len()), (0, 1), "{text}");
        assert_eq!(dump.snapshot.budgets()[0].selector, None, "it covers nothing");
    }
    let (selector, _) = budget(
        "policy/v1beta1",
        "selector: {matchLabels: {a: b}, matchExpressions: [{key: c, operator: DoesNotExist}]}",
        "",
    );
    let selector = selector.expect("a selector");
    assert_eq!(selector.match_labels.get("a").map(Text::as_str), Some("b"));
    assert_eq!(shown(&selector.match_expressions), ["c absent"]);
}

#[test]
fn signing_requests_keep_every_claim() {
    let csr = |request: &str, conditions: &str| {
        let text = format!(
            "kind: CertificateSigningRequest\napiVersion: certificates.k8s.io/v1\nmetadata: {{name: c, creationTimestamp: '2026-11-20T10:00:00Z'}}\n\
             spec:\n  request: '{request}'\n  signerName: kubernetes.io/kubelet-serving\n  usages: [digital signature, server auth]\n  \
             username: system:node:n\n  groups: ['system:nodes', 'system:authenticated']\n  expirationSeconds: 86400\nstatus: {{conditions: [{conditions}]}}\n"
        );
        let dump = read_yaml(&text);
        dump.snapshot.signing_requests()[0].clone()
    };
    let good = csr("LS0tLS0=", "");
    assert_eq!((good.pem.as_slice(), good.signer.as_str()), (&b"-----"[..], "kubernetes.io/kubelet-serving"));
    assert_eq!(good.usages, ["digital signature", "server auth"]);
    assert_eq!((good.username.as_str(), good.groups.len()), ("system:node:n", 2));
    assert_eq!((good.expiration_seconds, good.created), (Some(86400), Some(Timestamp(1_795_168_800_000))));
    for (conditions, state) in [
        ("", CsrState::Pending),
        ("{type: Approved, status: 'True'}", CsrState::Approved),
        ("{type: Approved}", CsrState::Approved),
        ("{type: Denied, status: 'True'}", CsrState::Denied),
        ("{type: Approved, status: 'True'}, {type: Failed, status: 'True'}", CsrState::Failed),
        ("{type: Other, status: 'True'}", CsrState::Pending),
    ] {
        assert_eq!(csr("", conditions).state, state, "{conditions}");
    }
    // What is no base64 stays visible, as an empty request.
    assert_eq!(csr("!no base64!", "").pem, b"");
}

#[test]
fn machines_of_every_inventory() {
    let dump = read_yaml(
        "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Machine\nmetadata: {name: capi, labels: {cluster.x-k8s.io/deployment-name: general}}\n\
         status: {nodeRef: {name: n1}, addresses: [{type: InternalIP, address: 10.0.0.1}, {type: InternalDNS, address: n1.internal}]}\n---\n\
         apiVersion: machine.openshift.io/v1beta1\nkind: Machine\nmetadata: {name: ocp, deletionTimestamp: '2026-11-20T10:00:00Z', \
         labels: {machine.openshift.io/cluster-api-machineset: workers}}\n---\n\
         apiVersion: karpenter.sh/v1\nkind: NodeClaim\nmetadata: {name: karp, labels: {karpenter.sh/nodepool: pool}}\nstatus: {nodeName: n2}\n---\n\
         apiVersion: other.example/v1\nkind: Machine\nmetadata: {name: other}\n",
    );
    let rows: Vec<_> = dump
        .snapshot
        .machines()
        .iter()
        .map(|machine| {
            let text = |text: &Option<Text>| text.as_deref().unwrap_or("-").to_owned();
            (
                machine.name.to_string(),
                text(&machine.node),
                text(&machine.group),
                machine.addresses.len(),
                machine.deleting,
            )
        })
        .collect();
    let row = |name: &str, node: &str, group: &str, addresses, deleting| {
        (name.to_owned(), node.to_owned(), group.to_owned(), addresses, deleting)
    };
    assert_eq!(
        rows,
        [
            row("capi", "n1", "general", 2, false),
            row("karp", "n2", "pool", 0, false),
            row("ocp", "-", "workers", 0, true)
        ]
    );
    assert_eq!(dump.account.unknown.get("Machine.other.example"), Some(&1));
}

#[test]
fn namespaces_and_kinds_that_nothing_uses() {
    let dump = read_json(
        r#"{"kind":"List","items":[{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","labels":{"team":"a"}}},
            {"kind":"Secret","apiVersion":"v1","data":{"x":"y"}},{"kind":"Secret","apiVersion":"v1"},
            {"kind":"Event","apiVersion":"events.k8s.io/v1"}]}"#,
    );
    let team = LabelSelector { match_labels: [("team", "a")].into_iter().collect(), match_expressions: vec![] };
    assert!(dump.snapshot.namespace_matches("shop", &team));
    assert!(!dump.snapshot.namespace_matches("other", &team));
    let unknown: Vec<_> = dump.account.unknown.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(unknown, [("Event", 1), ("Secret", 2)]);
    assert_eq!(dump.account.objects(), 4);
}
