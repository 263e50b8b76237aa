//! How many nodes, of which group and type: verdicts of cluster-autoscaler's and Karpenter's own test suites.
//!
//! `PLIMSOLL_PEER_CASES` names the folder of cases; without it there is nothing to compare with. Questions go through
//! the planner and the built-in policy in its sandbox, as they do in a cluster.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read is a failing test")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use plimsoll_kube::read_stream;
use plimsoll_model::{
    Arch, Bytes, InstanceType, Lifecycle, MilliCpu, NodeGroup, Os, Price, Quantity, Resources, Snapshot, Text,
    Timestamp, well_known,
};
use plimsoll_planner::scale_up::{
    ClusterLimits, LaunchOption, PendingReason, PlannedLaunch, Remaining, ScaleUpConfig, ScaleUpPlan, ScaleUpQuestion,
    ScaleUpVerdict, ShapeDemand, plan_scale_up,
};
use plimsoll_planner::{Point, ScaleUpPolicy};
use plimsoll_policy::{Limits, Mode, ModuleSource, OnError, PolicyRegistry, PolicySpec, Sandbox};
use plimsoll_scheduler::{Batch, NodeList, NodeState, Sharing, Simulation, Wanted, pack};
use serde_json::{Value, json};

/// Cases that end differently here: how, and why that is right.
const DIFFERENT: [(&str, &str, &str); 11] = [
    ("karp-inst-06", "runs windows", "the pod does not ask for Windows, and Linux images do not run there"),
    ("karp-inst-08", "runs windows", "as karp-inst-06"),
    ("karp-inst-18", "runs windows", "as karp-inst-06"),
    (
        "karp-topo-22",
        "has [2, 3] with 0 new nodes",
        "two zones have nodes with room; kube-scheduler binds the pods there before anybody could launch a node, as a zone without nodes is no domain",
    ),
    (
        "karp-topo-23",
        "has [5, 5] with 0 new nodes",
        "as karp-topo-22, with hosts: skew is measured between the two that are there and have room",
    ),
    ("karp-topo-24", "has [3, 4] with 0 new nodes", "as karp-topo-22: the zone that is there takes the pod"),
    ("expander-08", "chose None", "an option that places no pod is no option: the host never offers one"),
    ("expander-11", "chose None", "as expander-08"),
    ("expander-22", "needs `priorities`", "a strategy `priority` without priorities is refused when it is loaded"),
    (
        "expander-24",
        "chose Some(\"ng1\")",
        "the price expander prefers a node size by the cluster's size; least-cost knows prices only",
    ),
    (
        "expander-28",
        "chose Some(\"ng2\")",
        "without prices the price expander gives up; least-cost falls back to waste and launches",
    ),
];

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn cases(name: &str, least: usize) -> Option<Vec<Value>> {
    let folder = PathBuf::from(std::env::var_os("PLIMSOLL_PEER_CASES")?);
    let mut all = match read(&folder, name) {
        Value::Array(all) => all,
        mut object => object["cases"].take().as_array().unwrap().clone(),
    };
    all.retain(|case| case["id"].is_string());
    assert!(all.len() >= least, "{name} has {} cases, fewer than {least}", all.len());
    Some(all)
}

