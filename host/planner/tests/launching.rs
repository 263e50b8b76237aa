//! What a provider is told, through the public face.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use fixture::*;
use plimsoll_model::{BlockDevice, Bytes, DynamicAmount, Lifecycle, PodId, SizedBy, Subnet, Taint, TaintEffect};
use plimsoll_planner::scale_up::{NetworkRules, PlannedLaunch, ScaleUpConfig, launch_requests};

fn launch(group: &str, zone: &str, count: u32, pods: u32) -> PlannedLaunch {
    PlannedLaunch {
        group: group.into(),
        instance_type: "m5.xlarge".into(),
        zone: zone.into(),
        lifecycle: Lifecycle::Spot,
        count,
        pods: (0..pods).map(PodId).collect(),
        headroom: 0,
        price: None,
        reason: String::new(),
    }
}

fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoSchedule }
}

#[test]
fn a_request_carries_what_makes_the_node_the_one_that_was_planned() {
    let mut group = group("g", 0, 9);
    group.taints = vec![taint("lasting")];
    group.startup.taints = vec![taint("starting")];
    group.labels = [("team", "shop")].into_iter().collect();
    let per_core = |base, per_unit| Some(DynamicAmount { base, per_unit, unit: SizedBy::Cpu });
    group.block_device = BlockDevice { iops: per_core(4000, 100), volume_gib: per_core(20, 5) };
    let config = ScaleUpConfig { groups: vec![group], ..Default::default() };
    let all = launch_requests(&config, &[launch("g", "b", 3, 5), launch("gone", "b", 1, 1)]);
    assert_eq!(all.len(), 1, "what is not configured is not launched");
    let request = &all[0];
    assert_eq!((request.count, &request.subnet), (3, &None));
    assert_eq!((request.iops, request.volume), (Some(4400), Some(Bytes(40 << 30))));
    assert_eq!(request.taints, [taint("lasting")]);
    let label = |key: &str| request.labels.get(key).map(|value| value.as_str());
    assert_eq!(label("topology.kubernetes.io/zone"), Some("b"));
    assert_eq!(label("spotinst.io/node-lifecycle"), Some("spot"));
    assert_eq!(label("plimsoll.dev/node-group"), Some("g"));
    assert_eq!(label("team"), Some("shop"));
    assert_eq!(label("kubernetes.io/hostname"), None, "its name is not ours to give");
}

/// Scenario 16, and what it means for several launches.
#[test]
fn subnets_with_the_most_free_addresses_fill_first() {
    let subnet = |id: &str, zone: &str, free_ips| Subnet { id: id.into(), zone: zone.into(), free_ips };
    let mut group = group("g", 0, 9);
    group.subnets = vec![subnet("s-a", "a", 5), subnet("s-b", "a", 200), subnet("s-c", "b", 0)];
    let subnets = |pods_use_subnet_ips, launches: &[PlannedLaunch]| -> Vec<String> {
        let network = NetworkRules { pods_use_subnet_ips, min_free_ips: 0 };
        let config = ScaleUpConfig { groups: vec![group.clone()], network, ..Default::default() };
        let all = launch_requests(&config, launches);
        all.iter().map(|request| format!("{} × {}", request.count, request.subnet.as_ref().unwrap())).collect()
    };
    assert_eq!(subnets(false, &[launch("g", "a", 3, 30), launch("g", "b", 3, 30)]), ["3 × s-b"]);
    assert_eq!(subnets(true, &[launch("g", "a", 20, 190)]), ["18 × s-b"], "10 pods and a node are 11 addresses");
    let with_headroom = PlannedLaunch { headroom: 10, ..launch("g", "a", 20, 180) };
    assert_eq!(subnets(true, &[with_headroom]), ["18 × s-b"], "as many for pods that may come");
    assert_eq!(
        subnets(false, &[launch("g", "a", 200, 200), launch("g", "a", 9, 9)]),
        ["3 × s-a", "197 × s-b", "2 × s-a", "3 × s-b"]
    );
}
