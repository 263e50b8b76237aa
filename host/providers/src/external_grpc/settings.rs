//! Where the server is, and how it and this client prove who they are.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::SettingError;
use crate::settings::duration;

/// `provider` with `kind: externalGrpc`. The keys of files are those of cluster-autoscaler's `--cloud-config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalGrpcSettings {
    /// `host:port`, or a URL with `https` or `http`.
    pub address: String,
    /// PEM file of the authorities that the server's certificate comes from.
    #[serde(default)]
    pub cacert: Option<PathBuf>,
    /// PEM file of this client's certificate.
    #[serde(default)]
    pub cert: Option<PathBuf>,
    /// PEM file of the key of `cert`.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The name in the server's certificate, where it is not the host of `address`.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Without TLS even to another machine.
    #[serde(default)]
    pub insecure: bool,
    /// The longest that one call may take.
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
    /// How long a call without an answer may still take effect. A size is not raised again before.
    #[serde(default = "default_settle", deserialize_with = "duration")]
    pub settle: Duration,
}

/// As cluster-autoscaler's `grpc_timeout`.
fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_settle() -> Duration {
    Duration::from_secs(30)
}

/// An address in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// With TLS.
    pub tls: bool,
    /// The whole, as a URL.
    pub url: String,
}

impl ExternalGrpcSettings {
    /// The settings of a server at an address; everything else by default.
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            cacert: None,
            cert: None,
            key: None,
            server_name: None,
            insecure: false,
            timeout: default_timeout(),
            settle: default_settle(),
        }
    }

    /// What is wrong with them, if anything.
    pub fn check(&self) -> Result<(), SettingError> {
        self.parsed().map(|_| ())
    }

    pub(super) fn parsed(&self) -> Result<Address, SettingError> {
        let tls_wanted = self.cacert.is_some() || self.cert.is_some();
        let (tls, authority) = match self.address.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some((scheme, _)) => {
                let problem = format!("the scheme {scheme} is not known; write https://host:port or host:port");
                return Err(SettingError::new("address", problem));
            }
            None => (tls_wanted, self.address.as_str()),
        };
        let authority = authority.trim_end_matches('/');
        let host = host(authority).ok_or_else(|| {
            SettingError::new("address", format!("\"{}\" has no host and port; write it like cloud:8086", self.address))
        })?;
        match (tls, &self.cacert, &self.cert, &self.key) {
            (_, _, Some(_), None) => return Err(SettingError::new("key", "cert is given, but not its key")),
            (_, _, None, Some(_)) => return Err(SettingError::new("cert", "key is given, but not its certificate")),
            (true, None, ..) => {
                let problem = "the authority that the server's certificate comes from is missing; name its PEM file";
                return Err(SettingError::new("cacert", problem));
            }
            (false, Some(_), ..) => return Err(SettingError::new("address", "cacert needs https, not http")),
            (false, None, Some(_), _) => return Err(SettingError::new("address", "cert needs https, not http")),
            _ => {}
        }
        if !tls && !self.insecure && !is_loopback(host) {
            let problem = format!(
                "{host} is another machine, and without TLS anybody between could launch machines; give cacert, cert \
                 and key, or set insecure: true"
            );
            return Err(SettingError::new("address", problem));
        }
        if self.timeout.is_zero() {
            return Err(SettingError::new("timeout", "no call is answered within no time; write for example 5s"));
        }
        let scheme = if tls { "https" } else { "http" };
        Ok(Address { tls, url: format!("{scheme}://{authority}") })
    }
}

/// The host of `host:port`.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = authority.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = plain.unwrap_or(host);
    let good =
        !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']) && (plain.is_some() || !host.contains(':'));
    good.then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let with = |address: &str, files: &[&str], insecure: bool| {
            let file = |name: &str| files.contains(&name).then(|| PathBuf::from(name));
            let settings = ExternalGrpcSettings {
                cacert: file("cacert"),
                cert: file("cert"),
                key: file("key"),
                insecure,
                ..ExternalGrpcSettings::at(address)
            };
            settings.parsed().map(|address| address.url).map_err(|error| error.key)
        };
        let all = ["cacert", "cert", "key"];
        for (address, files, insecure, expected) in [
            ("cloud:8086", &all[..], false, Ok("https://cloud:8086")),
            ("https://cloud:8086/", &all[..1], false, Ok("https://cloud:8086")),
            ("[::1]:8086", &[], false, Ok("http://[::1]:8086")),
            ("localhost:8086", &[], false, Ok("http://localhost:8086")),
            ("127.0.0.9:1", &[], false, Ok("http://127.0.0.9:1")),
            ("cloud:8086", &[], true, Ok("http://cloud:8086")),
            ("cloud:8086", &[], false, Err("address")),
            ("http://10.0.0.1:8086", &[], false, Err("address")),
            ("http://localhost:8086", &all[..1], false, Err("address")),
            ("https://cloud:8086", &[], false, Err("cacert")),
            ("cloud:8086", &all[..2], false, Err("key")),
            ("localhost:8086", &["key"], false, Err("cert")),
            ("localhost", &[], false, Err("address")),
            ("ftp://localhost:1", &[], false, Err("address")),
            ("localhost.evil@127.0.0.1:80", &[], false, Err("address")),
            ("127.0.0.1:80/x:80", &[], false, Err("address")),
            ("::1:80", &[], true, Err("address")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(with(address, files, insecure), expected, "{address} {files:?}");
        }
    }
}
