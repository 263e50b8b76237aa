//! Node groups and what they are made of.

use std::collections::HashMap;

use crate::{BlockDevice, InstanceType, LabelSet, Millis, Node, Price, Resources, Taint, Text, Timestamp};

/// A set of equal nodes that can grow and shrink.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// Its name.
    pub name: Text,
    /// Nodes that always stay.
    pub min: u32,
    /// Nodes that are never exceeded.
    pub max: u32,
    /// Zones its nodes may be in; never empty in a checked configuration.
    pub zones: Vec<Text>,
    /// The region of all of them.
    pub region: Option<Text>,
    /// How its nodes may be bought, each once; never empty.
    pub lifecycles: Vec<Lifecycle>,
    /// What a spot node costs, in percent of the on-demand price, where the instance type states no spot price.
    pub spot_price_percent: Option<u32>,
    /// What its nodes run.
    pub os: Os,
    /// Labels its nodes get.
    pub labels: LabelSet,
    /// Taints its nodes get.
    pub taints: Vec<Taint>,
    /// Taints its nodes get and lose soon.
    pub startup: StartupTaints,
    /// What its nodes may be; never empty in a checked configuration.
    pub instance_types: Vec<InstanceType>,
    /// Pods per node are limited on purpose: a live node that takes more teaches nothing about them.
    pub pods_limited: bool,
    /// What the system keeps for itself on each node.
    pub system_reserved: Resources,
    /// Where its nodes get their addresses; empty if that is not known.
    pub subnets: Vec<Subnet>,
    /// The root volume of its nodes.
    pub block_device: BlockDevice,
    /// Only empty nodes are removed.
    pub restrict_scale_down: bool,
    /// What holds for its nodes instead of what holds for the cluster when they are removed.
    pub scale_down: GroupScaleDown,
}

/// What holds for the removal of a group's nodes; what is not set is as for the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupScaleDown {
    /// Its nodes go without waiting, once they can.
    pub accelerated: Option<bool>,
    /// How many of its nodes may drain at once, in percent.
    pub max_percentage: Option<u32>,
    /// In how many evaluations in a row a node must be removable.
    pub evaluation_periods: Option<u32>,
    /// When a node is removed whatever is still on it, after its drain begins.
    pub timeout: Option<Millis>,
    /// When a pod is deleted whose eviction keeps being refused.
    pub force_delete: Option<ForceDelete>,
}

/// When a pod is deleted whose eviction keeps being refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForceDelete {
    /// So long after the first refusal.
    After(Millis),
    /// It goes with its node.
    Never,
}

/// Taints that a node has until it has fully started (Spot Ocean, startup taints).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupTaints {
    /// The taints. An empty value stands for every value.
    pub taints: Vec<Taint>,
    /// How long after its creation a node may still have them and count as coming capacity.
    pub grace: Millis,
}

/// A range of addresses in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The provider's name for it. Groups that name the same one share its addresses.
    pub id: Text,
    /// Its zone.
    pub zone: Text,
    /// Addresses that are free.
    pub free_ips: u32,
}

/// The group of each node, without asking every group about every node.
#[derive(Clone, Debug)]
pub struct GroupIndex<'a> {
    groups: &'a [NodeGroup],
    by_name: HashMap<&'a str, usize>,
}

/// How a machine is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lifecycle {
    /// By the hour, not taken back.
    OnDemand,
    /// Cheaper, taken back at short notice.
    Spot,
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

// === impl Os ===

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

// === impl StartupTaints ===

impl Default for StartupTaints {
    /// None, and 300 s (Spot Ocean, "Labels and taints").
    fn default() -> Self {
        Self { taints: Vec::new(), grace: Millis::from_secs(300) }
    }
}

impl StartupTaints {
    /// The taints of a node that count now: all of them once its grace has ended or if its age is not known.
    pub fn counting(&self, node: &Node, now: Timestamp) -> Vec<Taint> {
        let young = node.created.is_some_and(|created| now.since(created) < self.grace);
        let awaited = |taint: &Taint| young && self.taints.iter().any(|startup| stands_for(startup, taint));
        node.taints.iter().filter(|taint| !awaited(taint)).cloned().collect()
    }
}

/// Same key and effect, and the same value where the configuration gives one.
fn stands_for(startup: &Taint, taint: &Taint) -> bool {
    startup.key == taint.key
        && startup.effect == taint.effect
        && (startup.value.is_empty() || startup.value == taint.value)
}

