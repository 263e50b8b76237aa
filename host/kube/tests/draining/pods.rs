//! Pods: evicted and deleted, each answer its own path.

use plimsoll_apiserver::{Fault, Partition, Rule, Who};
use plimsoll_kube::{ApiError, Leadership, ObjectName, Precondition, Purpose, Resource, Term, delete_pod, evict};
use plimsoll_model::{Millis, Uid};
use plimsoll_planner::drain::{EvictionAnswer, PodRef};
use serde_json::json;

use crate::cluster::Cluster;
use crate::wire::until;

fn another(pod: &PodRef) -> PodRef {
    PodRef { uid: Uid::parse("11111111-2222-3333-4444-555555555555"), ..pod.clone() }
}

#[tokio::test]
async fn a_pod_is_evicted_with_the_time_it_has_left() {
    let cluster = Cluster::start().await;
    let (api, permit) = (&cluster.api, cluster.permit());
    for (name, grace, expected) in [("own", None, 30), ("less", Some(Millis(7_900)), 7), ("none", Some(Millis(0)), 1)] {
        let pod = cluster.running(name, name).await;
        for _ in 0..2 {
            assert_eq!(evict(api, &permit, &pod, grace).await, EvictionAnswer::Accepted);
            let object = cluster.pod(name).await.expect("it has time to stop");
            assert_eq!(object["metadata"]["deletionGracePeriodSeconds"], expected, "{name}");
        }
        cluster.finish(&pod).await;
        assert_eq!(evict(api, &permit, &pod, grace).await, EvictionAnswer::Gone);
        assert_eq!(delete_pod(api, &permit, &pod, Millis(0)).await, EvictionAnswer::Gone);
    }
    cluster.clean().await;
}

#[tokio::test]
async fn another_pod_of_the_name_is_left_alone() {
    let cluster = Cluster::start().await;
    let (api, permit) = (&cluster.api, cluster.permit());
    let pod = cluster.running("p", "p").await;
    assert_eq!(evict(api, &permit, &another(&pod), None).await, EvictionAnswer::Gone);
    assert_eq!(delete_pod(api, &permit, &another(&pod), Millis(0)).await, EvictionAnswer::Gone);
    assert!(cluster.pod("p").await.expect("is there")["metadata"]["deletionTimestamp"].is_null());
    cluster.clean().await;
}

