//! The ledger of launches: what is called when, which nodes came of what, and what is said of those that did not.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::sync::Arc;

use fixture::*;
use plimsoll_model::{
    CsrState, LabelSet, Lifecycle, Node, NodeGroup, SigningRequest, Snapshot, Taint, TaintEffect, Text, Timestamp,
    well_known,
};
use plimsoll_planner::launch::{
    FailedInstance, InventoryFacts, LAUNCH_LABEL, LaunchFailure, LaunchId, LaunchIntent, LaunchOutcome, Ledger,
    LedgerRules, News,
};
use plimsoll_planner::scale_up::{LaunchRequest, PlannedLaunch, ScaleUpConfig, launch_requests};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60_000;

fn after(millis: u64) -> Timestamp {
    Timestamp(NOW.0 + millis)
}

/// Two types in two zones, on demand.
fn two_types(name: &str) -> NodeGroup {
    let mut group = group(name, 0, 50);
    group.instance_types.push(instance_type("r5.xlarge", 4, 32, 252));
    group.startup.taints = vec![taint("net")];
    group
}

fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoSchedule }
}

struct World_ {
    ledger: Ledger,
    config: ScaleUpConfig,
    nodes: Vec<Node>,
    inventory: InventoryFacts,
    requests: Vec<SigningRequest>,
    now: Timestamp,
}

impl World_ {
    fn new() -> Self {
        let groups = vec![two_types("g"), two_types("h")];
        Self {
            ledger: Ledger::new("prod".into(), LedgerRules::default()),
            config: ScaleUpConfig { groups, ..Default::default() },
            nodes: vec![],
            inventory: InventoryFacts::default(),
            requests: vec![],
            now: NOW,
        }
    }

    fn request(&self, group: &str, instance_type: &str, zone: &str, count: u32) -> LaunchRequest {
        let launch = PlannedLaunch {
            group: group.into(),
            instance_type: instance_type.into(),
            zone: zone.into(),
            lifecycle: Lifecycle::OnDemand,
            count,
            pods: vec![],
            headroom: 0,
            price: None,
            reason: String::new(),
        };
        launch_requests(&self.config, &[launch]).remove(0)
    }

    fn intend(&mut self, wanted: &[(&str, &str, &str, u32)]) -> Vec<LaunchId> {
        let requests = wanted.iter().map(|(group, kind, zone, count)| self.request(group, kind, zone, *count));
        let requests = requests.collect();
        let intents = self.ledger.intend(requests, self.now, &"d-1".into(), 7);
        intents.into_iter().map(|intent| intent.id).collect()
    }

    /// Decided, called and accepted.
    fn launch(&mut self, group: &str, instance_type: &str, zone: &str, count: u32, baseline: Option<u32>) -> LaunchId {
        let id = self.intend(&[(group, instance_type, zone, count)]).remove(0);
        assert!(self.ledger.baseline(&id, baseline, self.now));
        self.accept(&id, &[]);
        id
    }

    fn accept(&mut self, id: &LaunchId, names: &[&str]) {
        let nodes = names.iter().map(|name| Text::from(*name)).collect();
        assert_eq!(self.outcome(id, LaunchOutcome::Accepted { nodes }), [] as [String; 0]);
    }

    fn outcome(&mut self, id: &LaunchId, outcome: LaunchOutcome) -> Vec<String> {
        self.ledger.outcome(id, outcome, &self.config, self.now).iter().map(short).collect()
    }

    /// A node created now, not ready yet.
    fn register(&mut self, name: &str, group: &str, instance_type: &str, zone: &str, more: &[(&str, &str)]) {
        let mut node = node(name, group, zone);
        let all = node.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
        let own = [(Text::from(well_known::INSTANCE_TYPE), Text::from(instance_type))];
        let more = more.iter().map(|(key, value)| (Text::from(*key), Text::from(*value)));
        node.labels = Arc::new(all.chain(own).chain(more).collect::<LabelSet>());
        (node.created, node.ready) = (Some(self.now), false);
        self.nodes.push(node);
    }

    fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == *name).unwrap()
    }

    fn remove(&mut self, name: &str) {
        self.nodes.retain(|node| node.name != *name);
    }

    fn csr(&mut self, name: &str, state: CsrState) {
        self.requests.push(SigningRequest {
            name: name.into(),
            signer: "kubernetes.io/kube-apiserver-client-kubelet".into(),
            pem: vec![],
            usages: vec![],
            username: "system:bootstrap:abcdef".into(),
            groups: vec![],
            expiration_seconds: None,
            created: Some(self.now),
            state,
        });
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        let mut world = World::default().nodes(self.nodes.clone());
        self.requests.iter().cloned().for_each(|request| world.builder.add_signing_request(request));
        world.build()
    }

    fn look(&mut self, millis: u64) -> Vec<String> {
        self.now = after(millis);
        let snapshot = self.snapshot();
        let news = self.ledger.observe(&snapshot, &self.inventory, &self.config, self.now);
        let again = self.ledger.observe(&snapshot, &self.inventory, &self.config, self.now);
        assert_eq!(again, [], "a second look tells nothing new");
        let read = Ledger::read(&self.ledger.write(), &"prod".into(), LedgerRules::default());
        assert_eq!(read.as_ref(), Ok(&self.ledger), "what is read is what was written");
        news.iter().map(short).collect()
    }

    fn coming(&self) -> usize {
        self.ledger.launching_nodes(&self.config, &self.snapshot(), self.now).len()
    }

    fn blocked(&self) -> Vec<String> {
        let what = |part: Option<&Text>| part.map_or("*", Text::as_str).to_owned();
        let blocks = self.ledger.blocks(self.now);
        blocks
            .iter()
            .map(|block| {
                let lifecycle = block.lifecycle.map_or("*", Lifecycle::name);
                let (instance_type, zone) = (what(block.instance_type.as_ref()), what(block.zone.as_ref()));
                format!("{} {instance_type} {zone} {lifecycle} {}", block.group, block.until.since(self.now))
            })
            .collect()
    }
}

/// News with the last part of the launch's id.
fn short(news: &News) -> String {
    let place = news.launch().0.rsplit_once('-').unwrap().1.to_owned();
    let label = news.label();
    match news {
        News::Joined { node, .. } | News::Recovered { node, .. } => format!("{label} {place}: {node}"),
        News::NotJoined { nodes, cause, given_up, .. } => {
            let given_up = if given_up.is_some() { "; given up" } else { "" };
            format!("{label} {place}: {nodes}, {cause}{given_up}")
        }
        News::Failed { nodes, failure, fallback, .. } => {
            let fallback = fallback.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            format!("{label} {place}: {nodes}, {failure}, else {fallback}")
        }
    }
}

fn ids(intents: &[&LaunchIntent]) -> Vec<LaunchId> {
    intents.iter().map(|intent| intent.id.clone()).collect()
}

#[test]
fn ids_are_the_same_for_the_same_decision_and_fit_for_names() {
    let make = |cluster: &str, decision: &str| {
        let world = World_::new();
        let requests = (0..3).map(|_| world.request("g", "m5.xlarge", "a", 1)).collect::<Vec<_>>();
        let mut ledger = Ledger::new(cluster.into(), LedgerRules::default());
        let mut intents = ledger.intend(requests.clone(), NOW, &decision.into(), 1);
        intents.extend(ledger.intend(requests, NOW, &decision.into(), 1));
        intents.into_iter().map(|intent| intent.id.0.to_string()).collect::<Vec<_>>()
    };
    let first = make("prod", "d-1");
    assert_eq!(first, make("prod", "d-1"));
    let mut all = [first.clone(), make("prod", "d-2"), make("test", "d-1"), make("Tést/1", &"x".repeat(500))].concat();
    for id in &all {
        assert!(id.len() <= 40 && id.starts_with(|c: char| c.is_ascii_lowercase()), "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{id}");
        assert!(!id.ends_with('-'));
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 24);
}

