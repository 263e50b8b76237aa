//! Leader election on the wire.
#![allow(clippy::expect_used, clippy::panic, reason = "whatever is not as expected fails the test")]

mod wire;

use std::time::{Duration, Instant};

use plimsoll_apiserver::{Fault, Partition, Rule, Who};
use plimsoll_kube::{Candidacy, Leadership, LeaseOptions, LeaseTimes, Resource, lead};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use wire::{Alone, Wire, until};

const TIMES: LeaseTimes = LeaseTimes {
    lease: Duration::from_secs(2),
    renew_deadline: Duration::from_millis(1_500),
    retry: Duration::from_millis(200),
};

struct Replica {
    candidacy: Candidacy,
    leadership: Leadership,
    shutdown: CancellationToken,
}

async fn replica(wire: &Wire, user: &str) -> Replica {
    let (setter, leadership) = Leadership::new(false);
    let shutdown = CancellationToken::new();
    let api = if wire.hooks().is_some() { wire.api_as(user).await } else { wire.api().await };
    let options = LeaseOptions {
        namespace: wire.namespace.clone(),
        name: "plimsoll".to_owned(),
        identity: format!("replica-{user}"),
        times: TIMES,
    };
    let candidacy = lead(api, options, setter, shutdown.clone()).expect("good times");
    Replica { candidacy, leadership, shutdown }
}

/// Waits for one to lead; fails if ever both do.
async fn until_leads(what: &str, replica: &Replica, other: &Replica) {
    until(what, async || {
        assert!(!(replica.leadership.leads() && other.leadership.leads()), "both lead: {what}");
        replica.leadership.leads()
    })
    .await;
}

#[tokio::test]
async fn one_of_two_leads_and_a_shutdown_hands_over_at_once() {
    let wire = Wire::start().await;
    let a = replica(&wire, "a").await;
    until("a leads", async || a.leadership.leads()).await;
    let b = replica(&wire, "b").await;
    until("b sees who leads", async || b.candidacy.view.borrow().holder == "replica-a").await;
    assert_eq!((a.leadership.term(), b.leadership.term()), (Some(1), None));
    a.shutdown.cancel();
    let began = Instant::now();
    a.candidacy.task.await.expect("ends");
    assert!(!a.leadership.leads());
    until("b leads", async || b.leadership.leads()).await;
    assert!(began.elapsed() < TIMES.lease, "it did not wait for the lease to run out: {:?}", began.elapsed());
    assert_eq!(b.leadership.term(), Some(2));
    let lease = wire.api().await.get(&Resource::LEASES, &wire.name("plimsoll")).await.expect("is there");
    assert_eq!(lease["spec"]["holderIdentity"], "replica-b");
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 2);
    b.shutdown.cancel();
    b.candidacy.task.await.expect("ends");
    let lease = wire.api().await.get(&Resource::LEASES, &wire.name("plimsoll")).await.expect("is there");
    assert!(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().is_empty(), "released: {lease}");
}

#[tokio::test]
async fn a_dead_leader_is_followed_within_lease_and_retry() {
    let wire = Wire::start().await;
    let a = replica(&wire, "a").await;
    until("a leads", async || a.leadership.leads()).await;
    let b = replica(&wire, "b").await;
    until("b sees who leads", async || b.candidacy.view.borrow().holder == "replica-a").await;
    a.candidacy.task.abort();
    let died = Instant::now();
    until("a does not lead", async || !a.leadership.leads()).await;
    until_leads("b leads", &b, &a).await;
    let took = died.elapsed();
    assert!(took < TIMES.lease + TIMES.retry + Duration::from_secs(1), "{took:?}");
    assert_eq!(b.leadership.term(), Some(2));
}

