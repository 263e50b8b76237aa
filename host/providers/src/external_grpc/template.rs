//! Nodes in the protobuf encoding of Kubernetes.
//!
//! Numbers: k8s.io/api/core/v1/generated.proto, k8s.io/apimachinery `runtime.Unknown`, `resource.Quantity`.

use std::collections::HashMap;

use plimsoll_model::{Quantity, Resources, Taint, TaintEffect, one_line};
use prost::Message;

use super::call::SHOWN;
use crate::NodeTemplate;
use crate::resources::resources;

/// Before an object in its envelope.
const ENVELOPE: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", optional, tag = "2")]
    raw: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, optional, tag = "1")]
    api_version: Option<String>,
    #[prost(string, optional, tag = "2")]
    kind: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeObject {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "2")]
    spec: Option<NodeSpec>,
    #[prost(message, optional, tag = "3")]
    status: Option<NodeStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(map = "string, string", tag = "11")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeSpec {
    #[prost(message, repeated, tag = "5")]
    taints: Vec<TaintObject>,
}

#[derive(Clone, PartialEq, Message)]
struct TaintObject {
    #[prost(string, optional, tag = "1")]
    key: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
    #[prost(string, optional, tag = "3")]
    effect: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeStatus {
    #[prost(map = "string, message", tag = "1")]
    capacity: HashMap<String, Amount>,
    #[prost(map = "string, message", tag = "2")]
    allocatable: HashMap<String, Amount>,
}

#[derive(Clone, PartialEq, Message)]
struct Amount {
    #[prost(string, optional, tag = "1")]
    string: Option<String>,
}

/// Reads a template: a Node, with or without envelope. The error says what is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<NodeTemplate, String> {
    let node = match bytes.strip_prefix(ENVELOPE) {
        None => NodeObject::decode(bytes),
        Some(envelope) => {
            let unknown = Unknown::decode(envelope).map_err(|error| format!("its envelope is broken: {error}"))?;
            let kind = unknown.type_meta.and_then(|meta| meta.kind).unwrap_or_default();
            if !kind.is_empty() && kind != "Node" {
                return Err(format!("it is a {}, not a Node", one_line(&kind, SHOWN)));
            }
            NodeObject::decode(unknown.raw.unwrap_or_default().as_slice())
        }
    };
    let node = node.map_err(|error| format!("it is no Node in protobuf: {error}"))?;
    let status = node.status.ok_or("it has no status, so nothing is known of its size")?;
    let capacity = amounts("capacity", status.capacity)?;
    let allocatable =
        if status.allocatable.is_empty() { capacity.clone() } else { amounts("allocatable", status.allocatable)? };
    let taints = node.spec.unwrap_or_default().taints.into_iter().map(taint).collect::<Result<_, _>>()?;
    let labels = node.metadata.unwrap_or_default().labels.into_iter().collect();
    Ok(NodeTemplate { labels, taints, capacity, allocatable })
}

/// A Node with this template, as a server would send it.
pub(super) fn encode(name: &str, template: &NodeTemplate, envelope: bool) -> Vec<u8> {
    let text = |text: &str| Some(text.to_owned());
    let amounts = |resources: &Resources| {
        let mut all = HashMap::from([
            ("cpu".to_owned(), resources.cpu.to_string()),
            ("memory".to_owned(), resources.memory.0.to_string()),
            ("ephemeral-storage".to_owned(), resources.ephemeral_storage.0.to_string()),
            ("pods".to_owned(), resources.pods.to_string()),
        ]);
        all.extend(resources.extended().iter().map(|(name, amount)| (name.to_string(), amount.to_string())));
        all.into_iter().map(|(name, amount)| (name, Amount { string: Some(amount) })).collect()
    };
    let node = NodeObject {
        metadata: Some(Metadata {
            name: text(name),
            labels: template.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        }),
        spec: Some(NodeSpec {
            taints: template
                .taints
                .iter()
                .map(|taint| TaintObject {
                    key: text(&taint.key),
                    value: text(&taint.value),
                    effect: text(taint.effect.name()),
                })
                .collect(),
        }),
        status: Some(NodeStatus { capacity: amounts(&template.capacity), allocatable: amounts(&template.allocatable) }),
    };
    let plain = node.encode_to_vec();
    if !envelope {
        return plain;
    }
    let unknown =
        Unknown { type_meta: Some(TypeMeta { api_version: text("v1"), kind: text("Node") }), raw: Some(plain) };
    [ENVELOPE, &unknown.encode_to_vec()].concat()
}

