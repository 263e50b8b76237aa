//! Addresses that launches take.

use std::collections::BTreeMap;

use plimsoll_model::{NodeGroup, Subnet, Text};

use super::ScaleUpConfig;

/// How nodes use up the addresses of their subnets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkRules {
    /// Pods take addresses of the node's subnet (AWS VPC CNI); otherwise only the node takes one.
    pub pods_use_subnet_ips: bool,
    /// Addresses of each subnet that launches leave alone.
    pub min_free_ips: u32,
}

/// What is left of the addresses while launches are planned. Groups that name the same subnet share it.
#[derive(Clone, Debug)]
pub struct FreeIps {
    rules: NetworkRules,
    by_subnet: BTreeMap<Text, u32>,
}

impl NetworkRules {
    /// Addresses that a node with this many pods takes.
    pub fn ips_of_node(&self, pods: u32) -> u32 {
        if self.pods_use_subnet_ips { pods.saturating_add(1) } else { 1 }
    }
}

impl FreeIps {
    /// The addresses that the configuration knows of.
    pub fn of(config: &ScaleUpConfig) -> Self {
        let rules = config.network;
        let subnets = config.groups.iter().flat_map(|group| &group.subnets);
        let by_subnet =
            subnets.map(|subnet| (subnet.id.clone(), subnet.free_ips.saturating_sub(rules.min_free_ips))).collect();
        Self { rules, by_subnet }
    }

    /// How many nodes with `pods` pods each the group's subnets of a zone have addresses for; `None` if nothing is
    /// known of them. A node's addresses are all of one subnet.
    pub fn room(&self, group: &NodeGroup, zone: &str, pods: u32) -> Option<u32> {
        let each = self.rules.ips_of_node(pods);
        let nodes = subnets(group, zone).map(|subnet| self.left(subnet) / each);
        (!group.subnets.is_empty()).then(|| nodes.fold(0, u32::saturating_add))
    }

    /// Addresses that are left in a zone; `None` if nothing is known of its subnets.
    pub fn left_in(&self, group: &NodeGroup, zone: &str) -> Option<u32> {
        let left = subnets(group, zone).map(|subnet| self.left(subnet));
        (!group.subnets.is_empty()).then(|| left.fold(0, u32::saturating_add))
    }

    /// Takes the addresses of `nodes` nodes with `pods` pods each: each node in the subnet with the most free
    /// addresses. Which subnets, with how many nodes, in the group's order; fewer than asked for if the addresses
    /// run out. No subnet, where nothing is known of them.
    pub fn take(&mut self, group: &NodeGroup, zone: &str, nodes: u32, pods: u32) -> Vec<(Option<Text>, u32)> {
        if group.subnets.is_empty() {
            return vec![(None, nodes)];
        }
        let each = self.rules.ips_of_node(pods);
        let here: Vec<&Subnet> = subnets(group, zone).collect();
        let mut taken = vec![0u32; here.len()];
        for _ in 0..nodes {
            // The first of equals, so that the group's order decides.
            let most = here.iter().zip(&mut taken).rev().max_by_key(|(subnet, _)| self.left(subnet));
            let Some((subnet, count)) = most.filter(|(subnet, _)| self.left(subnet) >= each) else { break };
            *count += 1;
            if let Some(left) = self.by_subnet.get_mut(&subnet.id) {
                *left -= each;
            }
        }
        let used = here.iter().zip(taken).filter(|(_, count)| *count > 0);
        used.map(|(subnet, count)| (Some(subnet.id.clone()), count)).collect()
    }

    fn left(&self, subnet: &Subnet) -> u32 {
        self.by_subnet.get(&subnet.id).copied().unwrap_or(0)
    }
}

fn subnets<'g>(group: &'g NodeGroup, zone: &str) -> impl Iterator<Item = &'g Subnet> {
    group.subnets.iter().filter(move |subnet| subnet.zone == *zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(subnets: &[(&str, &str, u32)], network: NetworkRules) -> ScaleUpConfig {
        let subnet = |(id, zone, free_ips): &(&str, &str, u32)| Subnet {
            id: (*id).into(),
            zone: (*zone).into(),
            free_ips: *free_ips,
        };
        let group = NodeGroup { subnets: subnets.iter().map(subnet).collect(), ..Default::default() };
        ScaleUpConfig { groups: vec![group.clone(), group], network, ..Default::default() }
    }

    #[test]
    fn rooms_by_zone() {
        let pods = |min_free_ips| NetworkRules { pods_use_subnet_ips: true, min_free_ips };
        let only_nodes = NetworkRules { pods_use_subnet_ips: false, min_free_ips: 0 };
        let both: &[(&str, &str, u32)] = &[("s1", "a", 5), ("s2", "a", 200), ("s3", "b", 0)];
        for (subnets, rules, zone, room) in [
            (both, only_nodes, "a", Some(205)),
            (both, pods(0), "a", Some(18)),
            (both, pods(190), "a", Some(0)),
            (both, NetworkRules { min_free_ips: 4, ..only_nodes }, "a", Some(197)),
            (both, only_nodes, "b", Some(0)),
            (both, only_nodes, "c", Some(0)),
            (&[], only_nodes, "a", None),
        ] {
            let config = config(subnets, rules);
            assert_eq!(FreeIps::of(&config).room(&config.groups[0], zone, 10), room, "{rules:?} {zone}");
        }
    }

    #[test]
    fn each_node_goes_where_most_is_free() {
        let config = config(&[("s1", "a", 5), ("s2", "a", 8), ("s3", "b", 90)], NetworkRules::default());
        let mut free = FreeIps::of(&config);
        let (first, second) = (&config.groups[0], &config.groups[1]);
        assert_eq!(free.take(first, "a", 3, 0), [(Some("s2".into()), 3)]);
        assert_eq!(free.take(second, "a", 3, 0), [(Some("s1".into()), 2), (Some("s2".into()), 1)]);
        assert_eq!(free.room(first, "a", 0), Some(7), "groups share their subnets");
        assert_eq!((free.left_in(first, "a"), free.left_in(first, "b")), (Some(7), Some(90)));
        assert_eq!(free.take(first, "a", 99, 0).iter().map(|(_, count)| count).sum::<u32>(), 7);
        assert_eq!(free.take(first, "a", 1, 0), []);
        assert_eq!(free.take(&NodeGroup::default(), "a", 7, 0), [(None, 7)]);
    }
}
