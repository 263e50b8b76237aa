//! A cluster and its life, made from a seed.

use std::rc::Rc;

use plimsoll_model::{Bytes, InstanceType, MilliCpu, Millis, NodeGroup, Price, Text, Timestamp, well_known};
use plimsoll_planner::drain::{DrainRules, ScaleDownConfig};
use plimsoll_planner::scale_up::ScaleUpConfig;
use serde_json::{Value, json};

use crate::chance::{Chance, Seed};
use crate::policies::{Hostile, Sensible};
use crate::queue::later;
use crate::replica::{Policies, Settings};
use crate::run::{Faults, Life, Plan};
use crate::world::{Pace, PodSpec, START};

/// A machine type like those of a cloud.
pub fn machine_type(name: &str, cores: u64, gib: u64, milli_dollars: u64) -> InstanceType {
    InstanceType {
        name: name.into(),
        cpu: MilliCpu(cores * 1000),
        memory: Bytes(gib << 30),
        gpu_resource: "nvidia.com/gpu".into(),
        max_pods: 58,
        price: Some(Price(milli_dollars * 1000)),
        ..InstanceType::default()
    }
}

/// A group of such machines in three zones.
pub fn group(name: &str, min: u32, max: u32, types: Vec<InstanceType>) -> NodeGroup {
    NodeGroup {
        name: name.into(),
        min,
        max,
        zones: vec!["a".into(), "b".into(), "c".into()],
        instance_types: types,
        ..NodeGroup::default()
    }
}

/// What a controller does with these groups when nobody configures anything else.
pub fn settings(groups: Vec<NodeGroup>, policies: Rc<dyn Policies>) -> Settings {
    let scale_down = ScaleDownConfig { groups: Some(groups.clone()), ..ScaleDownConfig::default() };
    Settings {
        cluster: "simulated".into(),
        scale_up: ScaleUpConfig { groups, ..ScaleUpConfig::default() },
        scale_down,
        drain: DrainRules::default(),
        cooldown: Millis::from_secs(300),
        policies,
    }
}

/// A cluster and some hours of its life, out of a seed.
pub fn scenario(seed: Seed, hours: u64) -> Plan {
    let mut chance = Chance::of(seed, "scenario");
    let mut groups = groups(&mut chance);
    let policies: Rc<dyn Policies> = if chance.permille(250) { Rc::new(Hostile::new(seed)) } else { Rc::new(Sensible) };
    tune_groups(&mut groups, &mut chance);
    let mut settings = settings(groups.clone(), policies);
    tune(&mut settings, &mut chance);
    let end = later(START, Millis::from_secs(hours * 3600));
    let mut found = Vec::new();
    for group in &groups {
        for zone in &group.zones {
            let count = u32::try_from(chance.between(0, 3)).unwrap_or_default();
            if let Some(kind) = chance.one(&group.instance_types) {
                found.push((group.name.clone(), kind.name.clone(), zone.clone(), count));
            }
        }
    }
    let mut life = Vec::new();
    people(&mut chance, end, &mut life);
    misfortunes(&mut chance, end, &settings, &mut life);
    life.sort_by_key(|(at, _)| *at);
    Plan {
        seed,
        pace: pace(&mut chance),
        settings,
        found,
        life,
        faults: faults(&mut chance),
        end,
        sample: Millis::from_secs(300),
    }
}

fn groups(chance: &mut Chance) -> Vec<NodeGroup> {
    let small = machine_type("m5.large", 2, 8, 96);
    let medium = machine_type("m5.xlarge", 4, 16, 192);
    let large = machine_type("m5.2xlarge", 8, 32, 384);
    let mut groups = vec![group("general", 0, 40, vec![small.clone(), medium.clone()])];
    if chance.permille(600) {
        groups.push(group("large", u32::try_from(chance.between(0, 2)).unwrap_or_default(), 10, vec![large]));
    }
    if chance.permille(300) {
        groups.push(group("extra", 1, 12, vec![medium]));
    }
    groups
}

fn tune_groups(groups: &mut [NodeGroup], chance: &mut Chance) {
    for group in groups {
        if chance.permille(150) {
            group.restrict_scale_down = true;
        }
        if chance.permille(200) {
            group.scale_down.accelerated = Some(chance.permille(500));
        }
        if chance.permille(200) {
            group.scale_down.max_percentage = chance.one(&[10, 20, 50, 100]).copied();
        }
        if chance.permille(150) {
            group.scale_down.timeout = Some(Millis::from_secs(600));
        }
        if chance.permille(100) {
            group.startup.grace = Millis::from_secs(120);
        }
    }
}

fn tune(settings: &mut Settings, chance: &mut Chance) {
    settings.scale_down.max_percentage = chance.one(&[10, 10, 20, 50, 100]).copied().unwrap_or(10);
    settings.scale_down.accelerated = chance.permille(250);
    settings.scale_down.evaluation_periods = chance.one(&[1, 3, 5]).copied().unwrap_or(5);
    settings.scale_down.evict_bare_pods = chance.permille(200);
    if chance.permille(200) {
        settings.drain.force_delete_after = None;
    }
    if chance.permille(300) {
        settings.drain.evict_when_ready = true;
    }
    settings.cooldown = Millis::from_secs(chance.one(&[60, 300, 600]).copied().unwrap_or(300));
}

fn pace(chance: &mut Chance) -> Pace {
    Pace {
        cloud_deletes_nodes: chance.permille(600),
        daemon_cpu: if chance.permille(500) { 100 } else { 0 },
        budgets: chance.millis(50, 2_000),
        ..Pace::default()
    }
}

