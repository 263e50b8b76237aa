//! The acceptance scenarios of `ocean-features.md` 6, by number.

use plimsoll_model::{Millis, Timestamp, well_known};
use plimsoll_planner::drain::*;

use crate::fixture::NOW;
use crate::world::*;

#[test]
fn scenario_1_ten_pods_leave_every_twelve_seconds_and_the_node_at_once() {
    let mut cluster = Cluster::of(10);
    cluster.stops.insert("p9".into(), Some(7));
    assert!(cluster.begin(cluster.drain(12, 300)));
    cluster.run(60);
    assert_eq!(cluster.progress(), "6/10 evicted, 240 s left");
    cluster.run(400);
    let slots: Vec<f64> = (0..10).map(|index| f64::from(index) * 12.0).collect();
    assert_eq!(cluster.when("evict"), slots);
    assert_eq!((cluster.when("mark"), cluster.when("remove")), (vec![0.0, 115.0], vec![115.0]));
    // Gone after 10 s, and the Node 30 s later.
    assert_eq!((cluster.when("delete node"), cluster.told("DrainCompleted")), (vec![155.0], vec![155.0]));
    assert!(cluster.drains.running(cluster.now).is_empty());
    assert!(cluster.told("TerminatedWithPods").is_empty());
    assert_eq!(cluster.told("PodEvicted").len(), 10);
}

#[test]
fn scenario_2_one_pod_goes_at_once_and_a_node_without_pods_too() {
    let mut cluster = Cluster::of(1);
    unevictable(&mut cluster);
    cluster.begin(cluster.drain(120, 300));
    cluster.run(1);
    assert_eq!((cluster.when("evict"), cluster.when("remove")), (vec![0.0], vec![0.0]));
    let mut empty = Cluster::of(0);
    unevictable(&mut empty);
    empty.begin(empty.drain(120, 300));
    empty.run(1);
    assert_eq!((empty.when("evict").len(), empty.when("remove")), (0, vec![0.0]));
}

#[test]
fn scenario_3_refused_for_a_minute_a_pod_is_deleted() {
    let mut cluster = Cluster::of(3);
    cluster.says.insert("p0".into(), Says::Budget(None));
    cluster.says.insert("p1".into(), Says::Gone);
    cluster.budgets.push(crate::fixture::budget("web-pdb", "web", 0));
    cluster.begin(cluster.drain(12, 300));
    cluster.run(30);
    assert!(cluster.progress().starts_with("2/3 evicted, 1 retrying, 27"), "{}", cluster.progress());
    cluster.run(300);
    // Others keep their turns, whatever one is told.
    assert_eq!((cluster.when("evict p1"), cluster.when("evict p2")), (vec![12.0], vec![24.0]));
    let tries = cluster.when("evict p0");
    assert!(tries.len() >= 11 && tries.windows(2).all(|pair| (5.0..=5.6).contains(&(pair[1] - pair[0]))), "{tries:?}");
    assert_eq!(cluster.when("delete p0 in 30"), [60.0]);
    assert_eq!(cluster.told("EvictionRefused"), [0.0]);
    assert!(cluster.sentence("EvictionRefused").contains("web-pdb"), "{}", cluster.sentence("EvictionRefused"));
    assert_eq!(cluster.told("ForceDeleted"), [60.0]);
    assert_eq!(cluster.when("remove"), [60.0]);
}

#[test]
fn scenario_4_what_does_not_leave_goes_with_its_machine() {
    for timeout in [300, 600] {
        let mut cluster = Cluster::of(2);
        cluster.stops.insert("p0".into(), None);
        cluster.begin(cluster.drain(60, timeout));
        cluster.run(timeout - 1);
        assert_eq!((cluster.when("evict p0"), cluster.when("remove").len()), (vec![0.0], 0));
        assert_eq!(cluster.progress(), "1/2 evicted, 1 terminating, 1 s left");
        cluster.run(timeout);
        assert_eq!(cluster.when("remove"), [timeout as f64]);
        assert!(cluster.sentence("TerminatedWithPods").contains("shop/p0"));
        assert!(!cluster.sentence("TerminatedWithPods").contains("shop/p1"));
        cluster.run(timeout + 60);
        assert_eq!(cluster.told("DrainCompleted"), [timeout as f64 + 40.0]);
    }
}

