//! Keys and signatures.

use plimsoll_planner::csr::{Check, CsrVerdict, Outcome};
use rcgen::{
    CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};

use crate::draft::*;

macro_rules! pem {
    ($name:literal) => {
        ($name, include_str!(concat!("requests/", $name, ".pem")))
    };
}

/// The checks that a request with this text fails.
fn failed(text: &str) -> Vec<Check> {
    let decision = decide(world(), serving().request_of(text.as_bytes().to_vec()));
    let failed = decision.findings.iter().filter(|finding| finding.outcome != Outcome::Passed);
    let checks: Vec<Check> = failed.map(|finding| finding.check).collect();
    assert_eq!(checks.is_empty(), matches!(decision.verdict, CsrVerdict::Approve(_)));
    checks
}

#[test]
fn keys_that_can_be_verified() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CommonName, "system:node:n1");
        params.subject_alt_names = vec![SanType::IpAddress("10.0.0.1".parse().unwrap())];
        let key = KeyPair::generate_for(algorithm).unwrap();
        let text = params.serialize_request(&key).unwrap().pem().unwrap();
        assert_eq!(failed(&text), [], "{algorithm:?}");
    }
    for (name, text) in [pem!("rsa-2048"), pem!("rsa-sha512")] {
        assert_eq!(failed(text), [], "{name}");
    }
}

#[test]
fn keys_that_cannot() {
    for (name, text) in [pem!("rsa-1024"), pem!("p-521"), pem!("secp256k1"), pem!("ed448")] {
        assert_eq!(failed(text), [Check::Signature, Check::Key], "{name}");
    }
    // Such a key can be verified, and is too weak all the same.
    assert_eq!(failed(pem!("rsa-2047").1), [Check::Key]);
    for (name, text) in [pem!("rsa-sha1"), pem!("rsa-md5"), pem!("rsa-pss")] {
        assert_eq!(failed(text), [Check::Signature], "{name}");
    }
}

#[test]
fn a_signature_by_another_key_or_of_something_else_is_noticed() {
    let key = KeyPair::generate().unwrap();
    let good = serving().signed_by(&key);
    assert_eq!(failed(&pem(&good)), []);
    // The signature is the last thing in it.
    for flipped in [good.len() - 1, good.len() - 40] {
        let mut der = good.clone();
        der[flipped] ^= 1;
        assert_eq!(failed(&pem(&der)), [Check::Signature]);
    }
    // The name, after it was signed.
    let at = good.windows(2).position(|two| two == b"n1").unwrap();
    let mut der = good.clone();
    der[at + 1] = b'2';
    let decision = decide(world(), serving().request_of(pem(&der).into_bytes()));
    assert!(matches!(decision.verdict, CsrVerdict::Deny(_)), "{:?}", decision.verdict);
}
