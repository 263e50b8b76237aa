//! A certificate made on the spot.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server's certificate, and the one to trust.
#[derive(Clone)]
pub(crate) struct Identity {
    ca_pem: String,
    acceptor: TlsAcceptor,
}

// === impl Identity ===

impl Identity {
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

/// A certificate for an address and `localhost`, signed by an authority of its own.
pub(crate) fn identity(address: IpAddr) -> io::Result<Identity> {
    let mut ca = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "plimsoll-apiserver-ca");
    let ca =
        CertifiedIssuer::self_signed(ca, KeyPair::generate().map_err(io::Error::other)?).map_err(io::Error::other)?;
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).map_err(io::Error::other)?;
    leaf.subject_alt_names.push(SanType::IpAddress(address));
    leaf.distinguished_name.push(DnType::CommonName, "plimsoll-apiserver");
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let leaf = leaf.signed_by(&key, &ca).map_err(io::Error::other)?;
    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(Identity { ca_pem: ca.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
}
