//! What may still be launched, by every limit that no policy can pass.

use std::collections::HashMap;
use std::fmt;

use plimsoll_model::{Bytes, GroupIndex, MilliCpu, Snapshot, Text, Timestamp};

use super::template::Template;
use super::{FreeIps, Remaining, ScaleUpConfig};

/// What the cluster has, chosen launches included, and what its limits leave.
pub(super) struct Allowance<'a> {
    config: &'a ScaleUpConfig,
    now: Timestamp,
    nodes: u32,
    cpu: MilliCpu,
    memory: Bytes,
    /// Nodes by the group's place in the configuration.
    group_sizes: Vec<u32>,
    /// Nodes of a group in a zone.
    zone_nodes: HashMap<(usize, Text), u32>,
    /// The place of each template's group in the configuration.
    group_of: Vec<usize>,
    pub free_ips: FreeIps,
}

impl<'a> Allowance<'a> {
    /// What is left before anything is launched.
    pub fn new(snapshot: &Snapshot, config: &'a ScaleUpConfig, templates: &[Template<'_>], now: Timestamp) -> Self {
        let groups = GroupIndex::of(&config.groups);
        let by_name: HashMap<&Text, usize> =
            config.groups.iter().enumerate().map(|(at, group)| (&group.name, at)).collect();
        let place = |template: &Template<'_>| by_name.get(&template.group.name).copied().unwrap_or_default();
        let group_of = templates.iter().map(place).collect();
        let mut allowance = Self {
            config,
            now,
            nodes: 0,
            cpu: MilliCpu(0),
            memory: Bytes(0),
            group_sizes: vec![0; config.groups.len()],
            zone_nodes: HashMap::new(),
            group_of,
            free_ips: FreeIps::of(config),
        };
        for (_, node) in snapshot.nodes() {
            let group = groups.group_of(node);
            // A row that stands for a launched node shows what DaemonSets leave of it. It counts as when it was chosen.
            let whole = group.filter(|_| node.launching).and_then(|(_, group)| {
                let instance_type = group.instance_type(node.instance_type()?)?;
                Some((instance_type.cpu, instance_type.memory))
            });
            let (cpu, memory) = whole.unwrap_or((node.allocatable.cpu, node.allocatable.memory));
            allowance.nodes = allowance.nodes.saturating_add(1);
            allowance.cpu += cpu;
            allowance.memory += memory;
            let Some((group, _)) = group else { continue };
            allowance.group_sizes[group] += 1;
            if let Some(zone) = node.zone() {
                *allowance.zone_nodes.entry((group, zone.clone())).or_default() += 1;
            }
        }
        allowance
    }

    /// What the cluster's limits leave.
    pub fn remaining(&self) -> Remaining {
        let limits = &self.config.limits;
        Remaining {
            nodes: limits.max_nodes.saturating_sub(self.nodes),
            cpu: limits.max_cpu.saturating_sub(self.cpu),
            memory: limits.max_memory.saturating_sub(self.memory),
        }
    }

    /// Nodes that a template's group has in its zone.
    pub fn zone_nodes(&self, at: usize, template: &Template<'_>) -> u32 {
        self.zone_nodes.get(&(self.group_of[at], template.zone.clone())).copied().unwrap_or(0)
    }

    /// How many nodes like each template the group's maximum leaves.
    pub fn group_rooms(&self, templates: &[Template<'_>]) -> Vec<u32> {
        templates.iter().enumerate().map(|(at, template)| self.group_room(at, template)).collect()
    }

    fn group_room(&self, at: usize, template: &Template<'_>) -> u32 {
        template.group.max.saturating_sub(self.group_sizes[self.group_of[at]])
    }

    /// How many nodes like each template all limits leave.
    pub fn rooms(&self, templates: &[Template<'_>]) -> Vec<u32> {
        templates.iter().enumerate().map(|(at, template)| self.room(at, template)).collect()
    }

    /// How many nodes like this template all limits leave: group, cluster, addresses, and launches that failed.
    pub fn room(&self, at: usize, template: &Template<'_>) -> u32 {
        let blocked = || {
            let (group, instance_type) = (&template.group.name, &template.instance_type.name);
            self.config.is_blocked(group, instance_type, template.zone, template.lifecycle, self.now).is_some()
        };
        if !self.config.blocked.is_empty() && blocked() {
            return 0;
        }
        let remaining = self.remaining();
        let by = |left: u64, each: u64| u32::try_from(left.checked_div(each).unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
        let cpu = by(remaining.cpu.0, template.instance_type.cpu.0);
        let memory = by(remaining.memory.0, template.instance_type.memory.0);
        let addresses = self.free_ips.room(template.group, template.zone, 0).unwrap_or(u32::MAX);
        remaining.nodes.min(cpu).min(memory).min(addresses).min(self.group_room(at, template))
    }

    /// Takes nodes that are launched, with `pods` pods on all of them.
    pub fn take(&mut self, at: usize, template: &Template<'_>, nodes: u32, pods: u32) {
        self.nodes = self.nodes.saturating_add(nodes);
        self.cpu += template.instance_type.cpu.times(nodes.into());
        self.memory += template.instance_type.memory.times(nodes.into());
        let group = self.group_of[at];
        self.group_sizes[group] = self.group_sizes[group].saturating_add(nodes);
        *self.zone_nodes.entry((group, template.zone.clone())).or_default() += nodes;
        self.free_ips.take(template.group, template.zone, nodes, pods.div_ceil(nodes.max(1)));
    }
}

impl fmt::Display for Allowance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = &self.config.limits;
        write!(
            f,
            "{} of {} nodes, {} of {} cpu, {} of {} memory are used or planned",
            self.nodes, limits.max_nodes, self.cpu, limits.max_cpu, self.memory, limits.max_memory
        )
    }
}
