//! Server-side apply: who applies owns the fields it names, and gives up those it no longer names.
//!
//! Follows `sigs.k8s.io/structured-merge-diff` as kube-apiserver 1.36 uses it. Lists of custom resources count as one
//! value, except for `metadata` and `status.conditions`: definitions are not looked at.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::field_set::{Difference, FieldSet, element_of};
use super::lists::{List, is_atomic_map, list_at};
use crate::semantics::refusal::{Cause, Refusal, Target};
use crate::semantics::time;

/// Who applies, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The name of the field manager.
    pub manager: &'a str,
    /// Whether fields are taken from other managers.
    pub force: bool,
    /// `status` and the like; empty for the object itself.
    pub subresource: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: Value,
    fields: FieldSet,
}

/// The object after an apply, with its managed fields; `current` is `None` where it is created.
pub fn apply(
    target: &Target<'_>,
    current: Option<&Value>,
    body: &Value,
    options: &Options<'_>,
) -> Result<Value, Refusal> {
    check(target, body, options)?;
    let kind = target.kind;
    let live = current.cloned().unwrap_or_else(|| json!({}));
    let mut body = body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let applied = in_scope(FieldSet::of(kind, &body), options.subresource);
    let mut entries = entries_of(&live);
    if current.is_some() && entries.is_empty() {
        entries.push(Entry {
            manager: "before-first-apply".to_owned(),
            operation: "Update".to_owned(),
            api_version: target.api_version(),
            subresource: String::new(),
            time: time::seconds(options.now),
            fields: FieldSet::of(kind, &live),
        });
    }
    let mut new = merge(target, Some(&live), &body, &mut Vec::new())?;
    let own = |entry: &Entry| {
        entry.manager == options.manager && entry.operation == "Apply" && entry.subresource == options.subresource
    };
    let changed = Difference::between(kind, &live, &new).changed;
    let taken: Vec<(usize, FieldSet)> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| !own(entry))
        .map(|(at, entry)| (at, entry.fields.intersection(&changed)))
        .filter(|(_, conflict)| !conflict.is_empty())
        .collect();
    if !options.force && !taken.is_empty() {
        let conflicts: Vec<(&Entry, Vec<String>)> =
            taken.iter().map(|(at, conflict)| (&entries[*at], conflict.paths())).collect();
        return Err(conflict(&conflicts));
    }
    for (at, conflict) in &taken {
        entries[*at].fields = entries[*at].fields.without(conflict);
    }

    let last = entries.iter().find(|entry| own(entry)).cloned();
    let mut kept = applied.clone();
    entries.iter().filter(|entry| !own(entry)).for_each(|entry| kept.union(&entry.fields));
    if let Some(last) = &last {
        last.fields.without(&kept).remove_from(&mut new, &kept);
    }
    entries.retain(|entry| !own(entry));
    // The time only moves when the object does, so that applying the same again writes nothing.
    let moved = without_managers(&live) != without_managers(&new);
    let before = last.map_or(Value::Null, |last| last.time);
    entries.push(Entry {
        manager: options.manager.to_owned(),
        operation: "Apply".to_owned(),
        api_version: target.api_version(),
        subresource: options.subresource.to_owned(),
        time: if moved { time::seconds(options.now) } else { before },
        fields: applied,
    });
    write_entries(&mut new, entries);
    Ok(new)
}

/// Notes who changed what after any write that is no apply.
pub fn track(
    target: &Target<'_>,
    old: Option<&Value>,
    new: &mut Value,
    manager: &str,
    subresource: &str,
    now: Timestamp,
) {
    let nothing = json!({});
    let difference = Difference::between(target.kind, old.unwrap_or(&nothing), new);
    let mut entries = entries_of(old.unwrap_or(&nothing));
    if difference.changed.is_empty() && difference.removed.is_empty() {
        write_entries(new, entries);
        return;
    }
    let own = |entry: &Entry| {
        entry.manager == manager
            && entry.operation == "Update"
            && entry.subresource == subresource
            && entry.api_version == target.api_version()
    };
    for entry in &mut entries {
        entry.fields = entry.fields.without(&difference.removed);
        if !own(entry) {
            entry.fields = entry.fields.without(&difference.changed);
        }
    }
    let changed = in_scope(difference.changed, subresource);
    if !changed.is_empty() {
        match entries.iter_mut().find(|entry| own(entry)) {
            Some(entry) => {
                entry.fields.union(&changed);
                entry.time = time::seconds(now);
            }
            None => entries.push(Entry {
                manager: manager.to_owned(),
                operation: "Update".to_owned(),
                api_version: target.api_version(),
                subresource: subresource.to_owned(),
                time: time::seconds(now),
                fields: changed,
            }),
        }
    }
    write_entries(new, entries);
}

