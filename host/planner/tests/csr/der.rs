//! A small DER writer, which also writes what is no DER.

pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub const ORGANIZATION: &[u8] = &[0x55, 4, 10];
pub const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 4, 11];
pub const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
pub const MICROSOFT_EXTENSIONS: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 14];
pub const CHALLENGE_PASSWORD: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7];
pub const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
pub const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
pub const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
pub const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
pub const UTF8: u8 = 0x0c;
pub const PRINTABLE: u8 = 0x13;
pub const TELETEX: u8 = 0x14;
pub const IA5: u8 = 0x16;
pub const UNIVERSAL: u8 = 0x1c;
pub const BMP: u8 = 0x1e;

pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        0x100..=0xffff => out.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => out.extend([0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

pub fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A set in the order that DER demands.
pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = parts.to_vec();
    parts.sort();
    unsorted_set(&parts)
}

pub fn unsorted_set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

pub fn oid(content: &[u8]) -> Vec<u8> {
    tlv(6, content)
}

pub fn text(tag: u8, text: &str) -> Vec<u8> {
    let content = match tag {
        BMP => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        UNIVERSAL => text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        _ => text.as_bytes().to_vec(),
    };
    tlv(tag, &content)
}

/// A type and a value of a subject.
pub fn pair(kind: &[u8], tag: u8, value: &str) -> Vec<u8> {
    seq(&[oid(kind), text(tag, value)])
}

/// The same as a part of its own.
pub fn part(kind: &[u8], tag: u8, value: &str) -> Vec<u8> {
    set(&[pair(kind, tag, value)])
}

pub fn organization(name: &str) -> Vec<u8> {
    part(ORGANIZATION, UTF8, name)
}

pub fn common_name(name: &str) -> Vec<u8> {
    part(COMMON_NAME, UTF8, name)
}

pub fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, name.as_bytes())
}

pub fn ip(address: &str) -> Vec<u8> {
    let content = match address.parse().unwrap() {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    };
    tlv(0x87, &content)
}

/// An extension that is not critical.
pub fn extension(kind: &[u8], value: &[u8]) -> Vec<u8> {
    seq(&[oid(kind), tlv(4, value)])
}

/// An extension with a critical flag as it is given.
pub fn flagged(kind: &[u8], flag: u8, value: &[u8]) -> Vec<u8> {
    seq(&[oid(kind), tlv(1, &[flag]), tlv(4, value)])
}

pub fn alternative_names(names: &[Vec<u8>]) -> Vec<u8> {
    extension(ALTERNATIVE_NAMES, &seq(names))
}

/// The attribute that holds extensions.
pub fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
    seq(&[oid(EXTENSION_REQUEST), set(&[seq(extensions)])])
}
