//! Node groups and what they are made of.

use crate::{Bytes, LabelSet, MilliCpu, Node, Price, Resources, Taint, Text};

/// A set of equal nodes that can grow and shrink.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// Its name.
    pub name: Text,
    /// Nodes that always stay.
    pub min: u32,
    /// Nodes that are never exceeded.
    pub max: u32,
    /// Zones its nodes may be in; never empty.
    pub zones: Vec<Text>,
    /// How its nodes are bought.
    pub lifecycle: Lifecycle,
    /// Labels its nodes get.
    pub labels: LabelSet,
    /// Taints its nodes get.
    pub taints: Vec<Taint>,
    /// What its nodes may be; never empty.
    pub instance_types: Vec<InstanceType>,
    /// What the system keeps for itself on each node.
    pub system_reserved: Resources,
    /// Only empty nodes are removed.
    pub restrict_scale_down: bool,
}

/// A kind of machine that a cloud rents out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// For example `m5.xlarge`.
    pub name: Text,
    /// CPU.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
    /// Whole GPUs.
    pub gpus: u64,
    /// The resource that pods request for a GPU.
    pub gpu_resource: Text,
    /// Pods that fit by the number of addresses or the kubelet's setting.
    pub max_pods: u64,
    /// CPU architecture.
    pub arch: Arch,
    /// What an hour costs on demand, if known.
    pub price: Option<Price>,
}

/// How a machine is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lifecycle {
    /// By the hour, not taken back.
    OnDemand,
    /// Cheaper, taken back at short notice.
    Spot,
}

/// CPU architecture, as `kubernetes.io/arch` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Arch {
    /// x86, 64 bits.
    #[default]
    Amd64,
    /// ARM, 64 bits.
    Arm64,
}

/// Operating system, as `kubernetes.io/os` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Os {
    /// Linux.
    #[default]
    Linux,
    /// Windows.
    Windows,
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Reads a lifecycle as the clouds and autoscalers write it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "od" | "on-demand" | "onDemand" | "ON_DEMAND" => Some(Self::OnDemand),
            "spot" | "SPOT" => Some(Self::Spot),
            _ => None,
        }
    }

    /// The value of `spotinst.io/node-lifecycle`.
    pub fn label(self) -> &'static str {
        match self {
            Self::OnDemand => "od",
            Self::Spot => "spot",
        }
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

impl Arch {
    /// Reads the value of `kubernetes.io/arch`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "amd64" => Some(Self::Amd64),
            "arm64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The value of `kubernetes.io/arch`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl Os {
    /// Reads the value of `kubernetes.io/os`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "linux" => Some(Self::Linux),
            "windows" => Some(Self::Windows),
            _ => None,
        }
    }

    /// The value of `kubernetes.io/os`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }
}

// === impl NodeGroup ===

impl NodeGroup {
    /// True if the node belongs to this group: its group label says so or, where it has none, its lifecycle,
    /// labels, zone and instance type are this group's.
    pub fn owns(&self, node: &Node) -> bool {
        if let Some(name) = node.group_label() {
            return *name == self.name;
        }
        node.labels.contains_all(&self.labels)
            && node.lifecycle().is_none_or(|lifecycle| lifecycle == self.lifecycle)
            && node.zone().is_some_and(|zone| self.zones.contains(zone))
            && node.instance_type().is_some_and(|name| self.instance_type(name).is_some())
    }

    /// The instance type of this name.
    pub fn instance_type(&self, name: &str) -> Option<&InstanceType> {
        self.instance_types.iter().find(|known| known.name == *name)
    }
}
