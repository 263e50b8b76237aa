//! Simulated machines on the fake API server.

mod removing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use plimsoll_apiserver::{Fault as ServerFault, Options, Rule, Store, User};
use plimsoll_kube::{ApiError, Permit};
use plimsoll_model::{Bytes, InstanceType, MilliCpu, NodeGroup, Resources};
use plimsoll_planner::launch::LaunchOutcome;
use plimsoll_providers::{
    BootstrapToken, Fault, FaultSettings, InstanceState, KubeletRequests, NodeGroupProvider, Requester, Simulated,
    SimulatedSettings,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT, connect};
use crate::support::{intent, label};

const RECORD: &str = "plimsoll-simulated-machines";

fn groups() -> Vec<NodeGroup> {
    let instance_type = InstanceType {
        name: "m5.large".into(),
        cpu: MilliCpu(2000),
        memory: Bytes(8 << 30),
        gpus: 1,
        gpu_resource: "nvidia.com/gpu".into(),
        max_pods: 29,
        ..InstanceType::default()
    };
    let system_reserved = Resources { cpu: MilliCpu(100), ..Resources::default() };
    ["a", "b"]
        .map(|name| NodeGroup {
            name: name.into(),
            max: 10,
            instance_types: vec![instance_type.clone()],
            system_reserved: system_reserved.clone(),
            ..NodeGroup::default()
        })
        .into()
}

fn settings(delay: Duration) -> SimulatedSettings {
    SimulatedSettings { delay, ..SimulatedSettings::default() }
}

fn simulated(cluster: &Cluster, settings: SimulatedSettings) -> Arc<Simulated> {
    Arc::new(Simulated::new(cluster.api.clone(), settings, "plimsoll", groups(), None))
}

fn names(store: &Store) -> Vec<String> {
    let nodes = store.list("nodes", "");
    nodes.iter().map(|node| node["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn fault(fault: Fault) -> FaultSettings {
    FaultSettings { group: None, instance_type: None, zone: None, first: None, fault, delay: None }
}

const SOON: Duration = Duration::ZERO;
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn nodes_appear_as_they_were_asked_for() {
    let cluster = Cluster::start(Options::default()).await;
    let mut settings = settings(SOON);
    settings.annotations.insert("kwok.x-k8s.io/node".to_owned(), "fake".to_owned());
    let provider = simulated(&cluster, settings);
    let _running = cluster.run(provider.clone());
    let outcome = provider.launch(&cluster.permit(), &intent("l1", "a", 3, None)).await;
    let expected: Vec<_> = ["l1-0", "l1-1", "l1-2"].map(Into::into).into();
    assert_eq!(outcome, LaunchOutcome::Accepted { nodes: expected });
    assert!(cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 3).await);
    let node = cluster.store().get("nodes", "", "l1-1").expect("a node");
    assert_eq!(node["spec"]["providerID"], "plimsoll-sim://zone-a/l1-1");
    assert_eq!(node["spec"]["taints"][0]["key"], "team");
    assert_eq!(node["metadata"]["annotations"]["kwok.x-k8s.io/node"], "fake");
    for (key, value) in [
        ("plimsoll.dev/launch", "l1"),
        ("plimsoll.dev/node-group", "a"),
        ("kubernetes.io/hostname", "l1-1"),
        ("team", "shop"),
    ] {
        assert_eq!(node["metadata"]["labels"][key], value, "{key}");
    }
    assert_eq!(
        node["status"]["capacity"],
        json!({
            "cpu": "2", "memory": (8u64 << 30).to_string(), "pods": "29", "ephemeral-storage": "0", "nvidia.com/gpu": "1",
        })
    );
    assert_eq!(node["status"]["allocatable"]["cpu"], "1900m");
    let ready = node["status"]["conditions"].as_array().expect("conditions").iter().find(|c| c["type"] == "Ready");
    assert_eq!(ready.expect("ready")["status"], "True");
    let mut addresses: Vec<Value> = cluster
        .store()
        .list("nodes", "")
        .iter()
        .map(|node| node["status"]["addresses"][0]["address"].clone())
        .collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "each its own");
    let inventory = provider.inventory().await.expect("an inventory");
    assert_eq!((inventory.groups[0].target, inventory.groups[1].target), (3, 0));
    assert!(inventory.groups[0].instances.iter().all(|instance| instance.state == InstanceState::Running));
}

