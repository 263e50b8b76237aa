//! The node-group provider of this process.

use std::sync::Arc;

use anyhow::{Context, Result};
use plimsoll_kube::{Api, Connection, Feature, Leadership};
use plimsoll_model::NodeGroup;
use plimsoll_providers::{BootstrapToken, KubeletRequests, NodeGroupProvider, ProviderConfig, Surroundings};
use tokio_util::sync::CancellationToken;

/// The variable with the token by which simulated nodes ask for their first certificates.
pub const BOOTSTRAP_TOKEN: &str = "PLIMSOLL_BOOTSTRAP_TOKEN";

/// What it needs of its surroundings.
pub struct Around<'a> {
    /// The cluster.
    pub api: &'a Api,
    /// How it is reached.
    pub connection: &'a Connection,
    /// Whether this replica leads.
    pub leadership: &'a Leadership,
    /// The controller's namespace.
    pub namespace: &'a str,
    /// The node groups of the configuration.
    pub groups: &'a [NodeGroup],
}

/// The configured provider, at work until `stop`; `None` if none is configured.
pub async fn start(
    config: Option<&ProviderConfig>,
    around: Around<'_>,
    stop: &CancellationToken,
) -> Result<Option<Arc<dyn NodeGroupProvider>>> {
    let Some(config) = config else { return Ok(None) };
    let surroundings = Surroundings {
        api: Some(around.api.clone()),
        namespace: around.namespace.to_owned(),
        groups: around.groups.to_vec(),
        kubelets: kubelets(config, around.connection).await?,
    };
    let provider = config.build(&surroundings).await?;
    let (working, leadership, stop) = (provider.clone(), around.leadership.clone(), stop.clone());
    tokio::spawn(async move { stop.run_until_cancelled(working.run(leadership)).await });
    Ok(Some(provider))
}

/// Through whom simulated nodes ask for certificates.
async fn kubelets(config: &ProviderConfig, connection: &Connection) -> Result<Option<Arc<dyn KubeletRequests>>> {
    let ProviderConfig::Simulated(settings) = config else { return Ok(None) };
    if !settings.csr {
        return Ok(None);
    }
    let token = std::env::var(BOOTSTRAP_TOKEN)
        .with_context(|| format!("provider.csr: simulated nodes need a bootstrap token; set {BOOTSTRAP_TOKEN}"))?;
    let api = Api::connect(&Connection { token: Some(token), ..connection.clone() }).await?;
    Ok(Some(Arc::new(BootstrapToken(api))))
}

/// What has to be permitted for the configured provider.
pub fn feature(config: Option<&ProviderConfig>) -> Option<Feature> {
    match config? {
        ProviderConfig::Simulated(_) => Some(Feature::Simulated),
        ProviderConfig::ClusterApi(_) => Some(Feature::ClusterApi),
        ProviderConfig::Karpenter(_) => Some(Feature::Karpenter),
        ProviderConfig::ExternalGrpc(_) => None,
    }
}
