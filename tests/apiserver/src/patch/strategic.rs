//! Strategic merge patches, with the directives that kubectl writes.
//!
//! Follows what `k8s.io/apimachinery/pkg/util/strategicpatch` does with patches at the server.

use serde_json::{Map, Value};

use super::lists::{List, strategic_list_at};
use crate::semantics::refusal::Refusal;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// The object with the patch merged in.
pub(super) fn merge(kind: &str, current: &Value, patch: &Value) -> Result<Value, Refusal> {
    let (Some(current), Some(patch)) = (current.as_object(), patch.as_object()) else {
        return Err(Refusal::bad_request("error decoding patch: it must be an object"));
    };
    Merge { kind, path: Vec::new() }.map(current.clone(), patch).map(Value::Object)
}

/// One merge, and where in the object it is.
struct Merge<'a> {
    kind: &'a str,
    path: Vec<&'a str>,
}

// === impl Merge ===

impl<'a> Merge<'a> {
    fn map(&mut self, mut original: Object, patch: &'a Object) -> Result<Object, Refusal> {
        match patch.get(DIRECTIVE).map(Value::as_str) {
            None => {}
            Some(Some("merge")) => {}
            Some(Some("replace")) => return Ok(plain_map(patch)),
            Some(Some("delete")) => return Ok(Object::new()),
            Some(_) => {
                let kind = patch.get(DIRECTIVE).map(as_go).unwrap_or_default();
                let problem = format!("unknown patch type: {kind} in map: {}", map_as_go(patch));
                return Err(Refusal::new(500, "", problem));
            }
        }
        if let Some(kept) = patch.get(RETAIN_KEYS) {
            let kept = kept.as_array().ok_or_else(|| Refusal::bad_request("invalid patch format of retainKeys"))?;
            original.retain(|key, _| kept.iter().any(|one| one.as_str() == Some(key)));
        }
        // Removals first: a value that is also in the patch of the same list is there afterwards.
        for (key, removed) in patch {
            let Some(field) = key.strip_prefix(DELETE_FROM_LIST) else { continue };
            let problem = || Refusal::bad_request("invalid patch format of primitive list");
            let removed = removed.as_array().ok_or_else(problem)?;
            if let Some(list) = original.get_mut(field).and_then(Value::as_array_mut) {
                list.retain(|one| !removed.contains(one));
            }
        }
        for (key, value) in patch {
            if key.starts_with('$') && (key == DIRECTIVE || key == RETAIN_KEYS || key.contains('/')) {
                continue;
            }
            if value.is_null() {
                original.remove(key);
                continue;
            }
            self.path.push(key);
            let merged = match (original.remove(key), value) {
                (Some(Value::Object(old)), Value::Object(new)) => Some(Value::Object(self.map(old, new)?)),
                (Some(Value::Array(old)), Value::Array(new)) => Some(Value::Array(self.list(old, new)?)),
                _ => plain(value),
            };
            self.path.pop();
            if let Some(merged) = merged {
                original.insert(key.clone(), merged);
            }
        }
        for (key, order) in patch {
            let Some(field) = key.strip_prefix(SET_ORDER) else { continue };
            let problem = || Refusal::bad_request("invalid patch format of setElementOrder list");
            let order = order.as_array().ok_or_else(problem)?;
            if let Some(list) = original.get_mut(field).and_then(Value::as_array_mut) {
                self.path.push(field);
                let merge_key = self.merge_key();
                self.path.pop();
                let same = |one: &Value, other: &Value| identity(one, merge_key) == identity(other, merge_key);
                let items = std::mem::take(list);
                let before = items.clone();
                let (ordered, others): (Vec<_>, Vec<_>) =
                    items.into_iter().partition(|item| order.iter().any(|one| same(one, item)));
                *list = interleave(in_order_of(ordered, order, &same), others, &before, &same);
            }
        }
        Ok(original)
    }

