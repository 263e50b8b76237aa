//! The connection to the server, renewed when its files are.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use plimsoll_kube::chain;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::settings::{Address, ExternalGrpcSettings};
use crate::SettingError;

/// The connection. It is made at the first call, and anew after it broke.
#[derive(Debug)]
pub(super) struct Connector {
    settings: ExternalGrpcSettings,
    address: Address,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    files: Files,
    channel: Channel,
}

/// What the files held.
#[derive(Clone, Default, PartialEq, Eq)]
struct Files {
    cacert: Option<Vec<u8>>,
    cert: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl std::fmt::Debug for Files {
    /// A key is nobody's to read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

impl Connector {
    /// Nothing is read or sent yet.
    pub fn new(settings: ExternalGrpcSettings) -> Result<Self, SettingError> {
        let address = settings.parsed()?;
        Ok(Self { settings, address, open: Mutex::new(None) })
    }

    /// The present channel. Where a certificate was renewed it is a new one.
    pub fn channel(&self) -> Result<Channel, String> {
        let files = self.files();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*open, files) {
            (Some(now), Ok(files)) if now.files == files => Ok(now.channel.clone()),
            // In the middle of a renewal; what was good goes on.
            (Some(now), Err(problem)) => {
                tracing::warn!(%problem, "the certificates of the provider are not read again");
                Ok(now.channel.clone())
            }
            (None, Err(problem)) => Err(problem),
            (before, Ok(files)) => match (self.connect(&files), before) {
                (Ok(channel), _) => {
                    *open = Some(Open { files, channel: channel.clone() });
                    Ok(channel)
                }
                (Err(problem), Some(before)) => {
                    tracing::warn!(%problem, "the renewed certificates of the provider are not used");
                    Ok(before.channel.clone())
                }
                (Err(problem), None) => Err(problem),
            },
        }
    }

    fn files(&self) -> Result<Files, String> {
        let read = |path: &Option<std::path::PathBuf>| path.as_deref().map(read_file).transpose();
        let ExternalGrpcSettings { cacert, cert, key, .. } = &self.settings;
        Ok(Files { cacert: read(cacert)?, cert: read(cert)?, key: read(key)? })
    }

    fn connect(&self, files: &Files) -> Result<Channel, String> {
        let wrong = |error: tonic::transport::Error| chain(&error);
        let mut endpoint = Endpoint::from_shared(self.address.url.clone())
            .map_err(wrong)?
            .connect_timeout(self.settings.timeout)
            .tcp_nodelay(true)
            .user_agent("plimsoll")
            .map_err(wrong)?;
        if self.address.tls {
            let mut tls = ClientTlsConfig::new();
            if let Some(name) = &self.settings.server_name {
                tls = tls.domain_name(name);
            }
            if let Some(cacert) = &files.cacert {
                tls = tls.ca_certificate(Certificate::from_pem(cacert));
            }
            if let (Some(cert), Some(key)) = (&files.cert, &files.key) {
                tls = tls.identity(Identity::from_pem(cert, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(wrong)?;
        }
        Ok(endpoint.connect_lazy())
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
