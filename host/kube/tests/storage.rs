//! How claims, volumes, storage classes and the limits of CSI drivers become rows.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use plimsoll_model::{Bytes, CsiNode, Snapshot, StorageClass, Text, Timestamp, Volume, VolumeClaim};
use texts::{read_yaml, shown};

/// The cluster of one object with these fields, in YAML's flow form, without braces.
fn snapshot(kind: &str, version: &str, metadata: &str, fields: &str) -> Snapshot {
    let yaml = format!("kind: {kind}\napiVersion: {version}\nmetadata: {{name: x, {metadata}}}\n{fields}\n");
    let dump = read_yaml(&yaml);
    assert_eq!(dump.account.broken, [], "{yaml}");
    assert_eq!(dump.account.read.get(kind), Some(&1), "{yaml}");
    dump.snapshot
}

fn claim(metadata: &str, spec: &str) -> VolumeClaim {
    let snapshot = snapshot("PersistentVolumeClaim", "v1", metadata, &format!("spec: {{{spec}}}"));
    snapshot.claims().next().expect("a claim").clone()
}

fn volume(metadata: &str, spec: &str, status: &str) -> Volume {
    let fields = format!("spec: {{{spec}}}\nstatus: {{{status}}}");
    let snapshot = snapshot("PersistentVolume", "v1", metadata, &fields);
    snapshot.volume("x").expect("the volume").clone()
}

fn class(metadata: &str, fields: &str) -> StorageClass {
    let fields = format!("provisioner: p\n{fields}");
    let snapshot = snapshot("StorageClass", "storage.k8s.io/v1", metadata, &fields);
    snapshot.storage_class("x").expect("the class").clone()
}

fn csi_node(spec: &str) -> CsiNode {
    let snapshot = snapshot("CSINode", "storage.k8s.io/v1", "", &format!("spec: {{{spec}}}"));
    snapshot.csi_node("x").expect("the node").clone()
}

#[test]
fn claims_of_every_form() {
    let bare = VolumeClaim {
        namespace: "default".into(),
        name: "x".into(),
        class: None,
        volume: None,
        request: Bytes(0),
        one_pod: false,
        deleting: false,
    };
    let with_class = |name: &str| VolumeClaim { class: Some(name.into()), ..bare.clone() };
    let beta = "annotations: {volume.beta.kubernetes.io/storage-class: old}";
    for (metadata, spec, expected) in [
        ("", "", bare.clone()),
        ("namespace: n", "", VolumeClaim { namespace: "n".into(), ..bare.clone() }),
        ("", "storageClassName: null, volumeName: null, accessModes: null, resources: null", bare.clone()),
        ("", "resources: {requests: null}", bare.clone()),
        ("", "storageClassName: gp3", with_class("gp3")),
        ("", "storageClassName: ''", with_class("")),
        (beta, "", with_class("old")),
        (beta, "storageClassName: gp3", with_class("old")),
        ("", "volumeName: pv-1", VolumeClaim { volume: Some("pv-1".into()), ..bare.clone() }),
        ("", "volumeName: ''", bare.clone()),
        ("", "resources: {requests: {storage: 1Gi}}", VolumeClaim { request: Bytes(1 << 30), ..bare.clone() }),
        ("", "accessModes: [ReadWriteOnce, ReadWriteMany]", bare.clone()),
        ("", "accessModes: [ReadWriteOncePod]", VolumeClaim { one_pod: true, ..bare.clone() }),
        ("deletionTimestamp: '2026-11-20T10:00:00Z'", "", VolumeClaim { deleting: true, ..bare.clone() }),
    ] {
        assert_eq!(claim(metadata, spec), expected, "{metadata} / {spec}");
    }
}

#[test]
fn volumes_by_driver_and_handle() {
    for (spec, driver, handle) in [
        ("", None, ""),
        ("csi: null, awsElasticBlockStore: null", None, ""),
        ("csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}", Some("ebs.csi.aws.com"), "vol-1"),
        ("awsElasticBlockStore: {volumeID: vol-1}", Some("ebs.csi.aws.com"), "vol-1"),
        ("awsElasticBlockStore: {volumeID: 'aws://eu-west-1a/vol-1', fsType: ext4}", Some("ebs.csi.aws.com"), "vol-1"),
        ("gcePersistentDisk: {pdName: disk-1}", Some("pd.csi.storage.gke.io"), "disk-1"),
        (
            "azureDisk: {diskName: d, diskURI: /subscriptions/s/disks/d}",
            Some("disk.csi.azure.com"),
            "/subscriptions/s/disks/d",
        ),
        ("nfs: {server: s, path: /}", None, ""),
        ("local: {path: /mnt}", None, ""),
    ] {
        let found = volume("", spec, "");
        assert_eq!((found.driver.as_deref(), found.handle.as_str()), (driver, handle), "{spec}");
    }
}