fn faults(chance: &mut Chance) -> Faults {
    if chance.permille(250) {
        return Faults { latency: Millis(50), lag: Millis(300), ..Faults::default() };
    }
    Faults {
        failed: chance.between(0, 100),
        lost: chance.between(0, 100),
        too_many: chance.between(0, 60),
        latency: chance.millis(10, 8_000),
        lag: chance.millis(50, 4_000),
        no_capacity: chance.between(0, 80),
    }
}

fn pod(chance: &mut Chance) -> PodSpec {
    let mut spec = PodSpec {
        cpu: chance.one(&[50, 100, 250, 500, 1000, 1500]).copied().unwrap_or(100),
        memory: chance.one(&[64, 128, 512, 1024, 4096]).copied().unwrap_or(128),
        grace: 30,
        stops_after: chance.between(0, 8),
        ..PodSpec::default()
    };
    match chance.between(0, 29) {
        0 => spec = spec.restricting(),
        1 => spec.annotations.push((well_known::SAFE_TO_EVICT.to_owned(), "false".to_owned())),
        2 => (spec.grace, spec.stops_after) = (600, chance.between(60, 600)),
        3 => spec.finalized_after = Some(chance.between(5, 900)),
        4..=6 => spec.zone_skew = Some(1),
        7 | 8 => spec.apart = true,
        9..=13 => spec = spec.warming_up(chance.millis(60_000, 280_000)),
        14 => spec.priority = 1000,
        15 => spec.ready_after = Some(chance.between(30, 200)),
        _ => {}
    }
    spec
}

/// Deployments, their budgets, and what people do to them.
fn people(chance: &mut Chance, end: Timestamp, life: &mut Vec<(Timestamp, Life)>) {
    let span = end.since(START).0;
    let apps = chance.between(6, 24);
    for number in 0..apps {
        let namespace: Text =
            if chance.permille(60) { "kube-system".into() } else { format!("team-{}", number % 4).into() };
        let name: Text = format!("app-{number}").into();
        let mut spec = pod(chance);
        let replicas = usize::try_from(if chance.permille(350) { 1 } else { chance.between(1, 9) }).unwrap_or(1);
        let at = later(START, chance.millis(1_000, span / 4));
        life.push((at, Life::Deploy(namespace.clone(), name.clone(), replicas, spec.clone())));
        if chance.permille(450) {
            let (field, rule): (&'static str, Value) = match chance.between(0, 7) {
                0 => ("minAvailable", json!(1)),
                1 => ("minAvailable", json!("50%")),
                2 => ("maxUnavailable", json!(0)),
                3 | 4 => ("maxUnavailable", json!(1)),
                5 => ("maxUnavailable", json!("30%")),
                6 => ("minAvailable", json!(replicas)),
                _ => ("minAvailable", json!("100%")),
            };
            life.push((at, Life::Guard(namespace.clone(), format!("{name}-budget").into(), name.clone(), field, rule)));
            if chance.permille(60) {
                let second = Life::Guard(
                    namespace.clone(),
                    format!("{name}-second").into(),
                    name.clone(),
                    "maxUnavailable",
                    json!(1),
                );
                life.push((at, second));
            }
        }
        for _ in 0..chance.between(0, 6) {
            let at = later(START, chance.millis(span / 4, span));
            let change = match chance.between(0, 9) {
                0 | 1 => Life::Scale(namespace.clone(), name.clone(), 0),
                2..=6 => {
                    Life::Scale(namespace.clone(), name.clone(), usize::try_from(chance.between(1, 14)).unwrap_or(1))
                }
                _ => {
                    spec.revision += 1;
                    Life::RollOut(namespace.clone(), name.clone(), spec.clone())
                }
            };
            life.push((at, change));
        }
    }
    for number in 0..chance.between(0, 3) {
        let at = later(START, chance.millis(1_000, span / 2));
        life.push((at, Life::BarePod("team-0".into(), format!("bare-{number}").into(), pod(chance))));
    }
    for number in 0..chance.between(0, 40) {
        let (at, long) = (chance.millis(1_000, span), chance.millis(60_000, span / 2));
        let spec = PodSpec { cpu: 500, memory: 512, grace: 30, stops_after: 1, ..PodSpec::default() };
        life.push((later(START, at), Life::Arrive(format!("job-{number}").into(), spec, long)));
    }
}

/// What nobody wanted.
fn misfortunes(chance: &mut Chance, end: Timestamp, settings: &Settings, life: &mut Vec<(Timestamp, Life)>) {
    let span = end.since(START).0;
    let at = |chance: &mut Chance| later(START, chance.millis(span / 20, span));
    for _ in 0..chance.between(0, 3) {
        let notice = chance.one(&[30_000, 120_000, 120_000, 600_000]).copied().unwrap_or(120_000);
        let when = at(chance);
        life.push((when, Life::Interrupt(chance.number(), Millis(notice))));
    }
    for _ in 0..chance.between(0, 6) {
        let (when, node) = (at(chance), chance.number());
        life.push((when, Life::Request(node)));
        if chance.permille(500) {
            life.push((later(when, chance.millis(500, 240_000)), Life::TakeBack));
        }
    }
    for _ in 0..chance.between(0, 8) {
        let when = at(chance);
        life.push((when, Life::Kill));
    }
    for _ in 0..chance.between(0, 3) {
        let when = at(chance);
        life.push((when, Life::Cut(chance.millis(1_000, 180_000))));
    }
    if chance.permille(300) {
        let mut other = settings.clone();
        tune(&mut other, chance);
        // What is promised of a drain that has begun is that of its beginning.
        other.drain = settings.drain.clone();
        life.push((at(chance), Life::Configure(Box::new(other))));
    }
}
