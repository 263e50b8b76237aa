//! Each promise can be seen to be broken.

use std::rc::Rc;

use plimsoll_model::{Lifecycle, Millis, Text, Timestamp, Uid, well_known};
use plimsoll_planner::drain::{
    Cause, Drain, DrainAction, DrainAnswer, DrainId, EvictionAnswer, NodeRef, PodRef, Removal, RemovalMark,
    ScaleDownPlan, WriteAnswer,
};
use serde_json::json;

use super::*;
use crate::act::execute;
use crate::chance::Seed;
use crate::policies::Sensible;
use crate::queue::{Queue, later};
use crate::scenario::{group, machine_type, settings};
use crate::world::{Event, Pace, PodSpec};

/// A cluster of four nodes of which the first has an hour, and the queue of what will happen to it.
struct Stage {
    world: World,
    settings: Settings,
    queue: Queue<Event>,
}

impl Stage {
    fn new() -> Self {
        let groups = vec![group("g", 2, 10, vec![machine_type("t", 4, 16, 100)])];
        let mut world = World::new(Seed(1), Pace::default(), groups.clone());
        world.found("g", "t", "a", Lifecycle::OnDemand, 4);
        let mut stage = Self { world, settings: settings(groups, Rc::new(Sensible)), queue: Queue::default() };
        stage.pass(3_600);
        stage
    }

    fn pass(&mut self, seconds: u64) {
        let end = later(self.world.now, Millis::from_secs(seconds));
        loop {
            self.world.follow();
            for (at, event) in std::mem::take(&mut self.world.due) {
                self.queue.push(at, event);
            }
            let Some((at, event)) = self.queue.pop(end) else { break };
            self.world.advance(at);
            self.world.happen(event);
        }
        self.world.advance(end);
    }

    fn node(&self, number: usize) -> NodeRef {
        let (_, node) = self.world.snapshot.nodes().nth(number).unwrap();
        NodeRef { name: node.name.clone(), uid: node.uid.to_string() }
    }

    /// A pod with its node.
    fn pod(&self, app: &str) -> (Text, PodRef) {
        let found = self.world.snapshot.pods().find(|(_, pod)| pod.labels.get("app").is_some_and(|of| *of == *app));
        let pod = found.unwrap().1;
        let at = PodRef { namespace: pod.namespace.clone(), name: (*pod.name).into(), uid: pod.uid.clone() };
        (pod.node.clone().unwrap(), at)
    }

    fn drain(&self, id: &str, cause: Cause) -> Drain {
        Drain {
            id: DrainId(id.into()),
            cluster: "simulated".into(),
            cause,
            reason: String::new(),
            started: self.world.now,
            deadline: later(self.world.now, Millis::from_secs(300)),
            policy: None,
            decision: "d".into(),
            slots: Vec::new(),
            spacing: Millis(1),
            removal: None,
        }
    }

    fn named(&self, name: &Text) -> NodeRef {
        let (_, node) = self.world.snapshot.find_node(name).unwrap();
        NodeRef { name: node.name.clone(), uid: node.uid.to_string() }
    }

    fn mark(&self, node: NodeRef, id: &str) -> DrainAction {
        DrainAction::Mark { node, drain: self.drain(id, Cause::Underutilized) }
    }

    /// Has something done, under the eyes of an invariant.
    fn act(&mut self, invariant: &mut dyn Invariant, action: DrainAction) -> Result<(), String> {
        let mut deed =
            Deed { replica: 0, term: 1, answer: crate::act::unknown(&action, None), action, fault: Fault::None };
        self.see(invariant, &Step::Before(&deed))?;
        deed.answer = execute(&mut self.world, &deed.action, Fault::None);
        self.see(invariant, &Step::Did(&deed))
    }

    fn see(&self, invariant: &mut dyn Invariant, step: &Step<'_>) -> Result<(), String> {
        let scene = Scene {
            now: self.world.now,
            world: &self.world,
            settings: &self.settings,
            leader: Some((0, 1)),
            disturbed: Timestamp(0),
        };
        invariant.see(&scene, step)
    }

    fn deploy(&mut self, app: &str, replicas: usize, spec: PodSpec) {
        self.world.deploy("shop", app, replicas, PodSpec { cpu: 100, memory: 64, grace: 30, stops_after: 2, ..spec });
        self.pass(120);
    }
}

fn breaks(result: Result<(), String>, what: &str) {
    let sentence = result.expect_err(what);
    assert!(sentence.contains(what), "{sentence}");
}

