//! Whole dumps: files, folders, damage and chance.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use plimsoll_kube::{DumpError, Source, read_dump, read_stream};
use plimsoll_model::Timestamp;
use proptest::prelude::*;
use texts::{read_json, try_read};

/// Every kind that is used, as `kubectl get -o json` writes a list.
const LIST: &str = r#"{
    "apiVersion": "v1",
    "items": [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"creationTimestamp": "2026-11-20T10:00:00Z", "labels": {"a": "é"}, "name": "n1", "uid": "1"},
            "spec": {"taints": [{"effect": "NoSchedule", "key": "k"}]},
            "status": {"allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "58"},
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T10:01:00Z"}]}
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p1", "namespace": "shop", "uid": "2", "ownerReferences": [
                {"apiVersion": "apps/v1", "controller": true, "kind": "ReplicaSet", "name": "web", "uid": "3"}]},
            "spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}], "nodeName": "n1"},
            "status": {"phase": "Running"}
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "b", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "status": {"disruptionsAllowed": 1}
        },
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": "c"},
            "spec": {"request": "AAAA", "signerName": "s", "usages": ["client auth"]}
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "shop"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "v"}
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "v"},
            "spec": {"capacity": {"storage": "1Gi"}, "csi": {"driver": "d", "volumeHandle": "h"}}
        },
        {
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "k", "values": ["a"]}]}],
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "fast"},
            "provisioner": "d"
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSINode",
            "metadata": {"name": "n1"},
            "spec": {"drivers": [{"allocatable": {"count": 25}, "name": "d", "nodeID": "i"}]}
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "agent", "namespace": "shop"},
            "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}}}
        }
    ],
    "kind": "List",
    "metadata": {"resourceVersion": ""}
}
"#;

/// Two kinds, as `kubectl get -o yaml` writes a list.
const YAML_LIST: &str = "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Node\n  metadata:\n    name: n1\n    uid: \"1\"\n  status:\n    \
                allocatable:\n      cpu: \"4\"\n      pods: \"58\"\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: é1\n    \
                namespace: shop\n  spec:\n    containers:\n    - name: c\n    nodeName: n1\nkind: List\nmetadata:\n  resourceVersion: \"\"\n";

#[test]
fn a_list_with_everything() {
    let dump = read_json(LIST);
    assert_eq!(dump.account.broken, []);
    let read: Vec<_> = dump.account.read.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    let kinds = [
        "CSINode",
        "CertificateSigningRequest",
        "DaemonSet",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodDisruptionBudget",
        "StorageClass",
    ];
    assert_eq!(read, kinds.map(|kind| (kind, 1)));
    let snapshot = &dump.snapshot;
    let rows = (snapshot.claims().count(), snapshot.volumes().count(), snapshot.storage_classes().count());
    assert_eq!((rows, snapshot.csi_node("n1").is_some(), snapshot.daemon_sets().count()), ((1, 1, 1), true, 1));
    assert_eq!(dump.account.newest, Some(Timestamp(1_795_168_860_000)));
    let (node, _) = dump.snapshot.find_node("n1").expect("the node");
    assert_eq!(dump.snapshot.requested_on(node).cpu.0, 1000);
}

#[test]
fn json_cut_off_anywhere_is_an_error_with_its_place() {
    let whole = LIST.trim_end();
    for end in 0..whole.len() {
        let outcome = read_stream("cluster", &whole.as_bytes()[..end]);
        let Err(error) = outcome else { panic!("a dump from the first {end} bytes") };
        if end == 0 {
            assert!(matches!(error, DumpError::NoObjects { .. }), "{error}");
            continue;
        }
        let lines =
            u64::try_from(whole.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()).expect("small");
        let DumpError::Syntax { line, .. } = error else { panic!("{error}") };
        assert!(line <= lines + 1, "cut after {end} bytes, in line {}: {error}", lines + 1);
    }
    assert_eq!(read_stream("cluster", whole.as_bytes()).map(|dump| dump.snapshot.pod_count()).ok(), Some(1));
}

/// YAML cut off at the end of a line is YAML still; what is missing must show all the same.
#[test]
fn yaml_cut_off_anywhere_is_never_a_smaller_cluster_in_silence() {
    let yaml = YAML_LIST;
    let kind = yaml.find("kind: List").expect("the kind") + "kind: List".len();
    for end in 0..yaml.len() {
        match read_stream("cluster", &yaml.as_bytes()[..end]) {
            Ok(dump) => {
                let complete = end >= kind && dump.snapshot.pod_count() == 1 && dump.snapshot.node_count() == 1;
                assert!(complete || !dump.account.broken.is_empty(), "the first {end} bytes: {:?}", dump.account);
            }
            Err(error) => assert!(end < yaml.len() - 1, "{error}"),
        }
    }
}

