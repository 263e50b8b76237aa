//! Certificate signing requests, as the API server holds them.

use crate::{Text, Timestamp};

/// A `CertificateSigningRequest`. The API server wrote `username` and `groups`; the rest is the requester's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    /// Its name.
    pub name: Text,
    /// `spec.signerName`.
    pub signer: Text,
    /// `spec.request`: what should be a PEM block with a PKCS#10 request.
    pub pem: Vec<u8>,
    /// `spec.usages`.
    pub usages: Vec<Text>,
    /// Who asked.
    pub username: Text,
    /// The groups of who asked.
    pub groups: Vec<Text>,
    /// `spec.expirationSeconds`.
    pub expiration_seconds: Option<u32>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// What has become of it.
    pub state: CsrState,
}

/// What has become of a signing request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrState {
    /// Nobody has decided.
    Pending,
    /// Approved, perhaps signed.
    Approved,
    /// Denied.
    Denied,
    /// Approved, but the signer could not sign it.
    Failed,
}
