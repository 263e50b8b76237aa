//! The rules about pods of nodes that would go: ours, and those of cluster-autoscaler, and what `explain` makes of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::collections::HashMap;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{
    DaemonSet, Millis, Node, Owner, Phase, Pod, Snapshot, Timestamp, Uid, Volumes, Workload, WorkloadKind, well_known,
};
use plimsoll_planner::drain::{
    BudgetArithmetic, DrainabilityRules, History, NodeChoice, NodesQuestion, NodesVerdict, PodOutcome, PodTurn,
    PodsQuestion, RulesPreset, ScaleDownConfig, ScaleDownPlan, judge_pod, judge_pods, plan_scale_down,
};
use plimsoll_planner::explain::NodeExplainer;
use plimsoll_planner::scale_up::ScaleUpConfig;
use plimsoll_planner::{Asked, DrainPolicy};
use plimsoll_scheduler::Simulation;

fn ours() -> ScaleDownConfig {
    ScaleDownConfig { max_percentage: 100, ..ScaleDownConfig::default() }
}

fn peers() -> ScaleDownConfig {
    ScaleDownConfig { rules: DrainabilityRules::of(RulesPreset::ClusterAutoscaler), ..ours() }
}

fn with(config: ScaleDownConfig, set: impl Fn(&mut DrainabilityRules)) -> ScaleDownConfig {
    let mut config = config;
    set(&mut config.rules);
    config
}

fn web() -> Pod {
    running("web-1", "web", "n1", shape(100, 1))
}

fn annotated(pod: Pod, entries: &[(&str, &str)]) -> Pod {
    Pod { annotations: labels(entries), ..pod }
}

fn owned(kind: &str, api_version: &str, name: &str) -> Pod {
    let uid = Uid::parse("of-the-pod");
    let owner =
        Owner { kind: kind.into(), api_version: api_version.into(), namespace: "shop".into(), name: name.into(), uid };
    Pod { owner: Some(Arc::new(owner)), ..web() }
}

fn said(outcome: &PodOutcome) -> String {
    format!("{} {}", outcome.label(), outcome.reason())
}

fn judge_in(world: World, config: &ScaleDownConfig, pod: &Pod) -> String {
    let snapshot = world.nodes([node("n1", "general", "a")]).pods([pod.clone()]).build();
    said(&judge_pod(config, &snapshot, pod, NOW, &HashMap::new()))
}

fn judge(config: &ScaleDownConfig, pod: &Pod) -> String {
    judge_in(World::default(), config, pod)
}

fn workload(kind: WorkloadKind, name: &str, desired: Option<u32>) -> Workload {
    // Another object of the same name: the peer tells them apart by name only.
    let (uid, namespace) = (Uid::parse("of-the-workload"), "shop".into());
    Workload { kind, namespace, name: name.into(), uid, desired, ready: 0, owner: None, deleting: false }
}

fn with_workloads(all: &[Workload]) -> World {
    let mut world = World::default();
    all.iter().for_each(|one| world.builder.add_workload(one.clone()));
    world
}

const SAFE: (&str, &str) = (well_known::SAFE_TO_EVICT, "true");
const UNSAFE: (&str, &str) = (well_known::SAFE_TO_EVICT, "false");
const ON_COMPLETION: (&str, &str) = (well_known::SAFE_TO_EVICT, "on-completion");

/// `ocean-features` 4.7 and C13.
#[test]
fn our_defaults_keep_nodes_of_bare_pods_and_of_little_else() {
    let system = Pod { namespace: "kube-system".into(), ..web() };
    let local = Pod { volumes: Volumes { local: true, unlisted: true, claims: false }, ..web() };
    let bare = Pod { owner: None, ..web() };
    for (pod, expected) in [
        (web(), "evict Movable"),
        (system, "evict Movable"),
        (local, "evict Movable"),
        (owned("Rollout", "argoproj.io/v1alpha1", "r"), "evict Movable"),
        (annotated(web(), &[ON_COMPLETION]), "evict Movable"),
        (annotated(web(), &[UNSAFE]), "blocked NotSafeToEvict"),
        (annotated(bare.clone(), &[SAFE]), "blocked BarePod"),
        (annotated(bare.clone(), &[(well_known::DAEMON_SET_POD, "true")]), "blocked BarePod"),
        (bare.clone(), "blocked BarePod"),
        (Pod { phase: Phase::Succeeded, ..bare.clone() }, "ignored Finished"),
        (annotated(bare, &[(well_known::MIRROR_POD, "x")]), "ignored MirrorPod"),
        (owned("DaemonSet", "apps/v1", "agent"), "daemonset DaemonSetPod"),
        (Pod { labels: labels(&[(well_known::RESTRICT_SCALE_DOWN, "true")]), ..web() }, "blocked RestrictScaleDown"),
        (Pod { labels: labels(&[(well_known::RESTRICT_SCALE_DOWN, "True")]), ..web() }, "evict Movable"),
    ] {
        assert_eq!(judge(&ours(), &pod), expected, "{pod:?}");
    }
    let generous = ScaleDownConfig { evict_bare_pods: true, ..ours() };
    assert_eq!(judge(&generous, &Pod { owner: None, ..web() }), "evict Movable");
}