fn check(target: &Target<'_>, body: &Value, options: &Options<'_>) -> Result<(), Refusal> {
    if options.manager.is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid("PatchOptions", "meta.k8s.io", "", &[cause]));
    }
    if !body.is_object() {
        return Err(Refusal::bad_request("error decoding YAML: the body must be an object"));
    }
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version != target.api_version() || kind != target.kind {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        return Err(Refusal::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    let managed = body.pointer("/metadata/managedFields");
    if managed.is_some_and(|managed| !managed.is_null() && managed.as_array().is_none_or(|list| !list.is_empty())) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

/// What a subresource can own: its part of the object, or all but the status.
fn in_scope(fields: FieldSet, subresource: &str) -> FieldSet {
    match subresource {
        "" => fields.part("status", false),
        "status" | "approval" => fields.part("status", true),
        _ => fields,
    }
}

fn conflict(conflicts: &[(&Entry, Vec<String>)]) -> Refusal {
    let named = |entry: &Entry| {
        let part = match entry.subresource.as_str() {
            "" => String::new(),
            part => format!(" with subresource {part:?}"),
        };
        let using = match entry.operation.as_str() {
            "Update" => format!(" using {}", entry.api_version),
            _ => String::new(),
        };
        format!("{:?}{part}{using}", entry.manager)
    };
    let count: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
    let text = match conflicts {
        [(entry, paths)] if count == 1 => format!("conflict with {}: {}", named(entry), paths.concat()),
        _ => {
            let mut each: Vec<String> = conflicts
                .iter()
                .map(|(entry, paths)| format!("conflicts with {}:\n- {}", named(entry), paths.join("\n- ")))
                .collect();
            each.sort();
            each.join("\n")
        }
    };
    let causes: Vec<Cause> = conflicts
        .iter()
        .flat_map(|(entry, paths)| paths.iter().map(move |path| (entry, path)))
        .map(|(entry, path)| Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {}", named(entry)),
            field: path.clone(),
        })
        .collect();
    let plural = if count == 1 { "" } else { "s" };
    Refusal::new(409, "Conflict", format!("Apply failed with {count} conflict{plural}: {text}")).with_causes(&causes)
}

/// The applied value laid over the live one.
fn merge<'a>(
    target: &Target<'_>,
    live: Option<&Value>,
    applied: &'a Value,
    path: &mut Vec<&'a str>,
) -> Result<Value, Refusal> {
    match (live, applied) {
        (live, Value::Object(applied)) if !is_atomic_map(target.kind, path) => {
            let mut merged = live.and_then(Value::as_object).cloned().unwrap_or_default();
            for (field, value) in applied {
                path.push(field);
                let value = merge(target, merged.get(field), value, path);
                path.pop();
                merged.insert(field.clone(), value?);
            }
            Ok(Value::Object(merged))
        }
        (live, Value::Array(items)) => match list_at(target.kind, path) {
            List::Atomic => Ok(applied.clone()),
            list => merge_list(target, live.and_then(Value::as_array), items, list, path),
        },
        _ => Ok(applied.clone()),
    }
}

fn merge_list<'a>(
    target: &Target<'_>,
    live: Option<&Vec<Value>>,
    items: &'a [Value],
    list: List,
    path: &mut Vec<&'a str>,
) -> Result<Value, Refusal> {
    let live = live.map(Vec::as_slice).unwrap_or_default();
    let find = |element: &str| live.iter().find(|item| element_of(list, item).as_deref() == Some(element));
    let mut elements = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(element) = element_of(list, item) else {
            let List::Keyed([key, ..]) = list else { return Ok(items.to_vec().into()) };
            let field = format!("{}[{index}].{key}", path.join("."));
            return Err(target.invalid(&[Cause::required(field, "")]));
        };
        elements.push(element);
    }
    // Who applies decides about the order; items of others come as soon as it is their turn in the live list.
    let mut applied = elements.iter().zip(items);
    let mut done: Vec<&String> = Vec::new();
    let mut result = Vec::new();
    let mut others = live.iter().peekable();
    loop {
        while let Some(item) = others.next_if(|item| {
            let element = element_of(list, item);
            let own = element.as_ref().is_some_and(|element| elements.contains(element));
            !own || element.as_ref().is_some_and(|element| done.contains(&element))
        }) {
            if !element_of(list, item).is_some_and(|element| elements.contains(&element)) {
                result.push(item.clone());
            }
        }
        let Some((element, item)) = applied.next() else { break };
        result.push(merge(target, find(element), item, path)?);
        done.push(element);
    }
    Ok(Value::Array(result))
}

