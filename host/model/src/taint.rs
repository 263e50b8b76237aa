//! Taints of nodes and tolerations of pods.

use crate::Text;

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaintEffect {
    /// Nothing new is placed.
    NoSchedule,
    /// Placed only if there is no other room.
    PreferNoSchedule,
    /// Nothing new is placed, and what runs is evicted.
    NoExecute,
}

/// A mark on a node that keeps pods away.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// The key.
    pub key: Text,
    /// The value; may be empty.
    pub value: Text,
    /// What it does.
    pub effect: TaintEffect,
}

/// A pod's permission to ignore taints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// The key; `None` stands for every key and needs `value: None`.
    pub key: Option<Text>,
    /// The value (operator `Equal`); `None` stands for every value (operator `Exists`).
    pub value: Option<Text>,
    /// The effect; `None` stands for every effect.
    pub effect: Option<TaintEffect>,
}

impl TaintEffect {
    /// Reads the effect's name in the API.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }

    /// The effect's name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

impl Taint {
    /// True if the scheduler keeps pods without a toleration off the node.
    pub fn repels(&self) -> bool {
        self.effect != TaintEffect::PreferNoSchedule
    }
}

impl Toleration {
    /// True if this toleration covers the taint (core/v1 `ToleratesTaint`).
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}

impl std::fmt::Display for Taint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}:{}", self.key, self.effect.name())
        } else {
            write!(f, "{}={}:{}", self.key, self.value, self.effect.name())
        }
    }
}
