//! Affinity to nodes and to other pods.

use plimsoll_model::{LabelSet, NodeSelector, NodeSelectorTerm, PodAffinityTerm, Pools};
use serde::de::{Deserialize, Deserializer, Error};

use super::field::{Str, nullable};
use super::selector::{LabelSelectorObject, NodeSelectorObject, NodeSelectorTermObject};

/// Weights that the API server accepts.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=100;

/// `spec.affinity`.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Affinity<'a> {
    #[serde(borrow, default, deserialize_with = "nullable", rename = "nodeAffinity")]
    pub node: NodeAffinity<'a>,
    #[serde(borrow, default, deserialize_with = "nullable", rename = "podAffinity")]
    pub pod: PodAffinity<'a>,
    #[serde(borrow, default, deserialize_with = "nullable", rename = "podAntiAffinity")]
    pub pod_anti: PodAffinity<'a>,
}

/// `nodeAffinity`.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct NodeAffinity<'a> {
    #[serde(borrow, default, rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelectorObject<'a>>,
    #[serde(
        borrow,
        default,
        deserialize_with = "nullable",
        rename = "preferredDuringSchedulingIgnoredDuringExecution"
    )]
    preferred: Vec<PreferredNodes<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct PreferredNodes<'a> {
    weight: Weight,
    #[serde(borrow)]
    preference: NodeSelectorTermObject<'a>,
}

/// `podAffinity` or `podAntiAffinity`.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct PodAffinity<'a> {
    #[serde(borrow, default, deserialize_with = "nullable", rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Vec<Term<'a>>,
    #[serde(
        borrow,
        default,
        deserialize_with = "nullable",
        rename = "preferredDuringSchedulingIgnoredDuringExecution"
    )]
    preferred: Vec<PreferredPods<'a>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreferredPods<'a> {
    weight: Weight,
    #[serde(borrow)]
    pod_affinity_term: Term<'a>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term<'a> {
    #[serde(borrow, default)]
    label_selector: Option<LabelSelectorObject<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    match_label_keys: Vec<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    mismatch_label_keys: Vec<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    namespaces: Vec<Str<'a>>,
    #[serde(borrow, default)]
    namespace_selector: Option<LabelSelectorObject<'a>>,
    #[serde(borrow)]
    topology_key: Str<'a>,
}

/// How much a wish counts.
#[derive(Clone, Copy, Debug)]
struct Weight(u32);

// === impl NodeAffinity ===

impl NodeAffinity<'_> {
    pub(super) fn required(&self, pools: &mut Pools) -> Option<NodeSelector> {
        self.required.as_ref().map(|required| required.to_selector(pools))
    }

    pub(super) fn preferred(&self, pools: &mut Pools) -> Vec<(u32, NodeSelectorTerm)> {
        let terms = self.preferred.iter();
        terms.filter_map(|wish| Some((wish.weight.0, wish.preference.to_term(pools)?))).collect()
    }
}

// === impl PodAffinity ===

impl PodAffinity<'_> {
    /// The rules of a pod with these labels.
    pub(super) fn required(&self, labels: &LabelSet, pools: &mut Pools) -> Vec<PodAffinityTerm> {
        self.required.iter().map(|term| term.to_term(labels, pools)).collect()
    }

    /// The wishes of a pod with these labels.
    pub(super) fn preferred(&self, labels: &LabelSet, pools: &mut Pools) -> Vec<(u32, PodAffinityTerm)> {
        let wishes = self.preferred.iter();
        wishes.map(|wish| (wish.weight.0, wish.pod_affinity_term.to_term(labels, pools))).collect()
    }
}

impl Term<'_> {
    fn to_term(&self, labels: &LabelSet, pools: &mut Pools) -> PodAffinityTerm {
        let (like, unlike) = (&self.match_label_keys, &self.mismatch_label_keys);
        let selector = self.label_selector.as_ref();
        PodAffinityTerm {
            selector: selector.map(|selector| selector.to_selector_of(labels, like, unlike, pools)),
            namespaces: self.namespaces.iter().map(|name| pools.text(name)).collect(),
            namespace_selector: self.namespace_selector.as_ref().map(|selector| selector.to_selector(pools)),
            topology_key: pools.text(&self.topology_key),
        }
    }
}

// === impl Weight ===

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let weight = u32::deserialize(deserializer)?;
        if WEIGHTS.contains(&weight) {
            Ok(Self(weight))
        } else {
            Err(D::Error::custom(format!("{weight} is no weight; write 1 to 100")))
        }
    }
}
