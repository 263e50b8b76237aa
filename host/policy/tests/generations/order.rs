//! Who is asked at a point, in what order, and what becomes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::fake::{Fake, World, ask_csr, ask_nodes, ask_pods, ask_scale_up, spec};
use plimsoll_model::Bytes;
use plimsoll_planner::csr::CsrVerdict;
use plimsoll_planner::drain::NodesVerdict;
use plimsoll_planner::{CallOutcome, Point, PolicyCall};
use plimsoll_policy::{Change, Failure, Mode, OnError, PolicySpec, Registry};

/// A policies directory beside a folder for configured modules.
struct Stage {
    world: Arc<World>,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        Self { world: World::new(), folder }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    fn drop_in(&self, file: &str, module: &str) {
        fs::write(self.directory().join(file), module).unwrap();
    }

    /// A configured scale-up policy of this name, whose module has it as its label.
    fn spec(&self, name: &str) -> PolicySpec {
        let file = self.folder.path().join(name);
        fs::write(&file, format!("good {name} scale-up,drain,csr-approval")).unwrap();
        spec(name, &file)
    }

    fn open(&self, specs: Vec<(Point, PolicySpec)>) -> Registry<Fake> {
        self.world.open(Some(self.directory()), specs).0
    }

    fn open_scale_up(&self, specs: Vec<PolicySpec>) -> Registry<Fake> {
        self.open(specs.into_iter().map(|spec| (Point::ScaleUp, spec)).collect())
    }
}

fn names(calls: &[PolicyCall]) -> Vec<&str> {
    calls.iter().map(|call| call.policy.as_str()).collect()
}

/// The names of those who stand in the list of a point.
fn standing(registry: &Registry<Fake>, point: Point) -> Vec<String> {
    let status = registry.status();
    status.iter().filter(|one| one.points.contains(&point)).map(|one| one.name.to_string()).collect()
}

#[test]
fn the_directory_comes_first_then_the_configured_then_the_default() {
    let stage = Stage::new();
    stage.drop_in("20-late.wasm", "good late scale-up");
    stage.drop_in("10-early.wasm", "good early scale-up");
    let registry = stage.open_scale_up(vec![stage.spec("zebra"), stage.spec("ant")]);
    ["early", "late", "zebra", "ant"].iter().for_each(|label| stage.world.pass(label));
    let (answer, asked) = ask_scale_up(&registry);
    assert_eq!(answer.unwrap(), "default {}");
    assert_eq!(names(&asked.calls), ["10-early", "20-late", "zebra", "ant", "default"]);
    assert!(asked.calls[..4].iter().all(|call| call.outcome == CallOutcome::Passed));
    assert_eq!(standing(&registry, Point::ScaleUp), names(&asked.calls));
}

#[test]
fn nobody_is_asked_after_an_answer() {
    let stage = Stage::new();
    let registry = stage.open_scale_up(vec![stage.spec("a"), stage.spec("b")]);
    let (answer, asked) = ask_scale_up(&registry);
    assert_eq!((answer.unwrap().as_str(), names(&asked.calls)), ("a {}", vec!["a"]));
}

#[test]
fn a_call_is_taken_down_with_all_that_is_known() {
    let stage = Stage::new();
    let registry = stage.open_scale_up(vec![stage.spec("a")]);
    let call = ask_scale_up(&registry).1.calls.remove(0);
    assert_eq!((call.point, call.subject.as_str(), call.generation), (Point::ScaleUp, "round 4", 1));
    assert_eq!((call.micros, call.peak_memory, call.log_dropped, call.shadow), (7, Bytes(9), 3, false));
    assert_eq!((call.outcome, call.digest.len()), (CallOutcome::Answered, 64));
    assert_eq!(call.log[0].message, "a");
    assert_eq!(ask_nodes(&registry).calls[0].subject, "nodes");
    assert_eq!(ask_pods(&registry).calls[0].subject, "node-0005");
    assert_eq!(ask_csr(&registry).calls[0].subject, "csr-1");
}

#[test]
fn after_a_failure_the_next_one_answers_or_nobody() {
    let stage = Stage::new();
    stage.world.fail("a", true);
    for (on_error, expected, asked_in_all) in [(OnError::Next, Some("b {}"), 2), (OnError::Hold, None, 1)] {
        let registry = stage.open_scale_up(vec![PolicySpec { on_error, ..stage.spec("a") }, stage.spec("b")]);
        let (answer, asked) = ask_scale_up(&registry);
        assert_eq!((answer.as_deref(), asked.calls.len()), (expected, asked_in_all));
        let CallOutcome::Failed { label, sentence } = &asked.calls[0].outcome else { panic!("{:?}", asked.calls) };
        assert_eq!((*label, sentence.as_str()), ("trap", "trapped: unreachable"));
    }
}

