//! Whatever is answered, whoever leads, whatever comes and goes: promises that hold.

use std::collections::HashMap;

use plimsoll_model::{Millis, Timestamp, Uid};
use plimsoll_planner::drain::*;
use plimsoll_planner::launch::LaunchFailure;
use proptest::prelude::*;

use crate::fixture::*;
use crate::world::*;

#[derive(Clone, Debug)]
struct Script {
    pods: usize,
    spacing: u64,
    timeout: u64,
    interruption: bool,
    warm: u32,
    volumes: u32,
    baseline: Option<u32>,
    says: Vec<u8>,
    removals: Vec<u8>,
    marks: Vec<u8>,
    replacement: u8,
    /// Moments, in seconds, and what happens then.
    events: Vec<(u64, Event)>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    NextLeader,
    PodComes,
    PodGoes(u8),
    Says(u8, u8),
    Sooner(u64),
    Cancel,
    CancelPlan,
    NotReady,
}

fn says(number: u8) -> Says {
    match number % 13 {
        0 => Says::Budget(None),
        1 => Says::Budget(Some(10)),
        2 => Says::Several,
        3 => Says::TooMany(Some(3)),
        4 => Says::Terminating,
        5 => Says::Forbidden,
        6 => Says::Unknown,
        7 => Says::Conflict,
        8 => Says::Lost,
        9 => Says::Gone,
        10 => Says::Silence,
        _ => Says::Yes,
    }
}

fn write(number: u8) -> WriteAnswer {
    match number % 8 {
        0 => WriteAnswer::Forbidden("no".into()),
        1 | 2 => WriteAnswer::Unknown("timeout".into()),
        3 => WriteAnswer::Otherwise("somebody else".into()),
        _ => WriteAnswer::Done,
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::NextLeader),
        2 => Just(Event::PodComes),
        2 => any::<u8>().prop_map(Event::PodGoes),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(pod, says)| Event::Says(pod, says)),
        1 => (0u64..200).prop_map(Event::Sooner),
        1 => Just(Event::Cancel),
        1 => Just(Event::CancelPlan),
        1 => Just(Event::NotReady),
    ]
}

prop_compose! {
    fn script()(
        shape in (0usize..8, 0u64..40, 1u64..400, any::<bool>(), any::<u32>(), 0u32..2),
        baseline in prop::option::of(1u32..9),
        says in prop::collection::vec(any::<u8>(), 8),
        removals in prop::collection::vec(any::<u8>(), 0..3),
        marks in prop::collection::vec(any::<u8>(), 0..3),
        replacement in any::<u8>(),
        mut events in prop::collection::vec((0u64..450, event()), 0..8),
    ) -> Script {
        events.sort_by_key(|(when, _)| *when);
        let (pods, spacing, timeout, interruption, warm, volumes) = shape;
        Script { pods, spacing, timeout, interruption, warm, volumes, baseline, says, removals, marks, replacement, events }
    }
}

fn play(script: &Script) -> Cluster {
    let mut cluster = Cluster::of(script.pods);
    cluster.baseline = script.baseline;
    cluster.replacement = write(script.replacement);
    cluster.marks = script.marks.iter().map(|mark| write(*mark)).collect();
    let removal = |number: &u8| match number % 3 {
        0 => RemovalOutcome::Failed(LaunchFailure::Other("no".into())),
        1 => RemovalOutcome::Unknown("timeout".into()),
        _ => RemovalOutcome::Accepted,
    };
    cluster.removals = script.removals.iter().map(removal).chain([RemovalOutcome::Accepted]).collect();
    cluster.nodes.get_mut("n").unwrap().attached_volumes = script.volumes;
    for index in 0..script.pods {
        let name = format!("p{index}");
        cluster.says.insert(name.clone(), says(script.says[index]));
        cluster.deletes.insert(name.clone(), says(script.says[index].rotate_left(3)));
        cluster
            .stops
            .insert(name.clone(), [Some(0), Some(7), Some(100), None][usize::from(script.says[index] / 13 % 4)]);
        if script.warm >> index & 3 == 3 {
            cluster.warm(&name, if index % 2 == 0 { "30s" } else { "200s" });
        }
    }
    let mut drain = cluster.drain(script.spacing, script.timeout);
    if script.interruption {
        drain.cause = Cause::Interruption;
    }
    cluster.begin(drain);
    for (number, (when, event)) in script.events.iter().enumerate() {
        cluster.run((*when).max(cluster.now.since(NOW).0 / 1000));
        let name = |index: u8| format!("p{}", usize::from(index) % script.pods.max(1));
        match *event {
            Event::NextLeader => cluster.next_leader(),
            Event::PodComes => drop(cluster.add(&format!("late{number}"), "n")),
            Event::PodGoes(index) => drop(cluster.pods.remove(&name(index))),
            Event::Says(index, number) => drop(cluster.says.insert(name(index), says(number))),
            Event::Sooner(seconds) => {
                let now = cluster.now;
                let deadline = Timestamp(now.0 + seconds * 1000);
                cluster.drains.hasten("n", Cause::Interruption, deadline, now);
            }
            Event::Cancel => drop(cluster.drains.cancel("n", Canceller::Person, "so")),
            Event::CancelPlan => drop(cluster.drains.cancel("n", Canceller::Plan, "so")),
            Event::NotReady => {
                if let Some(node) = cluster.nodes.get_mut("n") {
                    node.ready = false;
                }
            }
        }
    }
    cluster.run(3600);
    cluster
}

