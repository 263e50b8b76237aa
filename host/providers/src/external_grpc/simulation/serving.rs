//! The simulated cloud on a port.

use std::net::SocketAddr;

use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::SimulatedCloud;
use crate::external_grpc::protocol::cloud_provider_server::CloudProviderServer;
use plimsoll_kube::chain;

/// What the server proves who it is with, and whose certificates clients must have. PEM texts.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// Its certificate.
    pub cert: String,
    /// The key of it.
    pub key: String,
    /// The authority of clients.
    pub client_ca: String,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

/// Why the cloud cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The port is not to be had.
    #[error("{address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("the certificates of the simulated cloud cannot be used: {0}")]
    Tls(String),
}

/// A cloud that is being served, until this is dropped.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    /// Dropped, it ends the connections as well.
    _stop: oneshot::Sender<()>,
}

impl SimulatedCloud {
    /// Serves the cloud; port 0 is any port.
    pub fn serve(&self, address: SocketAddr, tls: Option<ServerTls>) -> Result<Serving, SimulationError> {
        let listen = |source| SimulationError::Listen { address, source };
        let incoming = TcpIncoming::bind(address).map_err(listen)?.with_nodelay(Some(true));
        let address = incoming.local_addr().map_err(listen)?;
        let mut server = Server::builder();
        if let Some(tls) = tls {
            let config = ServerTlsConfig::new()
                .identity(Identity::from_pem(tls.cert, tls.key))
                .client_ca_root(Certificate::from_pem(tls.client_ca));
            server = server.tls_config(config).map_err(|error| SimulationError::Tls(chain(&error)))?;
        }
        let served = server.add_service(CloudProviderServer::new(self.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let served = served.serve_with_incoming_shutdown(incoming, async move {
            let _ = stopped.await;
        });
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::warn!(error = chain(&error), "the simulated cloud is not served any more");
            }
        });
        Ok(Serving { address, _stop: stop })
    }
}

impl Serving {
    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
