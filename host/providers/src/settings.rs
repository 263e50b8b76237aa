//! What the settings of providers have in common.

use std::time::Duration;

use plimsoll_model::Millis;
use serde::{Deserialize, Deserializer, de};

/// A setting of a provider that cannot be used. The text names the key, below `provider`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SettingError {
    /// The key, for example `cacert`.
    pub key: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl SettingError {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

/// A duration such as `5s` or `10m`; a bare number is seconds.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(u64),
        Text(String),
    }
    let written = Written::deserialize(deserializer)
        .map_err(|_| de::Error::custom("this is no duration; write it like 5s, 2m or 1h30m"))?;
    let millis = match &written {
        Written::Seconds(seconds) => Some(Millis::from_secs(*seconds)),
        Written::Text(text) => Millis::parse_duration(text),
    };
    match (millis, written) {
        (Some(millis), _) => Ok(Duration::from_millis(millis.0)),
        (None, Written::Text(text)) => {
            Err(de::Error::custom(format!("\"{text}\" is no duration; write it like 5s, 2m or 1h30m")))
        }
        (None, Written::Seconds(seconds)) => Err(de::Error::custom(format!("{seconds} s is no duration"))),
    }
}
