//! Nodes and the machines behind them.

use serde_json::{Value, json};

use super::identity::{before, pick, suffix, uid};

/// A node of the cluster.
pub struct NodePlan {
    /// What the tables of workloads call it.
    pub key: &'static str,
    /// Its node group; the control plane has none.
    pub group: &'static str,
    /// The last letter of its zone.
    pub zone: char,
    /// The last octet of its address.
    pub host: u8,
    /// What it is.
    pub instance_type: &'static str,
    /// What is special about it.
    pub state: State,
}

/// What is special about a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ready,
    Cordoned,
    NotReady,
}

/// An instance type: CPU, memory in MiB, and what of both pods may have.
struct Size {
    cpu: u64,
    memory: u64,
    allocatable_cpu: u64,
    allocatable_memory: u64,
}

const fn at(key: &'static str, group: &'static str, zone: char, host: u8, instance_type: &'static str) -> NodePlan {
    NodePlan { key, group, zone, host, instance_type, state: State::Ready }
}

const fn odd(plan: NodePlan, state: State) -> NodePlan {
    NodePlan { state, ..plan }
}

pub const NODES: [NodePlan; 34] = [
    at("control-1", "", 'a', 10, "m5.xlarge"),
    at("control-2", "", 'b', 10, "m5.xlarge"),
    at("control-3", "", 'c', 10, "m5.xlarge"),
    at("general-1", "general", 'a', 21, "m5.xlarge"),
    at("general-2", "general", 'b', 21, "m5.xlarge"),
    at("general-3", "general", 'c', 21, "m5.xlarge"),
    at("general-4", "general", 'a', 57, "m5.xlarge"),
    at("general-5", "general", 'b', 57, "m5.xlarge"),
    at("general-6", "general", 'c', 57, "m5.xlarge"),
    at("general-7", "general", 'a', 83, "m5.xlarge"),
    at("general-8", "general", 'b', 83, "m5.xlarge"),
    at("general-9", "general", 'c', 83, "m5.xlarge"),
    at("general-10", "general", 'a', 119, "m5.xlarge"),
    at("general-11", "general", 'b', 119, "m5.xlarge"),
    at("general-12", "general", 'c', 119, "m5.xlarge"),
    at("spot-1", "general-spot", 'a', 142, "m5.xlarge"),
    at("spot-2", "general-spot", 'b', 142, "m5a.xlarge"),
    at("spot-3", "general-spot", 'c', 142, "m6i.xlarge"),
    at("spot-4", "general-spot", 'a', 155, "m5a.xlarge"),
    at("spot-5", "general-spot", 'b', 155, "m6i.xlarge"),
    at("spot-6", "general-spot", 'c', 155, "m5.xlarge"),
    at("spot-7", "general-spot", 'a', 168, "m6i.xlarge"),
    at("spot-8", "general-spot", 'b', 168, "m5.xlarge"),
    at("spot-9", "general-spot", 'c', 168, "m5a.xlarge"),
    odd(at("spot-10", "general-spot", 'a', 181, "m5.xlarge"), State::Cordoned),
    odd(at("spot-11", "general-spot", 'b', 181, "m5a.xlarge"), State::NotReady),
    at("memory-1", "memory", 'a', 201, "r5.2xlarge"),
    at("memory-2", "memory", 'b', 201, "r5.2xlarge"),
    at("memory-3", "memory", 'c', 201, "r5.2xlarge"),
    at("memory-4", "memory", 'a', 214, "r5.2xlarge"),
    at("batch-1", "batch", 'a', 230, "c5.2xlarge"),
    at("batch-2", "batch", 'b', 230, "c5.2xlarge"),
    at("batch-3", "batch", 'c', 230, "c5.2xlarge"),
    at("batch-4", "batch", 'a', 243, "c5.2xlarge"),
];

/// Machines that were launched and have not joined: group, zone and last octet.
pub const LAUNCHED: [(&str, char, u8); 2] = [("general", 'b', 132), ("batch", 'b', 249)];

/// The node of this key.
pub fn find(key: &str) -> &'static NodePlan {
    NODES.iter().find(|plan| plan.key == key).expect("a node of the table")
}

impl NodePlan {
    pub fn name(&self) -> String {
        node_name(self.zone, self.host)
    }

    pub fn spot(&self) -> bool {
        matches!(self.group, "general-spot" | "batch")
    }

    /// CPU that pods may have, in thousandths.
    pub fn allocatable_cpu(&self) -> u64 {
        size(self.instance_type).allocatable_cpu
    }

    fn age(&self) -> u64 {
        if self.group.is_empty() { 214 * 86_400 } else { 3_600 + pick(self.key, 20 * 86_400) }
    }

    fn taints(&self) -> Vec<Value> {
        let mut taints = match self.group {
            "" => vec![json!({"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"})],
            "memory" => vec![json!({"effect": "NoSchedule", "key": "workload", "value": "memory"})],
            "batch" => vec![json!({"effect": "NoSchedule", "key": "workload", "value": "batch"})],
            _ => vec![],
        };
        let since = before(190);
        match self.state {
            State::Ready => {}
            State::Cordoned => {
                taints.push(
                    json!({"effect": "NoSchedule", "key": "node.kubernetes.io/unschedulable", "timeAdded": since}),
                );
            }
            State::NotReady => {
                taints.extend(["NoSchedule", "NoExecute"].map(
                    |effect| json!({"effect": effect, "key": "node.kubernetes.io/unreachable", "timeAdded": since}),
                ))
            }
        }
        taints
    }
}

