//! The next node of a group, from configurations and clusters made by hand.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

#[path = "../../../tests/fixture/mod.rs"]
mod fixture;

use fixture::*;
use plimsoll_model::{
    BlockDevice, Bytes, DaemonSet, DynamicAmount, MilliCpu, Os, Requirement, SizedBy, Taint, TaintEffect, Toleration,
    Uid, well_known,
};

use super::*;

fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoSchedule }
}

fn one(snapshot: &Snapshot, group: &NodeGroup) -> NodeState {
    templates(snapshot, std::slice::from_ref(group)).swap_remove(0).node
}

#[test]
fn one_for_each_type_zone_and_lifecycle_in_that_order() {
    let mut group = group("g", 0, 9);
    group.lifecycles = vec![Lifecycle::OnDemand, Lifecycle::Spot];
    group.instance_types.push(instance_type("r5.xlarge", 4, 32, 252));
    group.instance_types[1].spot_price = Some(plimsoll_model::Price(70_000));
    group.spot_price_percent = Some(50);
    let groups = [group];
    let all = templates(&Snapshot::default(), &groups);
    let kinds: Vec<String> = all
        .iter()
        .map(|t| format!("{} {} {} {}", t.instance_type.name, t.zone, t.lifecycle.name(), t.price.unwrap().0 / 1000))
        .collect();
    assert_eq!(
        kinds,
        [
            "m5.xlarge a on-demand 192",
            "m5.xlarge a spot 96",
            "m5.xlarge b on-demand 192",
            "m5.xlarge b spot 96",
            "r5.xlarge a on-demand 252",
            "r5.xlarge a spot 70",
            "r5.xlarge b on-demand 252",
            "r5.xlarge b spot 70",
        ]
    );
}

#[test]
fn labels_have_all_their_names_and_the_groups_own_win() {
    let mut group = group("win", 0, 9);
    group.os = Os::Windows;
    group.region = Some("eu".into());
    group.lifecycles = vec![Lifecycle::Spot];
    group.startup.taints = vec![taint("starting")];
    group.taints = vec![taint("lasting")];
    group.labels = [("team", "shop"), (well_known::ARCH, "arm64")].into_iter().collect();
    let node = one(&Snapshot::default(), &group);
    for (key, value) in [
        ("topology.kubernetes.io/zone", "a"),
        ("failure-domain.beta.kubernetes.io/zone", "a"),
        ("topology.kubernetes.io/region", "eu"),
        ("failure-domain.beta.kubernetes.io/region", "eu"),
        ("node.kubernetes.io/instance-type", "m5.xlarge"),
        ("beta.kubernetes.io/instance-type", "m5.xlarge"),
        ("kubernetes.io/arch", "arm64"),
        ("beta.kubernetes.io/arch", "amd64"),
        ("kubernetes.io/os", "windows"),
        ("beta.kubernetes.io/os", "windows"),
        ("kubernetes.io/hostname", "new-win-a"),
        ("spotinst.io/node-lifecycle", "spot"),
        ("karpenter.sh/capacity-type", "spot"),
        ("plimsoll.dev/node-group", "win"),
        ("team", "shop"),
    ] {
        assert_eq!(node.labels.get(key).map(Text::as_str), Some(value), "{key}");
    }
    assert_eq!(node.labels.len(), 15);
    assert_eq!(node.taints, [taint("lasting")], "a startup taint is gone before pods come");
}

#[test]
fn live_nodes_lend_the_label_that_names_their_group() {
    let mut live = node("n1", "g", "a");
    let labels = live.labels.iter().filter(|(key, _)| **key != *well_known::NODE_GROUP[0]);
    live.labels =
        Arc::new(labels.map(|(k, v)| (k.as_str(), v.as_str())).chain([(well_known::NODE_GROUP[1], "g")]).collect());
    let snapshot = World::default().nodes([live]).build();
    assert_eq!(one(&snapshot, &group("g", 0, 9)).labels.get(well_known::NODE_GROUP[1]), Some(&"g".into()));
    assert_eq!(one(&snapshot, &group("other", 0, 9)).labels.get(well_known::NODE_GROUP[1]), None);
}

