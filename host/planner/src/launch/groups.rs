//! The configured groups, and what the providers say of them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use plimsoll_model::{
    Arch, GroupIndex, InstanceType, LabelSet, Lifecycle, Millis, NodeGroup, Os, Resources, Snapshot, Taint, Text,
    Timestamp, well_known,
};

use crate::scale_up::LaunchBlock;

/// A group that its provider does not know is left alone for so long at a time.
const UNKNOWN_PAUSE: Millis = Millis(60_000);
/// Pods on a node of which that is not said (kubelet, `maxPods`).
const USUAL_PODS: u64 = 110;
/// Taints that every node has while it starts, and loses by itself (Kubernetes, "Taints and Tolerations").
const PASSING_TAINTS: [&str; 3] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.cloudprovider.kubernetes.io/uninitialized",
];

/// A node group as its provider sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupFacts {
    /// The `name` of the group in the configuration.
    pub id: Text,
    /// Its smallest size.
    pub min: u32,
    /// Its largest size.
    pub max: u32,
    /// The size that it is to have.
    pub target: u32,
    /// What its nodes are, where the provider says so.
    pub template: Option<TemplateFacts>,
}

/// What the nodes of a group are, in the provider's words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateFacts {
    /// Labels.
    pub labels: LabelSet,
    /// Taints.
    pub taints: Vec<Taint>,
    /// What the machine has.
    pub capacity: Resources,
    /// What pods may request in all.
    pub allocatable: Resources,
}

/// What may be launched once the providers have been asked.
#[derive(Clone, Debug, Default)]
pub struct MergedGroups {
    /// The groups: those of the configuration in their order, then those that only a provider knows.
    pub groups: Vec<NodeGroup>,
    /// Groups of which nothing can be launched.
    pub blocks: Vec<LaunchBlock>,
    /// What does not go together.
    pub warnings: Vec<GroupWarning>,
}

/// Something about a group that the configuration and the provider do not agree on. The text is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupWarning {
    /// It is configured, and no provider knows it.
    NoSuchGroup(Text),
    /// Two groups of the providers have this id; the first one counts.
    Twice(Text),
    /// A provider has it, the configuration does not, and what its nodes are is not known well enough to plan with.
    NoTemplate(Text),
    /// The provider allows fewer nodes than the configuration.
    SmallerMax {
        /// The group.
        group: Text,
        /// What is configured.
        configured: u32,
        /// What the provider allows.
        allowed: u32,
    },
    /// The provider keeps more nodes than the configuration.
    LargerMin {
        /// The group.
        group: Text,
        /// What is configured.
        configured: u32,
        /// What the provider keeps.
        kept: u32,
    },
    /// The smallest size would be above the largest.
    MinAboveMax {
        /// The group.
        group: Text,
        /// The smallest size.
        min: u32,
        /// The largest, which counts.
        max: u32,
    },
    /// The provider is to have more nodes than are there or were launched from here.
    Foreign {
        /// The group.
        group: Text,
        /// How many more.
        nodes: u32,
    },
}

/// The configured groups within the bounds of the providers' ones, and the groups that only a provider knows.
///
/// Of two bounds the tighter one wins. Nodes that a provider is to have and that are neither there nor launched from
/// here count against the largest size: somebody else has launched them. `snapshot` has the rows of launched nodes.
pub fn merge_provider_groups(
    config: &[NodeGroup],
    facts: &[GroupFacts],
    snapshot: &Snapshot,
    now: Timestamp,
) -> MergedGroups {
    let mut merged = MergedGroups { groups: config.to_vec(), ..MergedGroups::default() };
    let mut by_id: HashMap<&Text, &GroupFacts> = HashMap::new();
    let mut in_order: Vec<&GroupFacts> = Vec::new();
    for group in facts {
        if by_id.contains_key(&group.id) {
            merged.warnings.push(GroupWarning::Twice(group.id.clone()));
            continue;
        }
        by_id.insert(&group.id, group);
        in_order.push(group);
    }
    for group in &mut merged.groups {
        match by_id.get(&group.name) {
            Some(known) => bound(group, known, &mut merged.warnings),
            None => {
                merged.warnings.push(GroupWarning::NoSuchGroup(group.name.clone()));
                merged.blocks.push(LaunchBlock {
                    group: group.name.clone(),
                    instance_type: None,
                    zone: None,
                    lifecycle: None,
                    until: Timestamp(now.0.saturating_add(UNKNOWN_PAUSE.0)),
                    why: format!("no provider knows node group {}", group.name),
                });
            }
        }
    }
    let configured: HashSet<&Text> = config.iter().map(|group| &group.name).collect();
    for known in in_order.iter().filter(|known| !configured.contains(&known.id)) {
        match known.template.as_ref().and_then(|template| from_template(known, template)) {
            Some(mut group) => {
                if group.min > group.max {
                    let (name, min, max) = (group.name.clone(), group.min, group.max);
                    merged.warnings.push(GroupWarning::MinAboveMax { group: name, min, max });
                    group.min = max;
                }
                merged.groups.push(group);
            }
            None => merged.warnings.push(GroupWarning::NoTemplate(known.id.clone())),
        }
    }
    let mut sizes = vec![0u32; merged.groups.len()];
    let index = GroupIndex::of(&merged.groups);
    for (_, node) in snapshot.nodes() {
        if let Some((at, _)) = index.group_of(node) {
            sizes[at] = sizes[at].saturating_add(1);
        }
    }
    for (group, size) in merged.groups.iter_mut().zip(sizes) {
        let foreign = by_id.get(&group.name).map_or(0, |known| known.target.saturating_sub(size));
        if foreign > 0 {
            group.max = group.max.saturating_sub(foreign);
            merged.warnings.push(GroupWarning::Foreign { group: group.name.clone(), nodes: foreign });
        }
    }
    merged
}

