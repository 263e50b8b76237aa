//! What the inventory knows decides whose a request is.

use plimsoll_model::{AddressKind, Machine, Millis, Node, Timestamp};
use plimsoll_planner::csr::{Check, CsrDecision, CsrRules, CsrVerdict, Outcome};

use crate::der::{dns, ip};
use crate::draft::*;
use crate::fixture::{NOW, World, machine, node};

use AddressKind::{Dns, ExternalDns, Ip};

fn before(seconds: u64) -> Option<Timestamp> {
    Some(Timestamp(NOW.0 - seconds * 1000))
}

fn failed(decision: &CsrDecision) -> Vec<Check> {
    assert!(matches!(decision.verdict, CsrVerdict::Leave(_)), "{:?}", decision.verdict);
    decision.findings.iter().filter(|finding| finding.outcome == Outcome::Failed).map(|f| f.check).collect()
}

fn retried(decision: &CsrDecision) -> Vec<Check> {
    assert!(matches!(decision.verdict, CsrVerdict::Retry(_)), "{:?}", decision.verdict);
    decision.findings.iter().filter(|finding| finding.outcome == Outcome::Unknown).map(|f| f.check).collect()
}

fn approves(machines: impl IntoIterator<Item = Machine>, nodes: impl IntoIterator<Item = Node>, draft: &Draft) -> bool {
    let world = World::default().machines(machines).nodes(nodes);
    matches!(decide(world, draft.request()).verdict, CsrVerdict::Approve(_))
}

fn joining() -> Machine {
    machine("m9", None, &[(Dns, "n9")])
}

#[test]
fn a_machine_is_known_by_what_it_calls_itself() {
    for (known, machine) in [
        (true, joining()),
        (true, machine("m9", None, &[(Dns, "N9."), (Ip, "10.0.0.9")])),
        (true, machine("m9", None, &[(Dns, "other"), (Dns, "n9")])),
        // Without a name of its own, what the inventory calls it.
        (true, machine("n9", None, &[])),
        (true, machine("n9", None, &[(Ip, "10.0.0.9")])),
        (false, machine("n9", None, &[(Dns, "n8")])),
        (false, machine("m9", None, &[(ExternalDns, "n9")])),
        (false, machine("m9", None, &[(Dns, "n9.internal")])),
        (false, machine("m9", Some("n8"), &[(Dns, "n9")])),
        // It has been n9 already.
        (false, machine("m9", Some("n9"), &[(Dns, "n9")])),
    ] {
        assert_eq!(approves([machine.clone()], [], &client()), known, "{machine:?}");
    }
}

#[test]
fn a_first_certificate_is_for_a_machine_that_was_just_launched() {
    let launched = |created| Machine { created, ..joining() };
    assert!(approves([launched(before(7_200))], [], &client()));
    assert!(!approves([launched(before(7_201))], [], &client()));
    assert!(approves([launched(Some(Timestamp(NOW.0 + 10_000)))], [], &client()));
    assert!(!approves([launched(Some(Timestamp(NOW.0 + 10_001)))], [], &client()));
    assert!(!approves([launched(None)], [], &client()));
    // In time when it was made, but too late now.
    let old = Draft { created: before(3_600), ..client() };
    assert!(approves([launched(before(7_100))], [], &old));
    assert!(!approves([launched(before(7_300))], [], &old));
    let timeless = Draft { created: None, ..client() };
    assert!(approves([launched(None)], [], &timeless));
    assert!(!approves([launched(before(7_201))], [], &timeless));
}

#[test]
fn whoever_has_joined_joins_no_more() {
    let decision =
        decide(World::default().machines([joining()]).nodes([node("n9", "general", "a")]), client().request());
    assert_eq!(failed(&decision), [Check::Node]);
    // What stands for a node that is awaited is none.
    let awaited = Node { launching: true, ..node("n9", "general", "a") };
    assert!(approves([joining()], [awaited], &client()));
    // And who has not joined renews nothing.
    let alone = World::default().machines([machine("m1", Some("n1"), &[(Ip, "10.0.0.1")])]);
    assert_eq!(failed(&decide(alone, renewal().request())), [Check::Node]);
}

