//! Each answer has a path of its own.

use plimsoll_model::Millis;
use plimsoll_planner::drain::*;

use crate::world::*;

fn one(says: Says) -> Cluster {
    let mut cluster = Cluster::of(1);
    cluster.says.insert("p0".into(), says);
    cluster.begin(cluster.drain(12, 300));
    cluster
}

#[test]
fn what_starts_the_clock_of_a_forced_deletion() {
    for (says, starts) in [
        (Says::Budget(Some(10)), true),
        (Says::Several, true),
        (Says::TooMany(None), false),
        (Says::Unknown, false),
        (Says::Forbidden, false),
        (Says::Terminating, false),
        (Says::Conflict, false),
        (Says::Silence, false),
    ] {
        let mut cluster = one(says);
        cluster.run(305);
        let deleted = if starts { vec![60.0] } else { vec![] };
        assert_eq!(cluster.when("delete p0"), deleted, "{says:?}");
        assert_eq!(cluster.when("remove"), [if starts { 60.0 } else { 300.0 }], "{says:?}");
        assert_eq!(cluster.told("EvictionRefused").len(), usize::from(starts));
    }
}

#[test]
fn how_long_until_the_next_try() {
    for (says, least, most) in [
        (Says::Budget(None), 5.0, 5.6),
        (Says::Budget(Some(2)), 5.0, 5.6),
        (Says::Budget(Some(10)), 10.0, 10.6),
        (Says::TooMany(Some(20)), 20.0, 20.6),
        (Says::TooMany(Some(100_000)), 300.0, 301.0),
        (Says::Unknown, 5.0, 5.6),
        (Says::Forbidden, 60.0, 60.0),
        (Says::Terminating, 30.0, 30.0),
        (Says::Silence, 60.0, 60.0),
        // Accepted, and nothing happens.
        (Says::Lost, 30.0, 30.0),
    ] {
        let mut cluster = Cluster::of(1);
        cluster.says.insert("p0".into(), says);
        cluster.begin(cluster.drain(12, 700));
        cluster.run(650);
        let tries = cluster.when("evict p0");
        assert!((least..=most).contains(&(tries[1] - tries[0])), "{says:?}: {tries:?}");
    }
    // At once, but not for ever.
    let mut conflicts = one(Says::Conflict);
    conflicts.run(4);
    assert_eq!(conflicts.when("evict p0"), [0.0; 6]);
    conflicts.run(6);
    assert_eq!(conflicts.when("evict p0").len(), 12);
}

#[test]
fn never_means_never() {
    let mut cluster = Cluster::of(1);
    cluster.rules.force_delete_after = None;
    cluster.drains.set_rules(cluster.rules.clone());
    cluster.says.insert("p0".into(), Says::Budget(None));
    cluster.begin(cluster.drain(12, 300));
    cluster.run(305);
    assert!(cluster.when("delete p0").is_empty());
    assert_eq!(cluster.when("remove"), [300.0]);
    assert!(cluster.sentence("EvictionRefused").contains("until the deadline"));
}

#[test]
fn without_the_permission_nothing_is_deleted() {
    let mut cluster = one(Says::Budget(None));
    cluster.facts.may_force_delete = false;
    cluster.facts.may_delete_nodes = false;
    cluster.run(400);
    assert!(cluster.when("delete p0").is_empty() && cluster.when("delete node").is_empty());
    let said: Vec<String> = cluster.news.iter().map(|(_, news)| news.to_string()).collect();
    let permission = |what: &str| said.iter().filter(|said| said.contains(what)).count();
    assert_eq!((permission("to delete pods"), permission("to delete nodes")), (1, 1), "{said:?}");
    assert!(cluster.when("evict p0").iter().any(|when| *when > 70.0));

    // The server says no to it: asked again a minute later, not by another way.
    let mut refused = one(Says::Budget(None));
    refused.deletes.insert("p0".into(), Says::Forbidden);
    refused.run(200);
    assert_eq!(refused.when("delete p0"), [60.0, 120.0, 180.0]);
    assert_eq!(refused.told("DrainPermissionMissing"), [60.0]);
    assert!(refused.when("evict p0").iter().all(|when| *when < 60.0));

    // Evictions that are forbidden are told once, and retried slowly.
    let mut forbidden = one(Says::Forbidden);
    forbidden.run(130);
    assert_eq!(forbidden.when("evict p0"), [0.0, 60.0, 120.0]);
    assert_eq!(forbidden.told("DrainPermissionMissing"), [0.0]);
}