fn read(folder: &std::path::Path, name: &str) -> Value {
    let path = folder.join("scaling").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Runs every case; what fails must be in the list of differences, and only that.
fn judge(name: &str, least: usize, run: impl Fn(&Value) -> Result<(), String>) {
    let Some(cases) = cases(name, least) else {
        println!("PLIMSOLL_PEER_CASES is not set: nothing to compare with");
        return;
    };
    let mut wrong = Vec::new();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let difference = DIFFERENT.iter().find(|(known, ..)| *known == id);
        match (run(case), difference) {
            (Ok(()), None) => {}
            (Err(error), Some((_, how, _))) if error.contains(how) => {}
            (Ok(()), Some((.., why))) => wrong.push(format!("{id} agrees now; it was to differ: {why}")),
            (Err(error), _) => wrong.push(format!("{id} ({}): {error}", case["name"])),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn snapshot(items: Vec<Value>) -> Arc<Snapshot> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let dump = read_stream("case", list.as_bytes()).unwrap();
    assert!(dump.account.broken.is_empty(), "{:?}", dump.account.broken);
    Arc::new(dump.snapshot)
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

#[test]
fn estimates_are_those_of_cluster_autoscaler() {
    judge("ca_estimator", 8, |case| {
        // The template is read as a node, and then taken out of the cluster.
        let mut template = case["template_node"].clone();
        template["metadata"]["name"] = "template".into();
        let with_template = snapshot(vec![template]);
        let node = NodeState::empty(&with_template, with_template.find_node("template").unwrap().0);
        let mut all = items(&case["existing_nodes"]);
        for (at, group) in items(&case["pod_groups"]).iter().enumerate() {
            let mut pod = group["pod"].clone();
            pod["metadata"]["name"] = format!("pod-{at}").into();
            all.push(pod);
        }
        let snapshot = snapshot(all);
        let mut simulation = Simulation::new(&snapshot);
        let mut wanted = Vec::new();
        for (at, group) in items(&case["pod_groups"]).iter().enumerate() {
            let (_, pod) = snapshot.pods().find(|(_, pod)| *pod.name == *format!("pod-{at}")).unwrap();
            let class = simulation.class_of(&snapshot, pod);
            wanted.push(Wanted { class, pods: u32::try_from(group["count"].as_u64().unwrap()).unwrap(), needs: 0 });
        }
        simulation.prepare(&wanted.iter().map(|wanted| wanted.class).collect::<Vec<_>>());
        let site = simulation.site(node);
        for want in &mut wanted {
            if simulation.must_share(want.class) {
                let sharing = Sharing { class: want.class, pods: want.pods, places: vec![0] };
                want.pods = simulation.share_out(std::slice::from_ref(&site), &[sharing])[0][0];
            }
        }
        let most = u32::try_from(case["max_nodes"].as_u64().unwrap()).unwrap();
        let batch = Batch::new(&simulation, &site, &wanted);
        let packing = pack(&batch, &site, &|_| true, if most == 0 { u32::MAX } else { most });
        let pods: u32 = packing.placed.iter().map(|(_, pods)| *pods).sum();
        let expect = &case["expect"];
        let from = expect["all_scheduled_from_group"].as_u64();
        let only = from.is_none_or(|group| packing.placed.iter().all(|(at, _)| u64::from(*at) == group));
        let agrees = expect["new_nodes"] == packing.nodes && expect["scheduled_pods"] == pods && only;
        if agrees { Ok(()) } else { Err(format!("{} nodes, {pods} pods, expected {expect}", packing.nodes)) }
    });
}

/// The built-in scale-up policy, in its sandbox.
fn builtin(strategy: &str, settings: Value) -> PolicyRegistry {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox = SANDBOX.get_or_init(|| Sandbox::new().unwrap()).clone();
    let found = plimsoll_builtin::find("scale-up-least-cost").unwrap();
    let mut all = json!({"strategy": strategy});
    all.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap_or_default());
    let spec = PolicySpec {
        name: "scale-up".into(),
        module: ModuleSource::Builtin { name: found.name, wasm: found.wasm },
        settings: all.to_string(),
        mode: Mode::Active,
        // A debug build of a test machine is no place to miss a deadline.
        limits: Limits { timeout: plimsoll_model::Millis::from_secs(20), ..Limits::default() },
        on_error: OnError::Hold,
    };
    let (registry, changes) = PolicyRegistry::sandboxed(sandbox, None, vec![(Point::ScaleUp, spec)], Vec::new());
    assert!(changes.iter().all(|change| !change.to_string().contains("refused")), "{changes:?}");
    registry
}

fn amount(text: &Value) -> Quantity {
    Quantity::parse_amount(text.as_str().unwrap()).unwrap()
}

fn dollars(value: f64) -> Price {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "prices of a case are small and positive"
    )]
    Price((value * 1e6).round() as u64)
}

/// What a pool requires of one key; all values if it says nothing.
fn required(pool: &Value, key: &str, all: &[&str]) -> Vec<String> {
    let found = pool.as_array().into_iter().flatten().find(|requirement| requirement["key"] == key);
    match found {
        None => all.iter().map(ToString::to_string).collect(),
        Some(requirement) => {
            assert_eq!(requirement["operator"], "In");
            items(&requirement["values"]).iter().map(|value| value.as_str().unwrap().to_owned()).collect()
        }
    }
}

fn lifecycle(capacity_type: &str) -> Lifecycle {
    Lifecycle::parse(capacity_type).unwrap()
}

