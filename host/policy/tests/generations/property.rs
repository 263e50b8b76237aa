//! Any history of a policy: what must hold after each event.

use std::fs;

use crate::fake::{ask_scale_up, spec};
use crate::history::{Stage, activated};
use plimsoll_model::Millis;
use plimsoll_planner::{CallOutcome, Point};
use plimsoll_policy::{Change, Failure, PolicySpec};
use proptest::prelude::*;

/// Something that happens to a policy.
#[derive(Clone, Debug)]
enum Event {
    Good(u8),
    Bad(u8),
    Settings(bool),
    Remove,
    Rollback,
    Fail(u8, bool),
    Wait(u16),
    Ask,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (0..4u8).prop_map(Event::Good),
        2 => (0..3u8).prop_map(Event::Bad),
        1 => any::<bool>().prop_map(Event::Settings),
        1 => Just(Event::Remove),
        2 => Just(Event::Rollback),
        3 => (0..4u8, any::<bool>()).prop_map(|(label, fails)| Event::Fail(label, fails)),
        3 => (0..700u16).prop_map(Event::Wait),
        8 => Just(Event::Ask),
    ];
    prop::collection::vec(event, 1..60)
}

/// Asks and checks who answered against how the policy stands.
fn check_answer(stage: &Stage) -> Result<(), TestCaseError> {
    let before = stage.status();
    let (answer, asked) = ask_scale_up(&stage.registry);
    prop_assert!(answer.is_some_and(|by| !by.contains("bad")));
    let Some(active) = before.active else { return Ok(()) };
    let older = before.previous.filter(|previous| previous.number < active.number).map(|older| older.number);
    let call = &asked.calls[0];
    let was_asked = call.micros > 0;
    match before.resting.first() {
        // Nothing is held against it: nobody else is asked first.
        None => prop_assert!(was_asked && call.generation == active.number),
        Some(rest) if rest.remaining == Millis(0) => prop_assert!(was_asked && call.generation == active.number),
        Some(_) => prop_assert!(!was_asked || Some(call.generation) == older),
    }
    // The default is asked exactly if that did not do.
    prop_assert_eq!(asked.calls.len(), if call.outcome == CallOutcome::Answered { 1 } else { 2 });
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: a point that had a good generation keeps an answerer, and what was
    /// refused never answers.
    #[test]
    fn no_history_loses_the_last_good_generation(events in events()) {
        let (stage, _) = Stage::new("");
        let mut was_good = false;
        let mut newest = 0;
        for event in events {
            let changes = match event {
                Event::Good(label) => stage.replace(format!("good {label} scale-up")),
                Event::Bad(0) => stage.replace("bad"),
                Event::Bad(1) => stage.replace(""),
                Event::Bad(_) => stage.replace("good bad drain"),
                Event::Settings(wrong) => {
                    let settings = if wrong { "wrong" } else { "{}" }.into();
                    let spec = PolicySpec { settings, ..spec("mine", &stage.file) };
                    stage.registry.replace_specs(vec![(Point::ScaleUp, spec)])
                }
                Event::Remove => {
                    _ = fs::remove_file(&stage.file);
                    stage.registry.reload()
                }
                Event::Rollback => {
                    let changes = stage.registry.rollback("mine");
                    prop_assert_eq!(stage.registry.reload(), [], "a rollback lasts");
                    // It goes back, and makes nothing new.
                    prop_assert!(changes.is_empty() || activated(&changes) <= newest);
                    continue;
                }
                Event::Fail(label, fails) => {
                    stage.world.fail(&label.to_string(), fails);
                    continue;
                }
                Event::Wait(seconds) => {
                    stage.world.wait(seconds.into());
                    continue;
                }
                Event::Ask => {
                    check_answer(&stage)?;
                    continue;
                }
            };
            let status = stage.status();
            match &changes[..] {
                [] => {}
                [Change::Activated { generation, digest, .. }] => {
                    newest += 1;
                    was_good = true;
                    prop_assert_eq!(*generation, newest);
                    prop_assert_eq!(Some(digest), status.active.as_ref().map(|active| &active.digest));
                    prop_assert!(status.setback.is_none());
                }
                [Change::Rejected { digest, failure, kept, .. }] => {
                    let setback = status.setback.clone();
                    prop_assert_eq!(setback.map(|setback| setback.failure), Some(failure.clone()));
                    prop_assert_eq!(*kept, status.active.as_ref().map(|active| active.number));
                    // The settings may be what is wrong with a module that is otherwise good.
                    let settings = matches!(failure, Failure::Settings(_));
                    let answers = status.active.as_ref().map(|active| &active.digest);
                    prop_assert!(settings || digest.is_none() || digest.as_ref() != answers);
                }
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert_eq!(status.active.is_some(), was_good);
            // Asking again changes nothing.
            prop_assert_eq!(stage.registry.reload(), []);
        }
    }
}