#[test]
fn baselines_are_taken_one_after_the_other_within_a_group() {
    let mut world = World_::new();
    let all = world.intend(&[
        ("g", "m5.xlarge", "a", 2),
        ("g", "r5.xlarge", "a", 1),
        ("h", "m5.xlarge", "a", 1),
        ("h", "r5.xlarge", "b", 1),
        ("g", "m5.xlarge", "a", 0),
    ]);
    assert_eq!(all.len(), 4, "no node is no launch");
    assert_eq!(world.coming(), 5, "they count from the decision on");
    let [g1, g2, h1, h2] = <[LaunchId; 4]>::try_from(all).unwrap();
    assert_eq!(ids(&world.ledger.open_baselines(NOW)), [g1.clone(), h1.clone()]);
    assert!(world.ledger.open_calls(NOW).is_empty());
    assert!(!world.ledger.baseline(&g2, Some(3), NOW), "not its turn");
    assert!(world.ledger.baseline(&g1, Some(3), NOW));
    assert!(world.ledger.baseline(&h1, None, NOW));
    assert_eq!(
        ids(&world.ledger.open_baselines(NOW)),
        std::slice::from_ref(&h2),
        "names of their own stand in nobody's way"
    );
    let calls = world.ledger.open_calls(NOW);
    assert_eq!((ids(&calls), calls[0].baseline), (vec![g1.clone(), h1.clone()], Some(3)));
    assert!(!world.ledger.baseline(&g1, Some(4), NOW), "a baseline does not change");

    assert!(world.outcome(&g1, LaunchOutcome::Unknown("timed out".to_owned())).is_empty());
    assert_eq!(
        ids(&world.ledger.open_baselines(NOW)),
        std::slice::from_ref(&h2),
        "nobody knows the size before the answer"
    );
    assert_eq!(ids(&world.ledger.open_calls(after(9 * SECOND))), std::slice::from_ref(&h1));
    assert_eq!(world.ledger.next_call(NOW), Some(after(10 * SECOND)));
    assert_eq!(ids(&world.ledger.open_calls(after(10 * SECOND))), [g1.clone(), h1.clone()]);
    world.accept(&g1, &[]);
    assert_eq!(ids(&world.ledger.open_baselines(NOW)), [g2, h2]);
    assert_eq!(ids(&world.ledger.open_calls(after(MINUTE))), [h1]);
    assert_eq!(world.coming(), 5);
}

#[test]
fn whoever_reads_the_ledger_finishes_the_calls() {
    let mut world = World_::new();
    let all = world.intend(&[("g", "m5.xlarge", "a", 2), ("h", "m5.xlarge", "a", 1)]);
    world.ledger.baseline(&all[0], Some(3), NOW);
    let next = Ledger::read(&world.ledger.write(), &"prod".into(), LedgerRules::default()).unwrap();
    assert_eq!(ids(&next.open_calls(NOW)), [all[0].clone()]);
    assert_eq!(next.open_calls(NOW)[0], world.ledger.find(&all[0].0).unwrap());
    assert_eq!(ids(&next.open_baselines(NOW)), [all[1].clone()]);
    assert!(next.open_calls(after(15 * MINUTE)).is_empty(), "what is long ago is not launched any more");
    assert!(next.open_baselines(after(15 * MINUTE)).is_empty());
    assert_eq!(next.launching_nodes(&world.config, &world.snapshot(), after(15 * MINUTE)).len(), 0);
}

#[test]
fn a_refused_launch_is_over_and_the_next_plan_does_something_else() {
    let said = || "sold out".to_owned();
    for (failure, blocked, ended, fallback) in [
        (LaunchFailure::NoCapacity(said()), "g m5.xlarge a on-demand 5m", 1, "g × m5.xlarge in b, on-demand"),
        (LaunchFailure::Quota(said()), "g m5.xlarge * on-demand 5m", 2, "g × r5.xlarge in a, on-demand"),
        (LaunchFailure::Unauthorized(said()), "g * * * 5m", 3, "nothing"),
        (LaunchFailure::RateLimited(said()), "g * * * 30s", 3, "nothing"),
    ] {
        let mut world = World_::new();
        let all = world.intend(&[
            ("g", "m5.xlarge", "a", 2),
            ("g", "m5.xlarge", "b", 1),
            ("g", "r5.xlarge", "a", 1),
            ("h", "m5.xlarge", "a", 1),
        ]);
        world.ledger.baseline(&all[0], Some(0), NOW);
        let news = world.outcome(&all[0], LaunchOutcome::Failed(failure.clone()));
        assert_eq!(news.len(), ended, "{failure}: those that would fail alike are not even called");
        assert_eq!(news[0], format!("LaunchFailed 0: 2, {failure}, else {fallback}"));
        assert_eq!(world.blocked(), [blocked]);
        assert_eq!(world.coming(), 5 - 1 - ended, "{failure}");
        assert!(world.outcome(&all[0], LaunchOutcome::Failed(failure)).is_empty(), "it is over");
        assert!(world.outcome(&all[0], LaunchOutcome::Accepted { nodes: vec![] }).is_empty());
        assert_eq!(world.coming(), 5 - 1 - ended);
        assert!(world.look(0).is_empty());
    }
}