/// A pool as node groups: one for each system, architecture, zone and lifecycle that it allows.
fn pool(types: &[Value], requirements: &Value, zones: &[&str]) -> Vec<NodeGroup> {
    let mut groups = Vec::new();
    for os in required(requirements, well_known::OS, &["linux", "windows"]) {
        for arch in required(requirements, well_known::ARCH, &["amd64", "arm64"]) {
            for zone in required(requirements, well_known::ZONE, zones) {
                for capacity_type in required(requirements, well_known::LIFECYCLE_KARPENTER, &["spot", "on-demand"]) {
                    let offers = types.iter().filter_map(|known| {
                        let labels = &known["labels"];
                        let offering = items(&known["offerings"]).into_iter().find(|offering| {
                            offering[well_known::ZONE] == *zone
                                && offering[well_known::LIFECYCLE_KARPENTER] == *capacity_type
                        })?;
                        let fits = labels[well_known::ARCH] == *arch && labels[well_known::OS] == *os;
                        let price = dollars(offering["price"].as_f64().unwrap());
                        fits.then(|| InstanceType {
                            name: known["name"].as_str().unwrap().into(),
                            cpu: amount(&known["capacity"]["cpu"]).cpu(),
                            memory: amount(&known["capacity"]["memory"]).bytes(),
                            max_pods: known["capacity"]["pods"].as_str().unwrap().parse().unwrap(),
                            arch: Arch::parse(&arch).unwrap(),
                            price: Some(price),
                            spot_price: Some(price),
                            ..InstanceType::default()
                        })
                    });
                    let reserved = types.first().map(|known| &known["reserved"]);
                    groups.push(NodeGroup {
                        name: format!("{os}-{arch}-{zone}-{capacity_type}").into(),
                        max: 1000,
                        zones: vec![zone.as_str().into()],
                        lifecycles: vec![lifecycle(&capacity_type)],
                        os: Os::parse(&os).unwrap(),
                        instance_types: offers.collect(),
                        system_reserved: reserved.map_or_else(Resources::default, |reserved| Resources {
                            cpu: amount(&reserved["cpu"]).cpu(),
                            memory: amount(&reserved["memory"]).bytes(),
                            ..Resources::default()
                        }),
                        ..NodeGroup::default()
                    });
                }
            }
        }
    }
    groups.retain(|group| !group.instance_types.is_empty());
    groups
}

fn config(groups: Vec<NodeGroup>) -> ScaleUpConfig {
    let limits = ClusterLimits { max_cpu: MilliCpu(u64::MAX), max_memory: Bytes(u64::MAX), max_nodes: 10_000 };
    ScaleUpConfig { groups, limits, ..ScaleUpConfig::default() }
}

fn plan(snapshot: &Arc<Snapshot>, groups: Vec<NodeGroup>, policy: &dyn ScaleUpPolicy) -> ScaleUpPlan {
    plan_scale_up(snapshot, &mut Simulation::new(snapshot), &config(groups), NOW, policy)
}

fn pending_pods(pods: &Value, prefix: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for (kind, pod) in items(pods).iter().enumerate() {
        for at in 0..pod["count"].as_u64().unwrap() {
            let requirements = items(&pod["node_requirements"]);
            let term = json!({"nodeSelectorTerms": [{"matchExpressions": requirements}]});
            let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}});
            all.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{prefix}-{kind}-{at}"), "namespace": "default", "labels": pod["labels"]},
                "spec": {
                    "nodeSelector": pod["nodeSelector"],
                    "affinity": if requirements.is_empty() { Value::Null } else { affinity },
                    "topologySpreadConstraints": pod["topologySpreadConstraints"],
                    "containers": [{"name": "c", "resources": {"requests": pod["requests"]}}],
                },
                "status": {"phase": "Pending"},
            }));
        }
    }
    all
}