#[tokio::test]
async fn machines_are_known_before_their_nodes() {
    let cluster = Cluster::start(Options::default()).await;
    let provider = simulated(&cluster, settings(NEVER));
    let _running = cluster.run(provider.clone());
    provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    let inventory = provider.inventory().await.expect("an inventory");
    assert_eq!(inventory.groups[0].instances[0].state, InstanceState::Creating);
    let machine = &inventory.machines[1];
    assert_eq!((machine.name.as_str(), machine.node.as_deref(), machine.group.as_deref()), ("l1-1", None, Some("a")));
    let addresses: Vec<&str> = machine.addresses.iter().map(|address| address.value.as_str()).collect();
    assert_eq!(addresses, ["10.64.0.2", "l1-1.sim.internal", "l1-1"]);
    assert!(machine.created.is_some());
    assert_eq!(cluster.store().count("nodes"), 0);
}

#[tokio::test]
async fn pending_nodes_appear_after_a_restart() {
    let cluster = Cluster::start(Options::default()).await;
    let first = simulated(&cluster, settings(SOON));
    // Nobody runs: it dies right after the answer.
    first.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    drop(first);
    assert_eq!(cluster.store().count("nodes"), 0);
    cluster.setter.resign();
    let second = simulated(&cluster, settings(NEVER));
    let _running = cluster.run(second.clone());
    // A follower makes none.
    assert!(!cluster.store().wait_until(Duration::from_millis(200), |store| store.count("nodes") > 0).await);
    cluster.lead(2);
    assert!(cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 2).await);
    // The launch is known as well.
    let again = second.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    assert_eq!(label(&again), "Accepted");
    assert_eq!(names(cluster.store()), ["l1-0", "l1-1"]);
}

#[tokio::test]
async fn a_deleted_node_stays_deleted() {
    let cluster = Cluster::start(Options::default()).await;
    let provider = simulated(&cluster, settings(SOON));
    let running = cluster.run(provider.clone());
    provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    let written = |store: &Store| {
        let record = store.get("configmaps", "plimsoll", RECORD).unwrap_or_default();
        record["data"]["l1"].as_str().is_some_and(|launch| launch.contains("\"pending\":[]"))
    };
    assert!(cluster.store().wait_until(LIMIT, written).await);
    cluster.store().delete("nodes", "", "l1-0");
    drop(running);
    let provider = simulated(&cluster, settings(SOON));
    let _running = cluster.run(provider.clone());
    provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    provider.launch(&cluster.permit(), &intent("l2", "a", 1, None)).await;
    assert!(cluster.store().wait_until(LIMIT, |store| store.get("nodes", "", "l2-0").is_some()).await);
    assert_eq!(names(cluster.store()), ["l1-1", "l2-0"]);
    let inventory = provider.inventory().await.expect("an inventory");
    assert_eq!(inventory.machines.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>(), ["l1-1", "l2-0"]);
    assert_eq!(inventory.groups[0].target, 2);
}

