//! Objects of every kind, small.

use std::sync::Arc;

use plimsoll_model::{
    Bytes, CsrState, DaemonSet, LabelSet, Machine, Millis, Node, Owner, Phase, Pod, PriorityClass, Resources,
    Scheduling, SigningRequest, StorageClass, Timestamp, Uid, Volume, VolumeClaim, Volumes, Workload, WorkloadKind,
};

pub const NAMESPACES: [&str; 2] = ["shop", "team"];
pub const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];
pub const CLAIMS: [&str; 2] = ["data", "logs"];

pub fn labels(value: impl ToString) -> Arc<LabelSet> {
    Arc::new([("app", value.to_string())].into_iter().collect())
}

pub fn node(name: &str, uid: u128, ready: bool) -> Node {
    Node {
        name: name.into(),
        uid: Uid::Uuid(uid),
        labels: labels(name),
        annotations: Arc::default(),
        taints: Vec::new(),
        allocatable: Resources::default(),
        unschedulable: false,
        ready,
        created: None,
        deleting: false,
        launching: false,
        provider_id: None,
        ready_changed: None,
        conditions: Vec::new(),
        attached_volumes: 0,
        addresses: Vec::new(),
    }
}

pub fn pod(namespace: &str, name: &str, uid: u128) -> Pod {
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        uid: Uid::Uuid(uid),
        labels: labels(uid),
        annotations: Arc::default(),
        owner: None,
        shape: Arc::default(),
        node: None,
        phase: Phase::Pending,
        scheduling: Scheduling::Quiet,
        priority_class: None,
        ready: false,
        created: Some(Timestamp(7)),
        deletion: None,
        grace: Millis(30_000),
        volumes: Volumes::default(),
        claims: Arc::default(),
    }
}

pub fn owner(namespace: &str, name: u8) -> Arc<Owner> {
    Arc::new(Owner {
        kind: "ReplicaSet".into(),
        api_version: "apps/v1".into(),
        namespace: namespace.into(),
        name: name.to_string().into(),
        uid: Uid::Uuid(name.into()),
    })
}

pub fn signing_request(name: &str, variant: u32) -> SigningRequest {
    SigningRequest {
        name: name.into(),
        signer: "kubernetes.io/kubelet-serving".into(),
        pem: Vec::new(),
        usages: Vec::new(),
        username: "system:node:n1".into(),
        groups: Vec::new(),
        expiration_seconds: Some(variant),
        created: None,
        state: CsrState::Pending,
    }
}

pub fn machine(name: &str, variant: u32) -> Machine {
    let node = NODES.get(variant as usize).map(|&name| name.into());
    Machine { name: name.into(), node, group: None, addresses: Vec::new(), created: None, deleting: false }
}

pub fn claim(name: &str, variant: u32) -> VolumeClaim {
    VolumeClaim {
        namespace: "shop".into(),
        name: name.into(),
        class: None,
        volume: None,
        request: Bytes(variant.into()),
        one_pod: false,
        deleting: false,
    }
}

pub fn volume(name: &str, variant: u32) -> Volume {
    Volume {
        name: name.into(),
        labels: labels(variant),
        node_affinity: None,
        class: "fast".into(),
        capacity: Bytes(1),
        driver: None,
        handle: "".into(),
        available: false,
    }
}

pub fn storage_class(name: &str, variant: u32) -> StorageClass {
    StorageClass {
        name: name.into(),
        provisioner: "ebs.csi.aws.com".into(),
        waits_for_consumer: variant > 0,
        allowed_topologies: Vec::new(),
        default: false,
    }
}

pub fn priority_class(name: &str, variant: u32) -> PriorityClass {
    let value = i32::try_from(variant).unwrap();
    PriorityClass { name: name.into(), value, global_default: variant > 0, preempts: true }
}

pub fn workload(name: &str, variant: u32) -> Workload {
    Workload {
        kind: WorkloadKind::ReplicaSet,
        namespace: "shop".into(),
        name: name.into(),
        uid: Uid::Uuid(7),
        desired: Some(variant),
        ready: 0,
        owner: None,
        deleting: false,
    }
}

pub fn daemon_set(name: &str, variant: u32) -> DaemonSet {
    DaemonSet {
        namespace: "shop".into(),
        name: name.into(),
        uid: Uid::Uuid(variant.into()),
        labels: labels(variant),
        shape: Arc::default(),
        priority_class: None,
    }
}