#[test]
fn a_deletion_has_the_grace_that_is_left() {
    let mut cluster = Cluster::of(1);
    cluster.pod("p0").grace = Millis::from_secs(900);
    cluster.says.insert("p0".into(), Says::Budget(None));
    cluster.begin(cluster.drain(12, 300));
    cluster.run(100);
    assert_eq!(cluster.when("delete p0 in 240"), [60.0]);
    assert!(cluster.sentence("ForceDeleted").contains("60s"));
}

#[test]
fn nothing_is_evicted_before_the_drain_is_written() {
    let mut cluster = Cluster::of(3);
    cluster.marks = vec![WriteAnswer::Unknown("timeout".into()), WriteAnswer::Unknown("timeout".into())];
    cluster.begin(cluster.drain(12, 300));
    cluster.run(20);
    // Tried again after 1 and 2 s; the second turn keeps its distance.
    assert_eq!((cluster.when("mark"), cluster.when("evict")), (vec![0.0, 1.0, 3.0], vec![3.0, 15.0]));

    let mut other = Cluster::of(2);
    other.marks = vec![WriteAnswer::Otherwise("it is drained by dev".into())];
    other.begin(other.drain(12, 300));
    other.run(30);
    assert!(other.when("evict").is_empty() && other.drains.running(other.now).is_empty());
    assert!(other.sentence("DrainCancelled").contains("drained by dev"));

    // Never written: nothing is left to take back.
    let mut forbidden = Cluster::of(2);
    forbidden.marks = vec![WriteAnswer::Forbidden("no".into()); 9];
    forbidden.begin(forbidden.drain(12, 300));
    forbidden.run(200);
    assert_eq!(forbidden.when("mark"), [0.0, 60.0]);
    assert!(forbidden.when("evict").is_empty() && forbidden.when("release").is_empty());
    assert_eq!((forbidden.told("DrainPermissionMissing"), forbidden.told("DrainCancelled")), (vec![0.0], vec![120.0]));

    // Perhaps written: it is taken back.
    let mut unknown = Cluster::of(2);
    unknown.marks = vec![WriteAnswer::Unknown("timeout".into()); 99];
    unknown.begin(unknown.drain(12, 300));
    unknown.run(200);
    assert_eq!((unknown.when("evict").len(), unknown.when("release")), (0, vec![120.0]));
}

#[test]
fn answers_to_what_was_never_asked_change_nothing() {
    let mut cluster = Cluster::of(1);
    cluster.begin(cluster.drain(12, 300));
    let uid = cluster.pod("p0").uid.clone();
    for answer in [
        DrainAnswer::Marked(WriteAnswer::Done),
        DrainAnswer::Released(WriteAnswer::Done),
        DrainAnswer::Measured(Ok(Some(3))),
        DrainAnswer::Removed(RemovalOutcome::Accepted),
        DrainAnswer::NodeDeleted(WriteAnswer::Done),
        DrainAnswer::ReplacementStarted(uid, WriteAnswer::Done),
    ] {
        for node in ["n", "nobody"] {
            let news = cluster.drains.answer(node, answer.clone(), cluster.now);
            assert_eq!(news, []);
        }
    }
    cluster.run(300);
    assert_eq!(cluster.told("DrainCompleted"), [40.0]);
}

