//! The look-ups of `plimsoll:policy/cluster`. Ids come from the policy and may be anything.

use plimsoll_model::{LabelSet, Node, NodeId, Pod, Resources, Snapshot, Text};

use crate::bindings::plimsoll::policy::cluster;
use crate::state::State;
use crate::v0_1;

impl cluster::Host for State {
    fn nodes(&mut self) -> wasmtime::Result<Vec<u32>> {
        Ok(self.snapshot.nodes().map(|(id, _)| id.0).collect())
    }

    fn get_node(&mut self, node: u32) -> wasmtime::Result<Option<cluster::Node>> {
        Ok(self.snapshot.find_node_id(node).map(|(id, node)| node_record(&self.snapshot, id, node)))
    }

    fn node_label(&mut self, node: u32, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.snapshot.find_node_id(node).and_then(|(_, node)| value(&node.labels, &key)))
    }

    fn node_labels(&mut self, node: u32) -> wasmtime::Result<Vec<cluster::Entry>> {
        Ok(self.snapshot.find_node_id(node).map(|(_, node)| entries(&node.labels)).unwrap_or_default())
    }

    fn node_annotation(&mut self, node: u32, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.snapshot.find_node_id(node).and_then(|(_, node)| value(&node.annotations, &key)))
    }

    fn node_pods(&mut self, node: u32) -> wasmtime::Result<Vec<u32>> {
        let pods = self.snapshot.find_node_id(node).map(|(id, _)| self.snapshot.pods_on(id)).unwrap_or_default();
        Ok(pods.iter().map(|id| id.0).collect())
    }

    fn get_pod(&mut self, pod: u32) -> wasmtime::Result<Option<cluster::Pod>> {
        Ok(self.snapshot.find_pod_id(pod).map(|(_, pod)| pod_record(&self.snapshot, pod)))
    }

    fn pod_label(&mut self, pod: u32, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.snapshot.find_pod_id(pod).and_then(|(_, pod)| value(&pod.labels, &key)))
    }

    fn pod_labels(&mut self, pod: u32) -> wasmtime::Result<Vec<cluster::Entry>> {
        Ok(self.snapshot.find_pod_id(pod).map(|(_, pod)| entries(&pod.labels)).unwrap_or_default())
    }

    fn pod_annotation(&mut self, pod: u32, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.snapshot.find_pod_id(pod).and_then(|(_, pod)| value(&pod.annotations, &key)))
    }
}

fn node_record(snapshot: &Snapshot, id: NodeId, node: &Node) -> cluster::Node {
    cluster::Node {
        name: owned(&node.name),
        group: node.group_label().map(owned),
        zone: node.zone().map(owned),
        instance_type: node.instance_type().map(owned),
        lifecycle: node.lifecycle().map(v0_1::lifecycle),
        ready: node.ready,
        unschedulable: node.unschedulable,
        allocatable: resources(&node.allocatable),
        requested: resources(&snapshot.requested_on(id)),
        pods: u32::try_from(snapshot.pods_on(id).len()).unwrap_or(u32::MAX),
        created_ms: node.created.map(|created| created.0),
    }
}

fn pod_record(snapshot: &Snapshot, pod: &Pod) -> cluster::Pod {
    let node = pod.node.as_ref().and_then(|name| snapshot.find_node(name));
    cluster::Pod {
        namespace: owned(&pod.namespace),
        name: pod.name.to_string(),
        owner_kind: pod.owner.as_ref().map(|owner| owned(&owner.kind)),
        owner_name: pod.owner.as_ref().map(|owner| owned(&owner.name)),
        node: node.map(|(id, _)| id.0),
        requests: resources(&pod.shape.requests),
        priority: pod.shape.priority,
        created_ms: pod.created.map(|created| created.0),
    }
}

fn resources(resources: &Resources) -> cluster::Resources {
    cluster::Resources {
        milli_cpu: resources.cpu.0,
        memory_bytes: resources.memory.0,
        gpus: u32::try_from(resources.gpus()).unwrap_or(u32::MAX),
    }
}

fn value(labels: &LabelSet, key: &str) -> Option<String> {
    labels.get(key).map(owned)
}

fn entries(labels: &LabelSet) -> Vec<cluster::Entry> {
    labels.iter().map(|(key, value)| cluster::Entry { key: owned(key), value: owned(value) }).collect()
}

