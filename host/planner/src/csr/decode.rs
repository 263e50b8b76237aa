//! A PKCS#10 request (RFC 2986), read strictly: every byte of it is accounted for.

use std::net::IpAddr;

use super::der::{Der, Element, Flaw, oid_text, tag};
use super::signature::{Algorithm, Key};

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// Context tags of the alternative names that kubelets have.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// Bits of `keyUsage`, from the highest of its first byte.
const USAGES: [&str; 8] = [
    "digital signature",
    "content commitment",
    "key encipherment",
    "data encipherment",
    "key agreement",
    "cert sign",
    "crl sign",
    "encipher only",
];

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub common_names: Vec<String>,
    pub organizations: Vec<String>,
    /// What else its subject has, each as people would name it.
    pub other_attributes: Vec<String>,
    pub dns_names: Vec<String>,
    pub ip_addresses: Vec<IpAddr>,
    /// Subject alternative names of any other type.
    pub other_names: Vec<String>,
    /// The usages that its extensions ask for, as Kubernetes names them; `None` without such extensions.
    pub key_usages: Option<Vec<&'static str>>,
    pub extended_usages: Option<Vec<String>>,
    /// What else it asks for, each as people would name it.
    pub other_extensions: Vec<String>,
    /// What its key is, or why it is too weak.
    pub key: Result<String, String>,
    /// Why its signature does not prove that the requester has the key.
    pub signature: Result<(), String>,
}

/// Reads a request. The error is a sentence.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Flaw> {
    let mut outside = Der::new(bytes);
    let mut request = outside.inside(tag::SEQUENCE, "request")?;
    outside.end("request")?;
    let signed = request.expect(tag::SEQUENCE, "request info")?;
    let algorithm = Algorithm::read(&mut request, "signature algorithm")?;
    let signature = request.whole_bits("signature")?;
    request.end("signature")?;

    let mut info = Der::new(signed.content);
    if info.expect(tag::INTEGER, "version")?.content != [0] {
        return Err("its version is not 0".to_owned());
    }
    let mut decoded = Decoded::empty();
    decoded.subject(info.inside(tag::SEQUENCE, "subject")?)?;
    let key = Key::read(&mut info)?;
    decoded.attributes(info.inside(tag::ATTRIBUTES, "attributes")?)?;
    info.end("attributes")?;
    decoded.key = key.strength();
    decoded.signature = key.verify(&algorithm, signed.whole, signature);
    Ok(decoded)
}

// === impl Decoded ===

impl Decoded {
    /// Nothing asked for, nothing proven.
    fn empty() -> Self {
        let unread = || "it has not been read".to_owned();
        Self {
            common_names: Vec::new(),
            organizations: Vec::new(),
            other_attributes: Vec::new(),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            other_names: Vec::new(),
            key_usages: None,
            extended_usages: None,
            other_extensions: Vec::new(),
            key: Err(unread()),
            signature: Err(unread()),
        }
    }

    fn subject(&mut self, mut names: Der<'_>) -> Result<(), Flaw> {
        while !names.is_empty() {
            let values = set_of(names.inside(tag::SET, "subject")?, "subject")?;
            if values.len() > 1 {
                // Go writes all organizations into one set, in any order.
                self.other_attributes.push(format!("{} values in one part of it", values.len()));
            }
            for value in values {
                let mut outside = Der::new(value.whole);
                let mut pair = outside.inside(tag::SEQUENCE, "subject")?;
                let kind = pair.expect(tag::OID, "subject")?.content;
                let text = text(pair.any("subject")?)?;
                pair.end("subject")?;
                match kind {
                    COMMON_NAME => self.common_names.push(text),
                    ORGANIZATION => self.organizations.push(text),
                    other => self.other_attributes.push(format!("attribute {}", oid_text(other))),
                }
            }
        }
        Ok(())
    }

    fn attributes(&mut self, attributes: Der<'_>) -> Result<(), Flaw> {
        let mut seen = Vec::new();
        for attribute in set_of(attributes, "attributes")? {
            let mut outside = Der::new(attribute.whole);
            let mut fields = outside.inside(tag::SEQUENCE, "attribute")?;
            let kind = fields.expect(tag::OID, "attribute")?.content;
            let values = set_of(fields.inside(tag::SET, "attribute")?, "attribute")?;
            fields.end("attribute")?;
            once(&mut seen, kind, "attribute")?;
            match (kind, values.as_slice()) {
                (EXTENSION_REQUEST, [extensions]) => {
                    let mut outside = Der::new(extensions.whole);
                    self.extensions(outside.inside(tag::SEQUENCE, "list of extensions")?)?;
                }
                (EXTENSION_REQUEST, _) => return Err("it has several lists of extensions".to_owned()),
                (other, _) => self.other_extensions.push(format!("attribute {}", oid_text(other))),
            }
        }
        Ok(())
    }

