//! How pods become rows.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use plimsoll_model::{
    HostPort, LabelSelector, Millis, Operator, Phase, Pod, PodAffinityTerm, Protocol, Scheduling, SpreadConstraint,
    TaintEffect, Text, Timestamp, Toleration, Uid, Volumes,
};
use texts::{read_json, read_yaml};

/// The one pod with this `metadata`, `spec` and `status`, all of it in YAML's flow form.
fn pod_of(metadata: &str, spec: &str, status: &str) -> Pod {
    let yaml = format!(
        "kind: Pod\napiVersion: v1\nmetadata: {{name: p, namespace: n, {metadata}}}\n\
         spec: {{containers: [], {spec}}}\nstatus: {{{status}}}\n"
    );
    let dump = read_yaml(&yaml);
    assert_eq!(dump.account.broken, [], "{yaml}");
    dump.snapshot.pods().next().expect("a pod").1.clone()
}

fn pod(spec: &str) -> Pod {
    pod_of("", spec, "")
}

/// A pod whose containers are `containers`, with more fields.
fn requests(containers: &str, more: &str) -> (u64, u64, u64, Vec<(String, u64)>) {
    let yaml = format!("kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: {containers}, {more}}}\n");
    let dump = read_yaml(&yaml);
    assert_eq!(dump.account.broken, [], "{yaml}");
    let shape = &dump.snapshot.pods().next().expect("a pod").1.shape;
    assert_eq!(shape.requests.pods, 1);
    let extended = shape.requests.extended().iter().map(|(name, amount)| (name.to_string(), *amount)).collect();
    (shape.requests.cpu.0, shape.requests.memory.0, shape.requests.ephemeral_storage.0, extended)
}

#[test]
fn requests_are_those_the_scheduler_counts() {
    let none = Vec::new;
    let mebi = 1 << 20;
    for (containers, more, expected) in [
        ("[]", "", (0, 0, 0, none())),
        ("[{resources: {requests: {cpu: 250m, memory: 64Mi}}}]", "", (250, 64 * mebi, 0, none())),
        ("[{resources: {requests: {cpu: 1}}}, {resources: {requests: {cpu: 0.5}}}, {}]", "", (1500, 0, 0, none())),
        ("[{resources: {limits: {cpu: 2, memory: 1Mi}, requests: {cpu: 1}}}]", "", (1000, mebi, 0, none())),
        (
            "[{resources: {requests: {cpu: 1}}}]",
            "initContainers: [{resources: {requests: {cpu: 3}}}]",
            (3000, 0, 0, none()),
        ),
        (
            "[{resources: {requests: {cpu: 1}}}]",
            "initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 200m}}}, {resources: {requests: {cpu: 500m}}}]",
            (1200, 0, 0, none()),
        ),
        ("[{resources: {requests: {cpu: 1}}}]", "overhead: {cpu: 250m, memory: 120Mi}", (1250, 120 * mebi, 0, none())),
        (
            "[{resources: {requests: {cpu: 1, memory: 1Mi}}}]",
            "resources: {requests: {cpu: 4}}, overhead: {cpu: 1}",
            (5000, mebi, 0, none()),
        ),
        (
            "[{resources: {limits: {nvidia.com/gpu: 2, hugepages-2Mi: 4Mi}, requests: {ephemeral-storage: 1k}}}]",
            "",
            (0, 0, 1000, vec![("hugepages-2Mi".to_owned(), 4 * mebi), ("nvidia.com/gpu".to_owned(), 2)]),
        ),
    ] {
        assert_eq!(requests(containers, more), expected, "{containers} {more}");
    }
}

#[test]
fn tolerations_of_every_form() {
    let toleration = |key: Option<&str>, value: Option<&str>, effect| Toleration {
        key: key.map(Text::from),
        value: value.map(Text::from),
        effect,
    };
    for (text, expected) in [
        ("{operator: Exists}", toleration(None, None, None)),
        ("{key: '', operator: Exists, effect: NoExecute}", toleration(None, None, Some(TaintEffect::NoExecute))),
        ("{key: k, operator: Exists, effect: ''}", toleration(Some("k"), None, None)),
        ("{key: k, operator: Exists, tolerationSeconds: 300}", toleration(Some("k"), None, None)),
        ("{key: k, value: v, effect: NoSchedule}", toleration(Some("k"), Some("v"), Some(TaintEffect::NoSchedule))),
        ("{key: k, operator: Equal}", toleration(Some("k"), Some(""), None)),
    ] {
        assert_eq!(pod(&format!("tolerations: [{text}]")).shape.tolerations, [expected], "{text}");
    }
}

