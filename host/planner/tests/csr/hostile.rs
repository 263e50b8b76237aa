//! Requests of people who should not get what they ask for.

use plimsoll_model::{CsrState, Timestamp};
use plimsoll_planner::csr::{Check, CsrDecision, CsrRules, CsrVerdict, Outcome};

use crate::der::*;
use crate::draft::*;
use crate::fixture::NOW;

/// Left because of this check.
fn left(decision: &CsrDecision) -> Vec<Check> {
    let CsrVerdict::Leave(reason) = &decision.verdict else { panic!("{:?}", decision.verdict) };
    assert!(!reason.is_empty() && reason.len() < 2_000, "{reason}");
    let failed = decision.findings.iter().filter(|finding| finding.outcome == Outcome::Failed);
    failed
        .inspect(|finding| assert!(!finding.detail.is_empty() && finding.detail.len() < 500))
        .map(|f| f.check)
        .collect()
}

/// What is refused is refused for the reason that is meant, not because the draft is broken elsewhere.
fn all_left(hostile: Vec<(&str, Check, Draft)>) {
    for (what, check, draft) in hostile {
        let decision = draft.decision();
        assert!(!draft.approved(), "{what}");
        assert_eq!(left(&decision), [check], "{what}: {:?}", decision.verdict);
    }
}

fn with_subject(subject: Vec<Vec<u8>>) -> Draft {
    Draft { subject, ..client() }
}

fn named(name: &str) -> Draft {
    with_subject(subject(name))
}

fn with_attributes(attributes: Vec<Vec<u8>>) -> Draft {
    Draft { attributes, ..serving() }
}

fn asking(extensions: &[Vec<u8>]) -> Draft {
    with_attributes(vec![extension_request(extensions)])
}

fn own() -> Vec<u8> {
    alternative_names(&[ip("10.0.0.1")])
}

#[test]
fn the_text_around_it() {
    let with_pem = |pem| Draft { pem, ..serving() };
    all_left(vec![
        ("nothing", Check::Pem, with_pem(|_| String::new())),
        ("text after the block", Check::Pem, with_pem(|pem| pem + "x")),
        ("another block after it", Check::Pem, with_pem(|pem| pem.clone() + &pem)),
        ("text before the block", Check::Pem, with_pem(|pem| format!("hello\n{pem}"))),
        ("a line before the block", Check::Pem, with_pem(|pem| format!("\n{pem}"))),
        ("headers", Check::Pem, with_pem(|pem| pem.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1))),
        ("another label", Check::Pem, with_pem(|pem| pem.replace("CERTIFICATE REQUEST", "CERTIFICATE"))),
        ("the older label", Check::Pem, with_pem(|pem| pem.replace("CERTIFICATE", "NEW CERTIFICATE"))),
        ("two labels", Check::Pem, with_pem(|pem| pem.replace("END CERTIFICATE REQUEST", "END CERTIFICATE"))),
        ("a broken letter", Check::Pem, with_pem(|pem| pem.replacen('M', "!", 1))),
        ("half of it", Check::Pem, with_pem(|pem| pem[..pem.len() / 2].to_owned())),
        ("an empty line", Check::Pem, with_pem(|pem| pem.replacen('\n', "\n\n", 1))),
        ("blanks", Check::Pem, with_pem(|pem| pem.replacen('\n', "\n ", 1))),
        ("a NUL", Check::Pem, with_pem(|pem| pem + "\0")),
        (
            "one long line",
            Check::Pem,
            with_pem(|pem| {
                let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
                format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
            }),
        ),
        ("too large", Check::Size, with_pem(|pem| pem + &"\n".repeat(70_000))),
    ]);
    for bytes in [vec![0xff; 10_000], vec![0; 100], vec![0x30; 5_000_000]] {
        let decision = decide(world(), serving().request_of(bytes));
        assert!(matches!(decision.verdict, CsrVerdict::Leave(_)));
    }
}

