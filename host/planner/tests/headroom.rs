//! Headroom through its public face.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use fixture::*;
use plimsoll_model::{Bytes, MilliCpu, Pod, Resources, Snapshot, Taint, TaintEffect};
use plimsoll_planner::scale_up::{HeadroomConfig, ManualHeadroom, ScaleUpConfig, headroom};

fn manual(group: Option<&str>, count: u32) -> ManualHeadroom {
    let requests = Resources { cpu: MilliCpu(2000), memory: Bytes(2 << 30), ..Default::default() };
    ManualHeadroom { group: group.map(Into::into), count, requests }
}

fn config(headroom: HeadroomConfig) -> ScaleUpConfig {
    let mut memory = group("memory", 0, 5);
    memory.taints = vec![Taint { key: "workload".into(), value: "db".into(), effect: TaintEffect::NoSchedule }];
    ScaleUpConfig { groups: vec![group("general", 0, 5), memory], headroom, ..Default::default() }
}

/// Replicas of an app on node n1.
fn replicas(app: &str, count: u32, cpu: u64, gib: u64) -> Vec<Pod> {
    (0..count).map(|i| running(&format!("{app}-{i:02}"), app, "n1", shape(cpu, gib))).collect()
}

/// What is kept free, as "group or app: count".
fn units(snapshot: &Snapshot, headroom_config: HeadroomConfig) -> Vec<String> {
    let units = headroom(&config(headroom_config), snapshot);
    let name = |pod: plimsoll_model::PodId| snapshot.pod(pod).owner.as_ref().unwrap().name.clone();
    let show = |unit: &plimsoll_planner::scale_up::HeadroomUnits| {
        assert_eq!((unit.shape.priority, unit.shape.requests.pods), (i32::MIN, 1));
        format!("{}: {}", unit.like.map(name).or(unit.group.clone()).unwrap_or_else(|| "any".into()), unit.count)
    };
    units.iter().map(show).collect()
}

/// Scenario 11: two units on each of two groups.
#[test]
fn manual_units_are_kept_as_they_are_listed() {
    let manual = vec![manual(Some("general"), 2), manual(Some("memory"), 2), manual(None, 1), manual(None, 0)];
    let all = headroom(&config(HeadroomConfig { manual, ..Default::default() }), &Snapshot::default());
    let counts: Vec<_> = all.iter().map(|unit| (unit.group.as_ref().map(ToString::to_string), unit.count)).collect();
    assert_eq!(counts, [(Some("general".to_owned()), 2), (Some("memory".to_owned()), 2), (None, 1)]);
    let shape = &all[1].shape;
    assert_eq!((shape.requests.cpu, shape.requests.memory), (MilliCpu(2000), Bytes(2 << 30)));
    let taint = &config(HeadroomConfig::default()).groups[1].taints[0];
    assert!(shape.tolerations.iter().any(|toleration| toleration.tolerates(taint)), "may run where it is kept");
    assert!(all[2].shape.tolerations.is_empty());
}

#[test]
fn automatic_units_look_like_the_five_largest_workloads() {
    let mut daemon = replicas("agent", 9, 1000, 1);
    daemon.iter_mut().for_each(|pod| pod.owner = owner("DaemonSet", "agent"));
    let mut foreign = replicas("foreign", 9, 1000, 1);
    for pod in &mut foreign {
        pod.shape =
            std::sync::Arc::new(plimsoll_model::PodShape { scheduler: Some("volcano".into()), ..shape(1000, 1) });
    }
    let waiting = pending("waiting-1", "waiting", shape(3_000_000, 1));
    let mut ended = replicas("ended", 1, 3_000_000, 1);
    ended[0].phase = plimsoll_model::Phase::Succeeded;
    // 118 cores and 118 GiB, of which 18 can be no workload's.
    let apps = [
        replicas("a", 40, 1000, 1),
        replicas("b", 10, 2000, 2),
        replicas("c", 15, 1000, 1),
        replicas("d", 1, 15_000, 15),
        replicas("e", 3, 2000, 2),
        replicas("f", 4, 1000, 1),
    ];
    let pods = apps.into_iter().flatten().chain(daemon).chain(foreign).chain(ended).chain([waiting]);
    let snapshot = World::default().nodes([node("n1", "general", "a")]).pods(pods).build();
    let auto = |automatic_percent| HeadroomConfig { automatic_percent, ..Default::default() };
    // A fifth of 10 % is two cores and a bit.
    assert_eq!(units(&snapshot, auto(10)), ["a: 2", "b: 1", "c: 2", "d: 1", "e: 1"]);
    assert_eq!(units(&snapshot, auto(1)), ["a: 1", "b: 1", "c: 1", "d: 1", "e: 1"]);
    assert_eq!(units(&snapshot, auto(200)), ["a: 47", "b: 23", "c: 47", "d: 3", "e: 23"]);
    assert!(units(&snapshot, auto(0)).is_empty());
    assert!(units(&Snapshot::default(), auto(200)).is_empty());
}

#[test]
fn a_lopsided_workload_does_not_pass_its_share_of_either_resource() {
    let pods = replicas("cpu", 8, 1000, 0).into_iter().chain(replicas("memory", 4, 1, 10));
    let snapshot = World::default().pods(pods).build();
    let auto = HeadroomConfig { automatic_percent: 100, ..Default::default() };
    assert_eq!(units(&snapshot, auto), ["memory: 2", "cpu: 4"]);
}

#[test]
fn automatic_replaces_manual_unless_they_are_combined() {
    let snapshot = World::default().pods(replicas("web", 10, 1000, 1)).build();
    for (automatic_percent, combine, expected) in [
        (0, false, &["any: 3"][..]),
        (0, true, &["any: 3"]),
        (10, false, &["web: 1"]),
        (10, true, &["any: 3", "web: 1"]),
    ] {
        let config = HeadroomConfig { manual: vec![manual(None, 3)], automatic_percent, combine };
        assert_eq!(units(&snapshot, config), expected, "{automatic_percent} {combine}");
    }
}
