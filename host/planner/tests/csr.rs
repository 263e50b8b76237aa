//! Certificates through the public face, with a policy that approves everything.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::net::IpAddr;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{AddressKind, CsrState, SigningRequest, Snapshot, Text};
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict, Requester, plan_csrs};
use plimsoll_planner::{Asked, CsrPolicy};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};

const CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING: &str = "kubernetes.io/kubelet-serving";

/// Approves whatever it sees.
struct Generous;

impl CsrPolicy for Generous {
    fn review(&self, _: &Arc<Snapshot>, _: &CsrQuestion) -> Asked<CsrVerdict> {
        Asked { verdict: Some(CsrVerdict::Approve("why not".to_owned())), calls: vec![] }
    }
}

/// A request under construction; as it starts, a serving request of node `n1` that is in order.
#[derive(Clone)]
struct Draft {
    signer: &'static str,
    common_name: String,
    organizations: Vec<&'static str>,
    names: Vec<SanType>,
    usages: Vec<&'static str>,
    username: &'static str,
    groups: Vec<&'static str>,
    state: CsrState,
    edit: fn(String) -> String,
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn ip(address: &str) -> SanType {
    SanType::IpAddress(address.parse::<IpAddr>().unwrap())
}

fn serving() -> Draft {
    Draft {
        signer: SERVING,
        common_name: "system:node:n1".to_owned(),
        organizations: vec!["system:nodes"],
        names: vec![dns("n1.internal"), ip("10.0.0.1")],
        usages: vec!["digital signature", "key encipherment", "server auth"],
        username: "system:node:n1",
        groups: vec!["system:nodes", "system:authenticated"],
        state: CsrState::Pending,
        edit: |pem| pem,
    }
}

/// A client request of machine `n9`, which has not joined.
fn client() -> Draft {
    Draft {
        signer: CLIENT,
        common_name: "system:node:n9".to_owned(),
        names: vec![],
        usages: vec!["digital signature", "client auth"],
        username: "system:bootstrap:abcdef",
        groups: vec!["system:bootstrappers", "system:authenticated"],
        ..serving()
    }
}

impl Draft {
    fn request(&self) -> SigningRequest {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.common_name.as_str());
        for (at, organization) in self.organizations.iter().enumerate() {
            // A second organization under a type of its own would be replaced, not added.
            let kind = if at == 0 { DnType::OrganizationName } else { DnType::OrganizationalUnitName };
            params.distinguished_name.push(kind, *organization);
        }
        params.subject_alt_names = self.names.clone();
        let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        SigningRequest {
            name: "csr-1".into(),
            signer: self.signer.into(),
            pem: (self.edit)(pem).into_bytes(),
            usages: self.usages.iter().map(|usage| Text::from(*usage)).collect(),
            username: self.username.into(),
            groups: self.groups.iter().map(|group| Text::from(*group)).collect(),
            expiration_seconds: None,
            created: Some(NOW),
            state: self.state,
        }
    }

    fn verdict(&self) -> CsrVerdict {
        let mut world = World::default().nodes([node("n1", "general", "a"), node("n2", "general", "a")]).machines([
            machine("m1", Some("n1"), &[(AddressKind::Dns, "n1.internal"), (AddressKind::Ip, "10.0.0.1")]),
            machine("m2", Some("n2"), &[(AddressKind::Dns, "n2.internal"), (AddressKind::Ip, "10.0.0.2")]),
            machine("m9", None, &[(AddressKind::Dns, "n9")]),
        ]);
        world.builder.add_signing_request(self.request());
        let plan = plan_csrs(&world.build(), NOW, &Generous);
        assert_eq!(plan.decisions.len(), 1);
        plan.decisions[0].verdict.clone()
    }
}

fn approved(draft: &Draft) -> bool {
    matches!(draft.verdict(), CsrVerdict::Approve(_))
}

#[test]
fn what_is_in_order_may_be_approved() {
    assert!(approved(&serving()));
    assert!(approved(&client()));
    let fine: [(&str, Draft); 7] = [
        ("its own address, dressed as IPv6", Draft { names: vec![ip("::ffff:10.0.0.1")], ..serving() }),
        ("no key encipherment", Draft { usages: vec!["server auth", "digital signature"], ..serving() }),
        ("address only", Draft { names: vec![ip("10.0.0.1")], ..serving() }),
        ("name only", Draft { names: vec![dns("n1.internal")], ..serving() }),
        ("its own name", Draft { names: vec![dns("n1")], ..serving() }),
        ("upper case and a dot", Draft { names: vec![dns("N1.Internal.")], ..serving() }),
        (
            "client renewal by the node itself",
            Draft {
                common_name: "system:node:n1".into(),
                username: "system:node:n1",
                groups: vec!["system:nodes"],
                ..client()
            },
        ),
    ];
    for (what, draft) in fine {
        assert!(approved(&draft), "{what}: {:?}", draft.verdict());
    }
}

