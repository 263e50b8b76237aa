//! An API server to launch in.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_apiserver::{ApiServer, Options, Store};
use plimsoll_kube::{Api, Connection, Leadership, LeadershipSetter, Permit, Term};
use plimsoll_providers::NodeGroupProvider;
use tokio::task::JoinHandle;

use crate::support;

/// The longest that a test waits for something.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct Cluster {
    pub server: ApiServer,
    pub api: Api,
    pub setter: LeadershipSetter,
    pub leadership: Leadership,
}

impl Cluster {
    pub async fn start(options: Options) -> Self {
        let server = ApiServer::start(options).await.expect("a server");
        server.store().register_cluster_api();
        server.store().register_karpenter();
        let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "plimsoll"}});
        server.store().create(namespace).expect("a namespace");
        let api = connect(&server, None).await;
        let (setter, leadership) = support::leader();
        Self { server, api, setter, leadership }
    }

    pub fn store(&self) -> &Store {
        self.server.store()
    }

    pub fn permit(&self) -> Permit {
        support::permit(&self.leadership)
    }

    /// Leads again, in another term.
    pub fn lead(&self, number: u64) {
        self.setter.lead(Term { number, until: None });
    }

    /// What the provider does beside the calls, until the handle is dropped.
    pub fn run(&self, provider: Arc<dyn NodeGroupProvider>) -> Running {
        let leadership = self.leadership.clone();
        Running(tokio::spawn(async move { provider.run(leadership).await }))
    }
}

pub struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub async fn connect(server: &ApiServer, token: Option<&str>) -> Api {
    let connection = Connection {
        server: Some(server.url()),
        token: token.map(str::to_owned),
        writes_per_second: 1000,
        write_burst: 1000,
        ..Connection::default()
    };
    Api::connect(&connection).await.expect("a client")
}
