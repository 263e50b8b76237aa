//! Late pods, sooner deadlines, backlogs, and drained pods that do not come back.

use plimsoll_model::{Millis, Phase, Scheduling, WorkloadKind, well_known};
use plimsoll_planner::drain::*;

use crate::fixture::*;
use crate::world::*;

#[test]
fn a_pod_that_comes_late_is_appended_at_the_spacing() {
    let mut cluster = Cluster::of(3);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(20);
    cluster.add("q0", "n");
    cluster.add("q1", "n");
    cluster.run(55);
    // The last turn is over for long; the next is now.
    assert_eq!((cluster.when("evict q0"), cluster.when("evict q1")), (vec![36.0], vec![48.0]));
    assert_eq!(cluster.when("remove"), [48.0]);

    let mut later = Cluster::of(1);
    later.stops.insert("p0".into(), Some(100));
    later.begin(later.drain(12, 300));
    later.run(60);
    later.add("q0", "n");
    later.run(150);
    assert_eq!((later.when("evict q0"), later.when("remove")), (vec![60.0], vec![100.0]));
}

#[test]
fn what_goes_by_itself_is_not_evicted() {
    let mut cluster = Cluster::of(3);
    cluster.pod("p0").deletion = Some(NOW);
    cluster.vanish.insert("p0".into(), at(20));
    cluster.vanish.insert("p2".into(), at(5));
    cluster.begin(cluster.drain(12, 300));
    cluster.run(30);
    assert_eq!(cluster.when("evict"), [12.0]);
    assert_eq!(cluster.when("remove"), [20.0]);
    let mut finished = Cluster::of(2);
    finished.begin(finished.drain(12, 300));
    finished.run(5);
    finished.pod("p1").phase = Phase::Failed;
    finished.run(6);
    assert_eq!((finished.when("evict"), finished.when("remove")), (vec![0.0], vec![5.0]));
}

#[test]
fn a_backlog_keeps_its_distance_unless_time_is_short() {
    let mut cluster = Cluster::of(4);
    cluster.marks = vec![WriteAnswer::Forbidden("not yet".into())];
    cluster.begin(cluster.drain(12, 300));
    cluster.run(120);
    assert_eq!(cluster.when("evict"), [60.0, 72.0, 84.0, 96.0]);
    let mut short = Cluster::of(4);
    short.marks = vec![WriteAnswer::Forbidden("not yet".into())];
    short.begin(short.drain(12, 80));
    short.run(100);
    let tries = short.when("evict");
    assert!(tries.len() == 4 && tries.iter().all(|when| *when < 79.0), "{tries:?}");
}

#[test]
fn an_interruption_makes_it_sooner_and_never_later() {
    let mut cluster = Cluster::of(10);
    cluster.pod("p9").grace = Millis::from_secs(600);
    cluster.begin(cluster.drain(30, 400));
    cluster.run(40);
    assert!(cluster.drains.hasten("n", Cause::Interruption, at(145), at(40)));
    cluster.run(150);
    let tries = cluster.when("evict");
    assert_eq!(tries.len(), 10);
    assert!(tries.iter().all(|when| *when <= 140.0), "{tries:?}");
    assert!(cluster.when("evict p9 in 5").len() == 1, "{:?}", cluster.log);
    // Written, and never put off again.
    assert_eq!(cluster.when("mark")[..2], [0.0, 40.0]);
    assert!(cluster.drains.hasten("n", Cause::Interruption, at(999), at(150)) || cluster.when("remove").len() == 1);
    let written = Drain::read(cluster.nodes["n"].annotations.get(well_known::DRAIN).unwrap()).unwrap();
    assert_eq!((written.deadline, written.cause), (at(145), Cause::Interruption));
    let mut later = Cluster::of(2);
    later.begin(later.drain(30, 400));
    assert!(later.drains.hasten("n", Cause::Interruption, at(999), at(0)));
    assert_eq!(later.drains.find("n").unwrap().deadline, at(400));
    assert!(!later.drains.hasten("nobody", Cause::Interruption, at(9), at(0)));
}

