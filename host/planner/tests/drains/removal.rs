//! How the machine goes.

use plimsoll_planner::drain::*;
use plimsoll_planner::launch::LaunchFailure;

use crate::fixture::node;
use crate::world::*;

fn empty() -> Cluster {
    let mut cluster = Cluster::of(0);
    cluster.begin(cluster.drain(12, 300));
    cluster
}

#[test]
fn volumes_are_waited_for_but_not_for_ever() {
    for (detach, timeout, expected) in [(Some(20), 300, 20.0), (None, 300, 60.0), (None, 30, 30.0)] {
        let mut cluster = Cluster::of(0);
        cluster.nodes.get_mut("n").unwrap().attached_volumes = 2;
        cluster.begin(cluster.drain(12, timeout));
        cluster.run(10);
        assert!(cluster.progress().contains("2 volumes attached"));
        if let Some(detach) = detach {
            cluster.run(detach - 1);
            cluster.now = at(detach);
            cluster.nodes.get_mut("n").unwrap().attached_volumes = 0;
        }
        cluster.run(70);
        assert_eq!(cluster.when("remove"), [expected]);
        assert!(cluster.told("TerminatedWithPods").is_empty());
    }
}

#[test]
fn without_a_provider_the_node_stays_cordoned() {
    let mut cluster = Cluster::of(2);
    cluster.facts.removes_machines = false;
    cluster.says.insert("p1".into(), Says::TooMany(None));
    cluster.begin(cluster.drain(12, 300));
    cluster.run(400);
    // The deadline takes nothing away, so that it goes on.
    assert!(cluster.when("remove").is_empty() && cluster.when("evict p1").last().unwrap() > &390.0);
    cluster.says.clear();
    cluster.run(1000);
    assert!(cluster.when("remove").is_empty() && cluster.when("measure").is_empty());
    assert_eq!((cluster.told("NodeDrained").len(), cluster.told("TerminatedWithPods").len()), (1, 0));
    assert!(cluster.progress().contains("no provider"));
    assert!(cluster.nodes["n"].unschedulable);
    assert_eq!(cluster.drains.cancel("n", Canceller::Person, "it is needed"), Ok(()));
    cluster.run(1001);
    assert!(!cluster.nodes["n"].unschedulable && cluster.drains.running(cluster.now).is_empty());
}

#[test]
fn the_size_is_written_down_before_the_machine_goes() {
    let mut cluster = empty();
    cluster.baseline = Some(5);
    cluster.run(5);
    let done: Vec<&str> = cluster.log.iter().map(|(_, done)| done.as_str()).collect();
    assert_eq!(done, ["mark", "measure n", "mark removal", "remove n"]);
    let removal = cluster.actions.iter().find_map(|(_, _, action)| match action {
        DrainAction::Remove { removal } => Some(removal.clone()),
        _ => None,
    });
    let removal = removal.unwrap();
    assert_eq!((removal.baseline, removal.group.unwrap().as_str()), (Some(5), "general"));
    assert_eq!(removal.drain, DrainId::of("prod", "n", "c1").0);
    assert_eq!(cluster.told("NodeTerminating"), [0.0]);
}

#[test]
fn sizes_are_changed_one_by_one() {
    let mut cluster = empty();
    cluster.baseline = Some(5);
    cluster.removals = vec![RemovalOutcome::Unknown("timeout".into()), RemovalOutcome::Accepted];
    cluster.nodes.insert("m".into(), node("m", "general", "a"));
    let drain = Drain { id: DrainId::of("prod", "m", "c1"), ..cluster.drain(12, 300) };
    cluster.begin_on("m", drain);
    cluster.run(9);
    // Nodes in the order of names: m holds the group until its answer is there.
    assert_eq!((cluster.when("measure m"), cluster.when("measure n").len()), (vec![0.0], 0));
    assert_eq!(cluster.drains.held_groups().len(), 1);
    cluster.run(11);
    assert_eq!((cluster.when("remove m"), cluster.when("measure n")), (vec![0.0, 10.0], vec![10.0]));
    assert!(cluster.drains.held_groups().is_empty());

    // By machines they go at once.
    let mut machines = empty();
    machines.removals = vec![RemovalOutcome::Unknown("timeout".into())];
    machines.nodes.insert("m".into(), node("m", "general", "a"));
    let drain = Drain { id: DrainId::of("prod", "m", "c1"), ..machines.drain(12, 300) };
    machines.begin_on("m", drain);
    machines.run(1);
    assert_eq!((machines.when("remove m"), machines.when("remove n")), (vec![0.0], vec![0.0]));
}

#[test]
fn no_size_is_measured_while_a_launch_has_no_answer() {
    let mut cluster = empty();
    cluster.facts.launching_groups.insert("general".into());
    cluster.run(30);
    assert!(cluster.when("measure").is_empty());
    cluster.facts.launching_groups.clear();
    cluster.run(31);
    assert_eq!(cluster.when("measure").len(), 1);
}