#[test]
fn scenario_9_warm_ups_end_before_the_deadline() {
    for (warmup, expected) in [("300s", 295.0), ("60s", 84.0)] {
        let mut cluster = Cluster::of(10);
        cluster.warm("p2", warmup);
        cluster.begin(cluster.drain(12, 300));
        cluster.run(320);
        assert_eq!((cluster.when("replace"), cluster.when("evict p2")), (vec![24.0], vec![expected]), "{warmup}");
        assert_eq!(cluster.told("WarmupStarted"), [24.0]);
        assert_eq!(cluster.told("WarmupReady"), [44.0]);
        assert_eq!(cluster.told("WarmupCutShort").len(), usize::from(warmup == "300s"));
        assert_eq!(cluster.when("remove"), [expected.max(108.0)]);
    }
}

#[test]
fn scenario_10_a_label_on_the_deployment_alone_is_no_warm_up() {
    // A Deployment's own labels are not its pods': nothing of it is seen here, and the hint names the label.
    let mut cluster = Cluster::of(1);
    cluster.workload("web", plimsoll_model::WorkloadKind::ReplicaSet, 1);
    cluster.begin(cluster.drain(120, 300));
    cluster.run(10);
    assert!(cluster.when("replace").is_empty());
    assert_eq!(cluster.when("evict"), [0.0]);
    let hint = cluster.sentence("SingleReplica");
    assert!(
        hint.contains(well_known::PRE_EVICTION_WARMUP) && hint.contains("Deployment shop/web-deployment"),
        "{hint}"
    );
}

#[test]
fn scenario_24_evictions_fit_in_the_notice() {
    let mut cluster = Cluster::of(4);
    for index in 0..4 {
        cluster.pod(&format!("p{index}")).grace = Millis::from_secs(100);
        cluster.stops.insert(format!("p{index}"), Some(1));
    }
    let mut drain = cluster.drain(28, 120);
    drain.cause = Cause::Interruption;
    cluster.begin(drain);
    cluster.run(130);
    let evictions: Vec<&str> =
        cluster.log.iter().map(|(_, done)| done.as_str()).filter(|done| done.starts_with("evict")).collect();
    assert_eq!(evictions, ["evict p0", "evict p1 in 92", "evict p2 in 64", "evict p3 in 36"]);
    assert_eq!(cluster.when("remove"), [85.0]);
}

#[test]
fn scenario_25_another_leader_finishes_with_the_same_deadline() {
    for kill in [1, 13, 37, 59, 61, 100, 109, 116, 130, 150] {
        let mut cluster = Cluster::of(10);
        cluster.stops.insert("p9".into(), Some(7));
        cluster.begin(cluster.drain(12, 300));
        cluster.run(kill);
        cluster.next_leader();
        cluster.run(400);
        let slots: Vec<f64> = (0..10).map(|index| f64::from(index) * 12.0).collect();
        assert_eq!(cluster.when("evict"), slots, "{kill}");
        assert_eq!(cluster.told("DrainAdopted"), [kill as f64]);
        assert_eq!(cluster.told("DrainCompleted").len(), 1, "{kill}");
        assert!(cluster.when("release").is_empty());
    }
    let mut stuck = Cluster::of(1);
    stuck.says.insert("p0".into(), Says::Budget(None));
    stuck.deletes.insert("p0".into(), Says::Unknown);
    stuck.begin(stuck.drain(12, 300));
    stuck.run(200);
    stuck.next_leader();
    assert_eq!(stuck.drains.find("n").unwrap().deadline, Timestamp(NOW.0 + 300_000));
    stuck.run(310);
    assert_eq!(stuck.when("remove"), [300.0]);
}
