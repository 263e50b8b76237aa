//! The signer: approved requests of kubelets get certificates of a throw-away authority.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

use super::Turn;
use super::object::{self, list, text};
use crate::semantics::condition;
use crate::semantics::time;

/// Who signs; never outside of tests and trials.
#[derive(Debug)]
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
#[error("no throw-away certificate authority could be made ({0}); leave the signer out of the world")]
pub struct SignerError(#[from] rcgen::Error);

/// The signers that are stood in for.
const SIGNERS: [&str; 3] = [
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kube-apiserver-client",
];

/// How long a certificate holds when nobody says: a year.
const DEFAULT_SECONDS: u64 = 365 * 24 * 3600;

// === impl Signer ===

impl Signer {
    /// A signer with an authority of its own.
    pub fn new() -> Result<Self, SignerError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "plimsoll-world-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let ca_pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), ca_pem })
    }

    /// The certificate of the authority, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(super) fn step(&self, turn: &mut Turn<'_>) {
        for request in turn.view.all("certificatesigningrequests.certificates.k8s.io") {
            let awaits = condition::holds(request, "Approved")
                && !condition::holds(request, "Denied")
                && !condition::holds(request, "Failed")
                && text(request, "/status/certificate").is_empty()
                && SIGNERS.contains(&text(request, "/spec/signerName"));
            if !awaits {
                continue;
            }
            let mut signed = request.clone();
            match self.sign(request, turn.now.as_second()) {
                Ok(certificate) => {
                    object::set_status(&mut signed, json!({ "certificate": STANDARD.encode(certificate) }))
                }
                Err(problem) => {
                    let mut conditions = list(request, "/status/conditions").to_vec();
                    conditions.push(json!({
                        "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": problem,
                        "lastUpdateTime": time::seconds(turn.now), "lastTransitionTime": time::seconds(turn.now)
                    }));
                    object::set_status(&mut signed, json!({ "conditions": conditions }));
                }
            }
            turn.replace(request, signed);
        }
    }

    fn sign(&self, request: &Value, now: i64) -> Result<String, String> {
        let pem = STANDARD.decode(text(request, "/spec/request")).map_err(|error| error.to_string())?;
        let pem = String::from_utf8(pem).map_err(|error| error.to_string())?;
        let mut request_params = CertificateSigningRequestParams::from_pem(&pem).map_err(|error| error.to_string())?;
        let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_u64).unwrap_or(DEFAULT_SECONDS);
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let start = std::time::Duration::from_secs(u64::try_from(now).unwrap_or_default().saturating_sub(300));
        let params = &mut request_params.params;
        params.not_before = epoch + start;
        params.not_after = epoch + start + std::time::Duration::from_secs(seconds.min(10 * DEFAULT_SECONDS) + 300);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = list(request, "/spec/usages")
            .iter()
            .filter_map(|usage| match usage.as_str()? {
                "server auth" => Some(ExtendedKeyUsagePurpose::ServerAuth),
                "client auth" => Some(ExtendedKeyUsagePurpose::ClientAuth),
                _ => None,
            })
            .collect();
        request_params.signed_by(&self.issuer).map(|certificate| certificate.pem()).map_err(|error| error.to_string())
    }
}