#[test]
fn a_node_belongs_to_the_launch_that_names_it_else_to_the_oldest_of_its_kind() {
    let mut world = World_::new();
    let first = world.launch("g", "m5.xlarge", "a", 1, None);
    let second = world.launch("g", "m5.xlarge", "a", 1, None);
    let third = world.launch("g", "m5.xlarge", "a", 2, None);
    world.accept(&third, &["given"]);
    world.launch("g", "r5.xlarge", "a", 1, None);
    world.launch("h", "m5.xlarge", "b", 1, None);
    assert_eq!(world.coming(), 6);
    world.now = after(30 * SECOND);
    world.register("given", "elsewhere", "r5.xlarge", "b", &[]);
    world.register("labelled", "g", "m5.xlarge", "a", &[(LAUNCH_LABEL, &second.0)]);
    world.register("stranger", "g", "m5.xlarge", "a", &[(LAUNCH_LABEL, "l0000000000000000-0")]);
    world.register("b", "g", "m5.xlarge", "a", &[]);
    world.register("zone", "h", "m5.xlarge", "a", &[]);
    world.register("spot", "h", "m5.xlarge", "b", &[(well_known::LIFECYCLE, "spot")]);
    world.register("old", "g", "r5.xlarge", "a", &[]);
    world.node("old").created = Some(Timestamp(NOW.0 - 11 * SECOND));
    world.register("timeless", "g", "r5.xlarge", "a", &[]);
    world.node("timeless").created = None;
    world.nodes.iter_mut().for_each(|node| node.ready = true);
    let mut row = world.nodes[3].clone();
    (row.name, row.launching) = ("launch/x/0".into(), true);
    world.nodes.push(row);
    let mut news = world.look(30 * SECOND);
    news.sort_unstable();
    assert_eq!(news, ["NodeJoined 0: b", "NodeJoined 1: labelled", "NodeJoined 2: given"], "{first}");
    assert_eq!(world.coming(), 3);
    world.register("a", "g", "m5.xlarge", "a", &[]);
    world.node("a").ready = true;
    assert_eq!(world.look(31 * SECOND), ["NodeJoined 2: a"]);
    world.node("old").created = Some(Timestamp(NOW.0 - 10 * SECOND));
    assert_eq!(world.look(32 * SECOND), ["NodeJoined 3: old"], "clocks differ");
    assert_eq!(world.coming(), 1);
}

#[test]
fn nobody_takes_the_nodes_of_others() {
    let mut world = World_::new();
    let first = world.launch("g", "m5.xlarge", "a", 1, None);
    world.accept(&first, &["n1"]);
    world.register("n1", "g", "m5.xlarge", "a", &[]);
    world.node("n1").ready = true;
    assert_eq!(world.look(0), ["NodeJoined 0: n1"]);
    let second = world.launch("g", "m5.xlarge", "a", 1, None);
    world.accept(&second, &["n1"]);
    world.register("n2", "g", "m5.xlarge", "a", &[]);
    world.node("n2").ready = true;
    assert_eq!(world.look(SECOND), ["NodeJoined 1: n2"], "a name that is taken is none");
    // What was never called has launched nothing.
    world.intend(&[("h", "m5.xlarge", "a", 1)]);
    world.register("n3", "h", "m5.xlarge", "a", &[]);
    assert!(world.look(2 * SECOND).is_empty());
    assert_eq!(world.coming(), 1);
}

#[test]
fn a_node_is_of_a_launch_that_still_waits_before_one_that_was_given_up() {
    let mut world = World_::new();
    world.launch("g", "m5.xlarge", "a", 1, None);
    assert_eq!(world.look(15 * MINUTE), ["NodeNotJoined 0: 1, no CSR seen; given up"]);
    world.launch("g", "m5.xlarge", "a", 1, None);
    for name in ["n1", "n2"] {
        world.register(name, "g", "m5.xlarge", "a", &[]);
        world.node(name).ready = true;
    }
    let mut news = world.look(16 * MINUTE);
    news.sort_unstable();
    assert_eq!(news, ["NodeJoined 1: n1", "NodeRecovered 0: n2"]);
}