#[test]
fn the_bytes_of_it() {
    let with_whole = |whole| Draft { whole, ..serving() };
    let with_info = |info| Draft { info, ..serving() };
    fn relength(mut whole: Vec<u8>, length: &[u8]) -> Vec<u8> {
        // The outer length takes three bytes: 0x82 and two more.
        assert_eq!(whole[1], 0x82);
        whole.splice(1..4, length.iter().copied());
        whole
    }
    let unsorted = |parts: &[Vec<u8>]| {
        let mut parts = parts.to_vec();
        parts.sort();
        parts.reverse();
        unsorted_set(&parts)
    };
    let units = [pair(ORGANIZATIONAL_UNIT, UTF8, "a"), pair(ORGANIZATIONAL_UNIT, UTF8, "b")];
    all_left(vec![
        (
            "a byte after it",
            Check::Der,
            with_whole(|mut whole| {
                whole.push(0);
                whole
            }),
        ),
        (
            "a byte less",
            Check::Der,
            with_whole(|mut whole| {
                whole.pop();
                whole
            }),
        ),
        ("a whole request after it", Check::Der, with_whole(|whole| [whole.clone(), whole].concat())),
        ("no end", Check::Der, with_whole(|whole| relength(whole, &[0x80]))),
        (
            "a long length",
            Check::Der,
            with_whole(|whole| {
                let (high, low) = (whole[2], whole[3]);
                relength(whole, &[0x83, 0, high, low])
            }),
        ),
        ("a negative length", Check::Der, with_whole(|whole| relength(whole, &[0x84, 0xff, 0xff, 0xff, 0xff]))),
        ("an absurd length", Check::Der, with_whole(|whole| relength(whole, &[0xfe]))),
        ("another version", Check::Der, Draft { version: vec![2, 1, 1], ..serving() }),
        (
            "a set where a sequence belongs",
            Check::Der,
            with_whole(|mut whole| {
                whole[0] = 0x31;
                whole
            }),
        ),
        ("a version of another type", Check::Der, Draft { version: vec![0x0a, 1, 0], ..serving() }),
        (
            "a name of an extension of another type",
            Check::Der,
            asking(&[own(), seq(&[tlv(0x0d, BASIC_CONSTRAINTS), tlv(4, &seq(&[]))])]),
        ),
        (
            "an extension without a wrapper",
            Check::Der,
            asking(&[seq(&[oid(ALTERNATIVE_NAMES), seq(&[ip("10.0.0.1")])])]),
        ),
        ("no version", Check::Der, Draft { version: vec![], ..serving() }),
        ("a negative version", Check::Der, Draft { version: vec![2, 1, 0xff], ..serving() }),
        ("a long version", Check::Der, Draft { version: vec![2, 2, 0, 0], ..serving() }),
        (
            "something after the attributes",
            Check::Der,
            with_info(|info| {
                let header = 2 + usize::from(info[1].saturating_sub(0x80));
                tlv(0x30, &[&info[header..], &[5, 0]].concat())
            }),
        ),
        ("an unsorted set", Check::Der, with_subject([subject("system:node:n9"), vec![unsorted(&units)]].concat())),
        (
            "a kind of text that hides",
            Check::Der,
            with_subject(vec![organization("system:nodes"), part(COMMON_NAME, TELETEX, "system:node:n9")]),
        ),
        (
            "text of two bytes a letter",
            Check::Der,
            with_subject(vec![organization("system:nodes"), part(COMMON_NAME, BMP, "system:node:n9")]),
        ),
        (
            "text of four bytes a letter",
            Check::Der,
            with_subject(vec![organization("system:nodes"), part(COMMON_NAME, UNIVERSAL, "system:node:n9")]),
        ),
        (
            "text of the network",
            Check::Der,
            with_subject(vec![part(ORGANIZATION, IA5, "system:nodes"), common_name("system:node:n9")]),
        ),
        (
            "printable text that is not",
            Check::Der,
            with_subject(vec![organization("system:nodes"), part(COMMON_NAME, PRINTABLE, "system:node:n9*")]),
        ),
        (
            "text that is no text",
            Check::Der,
            with_subject(vec![
                organization("system:nodes"),
                set(&[seq(&[oid(COMMON_NAME), tlv(UTF8, &[0xff, 0xfe])])]),
            ]),
        ),
        (
            "extensions twice",
            Check::Der,
            with_attributes(vec![extension_request(&[own()]), extension_request(&[own()])]),
        ),
        (
            "two lists of extensions",
            Check::Der,
            with_attributes(vec![seq(&[
                oid(EXTENSION_REQUEST),
                set(&[seq(&[own()]), seq(&[alternative_names(&[ip("10.0.0.2")])])]),
            ])]),
        ),
        ("no list of extensions", Check::Der, with_attributes(vec![seq(&[oid(EXTENSION_REQUEST), set(&[])])])),
        ("names twice", Check::Der, asking(&[own(), alternative_names(&[ip("10.0.0.2")])])),
        (
            "a critical flag that is false",
            Check::Der,
            asking(&[flagged(ALTERNATIVE_NAMES, 0, &seq(&[ip("10.0.0.1")]))]),
        ),
        (
            "a critical flag of another value",
            Check::Der,
            asking(&[flagged(ALTERNATIVE_NAMES, 1, &seq(&[ip("10.0.0.1")]))]),
        ),
        (
            "something after the names",
            Check::Der,
            asking(&[extension(ALTERNATIVE_NAMES, &[seq(&[ip("10.0.0.1")]), vec![5, 0]].concat())]),
        ),
        ("an empty list of names", Check::Der, asking(&[alternative_names(&[])])),
        ("a name that is not ASCII", Check::Der, asking(&[alternative_names(&[dns("n1.intern\u{430}l")])])),
        ("usages with bits nobody reads", Check::Der, asking(&[own(), extension(KEY_USAGE, &tlv(3, &[5, 0xbf]))])),
        ("usages of two bytes", Check::Der, asking(&[own(), extension(KEY_USAGE, &tlv(3, &[7, 0xa0, 0x80]))])),
    ]);
}