fn check(script: &Script, cluster: &Cluster) -> Result<(), TestCaseError> {
    let (mut marked, mut removal_marked, mut released) = (false, false, false);
    let mut slots: HashMap<Uid, Timestamp> = HashMap::new();
    let mut deadline = Timestamp(u64::MAX);
    let mut marks = cluster.marks_answered.iter();
    for (when, leader, action) in &cluster.actions {
        match action {
            DrainAction::Mark { drain, .. } => {
                let done = *marks.next().unwrap();
                prop_assert!(drain.deadline <= deadline, "a deadline is put off");
                // What was not written the next leader does not know.
                if done {
                    deadline = drain.deadline;
                }
                marked |= done;
                removal_marked |= done && drain.removal.is_some();
                for slot in &drain.slots {
                    slots.insert(slot.pod.clone(), Timestamp(drain.started.0 + slot.after.0));
                }
            }
            DrainAction::Evict { pod, .. } | DrainAction::Delete { pod, .. } => {
                prop_assert!(marked, "evicted before it was written");
                prop_assert!(*when < deadline, "evicted after the deadline");
                for (_, accepted, _) in cluster
                    .accepted
                    .iter()
                    .filter(|(uid, accepted, by)| *uid == pod.uid && accepted < when && by == leader)
                {
                    prop_assert!(when.since(*accepted) >= Millis(30_000), "asked again after it was accepted");
                }
                let early = slots.get(&pod.uid).is_some_and(|slot| when < slot);
                prop_assert!(!early, "{} went before its turn", pod.name);
            }
            DrainAction::StartReplacement { .. } => prop_assert!(marked),
            DrainAction::MeasureRemoval { .. } => {}
            DrainAction::Remove { removal } => {
                prop_assert!(removal_marked, "removed before that was written");
                prop_assert_eq!(removal.baseline, script.baseline);
            }
            DrainAction::Release { .. } => {
                prop_assert!(!removal_marked, "released after the removal was decided");
                released = true;
            }
            DrainAction::DeleteNode { .. } => {}
        }
    }
    // It ends: by the deadline, and what removals that fail take.
    let left = cluster.drains.running(cluster.now);
    prop_assert!(left.is_empty(), "{:?}", left);
    if let Some(first) = cluster.when("remove").first()
        && !script.marks.iter().any(|mark| write(*mark) != WriteAnswer::Done)
    {
        prop_assert!(*first <= deadline.since(NOW).0 as f64 / 1000.0 + 1.0, "removed at {first}");
    }
    if released {
        prop_assert!(!cluster.nodes["n"].unschedulable);
    } else if marked && !cluster.told("DrainCompleted").is_empty() {
        prop_assert!(!cluster.nodes.contains_key("n"));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold(script in script()) {
        let cluster = play(&script);
        check(&script, &cluster).map_err(|error| {
            TestCaseError::fail(format!("{error}\n{:?}", cluster.log))
        })?;
    }
}
