//! Cluster API on the fake API server.

mod removing;

use std::time::Duration;

use plimsoll_apiserver::{Fault, Options, Rule};
use plimsoll_model::Text;
use plimsoll_planner::launch::{LaunchFailure, LaunchOutcome};
use plimsoll_providers::{ClusterApi, ClusterApiSettings, InstanceState, NodeGroupProvider as _, ProviderError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::support::{intent, label, request};

const DEPLOYMENTS: &str = "machinedeployments.cluster.x-k8s.io";

fn object(kind: &str, name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": kind,
        "metadata": {"name": name, "namespace": "clusters", "annotations": {
            "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size": "1",
            "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size": "6",
            "capacity.cluster-autoscaler.kubernetes.io/cpu": "4",
            "capacity.cluster-autoscaler.kubernetes.io/memory": "16Gi",
        }},
        "spec": {"clusterName": "prod", "replicas": replicas},
    })
}

async fn start() -> Cluster {
    let cluster = Cluster::start(Options::default()).await;
    cluster.store().create(object("MachineDeployment", "web", 2)).expect("created");
    cluster
}

fn provider(cluster: &Cluster) -> ClusterApi {
    ClusterApi::new(cluster.api.clone(), ClusterApiSettings::default(), vec![Text::from("web")])
}

fn replicas(cluster: &Cluster) -> u64 {
    let object = cluster.store().get(DEPLOYMENTS, "clusters", "web").expect("the object");
    object["spec"]["replicas"].as_u64().expect("a size")
}

#[tokio::test]
async fn groups_and_machines_are_read() {
    let cluster = start().await;
    let store = cluster.store();
    let mut set = object("MachineSet", "web-abc", 2);
    set["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineDeployment", "name": "web", "uid": "1"
    }]);
    store.create(set).expect("created");
    store.create(object("MachineSet", "alone", 1)).expect("created");
    store.create(object("MachinePool", "pool", 3)).expect("created");
    let mut unbounded = object("MachineDeployment", "by-hand", 1);
    unbounded["metadata"]["annotations"] = json!({});
    store.create(unbounded).expect("created");
    store
        .create(json!({
            "apiVersion": "cluster.x-k8s.io/v1beta2",
            "kind": "Machine",
            "metadata": {"name": "web-abc-1", "namespace": "clusters", "labels": {
                "cluster.x-k8s.io/deployment-name": "web", "cluster.x-k8s.io/set-name": "web-abc",
            }},
            "spec": {"providerID": "aws:///a/i-1"},
            "status": {"phase": "Running", "nodeRef": {"name": "n1"}, "addresses": [
                {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalDNS", "address": "n1.internal"},
                {"type": "Odd", "address": "x"}, 7,
            ]},
        }))
        .expect("created");
    let inventory = provider(&cluster).inventory().await.expect("an inventory");
    assert_eq!(inventory.problems, [""; 0]);
    let groups: Vec<(&str, u32, u32, u32, usize)> = inventory
        .groups
        .iter()
        .map(|group| (group.id.as_str(), group.min, group.max, group.target, group.instances.len()))
        .collect();
    assert_eq!(groups, [("clusters/alone", 1, 6, 1, 0), ("clusters/pool", 1, 6, 3, 0), ("web", 1, 6, 2, 1)]);
    let instance = &inventory.groups[2].instances[0];
    assert_eq!((instance.id.as_str(), &instance.state), ("aws:///a/i-1", &InstanceState::Running));
    assert!(inventory.groups[2].template.is_some());
    let machine = &inventory.machines[0];
    assert_eq!((machine.node.as_deref(), machine.group.as_deref()), (Some("n1"), Some("web")));
    assert_eq!(machine.addresses.len(), 2);
}

