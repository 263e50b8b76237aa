//! How DaemonSets become rows.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use plimsoll_model::{DaemonSet, PodShape, TaintEffect, Text, Toleration, Uid};
use texts::{pod_of, read_yaml, shown};

/// DaemonSets with this `metadata`, and a template with these labels and this `spec`.
fn daemon_sets(metadata: &str, labels: &str, spec: &str) -> Vec<DaemonSet> {
    let yaml = format!(
        "kind: DaemonSet\napiVersion: apps/v1\nmetadata: {{name: d, {metadata}}}\n\
         spec: {{template: {{metadata: {{labels: {labels}}}, spec: {{containers: [], {spec}}}}}}}\n"
    );
    let dump = read_yaml(&yaml);
    assert_eq!(dump.account.broken, [], "{yaml}");
    assert_eq!(dump.account.read.get("DaemonSet"), Some(&1));
    dump.snapshot.daemon_sets().cloned().collect()
}

fn daemon_set(labels: &str, spec: &str) -> DaemonSet {
    daemon_sets("", labels, spec).pop().expect("a DaemonSet")
}

#[test]
fn daemon_sets_keep_what_decisions_use() {
    let found = daemon_sets("namespace: kube-system, uid: u", "{app: agent}", "").pop().expect("a DaemonSet");
    assert_eq!(
        (found.namespace.as_str(), found.name.as_str(), found.uid),
        ("kube-system", "d", Uid::Other("u".into()))
    );
    assert_eq!(found.labels.get("app").map(Text::as_str), Some("agent"));
    assert_eq!(found.priority_class, None);
    let classed = daemon_set("{}", "priorityClassName: system-node-critical");
    assert_eq!(classed.priority_class.as_deref(), Some("system-node-critical"));
    assert_eq!(daemon_set("{}", "priorityClassName: null").priority_class, None);
    assert_eq!(daemon_set("null", "").labels.len(), 0);
    assert_eq!(daemon_sets("deletionTimestamp: '2026-11-20T10:00:00Z'", "{}", ""), []);
}

/// A list of metadata still says that it is there.
#[test]
fn a_daemon_set_without_a_spec_asks_for_nothing() {
    for spec in ["", "spec: null\n"] {
        let dump = read_yaml(&format!("kind: DaemonSet\napiVersion: apps/v1\nmetadata: {{name: d, uid: u}}\n{spec}"));
        assert_eq!(dump.account.broken, []);
        let found: Vec<_> = dump.snapshot.daemon_sets().collect();
        assert_eq!((found.len(), found[0].name.as_str(), found[0].uid.to_string()), (1, "d", "u".to_owned()));
        assert_eq!((found[0].shape.requests.cpu.0, found[0].shape.requests.pods), (0, 1));
    }
}

#[test]
fn a_template_has_the_shape_of_its_pods() {
    let labels = "{app: agent}";
    let spec = "initContainers: [{resources: {requests: {cpu: 2}}}], resources: {requests: {hugepages-2Mi: 4}}, \
         overhead: {memory: 5}, nodeSelector: {kubernetes.io/os: linux}, os: {name: linux}, priority: 7, \
         resourceClaims: [{name: g}], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
         {nodeSelectorTerms: [{matchExpressions: [{key: fargate, operator: DoesNotExist}]}]}}}, \
         topologySpreadConstraints: [{topologyKey: z, maxSkew: 1, labelSelector: {}, matchLabelKeys: [app]}]";
    let found = daemon_set(labels, spec).shape;
    let pod = pod_of(&format!("labels: {labels}"), spec, "").shape;
    assert_eq!(*found, PodShape { tolerations: found.tolerations.clone(), ..(*pod).clone() });
    assert_eq!((found.requests.cpu.0, found.requests.memory.0, found.requests.pods), (2000, 5, 1));
    assert_eq!(
        shown(&found.inter_pod.spread[0].selector.as_ref().expect("a selector").match_expressions),
        ["app in (agent)"]
    );
}

#[test]
fn pods_of_daemon_sets_tolerate_what_their_controller_adds() {
    let tolerated = |spec: &str| -> Vec<String> {
        let shape = daemon_set("{}", spec).shape;
        let show = |toleration: &Toleration| {
            assert_eq!(toleration.value, None);
            let key = toleration.key.as_ref().expect("a key").replace("node.kubernetes.io/", "");
            format!("{key}:{}", toleration.effect.map_or("", TaintEffect::name))
        };
        shape.tolerations.iter().map(show).collect()
    };
    let always = [
        "not-ready:NoExecute",
        "unreachable:NoExecute",
        "disk-pressure:NoSchedule",
        "memory-pressure:NoSchedule",
        "pid-pressure:NoSchedule",
        "unschedulable:NoSchedule",
    ];
    assert_eq!(tolerated(""), always);
    assert_eq!(tolerated("hostNetwork: true"), [&always[..], &["network-unavailable:NoSchedule"]].concat());
    let own = "tolerations: [{key: gpu, operator: Exists}, {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute}]";
    assert_eq!(tolerated(own), [&["gpu:", "not-ready:NoExecute"][..], &always[1..]].concat());
}
