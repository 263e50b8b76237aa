//! Values that the API writes as one of a few names.

use plimsoll_model::{NodeInclusion, Operator, Protocol, TaintEffect};
use serde::de::{Deserialize, Deserializer, Error};

use super::field::Str;

/// A value that has a name in the API.
pub(super) trait ApiName: Sized {
    /// The names there are, for the error.
    const NAMES: &'static str;
    /// The value of a name.
    fn of(name: &str) -> Option<Self>;
}

/// A value by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<T>(pub T);

/// A value by its name; the empty text stands for none.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaybeNamed<T>(pub Option<T>);

/// How a toleration compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TolerationOperator {
    Equal,
    Exists,
}

/// What a topology spread constraint does where it cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenUnsatisfiable {
    DoNotSchedule,
    ScheduleAnyway,
}

// === impl Named ===

impl<'de, T: ApiName> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Str::deserialize(deserializer)?;
        T::of(&name).map(Self).ok_or_else(|| unknown::<T, D::Error>(&name))
    }
}

impl<'de, T: ApiName> Deserialize<'de> for MaybeNamed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Option::<Str<'de>>::deserialize(deserializer)?.unwrap_or_default();
        match T::of(&name) {
            None if !name.is_empty() => Err(unknown::<T, D::Error>(&name)),
            value => Ok(Self(value)),
        }
    }
}

impl<T> Default for MaybeNamed<T> {
    fn default() -> Self {
        Self(None)
    }
}

fn unknown<T: ApiName, E: Error>(name: &str) -> E {
    let shown: String = name.chars().take(40).collect();
    E::custom(format!("\"{shown}\" is not known here; write {}", T::NAMES))
}

// === impl ApiName ===

impl ApiName for TaintEffect {
    const NAMES: &'static str = "NoSchedule, PreferNoSchedule or NoExecute";
    fn of(name: &str) -> Option<Self> {
        Self::parse(name)
    }
}

impl ApiName for Operator {
    const NAMES: &'static str = "In, NotIn, Exists, DoesNotExist, Gt or Lt";
    fn of(name: &str) -> Option<Self> {
        Self::parse(name)
    }
}

impl ApiName for Protocol {
    const NAMES: &'static str = "TCP, UDP or SCTP";
    fn of(name: &str) -> Option<Self> {
        match name {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl ApiName for TolerationOperator {
    const NAMES: &'static str = "Equal or Exists";
    fn of(name: &str) -> Option<Self> {
        match name {
            "Equal" => Some(Self::Equal),
            "Exists" => Some(Self::Exists),
            _ => None,
        }
    }
}

impl ApiName for WhenUnsatisfiable {
    const NAMES: &'static str = "DoNotSchedule or ScheduleAnyway";
    fn of(name: &str) -> Option<Self> {
        match name {
            "DoNotSchedule" => Some(Self::DoNotSchedule),
            "ScheduleAnyway" => Some(Self::ScheduleAnyway),
            _ => None,
        }
    }
}

impl ApiName for NodeInclusion {
    const NAMES: &'static str = "Honor or Ignore";
    fn of(name: &str) -> Option<Self> {
        match name {
            "Honor" => Some(Self::Honor),
            "Ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}
