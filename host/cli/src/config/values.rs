//! Values that people write in more than one way.

use std::fmt;

use plimsoll_model::{Millis, Price};
use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::file::InstanceTypeFile;

/// A length of time: a number of seconds, or text such as `300s`, `5m`, `250ms`.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Millis);

/// A length of time, or `never`.
#[derive(Clone, Copy, Debug)]
pub struct SecondsOrNever(pub Option<Millis>);

/// Money per hour, in US dollars.
#[derive(Clone, Copy, Debug)]
pub struct Dollars(pub Price);

/// An instance type: a name from the catalogue, or all of it.
#[derive(Clone, Debug)]
pub enum InstanceTypeEntry {
    /// A name.
    Named(String),
    /// All of it.
    Inline(Box<InstanceTypeFile>),
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Seconds;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, or a duration like 300s or 5m")
            }
            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(Millis::from_secs(seconds)))
            }
            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Seconds, E> {
                u64::try_from(seconds)
                    .map_err(|_| E::custom("a duration cannot be negative"))
                    .and_then(|s| self.visit_u64(s))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Seconds, E> {
                Millis::parse_duration(text)
                    .map(Seconds)
                    .ok_or_else(|| E::custom(format!("\"{text}\" is no duration; write seconds, or like 300s or 5m")))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for SecondsOrNever {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = SecondsOrNever;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, a duration like 300s or 5m, or never")
            }
            fn visit_u64<E: Error>(self, seconds: u64) -> Result<SecondsOrNever, E> {
                Ok(SecondsOrNever(Some(Millis::from_secs(seconds))))
            }
            fn visit_i64<E: Error>(self, seconds: i64) -> Result<SecondsOrNever, E> {
                u64::try_from(seconds)
                    .map_err(|_| E::custom("a duration cannot be negative"))
                    .and_then(|s| self.visit_u64(s))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<SecondsOrNever, E> {
                if text == "never" {
                    return Ok(SecondsOrNever(None));
                }
                let problem =
                    || E::custom(format!("\"{text}\" is no duration; write seconds, like 300s or 5m, or never"));
                Millis::parse_duration(text).map(|length| SecondsOrNever(Some(length))).ok_or_else(problem)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        dollars_to_price(dollars)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{dollars} is no price in US dollars")))
    }
}

/// Rounds a price to millionths of a dollar; `None` if it is negative or absurd.
pub fn dollars_to_price(dollars: f64) -> Option<Price> {
    let sensible = (0.0..1e9).contains(&dollars);
    #[expect(clippy::cast_sign_loss, reason = "the range is checked")]
    sensible.then(|| Price((dollars * 1e6).round() as u64))
}

impl<'de> Deserialize<'de> for InstanceTypeEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = InstanceTypeEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an instance type in the catalogue, or {name, vcpu, memoryMib, …}")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(InstanceTypeEntry::Named(name.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                InstanceTypeFile::deserialize(MapAccessDeserializer::new(map))
                    .map(Box::new)
                    .map(InstanceTypeEntry::Inline)
            }
        }
        deserializer.deserialize_any(Read)
    }
}
