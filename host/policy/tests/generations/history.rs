//! A policy's generations through what happens to its file: the last good one goes on, whatever comes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::fake::{Fake, World, ask_scale_up, spec};
use plimsoll_model::{Bytes, Millis};
use plimsoll_planner::{CallOutcome, Point};
use plimsoll_policy::{
    Change, ChangeWatch, Failure, Limits, ModuleSource, Patience, PolicySpec, PolicyStatus, Registry, Watched,
};

/// One configured scale-up policy, `mine`, before the default.
pub struct Stage {
    pub world: Arc<World>,
    pub registry: Arc<Registry<Fake>>,
    pub file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub fn new(module: &str) -> (Self, Vec<Change>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.wasm");
        if !module.is_empty() {
            fs::write(&file, module).unwrap();
        }
        let world = World::new();
        let (registry, changes) = world.open(None, vec![(Point::ScaleUp, spec("mine", &file))]);
        (Self { world, registry: Arc::new(registry), file, _folder: folder }, changes)
    }

    fn good() -> Self {
        Self::new("good one scale-up").0
    }

    pub fn replace(&self, module: impl AsRef<[u8]>) -> Vec<Change> {
        fs::write(&self.file, module).unwrap();
        self.registry.reload()
    }

    fn answer(&self) -> String {
        ask_scale_up(&self.registry).0.unwrap()
    }

    pub fn status(&self) -> PolicyStatus {
        self.registry.status().remove(0)
    }

    fn active(&self) -> Option<u64> {
        self.status().active.map(|generation| generation.number)
    }

    fn previous(&self) -> Option<u64> {
        self.status().previous.map(|generation| generation.number)
    }

    fn loads(&self) -> usize {
        self.world.loads.load(Ordering::Relaxed)
    }

    fn fail_times(&self, times: usize) {
        (0..times).for_each(|_| drop(ask_scale_up(&self.registry)));
    }
}

pub fn activated(changes: &[Change]) -> u64 {
    match changes {
        [Change::Activated { policy, generation, .. }] if policy == "mine" => *generation,
        other => panic!("{other:?}"),
    }
}

