//! Requests under construction, as kubelets make them and as nobody should.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plimsoll_model::{AddressKind, CsrState, SigningRequest, Snapshot, Text, Timestamp};
use plimsoll_planner::csr::{CsrDecision, CsrQuestion, CsrRules, CsrVerdict, plan_csrs};
use plimsoll_planner::{Asked, CsrPolicy};
use rcgen::{KeyPair, PublicKeyData, SigningKey};

use crate::der::{alternative_names, common_name, dns, extension_request, ip, oid, organization, seq, tlv};
use crate::fixture::{NOW, World, machine, node};

pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
pub const SERVING: &str = "kubernetes.io/kubelet-serving";
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// Approves whatever it sees.
pub struct Generous;

impl CsrPolicy for Generous {
    fn review(&self, _: &Arc<Snapshot>, _: &CsrQuestion) -> Asked<CsrVerdict> {
        Asked { verdict: Some(CsrVerdict::Approve("why not".to_owned())), calls: vec![] }
    }
}

/// A request: its parts as DER, and what the API server adds.
#[derive(Clone)]
pub struct Draft {
    pub version: Vec<u8>,
    pub subject: Vec<Vec<u8>>,
    pub attributes: Vec<Vec<u8>>,
    /// Changes what is signed, before it is.
    pub info: fn(Vec<u8>) -> Vec<u8>,
    /// Changes the whole, after it is signed.
    pub whole: fn(Vec<u8>) -> Vec<u8>,
    pub pem: fn(String) -> String,
    pub signer: &'static str,
    pub usages: Vec<&'static str>,
    pub username: String,
    pub groups: Vec<&'static str>,
    pub expiration: Option<u32>,
    pub created: Option<Timestamp>,
    pub state: CsrState,
}

/// A serving request of node `n1` that is in order.
pub fn serving() -> Draft {
    Draft {
        version: vec![2, 1, 0],
        subject: subject("system:node:n1"),
        attributes: names(&[dns("n1.internal"), ip("10.0.0.1")]),
        info: |info| info,
        whole: |whole| whole,
        pem: |pem| pem,
        signer: SERVING,
        usages: vec!["digital signature", "key encipherment", "server auth"],
        username: "system:node:n1".to_owned(),
        groups: vec!["system:nodes", "system:authenticated"],
        expiration: None,
        created: Some(NOW),
        state: CsrState::Pending,
    }
}

/// The first client request of node `n9`, whose machine was launched and which has not joined.
pub fn client() -> Draft {
    Draft {
        subject: subject("system:node:n9"),
        attributes: vec![],
        signer: CLIENT,
        usages: vec!["digital signature", "client auth"],
        username: "system:bootstrap:abcdef".to_owned(),
        groups: vec!["system:bootstrappers", "system:authenticated"],
        ..serving()
    }
}

/// A client request of node `n1` for itself.
pub fn renewal() -> Draft {
    Draft {
        subject: subject("system:node:n1"),
        username: "system:node:n1".to_owned(),
        groups: vec!["system:nodes", "system:authenticated"],
        ..client()
    }
}

pub fn subject(name: &str) -> Vec<Vec<u8>> {
    vec![organization("system:nodes"), common_name(name)]
}

/// The attributes of a request for these alternative names.
pub fn names(names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![extension_request(&[alternative_names(names)])]
}

/// A serving request for these alternative names.
pub fn serving_for(all: &[Vec<u8>]) -> Draft {
    Draft { attributes: names(all), ..serving() }
}

/// Three machines: two that are nodes, and one that has yet to join.
pub fn world() -> World {
    let mut world = World::default().nodes([node("n1", "general", "a"), node("n2", "general", "a")]).machines([
        machine(
            "m1",
            Some("n1"),
            &[
                (AddressKind::Dns, "n1.internal"),
                (AddressKind::ExternalDns, "n1.example.com"),
                (AddressKind::Ip, "10.0.0.1"),
                (AddressKind::Ip, "fd00::1"),
            ],
        ),
        machine("m2", Some("n2"), &[(AddressKind::Dns, "n2.internal"), (AddressKind::Ip, "10.0.0.2")]),
        machine("m9", None, &[(AddressKind::Dns, "n9"), (AddressKind::Ip, "10.0.0.9")]),
    ]);
    // Each of its own making: a name that both would have is nobody's.
    world = world.machines([
        machine("m3", Some("n3"), &[(AddressKind::Dns, "shared.internal"), (AddressKind::Ip, "10.0.0.34")]),
        machine("m4", Some("n4"), &[(AddressKind::Dns, "shared.internal"), (AddressKind::Ip, "10.0.0.34")]),
    ]);
    world
}

impl Draft {
    /// The DER of the request, signed by a new key.
    pub fn der(&self) -> Vec<u8> {
        self.signed_by(&KeyPair::generate().unwrap())
    }

    pub fn signed_by(&self, key: &KeyPair) -> Vec<u8> {
        let mut attributes = self.attributes.clone();
        attributes.sort();
        let info = seq(&[
            self.version.clone(),
            seq(&self.subject),
            key.subject_public_key_info(),
            tlv(0xa0, &attributes.concat()),
        ]);
        let info = (self.info)(info);
        let signature = [vec![0], key.sign(&info).unwrap()].concat();
        (self.whole)(seq(&[info, seq(&[oid(ECDSA_SHA256)]), tlv(3, &signature)]))
    }

    pub fn text(&self) -> Vec<u8> {
        (self.pem)(pem(&self.der())).into_bytes()
    }

    pub fn request(&self) -> SigningRequest {
        self.request_of(self.text())
    }

    /// The same object with another `spec.request`.
    pub fn request_of(&self, text: Vec<u8>) -> SigningRequest {
        SigningRequest {
            name: "csr-1".into(),
            signer: self.signer.into(),
            pem: text,
            usages: self.usages.iter().map(|usage| Text::from(*usage)).collect(),
            username: self.username.as_str().into(),
            groups: self.groups.iter().map(|group| Text::from(*group)).collect(),
            expiration_seconds: self.expiration,
            created: self.created,
            state: self.state,
        }
    }

    pub fn decision(&self) -> CsrDecision {
        decide(world(), self.request())
    }

    pub fn approved(&self) -> bool {
        matches!(self.decision().verdict, CsrVerdict::Approve(_))
    }
}

/// What becomes of one request in a world, with the policy that approves everything.
pub fn decide(world: World, request: SigningRequest) -> CsrDecision {
    decide_by(world, request, &CsrRules::default())
}

pub fn decide_by(mut world: World, request: SigningRequest, rules: &CsrRules) -> CsrDecision {
    world.builder.add_signing_request(request);
    let mut plan = plan_csrs(&world.build(), NOW, rules, &Generous);
    assert_eq!(plan.decisions.len(), 1);
    plan.decisions.remove(0)
}

pub fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n"))
}
