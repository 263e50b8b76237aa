//! The few fields of an object that selectors look at, read without building the whole tree.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Which fields are kept: a tree of names. A name without children is kept with all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, Fields>);

/// The kept fields of an object; null if it cannot be read.
pub(crate) fn read(body: &[u8], fields: &Fields) -> Value {
    Keep(fields).deserialize(&mut serde_json::Deserializer::from_slice(body)).unwrap_or_default()
}

struct Keep<'a>(&'a Fields);

// === impl Fields ===

impl Fields {
    /// Name, namespace, labels and UID, and these dotted paths.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut fields = Self::default();
        for path in ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.uid"].into_iter().chain(paths)
        {
            let mut at = &mut fields;
            for name in path.split('.').filter(|name| !name.is_empty()) {
                at = at.0.entry(name.to_owned()).or_default();
            }
        }
        fields
    }
}

// === impl Keep ===

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.0.0.is_empty() {
            return serde::Deserialize::deserialize(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match self.0.0.get(name.as_ref()) {
                Some(below) => {
                    let value = map.next_value_seed(Keep(below))?;
                    kept.insert(name.into_owned(), value);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(kept))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_wanted_fields_are_kept() {
        let object = json!({"metadata": {"name": "a", "uid": "u", "labels": {"app": "x"}, "generation": 1},
            "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}, "status": 5});
        let fields = Fields::new(["spec.nodeName", "status.phase"]);
        let expected = json!({"metadata": {"name": "a", "uid": "u", "labels": {"app": "x"}}, "spec": {"nodeName": "n1"},
            "status": 5});
        assert_eq!(read(object.to_string().as_bytes(), &fields), expected);
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        assert_eq!(read(b"{\"metadata\":", &Fields::new([])), Value::Null);
    }
}
