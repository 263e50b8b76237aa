//! Which API server, and who this is.

use std::path::PathBuf;

use clap::Args;
use plimsoll_kube::Connection;

use crate::config::ApiServerConfig;

/// Which API server. By default that of the kubeconfig or, inside a cluster, of the service account.
#[derive(Clone, Debug, Default, Args)]
pub struct ConnectionArguments {
    /// The URL of the API server, instead of a kubeconfig.
    #[arg(long, env = "PLIMSOLL_APISERVER", value_name = "URL")]
    pub server: Option<String>,
    /// A bearer token for --server.
    #[arg(long, env = "PLIMSOLL_APISERVER_TOKEN", hide_env_values = true, value_name = "TOKEN", requires = "server")]
    pub token: Option<String>,
    /// A PEM file of authorities to trust beside those that are known.
    #[arg(long, env = "PLIMSOLL_APISERVER_CA", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A kubeconfig file.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    pub context: Option<String>,
}

impl ConnectionArguments {
    /// With what the configuration says; these arguments outweigh it.
    pub fn with(&self, config: &ApiServerConfig) -> Connection {
        let default = Connection::default();
        Connection {
            server: self.server.clone(),
            token: self.token.clone(),
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            ca_file: self.ca_file.clone().or_else(|| config.ca_file.clone()),
            proxy: config.proxy.clone(),
            writes_per_second: config.writes_per_second.unwrap_or(default.writes_per_second),
            write_burst: config.write_burst.unwrap_or(default.write_burst),
        }
    }
}

/// What this machine is called.
pub fn host_name() -> String {
    let file = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = file.trim();
    if name.is_empty() { "plimsoll".to_owned() } else { name.to_owned() }
}
