//! Machines: launched, joined as nodes, removed.

use std::collections::HashMap;

use plimsoll_model::{InstanceType, Lifecycle, Millis, NodeGroup, Price, Resources, Text, Timestamp, well_known};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::{LAUNCH_LABEL, LaunchIntent, LaunchOutcome};
use serde_json::{Value, json};

use crate::queue::later;

use super::object::{owner_of, pod_of, set_condition};
use super::{Event, Occurrence, PodKey, PodSpec, World};

/// The machines of a cluster.
#[derive(Debug)]
pub struct Cloud {
    groups: Vec<NodeGroup>,
    machines: Vec<Machine>,
    by_node: HashMap<Text, usize>,
    by_launch: HashMap<Text, Vec<usize>>,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The name that its node will have.
    pub node: Text,
    /// Its group.
    pub group: Text,
    /// What it is.
    pub instance_type: Text,
    /// Where it is.
    pub zone: Text,
    /// How it was bought.
    pub lifecycle: Lifecycle,
    /// What an hour of it costs.
    pub price: Option<Price>,
    /// When it was launched.
    pub launched: Timestamp,
    /// When it was gone.
    pub gone: Option<Timestamp>,
    /// How far it has come.
    pub stage: MachineStage,
    labels: Vec<(String, String)>,
    taints: Vec<Value>,
    allocatable: Value,
}

/// How far a machine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineStage {
    /// Not a node yet.
    Booting,
    /// A node.
    Joined,
    /// Being shut down.
    Removing,
    /// Gone.
    Gone,
}

// === impl Cloud ===

impl Cloud {
    pub(super) fn new(groups: Vec<NodeGroup>) -> Self {
        Self { groups, machines: Vec::new(), by_node: HashMap::new(), by_launch: HashMap::new() }
    }

    /// Every machine that ever was.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// The machine of a node.
    pub fn machine(&self, node: &str) -> Option<&Machine> {
        self.machines.get(*self.by_node.get(node)?)
    }

    /// Whether a node's machine still runs.
    pub fn runs(&self, node: &str) -> bool {
        self.machine(node).is_some_and(|machine| machine.stage != MachineStage::Gone)
    }

    /// Machines of a group that are there or coming, and not on their way out.
    pub fn size(&self, group: &str) -> usize {
        let staying = |machine: &&Machine| matches!(machine.stage, MachineStage::Booting | MachineStage::Joined);
        self.machines.iter().filter(staying).filter(|machine| machine.group == *group).count()
    }

    /// What all machines have cost by then, in micro-dollars.
    pub fn cost(&self, now: Timestamp) -> u64 {
        let hour = 3_600_000;
        let of = |machine: &Machine| {
            let span = machine.gone.unwrap_or(now).since(machine.launched);
            machine.price.map_or(0, |price| u64::try_from(u128::from(price.0) * u128::from(span.0) / hour).unwrap_or(0))
        };
        self.machines.iter().map(of).sum()
    }
}

// === impl World ===

impl World {
    /// A call to launch machines. The same launch twice is one.
    pub fn launch(&mut self, intent: &LaunchIntent) -> LaunchOutcome {
        let request = &intent.request;
        let known = self.cloud.by_launch.get(&intent.id.0).cloned();
        let made = known.unwrap_or_else(|| {
            let mut labels: Vec<(String, String)> =
                request.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            labels.push((LAUNCH_LABEL.to_owned(), intent.id.0.to_string()));
            let taints = request.taints.iter().map(|taint| {
                json!({ "key": taint.key.as_str(), "value": taint.value.as_str(), "effect": taint.effect.name() })
            });
            let taints: Vec<Value> = taints.collect();
            let kind = (&request.group, &request.instance_type, &request.zone, request.lifecycle);
            let made: Vec<usize> =
                (0..request.count).filter_map(|_| self.new_machine(kind, labels.clone(), taints.clone())).collect();
            self.cloud.by_launch.insert(intent.id.0.clone(), made.clone());
            made
        });
        let name = |at: &usize| self.cloud.machines.get(*at).map(|machine| machine.node.clone());
        LaunchOutcome::Accepted { nodes: made.iter().filter_map(name).collect() }
    }