fn rejected(changes: &[Change]) -> (&Failure, Option<u64>) {
    match changes {
        [Change::Rejected { policy, failure, kept, .. }] if policy == "mine" => (failure, *kept),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_of_the_bytes_is_the_next_generation() {
    let stage = Stage::good();
    assert_eq!((stage.answer().as_str(), stage.active(), stage.previous()), ("one {}", Some(1), None));
    assert_eq!(activated(&stage.replace("good two scale-up")), 2);
    assert_eq!((stage.answer().as_str(), stage.active(), stage.previous()), ("two {}", Some(2), Some(1)));
}

#[test]
fn digests_are_those_that_sha256sum_prints() {
    let (stage, changes) = Stage::new("good one scale-up");
    let expected = "5aadd8476320a2f5870f46e25a62aefd21abe36deb1ae5bb357312d291e27f57";
    let Change::Activated { digest, .. } = &changes[0] else { panic!("{changes:?}") };
    assert_eq!(digest, expected);
    assert_eq!(stage.status().active.unwrap().digest, expected);
    assert_eq!(ask_scale_up(&stage.registry).1.calls[0].digest, expected);
}

#[test]
fn random_bytes_keep_the_old_one_and_say_why() {
    let stage = Stage::good();
    let changes = stage.replace([0xff, 0x00, 0xfe]);
    assert_eq!(rejected(&changes), (&Failure::Load("no WebAssembly".into()), Some(1)));
    assert!(changes[0].to_string().contains("generation 1 goes on: cannot load: no WebAssembly"), "{}", changes[0]);
    assert_eq!((stage.answer().as_str(), stage.active()), ("one {}", Some(1)));
    let setback = stage.status().setback.unwrap();
    assert_eq!(setback.failure, Failure::Load("no WebAssembly".into()));
    assert_eq!(setback.digest.unwrap().len(), 64);
}

#[test]
fn equal_bytes_are_not_loaded_again_be_they_good_or_bad() {
    let stage = Stage::good();
    let loads = stage.loads();
    assert_eq!(stage.replace("good one scale-up"), []);
    assert_eq!(stage.loads(), loads);
    stage.replace("bad");
    assert_eq!((stage.replace("bad"), stage.loads()), (vec![], loads + 1));
    assert!(stage.status().setback.is_some(), "what is refused stays refused");
}

#[test]
fn going_back_to_the_bytes_that_answer_clears_the_setback() {
    let stage = Stage::good();
    let loads = stage.loads();
    stage.replace("bad");
    assert_eq!((stage.replace("good one scale-up"), stage.loads()), (vec![], loads + 1));
    assert_eq!((stage.status().setback, stage.active()), (None, Some(1)));
    rejected(&stage.replace("bad"));
}

#[test]
fn a_change_of_settings_or_limits_is_the_next_generation() {
    let stage = Stage::good();
    let with = |settings: &str, limits| {
        let spec = PolicySpec { settings: settings.into(), limits, ..spec("mine", &stage.file) };
        stage.registry.replace_specs(vec![(Point::ScaleUp, spec)])
    };
    assert_eq!(with("{}", Limits::default()), []);
    assert_eq!(activated(&with("{\"a\":1}", Limits::default())), 2);
    assert_eq!(stage.answer(), "one {\"a\":1}");
    assert_eq!(activated(&with("{\"a\":2}", Limits::default())), 3);
    let longer = Limits { timeout: Millis(300), ..Limits::default() };
    assert_eq!(activated(&with("{\"a\":2}", longer)), 4);
    let larger = Limits { log_bytes: Bytes(1), ..longer };
    assert_eq!(activated(&with("{\"a\":2}", larger)), 5);
    assert_eq!(rejected(&with("wrong", larger)), (&Failure::Settings("wrong".into()), Some(5)));
    assert_eq!(stage.answer(), "one {\"a\":2}");
}

#[test]
fn another_file_under_the_same_name_goes_on_with_the_last_good_one() {
    let stage = Stage::good();
    let elsewhere = stage.file.with_file_name("other.wasm");
    let other = || vec![(Point::ScaleUp, spec("mine", &elsewhere))];
    assert_eq!(rejected(&stage.registry.replace_specs(other())).1, Some(1));
    assert_eq!(stage.answer(), "one {}");
    fs::write(&elsewhere, "good other scale-up").unwrap();
    assert_eq!(activated(&stage.registry.replace_specs(other())), 2);
    assert_eq!(stage.answer(), "other {}");
}

#[test]
fn a_file_that_cannot_be_read_is_tried_again_and_reported_once() {
    let stage = Stage::good();
    fs::remove_file(&stage.file).unwrap();
    let changes = stage.registry.reload();
    assert!(matches!(rejected(&changes), (Failure::Load(why), Some(1)) if why.contains("mine.wasm")));
    assert_eq!(stage.registry.reload(), []);
    assert_eq!(stage.answer(), "one {}");
    assert!(stage.status().setback.is_some_and(|setback| setback.digest.is_none()));
    let loads = stage.loads();
    assert_eq!((stage.replace("good one scale-up"), stage.loads()), (vec![], loads), "nothing was lost meanwhile");
    assert_eq!(stage.status().setback, None);
}

#[test]
fn an_unreadable_moment_does_not_make_a_refused_module_new() {
    let stage = Stage::good();
    stage.replace("bad");
    fs::remove_file(&stage.file).unwrap();
    stage.registry.reload();
    assert_eq!(stage.replace("bad"), []);
    assert!(stage.status().setback.is_some_and(|setback| setback.digest.is_some()));
}

#[test]
fn a_rollback_lasts_until_the_bytes_change_again() {
    let stage = Stage::good();
    stage.replace("good two scale-up");
    stage.replace("bad");
    assert_eq!(activated(&stage.registry.rollback("mine")), 1);
    assert_eq!((stage.answer().as_str(), stage.active(), stage.previous()), ("one {}", Some(1), Some(2)));
    assert_eq!(stage.registry.reload(), [], "the refused bytes are still there");
    assert_eq!(stage.active(), Some(1));
    assert_eq!(activated(&stage.replace("good three scale-up")), 3);
    assert_eq!((stage.active(), stage.previous()), (Some(3), Some(1)));
    stage.registry.rollback("mine");
    assert_eq!(stage.registry.reload(), [], "the bytes that were rolled back are still there");
    assert_eq!(stage.active(), Some(1));
    assert_eq!(activated(&stage.registry.rollback("mine")), 3, "a second rollback takes back the first");
}

#[test]
fn there_is_nothing_to_roll_back_to_at_first() {
    let stage = Stage::good();
    assert_eq!(stage.registry.rollback("mine"), []);
    assert_eq!(stage.registry.rollback("unknown"), []);
    assert_eq!(stage.answer(), "one {}");
}

#[test]
fn a_call_in_flight_finishes_on_the_generation_it_began_with() {
    let stage = Stage::good();
    let (registry, file) = (stage.registry.clone(), stage.file.clone());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answers = seen.clone();
    stage.world.during_next_call(move || {
        // Two changes: the first one's generation would be forgotten, if the call did not hold it.
        for module in ["good two scale-up", "good three scale-up"] {
            fs::write(&file, module).unwrap();
            registry.reload();
            answers.lock().unwrap().push(ask_scale_up(&registry).0.unwrap());
        }
    });
    let (answer, asked) = ask_scale_up(&stage.registry);
    assert_eq!((answer.unwrap().as_str(), asked.calls[0].generation), ("one {}", 1));
    assert_eq!(*seen.lock().unwrap(), ["two {}", "three {}"]);
}

#[test]
fn two_generations_are_kept_and_no_more() {
    let stage = Stage::good();
    let alive = || stage.world.alive.load(Ordering::Relaxed);
    let before = alive();
    for number in 2..7 {
        stage.replace(format!("good number-{number} scale-up"));
    }
    assert_eq!(alive(), before + 1);
}

#[test]
fn the_generation_before_answers_while_one_rests() {
    let stage = Stage::good();
    stage.replace("good two scale-up");
    stage.world.fail("two", true);
    for _ in 0..3 {
        assert_eq!(stage.answer(), "default {}");
    }
    assert_eq!(stage.answer(), "one {}");
    let resting = stage.status().resting;
    assert_eq!((resting[0].point, resting[0].remaining), (Point::ScaleUp, Millis(10_000)));
    assert_eq!(resting[0].failure, Failure::Trap("unreachable".into()));
    assert_eq!(stage.active(), Some(2), "it is still the configured one");

    stage.world.wait(10);
    assert_eq!(stage.answer(), "default {}", "the trial fails");
    stage.world.wait(19);
    assert_eq!(stage.answer(), "one {}");
    stage.world.fail("two", false);
    stage.world.wait(1);
    assert_eq!(stage.answer(), "two {}", "the trial succeeds");
    assert_eq!(stage.status().resting, []);
}

#[test]
fn the_next_policy_answers_when_no_generation_may() {
    let stage = Stage::good();
    stage.replace("good two scale-up");
    stage.world.fail("one", true);
    stage.world.fail("two", true);
    stage.fail_times(6);
    let (answer, asked) = ask_scale_up(&stage.registry);
    assert_eq!(answer.unwrap(), "default {}");
    let CallOutcome::Failed { label, sentence } = &asked.calls[0].outcome else { panic!("{:?}", asked.calls) };
    assert_eq!(*label, "quarantined");
    assert!(sentence.contains("10s") && sentence.contains("unreachable"), "{sentence}");
    assert_eq!((asked.calls[0].generation, asked.calls[0].micros), (2, 0));
}

#[test]
fn what_was_rolled_back_does_not_answer_for_the_other() {
    let stage = Stage::good();
    stage.replace("good two scale-up");
    stage.registry.rollback("mine");
    stage.world.fail("one", true);
    stage.fail_times(3);
    assert_eq!(stage.answer(), "default {}");
}

#[test]
fn a_rollback_is_a_fresh_start() {
    let stage = Stage::good();
    stage.world.fail("one", true);
    stage.fail_times(3);
    stage.replace("good two scale-up");
    stage.world.fail("one", false);
    stage.registry.rollback("mine");
    assert_eq!(stage.answer(), "one {}");
}

#[test]
fn a_resting_generation_does_not_push_a_good_one_out() {
    let stage = Stage::good();
    stage.replace("good two scale-up");
    stage.world.fail("two", true);
    stage.fail_times(3);
    assert_eq!(activated(&stage.replace("good three scale-up")), 3);
    assert_eq!((stage.answer().as_str(), stage.previous()), ("three {}", Some(1)));
}

#[test]
fn a_first_module_that_does_not_load_is_reported_and_the_default_answers() {
    for (module, why) in [("", "mine.wasm"), ("bad", "no WebAssembly"), ("good wrong-point drain", "exports drain")] {
        let (stage, changes) = Stage::new(module);
        let (failure, kept) = rejected(&changes[..1]);
        assert!(failure.to_string().contains(why), "{failure}");
        assert_eq!(kept, None);
        assert_eq!((stage.answer().as_str(), stage.active()), ("default {}", None));
        let call = ask_scale_up(&stage.registry).1.calls.remove(0);
        assert!(
            matches!(call.outcome, CallOutcome::Failed { label: "not-loaded", sentence } if sentence.contains(why))
        );
        assert_eq!(activated(&stage.replace("good one scale-up")), 1);
        assert_eq!(stage.answer(), "one {}");
    }
}

#[test]
fn a_watched_file_changes_the_next_answer_however_it_is_replaced() {
    let stage = Stage::good();
    let patience = Patience { quiet: Duration::from_millis(20), poll: Duration::from_secs(3600) };
    let watch = ChangeWatch::start(&[Watched::Path(stage.file.clone())], patience).unwrap();
    let told = || {
        watch.recv_timeout(Duration::from_secs(20)).unwrap();
        stage.registry.reload();
    };
    let temporary = stage.file.with_file_name("temporary");

    fs::write(&stage.file, "good copied scale-up").unwrap();
    told();
    assert_eq!(stage.answer(), "copied {}");

    fs::write(&temporary, "good renamed scale-up").unwrap();
    fs::rename(&temporary, &stage.file).unwrap();
    told();
    assert_eq!(stage.answer(), "renamed {}");

    fs::write(&stage.file, b"\xff\xfe random bytes \x00").unwrap();
    told();
    assert_eq!(stage.answer(), "renamed {}");
    assert!(stage.status().setback.is_some());

    #[cfg(unix)]
    {
        fs::write(stage.file.with_file_name("real"), "good linked scale-up").unwrap();
        std::os::unix::fs::symlink("real", &temporary).unwrap();
        fs::rename(&temporary, &stage.file).unwrap();
        told();
        assert_eq!(stage.answer(), "linked {}");
        assert_eq!(stage.status().setback, None);
    }
}

#[test]
fn a_built_in_module_needs_no_file() {
    let world = World::new();
    let module = ModuleSource::Builtin { name: "b", wasm: b"good b scale-up" };
    let spec = PolicySpec { module, ..spec("mine", Path::new("")) };
    let (registry, changes) = world.open(None, vec![(Point::ScaleUp, spec)]);
    assert_eq!(activated(&changes[..1]), 1);
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "b {}");
    assert_eq!(registry.status()[0].module, "built-in b");
}

#[test]
fn a_module_that_was_too_slow_once_gets_another_chance() {
    let stage = Stage::good();
    let changes = stage.replace("slow this once");
    let (failure, kept) = rejected(&changes);
    assert_eq!((failure.label(), kept, stage.answer().as_str()), ("deadline", Some(1), "one {}"));
    assert_eq!(activated(&stage.registry.reload()), 2);
    assert_eq!(stage.answer(), "slow {}");
}