#[tokio::test]
async fn faults_befall_what_they_are_meant_for() {
    let cluster = Cluster::start(Options::default()).await;
    let faults = vec![
        FaultSettings { group: Some("b".to_owned()), zone: Some("zone-a".to_owned()), ..fault(Fault::NoCapacity) },
        FaultSettings { group: Some("b".to_owned()), ..fault(Fault::NeverJoins) },
        FaultSettings { first: Some(1), ..fault(Fault::Quota) },
        FaultSettings { first: Some(1), delay: Some(NEVER), ..fault(Fault::SlowJoin) },
        FaultSettings { first: Some(1), ..fault(Fault::WrongLabels) },
    ];
    let provider = simulated(&cluster, SimulatedSettings { faults, ..settings(SOON) });
    let _running = cluster.run(provider.clone());
    let permit = cluster.permit();
    let mut elsewhere = intent("never", "b", 1, None);
    elsewhere.request.zone = "zone-b".into();
    for (intent, expected) in [
        (intent("none", "b", 1, None), "NoCapacity"),
        (elsewhere, "Accepted"),
        (intent("quota", "a", 1, None), "Quota"),
        (intent("slow", "a", 1, None), "Accepted"),
        (intent("wrong", "a", 1, None), "Accepted"),
        (intent("good", "a", 1, None), "Accepted"),
        // A repeated launch is what it was.
        (intent("wrong", "a", 1, None), "Accepted"),
        (intent("odd", "nobody", 1, None), "Invalid"),
    ] {
        assert_eq!(label(&provider.launch(&permit, &intent).await), expected, "{}", intent.id);
    }
    assert!(cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 2).await);
    assert_eq!(names(cluster.store()), ["good-0", "wrong-0"]);
    let wrong = cluster.store().get("nodes", "", "wrong-0").expect("a node");
    assert_eq!(wrong["metadata"]["labels"]["plimsoll.dev/node-group"], "another-group");
    assert_eq!(wrong["metadata"]["labels"]["team"], Value::Null);
    let machines = provider.inventory().await.expect("an inventory").machines;
    let machines: Vec<&str> = machines.iter().map(|machine| machine.name.as_str()).collect();
    assert_eq!(machines, ["good-0", "never-0", "slow-0", "wrong-0"]);
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_told_apart() {
    for (verb, fault, expected, launches) in [
        ("create", ServerFault::DropAfterWrite, "Unknown", 1),
        ("create", ServerFault::DropBeforeWrite, "Unknown", 0),
        ("create", ServerFault::Status { code: 500, retry_after: None }, "Unknown", 0),
        ("create", ServerFault::Status { code: 403, retry_after: None }, "Unauthorized", 0),
        ("create", ServerFault::Status { code: 429, retry_after: Some(1) }, "RateLimited", 0),
        ("create", ServerFault::Status { code: 409, retry_after: None }, "Accepted", 1),
        ("get", ServerFault::Status { code: 403, retry_after: None }, "Unknown", 0),
    ] {
        let cluster = Cluster::start(Options::default()).await;
        let provider = simulated(&cluster, settings(NEVER));
        cluster.server.faults().add(Rule::on(verb, "configmaps").times(1), fault.clone());
        let outcome = provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
        assert_eq!(label(&outcome), expected, "{verb} {fault:?}: {outcome:?}");
        let machines = provider.inventory().await.expect("an inventory").machines.len();
        assert_eq!(machines, launches * 2, "{verb} {fault:?}");
        let again = provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
        assert_eq!(label(&again), "Accepted");
        assert_eq!(provider.inventory().await.expect("an inventory").machines.len(), 2);
    }
}

#[tokio::test]
async fn two_that_launch_at_once_lose_nothing() {
    let cluster = Cluster::start(Options::default()).await;
    let all = (0..4).map(|at| {
        let provider = simulated(&cluster, settings(NEVER));
        let permit = cluster.permit();
        tokio::spawn(async move {
            let intent = intent(&format!("l{at}"), "a", 2, None);
            let mut tries = 0;
            while label(&provider.launch(&permit, &intent).await) != "Accepted" {
                tries += 1;
                assert!(tries < 20);
            }
        })
    });
    for launched in all.collect::<Vec<_>>() {
        launched.await.expect("launched");
    }
    let machines = simulated(&cluster, settings(NEVER)).inventory().await.expect("an inventory").machines;
    let addresses: std::collections::BTreeSet<String> =
        machines.iter().map(|machine| machine.addresses[0].value.to_string()).collect();
    assert_eq!((machines.len(), addresses.len()), (8, 8));
}

