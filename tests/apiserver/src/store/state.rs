//! All objects and the one revision counter. Whoever holds it writes; nothing else does.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::collection::{Change, Collection, Event};
use super::facets::Fields;
use super::object::{Key, Stored};
use crate::resource::{Registry, ResourceKind};
use crate::selector;

/// The objects of the cluster.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) collections: Vec<Collection>,
    revision: u64,
    window: usize,
    /// What names and UIDs are drawn from.
    drawn: u64,
}

// === impl State ===

impl State {
    /// No kinds and no objects.
    pub(crate) fn new(window: usize) -> Self {
        Self { registry: Registry::default(), collections: Vec::new(), revision: 1, window, drawn: 0 }
    }

    /// The revision of the last write.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Serves a kind from now on.
    pub(crate) fn register(&mut self, kind: ResourceKind) -> usize {
        let builtin = selector::field_paths(&kind.group, &kind.plural).iter().copied();
        let custom = kind.selectable.iter().map(|path| path.trim_start_matches('.'));
        let fields = Fields::new(builtin.chain(custom));
        let index = self.registry.add(kind);
        match self.collections.get_mut(index) {
            Some(collection) => collection.fields = Arc::new(fields),
            None => self.collections.push(Collection::new(self.window, fields, self.revision)),
        }
        index
    }

    /// The object of a collection.
    pub(crate) fn find(&self, collection: usize, key: &Key) -> Option<&Arc<Stored>> {
        self.collections.get(collection)?.objects.get(key)
    }

    /// Writes an object: stamps it with the next revision and keeps it. Gives it as it is kept.
    pub(crate) fn put(&mut self, collection: usize, key: Key, tree: &mut Value) -> Arc<Stored> {
        let revision = self.next_revision();
        stamp(tree, revision);
        let object = Arc::new(Stored::encode(key, revision, tree));
        self.keep(collection, object.clone());
        object
    }

    /// Keeps bytes that are stamped with [`State::next_revision`] already.
    pub(crate) fn keep(&mut self, collection: usize, object: Arc<Stored>) {
        if let Some(collection) = self.collections.get_mut(collection) {
            let before = collection.objects.get(&object.key).cloned();
            let change = if before.is_some() { Change::Modified } else { Change::Added };
            collection.record(Event { revision: object.revision, change, object, before });
        }
    }

    /// Takes an object away. `last` is the state it is seen in for the last time; none for the kept one.
    pub(crate) fn remove(&mut self, collection: usize, key: &Key, last: Option<Value>) -> Option<Arc<Stored>> {
        let before = self.find(collection, key)?.clone();
        let revision = self.next_revision();
        let mut tree = last.unwrap_or_else(|| before.tree());
        stamp(&mut tree, revision);
        let object = Arc::new(Stored::encode(key.clone(), revision, &tree));
        let event = Event { revision, change: Change::Deleted, object: object.clone(), before: Some(before) };
        self.collections.get_mut(collection)?.record(event);
        Some(object)
    }

    /// Counts one write.
    pub(crate) fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// A number that did not come before.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        // SplitMix64: spreads a counter over all numbers, the same at each run.
        let mut mixed = self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A new UID.
    pub(crate) fn new_uid(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }

    /// Five letters after a generated name. Vowels and look-alikes are left out, as Kubernetes does.
    pub(crate) fn new_suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut drawn = self.draw();
        let mut suffix = String::new();
        for _ in 0..5 {
            let index = usize::try_from(drawn % 27).unwrap_or_default();
            suffix.push(LETTERS.get(index).copied().unwrap_or(b'x').into());
            drawn /= 27;
        }
        suffix
    }
}

/// The metadata of a tree; an empty one is put in where there is none.
pub(crate) fn metadata(tree: &mut Value) -> &mut Map<String, Value> {
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    // Indexing a map by a name that is not there puts null there.
    let metadata = &mut tree["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    match metadata {
        Value::Object(metadata) => metadata,
        // It has just been made one.
        _ => unreachable!("metadata is a map"),
    }
}

/// A text of the metadata; empty if it is not there.
pub(crate) fn meta<'a>(tree: &'a Value, field: &str) -> &'a str {
    tree.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// Sets the resource version.
pub(crate) fn stamp(tree: &mut Value, revision: u64) {
    metadata(tree).insert("resourceVersion".to_owned(), revision.to_string().into());
}

/// How the API writes a moment: whole seconds, in UTC.
pub(crate) fn rfc3339(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_look_like_uids_and_do_not_repeat() {
        let mut state = State::new(10);
        let uids: std::collections::HashSet<String> = (0..1000).map(|_| state.new_uid()).collect();
        assert_eq!(uids.len(), 1000);
        assert!(uids.iter().all(|uid| uid.len() == 36 && uid.split('-').map(str::len).eq([8, 4, 4, 4, 12])));
    }
}
