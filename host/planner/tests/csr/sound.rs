//! What is in order may be approved.

use plimsoll_planner::csr::{Check, Outcome};

use crate::der::*;
use crate::draft::*;
use crate::fixture::NOW;

#[test]
fn what_kubelets_send_may_be_approved() {
    let eku = |usage| extension(EXTENDED_KEY_USAGE, &seq(&[oid(usage)]));
    let own = || alternative_names(&[ip("10.0.0.1")]);
    // Digital signature and key encipherment; digital signature alone.
    let (both, one) = (tlv(3, &[5, 0xa0]), tlv(3, &[7, 0x80]));
    let fine: Vec<(&str, Draft)> = vec![
        ("serving", serving()),
        ("first client", client()),
        ("renewal", renewal()),
        (
            "printable text, as Go writes it",
            Draft {
                subject: vec![
                    part(ORGANIZATION, PRINTABLE, "system:nodes"),
                    part(COMMON_NAME, PRINTABLE, "system:node:n1"),
                ],
                ..serving()
            },
        ),
        (
            "common name first",
            Draft { subject: vec![common_name("system:node:n1"), organization("system:nodes")], ..serving() },
        ),
        ("no key encipherment", Draft { usages: vec!["server auth", "digital signature"], ..serving() }),
        ("address only", serving_for(&[ip("10.0.0.1")])),
        ("IPv6 only", serving_for(&[ip("fd00::1")])),
        ("its own address, dressed as IPv6", serving_for(&[ip("::ffff:10.0.0.1")])),
        ("name only", serving_for(&[dns("n1.internal")])),
        ("what others call it", serving_for(&[dns("n1.example.com")])),
        ("its own name", serving_for(&[dns("n1")])),
        ("upper case and a dot", serving_for(&[dns("N1.Internal.")])),
        (
            "its own usages as extensions",
            Draft {
                attributes: vec![extension_request(&[own(), eku(SERVER_AUTH), flagged(KEY_USAGE, 0xff, &both)])],
                ..serving()
            },
        ),
        (
            "the same without key encipherment",
            Draft {
                attributes: vec![extension_request(&[own(), extension(KEY_USAGE, &one)])],
                usages: vec!["digital signature", "server auth"],
                ..serving()
            },
        ),
        ("client usages as extensions", Draft { attributes: vec![extension_request(&[eku(CLIENT_AUTH)])], ..client() }),
        (
            "a group of bootstrappers",
            Draft { groups: vec!["system:bootstrappers:kubeadm:default-node-token"], ..client() },
        ),
        (
            "OpenShift's account",
            Draft {
                username: "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper".to_owned(),
                groups: vec!["system:serviceaccounts", "system:authenticated"],
                ..client()
            },
        ),
        ("one more group", Draft { groups: vec!["system:nodes", "system:authenticated", "other"], ..serving() }),
        ("the shortest life", Draft { expiration: Some(600), ..serving() }),
        ("the longest life", Draft { expiration: Some(367 * 86_400), ..serving() }),
        ("Windows line ends", Draft { pem: |pem| pem.replace('\n', "\r\n"), ..serving() }),
        ("no time", Draft { created: None, ..serving() }),
    ];
    for (what, draft) in fine {
        let decision = draft.decision();
        assert!(draft.approved(), "{what}: {:?}", decision.verdict);
        assert!(decision.problems().is_empty() && draft.created.is_none_or(|created| created == NOW));
        let checks: Vec<Check> = decision.findings.iter().map(|finding| finding.check).collect();
        assert_eq!(checks, Check::ALL, "{what}: every check is made, in its order");
        for finding in &decision.findings {
            assert!(finding.outcome == Outcome::Passed && !finding.detail.is_empty(), "{what}: {finding:?}");
        }
    }
}
