//! A PKCS#10 request, read strictly.

use std::net::IpAddr;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE REQUEST-----";

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub common_names: Vec<String>,
    pub organizations: Vec<String>,
    pub dns_names: Vec<String>,
    pub ip_addresses: Vec<IpAddr>,
    /// Subject alternative names of any other type.
    pub other_names: Vec<String>,
    pub signature_valid: bool,
}

/// Reads a request. The error is a sentence.
pub(super) fn decode(pem: &[u8]) -> Result<Decoded, String> {
    let text = pem.trim_ascii();
    if !text.starts_with(BEGIN) {
        return Err("spec.request is not a PEM block of type CERTIFICATE REQUEST".to_owned());
    }
    let (rest, block) = parse_x509_pem(text).map_err(|error| format!("its PEM block cannot be read: {error}"))?;
    if !rest.trim_ascii().is_empty() {
        return Err("there is something after its PEM block".to_owned());
    }
    let (rest, request) = X509CertificationRequest::from_der(&block.contents)
        .map_err(|error| format!("its PKCS#10 request cannot be read: {error}"))?;
    if !rest.is_empty() {
        return Err("there is something after its PKCS#10 request".to_owned());
    }
    let subject = &request.certification_request_info.subject;
    let mut decoded = Decoded {
        common_names: attributes(subject, |oid| *oid == OID_X509_COMMON_NAME)?,
        organizations: attributes(subject, |oid| *oid == OID_X509_ORGANIZATION_NAME)?,
        signature_valid: request.verify_signature().is_ok(),
        ..Decoded::default()
    };
    for extension in request.requested_extensions().into_iter().flatten() {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                names.general_names.iter().for_each(|name| decoded.add(name));
            }
            ParsedExtension::ParseError { error } => return Err(format!("an extension cannot be read: {error}")),
            _ => {}
        }
    }
    Ok(decoded)
}

fn attributes(
    subject: &X509Name<'_>,
    wanted: impl Fn(&x509_parser::der_parser::oid::Oid<'_>) -> bool,
) -> Result<Vec<String>, String> {
    subject
        .iter_attributes()
        .filter(|attribute| wanted(attribute.attr_type()))
        .map(|attribute| attribute.as_str().map(str::to_owned))
        .collect::<Result<_, _>>()
        .map_err(|_| "its subject is not text".to_owned())
}

impl Decoded {
    fn add(&mut self, name: &GeneralName<'_>) {
        let address = |bytes: &[u8]| {
            <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
        };
        match name {
            GeneralName::DNSName(name) => self.dns_names.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match address(bytes) {
                // An IPv4 address dressed as IPv6 is compared as what it is.
                Some(address) => self.ip_addresses.push(address.to_canonical()),
                None => self.other_names.push(format!("an address of {} bytes", bytes.len())),
            },
            other => self.other_names.push(other.to_string()),
        }
    }
}