// === impl NodeGroup ===

impl Default for NodeGroup {
    /// On-demand Linux nodes of no zone and no type, and none of them.
    fn default() -> Self {
        Self {
            name: Text::default(),
            min: 0,
            max: 0,
            zones: Vec::new(),
            region: None,
            lifecycles: vec![Lifecycle::OnDemand],
            spot_price_percent: None,
            os: Os::Linux,
            labels: LabelSet::default(),
            taints: Vec::new(),
            startup: StartupTaints::default(),
            instance_types: Vec::new(),
            pods_limited: false,
            system_reserved: Resources::default(),
            subnets: Vec::new(),
            block_device: BlockDevice::default(),
            restrict_scale_down: false,
            scale_down: GroupScaleDown::default(),
        }
    }
}

impl NodeGroup {
    /// True if the node belongs to this group: its group label says so or, where it has none, its lifecycle,
    /// labels, zone and instance type are this group's.
    pub fn owns(&self, node: &Node) -> bool {
        match node.group_label() {
            Some(name) => *name == self.name,
            None => self.resembles(node),
        }
    }

    /// A node without a group label that could be of this group.
    fn resembles(&self, node: &Node) -> bool {
        node.labels.contains_all(&self.labels)
            && node.lifecycle().is_none_or(|lifecycle| self.lifecycles.contains(&lifecycle))
            && node.zone().is_some_and(|zone| self.zones.contains(zone))
            && node.instance_type().is_some_and(|name| self.instance_type(name).is_some())
    }

    /// The instance type of this name.
    pub fn instance_type(&self, name: &str) -> Option<&InstanceType> {
        self.instance_types.iter().find(|known| known.name == *name)
    }

    /// How all its nodes are bought, if there is one way only.
    pub fn only_lifecycle(&self) -> Option<Lifecycle> {
        match self.lifecycles.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// What an hour of a node costs. Spot: the type's spot price, else the group's percentage of the on-demand
    /// price, else the on-demand price, which it does not exceed.
    pub fn price(&self, instance_type: &InstanceType, lifecycle: Lifecycle) -> Option<Price> {
        let part = |price: Price| match self.spot_price_percent {
            Some(percent) => Price(price.0.saturating_mul(percent.into()) / 100),
            None => price,
        };
        match lifecycle {
            Lifecycle::OnDemand => instance_type.price,
            Lifecycle::Spot => instance_type.spot_price.or_else(|| instance_type.price.map(part)),
        }
    }

    /// Free addresses in a zone; `None` if nothing is known of subnets.
    pub fn free_ips(&self, zone: &str) -> Option<u32> {
        let here = self.subnets.iter().filter(|subnet| subnet.zone == *zone);
        (!self.subnets.is_empty()).then(|| here.fold(0u32, |sum, subnet| sum.saturating_add(subnet.free_ips)))
    }
}

// === impl GroupIndex ===

impl<'a> GroupIndex<'a> {
    /// The index of these groups.
    pub fn of(groups: &'a [NodeGroup]) -> Self {
        let by_name = groups.iter().enumerate().rev().map(|(at, group)| (group.name.as_str(), at)).collect();
        Self { groups, by_name }
    }

