//! What the providers' groups make of the configured ones, and how far each has come.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::cell::RefCell;
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{Bytes, Lifecycle, MilliCpu, Os, Resources, Snapshot, Taint, TaintEffect, Timestamp};
use plimsoll_planner::launch::{
    GroupFacts, InventoryFacts, LaunchFailure, LaunchOutcome, Ledger, LedgerRules, TemplateFacts, merge_provider_groups,
};
use plimsoll_planner::scale_up::{
    Choice, PlannedLaunch, ScaleUpConfig, ScaleUpQuestion, ScaleUpVerdict, launch_requests, plan_scale_up,
};
use plimsoll_planner::{Asked, ScaleUpPolicy};
use plimsoll_scheduler::Simulation;

fn facts(id: &str, min: u32, max: u32, target: u32) -> GroupFacts {
    GroupFacts { id: id.into(), min, max, target, template: None }
}

fn template() -> TemplateFacts {
    let taint = |key: &str| Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoSchedule };
    let mut capacity = Resources { cpu: MilliCpu(8000), memory: Bytes(32 << 30), pods: 58, ..Default::default() };
    capacity.set_extended("nvidia.com/gpu".into(), 2);
    capacity.set_extended("example.com/fpga".into(), 1);
    let allocatable = Resources { cpu: MilliCpu(7900), memory: Bytes(30 << 30), ..capacity.clone() };
    TemplateFacts {
        labels: [
            ("topology.kubernetes.io/zone", "eu-1a"),
            ("topology.kubernetes.io/region", "eu-1"),
            ("node.kubernetes.io/instance-type", "g5.2xlarge"),
            ("kubernetes.io/arch", "arm64"),
            ("kubernetes.io/hostname", "template-1"),
            ("karpenter.sh/capacity-type", "spot"),
            ("team", "ml"),
        ]
        .into_iter()
        .collect(),
        taints: vec![taint("gpu"), taint("node.kubernetes.io/not-ready")],
        capacity,
        allocatable,
    }
}

#[test]
fn the_tighter_bound_wins() {
    let snapshot = Snapshot::default();
    for (configured, provider, bounds, warned) in [
        ((1, 9), (0, 20), (1, 9), vec![]),
        ((1, 9), (1, 9), (1, 9), vec![]),
        ((1, 9), (2, 5), (2, 5), vec!["SmallerMax", "LargerMin"]),
        ((6, 9), (0, 5), (5, 5), vec!["SmallerMax", "MinAboveMax"]),
        ((0, 3), (5, 9), (3, 3), vec!["LargerMin", "MinAboveMax"]),
    ] {
        let config = [group("g", configured.0, configured.1)];
        let merged = merge_provider_groups(&config, &[facts("g", provider.0, provider.1, 0)], &snapshot, NOW);
        let labels: Vec<&str> = merged.warnings.iter().map(|warning| warning.label()).collect();
        assert_eq!(((merged.groups[0].min, merged.groups[0].max), labels), (bounds, warned), "{configured:?}");
        assert!(merged.blocks.is_empty());
    }
}

#[test]
fn nodes_that_somebody_else_launched_count_against_the_max() {
    let mut row = node("launch/x/0", "g", "a");
    row.launching = true;
    let snapshot = World::default().nodes([node("n1", "g", "a"), node("n2", "h", "a"), row]).build();
    for (target, max, foreign) in [(0, 9, 0), (2, 9, 0), (5, 6, 3), (100, 0, 98)] {
        let merged = merge_provider_groups(&[group("g", 0, 9)], &[facts("g", 0, 9, target)], &snapshot, NOW);
        assert_eq!(merged.groups[0].max, max, "{target}");
        let told: Vec<String> = merged.warnings.iter().map(ToString::to_string).collect();
        let expected = format!(
            "node group g is to have {foreign} more nodes than are there or were launched from here; they count against its max"
        );
        assert_eq!(told, if foreign > 0 { vec![expected] } else { vec![] });
    }
}

#[test]
fn a_group_that_no_provider_knows_launches_nothing() {
    let config = [group("g", 0, 9), group("gone", 0, 9)];
    let merged = merge_provider_groups(&config, &[facts("g", 0, 9, 0), facts("g", 0, 1, 0)], &Snapshot::default(), NOW);
    let labels: Vec<&str> = merged.warnings.iter().map(|warning| warning.label()).collect();
    assert_eq!((labels, merged.groups[0].max), (vec!["GroupTwice", "NoSuchGroup"], 9));
    let config = ScaleUpConfig { groups: merged.groups, blocked: merged.blocks, ..Default::default() };
    let blocked = |group, now| config.is_blocked(group, "m5.xlarge", "a", Lifecycle::Spot, now).is_some();
    assert!(blocked("gone", Timestamp(NOW.0 + 30_000)) && !blocked("g", NOW));
    assert_eq!(config.blocked[0].why, "no provider knows node group gone");
}

/// Answers with the first option and keeps what was offered.
struct First(RefCell<Vec<ScaleUpQuestion>>);

impl ScaleUpPolicy for First {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        self.0.borrow_mut().push(question.clone());
        let choice = Choice { option: 0, count: 1, reason: String::new() };
        Asked { verdict: Some(ScaleUpVerdict::Launch(vec![choice])), calls: vec![] }
    }
}

