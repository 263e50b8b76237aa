//! The ledger as it is written down.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use fixture::*;
use plimsoll_model::{Bytes, Lifecycle, Taint, TaintEffect, Text};
use plimsoll_planner::launch::{LaunchFailure, LaunchOutcome, Ledger, LedgerError, LedgerRules};
use plimsoll_planner::scale_up::{LaunchRequest, ScaleUpConfig};

fn read(text: &str) -> Result<Ledger, LedgerError> {
    Ledger::read(text, &"prod".into(), LedgerRules::default())
}

fn request(at: usize) -> LaunchRequest {
    let zone = format!("eu-west-1{}", char::from(b'a' + u8::try_from(at % 3).unwrap()));
    let kind = format!("m{}.{}xlarge", at % 9, at / 27 % 40);
    let labels = [
        ("topology.kubernetes.io/zone".to_owned(), zone.clone()),
        ("failure-domain.beta.kubernetes.io/zone".to_owned(), zone.clone()),
        ("node.kubernetes.io/instance-type".to_owned(), kind.clone()),
        ("beta.kubernetes.io/instance-type".to_owned(), kind.clone()),
        ("kubernetes.io/arch".to_owned(), "amd64".to_owned()),
        ("kubernetes.io/os".to_owned(), "linux".to_owned()),
        ("spotinst.io/node-lifecycle".to_owned(), "spot".to_owned()),
        ("karpenter.sh/capacity-type".to_owned(), "spot".to_owned()),
        ("plimsoll.dev/node-group".to_owned(), "general-purpose".to_owned()),
        ("topology.kubernetes.io/region".to_owned(), "eu-west-1".to_owned()),
        ("example.com/team".to_owned(), "platform".to_owned()),
    ];
    LaunchRequest {
        group: "general-purpose".into(),
        instance_type: kind.into(),
        zone: zone.into(),
        lifecycle: Lifecycle::Spot,
        count: 1 + u32::try_from(at % 2).unwrap(),
        labels: labels.into_iter().collect(),
        taints: vec![Taint { key: "team".into(), value: "x".into(), effect: TaintEffect::NoExecute }],
        subnet: Some("subnet-0123456789abcdef0".into()),
        iops: Some(3000),
        volume: Some(Bytes(100 << 30)),
    }
}

/// A thousand launches of nearly as many kinds, called and accepted with long names.
fn thousand() -> Ledger {
    let mut ledger = Ledger::new("prod".into(), LedgerRules::default());
    let config = ScaleUpConfig::default();
    let decision: Text = "01JD6Q0V3X9Z8Y7W6V5T4S3R2Q".into();
    for intent in ledger.intend((0..1000).map(request).collect(), NOW, &decision, 12) {
        ledger.baseline(&intent.id, Some(7), NOW);
        let name = |at| format!("ip-10-123-{at}-{}.eu-west-1.compute.internal", intent.id.0.len()).into();
        let nodes = (0..intent.request.count).map(name).collect();
        ledger.outcome(&intent.id, LaunchOutcome::Accepted { nodes }, &config, NOW);
    }
    ledger
}

#[test]
fn a_thousand_open_launches_fit_into_a_config_map() {
    let ledger = thousand();
    let text = ledger.write();
    assert_eq!(ledger.open().count(), 1000);
    assert!(text.len() < 400 << 10, "{} bytes", text.len());
    let again = read(&text).unwrap();
    assert_eq!(again, ledger);
    assert_eq!(again.write(), text);
}

#[test]
fn what_a_later_release_adds_is_passed_over() {
    let mut ledger = Ledger::new("prod".into(), LedgerRules::default());
    let id = ledger.intend(vec![request(0)], NOW, &"d".into(), 1).remove(0).id;
    let failed = LaunchOutcome::Failed(LaunchFailure::Quota("used up".to_owned()));
    ledger.outcome(&id, failed, &ScaleUpConfig::default(), NOW);
    ledger.intend(vec![request(0)], NOW, &"e".into(), 1);
    let text = ledger.write();
    let more = text.replace("{\"id\"", "{\"mood\":[1,{}],\"id\"").replacen("{", "{\"new\":null,", 1);
    assert_ne!(more, text);
    assert_eq!(read(&more), Ok(ledger));
    let least = read(r#"{"version":1,"cluster":"prod"}"#).unwrap();
    assert_eq!(least, Ledger::new("prod".into(), LedgerRules::default()));
}

#[test]
fn what_cannot_be_read_is_an_error_and_never_an_empty_ledger() {
    let text = {
        let mut ledger = Ledger::new("prod".into(), LedgerRules::default());
        ledger.intend(vec![request(0)], NOW, &"d".into(), 1);
        ledger.write()
    };
    assert!(read(&text).is_ok());
    for (name, broken, says) in [
        ("nothing", String::new(), "cannot be read"),
        ("null", "null".to_owned(), "cannot be read"),
        ("no version", "{}".to_owned(), "version"),
        ("version 0", text.replace("\"version\":1", "\"version\":0"), "format 0"),
        ("newer", text.replace("\"version\":1", "\"version\":2"), "format 2, and this release reads up to 1"),
        ("newer and different", r#"{"version":9000000000}"#.to_owned(), "format 9000000000"),
        ("another cluster", text.replace("prod", "test"), "is of cluster test, not of prod"),
        ("cut", text[..text.len() / 2].to_owned(), "cannot be read"),
        ("another lifecycle", text.replace("\"lifecycle\":\"spot\"", "\"lifecycle\":\"lent\""), "\"lent\""),
        ("another effect", text.replace("NoExecute", "Never"), "\"Never\" is no effect"),
        ("no such kind", text.replace("\"kind\":0", "\"kind\":1"), "no kind 1"),
        ("no such label", text.replace("\"labels\":[0,", "\"labels\":[99,"), "no label 99"),
        ("no such taint", text.replace("\"taints\":[0]", "\"taints\":[7]"), "no taint 7"),
        ("no node", text.replace("\"count\":1", "\"count\":0"), "of 0 nodes"),
        ("too many nodes", text.replace("\"count\":1", "\"count\":4000000000"), "of 4000000000 nodes"),
        ("another call", text.replace("\"call\":\"decided\"", "\"call\":\"dreamt\""), "dreamt"),
        ("huge", format!("{text}{}", " ".repeat(5 << 20)), "bytes"),
    ] {
        let error = read(&broken).map(|_| name).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    let (start, end) = (text.find("{\"id\"").unwrap(), text.find("],\"backoffs\"").unwrap());
    let launch = &text[start..end];
    let twice = text.replace(launch, &format!("{launch},{launch}"));
    assert!(read(&twice).unwrap_err().to_string().contains("in it twice"));
}