#[test]
fn capacity_is_what_the_type_has_minus_what_the_system_keeps() {
    let mut group = group("g", 0, 9);
    let instance_type = &mut group.instance_types[0];
    instance_type.gpus = 1;
    instance_type.extended = vec![("example.com/fpga".into(), 2), ("nvidia.com/gpu".into(), 4)];
    group.system_reserved.cpu = MilliCpu(500);
    group.system_reserved.ephemeral_storage = Bytes(1 << 30);
    assert_eq!(one(&Snapshot::default(), &group).free.ephemeral_storage, Bytes(u64::MAX - (1 << 30)), "not known");
    let volume = DynamicAmount { base: 20, per_unit: 5, unit: SizedBy::Cpu };
    group.block_device = BlockDevice { iops: None, volume_gib: Some(volume) };
    let free = one(&Snapshot::default(), &group).free;
    assert_eq!((free.cpu, free.memory, free.pods), (MilliCpu(3500), Bytes(16 << 30), 20));
    assert_eq!(free.ephemeral_storage, Bytes(39 << 30));
    assert_eq!((free.get_extended("example.com/fpga"), free.gpus()), (2, 4), "the mapping wins");
}

#[test]
fn a_live_node_teaches_but_not_below_what_is_configured() {
    let mut live = node("n1", "g", "a");
    live.allocatable.cpu = MilliCpu(3900);
    live.allocatable.pods = 29;
    live.allocatable.set_extended("example.com/disk".into(), 7);
    live.allocatable.set_extended("example.com/fpga".into(), 1);
    live.allocatable.set_extended("nvidia.com/gpu".into(), 8);
    let mut starting = live.clone();
    (starting.name, starting.ready) = ("n0".into(), false);
    let snapshot = World::default().nodes([live, starting]).build();
    let mut group = group("g", 0, 9);
    group.system_reserved.pods = 1;
    group.instance_types[0].extended = vec![("example.com/fpga".into(), 2), ("nvidia.com/gpu".into(), 4)];
    let free = one(&snapshot, &group).free;
    assert_eq!((free.cpu, free.pods), (MilliCpu(3900), 29));
    let of = |name: &str| free.get_extended(name);
    assert_eq!((of("example.com/disk"), of("example.com/fpga"), of("nvidia.com/gpu")), (7, 2, 8));

    let mismatches = max_pods_mismatches(&snapshot, std::slice::from_ref(&group));
    let sentences: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
    assert_eq!(sentences, ["group g: n1, a m5.xlarge, takes 29 pods; 19 are expected of the next one"]);
    group.pods_limited = true;
    assert_eq!(one(&snapshot, &group).free.pods, 19);
    (group.instance_types[0].max_pods, group.pods_limited) = (30, false);
    assert_eq!(max_pods_mismatches(&snapshot, std::slice::from_ref(&group)), []);
    group.instance_types[0].name = "other".into();
    assert_eq!(one(&snapshot, &group).free.cpu, MilliCpu(4000), "another type teaches nothing");
}

#[test]
fn daemon_sets_come_from_their_objects_and_else_from_their_pods() {
    let daemon = |name: &str, millis: u64| {
        let mut pod = running(&format!("{name}-n1"), name, "n1", shape(millis, 0));
        pod.owner = owner("DaemonSet", name);
        pod
    };
    let object = |name: &str, millis: u64, change: &dyn Fn(&mut plimsoll_model::PodShape)| {
        let mut shape = shape(millis, 0);
        change(&mut shape);
        DaemonSet {
            namespace: "shop".into(),
            name: name.into(),
            uid: Uid::parse(name),
            labels: Arc::default(),
            shape: Arc::new(shape),
            priority_class: None,
        }
    };
    let tolerates = |shape: &mut plimsoll_model::PodShape| {
        shape.tolerations = vec![Toleration { key: Some("gpu".into()), value: None, effect: None }];
    };
    let selects = |shape: &mut plimsoll_model::PodShape| shape.node_selector = [("disk", "ssd")].into_iter().collect();
    let only_zone_b = |shape: &mut plimsoll_model::PodShape| {
        shape.node_selector = [(well_known::ZONE, "b")].into_iter().collect();
    };
    let with = |objects: Vec<DaemonSet>, pods: Vec<plimsoll_model::Pod>| {
        let mut world = World::default().nodes([node("n1", "other", "a")]).pods(pods);
        objects.into_iter().for_each(|object| world.builder.add_daemon_set(object));
        world.build()
    };
    let ended = plimsoll_model::Pod { phase: plimsoll_model::Phase::Succeeded, ..daemon("ended", 1000) };
    let web = running("web-1", "web", "n1", shape(1000, 0));
    let snapshot = with(
        vec![
            object("agent", 100, &|_| {}),
            object("driver", 20, &tolerates),
            object("local-disk", 3, &selects),
            object("zonal", 4, &only_zone_b),
        ],
        vec![daemon("agent", 1000), daemon("known-by-pods", 500), ended.clone(), web.clone()],
    );
    let mut plain = group("g", 0, 9);
    let mut gpu = group("gpu", 0, 9);
    gpu.taints = vec![taint("gpu")];
    gpu.labels = [("disk", "ssd")].into_iter().collect();
    plain.zones = vec!["a".into(), "b".into()];
    let groups = [plain, gpu];
    let left: Vec<u64> = templates(&snapshot, &groups).iter().map(|template| 4000 - template.node.free.cpu.0).collect();
    assert_eq!(left, [100 + 20, 100 + 20 + 4, 20, 20], "where objects are known, they are all there are");
    let taken: Vec<u64> = templates(&snapshot, &groups).iter().map(|template| 20 - template.node.free.pods).collect();
    assert_eq!(taken, [2, 3, 1, 1]);
    let snapshot = with(vec![], vec![daemon("agent", 1000), daemon("known-by-pods", 500), ended, web]);
    let left: Vec<u64> = templates(&snapshot, &groups).iter().map(|template| 4000 - template.node.free.cpu.0).collect();
    assert_eq!(left, [1500, 1500, 0, 0], "without any, pods tell");
}

