//! How priority classes and the owners of pods become rows.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod texts;

use plimsoll_model::{PriorityClass, Uid, WorkloadKind};
use texts::read_yaml;

#[test]
fn priority_classes_keep_what_admission_uses() {
    let dump = read_yaml(
        "kind: PriorityClass\napiVersion: scheduling.k8s.io/v1\nmetadata: {name: high}\nvalue: -5\nglobalDefault: true\n\
         preemptionPolicy: Never\n---\nkind: PriorityClass\nmetadata: {name: plain}\nvalue: 7\npreemptionPolicy: null\n---\n\
         kind: PriorityClass\nmetadata: {name: wrong}\nvalue: much\n",
    );
    let class = |name: &str, value, global_default, preempts| PriorityClass {
        name: name.into(),
        value,
        global_default,
        preempts,
    };
    let found: Vec<_> = dump.snapshot.priority_classes().cloned().collect();
    assert_eq!(found, [class("high", -5, true, false), class("plain", 7, false, true)]);
    assert_eq!((dump.account.broken.len(), dump.account.broken[0].field.as_str()), (1, "value"));
}

#[test]
fn owners_of_pods_say_how_many_they_want() {
    let object = |kind: &str, version: &str, spec: &str, status: &str| {
        let dump = read_yaml(&format!(
            "kind: {kind}\napiVersion: {version}\nmetadata: {{name: w, namespace: n, uid: u, ownerReferences: \
             [{{apiVersion: apps/v1, kind: Deployment, name: d, uid: o, controller: true}}]}}\nspec: {{{spec}}}\nstatus: {{{status}}}\n"
        ));
        assert_eq!(dump.account.broken, [], "{kind}");
        assert_eq!(dump.account.read.get(kind), Some(&1));
        let found = dump.snapshot.workloads().next().expect("a workload").clone();
        assert_eq!((found.namespace.as_str(), found.name.as_str(), &found.uid), ("n", "w", &Uid::Other("u".into())));
        assert_eq!(found.owner.as_ref().map(|owner| owner.name.as_str()), Some("d"));
        (found.kind, found.desired, found.ready)
    };
    use WorkloadKind::*;
    let template = "template: {spec: {containers: 7}}";
    for (kind, version, spec, status, expected) in [
        ("ReplicaSet", "apps/v1", "replicas: 3", "replicas: 3, readyReplicas: 2", (ReplicaSet, Some(3), 2)),
        ("ReplicaSet", "apps/v1", template, "", (ReplicaSet, None, 0)),
        ("Deployment", "apps/v1", "replicas: 0", "readyReplicas: null", (Deployment, Some(0), 0)),
        ("StatefulSet", "apps/v1", "replicas: 1", "readyReplicas: 1", (StatefulSet, Some(1), 1)),
        ("ReplicationController", "v1", "replicas: 1", "readyReplicas: 1", (ReplicationController, Some(1), 1)),
        ("Job", "batch/v1", "parallelism: 4, completions: 9", "active: 4, ready: 3", (Job, Some(4), 3)),
        ("Job", "batch/v1", "parallelism: 4, suspend: true", "", (Job, Some(0), 0)),
    ] {
        assert_eq!(object(kind, version, spec, status), expected, "{kind} {spec}");
    }
}
