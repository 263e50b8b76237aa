//! Sets of fields of objects, as `metadata.managedFields` holds them.
//!
//! ```text
//!   {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}}}}
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::lists::{List, default_of_key, is_atomic_map, list_at};

/// Fields, as a tree of path elements in their written form: `f:name`, `k:{…}` and `v:…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// Whether the field that leads here is in the set itself.
    member: bool,
    children: BTreeMap<String, FieldSet>,
}

/// What differs between two objects.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// New fields and those with another value.
    pub changed: FieldSet,
    /// Fields that are gone.
    pub removed: FieldSet,
}

/// Fields that have no manager.
const UNMANAGED: [&[&str]; 10] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

// === impl FieldSet ===

impl FieldSet {
    /// All fields of an object that can have managers.
    pub(super) fn of(kind: &str, object: &Value) -> Self {
        let mut set = Self::default();
        fill(kind, object, &mut Vec::new(), &mut set);
        set.member = false;
        set.without_unmanaged()
    }

    pub(super) fn from_json(value: &Value) -> Self {
        let mut set = Self::default();
        for (element, inside) in value.as_object().into_iter().flatten() {
            if element == "." {
                set.member = true;
                continue;
            }
            let mut child = Self::from_json(inside);
            // What has nothing inside is in the set.
            child.member |= child.children.is_empty();
            set.children.insert(element.clone(), child);
        }
        set
    }

    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        map.extend(self.children.iter().map(|(element, child)| (element.clone(), child.to_json())));
        Value::Object(map)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    pub(super) fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, child) in &other.children {
            self.children.entry(element.clone()).or_default().union(child);
        }
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        let empty = Self::default();
        let children = self
            .children
            .iter()
            .map(|(element, child)| (element.clone(), child.without(other.children.get(element).unwrap_or(&empty))));
        let children = children.filter(|(_, child)| !child.is_empty()).collect();
        Self { member: self.member && !other.member, children }
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let both =
            self.children.iter().filter_map(|(element, child)| Some((element, child, other.children.get(element)?)));
        let children = both.map(|(element, one, other)| (element.clone(), one.intersection(other)));
        let children = children.filter(|(_, child)| !child.is_empty()).collect();
        Self { member: self.member && other.member, children }
    }

    /// Only what is inside of this field, or all but that.
    pub(super) fn part(&self, field: &str, inside: bool) -> Self {
        let element = format!("f:{field}");
        let children = self.children.iter().filter(|(one, _)| (**one == element) == inside);
        Self { member: false, children: children.map(|(one, child)| (one.clone(), child.clone())).collect() }
    }

    /// The fields as paths, such as `.spec.containers[name="c"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.write_paths("", &mut paths);
        paths
    }

    fn write_paths(&self, at: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(at.to_owned());
        }
        for (element, child) in &self.children {
            child.write_paths(&format!("{at}{}", as_path(element)), paths);
        }
    }

    /// Removes from an object what is in this set, except for what is kept.
    pub(super) fn remove_from(&self, value: &mut Value, kept: &Self) {
        let nothing = Self::default();
        for (element, inside) in &self.children {
            let kept = kept.children.get(element).unwrap_or(&nothing);
            let whole = inside.member && kept.is_empty();
            match (element.split_once(':'), &mut *value) {
                (Some(("f", field)), Value::Object(map)) => {
                    if let Some(child) = map.get_mut(field).filter(|_| !whole) {
                        inside.remove_from(child, kept);
                    }
                    let hollow = |child: &Value| {
                        child.as_object().is_some_and(Map::is_empty) || child.as_array().is_some_and(Vec::is_empty)
                    };
                    if whole || (kept.is_empty() && map.get(field).is_some_and(hollow)) {
                        map.remove(field);
                    }
                }
                (Some(("k" | "v", _)), Value::Array(items)) => {
                    if whole {
                        items.retain(|item| !is_item(item, element));
                    } else if let Some(item) = items.iter_mut().find(|item| is_item(item, element)) {
                        inside.remove_from(item, kept);
                    }
                }
                _ => {}
            }
        }
    }

    fn without_unmanaged(mut self) -> Self {
        for path in UNMANAGED {
            if let [first, rest @ ..] = path {
                let first = format!("f:{first}");
                match (rest, self.children.get_mut(&first)) {
                    ([], _) => {
                        self.children.remove(&first);
                    }
                    ([field, ..], Some(child)) => {
                        child.children.remove(&format!("f:{field}"));
                    }
                    _ => {}
                }
            }
        }
        self.children.retain(|_, child| !child.is_empty());
        self
    }
}