/// Keeps a configured group within the provider's bounds.
fn bound(group: &mut NodeGroup, known: &GroupFacts, warnings: &mut Vec<GroupWarning>) {
    let name = || group.name.clone();
    if known.max < group.max {
        warnings.push(GroupWarning::SmallerMax { group: name(), configured: group.max, allowed: known.max });
        group.max = known.max;
    }
    if known.min > group.min {
        let (configured, kept) = (group.min, known.min);
        warnings.push(GroupWarning::LargerMin { group: group.name.clone(), configured, kept });
        group.min = known.min;
    }
    if group.min > group.max {
        let (min, max) = (group.min, group.max);
        warnings.push(GroupWarning::MinAboveMax { group: group.name.clone(), min, max });
        group.min = max;
    }
}

/// A group of one instance type, whose nodes are all as the template; `None` if that takes no pod.
fn from_template(known: &GroupFacts, template: &TemplateFacts) -> Option<NodeGroup> {
    let TemplateFacts { labels, taints, capacity, allocatable } = template;
    // Providers may know one of the two only.
    let capacity = if capacity.cpu.0 == 0 { allocatable } else { capacity };
    let allocatable = if allocatable.cpu.0 == 0 { capacity } else { allocatable };
    if allocatable.cpu.0 == 0 || allocatable.memory.0 == 0 {
        return None;
    }
    let label = |keys: &[&str]| keys.iter().find_map(|key| labels.get(key));
    let gpu = allocatable.extended().iter().find(|(name, _)| name.ends_with("/gpu"));
    let others = allocatable.extended().iter().filter(|(name, _)| gpu.is_none_or(|(gpu, _)| gpu != name));
    let mut system_reserved = capacity.clone();
    system_reserved.subtract(allocatable, 1);
    let instance_type = InstanceType {
        name: label(&[well_known::INSTANCE_TYPE, well_known::INSTANCE_TYPE_BETA]).unwrap_or(&known.id).clone(),
        cpu: capacity.cpu,
        memory: capacity.memory,
        gpus: gpu.map_or(0, |(_, amount)| *amount),
        gpu_resource: gpu.map_or_else(|| "nvidia.com/gpu".into(), |(name, _)| name.clone()),
        max_pods: if allocatable.pods == 0 { USUAL_PODS } else { allocatable.pods },
        interfaces: None,
        extended: others.cloned().collect(),
        arch: label(&[well_known::ARCH, well_known::ARCH_BETA])
            .and_then(|value| Arch::parse(value))
            .unwrap_or_default(),
        price: None,
        spot_price: None,
    };
    let lifecycle = [well_known::LIFECYCLE, well_known::LIFECYCLE_KARPENTER, well_known::LIFECYCLE_EKS];
    let lifecycle = lifecycle.iter().find_map(|key| Lifecycle::parse(labels.get(key)?));
    Some(NodeGroup {
        name: known.id.clone(),
        min: known.min,
        max: known.max,
        zones: vec![label(&[well_known::ZONE, well_known::ZONE_BETA]).cloned().unwrap_or_default()],
        region: label(&[well_known::REGION, well_known::REGION_BETA]).cloned(),
        lifecycles: vec![lifecycle.unwrap_or(Lifecycle::OnDemand)],
        os: label(&[well_known::OS, well_known::OS_BETA]).and_then(|value| Os::parse(value)).unwrap_or_default(),
        labels: labels
            .iter()
            .filter(|(key, _)| **key != well_known::HOSTNAME)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        taints: taints.iter().filter(|taint| !PASSING_TAINTS.contains(&taint.key.as_str())).cloned().collect(),
        instance_types: vec![instance_type],
        system_reserved: Resources { pods: 0, extended: Default::default(), ..system_reserved },
        ..NodeGroup::default()
    })
}

// === impl GroupWarning ===

impl GroupWarning {
    /// The group.
    pub fn group(&self) -> &Text {
        match self {
            Self::NoSuchGroup(group)
            | Self::Twice(group)
            | Self::NoTemplate(group)
            | Self::SmallerMax { group, .. }
            | Self::LargerMin { group, .. }
            | Self::MinAboveMax { group, .. }
            | Self::Foreign { group, .. } => group,
        }
    }

    /// A stable label for machines.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoSuchGroup(_) => "NoSuchGroup",
            Self::Twice(_) => "GroupTwice",
            Self::NoTemplate(_) => "NoTemplate",
            Self::SmallerMax { .. } => "SmallerMax",
            Self::LargerMin { .. } => "LargerMin",
            Self::MinAboveMax { .. } => "MinAboveMax",
            Self::Foreign { .. } => "ForeignNodes",
        }
    }
}

impl fmt::Display for GroupWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchGroup(group) => {
                write!(f, "node group {group} is configured and no provider knows it; nothing of it is launched")
            }
            Self::Twice(group) => {
                write!(f, "two node groups of the providers are called {group}; the first one counts")
            }
            Self::NoTemplate(group) => write!(
                f,
                "node group {group} is not configured, and its provider does not say what its nodes are; add it to nodeGroups"
            ),
            Self::SmallerMax { group, configured, allowed } => {
                write!(f, "node group {group}: max is {configured}, the provider allows {allowed}")
            }
            Self::LargerMin { group, configured, kept } => {
                write!(f, "node group {group}: min is {configured}, the provider keeps {kept}")
            }
            Self::MinAboveMax { group, min, max } => {
                write!(f, "node group {group}: the smallest size of {min} is above the largest; {max} counts for both")
            }
            Self::Foreign { group, nodes } => write!(
                f,
                "node group {group} is to have {nodes} more nodes than are there or were launched from here; they count against its max"
            ),
        }
    }
}
