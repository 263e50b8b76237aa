//! What the next leader finds.

use std::sync::Arc;

use plimsoll_model::Snapshot;
use plimsoll_planner::drain::*;

use crate::fixture::*;
use crate::world::*;

#[test]
fn what_is_not_ours_is_left_alone() {
    let mut cluster = Cluster::of(2);
    let drain = Drain { cluster: "dev".into(), ..cluster.drain(12, 300) };
    cluster.write("n", Some(drain.write()));
    cluster.next_leader();
    cluster.run(100);
    assert!(cluster.actions.is_empty());
    assert!(cluster.sentence("DrainLeftAlone").contains("cluster dev"));
}

#[test]
fn what_cannot_go_on_is_released() {
    let good = Cluster::of(2).drain(12, 300).write();
    for (text, released) in [
        ("", true),
        ("{\"version\":1}", true),
        (&good.replace("\"version\":1", "\"version\":7"), true),
        (&good.replace("\"version\":1", "\"version\":7").replace("\"prod\"", "\"dev\""), false),
        (&good.replace("\"slots\":", "\"removal\":{\"since\":\"now\"},\"slots\":"), false),
    ] {
        let mut cluster = Cluster::of(2);
        cluster.write("n", Some(text.to_owned()));
        cluster.next_leader();
        cluster.run(100);
        assert_eq!(cluster.when("release").len(), usize::from(released), "{text}");
        assert_eq!(cluster.told("NodeReleased").len(), usize::from(released), "{text}");
        assert_eq!(cluster.told("DrainLeftAlone").len(), usize::from(!released), "{text}");
        assert_eq!((cluster.when("evict").len(), cluster.when("remove").len()), (0, 0));
        assert_eq!(cluster.nodes["n"].unschedulable, !released);
    }
    // A taint of ours without anything written, and what a person cordoned.
    let mut cluster = Cluster::of(2);
    cluster.write("n", Some(String::new()));
    cluster.nodes.get_mut("n").unwrap().annotations = Arc::default();
    cluster.nodes.get_mut("other").unwrap().unschedulable = true;
    cluster.next_leader();
    cluster.run(10);
    assert!(!cluster.nodes["n"].unschedulable && cluster.nodes["other"].unschedulable);
    let releases: Vec<_> = cluster.actions.iter().map(|(_, _, action)| action.clone()).collect();
    assert!(matches!(&releases[..], [DrainAction::Release { drain: None, .. }]));
}

#[test]
fn a_machine_that_was_to_go_goes() {
    let mut cluster = Cluster::of(0);
    let removal = Some(RemovalMark { since: NOW, baseline: Some(7) });
    let drain = Drain { removal, ..cluster.drain(12, 300) };
    cluster.write("n", Some(drain.write()));
    cluster.next_leader();
    assert_eq!(cluster.drains.held_groups().len(), 1);
    cluster.run(5);
    let done: Vec<&str> = cluster.log.iter().map(|(_, done)| done.as_str()).collect();
    assert_eq!(done, ["remove n"]);
    assert!(matches!(cluster.drains.cancel("n", Canceller::Person, "x"), Err(CannotCancel::Removing(_))));
}

#[test]
fn pods_that_were_seen_after_the_removal_was_decided_are_evicted_first() {
    let mut cluster = Cluster::of(2);
    let removal = Some(RemovalMark { since: NOW, baseline: Some(7) });
    let drain = Drain { removal, ..cluster.drain(12, 300) };
    cluster.write("n", Some(drain.write()));
    cluster.next_leader();
    cluster.run(100);
    let done: Vec<&str> = cluster.log.iter().map(|(_, done)| done.as_str()).collect();
    assert_eq!(done, ["evict p0", "evict p1", "remove n", "delete node n"]);
}

#[test]
fn a_node_whose_cordon_is_not_seen_is_not_empty() {
    let mut cluster = Cluster::of(0);
    cluster.begin(cluster.drain(12, 300));
    let before = cluster.snapshot();
    let (facts, done) = (DrainFacts::default(), DrainAnswer::Marked(WriteAnswer::Done));
    let step = |cluster: &mut Cluster, snapshot: &Snapshot, seconds: u64| {
        cluster.drains.observe(snapshot, &facts, at(seconds));
        cluster.drains.actions(snapshot, &facts, at(seconds)).len()
    };
    assert_eq!(step(&mut cluster, &before, 0), 1, "the mark");
    cluster.drains.answer("n", done, at(1));
    assert_eq!(step(&mut cluster, &before, 1), 0, "a pod may have been bound before the cordon");
    cluster.write("n", Some(String::new()));
    let after = cluster.snapshot();
    assert_eq!(step(&mut cluster, &after, 2), 1, "the removal");
}

#[test]
fn after_the_deadline_nothing_is_waited_for() {
    let mut cluster = Cluster::of(2);
    let drain = cluster.drain(12, 300);
    cluster.write("n", Some(drain.write()));
    cluster.now = at(1000);
    cluster.next_leader();
    cluster.run(1001);
    assert_eq!((cluster.when("evict").len(), cluster.when("remove")), (0, vec![1000.0]));
    assert_eq!(cluster.told("TerminatedWithPods").len(), 1);
}

#[test]
fn a_plan_takes_no_drain_back_that_may_have_begun() {
    let mut cluster = Cluster::of(2);
    let drain = cluster.drain(12, 300);
    cluster.write("n", Some(drain.write()));
    cluster.next_leader();
    assert!(matches!(cluster.drains.cancel("n", Canceller::Plan, "x"), Err(CannotCancel::Begun(_))));
    assert!(!cluster.begin(drain), "it is drained already");
}

#[test]
fn turns_that_nobody_took_keep_their_distance() {
    let mut cluster = Cluster::of(6);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(13);
    cluster.now = at(59);
    cluster.next_leader();
    cluster.run(200);
    assert_eq!(cluster.when("evict"), [0.0, 12.0, 71.0, 83.0, 95.0, 107.0]);
    // Nothing is overdue: the timetable is kept.
    let mut soon = Cluster::of(6);
    soon.begin(soon.drain(12, 300));
    soon.run(25);
    soon.next_leader();
    soon.run(200);
    assert_eq!(soon.when("evict"), [0.0, 12.0, 24.0, 36.0, 48.0, 60.0]);
}