#[tokio::test]
async fn without_leadership_nothing_is_written() {
    let cluster = Cluster::start(Options::default()).await;
    let provider = simulated(&cluster, settings(SOON));
    let permit = cluster.permit();
    cluster.setter.resign();
    assert_eq!(label(&provider.launch(&permit, &intent("l1", "a", 1, None)).await), "Unknown");
    assert_eq!(cluster.store().count("configmaps"), 0);
    // It ends while the write is under way.
    cluster.lead(2);
    let permit = cluster.permit();
    cluster.server.faults().add(Rule::on("create", "configmaps"), ServerFault::Latency(Duration::from_secs(30)));
    let intent = intent("l1", "a", 1, None);
    let launch = provider.launch(&permit, &intent);
    let resign = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.setter.resign();
    };
    let (outcome, ()) = tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(launch, resign) })
        .await
        .expect("it is given up at once");
    assert_eq!(label(&outcome), "Unknown");
}

/// Kubelets of the fake API server: what they send is stored as sent by them.
struct StoreKubelets(Store);

#[async_trait]
impl KubeletRequests for StoreKubelets {
    async fn create(&self, _permit: &Permit, who: &Requester, request: &Value) -> Result<(), ApiError> {
        let mut request = request.clone();
        request["spec"]["username"] = match who {
            Requester::Bootstrap => "system:bootstrap:abcdef".into(),
            Requester::Node(name) => format!("system:node:{name}").into(),
        };
        self.0.create(request).map(|_| ()).map_err(|refusal| ApiError::Garbled(refusal.message))
    }

    fn can_be(&self, _who: &Requester) -> bool {
        true
    }
}

fn decide(store: &Store, name: &str, verdict: &str) {
    let condition = json!({"type": verdict, "status": "True", "reason": "test", "message": "test"});
    store
        .update("certificatesigningrequests.certificates.k8s.io", "", name, |request| {
            request["status"]["conditions"] = json!([condition]);
        })
        .expect("a request");
}

#[tokio::test]
async fn nodes_join_once_their_certificate_is_approved() {
    const REQUESTS: &str = "certificatesigningrequests.certificates.k8s.io";
    let cluster = Cluster::start(Options::default()).await;
    let kubelets = Arc::new(StoreKubelets(cluster.store().clone()));
    let settings = SimulatedSettings { csr: true, ..settings(SOON) };
    let provider = Arc::new(Simulated::new(cluster.api.clone(), settings, "plimsoll", groups(), Some(kubelets)));
    let _running = cluster.run(provider.clone());
    provider.launch(&cluster.permit(), &intent("l1", "a", 2, None)).await;
    assert!(cluster.store().wait_until(LIMIT, |store| store.count(REQUESTS) == 2).await);
    let request = cluster.store().get(REQUESTS, "", "node-csr-l1-0").expect("a request");
    assert_eq!(request["spec"]["signerName"], "kubernetes.io/kube-apiserver-client-kubelet");
    assert_eq!(request["spec"]["username"], "system:bootstrap:abcdef");
    assert_eq!(request["spec"]["usages"], json!(["digital signature", "client auth"]));
    assert_eq!(cluster.store().count("nodes"), 0);
    decide(cluster.store(), "node-csr-l1-0", "Approved");
    decide(cluster.store(), "node-csr-l1-1", "Denied");
    assert!(
        cluster.store().wait_until(LIMIT, |store| store.get(REQUESTS, "", "node-serving-csr-l1-0").is_some()).await
    );
    assert_eq!(names(cluster.store()), ["l1-0"]);
    let serving = cluster.store().get(REQUESTS, "", "node-serving-csr-l1-0").expect("a request");
    assert_eq!(serving["spec"]["signerName"], "kubernetes.io/kubelet-serving");
    assert_eq!(serving["spec"]["username"], "system:node:l1-0");
}

