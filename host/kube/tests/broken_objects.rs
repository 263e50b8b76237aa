//! Objects that are wrong are named with file, line and field; reading goes on.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use texts::{read_json, read_yaml};

/// Line, name, field and problem of the one broken object.
fn broken(text: &str) -> (u64, Option<String>, String, String) {
    let dump = read_yaml(text);
    assert_eq!(dump.account.broken.len(), 1, "{:?} in {text}", dump.account.broken);
    let broken = dump.account.broken[0].clone();
    assert_eq!(broken.file, "cluster");
    (broken.line, broken.name, broken.field, broken.problem)
}

/// A pod over several lines: `containers` stands on line 5.
fn pod(name: &str, container: &str, more: &str) -> String {
    format!(
        "{{\"kind\": \"Pod\", \"apiVersion\": \"v1\",\n \"metadata\": {{\"name\": \"{name}\", \"namespace\": \"shop\",\n  \
         \"uid\": \"{name}\"}},\n \"spec\": {{\n  \"containers\": [{container}]\n  {more}}}}}"
    )
}

#[test]
fn every_field_that_is_checked_is_named_with_its_line() {
    for (container, more, line, field, problem) in [
        (
            r#"{"resources":{"requests":{"cpu":"-1"}}}"#,
            "",
            5,
            "spec.containers[0].resources.requests.cpu",
            "-1 is negative; an amount cannot be less than 0",
        ),
        (
            "{},\n{\"resources\":{\"limits\":\n{\"memory\":\"1 Gi\"}}}",
            "",
            7,
            "spec.containers[1].resources.limits.memory",
            "\"1 Gi\" is not a quantity",
        ),
        (
            r#"{"resources":{"requests":{"cpu":[1]}}}"#,
            "",
            5,
            "spec.containers[0].resources.requests.cpu",
            "this is sequence",
        ),
        (
            r#"{"ports":[{"hostPort":70000}]}"#,
            "",
            5,
            "spec.containers[0].ports[0].hostPort",
            "this is integer `70000`, expected u16",
        ),
        (
            r#"{"ports":[{"hostPort":1,"protocol":"QUIC"}]}"#,
            "",
            5,
            "spec.containers[0].ports[0].protocol",
            "\"QUIC\" is not known here; write TCP",
        ),
        ("", ",\"priority\":\"high\"", 6, "spec.priority", "this is string \"high\", expected i32"),
        ("", ",\"nodeName\":7", 6, "spec.nodeName", "this is integer `7`, expected text"),
        (
            "",
            ",\"tolerations\":[{\"operator\":\"Lt\"}]",
            6,
            "spec.tolerations[0].operator",
            "\"Lt\" is not known here; write Equal or Exists",
        ),
        (
            "",
            ",\"tolerations\":[{\"effect\":\"NoWay\"}]",
            6,
            "spec.tolerations[0].effect",
            "\"NoWay\" is not known here",
        ),
        (
            "",
            ",\"affinity\":{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":\n{\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Like\"}]}]}}}",
            7,
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator",
            "\"Like\" is not known here",
        ),
        (
            "",
            ",\"topologySpreadConstraints\":[{\"maxSkew\":1,\"whenUnsatisfiable\":\"DoNotSchedule\"}]",
            6,
            "spec.topologySpreadConstraints[0].topologyKey",
            "it is missing",
        ),
        (
            "",
            ",\"topologySpreadConstraints\":[{\"maxSkew\":0,\"topologyKey\":\"z\"}]",
            6,
            "spec.topologySpreadConstraints[0].maxSkew",
            "this is integer `0`, expected a nonzero u32",
        ),
        (
            "",
            ",\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"z\",\n\"minDomains\":-1}]",
            7,
            "spec.topologySpreadConstraints[0].minDomains",
            "this is integer `-1`, expected u32",
        ),
        (
            "",
            ",\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"z\",\"nodeTaintsPolicy\":\"Never\"}]",
            6,
            "spec.topologySpreadConstraints[0].nodeTaintsPolicy",
            "\"Never\" is not known here; write Honor or Ignore",
        ),
        (
            "",
            ",\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"z\",\"whenUnsatisfiable\":\"Panic\"}]",
            6,
            "spec.topologySpreadConstraints[0].whenUnsatisfiable",
            "\"Panic\" is not known here; write DoNotSchedule or ScheduleAnyway",
        ),
        (
            "",
            ",\"affinity\":{\"nodeAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":101}]}}",
            6,
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight",
            "101 is no weight; write 1 to 100",
        ),
        (
            "",
            ",\"affinity\":{\"podAntiAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":1}]}}",
            6,
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm",
            "it is missing",
        ),
        (
            "",
            ",\"affinity\":{\"podAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{\"topologyKey\":\"z\",\"matchLabelKeys\":[7]}]}}",
            6,
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys[0]",
            "this is integer `7`, expected text",
        ),
        (
            "",
            ",\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{}}]",
            6,
            "spec.volumes[0].persistentVolumeClaim.claimName",
            "it is missing",
        ),
        ("", ",\"os\":{\"name\":1}", 6, "spec.os.name", "this is integer `1`, expected text"),
        (
            "",
            ",\"resources\":{\"requests\":{\"memory\":\"-2Gi\"}}",
            6,
            "spec.resources.requests.memory",
            "-2Gi is negative",
        ),
    ] {
        let found = broken(&pod("web-1", container, more));
        assert_eq!((found.0, found.1.as_deref(), found.2.as_str()), (line, Some("shop/web-1"), field), "{}", found.3);
        assert!(found.3.starts_with(problem), "{}", found.3);
    }
}

