//! Namespaces that end, and what ends with other objects.

use serde_json::Value;

use super::{Write, Written, delete, finalizers, set_meta};
use crate::store::{Key, meta, rfc3339, within};

// === impl Write ===

impl Write<'_> {
    /// Begins to delete a namespace.
    pub(super) fn terminate(&mut self, name: &str, old: Value) -> Written {
        let mut new = old.clone();
        if meta(&old, "deletionTimestamp").is_empty() {
            set_meta(&mut new, "deletionTimestamp", Some(rfc3339(self.now).into()));
            new["status"]["phase"] = "Terminating".into();
            self.put(name, &mut new);
        }
        if self.namespace_controller && !self.dry_run {
            self.empty(name);
        }
        Written::object(200, new)
    }

    /// What follows from an object being gone: a kind that is no longer defined, a namespace that is empty now.
    pub(super) fn after_removal(&mut self, name: &str) {
        let kind = self.served.kind.clone();
        if kind.plural == "customresourcedefinitions"
            && let Some((plural, group)) = name.split_once('.')
        {
            self.undefine(group, plural);
        }
        if kind.namespaced && self.namespace_controller {
            let namespace = self.namespace.to_owned();
            self.finish(&namespace);
        }
    }

    /// Deletes what is in a namespace, as the namespace controller does, and then the namespace.
    fn empty(&mut self, namespace: &str) {
        let kinds: Vec<usize> =
            self.state.registry.all().filter(|(_, kind)| kind.namespaced).map(|(index, _)| index).collect();
        for collection in kinds {
            let Some(objects) = self.state.collections.get(collection).map(|kept| kept.objects.clone()) else {
                continue;
            };
            for stored in within(&objects, namespace, None) {
                let mut tree = stored.tree();
                if finalizers(&tree).is_empty() {
                    self.state.remove(collection, &stored.key, None);
                } else if meta(&tree, "deletionTimestamp").is_empty() {
                    delete::mark(&mut tree, 0, self.now);
                    self.state.put(collection, stored.key.clone(), &mut tree);
                }
            }
        }
        self.finish(namespace);
    }

    /// Removes a namespace that is being deleted and has nothing in it any more.
    fn finish(&mut self, namespace: &str) {
        let Some(namespaces) = self.state.registry.find("", "namespaces") else { return };
        let key = Key::new("", namespace);
        let Some(tree) = self.state.find(namespaces, &key).map(|stored| stored.tree()) else { return };
        if meta(&tree, "deletionTimestamp").is_empty() || !finalizers(&tree).is_empty() {
            return;
        }
        let in_use = self.state.registry.all().any(|(index, kind)| {
            let objects = self.state.collections.get(index).map(|collection| &collection.objects);
            kind.namespaced && objects.is_some_and(|objects| within(objects, namespace, None).next().is_some())
        });
        if !in_use {
            let mut tree = tree;
            if let Some(spec) = tree.get_mut("spec").and_then(Value::as_object_mut) {
                spec.remove("finalizers");
            }
            self.state.remove(namespaces, &key, Some(tree));
        }
    }

    /// Stops serving a kind; its objects go with it.
    fn undefine(&mut self, group: &str, plural: &str) {
        let Some(collection) = self.state.registry.remove(group, plural) else { return };
        let Some(objects) = self.state.collections.get(collection).map(|kept| kept.objects.clone()) else { return };
        for key in objects.keys() {
            self.state.remove(collection, key, None);
        }
    }
}