#[test]
fn volumes_keep_what_decisions_use() {
    let bare = volume("", "", "");
    assert_eq!((bare.class.as_str(), bare.capacity, bare.available), ("", Bytes(0), false));
    assert!(bare.node_affinity.is_none() && bare.labels.is_empty());
    assert!(volume("", "nodeAffinity: null, capacity: null", "phase: null").node_affinity.is_none());
    assert!(volume("", "nodeAffinity: {required: null}", "").node_affinity.is_none());

    let full = volume(
        "labels: {topology.kubernetes.io/zone: a}",
        "storageClassName: gp3, capacity: {storage: 20Gi}, nodeAffinity: {required: {nodeSelectorTerms: \
         [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}",
        "phase: Available",
    );
    assert_eq!((full.class.as_str(), full.capacity, full.available), ("gp3", Bytes(20 << 30), true));
    assert_eq!(full.labels.get("topology.kubernetes.io/zone").map(Text::as_str), Some("a"));
    let terms = full.node_affinity.expect("node affinity").terms;
    assert_eq!((terms.len(), shown(&terms[0].match_expressions)), (1, vec!["zone in (a)".to_owned()]));

    let old = volume("annotations: {volume.beta.kubernetes.io/storage-class: old}", "storageClassName: gp3", "");
    assert_eq!(old.class, "old");
    assert!(!volume("", "", "phase: Bound").available);
}

#[test]
fn storage_classes_of_every_form() {
    let bare = class("", "");
    assert_eq!((bare.name.as_str(), bare.provisioner.as_str()), ("x", "p"));
    assert!(!bare.waits_for_consumer && !bare.default && bare.allowed_topologies.is_empty());
    assert_eq!(class("annotations: null", "volumeBindingMode: null\nallowedTopologies: null"), bare);
    assert_eq!(class("", "volumeBindingMode: Immediate"), bare);
    assert!(class("", "volumeBindingMode: WaitForFirstConsumer").waits_for_consumer);

    for (annotation, default) in [
        ("storageclass.kubernetes.io/is-default-class: 'true'", true),
        ("storageclass.beta.kubernetes.io/is-default-class: 'true'", true),
        ("storageclass.kubernetes.io/is-default-class: 'false'", false),
        ("storageclass.kubernetes.io/is-default: 'true'", false),
    ] {
        assert_eq!(class(&format!("annotations: {{{annotation}}}"), "").default, default, "{annotation}");
    }

    let bound = class(
        "",
        "allowedTopologies: [{matchLabelExpressions: [{key: zone, values: [a, b]}, {key: region, values: [r]}]}, \
         {matchLabelExpressions: [{key: zone, values: [c]}]}]",
    );
    let terms: Vec<_> = bound.allowed_topologies.iter().map(|term| shown(&term.match_expressions)).collect();
    assert_eq!(terms, [&["zone in (a,b)", "region in (r)"][..], &["zone in (c)"]]);
    assert!(bound.allowed_topologies.iter().all(|term| term.match_fields.is_empty()));
}

#[test]
fn drivers_with_and_without_limits() {
    for (spec, expected) in [
        ("", &[][..]),
        ("drivers: null", &[]),
        (
            "drivers: [{name: ebs.csi.aws.com, nodeID: i-1, allocatable: {count: 25}}, {name: efs.csi.aws.com, \
             allocatable: null}, {name: b, allocatable: {}}, {name: c, allocatable: {count: 0}}]",
            &[("ebs.csi.aws.com", Some(25)), ("efs.csi.aws.com", None), ("b", None), ("c", Some(0))],
        ),
    ] {
        let node = csi_node(spec);
        let found: Vec<_> = node.drivers.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!((node.node.as_str(), found.as_slice()), ("x", expected), "{spec}");
    }
}

#[test]
fn the_account_knows_when_they_were_made() {
    let made = "metadata: {name: x, creationTimestamp: '2026-11-20T10:00:00Z'}";
    for (kind, fields) in [
        ("PersistentVolumeClaim", "spec: {}"),
        ("PersistentVolume", "spec: {}"),
        ("StorageClass", "provisioner: p"),
        ("CSINode", "spec: {}"),
        ("DaemonSet", "spec: {template: {spec: {containers: []}}}"),
    ] {
        let dump = read_yaml(&format!("kind: {kind}\n{made}\n{fields}\n"));
        assert_eq!((dump.account.broken.len(), dump.account.newest), (0, Some(Timestamp(1_795_168_800_000))), "{kind}");
    }
}
