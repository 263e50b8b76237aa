//! Rules of a pod about where other pods are, and what a pod would like.

use crate::{LabelSelector, NodeSelectorTerm, Text};

/// Required rules about where other pods are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct InterPodRules {
    /// Must be near such pods.
    pub affinity: Vec<PodAffinityTerm>,
    /// Must be away from such pods.
    pub anti_affinity: Vec<PodAffinityTerm>,
    /// Must be spread evenly (`whenUnsatisfiable: DoNotSchedule`).
    pub spread: Vec<SpreadConstraint>,
}

/// One term of pod affinity or anti-affinity.
///
/// `matchLabelKeys` and `mismatchLabelKeys` are part of the selector here, with the values that the pod has, as
/// the API server writes them (KEP-3633).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodAffinityTerm {
    /// Which pods; `None` matches none.
    pub selector: Option<LabelSelector>,
    /// In these namespaces; empty, with no `namespace_selector`, stands for the pod's own.
    pub namespaces: Vec<Text>,
    /// In namespaces with such labels.
    pub namespace_selector: Option<LabelSelector>,
    /// Within one value of this node label.
    pub topology_key: Text,
}

/// One topology spread constraint. `matchLabelKeys` are part of the selector (KEP-3243).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpreadConstraint {
    /// Which pods of the pod's namespace are counted; `None` matches none.
    pub selector: Option<LabelSelector>,
    /// Domains are the values of this node label.
    pub topology_key: Text,
    /// How uneven it may become; at least 1.
    pub max_skew: u32,
    /// With fewer domains than this, the smallest count is taken to be 0.
    pub min_domains: Option<u32>,
    /// Which nodes make a domain, by the pod's node selector and affinity; Kubernetes' default is `Honor`.
    pub node_affinity_policy: NodeInclusion,
    /// Which nodes make a domain, by their taints; Kubernetes' default is `Ignore`.
    pub node_taints_policy: NodeInclusion,
}

/// Whether nodes on which the pod cannot run count when skew is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeInclusion {
    /// Only nodes that the rule allows count.
    Honor,
    /// Every node counts.
    Ignore,
}

/// What a pod would like, each with how much. Nothing of it keeps a pod off a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Preferences {
    /// Preferred node affinity: weight from 1 to 100, and what is preferred.
    pub node_affinity: Vec<(u32, NodeSelectorTerm)>,
    /// Preferred pod affinity.
    pub affinity: Vec<(u32, PodAffinityTerm)>,
    /// Preferred pod anti-affinity.
    pub anti_affinity: Vec<(u32, PodAffinityTerm)>,
    /// Spread evenly if possible (`whenUnsatisfiable: ScheduleAnyway`).
    pub spread: Vec<SpreadConstraint>,
}

// === impl InterPodRules ===

impl InterPodRules {
    /// True if there are no rules.
    pub fn is_empty(&self) -> bool {
        self.affinity.is_empty() && self.anti_affinity.is_empty() && self.spread.is_empty()
    }
}

// === impl Preferences ===

impl Preferences {
    /// True if there are no wishes.
    pub fn is_empty(&self) -> bool {
        self.node_affinity.is_empty()
            && self.affinity.is_empty()
            && self.anti_affinity.is_empty()
            && self.spread.is_empty()
    }
}