#[test]
fn hold_holds_through_a_rest_and_before_the_first_good_module() {
    let stage = Stage::new();
    let held = PolicySpec { on_error: OnError::Hold, ..stage.spec("a") };
    let registry = stage.open_scale_up(vec![held]);
    stage.world.fail("a", true);
    for _ in 0..5 {
        assert_eq!(ask_scale_up(&registry).0, None, "no failure lets another one decide");
    }
    let unloadable = PolicySpec { on_error: OnError::Hold, ..spec("a", Path::new("/nowhere/a.wasm")) };
    let (answer, asked) = ask_scale_up(&stage.open_scale_up(vec![unloadable]));
    assert_eq!((answer, names(&asked.calls)), (None, vec!["a"]));
    assert_eq!((asked.calls[0].outcome.label(), asked.calls[0].generation), ("not-loaded", 0));
}

#[test]
fn a_policy_of_the_directory_that_fails_holds_drains_and_certificates_but_not_launches() {
    let stage = Stage::new();
    stage.drop_in("a.wasm", "good a scale-up,drain,csr-approval");
    let registry = stage.open(Vec::new());
    stage.world.fail("a", true);
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "default {}");
    assert_eq!((ask_nodes(&registry).verdict, ask_csr(&registry).verdict), (None, None));
}

#[test]
fn shadows_are_asked_but_never_heeded() {
    let stage = Stage::new();
    let shadow = |name| PolicySpec { mode: Mode::Shadow, on_error: OnError::Hold, ..stage.spec(name) };
    let registry = stage.open_scale_up(vec![shadow("first"), stage.spec("a"), shadow("last")]);
    let (answer, asked) = ask_scale_up(&registry);
    assert_eq!((answer.unwrap().as_str(), names(&asked.calls)), ("a {}", vec!["a", "first", "last"]));
    assert_eq!(asked.calls.iter().map(|call| call.shadow).collect::<Vec<_>>(), [false, true, true]);
    stage.world.fail("first", true);
    stage.world.pass("a");
    let (answer, asked) = ask_scale_up(&registry);
    assert_eq!(answer.unwrap(), "default {}", "neither a shadow's answer nor its failure counts");
    assert_eq!(names(&asked.calls), ["a", "default", "first", "last"]);
}

#[test]
fn a_shadow_is_asked_even_if_nothing_may_be_done() {
    let stage = Stage::new();
    let held = PolicySpec { on_error: OnError::Hold, ..stage.spec("a") };
    let registry = stage.open_scale_up(vec![held, PolicySpec { mode: Mode::Shadow, ..stage.spec("b") }]);
    stage.world.fail("a", true);
    let (answer, asked) = ask_scale_up(&registry);
    assert_eq!((answer, names(&asked.calls)), (None, vec!["a", "b"]));
}

#[test]
fn a_module_of_the_directory_has_its_say_wherever_it_exports_and_is_compiled_once() {
    let stage = Stage::new();
    stage.drop_in("a.wasm", "good a scale-up,csr-approval");
    let registry = stage.open(Vec::new());
    assert_eq!(stage.world.loads.load(Ordering::Relaxed), 1 + Point::ALL.len());
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "a {}");
    assert_eq!(ask_csr(&registry).verdict, Some(CsrVerdict::Leave("a {}".into())));
    assert_eq!(ask_nodes(&registry).verdict, Some(NodesVerdict::Hold("default {}".into())));
    assert_eq!(registry.status()[0].points, [Point::ScaleUp, Point::CsrApproval]);
    stage.drop_in("a.wasm", "good b drain");
    registry.reload();
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "default {}");
    assert_eq!(ask_nodes(&registry).verdict, Some(NodesVerdict::Hold("b {}".into())));
}

#[test]
fn a_rest_at_one_point_is_none_at_another() {
    let stage = Stage::new();
    stage.drop_in("a.wasm", "good a scale-up,drain");
    let registry = stage.open(Vec::new());
    stage.world.fail("a", true);
    (0..3).for_each(|_| drop(ask_nodes(&registry)));
    stage.world.fail("a", false);
    assert_eq!(ask_nodes(&registry).calls[0].outcome.label(), "quarantined");
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "a {}");
}

#[test]
fn the_generation_before_does_not_answer_where_it_has_no_say() {
    let stage = Stage::new();
    stage.drop_in("a.wasm", "good a drain");
    let registry = stage.open(Vec::new());
    stage.drop_in("a.wasm", "good b scale-up,drain");
    registry.reload();
    stage.world.fail("b", true);
    (0..3).for_each(|_| drop((ask_scale_up(&registry), ask_nodes(&registry))));
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "default {}");
    assert_eq!(ask_nodes(&registry).verdict, Some(NodesVerdict::Hold("a {}".into())));
}