#[test]
fn cancelling_ends_where_the_removal_begins() {
    let mut cluster = Cluster::of(3);
    assert_eq!(cluster.drains.cancel("n", Canceller::Plan, "x"), Err(CannotCancel::NotDraining("n".into())));
    cluster.begin(cluster.drain(12, 300));
    // Not written yet: nothing to take back.
    assert_eq!(cluster.drains.cancel("n", Canceller::Plan, "x"), Ok(()));
    cluster.run(1);
    assert!(cluster.log.is_empty() && cluster.told("DrainCancelled").len() == 1);

    let mut drain = cluster.drain(12, 300);
    drain.slots.iter_mut().for_each(|slot| slot.after += Millis::from_secs(12));
    cluster.begin(drain.clone());
    cluster.run(12);
    assert_eq!(cluster.drains.cancel("n", Canceller::Plan, "the pods fit nowhere now"), Ok(()));
    cluster.run(60);
    assert_eq!((cluster.when("evict").len(), cluster.when("release")), (0, vec![12.0]));
    assert!(cluster.sentence("DrainCancelled").contains("x"));
    assert!(!cluster.nodes["n"].unschedulable);

    let mut begun = Cluster::of(3);
    begun.begin(begun.drain(12, 300));
    begun.run(1);
    assert_eq!(begun.drains.cancel("n", Canceller::Plan, "x"), Err(CannotCancel::Begun("n".into())));
    assert_eq!(begun.drains.cancel("n", Canceller::Person, "I need it"), Ok(()));
    begun.run(60);
    assert_eq!((begun.when("evict").len(), begun.when("release")), (1, vec![1.0]));

    let mut removing = Cluster::of(0);
    removing.removals = vec![RemovalOutcome::Unknown("timeout".into())];
    removing.begin(removing.drain(12, 300));
    removing.run(1);
    assert_eq!(removing.drains.cancel("n", Canceller::Person, "x"), Err(CannotCancel::Removing("n".into())));
}

#[test]
fn a_workload_that_does_not_come_back_stops_further_drains() {
    let mut cluster = Cluster::of(2);
    cluster.replacement_takes = None;
    cluster.workload("web", WorkloadKind::ReplicaSet, 2);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(1);
    let say = |cluster: &Cluster| cluster.drains.breaker(&cluster.snapshot(), cluster.now);
    assert_eq!(say(&cluster), None);
    cluster.workloads.get_mut("web-deployment").unwrap().ready = 1;
    cluster.run(2);
    cluster.run(600);
    assert_eq!(say(&cluster), None);
    cluster.run(601);
    let sentence = say(&cluster).unwrap();
    assert!(sentence.contains("Deployment shop/web-deployment") && sentence.contains("1 of 2"), "{sentence}");
    // Until it recovers, however long that takes.
    cluster.run(9000);
    assert!(say(&cluster).is_some());
    cluster.workloads.get_mut("web-deployment").unwrap().ready = 2;
    assert_eq!(say(&cluster), None);
    cluster.run(9001);
    cluster.workloads.get_mut("web-deployment").unwrap().ready = 1;
    cluster.run(9900);
    assert_eq!(say(&cluster), None, "what begins much later has another cause");
}

#[test]
fn drained_pods_that_find_no_node_stop_further_drains() {
    let mut cluster = Cluster::of(2);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(13);
    let mut lost = pending("lost", "web", shape(100, 1));
    lost.created = Some(at(12));
    cluster.pods.insert("lost".into(), lost);
    let say = |cluster: &Cluster, seconds: u64| cluster.drains.breaker(&cluster.snapshot(), at(seconds));
    assert_eq!(say(&cluster, 42), None);
    assert!(say(&cluster, 43).unwrap().contains("shop/lost"));
    assert_eq!(say(&cluster, 613), None);
    cluster.pod("lost").scheduling = Scheduling::Quiet;
    assert_eq!(say(&cluster, 43), None);
    // Pods of others are no business of this.
    cluster.pods.insert("else".into(), pending("else", "db", shape(100, 1)));
    assert_eq!(say(&cluster, 300), None);
}

#[test]
fn small_delays_do_not_add_up() {
    let mut cluster = Cluster::of(10);
    cluster.lag = 200;
    cluster.begin(cluster.drain(12, 300));
    cluster.run(120);
    let late =
        cluster.when("evict").iter().enumerate().map(|(index, when)| when - index as f64 * 12.0).collect::<Vec<_>>();
    assert!(late.len() == 10 && late.iter().all(|late| (0.0..=0.5).contains(late)), "{late:?}");
}

#[test]
fn only_a_machine_that_is_taken_back_cuts_the_grace_of_an_eviction() {
    let mut cluster = Cluster::of(1);
    cluster.pod("p0").grace = Millis::from_secs(3600);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(1);
    assert_eq!(cluster.log[1].1, "evict p0");
}

#[test]
fn a_workload_that_is_short_much_later_has_another_cause() {
    let mut cluster = Cluster::of(2);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(500);
    cluster.now = at(700);
    cluster.workloads.get_mut("web-deployment").unwrap().ready = 0;
    cluster.run(1500);
    assert_eq!(cluster.drains.breaker(&cluster.snapshot(), cluster.now), None);
}
