//! Replacements first.

use plimsoll_model::{Millis, WorkloadKind, well_known};
use plimsoll_planner::drain::*;

use crate::fixture::*;
use crate::world::*;

fn single(warmup: &str) -> Cluster {
    let mut cluster = Cluster::of(1);
    cluster.workload("web", WorkloadKind::ReplicaSet, 1);
    cluster.warm("p0", warmup);
    cluster.begin(cluster.drain(120, 300));
    cluster
}

#[test]
fn one_replica_is_never_unserved() {
    for ready_at_once in [false, true] {
        let mut cluster = single("60s");
        cluster.rules.evict_when_ready = ready_at_once;
        cluster.drains.set_rules(cluster.rules.clone());
        cluster.run(120);
        assert_eq!(cluster.when("evict"), [if ready_at_once { 20.0 } else { 60.0 }]);
        assert_eq!(cluster.fewest, 1);
        assert_eq!((cluster.told("WarmupReady"), cluster.told("WarmupCutShort").len()), (vec![20.0], 0));
        assert!(cluster.told("SingleReplica").is_empty());
        // The pod without an owner is still its workload's.
        assert_eq!(cluster.told("PodEvicted").len(), 1);
    }
    let mut without = Cluster::of(1);
    without.begin(without.drain(120, 300));
    without.run(60);
    assert_eq!(without.fewest, 0);
}

#[test]
fn a_replacement_that_is_not_ready_is_waited_for_no_longer() {
    let mut cluster = single("60s");
    cluster.replacement_takes = None;
    cluster.run(100);
    assert_eq!((cluster.when("evict"), cluster.told("WarmupCutShort")), (vec![60.0], vec![60.0]));
    assert!(cluster.sentence("WarmupCutShort").contains("not ready"));
    assert!(cluster.told("WarmupReady").is_empty());
}

#[test]
fn what_cannot_be_warmed_up_is_evicted_at_its_turn() {
    let mut set = single("60s");
    set.pod("p0").owner = owner("StatefulSet", "web");
    let drain = set.drain(120, 300);
    set.drains = Drains::new("prod".into(), set.rules.clone());
    set.begin(drain);
    let mut no_hash = Cluster::of(1);
    no_hash.pod("p0").labels = labels(&[("app", "web")]);
    no_hash.warm("p0", "60s");
    no_hash.begin(no_hash.drain(120, 300));
    let invalid = single("soon");
    let mut idle = single("60s");
    idle.workloads.get_mut("web").unwrap().desired = Some(0);
    let mut forbidden = single("60s");
    forbidden.replacement = WriteAnswer::Forbidden("no".into());
    let mut changed = single("60s");
    changed.replacement = WriteAnswer::Otherwise("its ReplicaSet has another selector".into());
    for (name, mut cluster) in [
        ("StatefulSet", set),
        ("no hash", no_hash),
        ("invalid", invalid),
        ("idle", idle),
        ("forbidden", forbidden),
        ("changed", changed),
    ] {
        cluster.run(20);
        assert_eq!((cluster.when("evict"), cluster.told("WarmupUnsupported")), (vec![0.0], vec![0.0]), "{name}");
    }
}

#[test]
fn each_replacement_stands_for_one_pod() {
    let mut cluster = Cluster::of(2);
    cluster.rules.evict_when_ready = true;
    cluster.drains.set_rules(cluster.rules.clone());
    cluster.warm("p0", "100s");
    cluster.warm("p1", "100s");
    cluster.replacement_takes = None;
    cluster.begin(cluster.drain(10, 300));
    cluster.run(15);
    assert_eq!(cluster.when("replace"), [0.0, 10.0]);
    cluster.pod("new1").ready = true;
    cluster.run(50);
    assert_eq!((cluster.when("evict").len(), cluster.told("WarmupReady")), (1, vec![15.0]));
    assert_eq!(cluster.progress(), "1/2 evicted, 1 warming up, 250 s left");
    cluster.pod("new0").ready = true;
    cluster.run(60);
    assert_eq!(cluster.when("evict").len(), 2);
}

#[test]
fn a_warm_up_outlives_its_leader_and_its_answer() {
    let mut cluster = single("60s");
    cluster.run(30);
    cluster.next_leader();
    cluster.run(100);
    assert_eq!((cluster.when("replace"), cluster.when("evict")), (vec![0.0], vec![60.0]));
    cluster.workloads.get_mut("web-deployment").unwrap().ready = 0;
    cluster.run(101);
    cluster.run(705);
    assert!(cluster.drains.breaker(&cluster.snapshot(), cluster.now).unwrap().contains("web-deployment"));

    // No answer ever comes: tried until the time is over, then evicted.
    let mut unknown = single("60s");
    unknown.replacement = WriteAnswer::Unknown("timeout".into());
    unknown.run(100);
    assert!(unknown.when("replace").len() > 5 && unknown.when("replace").iter().all(|when| *when < 60.0));
    let since: Vec<_> = unknown
        .actions
        .iter()
        .filter_map(|(_, _, action)| match action {
            DrainAction::StartReplacement { warmup, .. } => Some(warmup.since),
            _ => None,
        })
        .collect();
    assert!(since.iter().all(|since| *since == NOW));
    assert_eq!((unknown.when("evict"), unknown.told("WarmupCutShort")), (vec![60.0], vec![60.0]));
}

#[test]
fn what_was_taken_out_of_its_replica_set_goes_before_the_node_is_released() {
    let mut cluster = single("100s");
    cluster.run(10);
    assert_eq!(cluster.drains.cancel("n", Canceller::Person, "I need it"), Ok(()));
    cluster.run(60);
    // Its replacement was ready at 20 s.
    assert_eq!((cluster.when("evict"), cluster.when("release")), (vec![20.0], vec![20.0]));
    assert_eq!(cluster.fewest, 1);
}

#[test]
fn too_near_a_deadline_leaves_no_warm_up() {
    let mut cluster = Cluster::of(1);
    cluster.warm("p0", "60s");
    let mut drain = cluster.drain(0, 4);
    drain.cause = Cause::Interruption;
    cluster.pod("p0").grace = Millis::from_secs(2);
    cluster.begin(drain);
    cluster.run(3);
    assert_eq!((cluster.when("evict"), cluster.told("WarmupCutShort")), (vec![0.0], vec![0.0]));
    assert!(cluster.when("replace").is_empty());
}

#[test]
fn the_warm_up_of_another_drain_is_none_of_this_one() {
    let mut cluster = Cluster::of(2);
    let warmup = Warmup {
        drain: DrainId::of("prod", "n", "c0"),
        replica_set: "web".into(),
        replica_set_uid: "web".into(),
        hash: "5d8f".into(),
        since: NOW,
        warmup: Millis::from_secs(200),
    };
    let text = warmup.write();
    cluster.pod("p1").annotations = labels(&[(well_known::WARMING_UP, &text)]);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(60);
    assert_eq!(cluster.when("evict"), [0.0, 12.0]);
}