#[test]
fn what_fails_a_check_is_never_approved() {
    let admin = || Draft { organizations: vec!["system:masters"], ..client() };
    let hostile: Vec<(&str, Draft)> = vec![
        ("organization of administrators", admin()),
        ("no organization", Draft { organizations: vec![], ..client() }),
        ("another signer", Draft { signer: "kubernetes.io/kube-apiserver-client", ..client() }),
        ("no node name", Draft { common_name: "system:node:".into(), ..client() }),
        ("a user's name", Draft { common_name: "admin".into(), ..client() }),
        ("server auth added", Draft { usages: vec!["digital signature", "client auth", "server auth"], ..client() }),
        ("a usage twice", Draft { usages: vec!["client auth", "client auth"], ..client() }),
        ("no usages", Draft { usages: vec![], ..client() }),
        ("names on a client certificate", Draft { names: vec![dns("n9")], ..client() }),
        ("a stranger asks", Draft { username: "alice", groups: vec!["system:authenticated"], ..client() }),
        ("another node asks", Draft { username: "system:node:n2", groups: vec!["system:nodes"], ..client() }),
        ("bootstrap for a node that joined", Draft { common_name: "system:node:n1".into(), ..client() }),
        ("a group that only looks like it", Draft { groups: vec!["system:bootstrappersx"], ..client() }),
        ("serving for another node", Draft { username: "system:node:n2", ..serving() }),
        ("not in the group of nodes", Draft { groups: vec!["system:authenticated"], ..serving() }),
        ("bootstrap asks for serving", Draft { groups: vec!["system:bootstrappers"], username: "boot", ..serving() }),
        ("no names", Draft { names: vec![], ..serving() }),
        ("another node's address", Draft { names: vec![ip("10.0.0.2")], ..serving() }),
        ("another node's name", Draft { names: vec![dns("n2.internal")], ..serving() }),
        ("one good and one bad name", Draft { names: vec![dns("n1"), ip("10.0.0.2")], ..serving() }),
        ("another node's address as IPv6", Draft { names: vec![ip("::ffff:10.0.0.2")], ..serving() }),
        ("the API server", Draft { names: vec![dns("KUBERNETES.default.svc")], ..serving() }),
        ("a wildcard", Draft { names: vec![dns("*.internal")], ..serving() }),
        ("a longer name", Draft { names: vec![dns("n1.internal.corp")], ..serving() }),
        ("e-mail", Draft { names: vec![SanType::Rfc822Name("a@b.c".try_into().unwrap())], ..serving() }),
        ("a URI", Draft { names: vec![SanType::URI("spiffe://x".try_into().unwrap()), ip("10.0.0.1")], ..serving() }),
        ("nobody's node", Draft { common_name: "system:node:n7".into(), username: "system:node:n7", ..serving() }),
        ("text after the block", Draft { edit: |pem| pem.clone() + &pem, ..serving() }),
        ("text before the block", Draft { edit: |pem| format!("hello\n{pem}"), ..serving() }),
        ("another block", Draft { edit: |pem| pem.replace("CERTIFICATE REQUEST", "CERTIFICATE"), ..serving() }),
        ("a broken block", Draft { edit: |pem| pem.replacen('M', "!", 1), ..serving() }),
        ("half of it", Draft { edit: |pem| pem[..pem.len() / 2].to_owned(), ..serving() }),
        ("nothing", Draft { edit: |_| String::new(), ..serving() }),
        ("approved already", Draft { state: CsrState::Approved, ..serving() }),
        ("denied already", Draft { state: CsrState::Denied, ..serving() }),
    ];
    for (what, draft) in hostile {
        let CsrVerdict::Leave(reason) = draft.verdict() else { panic!("{what}: {:?}", draft.verdict()) };
        assert!(!reason.is_empty(), "{what}");
    }
}

#[test]
fn a_signature_by_another_key_is_noticed() {
    let flip = |pem: String| {
        // The last bytes of the request are its signature.
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let at = body.trim_end_matches('=').len() - 6;
        let flipped = if body.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}{flipped}{}\n-----END CERTIFICATE REQUEST-----\n",
            &body[..at],
            &body[at + 1..]
        )
    };
    assert!(!approved(&Draft { edit: flip, ..serving() }));
}

#[test]
fn one_poisoned_request_holds_up_no_other() {
    let mut world = World::default().nodes([node("n1", "general", "a")]).machines([machine(
        "m1",
        Some("n1"),
        &[(AddressKind::Ip, "10.0.0.1")],
    )]);
    let broken = SigningRequest { name: "csr-0".into(), pem: vec![0xff; 10_000], ..serving().request() };
    let good = Draft { names: vec![ip("10.0.0.1")], ..serving() };
    world.builder.add_signing_request(broken);
    world.builder.add_signing_request(good.request());
    let plan = plan_csrs(&world.build(), NOW, &Generous);
    assert!(matches!(plan.decisions[0].verdict, CsrVerdict::Leave(_)));
    assert!(matches!(plan.decisions[1].verdict, CsrVerdict::Approve(_)));
}

#[test]
fn a_machine_that_became_another_node_is_not_this_one() {
    struct Curious;
    impl CsrPolicy for Curious {
        fn review(&self, _: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict> {
            assert_eq!(question.requester, Requester::Bootstrap);
            let machine = question.machine.as_ref().map_or("none", |machine| machine.name.as_str());
            Asked { verdict: Some(CsrVerdict::Leave(machine.to_owned())), calls: vec![] }
        }
    }
    for (became, expected) in [(None, "n9"), (Some("n1"), "none"), (Some("n9"), "n9")] {
        let mut world = World::default().machines([machine("n9", became, &[])]);
        world.builder.add_signing_request(client().request());
        let plan = plan_csrs(&world.build(), NOW, &Curious);
        assert_eq!(plan.decisions[0].verdict, CsrVerdict::Leave(expected.to_owned()));
    }
}
