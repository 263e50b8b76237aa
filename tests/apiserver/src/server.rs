//! Starting and stopping.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::access::{Access, Authorization, Denial};
use crate::clock::{Clock, WallClock};
use crate::faults::Faults;
use crate::http::{Service, Signals};
use crate::journal::{Journal, Logged};
use crate::semantics::refusal::User;
use crate::store::Store;
use crate::tls::{self, Identity};

/// How a server behaves.
#[derive(Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether it speaks TLS, with a certificate made on the spot.
    pub tls: bool,
    /// Bearer tokens and whose they are.
    pub tokens: Vec<(String, User)>,
    /// Whether requests without a token may do everything.
    pub anonymous_is_admin: bool,
    /// How requests are authorized.
    pub authorization: Authorization,
    /// Whether watches may begin with what there is (`sendInitialEvents`).
    pub streaming_lists: StreamingLists,
    /// So many events of each kind are remembered.
    pub watch_window: usize,
    /// The time that objects are stamped with.
    pub clock: Arc<dyn Clock>,
    /// Whether the content of deleted namespaces is deleted by the server itself.
    pub namespace_controller: bool,
    /// Whether `metrics.k8s.io` is served.
    pub metrics_api: bool,
    /// The version it says it is.
    pub version: String,
}

/// Whether watches may begin with what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamingLists {
    /// They may.
    #[default]
    Served,
    /// Such watches are answered 422, as by servers whose gate `WatchList` is off.
    Rejected422,
}

/// A running server. It stops when it is dropped.
pub struct ApiServer {
    service: Arc<Service>,
    address: SocketAddr,
    identity: Option<Identity>,
    listening: JoinHandle<()>,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: false,
            tokens: Vec::new(),
            anonymous_is_admin: true,
            authorization: Authorization::default(),
            streaming_lists: StreamingLists::default(),
            watch_window: 10_000,
            clock: Arc::new(WallClock),
            namespace_controller: true,
            metrics_api: false,
            version: "v1.36.2".to_owned(),
        }
    }
}

// === impl ApiServer ===

impl ApiServer {
    /// Starts a server with the namespaces that every cluster has.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let identity = if options.tls { Some(tls::identity(address.ip())?) } else { None };
        let acceptor = identity.as_ref().map(Identity::acceptor);
        let store = Store::new(options.watch_window, options.clock);
        if options.metrics_api {
            store.register_metrics();
        }
        for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            store.ensure_namespace(&mut store.lock(), namespace);
        }
        let service = Arc::new(Service {
            faults: Faults::new(store.clone()),
            access: Access::new(options.tokens, options.anonymous_is_admin, options.authorization),
            journal: Journal::default(),
            signals: Signals::default(),
            streaming_lists: options.streaming_lists == StreamingLists::Served,
            namespace_controller: options.namespace_controller,
            version: options.version,
            store,
        });
        let listening = tokio::spawn(listen(listener, acceptor, service.clone()));
        Ok(Self { service, address, identity, listening })
    }

    /// Where it is, like `http://127.0.0.1:4711`.
    pub fn url(&self) -> String {
        let scheme = if self.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate to trust, if it speaks TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.identity.as_ref().map(Identity::ca_pem)
    }

    /// A kubeconfig file for it.
    pub fn kubeconfig(&self, token: Option<&str>) -> String {
        let ca = self.ca_pem().map(|pem| format!("    certificate-authority-data: {}\n", STANDARD.encode(pem)));
        let user = token.map_or_else(|| " {}".to_owned(), |token| format!("\n    token: {token:?}"));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n    server: {}\n{}users:\n- name: \
             local\n  user:{user}\ncontexts:\n- name: local\n  context:\n    cluster: local\n    user: \
             local\ncurrent-context: local\n",
            self.url(),
            ca.unwrap_or_default(),
        )
    }

    /// Its objects.
    pub fn store(&self) -> &Store {
        &self.service.store
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        &self.service.faults
    }

    /// The requests so far, in the order of their answers.
    pub fn requests(&self) -> Vec<Logged> {
        self.service.journal.read()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.service.journal.clear();
    }

    /// Forgets history: from now on resource versions and continue tokens of before are expired, and watches that lag
    /// behind are told so.
    pub fn compact(&self) {
        let mut state = self.service.store.lock();
        let revision = state.revision();
        state.collections.iter_mut().for_each(|collection| collection.compact(revision));
    }

    /// Sends a bookmark to every watch that allows them.
    pub fn send_bookmarks(&self) {
        self.service.signals.bookmarks.send_modify(|calls| *calls += 1);
    }

    /// Forbids something from now on, whatever the roles say. `*` stands for any user, verb, group or resource;
    /// subresources are named like `pods/eviction`.
    pub fn deny(&self, user: &str, verb: &str, group: &str, resource: &str) {
        self.service.access.deny(denial(user, verb, group, resource));
    }

    /// Takes such a denial back.
    pub fn allow_again(&self, user: &str, verb: &str, group: &str, resource: &str) {
        self.service.access.allow_again(&denial(user, verb, group, resource));
    }

    /// Takes all denials back.
    pub fn deny_nothing(&self) {
        self.service.access.deny_nothing();
    }

    /// Closes all connections and the port.
    pub async fn stop(mut self) {
        self.service.signals.ended.send_replace(true);
        self.listening.abort();
        // It was aborted: its end is an error, and that is what is wanted.
        let _ = (&mut self.listening).await;
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn denial(user: &str, verb: &str, group: &str, resource: &str) -> Denial {
    let [user, verb, group, resource] = [user, verb, group, resource].map(str::to_owned);
    Denial { user, verb, group, resource }
}

/// Takes connections until the task is aborted; they end with it.
async fn listen(listener: TcpListener, acceptor: Option<TlsAcceptor>, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it small answers wait for acknowledgements.
                    let _ = stream.set_nodelay(true);
                    let service = service.clone();
                    let acceptor = acceptor.clone();
                    connections.spawn(async move {
                        match acceptor {
                            Some(acceptor) => match acceptor.accept(stream).await {
                                Ok(stream) => serve(stream, service).await,
                                Err(error) => tracing::debug!(%error, "a client did not get through TLS"),
                            },
                            None => serve(stream, service).await,
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, service: Arc<Service>) {
    let handler = service_fn(move |request| service.clone().handle(request));
    let connection = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), handler);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}
