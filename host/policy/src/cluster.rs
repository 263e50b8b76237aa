//! The look-ups of `plimsoll:policy/cluster`. Ids come from the policy and may be anything.

use plimsoll_model::{LabelSet, Node, NodeId, Pod, Resources, Snapshot, Text};

use crate::bindings::plimsoll::policy::cluster;
use crate::state::State;

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