#[tokio::test]
async fn a_launch_is_a_size() {
    let cluster = start().await;
    let provider = provider(&cluster);
    let permit = cluster.permit();
    for (id, count, expected) in [("l1", 2, 4), ("l2", 1, 5)] {
        let baseline = provider.baseline(&request("web", count)).await.expect("a size");
        for _ in 0..3 {
            let outcome = provider.launch(&permit, &intent(id, "web", count, baseline)).await;
            assert_eq!((label(&outcome), replicas(&cluster)), ("Accepted", expected));
        }
    }
    let writes = cluster.server.requests().iter().filter(|request| request.verb == "update").count();
    assert_eq!(writes, 2);
    let full = provider.launch(&permit, &intent("l3", "web", 2, Some(5))).await;
    assert_eq!((label(&full), replicas(&cluster)), ("GroupFull", 5));
    let unknown = provider.launch(&permit, &intent("l4", "nobody", 2, Some(5))).await;
    assert_eq!(label(&unknown), "Invalid");
    assert_eq!(label(&provider.launch(&permit, &intent("l5", "web", 1, None)).await), "Invalid");
    assert_eq!(provider.baseline(&request("nobody", 1)).await, Err(ProviderError::NoGroup("nobody".into())));
}

#[tokio::test]
async fn pools_and_sets_are_scaled_as_well() {
    let cluster = start().await;
    for (kind, resource, name) in [("MachinePool", "machinepools", "pool"), ("MachineSet", "machinesets", "set")] {
        cluster.store().create(object(kind, name, 0)).expect("created");
        let group = format!("clusters/{name}");
        let provider = provider(&cluster);
        let baseline = provider.baseline(&request(&group, 2)).await.expect("a size");
        assert_eq!(baseline, Some(0));
        let outcome = provider.launch(&cluster.permit(), &intent(name, &group, 2, baseline)).await;
        assert_eq!(label(&outcome), "Accepted", "{outcome:?}");
        let there = cluster.store().get(&format!("{resource}.cluster.x-k8s.io"), "clusters", name).expect("there");
        assert_eq!(there["spec"]["replicas"], 2);
    }
}

#[tokio::test]
async fn what_others_write_meanwhile_is_not_lost() {
    let cluster = start().await;
    let provider = provider(&cluster);
    let intent = intent("l1", "web", 1, Some(2));
    // Between read and write somebody makes it larger than this launch needs.
    let slow = cluster
        .server
        .faults()
        .add(Rule::on("update", "machinedeployments/scale").times(1), Fault::Latency(Duration::from_millis(500)));
    let permit = cluster.permit();
    let launch = provider.launch(&permit, &intent);
    let meanwhile = async {
        let is_under_way =
            || cluster.server.requests().iter().any(|request| request.verb == "get" && request.subresource == "scale");
        while !is_under_way() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        cluster.store().update(DEPLOYMENTS, "clusters", "web", |object| object["spec"]["replicas"] = 5.into())
    };
    let (outcome, written) = tokio::join!(launch, meanwhile);
    written.expect("written");
    assert_eq!((label(&outcome), replicas(&cluster)), ("Accepted", 5));
    cluster.server.faults().remove(slow);
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    let status = |code| Fault::Status { code, retry_after: None };
    for (verb, fault, times, expected, size) in [
        ("update", Fault::DropAfterWrite, 1, "Unknown", 3),
        ("update", Fault::DropBeforeWrite, 1, "Unknown", 2),
        ("update", status(500), 1, "Unknown", 2),
        ("update", status(403), 1, "Unauthorized", 2),
        ("update", status(429), 1, "RateLimited", 2),
        ("update", status(422), 1, "Invalid", 2),
        ("update", status(409), 4, "Accepted", 3),
        ("update", status(409), 9, "Unknown", 2),
        ("get", status(403), 1, "Unknown", 2),
        ("get", status(500), 2, "Accepted", 3),
    ] {
        let cluster = start().await;
        let provider = provider(&cluster);
        cluster.server.faults().add(Rule::on(verb, "machinedeployments/scale").times(times), fault.clone());
        let outcome = provider.launch(&cluster.permit(), &intent("l1", "web", 1, Some(2))).await;
        assert_eq!((label(&outcome), replicas(&cluster)), (expected, size), "{verb} {fault:?}: {outcome:?}");
        cluster.server.faults().clear();
        let again = provider.launch(&cluster.permit(), &intent("l1", "web", 1, Some(2))).await;
        assert_eq!((label(&again), replicas(&cluster)), ("Accepted", 3), "{verb} {fault:?}");
    }
}

#[tokio::test]
async fn without_leadership_the_size_stays() {
    let cluster = start().await;
    let provider = provider(&cluster);
    let permit = cluster.permit();
    cluster.setter.resign();
    assert_eq!(label(&provider.launch(&permit, &intent("l1", "web", 1, Some(2))).await), "Unknown");
    assert_eq!(replicas(&cluster), 2);
}