/// With one of the peer's options on, its annotation lifts what that option blocks (C13), and no budget or label.
#[test]
fn the_peers_options_work_beside_our_defaults() {
    let system = Pod { namespace: "kube-system".into(), ..web() };
    let local = Pod { volumes: Volumes { local: true, unlisted: true, claims: false }, ..web() };
    let on_system = with(ours(), |rules| rules.skip_nodes_with_system_pods = true);
    let on_local = with(ours(), |rules| rules.skip_nodes_with_local_storage = true);
    assert_eq!(judge(&on_system, &system), "blocked UnmovableKubeSystemPod");
    assert_eq!(judge(&on_system, &local), "evict Movable");
    assert_eq!(judge(&on_local, &local), "blocked LocalStorageRequested");
    assert_eq!(judge(&on_local, &system), "evict Movable");
    assert_eq!(judge(&on_local, &annotated(local, &[SAFE])), "evict Movable");
    assert_eq!(judge(&on_local, &annotated(web(), &[ON_COMPLETION])), "blocked BlockedByOnCompletionPod");
    let world = || World::default().budgets([budget("b", "web", 0)]);
    assert_eq!(judge_in(world(), &on_local, &annotated(web(), &[SAFE])), "blocked PdbBlocked");
    let restricted = Pod { labels: labels(&[(well_known::RESTRICT_SCALE_DOWN, "true")]), ..web() };
    assert_eq!(judge(&on_local, &annotated(restricted, &[SAFE])), "blocked RestrictScaleDown");
}

/// The table of peers A5: where two rules could decide, the one further up does.
#[test]
fn the_peers_rules_decide_in_their_order() {
    let gone = |pod: Pod| Pod { deletion: Some(Timestamp(NOW.0 - 60_001)), ..pod };
    let known = [workload(WorkloadKind::Job, "other", None)];
    let bare = Pod { owner: None, ..web() };
    let finished = Pod { phase: Phase::Failed, ..bare.clone() };
    let system = Pod { namespace: "kube-system".into(), ..bare.clone() };
    let kept = |pod: Pod| Pod { volumes: Volumes { local: true, unlisted: true, claims: false }, ..pod };
    for (pod, expected) in [
        // 1 before 2, 2 before 3, 3 before 4 and 5.
        (annotated(gone(web()), &[(well_known::MIRROR_POD, "")]), "ignored MirrorPod"),
        (gone(web()), "ignored LongTerminating"),
        (Pod { deletion: Some(Timestamp(NOW.0 - 60_000)), ..bare.clone() }, "blocked NotReplicated"),
        (owned("DaemonSet", "apps/v1", "agent"), "blocked ControllerNotFound"),
        (annotated(web(), &[SAFE]), "blocked ControllerNotFound"),
        (Pod { phase: Phase::Failed, ..web() }, "blocked ControllerNotFound"),
        // 4 before 8.
        (annotated(bare.clone(), &[(well_known::DAEMON_SET_POD, "true")]), "daemonset DaemonSetPod"),
        // 5, 6 and 7 before 8.
        (annotated(bare.clone(), &[SAFE]), "evict Movable"),
        (finished.clone(), "evict Movable"),
        (annotated(finished, &[ON_COMPLETION]), "evict Movable"),
        (annotated(bare.clone(), &[ON_COMPLETION]), "blocked BlockedByOnCompletionPod"),
        // 8 before 9, 9 before 10, 10 before 11.
        (system.clone(), "blocked NotReplicated"),
        (
            annotated(Pod { owner: owned("Job", "batch/v1", "other").owner, ..system }, &[UNSAFE]),
            "blocked UnmovableKubeSystemPod",
        ),
        (annotated(kept(owned("Job", "batch/v1", "other")), &[UNSAFE]), "blocked NotSafeToEvictAnnotation"),
        (kept(owned("Job", "batch/v1", "other")), "blocked LocalStorageRequested"),
    ] {
        assert_eq!(judge_in(with_workloads(&known), &peers(), &pod), expected, "{pod:?}");
    }
    // 11 before 12, 5 before 12.
    let world = || World::default().budgets([budget("b", "web", 0)]);
    assert_eq!(judge_in(world(), &peers(), &kept(web())), "blocked LocalStorageRequested");
    assert_eq!(judge_in(world(), &peers(), &web()), "blocked NotEnoughPdb");
    assert_eq!(judge_in(world(), &peers(), &annotated(web(), &[SAFE])), "evict Movable");
    let unchecked = ScaleDownConfig { respect_budgets: false, ..peers() };
    assert_eq!(judge_in(world(), &unchecked, &web()), "evict Movable");
}