#[tokio::test]
async fn a_budget_is_heeded_by_evictions_and_not_by_deletions() {
    let cluster = Cluster::start().await;
    let (api, permit) = (&cluster.api, cluster.permit());
    let pod = cluster.running("p", "p").await;
    cluster.budget("b", "p", json!({"minAvailable": 1})).await;
    let EvictionAnswer::Budget { message, retry_after } = evict(api, &permit, &pod, None).await else {
        panic!("evicted against its budget")
    };
    assert_eq!(message, "The disruption budget b needs 1 healthy pods and has 1 currently");
    assert_eq!(retry_after, None);
    assert!(cluster.pod("p").await.expect("is there")["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(delete_pod(api, &permit, &pod, Millis(2_500)).await, EvictionAnswer::Accepted);
    assert_eq!(cluster.pod("p").await.expect("has time")["metadata"]["deletionGracePeriodSeconds"], 2);
    cluster.finish(&pod).await;
    cluster.clean().await;
}

#[tokio::test]
async fn several_budgets_block_a_pod_for_good() {
    let cluster = Cluster::start().await;
    let (api, permit) = (&cluster.api, cluster.permit());
    let pod = cluster.running("p", "p").await;
    for name in ["a", "b"] {
        cluster.budget(name, "p", json!({"minAvailable": 0})).await;
    }
    let several = evict(api, &permit, &pod, None).await;
    assert!(matches!(several, EvictionAnswer::SeveralBudgets(_)), "{several:?}");
    assert_eq!(delete_pod(api, &permit, &pod, Millis(0)).await, EvictionAnswer::Accepted);
    cluster.finish(&pod).await;
    cluster.clean().await;
}

#[tokio::test]
async fn pods_of_a_namespace_that_ends_go_by_themselves() {
    let cluster = Cluster::start().await;
    let (api, permit) = (&cluster.api, cluster.permit());
    let pod = cluster.running("p", "p").await;
    let kept = json!({"metadata": {"finalizers": ["plimsoll.dev/test"]}});
    cluster.patch(&Resource::PODS, &cluster.wire.name("p"), None, kept).await;
    let namespace = ObjectName::of_cluster(&cluster.wire.namespace);
    api.delete(&permit, &Resource::NAMESPACES, &namespace, &Precondition::default()).await.expect("is ending");
    // A real server's admission hears of it a moment later.
    let mut answer = EvictionAnswer::Accepted;
    until("evictions are refused", async || {
        answer = evict(api, &permit, &pod, None).await;
        answer != EvictionAnswer::Accepted
    })
    .await;
    assert_eq!(answer, EvictionAnswer::NamespaceTerminating);
    assert_eq!(delete_pod(api, &permit, &pod, Millis(0)).await, EvictionAnswer::Accepted);
    cluster.clean().await;
}

#[tokio::test]
async fn nobody_else_evicts() {
    let cluster = Cluster::start().await;
    let pod = cluster.running("p", "p").await;
    if let Some(server) = cluster.wire.server() {
        server.deny("nobody", "*", "", "pods");
        server.deny("nobody", "*", "", "pods/eviction");
    }
    let (other, permit) = (cluster.wire.api_as("nobody").await, cluster.permit());
    let evicted = evict(&other, &permit, &pod, None).await;
    assert!(matches!(&evicted, EvictionAnswer::Forbidden(said) if said.contains("pods/eviction")), "{evicted:?}");
    let deleted = delete_pod(&other, &permit, &pod, Millis(0)).await;
    assert!(matches!(deleted, EvictionAnswer::Forbidden(_)), "{deleted:?}");
    // A leader that has lost its lease.
    let (setter, leadership) = Leadership::new(false);
    setter.lead(Term { number: 1, until: None });
    let lost = leadership.permit(Purpose::Effect).expect("leads");
    setter.resign();
    let refused = EvictionAnswer::Unknown("this replica does not lead".to_owned());
    assert_eq!(evict(&cluster.api, &lost, &pod, None).await, refused);
    assert_eq!(delete_pod(&cluster.api, &lost, &pod, Millis(0)).await, refused);
    assert!(cluster.pod("p").await.expect("is there")["metadata"]["deletionTimestamp"].is_null());
    cluster.clean().await;
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_says_what_to_do() {
    let cluster = Cluster::start().await;
    let Some(server) = cluster.wire.hooks() else { return };
    let (api, permit) = (&cluster.api, cluster.permit());
    let status = |code, retry_after| Fault::Status { code, retry_after };
    let unknown = |answer: &EvictionAnswer| matches!(answer, EvictionAnswer::Unknown(_));
    type Is = Box<dyn Fn(&EvictionAnswer) -> bool>;
    let cases: Vec<(&str, Fault, Is)> = vec![
        (
            "busy",
            status(429, Some(3)),
            Box::new(|answer| *answer == EvictionAnswer::TooMany { retry_after: Some(Millis(3_000)) }),
        ),
        ("busier", status(429, None), Box::new(|answer| *answer == EvictionAnswer::TooMany { retry_after: None })),
        ("conflict", status(409, None), Box::new(|answer| *answer == EvictionAnswer::Conflict)),
        ("broken", status(500, None), Box::new(unknown)),
        ("late", status(504, None), Box::new(unknown)),
        ("nonsense", status(422, None), Box::new(|answer| matches!(answer, EvictionAnswer::Invalid(_)))),
        ("before", Fault::DropBeforeWrite, Box::new(unknown)),
        ("after", Fault::DropAfterWrite, Box::new(unknown)),
    ];
    for (name, fault, is_expected) in cases {
        let pod = cluster.running(name, name).await;
        server.faults().add(Rule::on("create", "pods/eviction").named(name).times(1), fault.clone());
        let answer = evict(api, &permit, &pod, None).await;
        assert!(is_expected(&answer), "{name}: {answer:?}");
        let sent = server.requests().iter().filter(|sent| sent.subresource == "eviction" && sent.name == name).count();
        assert_eq!(sent, 1, "{name}: sent once");
        assert_eq!(evict(api, &permit, &pod, None).await, EvictionAnswer::Accepted, "{name}");
        server.faults().add(Rule::on("delete", "pods").named(name).times(1), fault);
        let answer = delete_pod(api, &permit, &pod, Millis(1_000)).await;
        assert!(is_expected(&answer), "{name}: {answer:?}");
        let again = delete_pod(api, &permit, &pod, Millis(1_000)).await;
        assert!(matches!(again, EvictionAnswer::Accepted | EvictionAnswer::Gone), "{name}: {again:?}");
    }
    let pod = cluster.running("cut", "cut").await;
    server.faults().partition(Who::All, Partition::Refuse);
    assert!(unknown(&evict(api, &permit, &pod, None).await));
    assert!(unknown(&delete_pod(api, &permit, &pod, Millis(0)).await));
    server.faults().heal();
    assert_eq!(evict(api, &permit, &pod, None).await, EvictionAnswer::Accepted);
    cluster.finish(&pod).await;
    assert!(matches!(cluster.pod("cut").await, Err(ApiError::NotFound(_))));
    cluster.clean().await;
}
