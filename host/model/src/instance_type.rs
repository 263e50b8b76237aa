//! Kinds of machines that clouds rent out.

use crate::{Bytes, MilliCpu, Price, Text};

/// A kind of machine that a cloud rents out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Network interfaces and addresses, where they limit the pods and are known.
    pub interfaces: Option<Interfaces>,
    /// What else its nodes offer, by resource name: whatever a device plugin will advertise there.
    pub extended: Vec<(Text, u64)>,
    /// CPU architecture.
    pub arch: Arch,
    /// What an hour costs on demand, if known.
    pub price: Option<Price>,
    /// What an hour costs on the spot market, if known.
    pub spot_price: Option<Price>,
}

/// Elastic network interfaces (ENIs) of an AWS instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interfaces {
    /// How many there can be.
    pub enis: u64,
    /// IPv4 addresses on each, its own included.
    pub ips_per_eni: u64,
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

// === impl Interfaces ===

impl Interfaces {
    /// Pods that have an address when `reserved` interfaces are kept aside; `None` if none is left for pods.
    ///
    /// Rule: the first address of each interface is not for pods, and two pods use the node's own address
    /// (amazon-eks-ami, `eni-max-pods.txt`; Spot Ocean, "Scaling", reserved ENIs).
    pub fn max_pods(self, reserved: u64) -> Option<u64> {
        let left = self.enis.checked_sub(reserved).filter(|left| *left >= 1)?;
        Some(left.saturating_mul(self.ips_per_eni.saturating_sub(1)).saturating_add(2))
    }
}

// === impl Arch ===

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_interfaces_take_their_addresses_along() {
        for (enis, ips_per_eni, reserved, pods) in [
            (3, 10, 0, Some(29)),
            (3, 10, 1, Some(20)),
            (3, 10, 2, Some(11)),
            (3, 10, 3, None),
            (3, 10, 4, None),
            (1, 4, 1, None),
            (4, 15, 0, Some(58)),
            (1, 0, 0, Some(2)),
            (u64::MAX, u64::MAX, 0, Some(u64::MAX)),
        ] {
            assert_eq!(Interfaces { enis, ips_per_eni }.max_pods(reserved), pods, "{enis} × {ips_per_eni}, {reserved}");
        }
    }
}