#[tokio::test]
async fn a_bootstrap_token_asks_as_itself() {
    const REQUESTS: &str = "certificatesigningrequests.certificates.k8s.io";
    let user = User {
        name: "system:bootstrap:abcdef".to_owned(),
        uid: String::new(),
        groups: vec!["system:bootstrappers".to_owned(), "system:authenticated".to_owned()],
        extra: Default::default(),
    };
    let cluster = Cluster::start(Options { tokens: vec![("t".to_owned(), user)], ..Options::default() }).await;
    let kubelets = Arc::new(BootstrapToken(connect(&cluster.server, Some("t")).await));
    let settings = SimulatedSettings { csr: true, ..settings(SOON) };
    let provider = Arc::new(Simulated::new(cluster.api.clone(), settings, "plimsoll", groups(), Some(kubelets)));
    let _running = cluster.run(provider.clone());
    provider.launch(&cluster.permit(), &intent("l1", "a", 1, None)).await;
    assert!(cluster.store().wait_until(LIMIT, |store| store.count(REQUESTS) == 1).await);
    let request = cluster.store().get(REQUESTS, "", "node-csr-l1-0").expect("a request");
    assert_eq!(request["spec"]["username"], "system:bootstrap:abcdef");
    decide(cluster.store(), "node-csr-l1-0", "Approved");
    assert!(cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 1).await);
    // It is no node.
    assert_eq!(cluster.store().count(REQUESTS), 1);
}

#[derive(Clone, Debug)]
enum Mishap {
    Write(ServerFault),
    Crash,
    NewTerm,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::Write(ServerFault::DropAfterWrite)),
        Just(Mishap::Write(ServerFault::DropBeforeWrite)),
        Just(Mishap::Write(ServerFault::Status { code: 500, retry_after: None })),
        Just(Mishap::Write(ServerFault::Status { code: 409, retry_after: None })),
        Just(Mishap::Crash),
        Just(Mishap::NewTerm),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to writes, processes and leaders, the same intents end with exactly their nodes.
    #[test]
    fn nothing_is_lost_and_nothing_doubled(mishaps in proptest::collection::vec(mishap(), 0..7)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let found = runtime.block_on(async {
            let cluster = Cluster::start(Options::default()).await;
            let mut mishaps = mishaps.into_iter().enumerate();
            let mut provider = simulated(&cluster, settings(SOON));
            let mut running = cluster.run(provider.clone());
            for id in ["l0", "l1"] {
                for tries in 0.. {
                    assert!(tries < 12, "it never ends");
                    match mishaps.next() {
                        Some((_, Mishap::Write(fault))) => {
                            cluster.server.faults().add(Rule::on("create", "*").times(1), fault.clone());
                            cluster.server.faults().add(Rule::on("update", "configmaps").times(1), fault);
                        }
                        Some((_, Mishap::Crash)) => {
                            drop(running);
                            provider = simulated(&cluster, settings(SOON));
                            running = cluster.run(provider.clone());
                        }
                        Some((at, Mishap::NewTerm)) => cluster.lead(10 + u64::try_from(at).expect("few")),
                        None => {}
                    }
                    if label(&provider.launch(&cluster.permit(), &intent(id, "a", 2, None)).await) == "Accepted" {
                        break;
                    }
                }
            }
            cluster.server.faults().clear();
            drop(running);
            let _running = cluster.run(provider.clone());
            cluster.store().wait_until(LIMIT, |store| store.count("nodes") == 4).await;
            names(cluster.store())
        });
        prop_assert_eq!(found, ["l0-0", "l0-1", "l1-0", "l1-1"]);
    }
}