#[test]
fn the_subject() {
    let nodes = || organization("system:nodes");
    let n9 = || common_name("system:node:n9");
    let both = || set(&[pair(ORGANIZATION, UTF8, "system:nodes"), pair(COMMON_NAME, UTF8, "system:node:n9")]);
    for (what, draft) in [
        ("none", with_subject(vec![n9()])),
        ("another", with_subject(vec![organization("nodes"), n9()])),
        ("another case", with_subject(vec![organization("System:Nodes"), n9()])),
        ("a letter of another alphabet", with_subject(vec![organization("s\u{443}stem:nodes"), n9()])),
        ("a blank", with_subject(vec![organization(" system:nodes"), n9()])),
    ] {
        assert!(left(&draft.decision()).contains(&Check::Organization), "{what}");
    }
    all_left(vec![
        ("a unit", Check::Subject, with_subject(vec![nodes(), part(ORGANIZATIONAL_UNIT, UTF8, "masters"), n9()])),
        ("both in one part", Check::Subject, with_subject(vec![both()])),
    ]);
    for name in [
        "system:node:",
        "admin",
        "system:nodes:n9",
        "System:node:n9",
        " system:node:n9",
        "system:node:n9 ",
        "system:node:n9\n",
        "system:node:n9\0.evil",
        "system:node:N9",
        "system:node:\u{578}9",
        "system:node:n9/x",
        "system:node:n9..x",
        "system:node:n9\u{200b}",
        "",
    ] {
        assert!(left(&named(name).decision()).contains(&Check::NodeName), "{name:?}");
    }
    let twice = with_subject(vec![nodes(), n9(), common_name("system:node:n1")]);
    assert!(left(&twice.decision()).starts_with(&[Check::Subject, Check::NodeName]));
    let doubled = with_subject(vec![nodes(), nodes(), n9()]);
    assert_eq!(left(&doubled.decision()), [Check::Subject, Check::Organization]);
    let endless = named(&format!("system:node:{}", "a".repeat(30_000)));
    assert!(left(&endless.decision()).contains(&Check::NodeName));
    assert!(left(&with_subject(vec![]).decision()).contains(&Check::Subject));
}