#[test]
fn a_provider_that_is_told_sizes_may_launch_another_kind() {
    let mut world = World_::new();
    world.launch("g", "m5.xlarge", "a", 1, Some(4));
    world.launch("g", "r5.xlarge", "b", 1, Some(5));
    world.register("n1", "g", "r5.xlarge", "b", &[]);
    world.register("n2", "g", "c5.xlarge", "c", &[]);
    world.nodes.iter_mut().for_each(|node| node.ready = true);
    let mut news = world.look(0);
    news.sort_unstable();
    assert_eq!(news, ["NodeJoined 0: n2", "NodeJoined 1: n1"]);
}

#[test]
fn the_inventory_tells_the_node_of_a_machine() {
    let mut world = World_::new();
    let id = world.launch("g", "m5.xlarge", "a", 1, None);
    world.accept(&id, &["m-1"]);
    world.inventory.machines = vec![machine("m-1", None, &[])];
    assert!(world.look(0).is_empty());
    world.inventory.machines = vec![machine("m-1", Some("ip-1"), &[])];
    world.register("ip-1", "?", "m5.xlarge", "a", &[]);
    world.node("ip-1").ready = true;
    assert_eq!(world.look(1), ["NodeJoined 0: ip-1"]);
}

#[test]
fn late_nodes_are_reported_once_with_the_cause() {
    let cases: [(&str, Option<CsrState>, &str); 5] = [
        ("nothing was asked", None, "no CSR seen"),
        ("it waits", Some(CsrState::Pending), "CSR csr-1 pending"),
        ("denied", Some(CsrState::Denied), "CSR csr-1 was denied"),
        ("failed", Some(CsrState::Failed), "CSR csr-1 could not be signed"),
        ("approved", Some(CsrState::Approved), "CSR csr-1 was approved, and no node has registered since"),
    ];
    for (name, state, cause) in cases {
        let mut world = World_::new();
        world.launch("g", "m5.xlarge", "a", 2, None);
        world.now = after(30 * SECOND);
        if let Some(state) = state {
            world.csr("csr-1", state);
        }
        assert!(world.look(5 * MINUTE - 1).is_empty(), "{name}");
        assert_eq!(world.look(5 * MINUTE), [format!("NodeNotJoined 0: 2, {cause}")], "{name}");
        assert!(world.look(15 * MINUTE - 1).is_empty());
        assert_eq!((world.coming(), world.blocked().len()), (2, 0), "they are still on their way");
        assert_eq!(world.look(15 * MINUTE), [format!("NodeNotJoined 0: 2, {cause}; given up")], "{name}");
        assert_eq!((world.coming(), world.blocked()), (0, vec!["g m5.xlarge a on-demand 5m".to_owned()]));
        assert!(world.look(16 * MINUTE).is_empty());
        // What was given up may still come, and then all is forgiven.
        world.register("n1", "g", "m5.xlarge", "a", &[]);
        assert!(world.look(17 * MINUTE).is_empty());
        world.node("n1").ready = true;
        assert_eq!(world.look(18 * MINUTE), ["NodeRecovered 0: n1"]);
        assert!(world.blocked().is_empty());
        assert_eq!(world.coming(), 0);
    }
}

#[test]
fn requests_of_nodes_that_are_there_explain_nothing() {
    let mut world = World_::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let request = |node: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("system:node:{node}"));
        params.serialize_request(&key).unwrap().pem().unwrap().into_bytes()
    };
    let id = world.launch("g", "m5.xlarge", "a", 3, None);
    world.accept(&id, &["n1", "n2"]);
    world.now = after(30 * SECOND);
    world.register("there", "h", "m5.xlarge", "a", &[]);
    for (name, node) in [("csr-there", "there"), ("csr-1", "n1"), ("csr-else", "n9")] {
        world.csr(name, CsrState::Pending);
        world.requests.last_mut().unwrap().pem = request(node);
    }
    world.csr("csr-serving", CsrState::Pending);
    world.requests.last_mut().unwrap().signer = "kubernetes.io/kubelet-serving".into();
    world.csr("csr-old", CsrState::Pending);
    world.requests.last_mut().unwrap().created = Some(Timestamp(NOW.0 - MINUTE));
    assert_eq!(
        world.look(6 * MINUTE),
        ["NodeNotJoined 0: 2, CSR csr-1 pending", "NodeNotJoined 0: 1, no CSR seen"],
        "n1's own, anybody's for the one without a name, and none for n2"
    );
}

