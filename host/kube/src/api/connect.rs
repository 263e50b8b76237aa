//! How the API server is reached.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};

/// How the API server is reached. What is not given comes from the kubeconfig or, inside a cluster, from the service
/// account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its URL, in the place of a kubeconfig.
    pub server: Option<String>,
    /// A bearer token, for `server`.
    pub token: Option<String>,
    /// A kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    pub context: Option<String>,
    /// PEM file of more authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// An HTTP or SOCKS5 proxy.
    pub proxy: Option<String>,
    /// Writes per second in the long run.
    pub writes_per_second: u32,
    /// Writes at once after a pause.
    pub write_burst: u32,
}

/// Why there is no connection. As text: what was read, what was wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A URL is none.
    #[error("{what}: \"{url}\" is no URL: {problem}")]
    Url {
        /// Whose.
        what: &'static str,
        /// As given.
        url: String,
        /// Why not.
        problem: String,
    },
    /// A kubeconfig cannot be used.
    #[error("{path}: {problem}")]
    Kubeconfig {
        /// Which.
        path: String,
        /// Why not.
        problem: String,
    },
    /// A file of authorities cannot be used.
    #[error("{}: {problem}", path.display())]
    Authorities {
        /// Which.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// There is neither a kubeconfig nor a service account.
    #[error(
        "no API server is known: there is no kubeconfig ({kubeconfig}), and this is no pod with a service account \
         ({in_cluster}); give --kubeconfig or --server"
    )]
    Nowhere {
        /// What is wrong with the kubeconfig.
        kubeconfig: String,
        /// What is wrong with the service account.
        in_cluster: String,
    },
    /// The client cannot be built from all this.
    #[error("the connection cannot be set up: {0}")]
    Client(String),
}

impl Default for Connection {
    /// By kubeconfig or service account; 20 writes per second, 40 at once.
    fn default() -> Self {
        Self {
            server: None,
            token: None,
            kubeconfig: None,
            context: None,
            ca_file: None,
            proxy: None,
            writes_per_second: 20,
            write_burst: 40,
        }
    }
}

/// One client that waits for as long as it takes, for watches, and one that does not.
pub(super) struct Clients {
    pub watching: Client,
    pub calling: Client,
}

impl Connection {
    pub(super) async fn open(&self) -> Result<Clients, ConnectError> {
        let mut config = self.config().await?;
        // Without this one blocked eviction is sent again for minutes, whoever leads meanwhile.
        config.default_retry = false;
        if let Some(path) = &self.ca_file {
            config.root_cert.get_or_insert_default().extend(authorities(path)?);
            // The bundle of the service account is otherwise read again from its file, without these.
            if let Some(own) = config.root_cert_file.take() {
                config.root_cert.get_or_insert_default().extend(authorities(&own)?);
            }
        }
        if let Some(proxy) = &self.proxy {
            config.proxy_url = Some(url("proxy-url", proxy)?);
        }
        let client = |config: Config| Client::try_from(config).map_err(|error| ConnectError::Client(chain(&error)));
        let watching = client(config.clone())?;
        config.read_timeout = Some(Duration::from_secs(60));
        config.reset_reader_on_write = true;
        Ok(Clients { watching, calling: client(config)? })
    }

    async fn config(&self) -> Result<Config, ConnectError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..Default::default() };
        if let Some(server) = &self.server {
            let mut config = Config::new(url("server", server)?);
            let token = self.token.clone().map(Into::into);
            config.auth_info = AuthInfo { token, ..Default::default() };
            return Ok(config);
        }
        if let Some(path) = &self.kubeconfig {
            let wrong = |problem: String| ConnectError::Kubeconfig { path: path.display().to_string(), problem };
            let file = Kubeconfig::read_from(path).map_err(|error| wrong(chain(&error)))?;
            return Config::from_custom_kubeconfig(file, &options).await.map_err(|error| wrong(chain(&error)));
        }
        match Config::from_kubeconfig(&options).await {
            Ok(config) => Ok(config),
            Err(outside) => Config::incluster().map_err(|inside| match self.context {
                Some(_) => ConnectError::Kubeconfig { path: "kubeconfig".to_owned(), problem: chain(&outside) },
                None => ConnectError::Nowhere { kubeconfig: chain(&outside), in_cluster: chain(&inside) },
            }),
        }
    }
}

fn url(what: &'static str, text: &str) -> Result<http::Uri, ConnectError> {
    let wrong = |problem: String| ConnectError::Url { what, url: text.to_owned(), problem };
    let url: http::Uri = text.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match url.scheme_str() {
        Some(_) => Ok(url),
        None => Err(wrong("it has no scheme; write it like https://10.0.0.1:6443".to_owned())),
    }
}

/// The certificates of a PEM file, each as DER.
fn authorities(path: &Path) -> Result<Vec<Vec<u8>>, ConnectError> {
    use base64::Engine as _;
    let wrong = |problem: String| ConnectError::Authorities { path: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    let all = blocks.map(|block| {
        let body = block.split("-----END CERTIFICATE-----").next().unwrap_or_default();
        let body: String = body.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD
            .decode(body)
            .map_err(|error| wrong(format!("a certificate is no base64: {error}")))
    });
    let all: Vec<Vec<u8>> = all.collect::<Result<_, _>>()?;
    if all.is_empty() {
        return Err(wrong("there is no certificate in it; it must be a PEM file".to_owned()));
    }
    Ok(all)
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