#[test]
fn controllers_are_looked_up_by_name() {
    let with_three = with(peers(), |rules| rules.min_replica_count = 3);
    let known = [
        workload(WorkloadKind::ReplicaSet, "few", Some(2)),
        workload(WorkloadKind::ReplicaSet, "enough", Some(3)),
        workload(WorkloadKind::ReplicaSet, "unsaid", None),
        workload(WorkloadKind::ReplicationController, "few", Some(2)),
        workload(WorkloadKind::StatefulSet, "few", Some(2)),
        workload(WorkloadKind::Job, "few", Some(2)),
    ];
    for (kind, api_version, name, expected) in [
        ("ReplicaSet", "apps/v1", "few", "blocked MinReplicasReached"),
        ("ReplicaSet", "extensions/v1beta1", "few", "blocked MinReplicasReached"),
        ("ReplicaSet", "apps/v1", "enough", "evict Movable"),
        ("ReplicaSet", "apps/v1", "unsaid", "evict Movable"),
        ("ReplicaSet", "apps/v1", "gone", "blocked ControllerNotFound"),
        ("ReplicaSet", "a/b/c", "gone", "evict Movable"),
        ("ReplicationController", "v1", "few", "blocked MinReplicasReached"),
        ("ReplicationController", "core/v1", "gone", "blocked ControllerNotFound"),
        ("StatefulSet", "apps/v1", "few", "evict Movable"),
        ("StatefulSet", "apps/v1", "gone", "blocked ControllerNotFound"),
        ("StatefulSet", "apps.kruise.io/v1beta1", "gone", "evict Movable"),
        ("Job", "batch/v1", "few", "evict Movable"),
        ("Job", "batch.volcano.sh/v1alpha1", "gone", "blocked ControllerNotFound"),
        ("DaemonSet", "apps/v1", "gone", "blocked ControllerNotFound"),
        ("DaemonSet", "crd/v1", "gone", "daemonset DaemonSetPod"),
        ("Rollout", "argoproj.io/v1alpha1", "few", "blocked NotReplicated"),
    ] {
        let pod = owned(kind, api_version, name);
        assert_eq!(judge_in(with_workloads(&known), &with_three, &pod), expected, "{kind} {api_version} {name}");
        // Without any workload nothing is known of them, and nothing is gone.
        let unknown = judge(&with_three, &pod);
        assert!(!unknown.contains("ControllerNotFound") && !unknown.contains("MinReplicas"), "{unknown}");
        let unchecked = with(with_three.clone(), |rules| rules.skip_nodes_with_custom_controller_pods = false);
        let kind = if kind == "DaemonSet" { "daemonset DaemonSetPod" } else { "evict Movable" };
        assert_eq!(judge_in(with_workloads(&known), &unchecked, &pod), kind);
    }
    let mut world = with_workloads(&known);
    let agent = DaemonSet {
        namespace: "shop".into(),
        name: "agent".into(),
        uid: Uid::parse("d"),
        labels: Arc::default(),
        shape: Arc::default(),
        priority_class: None,
    };
    world.builder.add_daemon_set(agent);
    assert_eq!(judge_in(world, &peers(), &owned("DaemonSet", "apps/v1", "agent")), "daemonset DaemonSetPod");
}

/// Later cluster-autoscalers evict pods of `kube-system` that are an hour old.
#[test]
fn system_pods_block_while_they_are_young() {
    let aged = |created| Pod { namespace: "kube-system".into(), created, ..web() };
    let old = |millis: u64| Some(Timestamp(NOW.0 - millis));
    for (timeout, created, expected) in [
        (Some(3_600_000), old(3_599_999), "blocked UnmovableKubeSystemPod"),
        (Some(3_600_000), old(3_600_000), "evict Movable"),
        (Some(3_600_000), None, "blocked UnmovableKubeSystemPod"),
        (Some(60_000), old(60_000), "evict Movable"),
        (None, old(86_400_000), "blocked UnmovableKubeSystemPod"),
    ] {
        let config = with(peers(), |rules| rules.blocking_system_pod_timeout = timeout.map(Millis));
        assert_eq!(judge(&config, &aged(created)), expected, "{timeout:?} {created:?}");
    }
    let mut covered = budget("b", "web", 1);
    covered.namespace = "kube-system".into();
    assert_eq!(judge_in(World::default().budgets([covered]), &peers(), &aged(None)), "evict Movable");
}