    fn extensions(&mut self, mut extensions: Der<'_>) -> Result<(), Flaw> {
        let mut seen = Vec::new();
        while !extensions.is_empty() {
            let mut fields = extensions.inside(tag::SEQUENCE, "extension")?;
            let kind = fields.expect(tag::OID, "extension")?.content;
            let critical = fields.next_tag() == Some(tag::BOOLEAN);
            if critical && fields.expect(tag::BOOLEAN, "critical flag")?.content != [0xff] {
                return Err("the critical flag of an extension is written as DER does not write it".to_owned());
            }
            let value = fields.expect(tag::OCTET_STRING, "extension")?.content;
            fields.end("extension")?;
            once(&mut seen, kind, "extension")?;
            let mut value = Der::new(value);
            match kind {
                ALTERNATIVE_NAMES => {
                    self.alternative_names(value.inside(tag::SEQUENCE, "alternative names")?)?;
                    if critical {
                        self.other_extensions.push("that its alternative names be critical".to_owned());
                    }
                }
                KEY_USAGE => self.key_usages = Some(key_usage(&mut value)?),
                EXTENDED_KEY_USAGE => self.extended_usages = Some(extended_key_usage(&mut value)?),
                other => {
                    self.other_extensions.push(format!("extension {}", oid_text(other)));
                    continue;
                }
            }
            value.end("extension")?;
        }
        Ok(())
    }

    fn alternative_names(&mut self, mut names: Der<'_>) -> Result<(), Flaw> {
        if names.is_empty() {
            return Err("its list of alternative names is empty".to_owned());
        }
        while !names.is_empty() {
            let Element { tag, content, .. } = names.any("alternative name")?;
            let four = || <[u8; 4]>::try_from(content).map(IpAddr::from);
            let sixteen = || <[u8; 16]>::try_from(content).map(IpAddr::from);
            match tag {
                DNS_NAME => match std::str::from_utf8(content) {
                    Ok(name) if name.is_ascii() => self.dns_names.push(name.to_owned()),
                    _ => return Err("a DNS name is not ASCII".to_owned()),
                },
                IP_ADDRESS => match four().or_else(|_| sixteen()) {
                    // The signer writes an IPv4 address dressed as IPv6 as what it is, and so it is compared.
                    Ok(address) => self.ip_addresses.push(address.to_canonical()),
                    Err(_) => self.other_names.push(format!("an address of {} bytes", content.len())),
                },
                other => self.other_names.push(
                    match other {
                        0x81 => "an e-mail address",
                        0x86 => "a URI",
                        0xa0 => "a name of a type of its own",
                        0xa4 => "a directory name",
                        0x88 => "a registered ID",
                        _ => "a name of a type that no kubelet has",
                    }
                    .to_owned(),
                ),
            }
        }
        Ok(())
    }
}

/// The values of a set, which DER wants in the order of their bytes.
fn set_of<'a>(mut set: Der<'a>, what: &str) -> Result<Vec<Element<'a>>, Flaw> {
    let mut values: Vec<Element<'a>> = Vec::new();
    while !set.is_empty() {
        let value = set.any(what)?;
        if values.last().is_some_and(|before| before.whole > value.whole) {
            return Err(format!("a set in its {what} is not in the order that DER demands"));
        }
        values.push(value);
    }
    Ok(values)
}

fn once<'a>(seen: &mut Vec<&'a [u8]>, kind: &'a [u8], what: &str) -> Result<(), Flaw> {
    if seen.contains(&kind) {
        return Err(format!("it has {what} {} twice", oid_text(kind)));
    }
    seen.push(kind);
    Ok(())
}

/// The two string types that kubelets use. Go reads others too, some of them differently than others do.
fn text(value: Element<'_>) -> Result<String, Flaw> {
    let printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte);
    let fits = match value.tag {
        tag::UTF8_STRING => true,
        tag::PRINTABLE_STRING => value.content.iter().all(printable),
        other => return Err(format!("its subject has text of type {other:#04x}, not UTF8String or PrintableString")),
    };
    match std::str::from_utf8(value.content) {
        Ok(text) if fits => Ok(text.to_owned()),
        _ => Err("its subject has text that is not of the type it says".to_owned()),
    }
}

fn key_usage(value: &mut Der<'_>) -> Result<Vec<&'static str>, Flaw> {
    // One byte holds everything but "decipher only"; the bits after the last that is set are left out.
    match value.expect(tag::BIT_STRING, "key usage")?.content {
        [unused, bits] if *bits != 0 && u32::from(*unused) == bits.trailing_zeros() => {
            Ok(USAGES.iter().enumerate().filter(|(at, _)| bits & 0x80 >> at != 0).map(|(_, usage)| *usage).collect())
        }
        _ => Err("its key usage is written as DER does not write it, or has bits that no kubelet sets".to_owned()),
    }
}

fn extended_key_usage(value: &mut Der<'_>) -> Result<Vec<String>, Flaw> {
    let mut list = value.inside(tag::SEQUENCE, "extended key usage")?;
    let mut usages = Vec::new();
    while !list.is_empty() {
        usages.push(match list.expect(tag::OID, "extended key usage")?.content {
            CLIENT_AUTH => "client auth".to_owned(),
            SERVER_AUTH => "server auth".to_owned(),
            other => oid_text(other),
        });
    }
    Ok(usages)
}