#[test]
fn signers_and_usages() {
    let usages = |usages: &[&'static str]| Draft { usages: usages.to_vec(), ..client() };
    let signer = |signer| Draft { signer, ..client() };
    all_left(vec![
        ("the signer of users", Check::Signer, signer("kubernetes.io/kube-apiserver-client")),
        ("the oldest signer", Check::Signer, signer("kubernetes.io/legacy-unknown")),
        ("upper case", Check::Signer, signer("kubernetes.io/Kubelet-Serving")),
        ("a blank", Check::Signer, signer("kubernetes.io/kubelet-serving ")),
        ("a letter of another alphabet", Check::Signer, signer("kubernetes.io/kubelet-s\u{435}rving")),
        ("no signer", Check::Signer, signer("")),
        ("server auth added", Check::Usages, usages(&["digital signature", "client auth", "server auth"])),
        ("server auth instead", Check::Usages, usages(&["digital signature", "server auth"])),
        ("a usage twice", Check::Usages, usages(&["digital signature", "client auth", "client auth"])),
        (
            "encipherment twice",
            Check::Usages,
            usages(&["digital signature", "client auth", "key encipherment", "key encipherment"]),
        ),
        ("one missing", Check::Usages, usages(&["client auth"])),
        ("another case", Check::Usages, usages(&["digital signature", "Client Auth"])),
        ("a blank", Check::Usages, usages(&["digital signature", "client auth "])),
        ("cert sign", Check::Usages, usages(&["digital signature", "client auth", "cert sign"])),
        ("any", Check::Usages, usages(&["any"])),
        ("none", Check::Usages, usages(&[])),
    ]);
}

#[test]
fn extensions() {
    let ca = |critical| {
        let value = seq(&[tlv(1, &[0xff])]);
        if critical { flagged(BASIC_CONSTRAINTS, 0xff, &value) } else { extension(BASIC_CONSTRAINTS, &value) }
    };
    let eku = |usages: &[&[u8]]| {
        extension(EXTENDED_KEY_USAGE, &seq(&usages.iter().map(|usage| oid(usage)).collect::<Vec<_>>()))
    };
    let usage = |bits: u8| extension(KEY_USAGE, &tlv(3, &[bits.trailing_zeros() as u8, bits]));
    let other = |kind: &[u8]| seq(&[oid(kind), set(&[seq(&[own()])])]);
    all_left(vec![
        ("an authority", Check::Extensions, asking(&[own(), ca(false)])),
        ("an authority, critically", Check::Extensions, asking(&[own(), ca(true)])),
        ("no authority, but it asks", Check::Extensions, asking(&[own(), extension(BASIC_CONSTRAINTS, &seq(&[]))])),
        ("client auth as well", Check::Extensions, asking(&[own(), eku(&[SERVER_AUTH, CLIENT_AUTH])])),
        ("client auth instead", Check::Extensions, asking(&[own(), eku(&[CLIENT_AUTH])])),
        ("no extended usage", Check::Extensions, asking(&[own(), eku(&[])])),
        ("cert sign", Check::Extensions, asking(&[own(), usage(0x84)])),
        ("no encipherment where asked", Check::Extensions, asking(&[own(), usage(0x80)])),
        ("encipherment alone", Check::Extensions, asking(&[own(), usage(0x20)])),
        ("an extension of its own", Check::Extensions, asking(&[own(), extension(&[0x2a, 3, 4], b"x")])),
        ("critical names", Check::Extensions, asking(&[flagged(ALTERNATIVE_NAMES, 0xff, &seq(&[ip("10.0.0.1")]))])),
        (
            "a password",
            Check::Extensions,
            with_attributes(vec![
                extension_request(&[own()]),
                seq(&[oid(CHALLENGE_PASSWORD), set(&[text(UTF8, "secret")])]),
            ]),
        ),
        (
            "names where others look for them",
            Check::Extensions,
            with_attributes(vec![extension_request(&[own()]), other(MICROSOFT_EXTENSIONS)]),
        ),
    ]);
    // Names that are not where they belong are none.
    let elsewhere = with_attributes(vec![other(MICROSOFT_EXTENSIONS)]);
    assert_eq!(left(&elsewhere.decision()), [Check::Extensions, Check::NameTypes]);
}

#[test]
fn alternative_names_of_the_wrong_type() {
    let own_and = |name: Vec<u8>| serving_for(&[ip("10.0.0.1"), name]);
    all_left(vec![
        ("names on a client certificate", Check::NameTypes, Draft { attributes: names(&[dns("n9")]), ..client() }),
        (
            "addresses on a client certificate",
            Check::NameTypes,
            Draft { attributes: names(&[ip("10.0.0.9")]), ..client() },
        ),
        ("none", Check::NameTypes, with_attributes(vec![])),
        ("none, with extensions", Check::NameTypes, asking(&[])),
        ("e-mail", Check::NameTypes, own_and(tlv(0x81, b"a@b.c"))),
        ("a URI", Check::NameTypes, own_and(tlv(0x86, b"spiffe://x"))),
        (
            "a name of its own type",
            Check::NameTypes,
            own_and(tlv(0xa0, &[oid(CLIENT_AUTH), tlv(0xa0, &text(UTF8, "x"))].concat())),
        ),
        ("a directory name", Check::NameTypes, own_and(tlv(0xa4, &seq(&subject("system:node:n1"))))),
        ("a registered ID", Check::NameTypes, own_and(tlv(0x88, CLIENT_AUTH))),
        ("an address of five bytes", Check::NameTypes, own_and(tlv(0x87, &[10, 0, 0, 1, 0]))),
        ("an address with a mask", Check::NameTypes, own_and(tlv(0x87, &[10, 0, 0, 1, 255, 255, 255, 255]))),
        ("an address of no bytes", Check::NameTypes, own_and(tlv(0x87, &[]))),
        ("101 times its own", Check::NameTypes, serving_for(&vec![ip("10.0.0.1"); 101])),
    ]);
    let many: Vec<Vec<u8>> = (0..10_000_u32).map(|at| tlv(0x87, &at.to_be_bytes())).collect();
    assert_eq!(left(&serving_for(&many).decision()), [Check::Size]);
    assert!(left(&serving_for(&many[..4_000]).decision()).contains(&Check::NameTypes));
}

#[test]
fn names_of_others() {
    use Check::{ForbiddenNames, ForeignNames, OwnNames};
    let table: Vec<(&str, Vec<Check>)> = vec![
        ("n1.internal.corp", vec![OwnNames]),
        ("n1.intern", vec![OwnNames]),
        ("n2.internal", vec![OwnNames, ForeignNames]),
        ("N2.INTERNAL.", vec![OwnNames, ForeignNames]),
        ("n2", vec![OwnNames, ForeignNames]),
        ("m1", vec![OwnNames]),
        ("*.internal", vec![ForbiddenNames, OwnNames]),
        ("*", vec![ForbiddenNames, OwnNames]),
        ("KUBERNETES", vec![ForbiddenNames, OwnNames]),
        ("db.shop.svc", vec![ForbiddenNames, OwnNames]),
        ("db.shop.Svc.cluster.local.", vec![ForbiddenNames, OwnNames]),
        ("localhost", vec![ForbiddenNames, OwnNames]),
        ("10.0.0.1", vec![ForbiddenNames, OwnNames]),
        ("n1..internal", vec![ForbiddenNames, OwnNames]),
        ("n1.internal..", vec![ForbiddenNames, OwnNames]),
        (" n1.internal", vec![ForbiddenNames, OwnNames]),
        ("n1.internal\0", vec![ForbiddenNames, OwnNames]),
        ("", vec![ForbiddenNames, OwnNames]),
    ];
    for (name, checks) in table {
        for names in [vec![dns(name)], vec![dns("n1"), ip("10.0.0.1"), dns(name)]] {
            let decision = serving_for(&names).decision();
            assert_eq!(left(&decision), checks, "{name:?}");
        }
    }
    let table: Vec<(&str, Vec<Check>)> = vec![
        ("10.0.0.2", vec![OwnNames, ForeignNames]),
        ("::ffff:10.0.0.2", vec![OwnNames, ForeignNames]),
        ("::10.0.0.1", vec![OwnNames]),
        ("64:ff9b::10.0.0.1", vec![OwnNames]),
        ("fd00::2", vec![OwnNames]),
        ("10.96.0.1", vec![OwnNames]),
        ("127.0.0.1", vec![OwnNames]),
        ("::1", vec![OwnNames]),
        ("0.0.0.0", vec![OwnNames]),
        ("255.255.255.255", vec![OwnNames]),
        ("169.254.169.254", vec![OwnNames]),
        ("224.0.0.1", vec![OwnNames]),
    ];
    for (address, checks) in table {
        for names in [vec![ip(address)], vec![dns("n1"), ip("10.0.0.1"), ip(address)]] {
            assert_eq!(left(&serving_for(&names).decision()), checks, "{address}");
        }
    }
}

#[test]
fn whoever_asks() {
    let who = |draft: Draft, username: &str, groups: &[&'static str]| Draft {
        username: username.to_owned(),
        groups: groups.to_vec(),
        ..draft
    };
    let (nodes, all) = (["system:nodes", "system:authenticated"], ["system:authenticated"]);
    all_left(vec![
        ("a stranger", Check::Requester, who(client(), "alice", &all)),
        ("an administrator", Check::Requester, who(client(), "admin", &["system:masters", "system:authenticated"])),
        ("nobody", Check::Requester, who(client(), "", &[])),
        ("a group that looks like it", Check::Requester, who(client(), "boot", &["system:bootstrappersx"])),
        ("a group without a name", Check::Requester, who(client(), "boot", &["system:bootstrappers:"])),
        ("another case of the group", Check::Requester, who(client(), "boot", &["System:Bootstrappers"])),
        ("the name of a token without its group", Check::Requester, who(client(), "system:bootstrap:abcdef", &all)),
        (
            "a name that looks like OpenShift's",
            Check::Requester,
            who(client(), "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper-not", &all),
        ),
        (
            "serving for a bootstrap identity",
            Check::Requester,
            who(serving(), "system:bootstrap:abcdef", &["system:bootstrappers", "system:authenticated"]),
        ),
        ("serving for a stranger", Check::Requester, who(serving(), "alice", &all)),
        ("not in the group of nodes", Check::Requester, who(serving(), "system:node:n1", &all)),
        ("not authenticated", Check::Requester, who(serving(), "system:node:n1", &["system:nodes"])),
        ("another case", Check::Requester, who(serving(), "system:node:N1", &nodes)),
        ("another case of the prefix", Check::Requester, who(serving(), "System:Node:n1", &nodes)),
        ("the prefix alone", Check::Requester, who(serving(), "system:node:", &nodes)),
        (
            "a group in another case",
            Check::Requester,
            who(serving(), "system:node:n1", &["System:Nodes", "system:authenticated"]),
        ),
    ]);
    // Who is no node renews nothing, and what is no first certificate is not one for a bootstrap identity.
    assert_eq!(left(&who(renewal(), "boot", &["system:bootstrappers"]).decision()), [Check::Node]);
}

#[test]
fn forged_identities_are_denied() {
    let masters = |draft: Draft| {
        let CsrVerdict::Deny(_) = draft.decision().verdict else { panic!("{:?}", draft.decision().verdict) };
        draft
    };
    let by_n2 = |draft: Draft| Draft {
        username: "system:node:n2".to_owned(),
        groups: vec!["system:nodes", "system:authenticated"],
        ..draft
    };
    let with = |organizations: &[&str], draft: Draft| {
        let mut subject: Vec<Vec<u8>> = organizations.iter().map(|name| organization(name)).collect();
        subject.push(common_name("system:node:n9"));
        Draft { subject, ..draft }
    };
    let forged = vec![
        masters(with(&["system:masters"], client())),
        masters(with(&["system:nodes", "system:masters"], client())),
        masters(with(&["system:masters", "system:nodes"], client())),
        masters(with(&["system:kube-controller-manager"], client())),
        masters(by_n2(serving())),
        masters(by_n2(renewal())),
        masters(by_n2(client())),
        masters(by_n2(named("kubernetes-admin"))),
        masters(by_n2(named("system:kube-scheduler"))),
        masters(Draft { subject: [subject("system:node:n1"), vec![common_name("admin")]].concat(), ..serving() }),
        masters(serving_for(&[dns("KUBERNETES.default.svc")])),
        masters(serving_for(&[dns("n1.internal"), dns("kubernetes.default")])),
        masters(serving_for(&[dns("kubernetes.default.svc.cluster.local.")])),
        masters(serving_for(&[dns("openshift.default.svc")])),
    ];
    let lenient = CsrRules { deny_forged: false, ..CsrRules::default() };
    for draft in forged {
        let decision = decide_by(world(), draft.request(), &lenient);
        assert!(!left(&decision).is_empty(), "without the rule it is left, never approved");
    }
}

#[test]
fn times() {
    let before = |seconds: u64| Some(Timestamp(NOW.0 - seconds * 1000));
    let expiring = |seconds| Draft { expiration: Some(seconds), ..serving() };
    // The fixture's machines were launched 120 s before NOW.
    let asked = |created| Draft { created, ..client() };
    assert!(asked(before(130)).approved());
    all_left(vec![
        ("no life", Check::Expiration, expiring(0)),
        ("too short a life", Check::Expiration, expiring(599)),
        ("too long a life", Check::Expiration, expiring(367 * 86_400 + 1)),
        ("the longest life there is", Check::Expiration, expiring(u32::MAX)),
        ("older than its machine", Check::JoinWindow, asked(before(131))),
        ("older than a day", Check::Age, Draft { created: before(86_401), ..serving() }),
    ]);
    assert!(Draft { created: before(86_400), ..serving() }.approved());
}

#[test]
fn what_is_decided_stays_decided() {
    for state in [CsrState::Approved, CsrState::Denied, CsrState::Failed] {
        assert_eq!(left(&Draft { state, ..serving() }.decision()), [Check::State]);
        let forged = Draft { state, username: "system:node:n2".to_owned(), ..serving() };
        assert_eq!(left(&forged.decision()), [Check::State]);
    }
}

#[test]
fn limits_can_be_set() {
    let strict = CsrRules {
        max_expiration: plimsoll_model::Millis::from_secs(3_600),
        forbidden_names: vec![plimsoll_planner::csr::NamePattern::parse("*.internal").unwrap()],
        forbidden_cidrs: vec![plimsoll_planner::csr::Cidr::parse("10.0.0.0/24").unwrap()],
        max_age: plimsoll_model::Millis::from_secs(60),
        join_window: plimsoll_model::Millis::from_secs(119),
        bootstrap_users: vec!["alice".into()],
        ..CsrRules::default()
    };
    let alone = |names: &[Vec<u8>]| decide_by(world(), serving_for(names).request(), &strict);
    assert_eq!(left(&alone(&[dns("n1.internal")])), [Check::ForbiddenNames]);
    assert_eq!(left(&alone(&[ip("10.0.0.1")])), [Check::ForbiddenNames]);
    assert!(matches!(alone(&[dns("n1")]).verdict, CsrVerdict::Approve(_)));
    let long = Draft { expiration: Some(3_601), ..serving_for(&[dns("n1")]) };
    assert_eq!(left(&decide_by(world(), long.request(), &strict)), [Check::Expiration]);
    let old = Draft { created: Some(Timestamp(NOW.0 - 61_000)), ..serving_for(&[dns("n1")]) };
    assert_eq!(left(&decide_by(world(), old.request(), &strict)), [Check::Age]);
    assert_eq!(left(&decide_by(world(), client().request(), &strict)), [Check::JoinWindow]);
    let alice = Draft { username: "alice".to_owned(), groups: vec![], ..client() };
    assert!(!alice.approved());
    let wide = CsrRules { join_window: plimsoll_model::Millis::from_secs(120), ..strict };
    assert!(matches!(decide_by(world(), alice.request(), &wide).verdict, CsrVerdict::Approve(_)));
}
