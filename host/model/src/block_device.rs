//! The root volume of a new node.

use crate::{Bytes, InstanceType};

/// Least and most operations per second of a gp3 volume (AWS, EC2 API reference, `EbsBlockDevice.Iops`).
const GP3_IOPS: (u64, u64) = (3_000, 16_000);
/// Most operations per second for each GiB of a gp3 volume (AWS, "Amazon EBS volume types").
const GP3_IOPS_PER_GIB: u64 = 500;
/// Least and most GiB of a gp3 volume (AWS, EC2 API reference, `EbsBlockDevice.VolumeSize`).
const GP3_GIB: (u64, u64) = (1, 16_384);

/// How the root volume of a node grows with the node; what is `None` is the provider's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockDevice {
    /// Operations per second (Spot Ocean, "Scaling", dynamic IOPS).
    pub iops: Option<DynamicAmount>,
    /// Size in GiB.
    pub volume_gib: Option<DynamicAmount>,
}

/// An amount that grows with the instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicAmount {
    /// What every node gets.
    pub base: u64,
    /// What each unit adds.
    pub per_unit: u64,
    /// What is counted.
    pub unit: SizedBy,
}

/// What of an instance type is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizedBy {
    /// Cores.
    Cpu,
    /// GiB of memory.
    Memory,
}

// === impl DynamicAmount ===

impl DynamicAmount {
    /// The amount for an instance type, before any limit; parts of a unit count, the sum is rounded down.
    pub fn of(self, instance_type: &InstanceType) -> u64 {
        let (amount, unit) = match self.unit {
            SizedBy::Cpu => (instance_type.cpu.0, 1000),
            SizedBy::Memory => (instance_type.memory.0, 1 << 30),
        };
        let grown = u128::from(self.per_unit) * u128::from(amount) / unit;
        self.base.saturating_add(u64::try_from(grown).unwrap_or(u64::MAX))
    }
}

// === impl BlockDevice ===

impl BlockDevice {
    /// Operations per second to order for a node of this type, within what a gp3 volume can do.
    pub fn iops_for(&self, instance_type: &InstanceType) -> Option<u64> {
        let iops = self.iops?.of(instance_type).clamp(GP3_IOPS.0, GP3_IOPS.1);
        let most = self.volume_gib_for(instance_type).map_or(GP3_IOPS.1, |gib| gib.saturating_mul(GP3_IOPS_PER_GIB));
        Some(iops.min(most.max(GP3_IOPS.0)))
    }

    /// The size to order for a node of this type, within what a gp3 volume can be.
    pub fn volume_for(&self, instance_type: &InstanceType) -> Option<Bytes> {
        self.volume_gib_for(instance_type).map(|gib| Bytes(gib << 30))
    }

    fn volume_gib_for(&self, instance_type: &InstanceType) -> Option<u64> {
        Some(self.volume_gib?.of(instance_type).clamp(GP3_GIB.0, GP3_GIB.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MilliCpu;

    fn instance_type(cores: u64, gib: u64) -> InstanceType {
        InstanceType { cpu: MilliCpu(cores * 1000), memory: Bytes(gib << 30), ..Default::default() }
    }

    fn amount(base: u64, per_unit: u64, unit: SizedBy) -> Option<DynamicAmount> {
        Some(DynamicAmount { base, per_unit, unit })
    }

    #[test]
    fn amounts_grow_with_what_is_counted() {
        use SizedBy::*;
        for (base, per_unit, unit, cores, gib, expected) in [
            (50, 20, Cpu, 2, 8, 90),
            (50, 20, Memory, 2, 8, 210),
            (0, 0, Cpu, 2, 8, 0),
            (u64::MAX, 1, Cpu, 2, 8, u64::MAX),
            (0, u64::MAX, Memory, 2, 8, u64::MAX),
        ] {
            assert_eq!(DynamicAmount { base, per_unit, unit }.of(&instance_type(cores, gib)), expected);
        }
        let half = InstanceType { memory: Bytes(1 << 29), ..Default::default() };
        assert_eq!(DynamicAmount { base: 1, per_unit: 20, unit: Memory }.of(&half), 11);
    }

    #[test]
    fn orders_stay_within_what_gp3_can_do() {
        let device = |iops, volume_gib| BlockDevice { iops, volume_gib };
        let small = instance_type(2, 8);
        let none: Option<DynamicAmount> = None;
        for (iops, gib, ordered, size) in [
            (none, none, None, None),
            (amount(50, 20, SizedBy::Cpu), none, Some(3_000), None),
            (amount(4_000, 1_000, SizedBy::Cpu), none, Some(6_000), None),
            (amount(99_999, 0, SizedBy::Cpu), none, Some(16_000), None),
            (amount(99_999, 0, SizedBy::Cpu), amount(20, 0, SizedBy::Cpu), Some(10_000), Some(20)),
            (amount(99_999, 0, SizedBy::Cpu), amount(0, 0, SizedBy::Cpu), Some(3_000), Some(1)),
            (amount(99_999, 0, SizedBy::Cpu), amount(100, 0, SizedBy::Cpu), Some(16_000), Some(100)),
            (none, amount(20, 10, SizedBy::Cpu), None, Some(40)),
            (none, amount(u64::MAX, 0, SizedBy::Cpu), None, Some(16_384)),
        ] {
            let device = device(iops, gib);
            assert_eq!(device.iops_for(&small), ordered, "{device:?}");
            assert_eq!(device.volume_for(&small), size.map(|gib: u64| Bytes(gib << 30)), "{device:?}");
        }
    }
}