#[test]
fn a_configured_policy_must_export_its_point() {
    let stage = Stage::new();
    stage.drop_in("x", "good x scale-up");
    let (registry, changes) = stage.world.open(None, vec![(Point::Drain, spec("mine", &stage.directory().join("x")))]);
    let contract = Failure::Contract("configured for drain, but its module exports scale-up".into());
    assert!(matches!(&changes[0], Change::Rejected { failure, .. } if *failure == contract), "{changes:?}");
    assert_eq!(registry.status()[0].setback.as_ref().unwrap().failure, contract);
    assert_eq!(ask_nodes(&registry).verdict, Some(NodesVerdict::Hold("default {}".into())));
}

#[test]
fn files_that_come_and_go_are_policies_that_come_and_go() {
    let stage = Stage::new();
    let registry = stage.open(Vec::new());
    stage.drop_in("a.wasm", "good a scale-up");
    assert!(matches!(&registry.reload()[..], [Change::Activated { policy, generation: 1, .. }] if policy == "a"));
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "a {}");
    stage.drop_in("a.wasm", "bad");
    assert!(matches!(&registry.reload()[..], [Change::Rejected { kept: Some(1), .. }]));
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "a {}");
    fs::remove_file(stage.directory().join("a.wasm")).unwrap();
    assert_eq!(registry.reload(), [Change::Removed { policy: "a".into() }]);
    assert_eq!((registry.reload(), ask_scale_up(&registry).0.unwrap().as_str()), (vec![], "default {}"));
}

#[test]
fn a_new_file_that_does_not_load_is_shown_and_asked_nowhere() {
    let stage = Stage::new();
    stage.drop_in("a.wasm", "bad");
    let registry = stage.open(Vec::new());
    assert_eq!(names(&ask_nodes(&registry).calls), ["default"]);
    let status = &registry.status()[0];
    assert_eq!((status.name.as_str(), status.points.len(), status.setback.is_some()), ("a", 0, true));
}

#[test]
fn a_directory_that_is_gone_changes_nothing_and_is_reported_once() {
    let stage = Stage::new();
    stage.drop_in("a.wasm", "good a scale-up");
    let registry = stage.open(Vec::new());
    let away = stage.folder.path().join("away");
    fs::rename(stage.directory(), &away).unwrap();
    let changes = registry.reload();
    assert!(matches!(&changes[..], [Change::DirectoryUnreadable { directory, .. }] if *directory == stage.directory()));
    assert_eq!(registry.reload(), []);
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "a {}");
    assert!(registry.directory_problem().is_some());
    fs::rename(&away, stage.directory()).unwrap();
    assert_eq!((registry.reload(), registry.directory_problem()), (vec![], None));
    assert_eq!(ask_scale_up(&registry).1.calls[0].generation, 1);
}

#[test]
fn other_specs_keep_the_generations_of_those_that_stay() {
    let stage = Stage::new();
    let (a, b) = (stage.spec("a"), stage.spec("b"));
    let registry = stage.open_scale_up(vec![a.clone(), b.clone()]);
    let loads = stage.world.loads.load(Ordering::Relaxed);
    let shadow = PolicySpec { mode: Mode::Shadow, on_error: OnError::Hold, ..a };
    let reordered = vec![(Point::ScaleUp, b), (Point::ScaleUp, shadow)];
    assert_eq!(registry.replace_specs(reordered.clone()), []);
    assert_eq!(stage.world.loads.load(Ordering::Relaxed), loads, "nothing was compiled again");
    let (answer, asked) = ask_scale_up(&registry);
    assert_eq!((answer.unwrap().as_str(), names(&asked.calls)), ("b {}", vec!["b", "a"]));
    let changes = registry.replace_specs(reordered[1..].to_vec());
    assert_eq!(changes, [Change::Removed { policy: "b".into() }]);
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "default {}");
}

#[test]
fn one_name_at_two_points_is_two_policies() {
    let stage = Stage::new();
    let (mut a, b) = (stage.spec("a"), stage.spec("b"));
    a.name = "b".into();
    let specs = [(Point::ScaleUp, a), (Point::Drain, b)];
    let registry = stage.open(specs.to_vec());
    assert_eq!(registry.replace_specs(specs.into_iter().rev().collect()), []);
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "a {}");
}

#[test]
fn a_policy_named_as_the_default_does_not_take_its_place() {
    let stage = Stage::new();
    let registry = stage.open_scale_up(vec![PolicySpec { name: "default".into(), ..stage.spec("a") }]);
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "a {}");
    assert_eq!(registry.replace_specs(Vec::new()), [Change::Removed { policy: "default".into() }]);
    assert_eq!(ask_scale_up(&registry).0.unwrap(), "default {}");
}

#[test]
fn status_tells_how_long_ago_a_generation_was_loaded() {
    let stage = Stage::new();
    let registry = stage.open_scale_up(vec![stage.spec("a")]);
    stage.world.wait(90);
    let status = &registry.status()[0];
    assert_eq!(status.active.as_ref().unwrap().age.0, 90_000);
    assert_eq!((status.points.as_slice(), status.mode), ([Point::ScaleUp].as_slice(), Mode::Active));
    assert!(status.module.ends_with("/a"));
}
