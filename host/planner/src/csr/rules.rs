//! What an administrator may set. Everything here narrows, except who counts as a bootstrap identity.

use std::fmt;
use std::net::IpAddr;

use plimsoll_model::{Millis, Text};

use super::name::{canonical, within};

/// OpenShift's machines start with this account.
const OPENSHIFT_BOOTSTRAP: &str = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper";

/// The rules of certificate approval.
#[derive(Clone, Debug)]
pub struct CsrRules {
    /// Forged identities are denied, not only left.
    pub deny_forged: bool,
    /// The longest that a certificate may be asked for; kubelet-csr-approver's default.
    pub max_expiration: Millis,
    /// How long after its launch a machine may ask for its first certificate; OpenShift's default.
    pub join_window: Millis,
    /// How far clocks may be apart: a request this long before its machine's launch is in order.
    pub clock_skew: Millis,
    /// How old a request may be; the API server keeps pending ones for a day.
    pub max_age: Millis,
    /// User names that count as bootstrap identities, beside the members of `system:bootstrappers`.
    pub bootstrap_users: Vec<Text>,
    /// DNS names that no node may have, beside those of the API server and of services.
    pub forbidden_names: Vec<NamePattern>,
    /// Addresses that no node may have, such as those of services.
    pub forbidden_cidrs: Vec<Cidr>,
    /// Nodes that exist and are missing from the snapshot, because they could not be read.
    pub unread_nodes: Vec<Text>,
    /// Why other nodes or machines may be missing, as a sentence; `None` if they are all there.
    pub unknown: Option<String>,
}

/// A name, or with `*.` in front everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    name: String,
    below: bool,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u32,
}

// === impl CsrRules ===

impl Default for CsrRules {
    fn default() -> Self {
        Self {
            deny_forged: true,
            max_expiration: Millis::from_secs(367 * 86_400),
            join_window: Millis::from_secs(2 * 3_600),
            clock_skew: Millis::from_secs(10),
            max_age: Millis::from_secs(86_400),
            bootstrap_users: vec![OPENSHIFT_BOOTSTRAP.into()],
            forbidden_names: Vec::new(),
            forbidden_cidrs: Vec::new(),
            unread_nodes: Vec::new(),
            unknown: None,
        }
    }
}

// === impl NamePattern ===

impl NamePattern {
    /// Reads `NAME` or `*.NAME`; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let name = canonical(name);
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (!name.is_empty() && name.bytes().all(fine)).then_some(Self { name, below })
    }

    pub(super) fn matches(&self, canonical: &str) -> bool {
        if self.below { canonical != self.name && within(canonical, &self.name) } else { canonical == self.name }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

// === impl Cidr ===

impl Cidr {
    /// Reads `ADDRESS/BITS` or `ADDRESS`; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// True if the address is in the range. An address and a range of different families have nothing in common.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shared = |a: u128, b: u128, width: u32| (a ^ b).checked_shr(width - self.bits).unwrap_or(0) == 0;
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => shared(u32::from(a).into(), u32::from(b).into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => shared(a.into(), b.into(), 128),
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let contains = |range: &str, address: &str| Cidr::parse(range).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.96.0.0/12", "10.96.0.1") && contains("10.96.0.0/12", "10.111.255.255"));
        assert!(!contains("10.96.0.0/12", "10.112.0.0") && !contains("10.96.0.0/12", "::1"));
        assert!(contains("10.0.0.1", "10.0.0.1") && !contains("10.0.0.1", "10.0.0.0"));
        assert!(contains("0.0.0.0/0", "255.255.255.255") && contains("::/0", "ffff::") && !contains("::/0", "1.2.3.4"));
        assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe00::1"));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "x/8", "::/129", "10.0.0.0/-1", "10.0.0.0/"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn patterns() {
        let matches = |pattern: &str, name: &str| NamePattern::parse(pattern).unwrap().matches(name);
        assert!(matches("API.corp.", "api.corp") && !matches("api.corp", "x.api.corp"));
        assert!(matches("*.corp", "a.b.corp") && !matches("*.corp", "corp") && !matches("*.corp", "acorp"));
        for wrong in ["", "*", "*.", "a b", "*.*.corp", "a*"] {
            assert_eq!(NamePattern::parse(wrong), None, "{wrong}");
        }
    }
}