#[tokio::test]
async fn without_cluster_api_it_says_so() {
    let server = plimsoll_apiserver::ApiServer::start(Options::default()).await.expect("a server");
    let api = crate::cluster::connect(&server, None).await;
    let provider = ClusterApi::new(api, ClusterApiSettings::default(), Vec::new());
    let error = provider.inventory().await.expect_err("not served");
    assert!(matches!(&error, ProviderError::NotServed(text) if text.contains("cluster.x-k8s.io")), "{error}");
    let (_setter, leadership) = crate::support::leader();
    let permit = crate::support::permit(&leadership);
    assert_eq!(label(&provider.launch(&permit, &intent("l1", "web", 1, Some(2))).await), "Invalid");
}

#[tokio::test]
async fn a_missing_permission_takes_away_its_part_only() {
    let cluster = start().await;
    cluster.store().create(object("MachinePool", "pool", 1)).expect("created");
    for resource in ["machinepools", "machines"] {
        cluster.server.deny("*", "list", "cluster.x-k8s.io", resource);
    }
    let inventory = provider(&cluster).inventory().await.expect("an inventory");
    assert_eq!(inventory.groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(), ["web"]);
    assert_eq!(inventory.problems.len(), 2, "{:?}", inventory.problems);
    cluster.server.deny("*", "list", "cluster.x-k8s.io", "machinedeployments");
    let error = provider(&cluster).inventory().await.map_err(|error| error.label());
    assert_eq!(error, Err("Unauthorized"));
}

#[tokio::test]
async fn names_that_fit_twice_name_both() {
    let cluster = start().await;
    let mut other = object("MachineDeployment", "web", 1);
    other["metadata"]["namespace"] = "test".into();
    cluster.store().create(other).expect("created");
    let provider = provider(&cluster);
    let outcome = provider.launch(&cluster.permit(), &intent("l1", "web", 1, Some(2))).await;
    let LaunchOutcome::Failed(LaunchFailure::Invalid(text)) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("MachineDeployment/clusters/web") && text.contains("MachineDeployment/test/web"), "{text}");
    assert!(provider.baseline(&request("web", 1)).await.is_err());
    let settings = ClusterApiSettings { namespace: Some("clusters".to_owned()), ..ClusterApiSettings::default() };
    let provider = ClusterApi::new(cluster.api.clone(), settings, vec![Text::from("web")]);
    assert_eq!(provider.baseline(&request("web", 1)).await, Ok(Some(2)));
}

#[derive(Clone, Debug)]
enum Mishap {
    Write(Fault),
    Crash,
    Touched,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::Write(Fault::DropAfterWrite)),
        Just(Mishap::Write(Fault::DropBeforeWrite)),
        Just(Mishap::Write(Fault::Status { code: 500, retry_after: None })),
        Just(Mishap::Write(Fault::Status { code: 409, retry_after: None })),
        Just(Mishap::Crash),
        Just(Mishap::Touched),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to writes and processes, the same intents end with exactly their nodes.
    #[test]
    fn nothing_is_lost_and_nothing_doubled(mishaps in proptest::collection::vec(mishap(), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let size = runtime.block_on(async {
            let cluster = start().await;
            let mut mishaps = mishaps.into_iter();
            let mut current = provider(&cluster);
            for id in ["l0", "l1"] {
                let baseline = current.baseline(&request("web", 2)).await.expect("a size");
                for tries in 0.. {
                    assert!(tries < 12, "it never ends");
                    match mishaps.next() {
                        Some(Mishap::Write(fault)) => {
                            cluster.server.faults().add(Rule::on("update", "*").times(1), fault);
                        }
                        Some(Mishap::Crash) => current = provider(&cluster),
                        Some(Mishap::Touched) => {
                            let touch = |object: &mut Value| object["metadata"]["labels"] = json!({"touched": "yes"});
                            cluster.store().update(DEPLOYMENTS, "clusters", "web", touch).expect("touched");
                        }
                        None => {}
                    }
                    let outcome = current.launch(&cluster.permit(), &intent(id, "web", 2, baseline)).await;
                    if label(&outcome) == "Accepted" {
                        break;
                    }
                }
            }
            replicas(&cluster)
        });
        prop_assert_eq!(size, 6);
    }
}