#[test]
fn a_late_answer_to_an_earlier_mark_does_not_let_the_machine_go() {
    let mut cluster = Cluster::of(0);
    cluster.begin(cluster.drain(12, 300));
    // The cordon is seen, whatever has become of the answer.
    cluster.write("n", Some(String::new()));
    let facts = DrainFacts::default();
    let step = |cluster: &mut Cluster, seconds: u64| {
        let snapshot = cluster.snapshot();
        cluster.drains.observe(&snapshot, &facts, at(seconds));
        cluster.drains.actions(&snapshot, &facts, at(seconds)).into_iter().map(|(_, action)| action).collect::<Vec<_>>()
    };
    let done = || DrainAnswer::Marked(WriteAnswer::Done);
    let is_mark = |actions: &[DrainAction], removal: bool| matches!(actions, [DrainAction::Mark { drain, .. }] if drain.removal.is_some() == removal);
    assert!(is_mark(&step(&mut cluster, 0), false));
    assert!(step(&mut cluster, 59).is_empty());
    // Given up, made again, answered once; the other answer is still on its way.
    assert!(is_mark(&step(&mut cluster, 60), false));
    cluster.drains.answer("n", done(), at(61));
    assert!(matches!(step(&mut cluster, 61)[..], [DrainAction::MeasureRemoval { .. }]));
    cluster.drains.answer("n", DrainAnswer::Measured(Ok(Some(4))), at(62));
    assert!(is_mark(&step(&mut cluster, 62), true));
    // A minute without an answer: the mark is made again, and only its answer counts.
    assert!(is_mark(&step(&mut cluster, 122), true));
    assert!(step(&mut cluster, 123).is_empty());
    cluster.drains.answer("n", done(), at(124));
    assert!(matches!(&step(&mut cluster, 124)[..], [DrainAction::Remove { removal }] if removal.baseline == Some(4)));
}

#[test]
fn a_sooner_deadline_is_written_and_an_answer_to_the_older_mark_is_not_taken_for_it() {
    let mut cluster = Cluster::of(0);
    cluster.add("p0", "n");
    cluster.begin(cluster.drain(12, 300));
    let facts = DrainFacts::default();
    let snapshot = cluster.snapshot();
    cluster.drains.observe(&snapshot, &facts, at(0));
    assert_eq!(cluster.drains.actions(&snapshot, &facts, at(0)).len(), 1);
    assert!(cluster.drains.hasten("n", Cause::Interruption, at(200), at(30)));
    // The first mark is given up; what is made now is another.
    let again = cluster.drains.actions(&snapshot, &facts, at(60));
    assert!(matches!(&again[..], [(_, DrainAction::Mark { drain, .. })] if drain.deadline == at(200)));
    cluster.drains.answer("n", DrainAnswer::Marked(WriteAnswer::Done), at(61));
    // That was the first one's: nothing is known to stand there that is to.
    assert!(cluster.drains.actions(&snapshot, &facts, at(61)).is_empty());
    cluster.drains.answer("n", DrainAnswer::Marked(WriteAnswer::Done), at(62));
    assert!(matches!(&cluster.drains.actions(&snapshot, &facts, at(62))[..], [(_, DrainAction::Evict { .. })]));
}

#[test]
fn without_any_answer_everything_is_asked_again_after_a_minute() {
    let mut cluster = Cluster::of(0);
    cluster.begin(cluster.drain(12, 900));
    cluster.write("n", Some(String::new()));
    let snapshot = cluster.snapshot();
    let mut facts = DrainFacts::default();
    let mut labels = Vec::new();
    for seconds in 0..600 {
        if seconds == 300 {
            facts.machines.insert("n".into(), MachineState::Gone);
        }
        cluster.drains.observe(&snapshot, &facts, at(seconds));
        for (_, action) in cluster.drains.actions(&snapshot, &facts, at(seconds)) {
            let label = match action {
                DrainAction::Mark { .. } => "mark",
                DrainAction::MeasureRemoval { .. } => "measure",
                DrainAction::Remove { .. } => "remove",
                DrainAction::DeleteNode { .. } => "delete",
                _ => "other",
            };
            let again = labels.iter().any(|(_, known)| *known == label) || label == "delete";
            labels.push((seconds, label));
            let answer = match label {
                "mark" => DrainAnswer::Marked(WriteAnswer::Done),
                "measure" => DrainAnswer::Measured(Ok(Some(4))),
                _ => continue,
            };
            // The first of each is never answered.
            if again {
                cluster.drains.answer("n", answer, at(seconds));
            }
        }
        let next = cluster.drains.next(at(seconds));
        assert!(next.is_none_or(|next| next > at(seconds)));
    }
    let expected = [
        (0, "mark"),
        (60, "mark"),
        (61, "measure"),
        (121, "measure"),
        (122, "mark"),
        (123, "remove"),
        (183, "remove"),
        (243, "remove"),
        (330, "delete"),
        (390, "delete"),
        (450, "delete"),
        (510, "delete"),
        (570, "delete"),
    ];
    assert_eq!(labels, expected);
}
