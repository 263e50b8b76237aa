//! The objects of one kind, and what happened to them lately.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use tokio::sync::watch;

use super::facets::Fields;
use super::object::{Key, Stored};

/// The objects of one kind. A copy costs nothing and never changes.
pub(crate) type Objects = OrdMap<Key, Arc<Stored>>;

/// So many lists can be read page by page at the same time.
const PINNED: usize = 32;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) change: Change,
    /// The object as the change left it; for a deletion its last state, stamped with the revision of the deletion.
    pub(crate) object: Arc<Stored>,
    /// The object before.
    pub(crate) before: Option<Arc<Stored>>,
}

/// Why events cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgotten {
    /// They were dropped because there were too many.
    Overrun,
    /// History was compacted.
    Compacted,
}

/// One kind's objects with their history.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) objects: Objects,
    pub(crate) fields: Arc<Fields>,
    history: VecDeque<Event>,
    window: usize,
    /// Events up to here are forgotten: the last one dropped, and the last one compacted away.
    dropped: u64,
    compacted: u64,
    /// Past states that pages of lists are still read from, newest last.
    pinned: VecDeque<(u64, Objects)>,
    /// The revision of the last change.
    changed: watch::Sender<u64>,
}

// === impl Collection ===

impl Collection {
    /// An empty collection whose history starts at `revision`.
    pub(crate) fn new(window: usize, fields: Fields, revision: u64) -> Self {
        Self {
            objects: Objects::new(),
            fields: Arc::new(fields),
            history: VecDeque::new(),
            window,
            dropped: 0,
            compacted: 0,
            pinned: VecDeque::new(),
            changed: watch::Sender::new(revision),
        }
    }

    /// Makes a change. The revision of `event` is above all before.
    pub(crate) fn record(&mut self, event: Event) {
        let key = event.object.key.clone();
        match event.change {
            Change::Added | Change::Modified => self.objects.insert(key, event.object.clone()),
            Change::Deleted => self.objects.remove(&key),
        };
        let revision = event.revision;
        self.history.push_back(event);
        while self.history.len() > self.window {
            if let Some(event) = self.history.pop_front() {
                self.dropped = event.revision;
            }
        }
        self.changed.send_replace(revision);
    }

    /// Told of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The revision of the last change.
    pub(crate) fn last_change(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Forgets what happened up to `revision`.
    pub(crate) fn compact(&mut self, revision: u64) {
        self.history.retain(|event| event.revision > revision);
        self.compacted = self.compacted.max(revision);
        self.pinned.retain(|(pinned, _)| *pinned >= revision);
    }

    /// The events after `revision`, oldest first, at most `limit`.
    pub(crate) fn after(&self, revision: u64, limit: usize) -> Result<Vec<Event>, Forgotten> {
        if revision < self.compacted {
            return Err(Forgotten::Compacted);
        }
        if revision < self.dropped {
            return Err(Forgotten::Overrun);
        }
        let start = self.history.partition_point(|event| event.revision <= revision);
        Ok(self.history.range(start..).take(limit).cloned().collect())
    }

    /// Remembers the state at `revision`, for the next pages of a list.
    pub(crate) fn pin(&mut self, revision: u64, objects: Objects) {
        if self.pinned.iter().all(|(pinned, _)| *pinned != revision) {
            self.pinned.push_back((revision, objects));
        }
        if self.pinned.len() > PINNED {
            self.pinned.pop_front();
        }
    }

    /// The objects as they were at `revision`; none if that is forgotten.
    pub(crate) fn at(&self, revision: u64) -> Option<Objects> {
        if let Some((_, objects)) = self.pinned.iter().find(|(pinned, _)| *pinned == revision) {
            return Some(objects.clone());
        }
        if revision < self.compacted || revision < self.dropped {
            return None;
        }
        let mut objects = self.objects.clone();
        for event in self.history.iter().rev().take_while(|event| event.revision > revision) {
            match &event.before {
                Some(before) => objects.insert(before.key.clone(), before.clone()),
                None => objects.remove(&event.object.key),
            };
        }
        Some(objects)
    }
}

/// The objects of a namespace, or of all if it is empty, in order; those after `start` if one is given.
pub(crate) fn within<'a>(
    objects: &'a Objects,
    namespace: &'a str,
    start: Option<&Key>,
) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
    let from = match start {
        Some(key) => Bound::Excluded(key.clone()),
        None => Bound::Included(Key::new(namespace, "")),
    };
    objects
        .range((from, Bound::Unbounded))
        .map(|(_, stored)| stored)
        .take_while(move |stored| namespace.is_empty() || *stored.key.namespace == *namespace)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(name: &str, revision: u64) -> Arc<Stored> {
        Arc::new(Stored::encode(Key::new("a", name), revision, &json!({"metadata": {"name": name}})))
    }

    fn filled() -> Collection {
        let mut collection = Collection::new(3, Fields::default(), 0);
        let event =
            |revision, change, name: &str, before| Event { revision, change, object: stored(name, revision), before };
        collection.record(event(1, Change::Added, "x", None));
        collection.record(event(2, Change::Added, "y", None));
        collection.record(event(3, Change::Modified, "x", Some(stored("x", 1))));
        collection.record(event(4, Change::Deleted, "y", Some(stored("y", 2))));
        collection
    }

    fn names(objects: &Objects) -> Vec<(String, u64)> {
        within(objects, "a", None).map(|stored| (stored.key.name.to_string(), stored.revision)).collect()
    }

    #[test]
    fn the_past_is_rebuilt_from_the_present() {
        let collection = filled();
        assert_eq!(names(&collection.at(4).unwrap()), [("x".to_owned(), 3)]);
        assert_eq!(names(&collection.at(3).unwrap()), [("x".to_owned(), 3), ("y".to_owned(), 2)]);
        assert_eq!(names(&collection.at(2).unwrap()), [("x".to_owned(), 1), ("y".to_owned(), 2)]);
        assert_eq!(names(&collection.at(1).unwrap()), [("x".to_owned(), 1)]);
        assert!(collection.at(0).is_none(), "the first event fell out of the window");
    }

    #[test]
    fn events_outside_the_window_are_overrun_and_compacted_ones_are_gone() {
        let mut collection = filled();
        assert_eq!(collection.after(1, 10).unwrap().len(), 3);
        assert_eq!(collection.after(2, 1).unwrap()[0].revision, 3);
        assert_eq!(collection.after(0, 10).unwrap_err(), Forgotten::Overrun);
        collection.compact(4);
        assert_eq!(collection.after(3, 10).unwrap_err(), Forgotten::Compacted);
        assert!(collection.after(4, 10).unwrap().is_empty());
    }

    #[test]
    fn a_namespace_ends_where_the_next_begins() {
        let mut objects = Objects::new();
        for (namespace, name) in [("a", "1"), ("a", "2"), ("a-b", "3"), ("b", "4")] {
            let stored = Arc::new(Stored::encode(Key::new(namespace, name), 1, &json!({})));
            objects.insert(stored.key.clone(), stored);
        }
        assert_eq!(within(&objects, "a", None).count(), 2);
        assert_eq!(within(&objects, "", None).count(), 4);
        assert_eq!(within(&objects, "a", Some(&Key::new("a", "1"))).count(), 1);
    }
}
