//! Keys and signatures of requests: what can be verified here, and what is strong enough.

use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::der::{Der, Flaw, oid_text, tag};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const EDWARDS: &[u8] = &[0x2b, 0x65, 0x70];

/// The least that an RSA modulus may have.
const RSA_BITS: usize = 2048;
/// The most that can be verified.
const RSA_MOST_BITS: usize = 8192;

/// The key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// The key as PKCS#1 writes it, and the bits of its modulus.
    Rsa(&'a [u8], usize),
    P256(&'a [u8]),
    P384(&'a [u8]),
    Ed25519(&'a [u8]),
    /// Its algorithm or curve.
    Unknown(&'a [u8]),
}

/// An algorithm and what it is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Algorithm<'a> {
    oid: &'a [u8],
    /// The tag and the content of its parameters.
    parameters: Option<(u8, &'a [u8])>,
}

// === impl Algorithm ===

impl<'a> Algorithm<'a> {
    pub(super) fn read(der: &mut Der<'a>, what: &str) -> Result<Self, Flaw> {
        let mut fields = der.inside(tag::SEQUENCE, what)?;
        let oid = fields.expect(tag::OID, what)?.content;
        let parameters = match fields.is_empty() {
            true => None,
            false => fields.any(what).map(|element| Some((element.tag, element.content)))?,
        };
        fields.end(what)?;
        Ok(Self { oid, parameters })
    }

    /// RSA has an explicit nothing for parameters, RFC 4055.
    fn has_null(&self) -> bool {
        self.parameters == Some((tag::NULL, &[]))
    }
}

// === impl Key ===

impl<'a> Key<'a> {
    pub(super) fn read(der: &mut Der<'a>) -> Result<Self, Flaw> {
        let mut fields = der.inside(tag::SEQUENCE, "public key")?;
        let algorithm = Algorithm::read(&mut fields, "algorithm of its key")?;
        let key = fields.whole_bits("public key")?;
        fields.end("public key")?;
        match (algorithm.oid, algorithm.parameters) {
            (RSA, _) if algorithm.has_null() => {
                let mut outside = Der::new(key);
                let mut numbers = outside.inside(tag::SEQUENCE, "RSA key")?;
                outside.end("RSA key")?;
                let modulus = numbers.positive("modulus")?;
                numbers.positive("exponent")?;
                numbers.end("exponent")?;
                let unused = modulus.first().map_or(0, |high| high.leading_zeros()) as usize;
                Ok(Self::Rsa(key, modulus.len() * 8 - unused))
            }
            (EC, Some((tag::OID, P256))) => Ok(Self::P256(key)),
            (EC, Some((tag::OID, P384))) => Ok(Self::P384(key)),
            (EC, Some((tag::OID, curve))) => Ok(Self::Unknown(curve)),
            (EDWARDS, None) => Ok(Self::Ed25519(key)),
            (other, _) => Ok(Self::Unknown(other)),
        }
    }

    /// What it is, or why it is too weak, each a sentence.
    pub(super) fn strength(&self) -> Result<String, String> {
        match self {
            Self::Rsa(_, bits) if *bits < RSA_BITS => {
                Err(format!("its RSA key has {bits} bits, fewer than {RSA_BITS}"))
            }
            Self::Rsa(_, bits) if *bits > RSA_MOST_BITS => {
                Err(format!("its RSA key has {bits} bits, more than the {RSA_MOST_BITS} that can be verified"))
            }
            Self::Rsa(_, bits) => Ok(format!("its key is RSA of {bits} bits")),
            Self::P256(_) => Ok("its key is ECDSA on P-256".to_owned()),
            Self::P384(_) => Ok("its key is ECDSA on P-384".to_owned()),
            Self::Ed25519(_) => Ok("its key is Ed25519".to_owned()),
            Self::Unknown(P521) => Err("its key is on P-521, which cannot be verified here".to_owned()),
            Self::Unknown(oid) => Err(format!("its key is of kind {}, which cannot be verified here", oid_text(oid))),
        }
    }

    /// Verifies that this key signed. The error is a sentence.
    pub(super) fn verify(&self, algorithm: &Algorithm<'_>, signed: &[u8], signature: &[u8]) -> Result<(), String> {
        let none = algorithm.parameters.is_none();
        let (method, key): (&dyn VerificationAlgorithm, &[u8]) = match (self, algorithm.oid) {
            (Self::Rsa(key, _), RSA_SHA256) if algorithm.has_null() => (&RSA_PKCS1_2048_8192_SHA256, key),
            (Self::Rsa(key, _), RSA_SHA384) if algorithm.has_null() => (&RSA_PKCS1_2048_8192_SHA384, key),
            (Self::Rsa(key, _), RSA_SHA512) if algorithm.has_null() => (&RSA_PKCS1_2048_8192_SHA512, key),
            (Self::P256(key), ECDSA_SHA256) if none => (&ECDSA_P256_SHA256_ASN1, key),
            (Self::P256(key), ECDSA_SHA384) if none => (&ECDSA_P256_SHA384_ASN1, key),
            (Self::P384(key), ECDSA_SHA256) if none => (&ECDSA_P384_SHA256_ASN1, key),
            (Self::P384(key), ECDSA_SHA384) if none => (&ECDSA_P384_SHA384_ASN1, key),
            (Self::Ed25519(key), EDWARDS) if none => (&ED25519, key),
            (_, other) => {
                let other = oid_text(other);
                return Err(format!("its signature is of kind {other}, which cannot be verified with its key"));
            }
        };
        let key: UnparsedPublicKey<&[u8]> = signature::UnparsedPublicKey::new(method, key);
        key.verify(signed, signature).map_err(|_| "its signature is not by the key it contains".to_owned())
    }
}
