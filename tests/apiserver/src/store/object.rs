//! One object, as the bytes that go over the wire.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

use super::facets::{self, Fields};

/// Where an object is in its collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Empty for cluster-scoped objects.
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// An object at one revision.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    pub(crate) revision: u64,
    body: Bytes,
    /// Where the fields after `kind` and `apiVersion` begin in the body.
    head: usize,
    /// The few fields that selectors look at, read when the first selector asks.
    facets: OnceLock<Value>,
}

// === impl Key ===

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

// === impl Stored ===

impl Stored {
    /// Keeps a tree, whose `metadata.resourceVersion` has been set to `revision`.
    pub(crate) fn encode(key: Key, revision: u64, tree: &Value) -> Self {
        let (body, head) = encode(tree);
        Self { key, revision, body, head, facets: OnceLock::new() }
    }

    /// Keeps bytes that were made by [`encode`].
    pub(crate) fn of_bytes(key: Key, revision: u64, body: Bytes, head: usize) -> Self {
        Self { key, revision, body, head, facets: OnceLock::new() }
    }

    /// The object with `kind` and `apiVersion`.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The object without `kind`, `apiVersion` and its opening brace: what follows the brace of a list's item.
    pub(crate) fn rest(&self) -> &[u8] {
        self.body.get(self.head..).unwrap_or_default()
    }

    /// The object as a tree.
    pub(crate) fn tree(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The fields that selectors look at, as a small tree.
    pub(crate) fn facets(&self, fields: &Fields) -> &Value {
        self.facets.get_or_init(|| facets::read(&self.body, fields))
    }
}

/// Writes a tree with `kind` and `apiVersion` first. Gives the bytes and where the other fields begin.
pub(crate) fn encode(tree: &Value) -> (Bytes, usize) {
    let mut body = Vec::with_capacity(1024);
    body.push(b'{');
    let fields = tree.as_object();
    let write = |body: &mut Vec<u8>, name: &str, value: &Value| {
        if body.len() > 1 {
            body.push(b',');
        }
        // Writing to memory fails for no tree: its keys are strings.
        let _ = serde_json::to_writer(&mut *body, name);
        body.push(b':');
        let _ = serde_json::to_writer(&mut *body, value);
    };
    for name in ["kind", "apiVersion"] {
        if let Some(value) = fields.and_then(|fields| fields.get(name)) {
            write(&mut body, name, value);
        }
    }
    let mut head = body.len();
    for (name, value) in fields.into_iter().flatten() {
        if name != "kind" && name != "apiVersion" {
            write(&mut body, name, value);
        }
    }
    if head > 1 && body.len() > head {
        // The comma between.
        head += 1;
    }
    body.push(b'}');
    (Bytes::from(body), head)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kind_and_version_come_first_and_can_be_left_out() {
        let tree = json!({"action": "x", "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}});
        let stored = Stored::encode(Key::new("", "a"), 7, &tree);
        assert!(stored.body().starts_with(br#"{"kind":"Event","apiVersion":"v1","#));
        assert_eq!(stored.tree(), tree);
        let rest = [b"{", stored.rest()].concat();
        let rest: Value = serde_json::from_slice(&rest).unwrap();
        assert_eq!(rest, json!({"action": "x", "metadata": {"name": "a"}}));
    }

    #[test]
    fn an_object_of_nothing_but_its_kind_is_still_an_object() {
        let stored = Stored::encode(Key::new("", "a"), 7, &json!({"kind": "Event", "apiVersion": "v1"}));
        assert_eq!([b"{", stored.rest()].concat(), b"{}");
    }
}