// === impl Difference ===

impl Difference {
    /// What is different in the second object.
    pub(super) fn between(kind: &str, old: &Value, new: &Value) -> Self {
        let mut difference = Self::default();
        compare(kind, Some(old), Some(new), &mut Vec::new(), &mut difference.changed, &mut difference.removed);
        difference.changed = difference.changed.without_unmanaged();
        difference.removed = difference.removed.without_unmanaged();
        difference
    }
}

/// The written form of the identity of a list item; nothing for one that has none.
pub(super) fn element_of(list: List, item: &Value) -> Option<String> {
    match list {
        List::Atomic => None,
        List::Set => Some(format!("v:{item}")),
        List::Keyed(keys) => {
            let mut identity = Map::new();
            for key in keys {
                let value = match item.get(key) {
                    Some(value) if !value.is_null() => value.clone(),
                    _ => default_of_key(key)?.into(),
                };
                identity.insert((*key).to_owned(), value);
            }
            Some(format!("k:{}", Value::Object(identity)))
        }
    }
}

fn is_item(item: &Value, element: &str) -> bool {
    match element.split_once(':') {
        Some(("v", text)) => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *item),
        Some(("k", text)) => serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|keys| {
            keys.iter().all(|(key, value)| match item.get(key) {
                Some(found) if !found.is_null() => found == value,
                _ => default_of_key(key).is_some_and(|default| value == default),
            })
        }),
        _ => false,
    }
}

/// Adds all fields at and below a value.
fn fill<'a>(kind: &str, value: &'a Value, path: &mut Vec<&'a str>, set: &mut FieldSet) {
    match value {
        Value::Object(map) if !map.is_empty() && !is_atomic_map(kind, path) => {
            for (field, inside) in map {
                path.push(field);
                fill(kind, inside, path, set.children.entry(format!("f:{field}")).or_default());
                path.pop();
            }
        }
        Value::Array(items) => match list_at(kind, path) {
            List::Atomic => set.member = true,
            list => {
                for item in items {
                    let Some(element) = element_of(list, item) else {
                        set.member = true;
                        continue;
                    };
                    let child = set.children.entry(element).or_default();
                    child.member = true;
                    if item.is_object() && *path != ["metadata", "ownerReferences"] {
                        fill(kind, item, path, child);
                    }
                }
            }
        },
        _ => set.member = true,
    }
}

fn compare<'a>(
    kind: &str,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    path: &mut Vec<&'a str>,
    changed: &mut FieldSet,
    removed: &mut FieldSet,
) {
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => fill(kind, new, path, changed),
        (Some(old), None) => fill(kind, old, path, removed),
        (Some(old), Some(new)) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) if !is_atomic_map(kind, path) => {
            let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for field in fields {
                let element = format!("f:{field}");
                let mut deeper = (FieldSet::default(), FieldSet::default());
                path.push(field);
                compare(kind, old.get(field), new.get(field), path, &mut deeper.0, &mut deeper.1);
                path.pop();
                put(changed, &element, deeper.0);
                put(removed, &element, deeper.1);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if list_at(kind, path) != List::Atomic => {
            let list = list_at(kind, path);
            let find = |items: &'a [Value], element: &str| items.iter().find(|item| is_item(item, element));
            let elements: BTreeSet<String> = old.iter().chain(new).filter_map(|item| element_of(list, item)).collect();
            for element in elements {
                let mut deeper = (FieldSet::default(), FieldSet::default());
                let (before, after) = (find(old, &element), find(new, &element));
                compare(kind, before, after, path, &mut deeper.0, &mut deeper.1);
                deeper.0.member |= before.is_none();
                deeper.1.member |= after.is_none();
                put(changed, &element, deeper.0);
                put(removed, &element, deeper.1);
            }
        }
        (Some(old), Some(new)) => {
            fill(kind, new, path, changed);
            let mut gone = FieldSet::default();
            fill(kind, old, path, &mut gone);
            removed.union(&gone.without(changed));
        }
    }
}

