//! What an object says of itself at its top level.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Kind and version of an object, each if it is there and is text. Everything else is passed over, but must be JSON.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: Option<String>,
    pub api_version: Option<String>,
    /// It has `items`, as lists do.
    pub items: bool,
}

impl Head {
    /// The kind of the list's items: `Some("")` for a list of any kinds, `None` if this is no list.
    pub(super) fn item_kind(&self) -> Option<&str> {
        self.kind.as_deref().filter(|_| self.items).and_then(|kind| kind.strip_suffix("List"))
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadVisitor;
        impl<'de> Visitor<'de> for HeadVisitor {
            type Value = Head;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
                let mut head = Head::default();
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        Key::Kind => head.kind = text(map.next_value()?),
                        Key::ApiVersion => head.api_version = text(map.next_value()?),
                        Key::Items => {
                            head.items = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(head)
            }
        }
        deserializer.deserialize_map(HeadVisitor)
    }
}

#[derive(serde::Deserialize)]
enum Key {
    #[serde(rename = "kind")]
    Kind,
    #[serde(rename = "apiVersion")]
    ApiVersion,
    #[serde(rename = "items")]
    Items,
    #[serde(other)]
    Other,
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}