#[test]
fn where_not_all_daemon_pods_fit_those_of_the_highest_class_run() {
    let object = |name: &str, millis: u64, class: Option<&str>| DaemonSet {
        namespace: "shop".into(),
        name: name.into(),
        uid: Uid::parse(name),
        labels: Arc::default(),
        shape: Arc::new(shape(millis, 0)),
        priority_class: class.map(Into::into),
    };
    let class = |name: &str, value: i32, global_default: bool| plimsoll_model::PriorityClass {
        name: name.into(),
        value,
        global_default,
        preempts: true,
    };
    let high = class("high", 1000, false);
    let taken = |objects: Vec<DaemonSet>, classes: Vec<plimsoll_model::PriorityClass>| {
        let mut world = World::default();
        objects.into_iter().for_each(|object| world.builder.add_daemon_set(object));
        classes.into_iter().for_each(|class| world.builder.add_priority_class(class));
        4000 - one(&world.build(), &group("g", 0, 9)).free.cpu.0
    };
    // Of 4000 there is room for one, and for 500 beside the first.
    let (agent, network) = (|class| object("agent", 3500, class), |class| object("network", 3000, class));
    assert_eq!(taken(vec![agent(None), network(None)], vec![]), 3500, "of one class, the first by name");
    assert_eq!(taken(vec![agent(None), network(Some("high"))], vec![high.clone()]), 3000);
    assert_eq!(taken(vec![agent(Some("high")), network(None)], vec![high.clone()]), 3500);
    assert_eq!(taken(vec![agent(None), network(Some("gone"))], vec![high.clone()]), 3500, "a class that is not known");
    let (default, classes) = (class("usual", 2000, true), |default| vec![high.clone(), default]);
    assert_eq!(taken(vec![agent(None), network(Some("high"))], classes(default)), 3500, "the default is higher");
    let system = vec![agent(Some("high")), network(Some("system-node-critical"))];
    assert_eq!(taken(system, vec![high.clone()]), 3000, "where a dump has not the classes of every cluster");
}

#[test]
fn a_daemon_pod_is_not_tied_to_the_node_that_it_is_on() {
    let field =
        |key: &str| Requirement { key: key.into(), operator: plimsoll_model::Operator::In, values: vec!["n1".into()] };
    let label = Requirement { values: vec!["a".into()], ..field(well_known::ZONE) };
    for (expressions, zones) in [(vec![], "ab"), (vec![label], "a")] {
        let term = plimsoll_model::NodeSelectorTerm {
            match_expressions: expressions,
            match_fields: vec![field("metadata.name")],
        };
        let mut shape = shape(100, 0);
        shape.node_affinity = Some(plimsoll_model::NodeSelector { terms: vec![term] });
        let mut pod = running("agent-n1", "agent", "n1", shape);
        pod.owner = owner("DaemonSet", "agent");
        let snapshot = World::default().nodes([node("n1", "other", "a")]).pods([pod]).build();
        let groups = [group("g", 0, 9)];
        let all = templates(&snapshot, &groups);
        let there = all.iter().filter(|template| template.node.free.cpu < MilliCpu(4000));
        assert_eq!(there.map(|template| template.zone.to_string()).collect::<String>(), zones);
    }
}