fn put(set: &mut FieldSet, element: &str, inside: FieldSet) {
    if !inside.is_empty() {
        set.children.entry(element.to_owned()).or_default().union(&inside);
    }
}

/// A path element as people read it.
fn as_path(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", field)) => format!(".{field}"),
        Some(("v", value)) => format!("[={value}]"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let mut path = "[".to_owned();
            for (index, (key, value)) in keys.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                // Writing to a string does not fail.
                let _ = write!(path, "{comma}{key}={value}");
            }
            path.push(']');
            path
        }
        _ => element.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "p", "labels": { "a": "1" }, "finalizers": ["f"], "ownerReferences": [{ "uid": "u", "name": "o" }] },
            "spec": { "nodeSelector": { "x": "y" }, "containers": [
                { "name": "c", "args": ["1"], "ports": [{ "containerPort": 80 }], "env": [{ "name": "E", "value": "v" }] }
            ], "tolerations": [{ "key": "k" }] }
        })
    }

    #[test]
    fn the_written_form_is_that_of_kubernetes() {
        let set = FieldSet::of("Pod", &pod());
        let expected = json!({
            "f:metadata": { "f:labels": { "f:a": {} }, "f:finalizers": { "v:\"f\"": {} }, "f:ownerReferences": { "k:{\"uid\":\"u\"}": {} } },
            "f:spec": { "f:nodeSelector": {}, "f:tolerations": {}, "f:containers": { "k:{\"name\":\"c\"}": {
                ".": {}, "f:name": {}, "f:args": {},
                "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } },
                "f:env": { "k:{\"name\":\"E\"}": { ".": {}, "f:name": {}, "f:value": {} } }
            } } }
        });
        assert_eq!(set.to_json(), expected);
        assert_eq!(FieldSet::from_json(&expected), set);
        assert!(set.paths().contains(
            &".spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"].containerPort".to_owned()
        ));
        assert!(set.paths().contains(&".metadata.finalizers[=\"f\"]".to_owned()));
    }

    #[test]
    fn differences_are_found_in_lists_and_maps() {
        let mut new = pod();
        new["metadata"]["labels"] = json!({ "b": "2" });
        new["metadata"]["resourceVersion"] = "9".into();
        new["spec"]["containers"][0]["args"] = json!(["2"]);
        new["spec"]["containers"][0]["env"] = json!([]);
        new["spec"]["nodeSelector"] = json!({ "x": "z" });
        let difference = Difference::between("Pod", &pod(), &new);
        let container = ".spec.containers[name=\"c\"]";
        assert_eq!(
            difference.changed.paths(),
            [".metadata.labels.b".to_owned(), format!("{container}.args"), ".spec.nodeSelector".to_owned()]
        );
        assert_eq!(
            difference.removed.paths(),
            [
                ".metadata.labels.a".to_owned(),
                format!("{container}.env[name=\"E\"]"),
                format!("{container}.env[name=\"E\"].name"),
                format!("{container}.env[name=\"E\"].value")
            ]
        );
    }

    #[test]
    fn what_nobody_keeps_is_removed() {
        let mut object = pod();
        let set = FieldSet::of("Pod", &object);
        let kept =
            FieldSet::from_json(&json!({ "f:spec": { "f:containers": { "k:{\"name\":\"c\"}": { "f:args": {} } } } }));
        set.without(&kept).remove_from(&mut object, &kept);
        assert_eq!(object["spec"], json!({ "containers": [{ "args": ["1"] }] }));
        assert_eq!(object["metadata"], json!({ "name": "p" }));
    }
}
