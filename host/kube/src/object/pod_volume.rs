//! Volumes of pods.

use plimsoll_model::{Pools, Text};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::field::{Name, Str, nullable};

/// One entry of a pod's `volumes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodVolume<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Str<'a>,
    #[serde(default)]
    host_path: Option<IgnoredAny>,
    #[serde(borrow, default)]
    empty_dir: Option<EmptyDir<'a>>,
    #[serde(borrow, default)]
    persistent_volume_claim: Option<ClaimSource<'a>>,
    #[serde(default)]
    ephemeral: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct EmptyDir<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    medium: Str<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSource<'a> {
    #[serde(borrow)]
    claim_name: Name<'a>,
}

impl PodVolume<'_> {
    /// It keeps data on the node.
    pub(super) fn local(&self) -> bool {
        self.host_path.is_some() || self.empty_dir.as_ref().is_some_and(|dir| *dir.medium != *"Memory")
    }

    /// A claim stands behind it.
    pub(super) fn claims(&self) -> bool {
        self.persistent_volume_claim.is_some() || self.ephemeral.is_some()
    }

    /// The name of the claim behind it. That of a generic ephemeral volume is made of the names of pod and volume
    /// (Kubernetes, "Ephemeral Volumes").
    pub(super) fn claim(&self, pod: &str, pools: &mut Pools) -> Option<Text> {
        match &self.persistent_volume_claim {
            Some(source) => Some(pools.text(&source.claim_name.0)),
            None => self.ephemeral.map(|_| pools.text(&format!("{pod}-{}", &*self.name))),
        }
    }
}