#[test]
fn host_ports_are_those_taken_on_the_node() {
    let port = |port, protocol, ip: Option<&str>| HostPort { port, protocol, ip: ip.map(Text::from) };
    let ports = |containers: &str, more: &str| {
        let yaml = format!("kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: {containers}, {more}}}\n");
        read_yaml(&yaml).snapshot.pods().next().expect("a pod").1.shape.host_ports.clone()
    };
    assert_eq!(ports("[{ports: [{containerPort: 80}]}]", ""), []);
    assert_eq!(
        ports("[{ports: [{containerPort: 80, hostPort: 8080}, {containerPort: 53, hostPort: 53, protocol: UDP}]}]", ""),
        [port(53, Protocol::Udp, None), port(8080, Protocol::Tcp, None)]
    );
    for (ip, expected) in [("0.0.0.0", None), ("''", None), ("'::'", None), ("10.0.0.1", Some("10.0.0.1"))] {
        let found = ports(&format!("[{{ports: [{{containerPort: 1, hostPort: 1, hostIP: {ip}}}]}}]"), "");
        assert_eq!(found, [port(1, Protocol::Tcp, expected)], "{ip}");
    }
    assert_eq!(
        ports("[{ports: [{containerPort: 9100}]}, {ports: [{containerPort: 9100}]}]", "hostNetwork: true"),
        [port(9100, Protocol::Tcp, None)]
    );
    let init =
        "initContainers: [{ports: [{hostPort: 1}]}, {restartPolicy: Always, ports: [{hostPort: 2, protocol: SCTP}]}]";
    assert_eq!(ports("[]", init), [port(2, Protocol::Sctp, None)]);
}

#[test]
fn how_far_scheduling_has_come() {
    let unscheduled = |reason: &str| format!("conditions: [{{type: PodScheduled, status: 'False', reason: {reason}}}]");
    for (spec, status, expected) in [
        ("", String::new(), Scheduling::Quiet),
        ("", unscheduled("Unschedulable"), Scheduling::Unschedulable),
        ("", unscheduled("SchedulingGated"), Scheduling::Gated),
        ("", unscheduled("SchedulerError"), Scheduling::Quiet),
        ("", "conditions: [{type: PodScheduled, status: 'True', reason: Unschedulable}]".into(), Scheduling::Quiet),
        ("nodeName: a", unscheduled("Unschedulable"), Scheduling::Quiet),
        ("schedulingGates: [{name: quota}]", String::new(), Scheduling::Gated),
        ("schedulingGates: []", unscheduled("Unschedulable"), Scheduling::Unschedulable),
        ("", format!("nominatedNodeName: b, {}", unscheduled("Unschedulable")), Scheduling::Nominated("b".into())),
    ] {
        assert_eq!(pod_of("", spec, &status).scheduling, expected, "{spec} / {status}");
    }
}

#[test]
fn volumes_say_what_would_be_lost() {
    let volumes = |local, claims| Volumes { local, claims };
    for (text, expected) in [
        ("", volumes(false, false)),
        ("{hostPath: {path: /var}}", volumes(true, false)),
        ("{emptyDir: {}}", volumes(true, false)),
        ("{emptyDir: {medium: Memory}}", volumes(false, false)),
        ("{persistentVolumeClaim: {claimName: c}}", volumes(false, true)),
        ("{ephemeral: {volumeClaimTemplate: {}}}", volumes(false, true)),
        ("{configMap: {name: c}}, {secret: {secretName: s}}, {projected: {sources: []}}", volumes(false, false)),
        ("{emptyDir: {}}, {persistentVolumeClaim: {claimName: c}}", volumes(true, true)),
    ] {
        assert_eq!(pod(&format!("volumes: [{text}]")).volumes, expected, "{text}");
    }
}

#[test]
fn plain_fields_and_their_defaults() {
    let bare = pod("");
    assert_eq!((bare.phase, bare.ready, bare.node, bare.owner), (Phase::Pending, false, None, None));
    assert_eq!((bare.grace, bare.created, bare.deletion), (Millis(30_000), None, None));
    assert_eq!((bare.shape.priority, bare.shape.scheduler.clone(), bare.priority_class), (0, None, None));
    assert_eq!(bare.uid, Uid::Other("".into()));

    let full = pod_of(
        "uid: 0f8fad5b-d9cb-469f-a165-70867728950e, creationTimestamp: '2026-11-20T10:00:00Z', \
         deletionTimestamp: '2026-11-20T10:00:30.5Z', labels: {app: web}, annotations: {a: b}, \
         ownerReferences: [{kind: X, apiVersion: v1, name: no}, \
         {kind: ReplicaSet, apiVersion: apps/v1, name: web-1, uid: u, controller: true}]",
        "nodeName: a, priority: -5, priorityClassName: low, schedulerName: my-scheduler, \
         terminationGracePeriodSeconds: 0, nodeSelector: {disk: ssd}",
        "phase: Running, conditions: [{type: Ready, status: 'True'}]",
    );
    assert_eq!((full.phase, full.ready, full.node.as_deref()), (Phase::Running, true, Some("a")));
    assert_eq!(full.created, Some(Timestamp(1_795_168_800_000)));
    assert_eq!(full.deletion, Some(Timestamp(1_795_168_830_500)));
    assert_eq!((full.grace, full.shape.priority), (Millis(0), -5));
    assert_eq!((full.priority_class.as_deref(), full.shape.scheduler.as_deref()), (Some("low"), Some("my-scheduler")));
    assert_eq!(full.shape.node_selector.get("disk").map(Text::as_str), Some("ssd"));
    assert_eq!(full.annotations.get("a").map(Text::as_str), Some("b"));
    let owner = full.owner.expect("an owner");
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.namespace.as_str()), ("ReplicaSet", "web-1", "n"));
    assert_eq!(pod("schedulerName: default-scheduler").shape.scheduler, None);
    assert_eq!(pod("terminationGracePeriodSeconds: -1").grace, Millis(0));
}