#[test]
fn a_deletion_against_a_budget_that_is_not_due() {
    let mut stage = Stage::new();
    stage.deploy("web", 1, PodSpec::default());
    stage.world.guard("shop", "b", "web", ("maxUnavailable", json!(0)));
    stage.pass(10);
    let (node, pod) = stage.pod("web");
    let mut kept = BudgetsKept::default();
    let delete = DrainAction::Delete { node: node.clone(), pod: pod.clone(), grace: Millis(30_000) };
    breaks(stage.act(&mut kept, delete.clone()), "never refused");
    stage.act(&mut kept, DrainAction::Evict { node, pod, grace: None }).unwrap();
    stage.pass(30);
    breaks(stage.act(&mut kept, delete.clone()), "after its first refusal");
    stage.pass(31);
    stage.act(&mut kept, delete).unwrap();
    stage.settings.drain.force_delete_after = None;
    stage.pass(60);
    let (node, pod) = stage.pod("web");
    breaks(stage.act(&mut kept, DrainAction::Delete { node, pod, grace: Millis(1_000) }), "never to happen");
}

#[test]
fn one_more_drain_than_may_be() {
    let mut stage = Stage::new();
    let mut kept = CapsKept::default();
    stage.act(&mut kept, stage.mark(stage.node(0), "d1")).unwrap();
    breaks(stage.act(&mut kept, stage.mark(stage.node(1), "d2")), "number 2, at most 1 of 4");
    stage.settings.scale_down.max_percentage = 50;
    stage.act(&mut kept, stage.mark(stage.node(1), "d2")).unwrap();
}

#[test]
fn a_protected_pod_on_a_node_that_goes() {
    let mut stage = Stage::new();
    stage.deploy("batch", 1, PodSpec::default().restricting());
    stage.world.bare_pod("shop", "bare", &PodSpec { cpu: 3000, memory: 64, ..PodSpec::default() });
    stage.pass(60);
    for (app, why) in [("batch", "restricts"), ("bare", "start it again")] {
        let node = stage.named(&stage.pod(app).0);
        breaks(stage.act(&mut ProtectedStay, stage.mark(node, app)), why);
    }
}

#[test]
fn a_node_that_stays_after_its_deadline() {
    let mut stage = Stage::new();
    let mut nothing = NothingStuck::default();
    stage.act(&mut nothing, stage.mark(stage.node(0), "d1")).unwrap();
    stage.pass(600);
    stage.see(&mut nothing, &Step::Tick).unwrap();
    stage.pass(400);
    breaks(stage.see(&mut nothing, &Step::Tick), "still there");
}

#[test]
fn a_taint_that_nobody_takes_away() {
    let mut stage = Stage::new();
    let node = stage.node(0).name;
    let taint = json!([{ "key": well_known::DRAINING, "effect": "NoSchedule" }]);
    stage.world.store.update("nodes", "", &node, |node| node["spec"]["taints"] = taint).unwrap();
    let mut nothing = NothingStuck::default();
    stage.pass(1);
    stage.see(&mut nothing, &Step::Tick).unwrap();
    stage.pass(700);
    breaks(stage.see(&mut nothing, &Step::Tick), "no drain");
}

#[test]
fn an_eviction_that_is_asked_for_again() {
    let mut stage = Stage::new();
    stage.deploy("web", 2, PodSpec::default());
    let (node, pod) = stage.pod("web");
    let mut once = EvictedOnce::default();
    let evict = DrainAction::Evict { node, pod: pod.clone(), grace: None };
    stage.act(&mut once, evict.clone()).unwrap();
    let heard = DrainAnswer::Evicted(pod.uid, EvictionAnswer::Accepted);
    stage.act(&mut once, evict.clone()).unwrap();
    stage.see(&mut once, &Step::Heard(1, &heard)).unwrap();
    breaks(stage.act(&mut once, evict), "evicted again");
}

#[test]
fn a_node_that_has_just_come_and_one_just_after_a_launch() {
    let mut stage = Stage::new();
    stage.world.found("g", "t", "b", Lifecycle::OnDemand, 1);
    let mut thrashing = NoThrashing::default();
    for occurred in std::mem::take(&mut stage.world.occurred) {
        stage.see(&mut thrashing, &Step::Happened(&occurred)).unwrap();
    }
    stage.pass(100);
    breaks(stage.act(&mut thrashing, stage.mark(stage.node(4), "d1")), "ago and goes");
    stage.pass(500);
    stage.see(&mut thrashing, &Step::Launched(1, stage.world.now)).unwrap();
    stage.pass(100);
    breaks(stage.act(&mut thrashing, stage.mark(stage.node(0), "d2")), "after a launch");
    stage.pass(250);
    stage.act(&mut thrashing, stage.mark(stage.node(0), "d2")).unwrap();
}

#[test]
fn somebody_acts_who_does_not_lead() {
    let stage = Stage::new();
    let action = stage.mark(stage.node(0), "d1");
    let answer = crate::act::unknown(&action, None);
    let deed = Deed { replica: 1, term: 1, answer, action, fault: Fault::None };
    breaks(stage.see(&mut LeaderOnly, &Step::Before(&deed)), "the leader is");
}