/// The address in a zone.
pub fn address(zone: char, host: u8) -> String {
    let network = match zone {
        'a' => 32,
        'b' => 64,
        _ => 96,
    };
    format!("10.0.{network}.{host}")
}

/// The name of the node at that address.
pub fn node_name(zone: char, host: u8) -> String {
    format!("ip-{}.eu-west-1.compute.internal", address(zone, host).replace('.', "-"))
}

/// A `Node`.
pub fn node(plan: &NodePlan) -> Value {
    let (name, size) = (plan.name(), size(plan.instance_type));
    let mut labels = json!({
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": plan.instance_type,
        "topology.kubernetes.io/region": "eu-west-1",
        "topology.kubernetes.io/zone": format!("eu-west-1{}", plan.zone),
    });
    if plan.group.is_empty() {
        labels["node-role.kubernetes.io/control-plane"] = json!("");
    } else {
        labels["plimsoll.dev/node-group"] = json!(plan.group);
        labels["spotinst.io/node-lifecycle"] = json!(if plan.spot() { "spot" } else { "od" });
    }
    let mut spec = json!({"providerID": provider_id(plan.zone, &name)});
    let taints = plan.taints();
    if !taints.is_empty() {
        spec["taints"] = json!(taints);
    }
    if plan.state == State::Cordoned {
        spec["unschedulable"] = json!(true);
    }
    let created = plan.age();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            "creationTimestamp": before(created),
            "labels": labels,
            "name": name,
            "uid": uid(&name),
        },
        "spec": spec,
        "status": {
            "addresses": addresses(plan.zone, plan.host),
            "allocatable": {
                "cpu": format!("{}m", size.allocatable_cpu),
                "ephemeral-storage": "18242267924",
                "memory": format!("{}Ki", size.allocatable_memory * 1024),
                "pods": "58",
            },
            "capacity": {
                "cpu": size.cpu.to_string(),
                "ephemeral-storage": "20959212Ki",
                "memory": format!("{}Ki", size.memory * 1024 - 486_312),
                "pods": "58",
            },
            "conditions": conditions(plan, created),
            "nodeInfo": {"kubeletVersion": "v1.33.5", "osImage": "Bottlerocket OS 1.49.0"},
        },
    })
}

fn conditions(plan: &NodePlan, created: u64) -> Value {
    let condition = |kind: &str, reason: &str, status: &str, since: u64, beat: u64| {
        json!({
            "lastHeartbeatTime": before(beat),
            "lastTransitionTime": before(since),
            "reason": reason,
            "status": status,
            "type": kind,
        })
    };
    if plan.state == State::NotReady {
        return json!([
            condition("MemoryPressure", "NodeStatusUnknown", "Unknown", 200, 260),
            condition("Ready", "NodeStatusUnknown", "Unknown", 200, 260),
        ]);
    }
    let beat = pick(&format!("{}/beat", plan.key), 240);
    json!([
        condition("MemoryPressure", "KubeletHasSufficientMemory", "False", created, beat),
        condition("Ready", "KubeletReady", "True", created - 40, beat),
    ])
}

/// Cluster API machines of all managed nodes, and two that have not joined.
pub fn machines() -> Vec<Value> {
    let joined = NODES.iter().filter(|plan| !plan.group.is_empty()).map(|plan| {
        let created = plan.age() + 75;
        machine(plan.group, plan.zone, plan.host, created, Some(plan.name()))
    });
    let launched = LAUNCHED.iter().map(|(group, zone, host)| machine(group, *zone, *host, 95, None));
    joined.chain(launched).collect()
}

fn machine(group: &str, zone: char, host: u8, created: u64, node: Option<String>) -> Value {
    let name = format!("{group}-{}-{}", suffix(group, 5), suffix(&address(zone, host), 5));
    let mut status = json!({
        "addresses": addresses(zone, host),
        "phase": if node.is_some() { "Running" } else { "Provisioned" },
    });
    if let Some(node) = node {
        status["nodeRef"] = json!({"name": node});
    }
    json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "Machine",
        "metadata": {
            "creationTimestamp": before(created),
            "labels": {"cluster.x-k8s.io/cluster-name": "shop", "cluster.x-k8s.io/deployment-name": group},
            "name": name,
            "namespace": "kube-system",
            "uid": uid(&name),
        },
        "spec": {"clusterName": "shop", "providerID": provider_id(zone, &node_name(zone, host))},
        "status": status,
    })
}

fn addresses(zone: char, host: u8) -> Value {
    let (address, name) = (address(zone, host), node_name(zone, host));
    json!([
        {"address": address, "type": "InternalIP"},
        {"address": name, "type": "InternalDNS"},
        {"address": name, "type": "Hostname"},
    ])
}

fn provider_id(zone: char, name: &str) -> String {
    format!("aws:///eu-west-1{zone}/i-0{}", &uid(&format!("{name}/instance")).replace('-', "")[..16])
}

fn size(instance_type: &str) -> Size {
    let (cpu, memory, allocatable_cpu, allocatable_memory) = match instance_type {
        "r5.2xlarge" => (8, 65_536, 7_910, 59_627),
        "c5.2xlarge" => (8, 16_384, 7_910, 14_162),
        _ => (4, 16_384, 3_920, 14_162),
    };
    Size { cpu, memory, allocatable_cpu, allocatable_memory }
}