#[test]
fn a_node_that_is_there_must_also_start() {
    let mut world = World_::new();
    world.launch("g", "m5.xlarge", "a", 2, None);
    world.now = after(MINUTE);
    world.register("n1", "g", "m5.xlarge", "a", &[]);
    world.register("n2", "g", "m5.xlarge", "a", &[]);
    world.node("n1").taints = vec![taint("node.kubernetes.io/not-ready")];
    world.node("n2").ready = true;
    world.node("n2").taints = vec![taint("lasting"), taint("net")];
    assert!(world.look(MINUTE).is_empty());
    assert_eq!(world.coming(), 0, "the nodes count themselves");
    assert!(world.look(6 * MINUTE - 1).is_empty(), "grace begins with the node");
    assert_eq!(
        world.look(6 * MINUTE),
        [
            "NodeNotJoined 0: 1, node n1 is not ready: taint node.kubernetes.io/not-ready:NoSchedule",
            "NodeNotJoined 0: 1, node n2 joined, taint net:NoSchedule still present"
        ]
    );
    world.node("n2").taints.pop();
    assert_eq!(world.look(7 * MINUTE), ["NodeRecovered 0: n2"]);
    let given_up = "NodeNotJoined 0: 1, node n1 is not ready: taint node.kubernetes.io/not-ready:NoSchedule; given up";
    assert_eq!(world.look(15 * MINUTE), [given_up]);
    assert_eq!(world.blocked(), ["g m5.xlarge a on-demand 5m"]);
    assert_eq!(world.coming(), 0);
}

#[test]
fn a_node_that_leaves_before_it_is_ready_is_a_failure_and_one_that_leaves_later_is_none() {
    let mut world = World_::new();
    world.launch("g", "m5.xlarge", "a", 2, None);
    world.register("n1", "g", "m5.xlarge", "a", &[]);
    world.register("n2", "g", "m5.xlarge", "a", &[]);
    world.node("n2").ready = true;
    assert_eq!(world.look(0), ["NodeJoined 0: n2"]);
    world.remove("n1");
    world.remove("n2");
    let left = "NodeNotJoined 0: 1, node n1 joined and left again before it was ready; given up";
    assert_eq!(world.look(SECOND), [left]);
    assert_eq!((world.coming(), world.blocked().len()), (0, 1), "nothing is awaited again");
    // Names are used again.
    world.launch("g", "m5.xlarge", "a", 1, None);
    world.now = after(MINUTE);
    world.register("n2", "g", "m5.xlarge", "a", &[]);
    world.node("n2").ready = true;
    assert_eq!(world.look(MINUTE), ["NodeJoined 1: n2"]);
}

#[test]
fn instances_that_cannot_be_made_are_no_longer_awaited() {
    let mut world = World_::new();
    let failed = |id: &str, group: &str| FailedInstance {
        group: group.into(),
        id: id.into(),
        failure: LaunchFailure::NoCapacity("none left".to_owned()),
    };
    world.inventory.failed = vec![failed("i-old", "g")];
    assert!(world.look(0).is_empty());
    world.launch("g", "m5.xlarge", "a", 3, Some(0));
    assert!(world.look(SECOND).is_empty(), "what failed before is not of this launch");
    world.inventory.failed.extend([failed("i-1", "g"), failed("i-2", "g"), failed("i-3", "h")]);
    let news = "LaunchFailed 0: 2, NoCapacity: none left, else g × m5.xlarge in b, on-demand";
    assert_eq!(world.look(2 * SECOND), [news]);
    assert_eq!((world.coming(), world.blocked()), (1, vec!["g m5.xlarge a on-demand 5m".to_owned()]));
    assert_eq!(world.look(16 * MINUTE), ["NodeNotJoined 0: 1, no CSR seen; given up"]);
    // Long after the launch is forgotten they are nobody else's.
    assert!(world.look(120 * MINUTE).is_empty());
    assert!(world.ledger.find("anything").is_none() && world.ledger.open().next().is_none());
    world.launch("g", "m5.xlarge", "a", 1, Some(0));
    assert!(world.look(121 * MINUTE).is_empty());
    assert_eq!(world.coming(), 1);
}