#[test]
fn a_deadline_that_moves() {
    let mut stage = Stage::new();
    let (node, mut drain) = (stage.node(0), stage.drain("d1", Cause::Underutilized));
    let mut kept = DeadlinesKept::default();
    stage.act(&mut kept, DrainAction::Mark { node: node.clone(), drain: drain.clone() }).unwrap();
    drain.deadline = later(drain.deadline, Millis(1));
    breaks(stage.act(&mut kept, DrainAction::Mark { node: node.clone(), drain: drain.clone() }), "moves");
    drain.deadline = Timestamp(drain.deadline.0 - 60_000);
    breaks(stage.act(&mut kept, DrainAction::Mark { node: node.clone(), drain: drain.clone() }), "nothing is urgent");
    drain.cause = Cause::Interruption;
    drain.deadline = Timestamp(drain.deadline.0 - 1);
    stage.act(&mut kept, DrainAction::Mark { node, drain }).unwrap();
}

#[test]
fn a_group_below_its_minimum() {
    let mut stage = Stage::new();
    let mut kept = MinimumKept;
    stage.act(&mut kept, stage.mark(stage.node(0), "d1")).unwrap();
    stage.act(&mut kept, stage.mark(stage.node(1), "d2")).unwrap();
    breaks(stage.act(&mut kept, stage.mark(stage.node(2), "d3")), "leaves 1 of group g, whose min is 2");
}

#[test]
fn a_machine_that_goes_with_its_pods() {
    let mut stage = Stage::new();
    stage.deploy("web", 1, PodSpec::default());
    let (name, _) = stage.pod("web");
    let node = stage.named(&name);
    let remove = DrainAction::Remove {
        removal: Removal { node: name, provider_id: None, group: None, drain: "d1".into(), baseline: None },
    };
    breaks(stage.act(&mut RemovedEmpty, remove.clone()), "no drain is written");
    let mut drain = stage.drain("d1", Cause::Underutilized);
    stage.act(&mut RemovedEmpty, DrainAction::Mark { node: node.clone(), drain: drain.clone() }).unwrap();
    breaks(stage.act(&mut RemovedEmpty, remove.clone()), "before that is written");
    drain.removal = Some(RemovalMark { since: stage.world.now, baseline: None });
    stage.act(&mut RemovedEmpty, DrainAction::Mark { node, drain }).unwrap();
    breaks(stage.act(&mut RemovedEmpty, remove.clone()), "before its deadline with shop/web");
    stage.pass(301);
    stage.act(&mut RemovedEmpty, remove).unwrap();
}

#[test]
fn a_node_that_comes_back() {
    let mut stage = Stage::new();
    let (node, mut drain) = (stage.node(0), stage.drain("d1", Cause::Requested));
    drain.removal = Some(RemovalMark { since: stage.world.now, baseline: None });
    let mut none = NoReturn::default();
    stage.act(&mut none, DrainAction::Mark { node: node.clone(), drain }).unwrap();
    let release = DrainAction::Release { node, drain: Some(DrainId("d1".into())) };
    breaks(stage.act(&mut none, release), "takes pods again");
}

#[test]
fn a_node_without_a_reason() {
    let stage = Stage::new();
    let plan = ScaleDownPlan::default();
    breaks(stage.see(&mut OneReason, &Step::Planned(&stage.world.snapshot, &plan)), "without a reason");
}

#[test]
fn the_only_pod_goes_before_another_serves() {
    let mut stage = Stage::new();
    stage.deploy("solo", 1, PodSpec { ready_after: Some(20), ..PodSpec::default() }.warming_up(Millis(120_000)));
    let (name, pod) = stage.pod("solo");
    let node = stage.named(&name);
    let mut served = StaysServed::default();
    stage.act(&mut served, stage.mark(node, "d1")).unwrap();
    let evict = DrainAction::Evict { node: name.clone(), pod: pod.clone(), grace: None };
    breaks(stage.act(&mut served, evict.clone()), "without a replacement");
    let warmup = plimsoll_planner::drain::Warmup {
        drain: DrainId("d1".into()),
        replica_set: "solo-r0".into(),
        replica_set_uid: String::new(),
        hash: "r0".into(),
        since: stage.world.now,
        warmup: Millis(120_000),
    };
    stage.act(&mut served, DrainAction::StartReplacement { node: name, pod, warmup }).unwrap();
    stage.pass(5);
    breaks(stage.act(&mut served, evict.clone()), "no other is ready");
    stage.pass(40);
    stage.act(&mut served, evict).unwrap();
    let _ = (Uid::parse(""), WriteAnswer::Done);
}