#[test]
fn instance_types_are_those_that_karpenter_would_launch() {
    let Some(folder) = std::env::var_os("PLIMSOLL_PEER_CASES").map(PathBuf::from) else { return };
    let assorted = items(&read(&folder, "karpenter_fake_types")["instance_types"]);
    assert!(assorted.len() >= 1344);
    let policy = builtin("least-cost", Value::Null);
    judge("karpenter_instance_selection", 73, |case| {
        let mut types =
            if case["instance_types"].is_array() { items(&case["instance_types"]) } else { assorted.clone() };
        if let Some(dropped) = case["drop_types_matching"].as_object() {
            types.retain(|known| {
                !dropped.iter().all(|(key, value)| {
                    known["labels"][key] == *value || items(&known["offerings"]).iter().any(|o| o[key] == *value)
                })
            });
        }
        let zones = ["test-zone-1", "test-zone-2", "test-zone-3", "test-zone-1a"];
        let groups = pool(&types, &case["pool_requirements"], &zones);
        let snapshot = snapshot(pending_pods(&case["pods"], "p"));
        let plan = plan(&snapshot, groups, &policy);
        let expect = &case["expect"];
        if expect["scheduled"] == false {
            return if plan.launches.is_empty() { Ok(()) } else { Err(format!("{:?}", plan.launches)) };
        }
        let launched =
            |check: &dyn Fn(&PlannedLaunch) -> bool| !plan.launches.is_empty() && plan.launches.iter().all(check);
        if !plan.pending.is_empty() {
            return Err(format!("{:?}", plan.pending));
        }
        let nodes: u32 = plan.launches.iter().map(|launch| launch.count).sum();
        let price = expect["price"].as_f64().map(dollars);
        let has = |launch: &PlannedLaunch, key: &str, value: &Value| match key {
            well_known::ZONE => launch.zone == *value.as_str().unwrap(),
            well_known::LIFECYCLE_KARPENTER => launch.lifecycle == lifecycle(value.as_str().unwrap()),
            _ => launch.group.split('-').any(|part| *value == *part),
        };
        let agrees = price.is_none_or(|price| launched(&|launch| launch.price == Some(price)))
            && expect["new_nodes"].as_u64().is_none_or(|count| count == u64::from(nodes))
            && expect["instance_type"].as_str().is_none_or(|name| launched(&|launch| launch.instance_type == *name))
            && expect["every_candidate_has"]
                .as_object()
                .into_iter()
                .flatten()
                .all(|(key, value)| launched(&|launch| has(launch, key, value)));
        if agrees { Ok(()) } else { Err(format!("expected {expect}, got {:?}", plan.launches)) }
    });
}

/// A cluster to which nodes are added as planned, and to whose nodes pods are bound as kube-scheduler would.
#[derive(Default)]
struct Growing {
    nodes: Vec<Value>,
    pods: Vec<Value>,
}

impl Growing {
    fn step(&mut self, number: usize, step: &Value, policy: &dyn ScaleUpPolicy) -> usize {
        let zones = ["test-zone-1", "test-zone-2", "test-zone-3"];
        let requirements = with_template_labels(step);
        self.pods.extend(pending_pods(&step["pods"], &format!("s{number}")));
        let groups = pool(&small_types(&zones), &requirements, &zones);
        let before = self.snapshot();
        let plan = plan(&before, groups, policy);
        let mut added = 0;
        for launch in &plan.launches {
            for _ in 0..launch.count {
                self.add_node(launch);
                added += 1;
            }
        }
        let new: usize = plan.launches.iter().map(|launch| launch.pods.len()).sum();
        let existing = plan.pending.iter().filter(|pending| pending.reason == PendingReason::FitsExistingNode).count();
        self.bind(new + existing);
        added
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        snapshot(self.nodes.iter().chain(&self.pods).cloned().collect())
    }