#[test]
fn budgets_are_held_against_a_node_at_once_or_one_by_one() {
    let pods = ["web-1", "web-2", "web-3"].map(|name| running(name, "web", "n1", shape(100, 1)));
    let snapshot =
        World::default().nodes([node("n1", "general", "a")]).pods(pods).budgets([budget("b", "web", 2)]).build();
    let judged = |config: &ScaleDownConfig, used: &[(usize, u32)]| -> Vec<String> {
        let (node, _) = snapshot.find_node("n1").unwrap();
        let used = used.iter().copied().collect();
        let all = judge_pods(config, &snapshot, snapshot.pods_on(node), NOW, &used);
        all.iter().map(|(_, outcome)| said(outcome)).collect()
    };
    let (evict, batch, staged) = ("evict Movable", "blocked PdbBlocked", "blocked NotEnoughPdb");
    assert_eq!(judged(&ours(), &[]), [evict, evict, batch]);
    assert_eq!(judged(&ours(), &[(0, 1)]), [evict, batch, batch]);
    assert_eq!(judged(&peers(), &[]), [evict, evict, evict]);
    assert_eq!(judged(&peers(), &[(0, 1)]), [evict, evict, evict]);
    assert_eq!(judged(&peers(), &[(0, 2)]), [staged, staged, staged]);
    let at_once = with(peers(), |rules| rules.budgets = BudgetArithmetic::Batch);
    assert_eq!(judged(&at_once, &[]), [evict, evict, staged]);

    let world = || World::default().budgets([budget("b", "web", 1), budget("c", "web", 1)]);
    assert_eq!(judge_in(world(), &ours(), &web()), "blocked MultiplePdbs");
    assert_eq!(judge_in(world(), &peers(), &web()), evict);
    let world = World::default().budgets([budget("b", "web", 1), budget("c", "web", 0)]);
    assert_eq!(judge_in(world, &peers(), &web()), staged);
}

/// Drains whatever it may.
struct Eager;

impl DrainPolicy for Eager {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let choice = |id: u32| NodeChoice { node: id, reason: "because".to_owned() };
        let drain = question.candidates.iter().map(|candidate| choice(candidate.node.0)).collect();
        Asked { verdict: Some(NodesVerdict::Order { drain, keep: vec![] }), calls: vec![] }
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let turn = |pod: u32| PodTurn { pod, wait: None, reason: String::new() };
        Asked { verdict: Some(question.pods.iter().map(|pod| turn(pod.pod.0)).collect()), calls: vec![] }
    }
}

fn plan(snapshot: &Arc<Snapshot>, config: &ScaleDownConfig) -> ScaleDownPlan {
    let mut simulation = Simulation::new(snapshot);
    let (scale_up, history) = (ScaleUpConfig::default(), History::default());
    plan_scale_down(snapshot, &mut simulation, &scale_up, config, &history, NOW, &Eager)
}

/// A node that takes pods and never goes.
fn fixed(name: &str) -> Node {
    Node { labels: labels(&[(well_known::CONTROL_PLANE[0], "")]), ..node(name, "", "a") }
}

