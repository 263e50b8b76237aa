//! How pods become rows.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use plimsoll_model::{
    HostPort, Millis, Os, Phase, Protocol, Scheduling, TaintEffect, Text, Timestamp, Toleration, Uid, Volumes,
    well_known,
};
use texts::{pod, pod_of, read_json, read_yaml};

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

/// The rules are those of `defaultPodRequests` and `PodRequests` in Kubernetes.
#[test]
fn requests_of_the_pod_as_a_whole_replace_those_of_its_containers() {
    let pages = |amount| vec![("hugepages-2Mi".to_owned(), amount)];
    let gpu = || vec![("nvidia.com/gpu".to_owned(), 1)];
    for (containers, pod, expected) in [
        ("{requests: {cpu: 1, memory: 8}}", "{requests: {cpu: 4}}", (4000, 8, 0, vec![])),
        ("{requests: {cpu: 4}}", "{requests: {cpu: 1, memory: 2}}", (1000, 2, 0, vec![])),
        // A limit stands for the request only where no container requests anything.
        ("{}", "{limits: {cpu: 4, memory: 8}}", (4000, 8, 0, vec![])),
        ("{requests: {cpu: 1}}", "{limits: {cpu: 4, memory: 8}}", (1000, 8, 0, vec![])),
        ("{requests: {cpu: 0}}", "{limits: {cpu: 4}}", (0, 0, 0, vec![])),
        ("{limits: {cpu: 1}}", "{limits: {cpu: 4}}", (1000, 0, 0, vec![])),
        ("{requests: {cpu: 1}}", "{requests: {cpu: 2}, limits: {cpu: 4}}", (2000, 0, 0, vec![])),
        // Huge pages are never overcommitted.
        ("{limits: {hugepages-2Mi: 2}}", "{limits: {hugepages-2Mi: 8}}", (0, 0, 0, pages(8))),
        ("{limits: {hugepages-2Mi: 2}}", "{requests: {hugepages-2Mi: 8}}", (0, 0, 0, pages(8))),
        ("{limits: {hugepages-2Mi: 2}}", "{requests: {cpu: 1}}", (1000, 0, 0, pages(2))),
        // Nothing else can be given for the pod as a whole.
        (
            "{requests: {ephemeral-storage: 3, nvidia.com/gpu: 1}}",
            "{requests: {ephemeral-storage: 9, nvidia.com/gpu: 9, pods: 9}, limits: {nvidia.com/gpu: 9}}",
            (0, 0, 3, gpu()),
        ),
    ] {
        let found = requests(&format!("[{{resources: {containers}}}, {{}}]"), &format!("resources: {pod}"));
        assert_eq!(found, expected, "{containers} in {pod}");
    }
    let init = "initContainers: [{resources: {requests: {cpu: 3}}}]";
    let with_init = |pod: &str| requests("[]", &format!("{init}, overhead: {{cpu: 1}}, resources: {pod}")).0;
    assert_eq!((with_init("{limits: {cpu: 8}}"), with_init("{requests: {cpu: 2}}")), (4000, 3000));
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
    let volumes = |local, claims| Volumes { local, claims, unlisted: local };
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

/// cluster-autoscaler's rule: names with nothing but commas between them, and every local volume has to be listed.
#[test]
fn local_volumes_can_be_listed_as_safe_to_lose() {
    let local = "{name: a, emptyDir: {}}, {name: b, hostPath: {path: /var}}, {name: c, emptyDir: {medium: Memory}}";
    for (listed, unlisted) in
        [("a,b", false), ("b,a,x", false), ("a", true), ("a, b", true), ("c", true), (",", true), ("", true)]
    {
        let metadata = format!("annotations: {{{}: '{listed}'}}", well_known::SAFE_LOCAL_VOLUMES);
        let read = pod_of(&metadata, &format!("volumes: [{local}]"), "").volumes;
        assert_eq!(read, Volumes { local: true, unlisted, claims: false }, "{listed}");
    }
}

#[test]
fn claims_are_named() {
    for (text, expected) in [
        ("", &[][..]),
        ("{name: data, emptyDir: {}}", &[]),
        ("{name: data, persistentVolumeClaim: {claimName: c, readOnly: true}}", &["c"]),
        ("{name: data, persistentVolumeClaim: null, ephemeral: null}", &[]),
        ("{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}", &["p-scratch"]),
        (
            "{name: a, persistentVolumeClaim: {claimName: z}}, {name: b, ephemeral: {}}, \
             {name: c, persistentVolumeClaim: {claimName: a}}, {name: d, persistentVolumeClaim: {claimName: z}}",
            &["a", "p-b", "z"],
        ),
    ] {
        assert_eq!(*pod(&format!("volumes: [{text}]")).claims, *expected, "{text}");
    }
    assert!(std::sync::Arc::ptr_eq(&pod("").claims, &pod("volumes: []").claims), "pods without claims cost nothing");
}

#[test]
fn the_operating_system_and_claims_on_devices() {
    for (text, os, claims) in [
        ("", None, false),
        ("os: null, resourceClaims: null", None, false),
        ("os: {}, resourceClaims: []", None, false),
        ("os: {name: linux}", Some(Os::Linux), false),
        ("os: {name: windows}", Some(Os::Windows), false),
        ("os: {name: plan9}", None, false),
        ("resourceClaims: [{name: gpu, resourceClaimName: one}]", None, true),
    ] {
        let shape = pod(text).shape;
        assert_eq!((shape.os, shape.resource_claims), (os, claims), "{text}");
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