    /// The merge key of the list at the current path; `None` for lists of plain values.
    fn merge_key(&self) -> Option<&'static str> {
        match strategic_list_at(self.kind, &self.path) {
            List::Keyed(keys) => keys.first().copied(),
            List::Set | List::Atomic => None,
        }
    }

    fn list(&mut self, original: Vec<Value>, patch: &'a [Value]) -> Result<Vec<Value>, Refusal> {
        match strategic_list_at(self.kind, &self.path) {
            List::Atomic => Ok(patch.iter().filter_map(plain).collect()),
            List::Set => {
                let mut merged = original.clone();
                for value in patch {
                    if !merged.contains(value) {
                        merged.push(value.clone());
                    }
                }
                let same = |one: &Value, other: &Value| one == other;
                Ok(patch_first(merged, patch, &original, &same))
            }
            List::Keyed(keys) => {
                let key = keys.first().copied().unwrap_or_default();
                self.keyed(original, patch, key)
            }
        }
    }

    fn keyed(
        &mut self,
        mut original: Vec<Value>,
        patch: &'a [Value],
        key: &'static str,
    ) -> Result<Vec<Value>, Refusal> {
        if patch.iter().any(|item| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace")) {
            return Ok(patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).filter_map(plain).collect());
        }
        let before = original.clone();
        let same = move |one: &Value, other: &Value| identity(one, Some(key)) == identity(other, Some(key));
        let mut merged_items = Vec::new();
        for item in patch {
            let Some(fields) = item.as_object() else {
                return Err(Refusal::bad_request("the elements of a list that is merged by key must be objects"));
            };
            if item.get(key).is_none() {
                let why = format!("map: {} does not contain declared merge key: {key}", map_as_go(fields));
                return Err(Refusal::new(500, "", why));
            }
            if fields.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") {
                original.retain(|one| !same(one, item));
                continue;
            }
            merged_items.push(item.clone());
            match original.iter().position(|one| same(one, item)) {
                Some(at) => {
                    let old = std::mem::take(&mut original[at]);
                    let old = old.as_object().cloned().unwrap_or_default();
                    original[at] = Value::Object(self.map(old, fields)?);
                }
                None => original.extend(plain(item)),
            }
        }
        Ok(patch_first(original, &merged_items, &before, &same))
    }
}

/// The merged list in the order of a real server: items of the patch in its order, the others woven in as they stood before.
fn patch_first(
    merged: Vec<Value>,
    patch: &[Value],
    before: &[Value],
    same: &impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let (patched, others): (Vec<_>, Vec<_>) =
        merged.into_iter().partition(|item| patch.iter().any(|one| same(one, item)));
    interleave(in_order_of(patched, patch, same), others, before, same)
}

/// The items ordered as their like stand in `order`.
fn in_order_of(mut items: Vec<Value>, order: &[Value], same: &impl Fn(&Value, &Value) -> bool) -> Vec<Value> {
    items.sort_by_key(|item| order.iter().position(|one| same(one, item)));
    items
}

/// Two ordered lists as one: an item of `others` comes first only where it stood before the next of `first`.
fn interleave(
    first: Vec<Value>,
    others: Vec<Value>,
    before: &[Value],
    same: &impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place = |item: &Value| before.iter().position(|one| same(one, item));
    let mut result = Vec::with_capacity(first.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in first {
        let own = place(&item);
        while let Some(other) = others.next_if(|other| own.zip(place(other)).is_some_and(|(own, other)| other < own)) {
            result.push(other);
        }
        result.push(item);
    }
    result.extend(others);
    result
}

/// What makes two items of a list the same item.
fn identity<'v>(item: &'v Value, key: Option<&str>) -> Option<&'v Value> {
    match key {
        Some(key) => item.get(key),
        None => Some(item),
    }
}

/// A value of a patch where there is nothing to merge with: without nulls and directives.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        // Whatever the directive says: that is how a real server does it.
        Value::Object(map) => (!map.contains_key(DIRECTIVE)).then(|| Value::Object(plain_map(map))),
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(plain).collect())),
        other => Some(other.clone()),
    }
}

fn plain_map(map: &Object) -> Object {
    let directive = |key: &str| {
        key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(SET_ORDER) || key.starts_with(DELETE_FROM_LIST)
    };
    map.iter()
        .filter(|(key, _)| !directive(key))
        .filter_map(|(key, value)| plain(value).map(|value| (key.clone(), value)))
        .collect()
}

/// A map as Go prints it.
fn map_as_go(map: &Object) -> String {
    let fields: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", as_go(value))).collect();
    format!("map[{}]", fields.join(" "))
}