#[test]
fn a_call_that_nobody_answers_is_given_up_with_its_group() {
    let mut world = World_::new();
    let all = world.intend(&[("g", "m5.xlarge", "a", 1), ("g", "r5.xlarge", "a", 1)]);
    world.ledger.baseline(&all[0], Some(0), NOW);
    for _ in 0..40 {
        world.outcome(&all[0], LaunchOutcome::Unknown("deadline exceeded".to_owned()));
    }
    let silent = "the provider has not answered: deadline exceeded";
    assert_eq!(
        world.look(5 * MINUTE),
        [format!("NodeNotJoined 0: 1, {silent}"), "NodeNotJoined 1: 1, the provider was never called".to_owned()]
    );
    assert_eq!(ids(&world.ledger.open_calls(world.now)), [all[0].clone()], "at least every two minutes");
    assert_eq!(
        world.look(15 * MINUTE),
        [
            format!("NodeNotJoined 0: 1, {silent}; given up"),
            "NodeNotJoined 1: 1, the provider was never called; given up".to_owned()
        ]
    );
    assert_eq!((world.coming(), world.blocked()), (0, vec!["g * * * 5m".to_owned()]));
    assert!(world.ledger.open_calls(world.now).is_empty() && world.ledger.open_baselines(world.now).is_empty());
}

#[test]
fn all_nodes_there_means_no_further_call() {
    let mut world = World_::new();
    let id = world.intend(&[("g", "m5.xlarge", "a", 1)]).remove(0);
    world.ledger.baseline(&id, Some(2), NOW);
    world.outcome(&id, LaunchOutcome::Unknown("connection reset".to_owned()));
    world.register("n1", "g", "m5.xlarge", "a", &[]);
    world.node("n1").ready = true;
    assert_eq!(world.look(MINUTE), ["NodeJoined 0: n1"]);
    assert!(world.ledger.open_calls(world.now).is_empty(), "a group that has shrunk since would grow again");
}

#[test]
fn what_has_ended_is_dropped_but_never_while_its_nodes_could_be_taken_for_others() {
    let mut world = World_::new();
    let first = world.launch("g", "m5.xlarge", "a", 1, None);
    world.now = after(SECOND);
    world.register("n1", "g", "m5.xlarge", "a", &[]);
    world.node("n1").ready = true;
    assert_eq!(world.look(SECOND), ["NodeJoined 0: n1"]);
    assert!(world.look(10 * MINUTE).is_empty());
    assert!(world.ledger.find(&first.0).is_some());
    assert!(world.look(11 * MINUTE).is_empty());
    assert!(world.ledger.find(&first.0).is_none());

    let mut world = World_::new();
    let old = world.launch("g", "m5.xlarge", "a", 1, None);
    let young = world.launch("g", "m5.xlarge", "a", 1, None);
    world.register("n1", "g", "m5.xlarge", "a", &[]);
    world.node("n1").ready = true;
    assert_eq!(world.look(SECOND), ["NodeJoined 0: n1"]);
    world.look(14 * MINUTE);
    world.look(14 * MINUTE);
    assert!(world.ledger.find(&old.0).is_none() && world.ledger.find(&young.0).is_some());
    assert_eq!(world.coming(), 1, "n1 is nobody else's");
    world.register("n2", "g", "m5.xlarge", "a", &[]);
    world.node("n2").ready = true;
    assert_eq!(world.look(14 * MINUTE), ["NodeRecovered 1: n2"]);
}

/// A node that was there before the launch is none of its nodes, however young it is.
#[test]
fn bystanders_are_not_taken_for_launched_nodes() {
    let mut world = World_::new();
    world.register("young", "g", "m5.xlarge", "a", &[]);
    assert_eq!(world.look(0), [] as [String; 0]);
    world.launch("g", "m5.xlarge", "a", 1, None);
    world.look(1_000);
    assert_eq!(world.coming(), 1, "the launch still waits for its node");
    world.register("new", "g", "m5.xlarge", "a", &[]);
    world.look(2_000);
    assert_eq!(world.coming(), 0, "a node that came since is the one");
}