#[test]
fn several_files_make_one_cluster_and_progress_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("more")).unwrap();
    fs::write(at("a.json"), LIST).unwrap();
    fs::write(at("more/b.yaml"), "kind: Namespace\nmetadata: {name: shop}\n---\nkind: Secret\n").unwrap();
    fs::write(at("notes.txt"), "not a dump").unwrap();
    let told = RefCell::new(Vec::new());
    let progress = |progress: plimsoll_kube::Progress<'_>| {
        let name = PathBuf::from(progress.file).file_name().unwrap().to_string_lossy().into_owned();
        told.borrow_mut().push((name, progress.bytes, progress.total, progress.objects));
    };
    let dump = read_dump(&[Source::Path(folder.path().into())], &progress).unwrap();
    assert_eq!((dump.account.objects(), dump.account.unknown.get("Secret")), (11, Some(&1)));
    let size = u64::try_from(LIST.len()).unwrap();
    let more = fs::metadata(at("more/b.yaml")).unwrap().len();
    assert_eq!(told.into_inner(), [("a.json".into(), size, Some(size), 9), ("b.yaml".into(), more, Some(more), 11)]);

    // The same file twice is the same cluster.
    let twice = read_dump(&[Source::Path(at("a.json")), Source::Path(at("a.json"))], &|_| {}).unwrap();
    assert_eq!((twice.snapshot.pod_count(), twice.account.broken.len()), (1, 0));
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.json");
    let say = |source: Source| read_dump(&[source], &|_| {}).unwrap_err().to_string();
    let shown = folder.path().display();
    assert!(say(Source::Path(file.clone())).starts_with(&format!("{shown}/x.json: cannot be read (")));
    assert!(say(Source::Path(folder.path().into())).contains("the folder holds no .json, .yaml or .yml file"));
    fs::write(&file, "{}").unwrap();
    assert!(say(Source::Path(file.clone())).starts_with(&format!("{shown}/x.json: no Kubernetes objects in it;")));
    fs::write(&file, "{\n\"kind\": }").unwrap();
    let error = say(Source::Path(file.clone()));
    assert!(error.starts_with(&format!("{shown}/x.json:2:9: expected value;")), "{error}");
    fs::write(&file, [0u8; 10_000]).unwrap();
    assert!(say(Source::Path(file)).contains("x.json:1:1: this is no text (it holds NUL bytes)"));
    assert!(read_dump(&[], &|_| {}).unwrap_err().to_string().starts_with("no dump was named"));
}

#[test]
fn a_large_list_is_read_in_pieces() {
    let mut text = String::from("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[");
    for index in 0..20_000 {
        let comma = if index == 0 { "" } else { "," };
        text.push_str(&format!("{comma}\n{{\"metadata\":{{\"name\":\"p{index}\"}},\"spec\":{{\"containers\":[]}}}}"));
    }
    text.push_str("]}");
    let dump = read_json(&text);
    assert_eq!((dump.snapshot.pod_count(), dump.account.broken.len()), (20_000, 0));
    let broken = text.replace("{\"name\":\"p19999\"}", "{\"name\":19999}");
    assert_eq!(read_json(&broken).account.broken[0].line, 20_001);
}

/// The real dumps lie outside the project; a folder with them can be named.
#[test]
fn real_dumps_are_read_without_broken_objects() {
    let Some(shared) = std::env::var_os("PLIMSOLL_SHARED_DATA") else { return };
    let dumps = PathBuf::from(shared).join("dumps");
    for (name, nodes, pods, machines, budgets) in [
        ("gcp-ci-2021.json", 6, 19, 0, 1),
        ("gcp-ci-3z9y7mt.json", 6, 0, 0, 0),
        ("gcp-ci-d53y532.json", 6, 19, 0, 0),
        ("head-2026.json", 2, 35, 6, 1),
    ] {
        let dump = read_dump(&[Source::Path(dumps.join(name))], &|_| {}).unwrap();
        assert_eq!(dump.account.broken, [], "{name}");
        assert!(dump.account.unknown.is_empty(), "{name}: {:?}", dump.account.unknown);
        let snapshot = &dump.snapshot;
        let found = (snapshot.node_count(), snapshot.pod_count(), snapshot.machines().len(), snapshot.budgets().len());
        assert_eq!(found, (nodes, pods, machines, budgets), "{name}");
        assert!(snapshot.nodes().all(|(_, node)| node.allocatable.cpu.0 > 0 && node.allocatable.pods > 0), "{name}");
    }
    let everything = read_dump(&[Source::Path(dumps)], &|_| {}).unwrap();
    assert_eq!(everything.snapshot.node_count(), 20);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn random_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_stream("cluster", bytes.as_slice());
    }

    #[test]
    fn random_brackets_are_refused_or_read(text in "[\\[\\]{}\",:a0 \n&*!|>#-]{0,60}") {
        let _ = try_read(&text);
    }

    /// One byte changed: whatever comes of it, at most as many objects are used.
    #[test]
    fn a_changed_byte_adds_no_objects(at in 0..LIST.len(), byte in any::<u8>()) {
        let mut bytes = LIST.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(dump) = read_stream("cluster", bytes.as_slice()) {
            prop_assert!(dump.account.read.values().sum::<u64>() <= 9, "{:?}", dump.account);
        }
    }

    #[test]
    fn a_changed_byte_in_yaml_adds_no_objects(at in 0..YAML_LIST.len(), byte in any::<u8>()) {
        let mut bytes = YAML_LIST.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(dump) = read_stream("cluster", bytes.as_slice()) {
            prop_assert!(dump.account.read.values().sum::<u64>() <= 2, "{:?}", dump.account);
        }
    }
}
