//! Reading objects of the API, which may hold anything.

use std::str::FromStr as _;

use plimsoll_model::{Address, AddressKind, Taint, TaintEffect, Text, Timestamp, one_line};
use serde_json::Value;

/// What is shown of a text that others wrote.
const SHOWN: usize = 300;

/// The text at a path, or nothing.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name").unwrap_or_default()
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace").unwrap_or_default()
}

/// `namespace/name`.
pub(crate) fn full_name(object: &Value) -> String {
    format!("{}/{}", namespace(object), name(object))
}

/// A map of texts at a path.
pub(crate) fn texts<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let entries = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"].get(key)?.as_str().filter(|value| !value.is_empty())
}

pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"].get(key)?.as_str()
}

pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(crate) fn created(object: &Value) -> Option<Timestamp> {
    let moment = jiff::Timestamp::from_str(text(object, "/metadata/creationTimestamp")?).ok()?;
    Some(Timestamp(u64::try_from(moment.as_millisecond()).ok()?))
}

pub(crate) fn deleting(object: &Value) -> bool {
    text(object, "/metadata/deletionTimestamp").is_some()
}

/// `status.addresses`, without what is none.
pub(crate) fn addresses(object: &Value) -> Vec<Address> {
    let read = |address: &Value| {
        let kind = AddressKind::parse(address["type"].as_str()?)?;
        let value = address["address"].as_str().filter(|value| !value.is_empty())?;
        Some(Address { kind, value: value.into() })
    };
    list(object, "/status/addresses").iter().filter_map(read).collect()
}

/// A list of taints, without those of unknown effect.
pub(crate) fn taints(object: &Value, pointer: &str) -> Vec<Taint> {
    let read = |taint: &Value| {
        let effect = TaintEffect::parse(taint["effect"].as_str()?)?;
        let value = taint["value"].as_str().unwrap_or_default();
        Some(Taint { key: taint["key"].as_str()?.into(), value: value.into(), effect })
    };
    list(object, pointer).iter().filter_map(read).collect()
}

/// Reason and message of a condition that is false.
pub(crate) fn false_condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, String)> {
    let condition = list(object, "/status/conditions")
        .iter()
        .find(|condition| condition["type"] == kind && condition["status"] == "False")?;
    let reason = condition["reason"].as_str().unwrap_or_default();
    let message = condition["message"].as_str().filter(|message| !message.is_empty()).unwrap_or(reason);
    Some((reason, one_line(message, SHOWN).into_owned()))
}

pub(crate) fn condition_is_true(object: &Value, kind: &str) -> bool {
    list(object, "/status/conditions")
        .iter()
        .any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Text of somebody else's as it may be shown.
pub(crate) fn shown(text: &str) -> Text {
    one_line(text, SHOWN).into_owned().into()
}
