//! The little protobuf that kubectl insists on, as JSON.
//!
//! `kubectl certificate approve`, `auth can-i` and `create` send `k8s\0` and a `runtime.Unknown`, and do not fall back to
//! JSON when that is refused (seen with 1.32 and 1.37).

mod messages;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::messages::{Field, Shape};
use super::refusal::Refusal;
use super::time;

/// The content type of such bodies.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// Deeper messages than this are refused.
const MAX_DEPTH: usize = 16;

/// The object in a body, or why there is none: 415 for kinds that are not read.
pub fn decode(body: &[u8]) -> Result<Value, Refusal> {
    let bad = || Refusal::bad_request("the body is not a protobuf message of Kubernetes");
    let unknown = body.strip_prefix(MAGIC).ok_or_else(bad)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), None);
    for (number, wire) in fields(unknown) {
        match (number, wire.ok_or_else(bad)?) {
            (1, Wire::Bytes(meta)) => {
                for (number, wire) in fields(meta) {
                    match (number, wire.ok_or_else(bad)?) {
                        (1, Wire::Bytes(text)) => api_version = String::from_utf8_lossy(text).into_owned(),
                        (2, Wire::Bytes(text)) => kind = String::from_utf8_lossy(text).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = Some(bytes),
            _ => {}
        }
    }
    let Some(message) = messages::of(&kind, &api_version) else {
        let text = format!("{kind} in {api_version} is not read as protobuf here; send application/json");
        return Err(Refusal::unsupported_media_type(text));
    };
    let mut object = raw.and_then(|raw| decode_message(message, raw, 0)).ok_or_else(bad)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}

fn decode_message(message: &[Field], bytes: &[u8], depth: usize) -> Option<Map<String, Value>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut object = Map::new();
    for (number, wire) in fields(bytes) {
        let wire = wire?;
        let Some(field) = message.iter().find(|field| field.number == number) else { continue };
        if let Shape::Map(of) = field.shape {
            let (key, value) = entry(of, wire, depth)?;
            if let Value::Object(map) = object.entry(field.name).or_insert_with(|| json!({})) {
                map.insert(key, value);
            }
            continue;
        }
        let value = decode_value(&field.shape, wire, depth)?;
        // An empty text or zero is how Go writes what is not there.
        let absent = matches!(&value, Value::Null) || value == "" || (!field.repeated && value == json!({}));
        match object.get_mut(field.name).and_then(Value::as_array_mut) {
            Some(list) if field.repeated => list.push(value),
            _ if field.repeated => {
                object.insert(field.name.to_owned(), Value::Array(vec![value]));
            }
            _ if absent && !matches!(field.shape, Shape::Message(_)) => {}
            _ => {
                object.insert(field.name.to_owned(), value);
            }
        }
    }
    Some(object)
}

fn decode_value(shape: &Shape, wire: Wire<'_>, depth: usize) -> Option<Value> {
    Some(match (shape, wire) {
        (Shape::Integer, Wire::Number(number)) => number.cast_signed().into(),
        (Shape::Bool, Wire::Number(number)) => (number != 0).into(),
        (Shape::Text, Wire::Bytes(bytes)) => std::str::from_utf8(bytes).ok()?.into(),
        (Shape::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Shape::Message(message), Wire::Bytes(bytes)) => decode_message(message, bytes, depth + 1)?.into(),
        (Shape::Time, Wire::Bytes(bytes)) => moment(bytes)?.map_or(Value::Null, time::seconds),
        (Shape::MicroTime, Wire::Bytes(bytes)) => moment(bytes)?.map_or(Value::Null, time::micros),
        (Shape::RawJson, Wire::Bytes(bytes)) => fields(bytes)
            .find_map(|(number, wire)| match wire {
                Some(Wire::Bytes(raw)) if number == 1 => serde_json::from_slice(raw).ok(),
                _ => None,
            })
            .unwrap_or(Value::Null),
        (Shape::IntOrText, Wire::Bytes(bytes)) => {
            let (mut is_text, mut value, mut text) = (false, Value::from(0), Value::Null);
            for (number, wire) in fields(bytes) {
                match (number, wire?) {
                    (1, Wire::Number(kind)) => is_text = kind == 1,
                    (2, wire) => value = decode_value(&Shape::Integer, wire, depth)?,
                    (3, wire) => text = decode_value(&Shape::Text, wire, depth)?,
                    _ => {}
                }
            }
            if is_text { text } else { value }
        }
        (Shape::Texts, Wire::Bytes(bytes)) => {
            let text = |wire: Option<Wire<'_>>| match wire? {
                Wire::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(Value::from),
                Wire::Number(_) => None,
            };
            Value::Array(fields(bytes).map(|(_, wire)| text(wire)).collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    })
}

fn entry(of: &Shape, wire: Wire<'_>, depth: usize) -> Option<(String, Value)> {
    let Wire::Bytes(bytes) = wire else { return None };
    let (mut key, mut value) = (String::new(), Value::from(""));
    for (number, wire) in fields(bytes) {
        match (number, wire?) {
            (1, Wire::Bytes(text)) => key = std::str::from_utf8(text).ok()?.to_owned(),
            (2, wire) => value = decode_value(of, wire, depth + 1)?,
            _ => {}
        }
    }
    Some((key, value))
}

/// The time in a message; the zero time of Go is none.
fn moment(bytes: &[u8]) -> Option<Option<Timestamp>> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    for (number, wire) in fields(bytes) {
        match (number, wire?) {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => nanos = i32::try_from(number.cast_signed()).ok()?,
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Some(None);
    }
    Timestamp::new(seconds, nanos).ok().map(Some)
}

#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in order; the last is `None` where it cannot be read.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Option<Wire<'_>>)> {
    let mut broken = false;
    std::iter::from_fn(move || {
        if rest.is_empty() || broken {
            return None;
        }
        let read = (|| {
            let key = varint(&mut rest)?;
            let wire = match key & 7 {
                0 => Wire::Number(varint(&mut rest)?),
                1 => Wire::Bytes(take(&mut rest, 8)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    Wire::Bytes(take(&mut rest, length)?)
                }
                5 => Wire::Bytes(take(&mut rest, 4)?),
                _ => return None,
            };
            Some((key >> 3, Some(wire)))
        })();
        broken = read.is_none();
        Some(read.unwrap_or((0, None)))
    })
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        field.extend_from_slice(content);
        field
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
    }

    fn request() -> Vec<u8> {
        let label = [bytes(1, b"a"), bytes(2, b"b")].concat();
        let metadata =
            [bytes(1, b"c1"), bytes(3, b""), bytes(6, b"25"), vec![8 << 3 | 2, 2, 8, 10], bytes(11, &label)].concat();
        let extra = [bytes(1, b"k"), bytes(2, &[bytes(1, b"v"), bytes(1, b"w")].concat())].concat();
        let spec = [
            bytes(1, b"PEM"),
            bytes(2, b"me"),
            bytes(4, b"g"),
            bytes(4, b"h"),
            bytes(6, &extra),
            vec![8 << 3, 0xd8, 4],
        ]
        .concat();
        let condition = [bytes(1, b"Approved"), bytes(4, &[8, 60]), bytes(5, b""), bytes(6, b"True")].concat();
        [bytes(1, &metadata), bytes(2, &spec), bytes(3, &bytes(1, &condition))].concat()
    }

    #[test]
    fn a_signing_request_is_read() {
        assert_eq!(
            decode(&body("certificates.k8s.io/v1", "CertificateSigningRequest", &request())).unwrap(),
            json!({
                "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                "metadata": { "name": "c1", "resourceVersion": "25", "creationTimestamp": "1970-01-01T00:00:10Z", "labels": { "a": "b" } },
                "spec": { "request": "UEVN", "username": "me", "groups": ["g", "h"], "extra": { "k": ["v", "w"] }, "expirationSeconds": 600 },
                "status": { "conditions": [{ "type": "Approved", "status": "True", "lastUpdateTime": "1970-01-01T00:01:00Z" }] }
            })
        );
    }

    #[test]
    fn bounds_of_budgets_are_numbers_or_percentages() {
        let spec = |bound: &[u8]| bytes(2, &[bytes(1, bound), bytes(2, b"")].concat());
        for (bound, expected) in [(&[16, 3][..], json!(3)), (&[8, 1, 16, 0, 26, 2, b'5', b'%'], json!("5%"))] {
            let budget = decode(&body("policy/v1", "PodDisruptionBudget", &spec(bound))).unwrap();
            assert_eq!(budget["spec"], json!({ "minAvailable": expected, "selector": {} }));
        }
    }

    #[test]
    fn an_empty_group_in_a_rule_is_the_core() {
        let rule = [bytes(1, b"get"), bytes(2, b""), bytes(3, b"pods")].concat();
        let role = decode(&body("rbac.authorization.k8s.io/v1", "ClusterRole", &bytes(2, &rule))).unwrap();
        assert_eq!(role["rules"], json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"] }]));
    }

    #[test]
    fn other_kinds_and_torn_bodies_are_refused() {
        assert_eq!(decode(&body("v1", "Pod", b"")).unwrap_err().code, 415);
        assert_eq!(decode(b"{}").unwrap_err().code, 400);
        let whole = body("certificates.k8s.io/v1", "CertificateSigningRequest", &request());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            let mut torn = whole.clone();
            torn[at] ^= 0xff;
            let _ = decode(&torn);
        }
    }
}
