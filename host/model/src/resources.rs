//! What pods request and nodes offer.

use crate::{Bytes, MilliCpu, Text};

/// Amounts of every resource that a scheduler counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// CPU.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
    /// Local ephemeral storage.
    pub ephemeral_storage: Bytes,
    /// Places for pods: what a node offers, or how many pods this is.
    pub pods: u64,
    /// Everything else by name: GPUs, huge pages.
    pub extended: ExtendedResources,
}

/// Amounts by name, in the order of names; none is zero. Read and set through [`Resources`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExtendedResources(Vec<(Text, u64)>);

/// One container's part in what its pod requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerRequests {
    /// What the container requests.
    pub requests: Resources,
    /// An init container that keeps running (`restartPolicy: Always`).
    pub sidecar: bool,
}

impl Resources {
    /// The extended resources by name, in the order of names.
    pub fn extended(&self) -> &[(Text, u64)] {
        &self.extended.0
    }

    /// Sets an extended resource.
    pub fn set_extended(&mut self, name: Text, amount: u64) {
        match self.extended.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) if amount == 0 => {
                self.extended.0.remove(at);
            }
            Ok(at) => self.extended.0[at].1 = amount,
            Err(_) if amount == 0 => {}
            Err(at) => self.extended.0.insert(at, (name, amount)),
        }
    }

    /// How much of an extended resource this is.
    pub fn get_extended(&self, name: &str) -> u64 {
        self.extended.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).map_or(0, |at| self.extended.0[at].1)
    }

    /// Whole GPUs: every extended resource whose name ends in `/gpu`.
    pub fn gpus(&self) -> u64 {
        self.extended.0.iter().filter(|(name, _)| name.ends_with("/gpu")).map(|(_, amount)| amount).sum()
    }

    /// Adds `count` times `other`.
    pub fn add(&mut self, other: &Resources, count: u64) {
        self.cpu += other.cpu.times(count);
        self.memory += other.memory.times(count);
        self.ephemeral_storage += other.ephemeral_storage.times(count);
        self.pods = self.pods.saturating_add(other.pods.saturating_mul(count));
        for (name, amount) in &other.extended.0 {
            let sum = self.get_extended(name).saturating_add(amount.saturating_mul(count));
            self.set_extended(name.clone(), sum);
        }
    }

    /// Takes `count` times `other` away; nothing falls below zero.
    pub fn subtract(&mut self, other: &Resources, count: u64) {
        self.cpu = self.cpu.saturating_sub(other.cpu.times(count));
        self.memory = self.memory.saturating_sub(other.memory.times(count));
        self.ephemeral_storage = self.ephemeral_storage.saturating_sub(other.ephemeral_storage.times(count));
        self.pods = self.pods.saturating_sub(other.pods.saturating_mul(count));
        for (name, amount) in &other.extended.0 {
            let rest = self.get_extended(name).saturating_sub(amount.saturating_mul(count));
            self.set_extended(name.clone(), rest);
        }
    }

    /// Raises every amount to at least that of `other`.
    pub fn raise_to(&mut self, other: &Resources) {
        self.cpu = self.cpu.max(other.cpu);
        self.memory = self.memory.max(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.max(other.ephemeral_storage);
        self.pods = self.pods.max(other.pods);
        for (name, amount) in &other.extended.0 {
            let larger = self.get_extended(name).max(*amount);
            self.set_extended(name.clone(), larger);
        }
    }
}

/// What a pod requests in all, without the place for the pod itself.
///
/// Rule: the larger of what runs together (containers and sidecars) and of what each init container needs
/// beside the sidecars started before it, plus the overhead (Kubernetes, "Sidecar containers" and KEP-753).
pub fn effective_requests(
    containers: &[ContainerRequests],
    init: &[ContainerRequests],
    overhead: &Resources,
) -> Resources {
    let mut sidecars = Resources::default();
    let mut peak = Resources::default();
    for container in init {
        let mut at_start = sidecars.clone();
        at_start.add(&container.requests, 1);
        peak.raise_to(&at_start);
        if container.sidecar {
            sidecars = at_start;
        }
    }
    let mut running = sidecars;
    for container in containers {
        running.add(&container.requests, 1);
    }
    running.raise_to(&peak);
    running.add(overhead, 1);
    running.pods = 0;
    running
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(milli: u64) -> ContainerRequests {
        ContainerRequests { requests: Resources { cpu: MilliCpu(milli), ..Default::default() }, sidecar: false }
    }

    fn sidecar(milli: u64) -> ContainerRequests {
        ContainerRequests { sidecar: true, ..cpu(milli) }
    }

    #[test]
    fn init_containers_count_by_the_largest_moment() {
        let none = Resources::default();
        let total = |containers: &[_], init: &[_]| effective_requests(containers, init, &none).cpu.0;
        assert_eq!(total(&[cpu(100), cpu(200)], &[]), 300);
        assert_eq!(total(&[cpu(100)], &[cpu(500), cpu(400)]), 500);
        assert_eq!(total(&[cpu(100)], &[sidecar(50), cpu(500)]), 550);
        assert_eq!(total(&[cpu(100)], &[cpu(500), sidecar(50)]), 500);
        assert_eq!(total(&[cpu(600)], &[sidecar(50), cpu(500)]), 650);
        let overhead = Resources { cpu: MilliCpu(7), ..Default::default() };
        assert_eq!(effective_requests(&[cpu(100)], &[cpu(500)], &overhead).cpu.0, 507);
    }

    #[test]
    fn extended_resources_stay_sorted_and_never_zero() {
        let mut all = Resources::default();
        all.set_extended("nvidia.com/gpu".into(), 2);
        all.set_extended("amd.com/gpu".into(), 1);
        all.set_extended("hugepages-2Mi".into(), 4);
        assert_eq!(all.gpus(), 3);
        let names: Vec<_> = all.extended().iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["amd.com/gpu", "hugepages-2Mi", "nvidia.com/gpu"]);
        let gone = all.clone();
        all.subtract(&gone, 1);
        assert!(all.extended().is_empty());
    }
}
