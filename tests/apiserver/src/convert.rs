//! The same object in another version of its API.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::resource::{Form, Served};
use crate::store::Stored;

/// Core events and `events.k8s.io/v1` name the same fields differently (k8s.io/api: `core/v1` and `events/v1` types).
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The stored form of an object that came in.
pub(crate) fn to_stored(served: &Served, mut tree: Value) -> Value {
    if served.form == Form::NewEvents {
        rename(&mut tree, |(core, new)| (new, core));
    }
    set_type(&mut tree, &served.kind.api_version(), &served.kind.kind);
    tree
}

/// The asked form of a stored object.
pub(crate) fn from_stored(served: &Served, mut tree: Value) -> Value {
    if served.form == Form::NewEvents {
        rename(&mut tree, |(core, new)| (core, new));
    }
    set_type(&mut tree, &served.api_version(), &served.kind.kind);
    tree
}

/// The bytes of the asked form.
pub(crate) fn body(served: &Served, stored: &Stored) -> Bytes {
    match served.form {
        Form::Stored => stored.body().clone(),
        _ => Bytes::from(from_stored(served, stored.tree()).to_string()),
    }
}

fn set_type(tree: &mut Value, api_version: &str, kind: &str) {
    if let Value::Object(fields) = tree {
        fields.insert("apiVersion".to_owned(), api_version.into());
        fields.insert("kind".to_owned(), kind.into());
    }
}

fn rename(tree: &mut Value, direction: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Value::Object(fields) = tree else { return };
    let mut renamed = Map::new();
    for (name, value) in std::mem::take(fields) {
        let pair = EVENT_FIELDS.iter().map(|pair| direction(*pair)).find(|(from, _)| *from == name);
        renamed.insert(pair.map_or(name, |(_, to)| to.to_owned()), value);
    }
    *fields = renamed;
}