/// Promise 4 of the architecture: plan and explanation give a node the same reason, and the pods say the same.
#[test]
fn nodes_are_explained_by_the_plan() {
    let at = |name: &str, node: &str| running(name, name, node, shape(100, 1));
    let system = Pod { namespace: "kube-system".into(), ..at("dns", "n2") };
    let done = Pod { phase: Phase::Succeeded, owner: None, ..at("done", "n1") };
    let agent = Pod { owner: owner("DaemonSet", "agent"), ..at("agent", "n1") };
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), node("n2", "general", "a"), node("n3", "general", "a"), fixed("z")])
        .pods([at("web", "n1"), done, agent, system, at("api", "n3"), at("api-2", "n3")])
        .budgets([budget("b", "api", 0)])
        .build();
    let plan = plan(&snapshot, &peers());
    let config = peers();
    let explainer = NodeExplainer::new(&snapshot, &config, &plan, NOW);
    let told: Vec<_> = explainer.nodes().into_iter().map(|node| explainer.explain(node)).collect();
    let short: Vec<(&str, bool, &str)> =
        told.iter().map(|node| (snapshot.node(node.node).name.as_str(), node.removable, node.reason)).collect();
    let expected = [
        ("n1", true, "underutilized"),
        ("n2", false, "UnmovableKubeSystemPod"),
        ("n3", false, "NotEnoughPdb"),
        ("z", false, "ControlPlane"),
    ];
    assert_eq!(short, expected);
    for node in &told {
        if let Some(kept) = plan.kept.iter().find(|kept| kept.node == node.node) {
            assert_eq!((node.reason, &node.detail), (kept.reason.label(), &kept.detail));
        }
        let pods: Vec<_> = node.pods.iter().map(|(pod, _)| *pod).collect();
        let here = |(_, pod): &(_, &Pod)| pod.node.as_ref() == Some(&snapshot.node(node.node).name);
        let mut all: Vec<_> = snapshot.pods().filter(here).map(|(id, _)| id).collect();
        all.sort_by_key(|pod| snapshot.pod(*pod).full_name());
        assert_eq!(pods, all, "every pod, each once");
    }
    let pods = |at: usize| -> Vec<String> {
        let pods = told[at].pods.iter();
        pods.map(|(pod, outcome)| format!("{} {}", snapshot.pod(*pod).name, said(outcome))).collect()
    };
    assert_eq!(pods(0), ["agent daemonset DaemonSetPod", "done evict Movable", "web evict Movable"]);
    assert_eq!(pods(1), ["dns blocked UnmovableKubeSystemPod"]);
    assert_eq!(pods(2), ["api blocked NotEnoughPdb", "api-2 evict Movable"]);
    let moves: Vec<_> =
        told[0].would_move_to.iter().map(|(pod, to)| (&*snapshot.pod(*pod).name, &*snapshot.node(*to).name)).collect();
    assert_eq!(moves.len(), 1, "what has ended goes nowhere");
    assert_eq!(moves[0].0, "web");
    assert!(told[1..].iter().all(|node| node.would_move_to.is_empty() && node.savings.is_none()));

    // Ours: the system pod does not block.
    let plan = self::plan(&snapshot, &ours());
    let config = ours();
    let explainer = NodeExplainer::new(&snapshot, &config, &plan, NOW);
    let (n2, _) = snapshot.find_node("n2").unwrap();
    assert!(explainer.explain(n2).removable);
    let (n3, _) = snapshot.find_node("n3").unwrap();
    assert_eq!(explainer.explain(n3).reason, "PdbBlocked");
    let (n1, _) = snapshot.find_node("n1").unwrap();
    assert!(explainer.explain(n1).pods.iter().any(|(_, outcome)| said(outcome) == "ignored Finished"));
}

/// A budget that is used up by the nodes before it is what its pods say too.
#[test]
fn budgets_taken_by_nodes_that_go_block_the_others() {
    let at = |name: &str, node: &str| running(name, "web", node, shape(100, 1));
    let snapshot = World::default()
        .nodes([node("n1", "general", "a"), node("n2", "general", "a"), fixed("z")])
        .pods([at("web-1", "n1"), at("web-2", "n2")])
        .budgets([budget("b", "web", 1)])
        .build();
    let config = ours();
    let plan = plan(&snapshot, &config);
    let explainer = NodeExplainer::new(&snapshot, &config, &plan, NOW);
    let told: Vec<_> = explainer.nodes().into_iter().map(|node| explainer.explain(node)).collect();
    assert_eq!(
        told.iter().map(|node| node.reason).collect::<Vec<_>>(),
        ["underutilized", "PdbBlocked", "ControlPlane"]
    );
    assert_eq!(said(&told[0].pods[0].1), "evict Movable");
    assert_eq!(said(&told[1].pods[0].1), "blocked PdbBlocked");
}

/// What keeps a node from going to save does not keep its pods on a node that has to go.
#[test]
fn protections_yield_in_the_explanation_as_they_do_in_the_plan() {
    let mut leaving = node("n1", "general", "a");
    leaving.annotations = labels(&[(well_known::DRAIN_REQUESTED, "a new kernel")]);
    let pod = annotated(running("web-1", "web", "n1", shape(100, 1)), &[UNSAFE]);
    let snapshot = World::default().nodes([leaving, fixed("z")]).pods([pod]).build();
    let config = ours();
    let plan = plan(&snapshot, &config);
    let explainer = NodeExplainer::new(&snapshot, &config, &plan, NOW);
    let told = explainer.explain(explainer.nodes()[0]);
    assert_eq!((told.removable, told.reason), (true, "requested"), "{told:?}");
    assert_eq!(said(&told.pods[0].1), "evict Movable");
}