fn amounts(which: &str, all: HashMap<String, Amount>) -> Result<Resources, String> {
    let all = all.into_iter().map(|(name, amount)| {
        let text = amount.string.unwrap_or_default();
        match Quantity::parse_amount(&text) {
            Ok(quantity) => Ok((name, quantity)),
            Err(error) => Err(format!("its {which} of {} cannot be read: {error}", one_line(&name, SHOWN))),
        }
    });
    Ok(resources(all.collect::<Result<Vec<_>, _>>()?))
}

fn taint(object: TaintObject) -> Result<Taint, String> {
    let effect = object.effect.unwrap_or_default();
    let key = object.key.unwrap_or_default();
    match TaintEffect::parse(&effect) {
        Some(effect) => Ok(Taint { key: key.into(), value: object.value.unwrap_or_default().into(), effect }),
        None => {
            Err(format!("its taint {} has no effect that is known: \"{}\"", one_line(&key, 80), one_line(&effect, 40)))
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Bytes, MilliCpu};

    use super::*;

    fn template() -> NodeTemplate {
        let mut capacity = Resources {
            cpu: MilliCpu(4000),
            memory: Bytes(16 << 30),
            ephemeral_storage: Bytes(100 << 30),
            pods: 58,
            ..Resources::default()
        };
        capacity.set_extended("nvidia.com/gpu".into(), 1);
        let mut allocatable = capacity.clone();
        allocatable.cpu = MilliCpu(3920);
        let taint = |value: &str, effect| Taint { key: "team".into(), value: value.into(), effect };
        NodeTemplate {
            labels: [("topology.kubernetes.io/zone", "a"), ("team", "x")].into_iter().collect(),
            taints: vec![taint("x", TaintEffect::NoSchedule), taint("", TaintEffect::NoExecute)],
            capacity,
            allocatable,
        }
    }

    #[test]
    fn a_template_is_read_with_and_without_envelope() {
        for envelope in [false, true] {
            assert_eq!(decode(&encode("t", &template(), envelope)), Ok(template()), "{envelope}");
        }
    }

    /// Bytes as `protoc --encode` writes them: numbers and lengths by hand.
    #[test]
    fn the_numbers_are_those_of_kubernetes() {
        let field = |number: u8, body: &[u8]| {
            let length = u8::try_from(body.len()).expect("short");
            [&[number << 3 | 2, length], body].concat()
        };
        let entry = |key: &str, value: Vec<u8>| [field(1, key.as_bytes()), field(2, &value)].concat();
        let metadata = [field(1, b"n"), field(11, &entry("a", b"b".to_vec()))].concat();
        let taint = [field(1, b"k"), field(3, b"NoSchedule")].concat();
        // providerID (3) before, addresses (5) of the status after: both are left out.
        let spec = [field(3, b"x://1"), field(5, &taint)].concat();
        let status = [field(1, &entry("cpu", field(1, b"1500m"))), field(5, &field(1, b"Hostname"))].concat();
        let node = [field(1, &metadata), field(2, &spec), field(3, &status)].concat();
        let read = decode(&node).expect("a node");
        assert_eq!(read.labels.get("a").map(|value| value.as_str()), Some("b"));
        assert_eq!(read.taints[0].to_string(), "k:NoSchedule");
        assert_eq!((read.capacity.cpu, read.allocatable.cpu), (MilliCpu(1500), MilliCpu(1500)));
    }

    #[test]
    fn broken_templates_are_said_to_be_broken() {
        let good = encode("t", &template(), false);
        let mut bad_effect = template();
        bad_effect.labels = Default::default();
        let replaced = |from: &str, to: &str| {
            let text = good.windows(from.len()).position(|window| window == from.as_bytes()).expect("there");
            let mut bytes = good.clone();
            bytes[text..text + from.len()].copy_from_slice(to.as_bytes());
            bytes
        };
        let enveloped = encode("t", &template(), true);
        for (bytes, says) in [
            (Vec::new(), "no status"),
            (good[..good.len() - 3].to_vec(), "no Node in protobuf"),
            (b"{\"kind\":\"Node\"}".to_vec(), "no Node in protobuf"),
            (enveloped[..9].to_vec(), "envelope is broken"),
            (replaced("NoExecute", "NoExecutf"), "NoExecutf"),
            (replaced("3920m", "39x0m"), "allocatable of cpu"),
            (replaced("3920m", "-920m"), "negative"),
        ] {
            let error = decode(&bytes).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
        // Whatever comes, nothing panics.
        for end in 0..enveloped.len() {
            let _ = decode(&enveloped[..end]);
            let _ = decode(&enveloped[end..]);
        }
    }
}