#[test]
fn annotations_that_no_decision_uses_are_left_out() {
    let (long, short) = ("x".repeat(1025), "x".repeat(1024));
    let pod = pod_of(
        &format!(
            "annotations: {{long: {long}, short: {short}, kubectl.kubernetes.io/last-applied-configuration: '{{}}', none: }}"
        ),
        "",
        "",
    );
    let kept: Vec<_> = pod.annotations.iter().map(|(key, value)| (key.to_string(), value.len())).collect();
    assert_eq!(kept, [("none".to_owned(), 0), ("short".to_owned(), 1024)]);
}

#[test]
fn affinity_keeps_what_is_required() {
    let pod = pod("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [\
         {matchExpressions: [{key: zone, operator: In, values: [a, b]}], matchFields: [{key: metadata.name, operator: NotIn, values: [n1]}]}, \
         {matchExpressions: [{key: cores, operator: Gt, values: ['4']}]}]}, \
         preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {}}]}, \
         podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: db}}, namespaces: [x]}]}, \
         podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: host, namespaceSelector: {}}], \
         preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone}}]}}, \
         topologySpreadConstraints: [{topologyKey: zone, maxSkew: 2, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}, \
         {topologyKey: host, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}]");
    let node = pod.shape.node_affinity.as_ref().expect("node affinity");
    let shown: Vec<String> = node
        .terms
        .iter()
        .map(|term| format!("{:?} {:?}", texts::shown(&term.match_expressions), texts::shown(&term.match_fields)))
        .collect();
    assert_eq!(shown, [r#"["zone in (a,b)"] ["metadata.name not in (n1)"]"#, r#"["cores > 4"] []"#]);
    assert_eq!(node.terms[1].match_expressions[0].operator, Operator::Gt);

    let rules = &pod.shape.inter_pod;
    let db = LabelSelector { match_labels: [("app", "db")].into_iter().collect(), match_expressions: vec![] };
    let near = PodAffinityTerm {
        selector: Some(db),
        namespaces: vec!["x".into()],
        namespace_selector: None,
        topology_key: "zone".into(),
    };
    let apart = PodAffinityTerm {
        selector: None,
        namespaces: vec![],
        namespace_selector: Some(LabelSelector::default()),
        topology_key: "host".into(),
    };
    assert_eq!((rules.affinity.as_slice(), rules.anti_affinity.as_slice()), (&[near][..], &[apart][..]));
    let even = SpreadConstraint { selector: Some(LabelSelector::default()), topology_key: "zone".into(), max_skew: 2 };
    assert_eq!(rules.spread, [even]);
}

#[test]
fn equal_pods_share_what_is_equal() {
    let item = |name: &str, cpu: &str| {
        format!(
            r#"{{"metadata":{{"name":"{name}","uid":"{name}","labels":{{"a":"b"}}}},"spec":{{"containers":[{{"resources":{{"requests":{{"cpu":"{cpu}"}}}}}}]}}}}"#
        )
    };
    let list = [item("a", "1"), item("b", "1000m"), item("c", "2")].join(",");
    let dump = read_json(&format!(r#"{{"kind":"PodList","apiVersion":"v1","items":[{list}]}}"#));
    let pods: Vec<_> = dump.snapshot.pods().map(|(_, pod)| pod).collect();
    assert!(std::sync::Arc::ptr_eq(&pods[0].shape, &pods[1].shape));
    assert!(!std::sync::Arc::ptr_eq(&pods[0].shape, &pods[2].shape));
    assert!(std::sync::Arc::ptr_eq(&pods[0].labels, &pods[2].labels));
    assert_eq!(dump.account.read.get("Pod"), Some(&3));
}