    /// Machines that are there from the beginning.
    pub fn found(&mut self, group: &str, instance_type: &str, zone: &str, lifecycle: Lifecycle, count: u32) {
        for _ in 0..count {
            let kind = (&group.into(), &instance_type.into(), &zone.into(), lifecycle);
            if let Some(at) = self.new_machine(kind, Vec::new(), Vec::new()) {
                self.due.retain(|(_, event)| !matches!(event, Event::Joins(machine) if *machine == at));
                self.machine_joins(at);
                self.due.retain(|(_, event)| !matches!(event, Event::NodeReady(machine) if *machine == at));
                self.node_ready(at);
            }
        }
        self.follow();
    }

    /// A call to remove a machine. The same machine twice is one.
    pub fn remove(&mut self, removal: &Removal) -> RemovalOutcome {
        let Some(&at) = self.cloud.by_node.get(&removal.node) else { return RemovalOutcome::Gone };
        let Some(machine) = self.cloud.machines.get_mut(at) else { return RemovalOutcome::Gone };
        match machine.stage {
            MachineStage::Gone => RemovalOutcome::Gone,
            MachineStage::Removing => RemovalOutcome::Accepted,
            MachineStage::Booting | MachineStage::Joined => {
                machine.stage = MachineStage::Removing;
                let (least, most) = self.pace.shutdown;
                let span = self.chance.millis(least.0, most.0);
                self.after(span, Event::MachineGone(at));
                RemovalOutcome::Accepted
            }
        }
    }

    /// The cloud takes a machine back: its node is told, and it is gone at that time.
    pub fn interrupt(&mut self, node: &str, notice: Millis) {
        let Some(&at) = self.cloud.by_node.get(node) else { return };
        let deadline = later(self.now, notice);
        let text = super::kubelet::rfc3339(deadline);
        self.update("nodes", ("", node), |object| {
            object["metadata"]["annotations"][well_known::INTERRUPTION] = text.into();
        });
        self.due.push((deadline, Event::MachineGone(at)));
    }

    fn new_machine(
        &mut self,
        (group, instance_type, zone, lifecycle): (&Text, &Text, &Text, Lifecycle),
        mut labels: Vec<(String, String)>,
        taints: Vec<Value>,
    ) -> Option<usize> {
        let known = self.cloud.groups.iter().find(|known| known.name == *group)?;
        let kind = known.instance_type(instance_type)?.clone();
        let price = known.price(&kind, lifecycle);
        let at = self.cloud.machines.len();
        let node: Text = format!("{group}-{:05}", at + 1).into();
        let own = [
            (well_known::NODE_GROUP[0], group.as_str()),
            (well_known::ZONE, zone.as_str()),
            (well_known::INSTANCE_TYPE, instance_type.as_str()),
            (well_known::HOSTNAME, node.as_str()),
            (well_known::LIFECYCLE, lifecycle.label()),
            (well_known::OS, known.os.label()),
            (well_known::ARCH, kind.arch.label()),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        labels.extend(known.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        labels.extend(own);
        let machine = Machine {
            node: node.clone(),
            group: group.clone(),
            instance_type: instance_type.clone(),
            zone: zone.clone(),
            lifecycle,
            price,
            launched: self.now,
            gone: None,
            stage: MachineStage::Booting,
            labels,
            taints,
            allocatable: allocatable(&kind, &known.system_reserved),
        };
        self.cloud.machines.push(machine);
        self.cloud.by_node.insert(node, at);
        let (least, most) = self.pace.boot;
        let span = self.chance.millis(least.0, most.0);
        self.after(span, Event::Joins(at));
        Some(at)
    }

    pub(super) fn machine_joins(&mut self, at: usize) {
        let Some(machine) = self.cloud.machines.get_mut(at).filter(|one| one.stage == MachineStage::Booting) else {
            return;
        };
        machine.stage = MachineStage::Joined;
        let labels: serde_json::Map<String, Value> =
            machine.labels.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        let node = machine.node.clone();
        let mut object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": node.as_str(), "labels": labels, "annotations": {} },
            "spec": { "providerID": format!("simulated:///{node}"), "taints": machine.taints },
            "status": { "allocatable": machine.allocatable, "capacity": machine.allocatable }
        });
        set_condition(&mut object, "Ready", false, "KubeletNotReady", &super::kubelet::rfc3339(self.now));
        let _ = self.store.create(object);
        self.occurred.push(Occurrence::Joined(node));
        self.after(Millis::from_secs(5), Event::NodeReady(at));
    }