    fn add_node(&mut self, launch: &PlannedLaunch) {
        let name = format!("node-{}", self.nodes.len());
        let capacity_type = if launch.lifecycle == Lifecycle::Spot { "spot" } else { "on-demand" };
        let amounts = json!({"cpu": "1900m", "memory": "8Gi", "pods": "10"});
        self.nodes.push(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {
                well_known::HOSTNAME: name,
                well_known::ZONE: launch.zone.as_str(),
                well_known::LIFECYCLE_KARPENTER: capacity_type,
                well_known::OS: "linux", well_known::ARCH: "amd64",
            }},
            "status": {"allocatable": amounts, "capacity": amounts, "conditions": [{"type": "Ready", "status": "True"}]},
        }));
    }

    /// Binds pending pods to nodes one after the other. Every pod that the plan promised a place must find one.
    fn bind(&mut self, promised: usize) {
        let snapshot = self.snapshot();
        let mut simulation = Simulation::new(&snapshot);
        let mut nodes = NodeList::of(&simulation, snapshot.nodes().map(|(id, _)| id));
        let mut bound: BTreeMap<String, Text> = BTreeMap::new();
        for (_, pod) in snapshot.pending() {
            let class = simulation.class_of(&snapshot, pod);
            simulation.prepare(&[class]);
            if let Some((node, _)) = simulation.settle(class, 1, &mut nodes).first() {
                bound.insert(pod.name.to_string(), snapshot.node(*node).name.clone());
            }
        }
        assert!(bound.len() >= promised, "{promised} pods were promised a place, {} found one", bound.len());
        for pod in &mut self.pods {
            if let Some(node) = bound.get(pod["metadata"]["name"].as_str().unwrap()) {
                pod["spec"]["nodeName"] = node.as_str().into();
                pod["status"]["phase"] = "Running".into();
            }
        }
        // Karpenter's test deletes what it could not place.
        self.pods.retain(|pod| pod["spec"]["nodeName"].is_string());
    }

    /// Pods with the test's label by domain, smallest first.
    fn domains(&self, key: &str, every_pod: bool) -> Vec<u64> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for pod in self.pods.iter().filter(|pod| every_pod || pod["metadata"]["labels"]["test"] == "test") {
            let node = self.nodes.iter().find(|node| node["metadata"]["name"] == pod["spec"]["nodeName"]).unwrap();
            *counts.entry(node["metadata"]["labels"][key].as_str().unwrap()).or_default() += 1;
        }
        let mut counts: Vec<u64> = counts.into_values().collect();
        counts.sort_unstable();
        counts
    }
}

fn with_template_labels(step: &Value) -> Value {
    let mut requirements: Vec<Value> = items(&step["pool_requirements"]);
    for (key, value) in step["pool_template_labels"].as_object().into_iter().flatten() {
        requirements.retain(|requirement| requirement["key"] != *key);
        requirements.push(json!({"key": key, "operator": "In", "values": [value]}));
    }
    for (key, value) in [(well_known::OS, "linux"), (well_known::ARCH, "amd64")] {
        requirements.push(json!({"key": key, "operator": "In", "values": [value]}));
    }
    requirements.into()
}

/// One small type in every zone: a 1.1-cpu pod fills it.
fn small_types(zones: &[&str]) -> Vec<Value> {
    let offerings: Vec<Value> = zones
        .iter()
        .flat_map(|zone| {
            ["spot", "on-demand"].map(|capacity_type| {
                json!({well_known::ZONE: zone, well_known::LIFECYCLE_KARPENTER: capacity_type,
                       "price": if capacity_type == "spot" { 0.05 } else { 0.1 }})
            })
        })
        .collect();
    vec![json!({
        "name": "small", "capacity": {"cpu": "2", "memory": "8Gi", "pods": "10"},
        "reserved": {"cpu": "100m", "memory": "0"},
        "labels": {well_known::ARCH: "amd64", well_known::OS: "linux"}, "offerings": offerings,
    })]
}

#[test]
fn pods_are_spread_as_karpenter_would_spread_them() {
    let policy = builtin("least-cost", Value::Null);
    judge("karpenter_topology", 25, |case| {
        let mut cluster = Growing::default();
        for (number, step) in items(&case["steps"]).iter().enumerate() {
            let added = cluster.step(number, step, &policy);
            for (key, kept) in step["delete_pods_outside"].as_object().into_iter().flatten() {
                let inside = |pod: &Value| {
                    let node = cluster.nodes.iter().find(|node| node["metadata"]["name"] == pod["spec"]["nodeName"]);
                    items(kept).contains(&node.unwrap()["metadata"]["labels"][key])
                };
                let pods = std::mem::take(&mut cluster.pods);
                cluster.pods = pods.into_iter().filter(|pod| inside(pod)).collect();
            }
            let every_pod = case["note"].as_str().is_some_and(|note| note.contains("every pod"));
            for (key, expected) in step["expect_domain_counts"].as_object().into_iter().flatten() {
                let counts = cluster.domains(key, every_pod);
                if json!(counts) != *expected {
                    return Err(format!(
                        "step {number}: {key} has {counts:?} with {added} new nodes, expected {expected}"
                    ));
                }
            }
            for (key, most) in step["expect_max_per_domain"].as_object().into_iter().flatten() {
                let counts = cluster.domains(key, every_pod);
                if counts.last() > most.as_u64().as_ref() {
                    return Err(format!(
                        "step {number}: {key} has {counts:?} with {added} new nodes, at most {most} expected"
                    ));
                }
            }
            if let Some(nodes) = step["expect_new_nodes"].as_u64()
                && nodes != added as u64
            {
                return Err(format!("step {number}: {added} nodes, expected {nodes}"));
            }
        }
        Ok(())
    });
}