#[test]
fn objects_that_lack_what_every_object_has() {
    for (text, line, name, field) in [
        (
            "{\"kind\":\"Pod\",\n\"metadata\":{\"namespace\":\"n\"},\"spec\":{\"containers\":[]}}",
            2,
            None,
            "metadata.name",
        ),
        ("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"\"},\"spec\":{\"containers\":[]}}", 1, Some(""), "metadata.name"),
        ("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}", 1, Some("a"), "spec"),
        ("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"spec\":{}}", 1, Some("a"), "spec.containers"),
        ("{\"kind\":\"Pod\",\"spec\":{\"containers\":[]}}", 1, None, "metadata"),
        ("{\"kind\":\"Pod\",\"metadata\":\"a\"}", 1, None, "metadata"),
        ("{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"}}", 1, Some("a"), "status"),
        ("{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\"},\"status\":{}}", 1, Some("a"), "status"),
        (
            "{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\",\"creationTimestamp\":\"yesterday\"}}",
            1,
            Some("a"),
            "metadata.creationTimestamp",
        ),
        ("{\"kind\":\"Node\",\"metadata\":{\"name\":\"a\",\"labels\":{\"b\":1}}}", 1, Some("a"), "metadata.labels.b"),
        (
            "{\"kind\":\"CertificateSigningRequest\",\"metadata\":{\"name\":\"a\"},\"spec\":{}}",
            1,
            Some("a"),
            "spec.request",
        ),
        ("{\"metadata\":{\"name\":\"a\"}}", 1, Some("a"), "kind"),
        ("{\"kind\":[\"Pod\"],\"metadata\":{\"name\":\"a\"}}", 1, Some("a"), "kind"),
    ] {
        let found = broken(text);
        assert_eq!((found.0, found.1.as_deref(), found.2.as_str()), (line, name, field), "{text}: {}", found.3);
    }
}

