//! `provider` in the configuration.

use std::sync::Arc;

use plimsoll_kube::{Api, ConnectError, Connection};
use plimsoll_model::NodeGroup;
use serde::Deserialize;

use crate::{
    ClusterApi, ClusterApiSettings, ExternalGrpc, ExternalGrpcSettings, Karpenter, KarpenterSettings, KubeletRequests,
    NodeGroupProvider, SettingError, Simulated, SimulatedSettings,
};

/// Which provider, and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ProviderConfig {
    /// Node objects and nothing else.
    Simulated(SimulatedSettings),
    /// A server with cluster-autoscaler's external gRPC interface.
    ExternalGrpc(ExternalGrpcSettings),
    /// Cluster API.
    ClusterApi(ClusterApiSettings),
    /// Karpenter.
    Karpenter(KarpenterSettings),
}

/// What providers need beside their settings.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The cluster.
    pub api: Option<Api>,
    /// The controller's namespace.
    pub namespace: String,
    /// The node groups of the configuration.
    pub groups: Vec<NodeGroup>,
    /// Through whom simulated nodes ask for certificates.
    pub kubelets: Option<Arc<dyn KubeletRequests>>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let groups = self.groups.iter().map(|group| &group.name).collect::<Vec<_>>();
        f.debug_struct("Surroundings").field("groups", &groups).finish_non_exhaustive()
    }
}

/// Why there is no provider.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting cannot be used.
    #[error("provider.{0}")]
    Setting(#[from] SettingError),
    /// It works through the API server, and none is there.
    #[error("provider.kind: {0} needs a cluster; give --kubeconfig or --server")]
    NoCluster(&'static str),
    /// The management cluster is not to be had.
    #[error("provider.kubeconfig: {0}")]
    Management(ConnectError),
}

impl ProviderConfig {
    /// Its name, as under `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Simulated(_) => "simulated",
            Self::ExternalGrpc(_) => "externalGrpc",
            Self::ClusterApi(_) => "clusterApi",
            Self::Karpenter(_) => "karpenter",
        }
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), SettingError> {
        match self {
            Self::Simulated(settings) => settings.check(),
            Self::ExternalGrpc(settings) => settings.check(),
            Self::ClusterApi(settings) => settings.check(),
            Self::Karpenter(settings) => settings.check(),
        }
    }

    /// The provider. Nothing is sent yet.
    pub async fn build(&self, around: &Surroundings) -> Result<Arc<dyn NodeGroupProvider>, BuildError> {
        self.check()?;
        let api = || around.api.clone().ok_or(BuildError::NoCluster(self.kind()));
        Ok(match self.clone() {
            Self::Simulated(settings) => {
                let (groups, kubelets) = (around.groups.clone(), around.kubelets.clone());
                Arc::new(Simulated::new(api()?, settings, &around.namespace, groups, kubelets))
            }
            Self::ExternalGrpc(settings) => Arc::new(ExternalGrpc::new(settings)?),
            Self::ClusterApi(settings) => {
                let api = match &settings.kubeconfig {
                    None => api()?,
                    Some(path) => {
                        let connection = Connection { kubeconfig: Some(path.clone()), ..Connection::default() };
                        Api::connect(&connection).await.map_err(BuildError::Management)?
                    }
                };
                let names = around.groups.iter().map(|group| group.name.clone()).collect();
                Arc::new(ClusterApi::new(api, settings, names))
            }
            Self::Karpenter(settings) => Arc::new(Karpenter::new(api()?, settings)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_settings_name_their_key() {
        let class = json!({"group": "g", "kind": "K", "name": ""});
        for (text, says) in [
            (json!({"kind": "cloudy"}), "unknown variant `cloudy`"),
            (json!({"delay": "5s"}), "missing field `kind`"),
            (json!({"kind": "simulated", "dealy": "5s"}), "unknown field `dealy`"),
            (json!({"kind": "simulated", "delay": "soon"}), "\"soon\" is no duration"),
            (json!({"kind": "simulated", "faults": [{"fault": "slowJoin"}]}), "faults[0].delay: slowJoin needs one"),
            (json!({"kind": "simulated", "faults": [{"fault": "quota", "first": 0}]}), "faults[0].first: 0"),
            (json!({"kind": "simulated", "faults": [{"fault": "meteor"}]}), "unknown variant `meteor`"),
            (json!({"kind": "simulated", "removal": {"fail": "often"}}), "unknown variant `often`"),
            (json!({"kind": "simulated", "removal": {"first": 1}}), "removal.first: it is for removal.fail"),
            (json!({"kind": "simulated", "removal": {"fail": "refused", "first": 0}}), "removal.first: 0 is no call"),
            (json!({"kind": "externalGrpc"}), "missing field `address`"),
            (json!({"kind": "externalGrpc", "address": "cloud:1"}), "address: cloud is another machine"),
            (json!({"kind": "externalGrpc", "address": "[::1]:1", "timeout": 0}), "timeout: no call"),
            (json!({"kind": "clusterApi", "groups": {"a": "b"}}), "groups.a: \"b\" names no object"),
            (json!({"kind": "clusterApi", "groups": {"a": "Node/b/c"}}), "groups.a:"),
            (json!({"kind": "clusterApi", "clusterName": "a,b"}), "clusterName:"),
            (json!({"kind": "karpenter", "expireAfter": "soon"}), "expireAfter: \"soon\""),
            (json!({"kind": "karpenter", "terminationGracePeriod": "Never"}), "terminationGracePeriod:"),
            (json!({"kind": "karpenter", "groups": {"a": {"nodeClassRef": class}}}), "groups.a.nodeClassRef: group"),
            (json!({"kind": "karpenter", "groups": {"a": {"requests": {"cpu": "x"}}}}), "groups.a.requests.cpu:"),
            (
                json!({"kind": "karpenter", "groups": {"a": {"startupTaints": [{"key": "k", "effect": "E"}]}}}),
                "groups.a.startupTaints[0]:",
            ),
        ] {
            let read = serde_json::from_value::<ProviderConfig>(text.clone()).map_err(|error| error.to_string());
            let error = read.and_then(|config| config.check().map_err(|error| error.to_string())).expect_err(says);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn settings_have_defaults() {
        for kind in ["simulated", "clusterApi", "karpenter"] {
            let config: ProviderConfig = serde_json::from_value(json!({"kind": kind})).expect(kind);
            assert_eq!((config.kind(), config.check()), (kind, Ok(())));
        }
        let text = json!({"kind": "externalGrpc", "address": "localhost:8086", "timeout": 7, "settle": "1m"});
        let config: ProviderConfig = serde_json::from_value(text).expect("a config");
        let ProviderConfig::ExternalGrpc(settings) = config else { panic!("another kind") };
        assert_eq!((settings.timeout.as_secs(), settings.settle.as_secs()), (7, 60));
    }

    #[tokio::test]
    async fn what_works_through_the_cluster_needs_one() {
        let around = Surroundings::default();
        for kind in ["simulated", "clusterApi", "karpenter"] {
            let config: ProviderConfig = serde_json::from_value(json!({"kind": kind})).expect(kind);
            let error = config.build(&around).await.map(|_| ()).expect_err(kind);
            assert!(error.to_string().starts_with(&format!("provider.kind: {kind} needs a cluster")));
        }
    }
}
