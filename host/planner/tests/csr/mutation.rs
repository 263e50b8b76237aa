//! Whatever is changed in a good request: what is still approved says what the good one said.

use std::sync::{Arc, Mutex};

use plimsoll_model::Snapshot;
use plimsoll_planner::csr::{CsrQuestion, CsrRules, CsrVerdict, plan_csrs};
use plimsoll_planner::{Asked, CsrPolicy};
use proptest::prelude::*;
use rcgen::KeyPair;

use crate::draft::*;
use crate::fixture::NOW;

/// Approves, and remembers what it approved.
#[derive(Default)]
struct Witness(Mutex<Vec<Seen>>);

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    node: String,
    dns_names: Vec<String>,
    ip_addresses: Vec<String>,
    sound: bool,
}

impl CsrPolicy for Witness {
    fn review(&self, _: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict> {
        self.0.lock().unwrap().push(Seen {
            node: question.node_name.clone(),
            dns_names: question.dns_names.clone(),
            ip_addresses: question.ip_addresses.clone(),
            sound: question.problems.is_empty(),
        });
        Asked { verdict: Some(CsrVerdict::Approve(String::new())), calls: vec![] }
    }
}

/// What was approved.
fn approved(draft: &Draft, text: Vec<u8>) -> Option<Seen> {
    let mut world = world();
    world.builder.add_signing_request(draft.request_of(text));
    let witness = Witness::default();
    let plan = plan_csrs(&world.build(), NOW, &CsrRules::default(), &witness);
    matches!(plan.decisions[0].verdict, CsrVerdict::Approve(_)).then(|| witness.0.into_inner().unwrap().remove(0))
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Flip(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Copy(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = 0..4_096_usize;
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place.clone(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        place.clone().prop_map(Change::Remove),
        (place.clone(), place, 1..32_usize).prop_map(|(from, to, length)| Change::Copy(from, to, length)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len().max(1);
        match *change {
            _ if bytes.is_empty() => {}
            Change::Set(at, byte) => bytes[at % length] = byte,
            Change::Flip(at, bit) => bytes[at % length] ^= 1 << bit,
            Change::Insert(at, byte) => bytes.insert(at % length, byte),
            Change::Remove(at) => drop(bytes.remove(at % length)),
            Change::Copy(from, to, count) => {
                let from = from % length;
                let piece = bytes[from..(from + count).min(length)].to_vec();
                let to = to % length;
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// The signature covers the rest, so a change is noticed wherever it is.
    #[test]
    fn a_changed_request_says_the_same_or_is_not_approved(
        changes in prop::collection::vec(change(), 1..4),
        is_client in any::<bool>(),
        in_text in any::<bool>(),
    ) {
        let draft = if is_client { client() } else { serving() };
        let der = draft.der();
        let expected = approved(&draft, pem(&der).into_bytes()).unwrap();
        prop_assert!(expected.sound);
        let text = if in_text {
            changed(pem(&der).into_bytes(), &changes)
        } else {
            pem(&changed(der, &changes)).into_bytes()
        };
        if let Some(seen) = approved(&draft, text) {
            prop_assert_eq!(seen, expected);
        }
    }

    /// The same where the hostile party has the key and signs what it changed.
    #[test]
    fn a_changed_and_signed_request_says_the_same_or_is_not_approved(
        changes in prop::collection::vec(change(), 1..3),
        part in 0..3_usize,
    ) {
        let draft = serving();
        let key = KeyPair::generate().unwrap();
        let expected = approved(&draft, pem(&draft.signed_by(&key)).into_bytes()).unwrap();
        let mut edited = draft.clone();
        match part {
            0 => edited.subject = vec![changed(draft.subject.concat(), &changes)],
            1 => edited.attributes = vec![changed(draft.attributes.concat(), &changes)],
            _ => edited.version = changed(draft.version.clone(), &changes),
        }
        if let Some(seen) = approved(&draft, pem(&edited.signed_by(&key)).into_bytes()) {
            prop_assert_eq!(&seen.node, &expected.node);
            // Another case of a name is the same name, and fewer names are fewer rights.
            for name in &seen.dns_names {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                prop_assert!(["n1", "n1.internal", "n1.example.com"].contains(&name.as_str()), "{}", name);
            }
            for address in &seen.ip_addresses {
                prop_assert!(["10.0.0.1", "fd00::1"].contains(&address.as_str()), "{}", address);
            }
        }
    }

    /// Nothing that comes from outside panics.
    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..400), wrapped in any::<bool>()) {
        let text = if wrapped { pem(&bytes).into_bytes() } else { bytes };
        prop_assert_eq!(approved(&serving(), text), None);
    }
}