    /// The place and the group of a node: the first one that [owns](NodeGroup::owns) it.
    pub fn group_of(&self, node: &Node) -> Option<(usize, &'a NodeGroup)> {
        match node.group_label() {
            Some(name) => self.by_name.get(name.as_str()).and_then(|at| Some((*at, self.groups.get(*at)?))),
            None => self.groups.iter().enumerate().find(|(_, group)| group.resembles(node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{TaintEffect, Uid, well_known};

    fn node(labels: &[(&str, &str)]) -> Node {
        Node {
            name: "n1".into(),
            uid: Uid::parse("n1"),
            labels: Arc::new(labels.iter().copied().collect()),
            annotations: Arc::default(),
            taints: vec![],
            allocatable: Resources::default(),
            unschedulable: false,
            ready: true,
            created: Some(Timestamp(1_000_000)),
            deleting: false,
            launching: false,
            provider_id: None,
            ready_changed: None,
            conditions: Vec::new(),
            attached_volumes: 0,
            addresses: vec![],
        }
    }

    fn group(name: &str, lifecycles: &[Lifecycle]) -> NodeGroup {
        NodeGroup {
            name: name.into(),
            zones: vec!["a".into()],
            lifecycles: lifecycles.to_vec(),
            instance_types: vec![InstanceType { name: "m5.large".into(), ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn a_group_owns_nodes_of_each_of_its_lifecycles() {
        use Lifecycle::*;
        let groups = [group("od", &[OnDemand]), group("both", &[OnDemand, Spot])];
        let index = GroupIndex::of(&groups);
        let like = |more: &[(&'static str, &'static str)]| {
            let all = [&[(well_known::ZONE, "a"), (well_known::INSTANCE_TYPE, "m5.large")], more].concat();
            node(&all)
        };
        for (node, expected) in [
            (like(&[]), Some("od")),
            (like(&[(well_known::LIFECYCLE, "spot")]), Some("both")),
            (like(&[(well_known::LIFECYCLE, "od")]), Some("od")),
            (like(&[(well_known::LIFECYCLE, "spot"), (well_known::NODE_GROUP[1], "od")]), Some("od")),
            (like(&[(well_known::NODE_GROUP[0], "elsewhere")]), None),
            (node(&[(well_known::ZONE, "b"), (well_known::INSTANCE_TYPE, "m5.large")]), None),
        ] {
            let found = index.group_of(&node).map(|(at, group)| {
                assert_eq!(groups[at].name, group.name);
                group.name.as_str()
            });
            assert_eq!(found, expected, "{:?}", node.labels);
            assert_eq!(groups.iter().find(|group| group.owns(&node)).map(|group| group.name.as_str()), expected);
        }
    }

    #[test]
    fn startup_taints_count_once_the_grace_has_ended() {
        let taint =
            |key: &str, value: &str| Taint { key: key.into(), value: value.into(), effect: TaintEffect::NoSchedule };
        let startup =
            StartupTaints { taints: vec![taint("net", ""), taint("disk", "slow")], grace: Millis::from_secs(300) };
        let mut node = node(&[]);
        node.taints = vec![taint("net", "true"), taint("disk", "slow"), taint("disk", "gone"), taint("team", "x")];
        let keys = |node: &Node, millis: u64| -> Vec<String> {
            startup.counting(node, Timestamp(millis)).iter().map(ToString::to_string).collect()
        };
        let lasting = ["disk=gone:NoSchedule", "team=x:NoSchedule"];
        assert_eq!(keys(&node, 1_000_000), lasting);
        assert_eq!(keys(&node, 1_299_999), lasting);
        assert_eq!(keys(&node, 1_300_000).len(), 4);
        node.created = None;
        assert_eq!(keys(&node, 1_000_000).len(), 4, "of unknown age");
        node.created = Some(Timestamp(0));
        node.taints[0].effect = TaintEffect::NoExecute;
        assert_eq!(keys(&node, 0).len(), 3, "another effect is another taint");
    }

    #[test]
    fn spot_prices_come_from_the_nearest_source() {
        let mut instance_type = InstanceType { price: Some(Price(1000)), ..Default::default() };
        let mut group = group("g", &[Lifecycle::Spot]);
        let price = |group: &NodeGroup, instance_type: &InstanceType, lifecycle| {
            group.price(instance_type, lifecycle).map(|price| price.0)
        };
        assert_eq!(price(&group, &instance_type, Lifecycle::Spot), Some(1000));
        group.spot_price_percent = Some(35);
        assert_eq!(price(&group, &instance_type, Lifecycle::Spot), Some(350));
        instance_type.spot_price = Some(Price(300));
        assert_eq!(price(&group, &instance_type, Lifecycle::Spot), Some(300));
        assert_eq!(price(&group, &instance_type, Lifecycle::OnDemand), Some(1000));
        instance_type.price = None;
        assert_eq!(price(&group, &instance_type, Lifecycle::OnDemand), None);
    }

    #[test]
    fn addresses_count_by_zone() {
        let subnet = |id: &str, zone: &str, free_ips| Subnet { id: id.into(), zone: zone.into(), free_ips };
        let mut group = group("g", &[Lifecycle::Spot]);
        assert_eq!(group.free_ips("a"), None);
        group.subnets = vec![subnet("s1", "a", 5), subnet("s2", "a", 7), subnet("s3", "b", 1)];
        assert_eq!((group.free_ips("a"), group.free_ips("b"), group.free_ips("c")), (Some(12), Some(1), Some(0)));
    }
}
