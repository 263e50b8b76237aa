//! Taints and tolerations.

use plimsoll_model::{Pools, Taint, TaintEffect, Toleration};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::named::{MaybeNamed, Named, TolerationOperator};

/// One entry of a node's `spec.taints`.
#[derive(Debug, Deserialize)]
pub(super) struct TaintObject<'a> {
    #[serde(borrow)]
    key: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    value: Str<'a>,
    effect: Named<TaintEffect>,
}

/// One entry of a pod's `spec.tolerations`.
#[derive(Debug, Deserialize)]
pub(super) struct TolerationObject<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    key: Str<'a>,
    #[serde(default)]
    operator: MaybeNamed<TolerationOperator>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    value: Str<'a>,
    #[serde(default)]
    effect: MaybeNamed<TaintEffect>,
}

impl TaintObject<'_> {
    pub(super) fn to_taint(&self, pools: &mut Pools) -> Taint {
        Taint { key: pools.text(&self.key), value: pools.text(&self.value), effect: self.effect.0 }
    }
}

impl TolerationObject<'_> {
    pub(super) fn to_toleration(&self, pools: &mut Pools) -> Toleration {
        let exists = self.operator.0 == Some(TolerationOperator::Exists);
        Toleration {
            key: self.key.some(pools),
            value: (!exists).then(|| pools.text(&self.value)),
            effect: self.effect.0,
        }
    }
}