#[test]
fn what_is_being_deleted_gets_nothing() {
    let m1 = || machine("m1", Some("n1"), &[(Dns, "n1.internal"), (Ip, "10.0.0.1")]);
    let n1 = || node("n1", "general", "a");
    for draft in [serving(), renewal()] {
        assert!(approves([m1()], [n1()], &draft));
        assert!(!approves([Machine { deleting: true, ..m1() }], [n1()], &draft));
        assert!(!approves([m1()], [Node { deleting: true, ..n1() }], &draft));
    }
    assert!(!approves([Machine { deleting: true, ..joining() }], [], &client()));
}

#[test]
fn two_machines_of_one_name_get_nothing() {
    let (one, other) = (joining(), Machine { name: "m8".into(), ..joining() });
    let decision = decide(World::default().machines([one, other]), client().request());
    assert!(failed(&decision).contains(&Check::Machine));
    // The old one is on its way out, the new one has its name: nobody can tell who asks.
    let old = Machine { deleting: true, ..machine("m1", Some("n1"), &[(Dns, "n1"), (Ip, "10.0.0.1")]) };
    let new = machine("m1b", None, &[(Dns, "n1"), (Ip, "10.0.0.1")]);
    let draft = serving_for(&[dns("n1")]);
    assert!(!approves([old, new.clone()], [node("n1", "general", "a")], &draft));
    // The old one is gone and its node is left.
    assert!(!approves([new.clone()], [node("n1", "general", "a")], &draft));
    let joined = Node { created: before(60), ..node("n1", "general", "a") };
    assert!(approves([new.clone()], [joined], &draft));
    // A cluster that moved to another inventory: the inventory itself says which node it is.
    assert!(approves([Machine { node: Some("n1".into()), ..new }], [node("n1", "general", "a")], &draft));
}

#[test]
fn what_two_machines_claim_is_neithers() {
    let both = |draft: Draft, name: &str| {
        let draft = Draft {
            subject: subject(&format!("system:node:{name}")),
            username: format!("system:node:{name}"),
            ..draft
        };
        decide(world(), draft.request())
    };
    for name in ["n3", "n4"] {
        assert_eq!(failed(&both(serving_for(&[dns("shared.internal")]), name)), [Check::ForeignNames]);
        assert_eq!(failed(&both(serving_for(&[ip("10.0.0.34")]), name)), [Check::ForeignNames]);
        assert_eq!(failed(&both(serving_for(&[ip("::ffff:10.0.0.34")]), name)), [Check::ForeignNames]);
        assert!(matches!(both(serving_for(&[dns(name)]), name).verdict, CsrVerdict::Approve(_)));
    }
    // Its own by the inventory, but another node goes by that name.
    let m1 = machine("m1", Some("n1"), &[(Dns, "control-1")]);
    let nodes = || [node("n1", "general", "a"), node("control-1", "general", "a")];
    assert!(!approves([m1.clone()], nodes(), &serving_for(&[dns("control-1")])));
    assert!(approves([m1], [node("n1", "general", "a")], &serving_for(&[dns("control-1")])));
}

#[test]
fn addresses_of_no_network_are_given_by_the_inventory_or_not_at_all() {
    let m1 = machine("m1", Some("n1"), &[(Ip, "127.0.0.1"), (Ip, "::"), (Dns, "169.254.1.1"), (Ip, "10.0.0.300")]);
    for (address, given) in
        [("127.0.0.1", true), ("::", true), ("169.254.1.1", true), ("127.0.0.2", false), ("::1", false)]
    {
        assert_eq!(approves([m1.clone()], [], &serving_for(&[ip(address)])), given, "{address}");
    }
}