#[test]
fn a_group_that_only_a_provider_knows_is_made_of_its_template() {
    let mut unknown = facts("ml", 1, 4, 0);
    let bare = merge_provider_groups(&[], &[unknown.clone()], &Snapshot::default(), NOW);
    assert_eq!((bare.groups.len(), bare.warnings[0].label()), (0, "NoTemplate"));
    unknown.template = Some(TemplateFacts::default());
    assert!(merge_provider_groups(&[], &[unknown.clone()], &Snapshot::default(), NOW).groups.is_empty());

    unknown.template = Some(template());
    let merged = merge_provider_groups(&[group("g", 0, 0)], &[unknown], &Snapshot::default(), NOW);
    let made = &merged.groups[1];
    assert_eq!((&*made.name, made.min, made.max, made.os), ("ml", 1, 4, Os::Linux));
    assert_eq!((made.zones[0].as_str(), made.region.as_deref()), ("eu-1a", Some("eu-1")));
    assert_eq!((made.lifecycles.as_slice(), made.taints.len()), ([Lifecycle::Spot].as_slice(), 1));
    assert_eq!(made.instance_types[0].arch.label(), "arm64");
    assert!(made.labels.get("kubernetes.io/hostname").is_none() && made.labels.get("team").is_some());

    // What a plan makes of it is what the template has.
    let mut wanted = shape(7900, 30);
    wanted.requests.set_extended("nvidia.com/gpu".into(), 2);
    wanted.requests.set_extended("example.com/fpga".into(), 1);
    wanted.tolerations = vec![plimsoll_model::Toleration { key: None, value: None, effect: None }];
    wanted.node_selector = [("team", "ml")].into_iter().collect();
    let snapshot = World::default().pods([pending("train", "ml", wanted)]).build();
    let config = ScaleUpConfig { groups: merged.groups.clone(), ..Default::default() };
    let policy = First(RefCell::default());
    let plan = plan_scale_up(&snapshot, &mut Simulation::new(&snapshot), &config, NOW, &policy);
    assert_eq!((plan.launches.len(), plan.launches[0].instance_type.as_str()), (1, "g5.2xlarge"), "{plan:?}");
    let option = &policy.0.borrow()[0].options[0];
    assert_eq!((option.node_cpu, option.node_memory, option.node_gpus), (MilliCpu(7900), Bytes(30 << 30), 2));
}

#[test]
fn status_tells_how_far_each_group_has_come() {
    let mut config = ScaleUpConfig { groups: vec![group("g", 0, 9), group("h", 0, 9)], ..Default::default() };
    let mut ledger = Ledger::new("prod".into(), LedgerRules::default());
    let launch = |group: &str, count| PlannedLaunch {
        group: group.into(),
        instance_type: "m5.xlarge".into(),
        zone: "a".into(),
        lifecycle: Lifecycle::OnDemand,
        count,
        pods: vec![],
        headroom: 0,
        price: None,
        reason: String::new(),
    };
    let requests = launch_requests(&config, &[launch("g", 4), launch("h", 2), launch("h", 1)]);
    let intents = ledger.intend(requests, NOW, &"d".into(), 1);
    ledger.baseline(&intents[0].id, Some(1), NOW);
    ledger.outcome(&intents[0].id, LaunchOutcome::Accepted { nodes: vec![] }, &config, NOW);
    ledger.outcome(&intents[2].id, LaunchOutcome::Failed(LaunchFailure::GroupFull("full".to_owned())), &config, NOW);
    let mut late = node("n2", "g", "a");
    (late.created, late.ready) = (Some(NOW), false);
    let mut row = node("launch/x/0", "g", "a");
    row.launching = true;
    let snapshot = World::default().nodes([node("n1", "g", "a"), late, row]).build();
    let told = |ledger: &Ledger, config: &ScaleUpConfig, minutes: u64| {
        let now = Timestamp(NOW.0 + minutes * 60_000);
        let all = ledger.provisioning(config, &[facts("g", 0, 9, 5)], &snapshot, now);
        let row = |group: &plimsoll_planner::launch::GroupProvisioning| {
            let blocked = group.blocked_until.map_or_else(|| "-".to_owned(), |until| until.since(now).to_string());
            format!(
                "{} {:?} joined {} ready {} launching {} not joined {} {blocked}",
                group.group, group.target, group.joined, group.ready, group.launching, group.not_joined
            )
        };
        all.iter().map(row).collect::<Vec<String>>()
    };
    ledger.observe(&snapshot, &InventoryFacts::default(), &config, NOW);
    assert_eq!(
        told(&ledger, &config, 0),
        [
            "g Some(5) joined 2 ready 1 launching 3 not joined 0 -",
            "h None joined 0 ready 0 launching 0 not joined 0 5m"
        ],
        "the other launch of h was not even called"
    );
    config.groups.pop();
    assert_eq!(told(&ledger, &config, 0)[1], "h None joined 0 ready 0 launching 0 not joined 0 5m", "not configured");
    ledger.observe(&snapshot, &InventoryFacts::default(), &config, Timestamp(NOW.0 + 15 * 60_000));
    assert_eq!(told(&ledger, &config, 15), ["g Some(5) joined 2 ready 1 launching 0 not joined 4 5m"]);
}