fn without_managers(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

fn entries_of(object: &Value) -> Vec<Entry> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let entry = |entry: &Value| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        Entry {
            manager: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: entry["time"].clone(),
            fields: FieldSet::from_json(&entry["fieldsV1"]),
        }
    };
    entries.map(entry).collect()
}

fn write_entries(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|one, other| {
        let key = |entry: &Entry| {
            let time = entry.time.as_str().unwrap_or_default().to_owned();
            (entry.operation.clone(), time, entry.manager.clone(), entry.api_version.clone(), entry.subresource.clone())
        };
        key(one).cmp(&key(other))
    });
    let Some(object) = object.as_object_mut() else { return };
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
        return;
    }
    let list = entries.into_iter().map(|entry| {
        let mut written = Map::new();
        written.insert("manager".to_owned(), entry.manager.into());
        written.insert("operation".to_owned(), entry.operation.into());
        written.insert("apiVersion".to_owned(), entry.api_version.into());
        if !entry.time.is_null() {
            written.insert("time".to_owned(), entry.time);
        }
        written.insert("fieldsType".to_owned(), "FieldsV1".into());
        written.insert("fieldsV1".to_owned(), entry.fields.to_json());
        if !entry.subresource.is_empty() {
            written.insert("subresource".to_owned(), entry.subresource.into());
        }
        Value::Object(written)
    });
    metadata.insert("managedFields".to_owned(), list.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: Target<'static> =
        Target { group: "apps", version: "v1", kind: "Deployment", resource: "deployments", name: "d", custom: false };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn by<'a>(manager: &'a str, force: bool, second: i64) -> Options<'a> {
        Options { manager, force, subresource: "", now: at(second) }
    }

    fn body(spec: Value) -> Value {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" }, "spec": spec })
    }

    fn container(name: &str, image: &str) -> Value {
        json!({ "name": name, "image": image })
    }

    fn template(containers: Value) -> Value {
        json!({ "template": { "spec": { "containers": containers } } })
    }

    fn managers(object: &Value) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = object["metadata"]["managedFields"].as_array().unwrap();
        list.iter().map(|entry| (text(&entry["manager"]), text(&entry["operation"]))).collect()
    }

    #[test]
    fn who_applies_owns_its_fields_and_gives_up_others() {
        let first =
            apply(&DEPLOYMENT, None, &body(json!({ "replicas": 2, "paused": true })), &by("a", false, 1)).unwrap();
        assert_eq!(
            first["metadata"]["managedFields"][0]["fieldsV1"],
            json!({ "f:spec": { "f:replicas": {}, "f:paused": {} } })
        );
        let second = apply(&DEPLOYMENT, Some(&first), &body(json!({ "replicas": 3 })), &by("a", false, 2)).unwrap();
        assert_eq!(second["spec"], json!({ "replicas": 3 }), "what is no longer named is gone");
        let again = apply(&DEPLOYMENT, Some(&second), &body(json!({ "replicas": 3 })), &by("a", false, 9)).unwrap();
        assert_eq!(again, second, "the same again is no change");
    }

    #[test]
    fn another_manager_is_a_conflict_unless_forced() {
        let mine =
            apply(&DEPLOYMENT, None, &body(json!({ "replicas": 2, "paused": true })), &by("a", false, 1)).unwrap();
        let theirs = body(json!({ "replicas": 3 }));
        let refusal = apply(&DEPLOYMENT, Some(&mine), &theirs, &by("b", false, 2)).unwrap_err();
        assert_eq!(refusal.code, 409);
        assert_eq!(refusal.message, "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
        assert_eq!(
            refusal.details.unwrap()["causes"],
            json!([{ "reason": "FieldManagerConflict", "message": "conflict with \"a\"", "field": ".spec.replicas" }])
        );
        let both = body(json!({ "replicas": 3, "paused": false }));
        let refusal = apply(&DEPLOYMENT, Some(&mine), &both, &by("b", false, 2)).unwrap_err();
        assert_eq!(
            refusal.message,
            "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.paused\n- .spec.replicas"
        );
        let forced = apply(&DEPLOYMENT, Some(&mine), &theirs, &by("b", true, 2)).unwrap();
        assert_eq!(forced["spec"], json!({ "replicas": 3, "paused": true }));
        assert_eq!(forced["metadata"]["managedFields"][0]["fieldsV1"], json!({ "f:spec": { "f:paused": {} } }));
        let agreed = apply(&DEPLOYMENT, Some(&mine), &body(json!({ "replicas": 2 })), &by("b", false, 2)).unwrap();
        assert_eq!(managers(&agreed).len(), 2, "the same value can have two managers");
        let left = apply(&DEPLOYMENT, Some(&agreed), &body(json!({ "paused": true })), &by("b", false, 3)).unwrap();
        assert_eq!(left["spec"]["replicas"], 2, "a field that another manager owns stays");
    }

    #[test]
    fn list_items_have_managers_of_their_own() {
        let mine = apply(&DEPLOYMENT, None, &body(template(json!([container("x", "1")]))), &by("a", false, 1)).unwrap();
        let theirs = body(template(json!([container("y", "1")])));
        let both = apply(&DEPLOYMENT, Some(&mine), &theirs, &by("b", false, 2)).unwrap();
        assert_eq!(both["spec"]["template"]["spec"]["containers"], json!([container("x", "1"), container("y", "1")]));
        let ordered = body(template(json!([container("y", "1"), container("x", "1")])));
        let ordered = apply(&DEPLOYMENT, Some(&both), &ordered, &by("a", false, 2)).unwrap();
        assert_eq!(
            ordered["spec"]["template"]["spec"]["containers"],
            json!([container("y", "1"), container("x", "1")])
        );
        let nothing = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" } });
        let gone = apply(&DEPLOYMENT, Some(&both), &nothing, &by("b", false, 3)).unwrap();
        assert_eq!(gone["spec"]["template"]["spec"]["containers"], json!([container("x", "1")]));
        assert_eq!(managers(&gone).len(), 1, "who owns nothing is no manager");
        let nameless = body(template(json!([{ "image": "1" }])));
        assert_eq!(apply(&DEPLOYMENT, Some(&both), &nameless, &by("b", false, 3)).unwrap_err().code, 422);
    }

    #[test]
    fn updates_take_fields_over() {
        let applied = apply(&DEPLOYMENT, None, &body(json!({ "replicas": 2 })), &by("a", false, 1)).unwrap();
        let mut scaled = applied.clone();
        scaled["spec"]["replicas"] = 5.into();
        track(&DEPLOYMENT, Some(&applied), &mut scaled, "kubectl", "", at(2));
        assert_eq!(managers(&scaled), [("kubectl".to_owned(), "Update".to_owned())]);
        let refusal =
            apply(&DEPLOYMENT, Some(&scaled), &body(json!({ "replicas": 2 })), &by("a", false, 3)).unwrap_err();
        assert!(refusal.message.contains("conflict with \"kubectl\" using apps/v1: .spec.replicas"));
        let mut same = scaled.clone();
        same["metadata"].as_object_mut().unwrap().remove("managedFields");
        track(&DEPLOYMENT, Some(&scaled), &mut same, "other", "", at(9));
        assert_eq!(same, scaled, "who changes nothing is no manager, and what was noted stays");
        let mut with_status = scaled.clone();
        with_status["status"] = json!({ "replicas": 1 });
        track(&DEPLOYMENT, Some(&scaled), &mut with_status, "kcm", "status", at(4));
        let entry = &with_status["metadata"]["managedFields"][1];
        assert_eq!(
            (&entry["subresource"], &entry["fieldsV1"]),
            (&json!("status"), &json!({ "f:status": { "f:replicas": {} } }))
        );
    }

    #[test]
    fn objects_from_before_have_a_manager_for_all() {
        let refusal = apply(
            &DEPLOYMENT,
            Some(&body(json!({ "replicas": 1 }))),
            &body(json!({ "replicas": 2 })),
            &by("a", false, 1),
        )
        .unwrap_err();
        assert!(refusal.message.contains("\"before-first-apply\""), "{}", refusal.message);
    }

    #[test]
    fn what_cannot_be_applied_is_refused_in_the_words_of_the_real_server() {
        let mut managed = body(json!({}));
        managed["metadata"]["managedFields"] = json!([{ "manager": "x" }]);
        for (body, manager, code, message) in [
            (
                body(json!({})),
                "",
                422,
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ),
            (json!({ "spec": {} }), "x", 400, "invalid object type: /, Kind="),
            (managed, "x", 400, "metadata.managedFields must be nil"),
        ] {
            let refusal = apply(&DEPLOYMENT, None, &body, &by(manager, false, 1)).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
        }
        assert!(apply(&DEPLOYMENT, None, &json!([]), &by("x", false, 1)).is_err());
    }
}
