//! Surroundings for a loop: the fake API server, a cluster that is watched, and a provider that says what a test wants.
#![allow(clippy::expect_used, reason = "what cannot be set up is a failing test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use plimsoll_apiserver::{ApiServer, Options};
use plimsoll_kube::{
    Api, Connection, DebounceTimes, EventLimits, EventsOptions, Feature, FeatureOptions, FeatureTable, Features,
    Leadership, LeadershipSetter, Mirror, MirrorOptions, Permit, Term, write_events,
};
use plimsoll_model::{NodeGroup, Snapshot, Timestamp};
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict};
use plimsoll_planner::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion, Removal, RemovalOutcome};
use plimsoll_planner::launch::{LaunchIntent, LaunchOutcome};
use plimsoll_planner::scale_up::{LaunchRequest, ScaleUpConfig, ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_planner::{Asked, CsrPolicy, DrainPolicy, ScaleUpPolicy};
use plimsoll_providers::{Inventory, NodeGroupProvider, ProviderError};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{Effects, Health, Heard, Identity, Metrics, Parts, Policies, PolicyStatus, Settings, StatusBoard};

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a loop runs in.
pub struct Fixture {
    pub server: ApiServer,
    pub parts: Parts,
    pub leader: LeadershipSetter,
    pub settings: watch::Sender<Arc<Settings>>,
    pub heard: watch::Sender<Heard>,
    pub stop: CancellationToken,
}

impl Fixture {
    /// A replica that leads, in a cluster without nodes, with the group `g` and these features.
    pub async fn start(features: &[Feature], options: Options) -> Self {
        let server = ApiServer::start(options).await.expect("the fake API server starts");
        let connection = Connection { server: Some(server.url()), ..Connection::default() };
        let api = Api::connect(&connection).await.expect("a client");
        let (leader, leadership) = Leadership::new(false);
        leader.lead(Term { number: 1, until: None });
        let configured: BTreeSet<Feature> = features.iter().copied().collect();
        let identity = Identity {
            cluster: "t".to_owned(),
            replica: "a".to_owned(),
            pod: None,
            namespace: "default".to_owned(),
            observe: false,
            inventory_every: Duration::from_secs(10),
        };
        let options = FeatureOptions {
            namespace: identity.namespace.clone(),
            lease: identity.lease(),
            status: identity.status_record(),
            launches: identity.ledger_record(),
            configured,
        };
        let features = Features::fixed(FeatureTable::assumed(&options));
        let stop = CancellationToken::new();
        let writing = EventsOptions { identity: "a".to_owned(), limits: EventLimits::default() };
        let (events, _) = write_events(api.clone(), leadership.clone(), features.clone(), writing, stop.clone());
        let times = DebounceTimes { quiet: Duration::ZERO, at_most: Duration::ZERO, ..DebounceTimes::default() };
        let mirror = Mirror::start(&api, &MirrorOptions { times, ..MirrorOptions::default() }).expect("a thread");
        let (settings, set) = watch::channel(Arc::new(Settings {
            scale_up: ScaleUpConfig { groups: vec![group("g")], ..ScaleUpConfig::default() },
            cleanup: Some(Duration::from_secs(60)),
            usage: true,
            ..Settings::default()
        }));
        let (heard, hear) = watch::channel(Heard::default());
        let parts = Parts {
            api,
            mirror,
            leadership,
            provider: Some(Arc::new(Told)),
            heard: hear,
            ask_again: Arc::new(Notify::new()),
            policies: Arc::new(Silent),
            settings: set,
            identity: Arc::new(identity),
            events,
            features,
            effects: Effects::start(),
            metrics: Metrics::default(),
            status: StatusBoard::new(crate::Status::default()),
            health: Health::default(),
            simulation: Default::default(),
            exchange: Default::default(),
            clock: Arc::new(|| Timestamp(1_800_000_000_000)),
        };
        Self { server, parts, leader, settings, heard, stop }
    }

    /// A node of a group with its machine's id, and whether it is ready.
    pub fn node(&self, name: &str, group: &str, ready: bool) {
        self.server.store().apply(node(name, group, ready)).expect("a node");
    }

    /// Waits until the watch shows this.
    pub async fn shows(&mut self, what: &str, shows: impl Fn(&Snapshot) -> bool) {
        let mut mirror = self.parts.mirror.clone();
        let shown = async {
            while !mirror.latest().is_some_and(|view| shows(&view.snapshot)) {
                mirror.changed().await.expect("the cluster is watched");
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.expect(what);
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}\n{}", self.parts.metrics.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// True if this line is among the figures.
    pub fn says(&self, line: &str) -> bool {
        self.parts.metrics.text().lines().any(|known| known == line)
    }

    /// Changes of nodes that were asked for.
    pub fn deletions(&self) -> Vec<String> {
        let deleted = self.server.requests().into_iter().filter(|logged| logged.verb == "delete");
        deleted.map(|logged| format!("{} {}: {}", logged.resource, logged.name, logged.code)).collect()
    }
}

/// A group of that name.
pub fn group(name: &str) -> NodeGroup {
    NodeGroup { name: name.into(), max: 10, zones: vec!["a".into()], ..NodeGroup::default() }
}

/// A node of a group whose machine is `i-NAME`.
pub fn node(name: &str, group: &str, ready: bool) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"plimsoll.dev/node-group": group}},
        "spec": {"providerID": format!("i-{name}")},
        "status": {
            "allocatable": {"cpu": "3500m", "memory": "8Gi", "pods": "20"},
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "Unknown" }}],
        },
    })
}

/// A provider that is asked nothing: a test says what was heard from it.
#[derive(Debug)]
struct Told;

#[async_trait]
impl NodeGroupProvider for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn knows_all_groups(&self) -> bool {
        true
    }

    async fn inventory(&self) -> Result<Inventory, ProviderError> {
        Ok(Inventory::default())
    }

    async fn baseline(&self, _: &LaunchRequest) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    async fn launch(&self, _: &Permit, _: &LaunchIntent) -> LaunchOutcome {
        LaunchOutcome::Unknown("a test".to_owned())
    }

    async fn removal_baseline(&self, _: &Removal) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    async fn remove(&self, _: &Permit, _: &Removal) -> RemovalOutcome {
        RemovalOutcome::Unknown("a test".to_owned())
    }
}

/// Policies that have no answer.
struct Silent;

impl ScaleUpPolicy for Silent {
    fn choose(&self, _: &Arc<Snapshot>, _: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        Asked { verdict: None, calls: Vec::new() }
    }
}

impl DrainPolicy for Silent {
    fn order_nodes(&self, _: &Arc<Snapshot>, _: &NodesQuestion) -> Asked<NodesVerdict> {
        Asked { verdict: None, calls: Vec::new() }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, _: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        Asked { verdict: None, calls: Vec::new() }
    }
}

impl CsrPolicy for Silent {
    fn review(&self, _: &Arc<Snapshot>, _: &CsrQuestion) -> Asked<CsrVerdict> {
        Asked { verdict: None, calls: Vec::new() }
    }
}

impl Policies for Silent {
    fn status(&self) -> Vec<PolicyStatus> {
        Vec::new()
    }

    fn revision(&self) -> u64 {
        0
    }
}
