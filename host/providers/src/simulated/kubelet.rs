//! What a simulated kubelet asks the API server for.

use async_trait::async_trait;
use base64::Engine as _;
use plimsoll_kube::{Api, ApiError, Permit, Resource};
use plimsoll_model::{Address, AddressKind};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::{Value, json};

/// As whom a request is sent. The API server takes the requester from the credentials, not from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A machine without a certificate, with its bootstrap token.
    Bootstrap,
    /// The node of this name.
    Node(String),
}

/// Whoever can send what kubelets send.
#[async_trait]
pub trait KubeletRequests: Send + Sync {
    /// Creates a CertificateSigningRequest.
    async fn create(&self, permit: &Permit, who: &Requester, request: &Value) -> Result<(), ApiError>;

    /// True if it can send as this one.
    fn can_be(&self, who: &Requester) -> bool;
}

/// Requests by a bootstrap token. It gets nodes their first certificate; it is no node, so that it cannot ask for
/// serving certificates.
#[derive(Clone, Debug)]
pub struct BootstrapToken(pub Api);

#[async_trait]
impl KubeletRequests for BootstrapToken {
    async fn create(&self, permit: &Permit, _who: &Requester, request: &Value) -> Result<(), ApiError> {
        self.0.create(permit, &Resource::SIGNING_REQUESTS, request).await.map(|_| ())
    }

    fn can_be(&self, who: &Requester) -> bool {
        *who == Requester::Bootstrap
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Waiting,
    Approved,
    Refused,
}

/// The name of the request for the first certificate.
pub(super) fn client_request_name(node: &str) -> String {
    format!("node-csr-{node}")
}

/// The name of the request for the certificate that the node serves with.
pub(super) fn serving_request_name(node: &str) -> String {
    format!("node-serving-csr-{node}")
}

/// The request for a first certificate (Kubernetes, "TLS bootstrapping").
pub(super) fn client_request(node: &str) -> Result<Value, String> {
    let usages = ["digital signature", "client auth"];
    object(&client_request_name(node), "kubernetes.io/kube-apiserver-client-kubelet", &usages, pem(node, &[])?)
}

/// The request for a serving certificate, with the names and addresses of the machine.
pub(super) fn serving_request(node: &str, addresses: &[Address]) -> Result<Value, String> {
    let usages = ["digital signature", "server auth"];
    object(&serving_request_name(node), "kubernetes.io/kubelet-serving", &usages, pem(node, addresses)?)
}

pub(super) fn verdict(request: &Value) -> Verdict {
    let has = |kind: &str| {
        let conditions = request["status"]["conditions"].as_array();
        conditions.is_some_and(|all| all.iter().any(|condition| condition["type"] == kind))
    };
    match (has("Denied") || has("Failed"), has("Approved")) {
        (true, _) => Verdict::Refused,
        (false, true) => Verdict::Approved,
        (false, false) => Verdict::Waiting,
    }
}

fn object(name: &str, signer: &str, usages: &[&str], pem: String) -> Result<Value, String> {
    Ok(json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64::engine::general_purpose::STANDARD.encode(pem),
            "signerName": signer,
            "usages": usages,
        },
    }))
}

/// The key is thrown away: nobody will ever connect to this node.
fn pem(node: &str, addresses: &[Address]) -> Result<String, String> {
    let wrong = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, format!("system:node:{node}"));
    for address in addresses {
        params.subject_alt_names.push(match address.kind {
            AddressKind::Ip => match address.value.parse() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => return Err(format!("{} is no address", address.value)),
            },
            _ => SanType::DnsName(address.value.as_str().try_into().map_err(wrong)?),
        });
    }
    let key = KeyPair::generate().map_err(wrong)?;
    params.serialize_request(&key).map_err(wrong)?.pem().map_err(wrong)
}
