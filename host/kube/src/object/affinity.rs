//! Affinity and topology spread: the required rules only, as wishes block nothing.

use plimsoll_model::{ClusterBuilder, InterPodRules, NodeInclusion, NodeSelector, PodAffinityTerm, SpreadConstraint};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::selector::{LabelSelectorObject, NodeSelectorObject};

/// `spec.affinity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Affinity<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_affinity: NodeAffinity<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pod_affinity: PodAffinity<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pod_anti_affinity: PodAffinity<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct NodeAffinity<'a> {
    #[serde(borrow, default, rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelectorObject<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct PodAffinity<'a> {
    #[serde(borrow, default, deserialize_with = "nullable", rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Vec<Term<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term<'a> {
    #[serde(borrow, default)]
    label_selector: Option<LabelSelectorObject<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    namespaces: Vec<Str<'a>>,
    #[serde(borrow, default)]
    namespace_selector: Option<LabelSelectorObject<'a>>,
    #[serde(borrow)]
    topology_key: Str<'a>,
}

/// One entry of `topologySpreadConstraints`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spread<'a> {
    #[serde(borrow, default)]
    label_selector: Option<LabelSelectorObject<'a>>,
    #[serde(borrow)]
    topology_key: Str<'a>,
    max_skew: u32,
    #[serde(borrow)]
    when_unsatisfiable: Str<'a>,
}

// === impl Affinity ===

impl Affinity<'_> {
    pub(super) fn node_selector(&self, cluster: &mut ClusterBuilder) -> Option<NodeSelector> {
        self.node_affinity.required.as_ref().map(|required| required.to_selector(cluster))
    }

    /// The rules about other pods, together with the spread constraints.
    pub(super) fn inter_pod(&self, spread: &[Spread<'_>], cluster: &mut ClusterBuilder) -> InterPodRules {
        InterPodRules {
            affinity: self.pod_affinity.to_terms(cluster),
            anti_affinity: self.pod_anti_affinity.to_terms(cluster),
            spread: spread
                .iter()
                .filter(|constraint| *constraint.when_unsatisfiable == *"DoNotSchedule")
                .map(|constraint| SpreadConstraint {
                    selector: constraint.label_selector.as_ref().map(|selector| selector.to_selector(cluster)),
                    topology_key: cluster.text(&constraint.topology_key),
                    max_skew: constraint.max_skew,
                    min_domains: None,
                    node_affinity_policy: NodeInclusion::Honor,
                    node_taints_policy: NodeInclusion::Ignore,
                })
                .collect(),
        }
    }
}

impl PodAffinity<'_> {
    fn to_terms(&self, cluster: &mut ClusterBuilder) -> Vec<PodAffinityTerm> {
        self.required
            .iter()
            .map(|term| PodAffinityTerm {
                selector: term.label_selector.as_ref().map(|selector| selector.to_selector(cluster)),
                namespaces: term.namespaces.iter().map(|name| cluster.text(name)).collect(),
                namespace_selector: term.namespace_selector.as_ref().map(|selector| selector.to_selector(cluster)),
                topology_key: cluster.text(&term.topology_key),
            })
            .collect()
    }
}