/// Each object has its fields from line 2 on.
#[test]
fn fields_of_storage_and_daemon_sets_are_checked() {
    for (kind, fields, line, field, problem) in [
        ("PersistentVolumeClaim", "\"a\":1", 2, "spec", "it is missing"),
        (
            "PersistentVolumeClaim",
            "\"spec\":{\n\"resources\":{\"requests\":{\"storage\":\"-1Gi\"}}}",
            3,
            "spec.resources.requests.storage",
            "-1Gi is negative",
        ),
        (
            "PersistentVolumeClaim",
            "\"spec\":{\"storageClassName\":1}",
            2,
            "spec.storageClassName",
            "this is integer `1`",
        ),
        ("PersistentVolumeClaim", "\"spec\":{\"accessModes\":\"a\"}", 2, "spec.accessModes", "this is string \"a\""),
        (
            "PersistentVolume",
            "\"spec\":{\"capacity\":{\"storage\":\"lots\"}}",
            2,
            "spec.capacity.storage",
            "\"lots\" is not a quantity",
        ),
        ("PersistentVolume", "\"spec\":{\"csi\":{\"driver\":\"d\"}}", 2, "spec.csi.volumeHandle", "it is missing"),
        (
            "PersistentVolume",
            "\"spec\":{\"awsElasticBlockStore\":{\"volumeID\":1}}",
            2,
            "spec.awsElasticBlockStore.volumeID",
            "this is integer `1`",
        ),
        (
            "PersistentVolume",
            "\"spec\":{\"nodeAffinity\":{\"required\":{\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"a\",\n\"operator\":\"Like\"}]}]}}}",
            3,
            "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].operator",
            "\"Like\" is not known here",
        ),
        ("StorageClass", "\"volumeBindingMode\":\"Immediate\"", 2, "provisioner", "it is missing"),
        (
            "StorageClass",
            "\"provisioner\":\"p\",\n\"allowedTopologies\":[{\"matchLabelExpressions\":[{\"key\":1}]}]",
            3,
            "allowedTopologies[0].matchLabelExpressions[0].key",
            "this is integer `1`",
        ),
        (
            "CSINode",
            "\"spec\":{\"drivers\":[{\"allocatable\":{\"count\":1}}]}",
            2,
            "spec.drivers[0].name",
            "it is missing",
        ),
        (
            "CSINode",
            "\"spec\":{\"drivers\":[{\"name\":\"d\",\n\"allocatable\":{\"count\":-1}}]}",
            3,
            "spec.drivers[0].allocatable.count",
            "this is integer `-1`, expected u32",
        ),
        ("DaemonSet", "\"spec\":{}", 2, "spec.template", "it is missing"),
        ("DaemonSet", "\"spec\":{\"template\":{\"spec\":{}}}", 2, "spec.template.spec.containers", "it is missing"),
        (
            "DaemonSet",
            "\"spec\":{\"template\":{\"spec\":{\"containers\":[\n{\"resources\":{\"requests\":{\"cpu\":\"-1\"}}}]}}}",
            3,
            "spec.template.spec.containers[0].resources.requests.cpu",
            "-1 is negative",
        ),
    ] {
        let text = format!("{{\"kind\":\"{kind}\",\"metadata\":{{\"name\":\"x\"}},\n{fields}}}");
        let found = broken(&text);
        assert_eq!((found.0, found.1.as_deref(), found.2.as_str()), (line, Some("x"), field), "{text}: {}", found.3);
        assert!(found.3.starts_with(problem), "{text}: {}", found.3);
    }
}

#[test]
fn yaml_lines_are_those_of_the_file() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n    annotations:\n      \
                text: |\n        one\n        two\n      folded: >-\n        three\n        four\n      quoted: \"five\n        six\"\n\n\
                \x20 # a comment\n  spec:\n    containers:\n    - name: c\n      resources:\n        requests:\n          memory: lots\n";
    let line =
        u64::try_from(text.lines().position(|line| line.contains("lots")).expect("the line") + 1).expect("small");
    let found = broken(text);
    assert_eq!((found.0, found.2.as_str()), (line, "spec.containers[0].resources.requests.memory"), "{}", found.3);
}

#[test]
fn two_objects_of_one_name_are_told_apart() {
    let node = |uid: &str| {
        format!(r#"{{"kind":"Node","metadata":{{"name":"n","uid":"{uid}"}},"status":{{"capacity":{{"cpu":"1"}}}}}}"#)
    };
    let dump =
        read_json(&format!("{}\n{}\n{}\n{}{}", node("1"), node("2"), node("1"), pod("p", "", ""), pod("p", "", "")));
    assert_eq!(dump.account.broken.len(), 1);
    let broken = &dump.account.broken[0];
    assert_eq!(
        broken.to_string(),
        "cluster:2: Node n, field metadata.uid: Node n is there twice, as two different objects; keep one of them"
    );
    assert_eq!((dump.snapshot.node_count(), dump.snapshot.pod_count()), (1, 1));
}

#[test]
fn all_that_is_broken_is_listed_and_the_rest_is_used() {
    let items: Vec<String> = (0..50)
        .map(|index| {
            pod(
                &format!("p{index}"),
                if index % 2 == 0 { "{}" } else { r#"{"resources":{"requests":{"cpu":"x"}}}"# },
                "",
            )
        })
        .collect();
    let dump = read_json(&format!("{{\"kind\":\"List\",\"items\":[{}]}}", items.join(",")));
    assert_eq!((dump.snapshot.pod_count(), dump.account.broken.len()), (25, 25));
    assert_eq!(dump.account.read.get("Pod"), Some(&25));
    // Each pod has six lines, the last of which the next one begins on.
    let lines: Vec<u64> = dump.account.broken.iter().map(|broken| broken.line).collect();
    assert_eq!(lines, (0..25).map(|index| 10 + index * 10).collect::<Vec<_>>());
}