#[test]
fn what_failed_is_measured_again_with_longer_and_longer_pauses() {
    let mut cluster = empty();
    cluster.baseline = Some(5);
    cluster.removals = vec![RemovalOutcome::Failed(LaunchFailure::Unauthorized("expired".into()))];
    cluster.run(2500);
    assert_eq!(cluster.when("remove"), [0.0, 60.0, 180.0, 420.0, 900.0, 1500.0, 2100.0]);
    assert_eq!(cluster.when("measure").len(), 7);
    assert_eq!(cluster.told("NodeRemovalFailed").len(), 7);
    assert!(cluster.sentence("NodeRemovalFailed").contains("expired"));
    assert!(cluster.nodes["n"].unschedulable && cluster.when("release").is_empty());
    assert_eq!(cluster.told("NodeTerminating").len(), 1);
    cluster.removals = vec![RemovalOutcome::Gone];
    cluster.run(3000);
    assert_eq!((cluster.when("delete node"), cluster.told("DrainCompleted")), (vec![2730.0], vec![2730.0]));
}

#[test]
fn a_word_alone_does_not_make_a_working_node_go() {
    let mut cluster = Cluster::of(3);
    cluster.facts.machines.insert("n".into(), MachineState::Gone);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(20);
    assert!(cluster.when("delete node").is_empty());
    cluster.nodes.get_mut("n").unwrap().ready = false;
    cluster.run(60);
    assert_eq!((cluster.when("delete node"), cluster.when("remove").len()), (vec![50.0], 0));
}

#[test]
fn a_machine_on_its_way_out_is_not_removed_twice() {
    let mut cluster = empty();
    cluster.baseline = Some(5);
    cluster.run(1);
    cluster.next_leader();
    cluster.run(100);
    assert_eq!(cluster.when("remove").len(), 1);
    assert_eq!(cluster.told("DrainCompleted").len(), 1);

    // Taken, and still there: asked again only where that takes no other machine.
    for (baseline, calls) in [(None, 2), (Some(5), 1)] {
        let mut stays = empty();
        stays.baseline = baseline;
        stays.machine_takes = 100_000;
        stays.run(1);
        stays.facts.machines.insert("n".into(), MachineState::Present);
        stays.run(700);
        assert_eq!(stays.when("remove").len(), calls, "{baseline:?}");
    }
}

#[test]
fn a_node_that_vanishes_ends_its_drain() {
    let mut cluster = Cluster::of(3);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(5);
    cluster.nodes.remove("n");
    cluster.run(6);
    assert_eq!(cluster.told("DrainCompleted"), [5.0]);
    let mut other = Cluster::of(3);
    other.begin(other.drain(12, 300));
    other.run(5);
    // Another one of its name.
    other.nodes.get_mut("n").unwrap().uid = plimsoll_model::Uid::parse("n2");
    other.run(100);
    assert_eq!((other.told("DrainCompleted"), other.when("evict").len()), (vec![5.0], 1));
}

#[test]
fn a_drain_that_is_taken_back_while_its_size_is_measured_is_released() {
    let mut cluster = empty();
    cluster.write("n", Some(String::new()));
    let (snapshot, facts) = (cluster.snapshot(), DrainFacts::default());
    let step = |drains: &mut Drains, seconds: u64, answer: Option<DrainAnswer>| {
        if let Some(answer) = answer {
            drains.answer("n", answer, at(seconds));
        }
        drains.observe(&snapshot, &facts, at(seconds));
        drains.actions(&snapshot, &facts, at(seconds)).into_iter().map(|(_, action)| action).collect::<Vec<_>>()
    };
    let drains = &mut cluster.drains;
    assert_eq!(step(drains, 0, None).len(), 1);
    let done = Some(DrainAnswer::Marked(WriteAnswer::Done));
    assert!(matches!(step(drains, 1, done)[..], [DrainAction::MeasureRemoval { .. }]));
    assert_eq!(drains.cancel("n", Canceller::Person, "I need it"), Ok(()));
    assert!(matches!(step(drains, 2, None)[..], [DrainAction::Release { .. }]));
    assert!(step(drains, 3, Some(DrainAnswer::Measured(Ok(Some(4))))).is_empty());
    assert_eq!(drains.find("n").unwrap().removal, None);
    assert!(step(drains, 4, Some(DrainAnswer::Released(WriteAnswer::Done))).is_empty());
    assert!(drains.running(at(4)).is_empty());
}

#[test]
fn a_machine_that_is_taken_back_is_drained_after_all() {
    let mut cluster = Cluster::of(3);
    cluster.begin(cluster.drain(12, 300));
    cluster.run(1);
    assert_eq!(cluster.drains.cancel("n", Canceller::Person, "I need it"), Ok(()));
    assert!(cluster.drains.hasten("n", Cause::Interruption, at(120), at(1)));
    cluster.run(60);
    assert_eq!((cluster.when("release").len(), cluster.when("evict").len(), cluster.when("remove").len()), (0, 3, 1));
}