#[tokio::test]
async fn many_candidates_at_once_make_one_leader() {
    let wire = Wire::start().await;
    let mut replicas = Vec::new();
    for user in ["a", "b", "a", "b", "a"] {
        replicas.push(replica(&wire, user).await);
    }
    let leaders = || replicas.iter().filter(|replica| replica.leadership.leads()).count();
    until("one leads", async || leaders() > 0).await;
    let end = Instant::now() + TIMES.lease;
    while Instant::now() < end {
        assert_eq!(leaders(), 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_lease_that_is_deleted_is_made_again_by_its_leader() {
    let wire = Wire::start().await;
    let a = replica(&wire, "a").await;
    until("a leads", async || a.leadership.leads()).await;
    let b = replica(&wire, "b").await;
    until("b sees who leads", async || b.candidacy.view.borrow().holder == "replica-a").await;
    let permit = Alone::new();
    let api = wire.api().await;
    let name = wire.name("plimsoll");
    api.delete(&permit.permit(), &Resource::LEASES, &name, &Default::default()).await.expect("deleted");
    until("a leads in another term", async || {
        assert!(!b.leadership.leads());
        a.leadership.term() == Some(2)
    })
    .await;
}

#[tokio::test]
async fn a_lease_full_of_nonsense_is_taken() {
    let wire = Wire::start().await;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": wire.namespace, "name": "plimsoll", "labels": {"kept": "yes"}},
        "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 1, "renewTime": "2199-01-01T00:00:00.000000Z",
                 "leaseTransitions": i32::MAX},
    });
    wire.create(&Resource::LEASES, lease).await;
    let a = replica(&wire, "a").await;
    until("a leads", async || a.leadership.leads()).await;
    let lease = wire.api().await.get(&Resource::LEASES, &wire.name("plimsoll")).await.expect("is there");
    assert_eq!(lease["spec"]["holderIdentity"], "replica-a");
    assert_eq!(lease["metadata"]["labels"]["kept"], "yes");
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_before_another_begins() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    for how in [Partition::Silent, Partition::Refuse] {
        let (a, b) = (replica(&wire, "a").await, replica(&wire, "b").await);
        until("one leads", async || a.leadership.leads() || b.leadership.leads()).await;
        let (leader, other, user) = if a.leadership.leads() { (&a, &b, "a") } else { (&b, &a, "b") };
        let term = leader.leadership.term();
        server.faults().partition(Who::User(user.to_owned()), how);
        until_leads("the other leads", other, leader).await;
        assert!(!leader.leadership.leads());
        assert!(other.leadership.term() > term);
        server.faults().heal();
        let end = Instant::now() + TIMES.lease;
        while Instant::now() < end {
            assert!(other.leadership.leads() && !leader.leadership.leads(), "it comes back and follows");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for replica in [a, b] {
            replica.shutdown.cancel();
            replica.candidacy.task.await.expect("ends");
        }
    }
}

#[tokio::test]
async fn lost_answers_and_passing_failures_do_not_end_a_term() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    let a = replica(&wire, "a").await;
    until("a leads", async || a.leadership.leads()).await;
    for fault in [
        Fault::DropAfterWrite,
        Fault::DropBeforeWrite,
        Fault::Status { code: 503, retry_after: None },
        Fault::Status { code: 429, retry_after: Some(1) },
    ] {
        let text = format!("{fault:?}");
        server.clear_requests();
        server.faults().add(Rule::on("update", "leases").times(2), fault);
        until("it goes on renewing", async || {
            assert_eq!(a.leadership.term(), Some(1), "{text}");
            server.requests().iter().filter(|request| request.verb == "update" && request.code == 200).count() >= 3
        })
        .await;
        server.faults().clear();
    }
}

#[tokio::test]
async fn a_take_over_whose_answer_is_lost_is_found_out() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": wire.namespace, "name": "plimsoll"}, "spec": {"leaseTransitions": 6},
    });
    wire.create(&Resource::LEASES, lease).await;
    server.faults().add(Rule::on("update", "leases").times(1), Fault::DropAfterWrite);
    let began = Instant::now();
    let a = replica(&wire, "a").await;
    until("a leads", async || a.leadership.leads()).await;
    assert_eq!(a.leadership.term(), Some(7));
    assert!(began.elapsed() < TIMES.lease, "it did not wait for its own lease: {:?}", began.elapsed());
}

#[tokio::test]
async fn without_permission_a_replica_says_so_and_follows() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    server.deny("a", "create", "coordination.k8s.io", "leases");
    let a = replica(&wire, "a").await;
    until("a problem", async || a.candidacy.view.borrow().problem.is_some()).await;
    assert!(!a.leadership.leads());
    server.deny_nothing();
    until("a leads", async || a.leadership.leads()).await;
    assert_eq!(a.candidacy.view.borrow().problem, None);
}
