//! Values of fields.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use plimsoll_model::{LabelSet, Pools, Text, Timestamp, well_known};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Annotations with longer values are no input to any decision.
const LONGEST_ANNOTATION: usize = 1024;
/// But for what is written there by ourselves: a timetable of as many pods as a node can have.
const LONGEST_DRAIN: usize = 64 << 10;

/// Text, borrowed from the dump where it can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Str<'a>(Cow<'a, str>);

/// Text that may not be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name<'a>(pub Str<'a>);

/// Labels, or other pairs of text.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a>(Vec<(Str<'a>, Str<'a>)>);

/// Annotations, without those that no decision uses.
#[derive(Debug, Default)]
pub(super) struct Annotations<'a>(Pairs<'a>);

/// A moment as the API writes it (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub Timestamp);

/// `null` reads like an absent field, as in the API server.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

// === impl Str ===

impl Deref for Str<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(StrVisitor)
    }
}

impl Str<'_> {
    /// The pooled copy; `None` if empty.
    pub(super) fn some(&self, pools: &mut Pools) -> Option<Text> {
        (!self.is_empty()).then(|| pools.text(self))
    }
}

// === impl Name ===

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Str::deserialize(deserializer)?;
        if text.is_empty() { Err(D::Error::custom("the name is empty; every object has one")) } else { Ok(Self(text)) }
    }
}

// === impl Pairs ===

impl<'a> Pairs<'a> {
    fn read<A: MapAccess<'a>>(mut map: A, keep: impl Fn(&str, &str) -> bool) -> Result<Self, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key::<Str<'a>>()? {
            // An empty value may be written as null in YAML.
            let value = map.next_value::<Option<Str<'a>>>()?.unwrap_or_default();
            if keep(&key, &value) {
                pairs.push((key, value));
            }
        }
        Ok(Self(pairs))
    }

    /// As a set of the model, with pooled text.
    pub(super) fn to_set(&self, pools: &mut Pools) -> LabelSet {
        self.0.iter().map(|(key, value)| (pools.text(key), pools.text(value))).collect()
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Str<'a>> {
        self.0.iter().find(|(known, _)| **known == *key).map(|(_, value)| value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of text to text")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Pairs<'de>, A::Error> {
                Pairs::read(map, |_, _| true)
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

// === impl Annotations ===

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;
        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = Annotations<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of text to text")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Annotations<'de>, A::Error> {
                let longest = |key: &str| if key == well_known::DRAIN { LONGEST_DRAIN } else { LONGEST_ANNOTATION };
                let keep = |key: &str, value: &str| value.len() <= longest(key) && key != well_known::LAST_APPLIED;
                Pairs::read(map, keep).map(Annotations)
            }
        }
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

impl<'a> Deref for Annotations<'a> {
    type Target = Pairs<'a>;
    fn deref(&self) -> &Pairs<'a> {
        &self.0
    }
}

// === impl Moment ===

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Str::deserialize(deserializer)?;
        text.parse::<jiff::Timestamp>()
            .ok()
            .and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
            .map(|millis| Self(Timestamp(millis)))
            .ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                D::Error::custom(format!("\"{shown}\" is no time; write it like 2026-11-20T10:00:00Z"))
            })
    }
}
