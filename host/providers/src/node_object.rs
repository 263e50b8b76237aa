//! Node objects of machines that are simulated.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use plimsoll_model::{Address, AddressKind, Resources, well_known};
use serde_json::{Map, Value, json};

use crate::NodeTemplate;

/// The domain of simulated machines.
const DOMAIN: &str = "sim.internal";

/// A machine that is to have a Node object.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSeed<'a> {
    /// The node's name.
    pub name: &'a str,
    /// `spec.providerID`.
    pub provider_id: &'a str,
    /// Which simulated machine it is: addresses follow from it.
    pub number: u32,
    /// Labels, taints and size.
    pub template: &'a NodeTemplate,
    /// Annotations, for example the one by which KWOK takes the node on.
    pub annotations: Vec<(&'a str, &'a str)>,
}

/// The Node object, as a kubelet would register it: ready, with addresses and size.
pub fn node_object(seed: &NodeSeed<'_>, now: Timestamp) -> Value {
    let NodeTemplate { labels, taints, capacity, allocatable } = seed.template;
    let mut all: Map<String, Value> =
        labels.iter().map(|(key, value)| (key.to_string(), value.as_str().into())).collect();
    all.insert(well_known::HOSTNAME.to_owned(), seed.name.into());
    let annotations: Map<String, Value> =
        seed.annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    let taints: Vec<Value> = taints
        .iter()
        .map(|taint| json!({"key": taint.key.as_str(), "value": taint.value.as_str(), "effect": taint.effect.name()}))
        .collect();
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "simulated",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": seed.name, "labels": all, "annotations": annotations},
        "spec": {"providerID": seed.provider_id},
        "status": {
            "capacity": amounts(capacity),
            "allocatable": amounts(allocatable),
            "addresses": [
                {"type": "InternalIP", "address": ip(seed.number).to_string()},
                {"type": "InternalDNS", "address": dns(seed.name)},
                {"type": "Hostname", "address": seed.name},
            ],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "architecture": labels.get(well_known::ARCH).map_or("amd64", |arch| arch.as_str()),
                "operatingSystem": labels.get(well_known::OS).map_or("linux", |os| os.as_str()),
                "kubeletVersion": "v0.0.0-simulated", "kubeProxyVersion": "", "containerRuntimeVersion": "simulated://0",
                "kernelVersion": "", "osImage": "simulated", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    });
    if !taints.is_empty() {
        object["spec"]["taints"] = taints.into();
    }
    object
}

/// The names and addresses of a simulated machine.
pub fn node_addresses(name: &str, number: u32) -> Vec<Address> {
    vec![
        Address { kind: AddressKind::Ip, value: ip(number).to_string().into() },
        Address { kind: AddressKind::Dns, value: dns(name).into() },
        Address { kind: AddressKind::Dns, value: name.into() },
    ]
}

/// One of 10.64.0.0/10 for each number below four million: private, and no other simulated machine has it.
pub(crate) fn ip(number: u32) -> Ipv4Addr {
    let base = u32::from(Ipv4Addr::new(10, 64, 0, 0));
    Ipv4Addr::from(base | (number.wrapping_add(1) & 0x003f_ffff))
}

pub(crate) fn dns(name: &str) -> String {
    format!("{name}.{DOMAIN}")
}

fn amounts(resources: &Resources) -> Value {
    let mut all = Map::new();
    all.insert("cpu".to_owned(), resources.cpu.to_string().into());
    all.insert("memory".to_owned(), resources.memory.0.to_string().into());
    all.insert("ephemeral-storage".to_owned(), resources.ephemeral_storage.0.to_string().into());
    all.insert("pods".to_owned(), resources.pods.to_string().into());
    for (name, amount) in resources.extended() {
        all.insert(name.to_string(), amount.to_string().into());
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unique_and_private() {
        assert_eq!(ip(0).to_string(), "10.64.0.1");
        assert_eq!(ip(255).to_string(), "10.64.1.0");
        assert_eq!(ip(4_194_302).to_string(), "10.127.255.255");
        assert!(ip(u32::MAX).is_private());
    }
}