fn as_go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(map) => map_as_go(map),
        Value::Array(items) => format!("[{}]", items.iter().map(as_go).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(kind: &str, current: &Value, patch: &Value) -> Value {
        merge(kind, current, patch).unwrap()
    }

    #[test]
    fn conditions_merge_by_type_and_new_ones_come_first() {
        let node =
            json!({ "status": { "conditions": [{ "type": "A", "status": "True", "reason": "x" }, { "type": "B" }] } });
        let patch = json!({ "status": { "conditions": [{ "type": "C" }, { "type": "A", "status": "False", "reason": null }] } });
        assert_eq!(
            merged("Node", &node, &patch),
            json!({ "status": { "conditions": [{ "type": "C" }, { "type": "A", "status": "False" }, { "type": "B" }] } })
        );
    }

    #[test]
    fn taints_have_no_merge_key() {
        let node = json!({ "spec": { "taints": [{ "key": "a", "effect": "NoSchedule" }] } });
        let patch = json!({ "spec": { "taints": [{ "key": "b", "effect": "NoSchedule" }] } });
        assert_eq!(merged("Node", &node, &patch), patch);
    }

    #[test]
    fn conditions_of_signing_requests_are_replaced() {
        let request = json!({ "status": { "conditions": [{ "type": "Approved" }] } });
        let patch = json!({ "status": { "conditions": [{ "type": "Failed" }] } });
        assert_eq!(merged("CertificateSigningRequest", &request, &patch), patch);
    }

    #[test]
    fn containers_merge_by_name_and_their_environment_too() {
        let deployment = json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "a", "image": "1", "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }], "args": ["p"] },
            { "name": "b", "image": "1" }
        ] } } } });
        let patch = json!({ "spec": { "template": { "spec": { "$setElementOrder/containers": [{ "name": "b" }, { "name": "a" }],
            "containers": [{ "name": "a", "image": "2", "args": ["q"], "env": [{ "name": "X", "$patch": "delete" }, { "name": "Z" }] }]
        } } } });
        assert_eq!(
            merged("Deployment", &deployment, &patch),
            json!({ "spec": { "template": { "spec": { "containers": [
                { "name": "b", "image": "1" },
                { "name": "a", "image": "2", "env": [{ "name": "Z" }, { "name": "Y", "value": "2" }], "args": ["q"] }
            ] } } } })
        );
    }

    #[test]
    fn directives_delete_replace_and_retain() {
        let pod = json!({ "metadata": { "finalizers": ["a", "b"], "labels": { "x": "1", "y": "2" } },
            "spec": { "volumes": [{ "name": "v", "emptyDir": {} }, { "name": "w" }] } });
        for (patch, path, expected) in [
            (
                json!({ "metadata": { "labels": { "$patch": "replace", "z": "3" } } }),
                "/metadata/labels",
                json!({ "z": "3" }),
            ),
            (json!({ "metadata": { "labels": { "$patch": "delete" } } }), "/metadata/labels", json!({})),
            (
                json!({ "metadata": { "labels": { "$retainKeys": ["y", "z"], "z": "3" } } }),
                "/metadata/labels",
                json!({ "y": "2", "z": "3" }),
            ),
            (json!({ "metadata": { "finalizers": ["c"] } }), "/metadata/finalizers", json!(["c", "a", "b"])),
            (
                json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"] } }),
                "/metadata/finalizers",
                json!(["b"]),
            ),
            (
                json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"] } }),
                "/metadata/finalizers",
                json!(["c", "b"]),
            ),
            (
                json!({ "spec": { "volumes": [{ "name": "v", "$patch": "delete" }] } }),
                "/spec/volumes",
                json!([{ "name": "w" }]),
            ),
            (
                json!({ "spec": { "volumes": [{ "$patch": "replace" }, { "name": "u" }] } }),
                "/spec/volumes",
                json!([{ "name": "u" }]),
            ),
            (json!({ "spec": { "volumes": null } }), "/spec", json!({})),
        ] {
            assert_eq!(merged("Pod", &pod, &patch).pointer(path), Some(&expected), "{patch}");
        }
    }

    #[test]
    fn what_is_new_is_taken_without_nulls_and_directives() {
        let patch = json!({ "spec": { "a": { "b": null, "c": 1 }, "m": { "$patch": "replace", "d": 1 }, "l": [{ "$patch": "delete", "name": "x" }] } });
        assert_eq!(merged("Pod", &json!({}), &patch), json!({ "spec": { "a": { "c": 1 }, "l": [] } }));
    }

    #[test]
    fn nonsense_is_refused() {
        let pod = json!({ "spec": { "containers": [{ "name": "a" }] }, "metadata": { "finalizers": ["a"] } });
        for patch in [
            json!({ "spec": { "$patch": "explode" } }),
            json!({ "spec": { "$retainKeys": 1 } }),
            json!({ "spec": { "containers": [{ "image": "nameless" }] } }),
            json!({ "spec": { "containers": [5] } }),
            json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": "a" } }),
            json!({ "metadata": { "$setElementOrder/finalizers": "a" } }),
        ] {
            assert!(merge("Pod", &pod, &patch).is_err(), "{patch}");
        }
    }
}