    pub(super) fn node_ready(&mut self, at: usize) {
        let Some(machine) = self.cloud.machines.get(at).filter(|one| one.stage == MachineStage::Joined) else {
            return;
        };
        let node = machine.node.clone();
        let now = self.stamp();
        self.update("nodes", ("", &node), |object| set_condition(object, "Ready", true, "KubeletReady", &now));
        if let Some(template) = self.daemon.clone() {
            let mut pod = pod_of(&template, "kube-system", &format!("daemon-{node}"), template.get("owner").cloned());
            pod["spec"]["nodeName"] = node.as_str().into();
            let _ = self.store.create(pod);
        }
    }

    pub(super) fn machine_gone(&mut self, at: usize) {
        let now = self.now;
        let Some(machine) = self.cloud.machines.get_mut(at).filter(|one| one.stage != MachineStage::Gone) else {
            return;
        };
        machine.stage = MachineStage::Gone;
        machine.gone = Some(now);
        let node = machine.node.clone();
        let mut left: Vec<PodKey> = self
            .live
            .iter()
            .filter(|(_, pod)| pod.node.as_ref() == Some(&node) && !pod.daemon_set() && !pod.finished())
            .map(|(key, _)| key.clone())
            .collect();
        left.sort();
        self.occurred.push(Occurrence::MachineGone(node.clone(), left));
        if self.pace.cloud_deletes_nodes {
            self.after(Millis::from_secs(5), Event::NodeDeleted(node));
        } else {
            let stamp = self.stamp();
            self.update("nodes", ("", &node), |object| {
                set_condition(object, "Ready", false, "NodeStatusUnknown", &stamp);
            });
        }
    }

    /// A DaemonSet whose pods are on every node.
    pub(super) fn make_daemons(&mut self) {
        if self.pace.daemon_cpu == 0 {
            return;
        }
        let spec = PodSpec { cpu: self.pace.daemon_cpu, memory: 64, grace: 5, stops_after: 1, ..PodSpec::default() };
        let mut template = spec.template("daemon", None);
        template["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
        let made = self.store.create(json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "namespace": "kube-system", "name": "daemon" },
            "spec": { "selector": { "matchLabels": { "app": "daemon" } }, "template": template.clone() }
        }));
        if let Ok(made) = made {
            let uid = made["metadata"]["uid"].as_str().unwrap_or_default();
            template["owner"] = owner_of("apps/v1", "DaemonSet", "daemon", uid);
            self.daemon = Some(template);
        }
    }
}

/// What a machine offers to pods.
fn allocatable(kind: &InstanceType, reserved: &Resources) -> Value {
    let mut all = Resources { cpu: kind.cpu, memory: kind.memory, pods: kind.max_pods, ..Resources::default() };
    all.subtract(reserved, 1);
    let mut offered = json!({
        "cpu": format!("{}m", all.cpu.0), "memory": all.memory.0.to_string(), "pods": all.pods.to_string(),
        "ephemeral-storage": "1Ti"
    });
    if kind.gpus > 0 {
        offered[kind.gpu_resource.as_str()] = kind.gpus.to_string().into();
    }
    for (name, amount) in &kind.extended {
        offered[name.as_str()] = amount.to_string().into();
    }
    offered
}