fn owned(text: &Text) -> String {
    text.as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plimsoll_model::{
        Bytes, ClusterBuilder, MilliCpu, Millis, Owner, Phase, PodShape, Scheduling, Timestamp, Uid, Volumes,
    };

    use super::cluster::Host;
    use super::*;
    use crate::Limits;
    use crate::state::Moment;

    /// Nodes `a` and `b`; a pod on `b` and a pending one.
    fn state() -> State {
        let mut builder = ClusterBuilder::default();
        for name in ["b", "a"] {
            let labels = [
                ("topology.kubernetes.io/zone", name),
                ("karpenter.sh/nodepool", "workers"),
                ("karpenter.sh/capacity-type", "spot"),
                ("node.kubernetes.io/instance-type", "m5.xlarge"),
            ];
            builder
                .add_node(Node {
                    name: name.into(),
                    uid: Uid::parse(name),
                    labels: Arc::new(labels.into_iter().collect()),
                    annotations: Arc::new([("note", name)].into_iter().collect()),
                    taints: vec![],
                    allocatable: Resources { cpu: MilliCpu(4000), memory: Bytes(1 << 34), ..Resources::default() },
                    unschedulable: name == "a",
                    ready: name == "b",
                    created: Some(Timestamp(5)),
                    deleting: false,
                    launching: false,
                    provider_id: None,
                    ready_changed: None,
                    conditions: Vec::new(),
                    attached_volumes: 0,
                    addresses: vec![],
                })
                .unwrap();
        }
        for (name, node) in [("web-1", Some("b")), ("web-2", None)] {
            let owner = Owner {
                kind: "ReplicaSet".into(),
                api_version: "apps/v1".into(),
                namespace: "shop".into(),
                name: "web".into(),
                uid: Uid::parse("web"),
            };
            let mut requests = Resources { cpu: MilliCpu(250), memory: Bytes(1 << 20), ..Resources::default() };
            requests.set_extended("nvidia.com/gpu".into(), 2);
            builder
                .add_pod(Pod {
                    namespace: "shop".into(),
                    name: name.into(),
                    uid: Uid::parse(name),
                    labels: Arc::new([("app", "web")].into_iter().collect()),
                    annotations: Arc::new([("hint", name)].into_iter().collect()),
                    owner: Some(Arc::new(owner)),
                    shape: Arc::new(PodShape { requests, priority: -3, ..PodShape::default() }),
                    node: node.map(Text::from),
                    phase: Phase::Running,
                    scheduling: Scheduling::Quiet,
                    priority_class: None,
                    ready: true,
                    created: None,
                    deletion: None,
                    grace: Millis(0),
                    volumes: Volumes::default(),
                    claims: [].into(),
                })
                .unwrap();
        }
        State::new(Arc::new(builder.build()), Moment { now: Timestamp(0), seed: 0 }, &Limits::default())
    }

    #[test]
    fn nodes_are_found_with_what_runs_on_them() {
        let mut state = state();
        assert_eq!(state.nodes().unwrap(), [0, 1]);
        let node = state.get_node(1).unwrap().unwrap();
        assert_eq!(
            (node.name.as_str(), node.group.as_deref(), node.zone.as_deref()),
            ("b", Some("workers"), Some("b"))
        );
        assert_eq!(node.instance_type.as_deref(), Some("m5.xlarge"));
        assert_eq!(format!("{:?}", node.lifecycle), "Some(Lifecycle::Spot)");
        assert!(node.ready && !node.unschedulable);
        assert_eq!(
            (node.allocatable.milli_cpu, node.allocatable.memory_bytes, node.allocatable.gpus),
            (4000, 1 << 34, 0)
        );
        assert_eq!((node.requested.milli_cpu, node.requested.memory_bytes, node.requested.gpus), (250, 1 << 20, 2));
        assert_eq!((node.pods, node.created_ms), (1, Some(5)));
        assert_eq!(state.node_pods(1).unwrap(), [0]);
        assert_eq!(state.node_label(0, "topology.kubernetes.io/zone".into()).unwrap().as_deref(), Some("a"));
        assert_eq!(state.node_annotation(0, "note".into()).unwrap().as_deref(), Some("a"));
        let keys: Vec<String> = state.node_labels(0).unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(
            keys,
            [
                "karpenter.sh/capacity-type",
                "karpenter.sh/nodepool",
                "node.kubernetes.io/instance-type",
                "topology.kubernetes.io/zone"
            ]
        );
    }

    #[test]
    fn pods_are_found_with_where_they_run() {
        let mut state = state();
        let pod = state.get_pod(0).unwrap().unwrap();
        assert_eq!((pod.namespace.as_str(), pod.name.as_str(), pod.node), ("shop", "web-1", Some(1)));
        assert_eq!((pod.owner_kind.as_deref(), pod.owner_name.as_deref()), (Some("ReplicaSet"), Some("web")));
        assert_eq!((pod.requests.milli_cpu, pod.requests.gpus, pod.priority, pod.created_ms), (250, 2, -3, None));
        assert_eq!(state.get_pod(1).unwrap().unwrap().node, None);
        assert_eq!(state.pod_label(1, "app".into()).unwrap().as_deref(), Some("web"));
        assert_eq!(state.pod_labels(1).unwrap()[0].value, "web");
        assert_eq!(state.pod_annotation(1, "hint".into()).unwrap().as_deref(), Some("web-2"));
    }

    #[test]
    fn what_does_not_exist_is_none_or_empty() {
        let mut state = state();
        for id in [2, u32::MAX] {
            assert!(state.get_node(id).unwrap().is_none() && state.get_pod(id).unwrap().is_none());
            assert!(state.node_label(id, "app".into()).unwrap().is_none());
            assert!(state.node_annotation(id, "note".into()).unwrap().is_none());
            assert!(state.pod_label(id, "app".into()).unwrap().is_none());
            assert!(state.pod_annotation(id, "hint".into()).unwrap().is_none());
            assert!(state.node_labels(id).unwrap().is_empty() && state.pod_labels(id).unwrap().is_empty());
            assert!(state.node_pods(id).unwrap().is_empty());
        }
        assert!(state.pod_label(0, "none".into()).unwrap().is_none());
    }
}