/// An option as a peer's case states it: groups, nodes, pods, sizes, prices.
fn launch_option(case: &Value, option: &Value, shapes: &mut Vec<ShapeDemand>) -> Option<LaunchOption> {
    let nodes = option["node_count"].as_u64().unwrap_or(1);
    let pods = option["pods"].as_array().map_or(option["pod_count"].as_u64().unwrap_or(1), |pods| pods.len() as u64);
    if nodes == 0 {
        return None;
    }
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let size = match &option["node"] {
        Value::String(name) => json!({"cpu_m": if name == "n1" { 1000 } else { 4000 }, "mem": 1000}),
        size => size.clone(),
    };
    let (node_cpu, node_memory) = (MilliCpu(number(&size["cpu_m"])), Bytes(number(&size["mem"])));
    let first = items(&option["pods"]).into_iter().next().unwrap_or_default();
    let (cpu, memory) = (MilliCpu(number(&first["cpu_m"])), Bytes(number(&first["mem"])));
    let pods = u32::try_from(pods).unwrap();
    shapes.push(ShapeDemand {
        pods: pods.max(1),
        example: None,
        namespace: "default".into(),
        cpu,
        memory,
        gpus: 0,
        priority: 0,
        lifecycle: None,
        waiting: None,
        deadline: None,
        headroom: false,
    });
    let price = option["node"].as_str().and_then(|name| case["node_price"][name].as_f64()).map(dollars);
    let nodes = u32::try_from(nodes).unwrap();
    Some(LaunchOption {
        group: option["id"].as_str().unwrap().into(),
        instance_type: "t".into(),
        zone: "a".into(),
        lifecycle: Lifecycle::OnDemand,
        price,
        nodes,
        max_nodes: 1000,
        places: vec![plimsoll_planner::scale_up::Placement { shape: 0, pods }],
        wasted_cpu: node_cpu.times(nodes.into()).saturating_sub(cpu.times(pods.into())),
        wasted_memory: node_memory.times(nodes.into()).saturating_sub(memory.times(pods.into())),
        node_cpu,
        node_memory,
        node_gpus: 0,
        zone_nodes: 0,
        free_ips: None,
        preference: None,
    })
}

#[test]
fn strategies_choose_as_the_expanders_do() {
    judge("ca_expanders", 30, |case| {
        let expander = case["expander"].as_str().unwrap();
        let (strategy, settings) = match expander {
            "price" => ("least-cost", Value::Null),
            "priority" => {
                let table = case["priorities"].as_object().into_iter().flatten();
                let entry = |(priority, groups): (&String, &Value)| json!({"priority": priority.parse::<i32>().unwrap(), "groups": groups});
                ("priority", json!({"priorities": table.map(entry).collect::<Vec<_>>()}))
            }
            other => (other, Value::Null),
        };
        let mut shapes = Vec::new();
        let mut options: Vec<LaunchOption> =
            items(&case["options"]).iter().filter_map(|option| launch_option(case, option, &mut shapes)).collect();
        // Every option is for the same pods: the first shape has as many as the largest option takes.
        shapes.sort_by_key(|shape| std::cmp::Reverse(shape.pods));
        shapes.truncate(1);
        options.retain(|option| option.nodes > 0);
        let expected: Vec<&str> =
            case["expect_best"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        let registry = builtin(strategy, settings);
        let remaining = Remaining { nodes: 1000, cpu: MilliCpu(u64::MAX), memory: Bytes(u64::MAX) };
        let question = ScaleUpQuestion { now: NOW, seed: 1, round: 0, shapes, options, remaining };
        let asked = registry.choose(&Arc::new(Snapshot::default()), &question);
        let chosen = match asked.verdict {
            Some(ScaleUpVerdict::Launch(choices)) => {
                choices.first().map(|choice| question.options[choice.option as usize].group.clone())
            }
            Some(ScaleUpVerdict::Hold(_)) => None,
            None => return Err(format!("no answer: {:?}", asked.calls)),
        };
        let agrees = match &chosen {
            None => expected.is_empty(),
            Some(group) => expected.contains(&group.as_str()),
        };
        if agrees { Ok(()) } else { Err(format!("chose {chosen:?}, expected one of {expected:?}")) }
    });
}