#[test]
fn the_word_of_a_node_counts_for_nothing() {
    let stated = plimsoll_model::Address { kind: Ip, value: "10.0.0.77".into() };
    let n1 = Node { addresses: vec![stated], ..node("n1", "general", "a") };
    let m1 = machine("m1", Some("n1"), &[(Ip, "10.0.0.1")]);
    assert!(!approves([m1], [n1], &serving_for(&[ip("10.0.0.77")])));
}

#[test]
fn too_little_is_known_yet() {
    let n1 = || node("n1", "general", "a");
    // A machine without addresses: all but its node's name may still become its own.
    let world = || World::default().machines([machine("m1", Some("n1"), &[])]).nodes([n1()]);
    assert_eq!(retried(&decide(world(), serving().request())), [Check::OwnNames]);
    assert!(matches!(decide(world(), serving_for(&[dns("n1")]).request()).verdict, CsrVerdict::Approve(_)));
    // But what never can be its own is not waited for.
    assert_eq!(failed(&decide(world(), serving_for(&[dns("*.corp")]).request())), [Check::ForbiddenNames]);
    // No inventory at all.
    assert!(retried(&decide(World::default().nodes([n1()]), serving().request())).contains(&Check::Machine));
    assert_eq!(retried(&decide(World::default(), client().request())), [Check::Machine]);
    // A machine of which nothing is known may be it; one that has a name, is old or leaves may not.
    let waits = |machine: Machine| {
        let decision = decide(World::default().machines([machine]), client().request());
        matches!(decision.verdict, CsrVerdict::Retry(_))
    };
    assert!(waits(machine("m9", None, &[(Ip, "10.0.0.9")])));
    assert!(waits(machine("m9", None, &[(ExternalDns, "n9")])));
    assert!(!waits(machine("m9", None, &[(Dns, "n8")])));
    assert!(!waits(machine("m9", Some("n8"), &[])));
    assert!(!waits(Machine { deleting: true, ..machine("m9", None, &[]) }));
    assert!(!waits(Machine { created: before(7_201), ..machine("m9", None, &[]) }));
    // Part of the cluster could not be read: the node may well be there.
    let rules = CsrRules { unknown: Some("a Node could not be read".to_owned()), ..CsrRules::default() };
    assert_eq!(retried(&decide_by(crate::draft::world(), client().request(), &rules)), [Check::Machine]);
    // A request that is wrong anyway is not looked at again.
    let strangers = Draft { username: "alice".to_owned(), groups: vec![], ..client() };
    assert_eq!(failed(&decide_by(crate::draft::world(), strangers.request(), &rules)), [Check::Requester]);
}

#[test]
fn a_node_that_could_not_be_read_is_there_all_the_same() {
    let rules = |node: &str| CsrRules { unread_nodes: vec![node.into()], ..CsrRules::default() };
    let world = || World::default().machines([joining(), machine("m1", Some("n1"), &[(Dns, "control-1")])]);
    assert_eq!(failed(&decide_by(world(), client().request(), &rules("n9"))), [Check::Node]);
    assert!(matches!(decide_by(world(), client().request(), &rules("n8")).verdict, CsrVerdict::Approve(_)));
    assert!(matches!(decide_by(world(), renewal().request(), &rules("n1")).verdict, CsrVerdict::Approve(_)));
    let control = serving_for(&[dns("control-1")]).request();
    assert_eq!(failed(&decide_by(world(), control.clone(), &rules("control-1"))), [Check::ForeignNames]);
    assert!(matches!(decide_by(world(), control, &rules("n8")).verdict, CsrVerdict::Approve(_)));
}

#[test]
fn unknown_nodes_are_left() {
    let draft = Draft { subject: subject("system:node:n7"), ..client() };
    assert_eq!(failed(&draft.decision()), [Check::Machine]);
    let draft = Draft { subject: subject("system:node:n7"), username: "system:node:n7".to_owned(), ..serving() };
    assert!(failed(&draft.decision()).starts_with(&[Check::Machine]));
    assert_eq!(CsrRules::default().join_window, Millis::from_secs(7_200));
}
