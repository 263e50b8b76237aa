//! A crash at any moment neither loses a launch nor doubles one, and every launched node counts exactly once: as a row
//! while it is on its way, as itself once it is there.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixture::*;
use plimsoll_model::{LabelSet, Lifecycle, Node, Snapshot, Text, Timestamp};
use plimsoll_planner::launch::{
    InventoryFacts, LAUNCH_LABEL, LaunchFailure, LaunchId, LaunchIntent, LaunchOutcome, Ledger, LedgerRules, News,
};
use plimsoll_planner::scale_up::{PlannedLaunch, ScaleUpConfig, launch_requests};
use proptest::prelude::*;

/// Told a size; gives names; gives labels.
const GROUPS: [&str; 3] = ["sized", "named", "labelled"];
const ZONES: [&str; 2] = ["a", "b"];

/// How a call ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Answered,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It never arrived.
    CallLost,
    Refused,
}

#[derive(Clone, Debug)]
enum Step {
    Intend(Vec<(usize, usize, u32)>),
    Baselines,
    Call(Ending),
    /// The controller ends in the middle of a call: done or not, nobody noted it.
    CrashInCall(bool),
    Register(usize),
    Ready(usize),
    Leave(usize),
    Observe,
    /// What was not written down is lost.
    CrashBeforeWriting,
    Wait(u64),
}

/// A machine that is under way.
struct Machine {
    name: String,
    group: usize,
    zone: usize,
    launch: LaunchId,
}

/// A provider that does as the contract of launches says.
#[derive(Default)]
struct Provider {
    target: u32,
    done: BTreeMap<LaunchId, Vec<Text>>,
    machines: Vec<Machine>,
    made: u32,
}

impl Provider {
    fn launch(&mut self, intent: &LaunchIntent) -> Vec<Text> {
        let group = GROUPS.iter().position(|name| intent.request.group == *name).unwrap();
        let zone = ZONES.iter().position(|name| intent.request.zone == *name).unwrap();
        let missing = match intent.baseline {
            Some(baseline) => {
                let wanted = baseline + intent.request.count;
                let missing = wanted.saturating_sub(self.target);
                self.target = self.target.max(wanted);
                missing
            }
            None if self.done.contains_key(&intent.id) => 0,
            None => intent.request.count,
        };
        for _ in 0..missing {
            self.made += 1;
            let name = format!("n{:04}", self.made);
            self.done.entry(intent.id.clone()).or_default().push(name.as_str().into());
            self.machines.push(Machine { name, group, zone, launch: intent.id.clone() });
        }
        if group == 1 { self.done.get(&intent.id).cloned().unwrap_or_default() } else { vec![] }
    }
}

struct Run {
    config: ScaleUpConfig,
    ledger: Ledger,
    written: String,
    provider: Provider,
    nodes: Vec<Node>,
    left: u32,
    refused: BTreeSet<LaunchId>,
    /// Every launch that was written down.
    intended: BTreeMap<LaunchId, u32>,
    joined: BTreeSet<Text>,
    /// Those of which that was written down.
    recorded: BTreeSet<Text>,
    crashed: bool,
    decisions: u32,
    now: Timestamp,
}

impl Run {
    fn new() -> Self {
        let ledger = Ledger::new("prod".into(), LedgerRules::default());
        Self {
            config: ScaleUpConfig { groups: GROUPS.map(|name| group(name, 0, 1000)).into(), ..Default::default() },
            written: ledger.write(),
            ledger,
            provider: Provider::default(),
            nodes: vec![],
            left: 0,
            refused: BTreeSet::new(),
            intended: BTreeMap::new(),
            joined: BTreeSet::new(),
            recorded: BTreeSet::new(),
            crashed: false,
            decisions: 0,
            now: NOW,
        }
    }

    fn write(&mut self) {
        self.written = self.ledger.write();
    }

    fn crash(&mut self) {
        self.crashed = true;
        self.ledger = Ledger::read(&self.written, &"prod".into(), LedgerRules::default()).unwrap();
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        World::default().nodes(self.nodes.clone()).build()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Intend(wanted) => {
                let launch = |(group, zone, count): &(usize, usize, u32)| PlannedLaunch {
                    group: GROUPS[*group].into(),
                    instance_type: "m5.xlarge".into(),
                    zone: ZONES[*zone].into(),
                    lifecycle: Lifecycle::OnDemand,
                    count: *count,
                    pods: vec![],
                    headroom: 0,
                    price: None,
                    reason: String::new(),
                };
                let launches: Vec<PlannedLaunch> = wanted.iter().map(launch).collect();
                self.decisions += 1;
                let decision = format!("d-{}", self.decisions).into();
                let intents = self.ledger.intend(launch_requests(&self.config, &launches), self.now, &decision, 1);
                self.intended.extend(intents.into_iter().map(|intent| (intent.id, intent.request.count)));
                self.write();
            }
            Step::Baselines => {
                for intent in self.ledger.open_baselines(self.now).into_iter().cloned().collect::<Vec<_>>() {
                    let baseline = (intent.request.group == *GROUPS[0]).then_some(self.provider.target);
                    assert!(self.ledger.baseline(&intent.id, baseline, self.now));
                }
                self.write();
            }
            Step::Call(ending) => {
                let Some(intent) = self.ledger.open_calls(self.now).first().copied().cloned() else { return };
                let begun = self.provider.done.contains_key(&intent.id);
                let outcome = match ending {
                    Ending::Answered => LaunchOutcome::Accepted { nodes: self.provider.launch(&intent) },
                    Ending::AnswerLost => {
                        self.provider.launch(&intent);
                        LaunchOutcome::Unknown("reset".to_owned())
                    }
                    // Who has done it once does not refuse it then.
                    Ending::Refused if !begun => LaunchOutcome::Failed(LaunchFailure::NoCapacity("none".to_owned())),
                    Ending::CallLost | Ending::Refused => LaunchOutcome::Unknown("refused".to_owned()),
                };
                let news = self.ledger.outcome(&intent.id, outcome, &self.config, self.now);
                self.refused.extend(news.iter().map(|news| news.launch().clone()));
                self.write();
            }
            Step::CrashInCall(done) => {
                let Some(intent) = self.ledger.open_calls(self.now).first().copied().cloned() else { return };
                if *done {
                    self.provider.launch(&intent);
                }
                self.crash();
            }
            Step::Register(which) => {
                if self.provider.machines.is_empty() {
                    return;
                }
                let machine = self.provider.machines.remove(which % self.provider.machines.len());
                let mut node = node(&machine.name, GROUPS[machine.group], ZONES[machine.zone]);
                if machine.group == 2 {
                    let own = [(Text::from(LAUNCH_LABEL), machine.launch.0.clone())];
                    let all = node.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
                    node.labels = Arc::new(all.chain(own).collect::<LabelSet>());
                }
                (node.created, node.ready) = (Some(self.now), false);
                self.nodes.push(node);
            }
            Step::Ready(which) => {
                let count = self.nodes.len().max(1);
                if let Some(node) = self.nodes.get_mut(which % count) {
                    node.ready = true;
                }
            }
            Step::Leave(which) => {
                // Nobody can tell what came and went while nobody looked; one of a group of a size comes back.
                let seen =
                    |node: &Node| self.recorded.contains(&node.name) && *node.group_label().unwrap() != GROUPS[0];
                let candidates: Vec<usize> = (0..self.nodes.len()).filter(|&at| seen(&self.nodes[at])).collect();
                if let Some(&at) = candidates.get(which % candidates.len().max(1)) {
                    self.nodes.remove(at);
                    self.left += 1;
                }
            }
            Step::Observe => {
                self.observe();
                self.write();
                self.recorded = self.joined.clone();
            }
            Step::CrashBeforeWriting => {
                self.observe();
                self.crash();
            }
            // Not so long that anything is given up before the end.
            Step::Wait(seconds) => self.now = Timestamp((self.now.0 + seconds * 1000).min(NOW.0 + 8 * 60_000)),
        }
    }

    fn observe(&mut self) {
        let snapshot = self.snapshot();
        let news = self.ledger.observe(&snapshot, &InventoryFacts::default(), &self.config, self.now);
        for news in news {
            if let News::Joined { node, .. } | News::Recovered { node, .. } = news {
                let new = self.joined.insert(node.clone());
                assert!(new || self.crashed, "{node} joined twice");
            }
        }
    }

    /// Nodes that count: rows, and nodes that are there.
    fn check(&mut self) {
        let snapshot = self.snapshot();
        let mut copy = Ledger::read(&self.ledger.write(), &"prod".into(), LedgerRules::default()).unwrap();
        assert_eq!(copy, self.ledger);
        copy.observe(&snapshot, &InventoryFacts::default(), &self.config, self.now);
        let rows = copy.launching_nodes(&self.config, &snapshot, self.now);
        let names: BTreeSet<&Text> = rows.iter().map(|row| &row.name).collect();
        assert_eq!(names.len(), rows.len(), "rows have names of their own");
        let wanted: u32 =
            self.intended.iter().filter(|(id, _)| !self.refused.contains(id)).map(|(_, count)| count).sum();
        let counted = rows.len() + self.nodes.len() + self.left as usize;
        assert_eq!(counted, wanted as usize, "rows {}, nodes {}, left {}", rows.len(), self.nodes.len(), self.left);
    }

    /// Everything ends well from here on.
    fn finish(&mut self) {
        for _ in 0..100 {
            self.step(&Step::Baselines);
            for intent in self.ledger.open_calls(self.now).into_iter().cloned().collect::<Vec<_>>() {
                let nodes = self.provider.launch(&intent);
                self.ledger.outcome(&intent.id, LaunchOutcome::Accepted { nodes }, &self.config, self.now);
            }
            self.now = Timestamp(self.now.0 + 3000);
        }
        while !self.provider.machines.is_empty() {
            self.step(&Step::Register(0));
        }
        self.nodes.iter_mut().for_each(|node| node.ready = true);
        self.observe();
        let wanted: u32 =
            self.intended.iter().filter(|(id, _)| !self.refused.contains(id)).map(|(_, count)| count).sum();
        assert_eq!(self.provider.made, wanted, "what was decided was launched, once");
        assert_eq!(self.ledger.launching_nodes(&self.config, &self.snapshot(), self.now).len(), 0);
        assert!(self.ledger.open().next().is_none());
        for node in &self.nodes {
            assert!(self.joined.contains(&node.name), "{} was told", node.name);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![
        4 => Just(Ending::Answered),
        2 => Just(Ending::AnswerLost),
        2 => Just(Ending::CallLost),
        1 => Just(Ending::Refused),
    ];
    prop_oneof![
        2 => prop::collection::vec((0..3usize, 0..2usize, 1..4u32), 1..4).prop_map(Step::Intend),
        3 => Just(Step::Baselines),
        6 => ending.prop_map(Step::Call),
        2 => any::<bool>().prop_map(Step::CrashInCall),
        5 => (0..50usize).prop_map(Step::Register),
        3 => (0..50usize).prop_map(Step::Ready),
        1 => (0..50usize).prop_map(Step::Leave),
        4 => Just(Step::Observe),
        1 => Just(Step::CrashBeforeWriting),
        3 => (1..60u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_is_doubled(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
            run.check();
        }
        run.finish();
    }

    #[test]
    fn whatever_the_config_map_holds_is_read_or_refused(
        cut in 0..4000usize, at in 0..4000usize, byte in any::<u8>(), steps in prop::collection::vec(step(), 1..20),
    ) {
        let mut run = Run::new();
        steps.iter().for_each(|step| run.step(step));
        let mut text = run.ledger.write().into_bytes();
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        text.truncate(cut.max(2));
        if let Ok(mut read) = Ledger::read(&String::from_utf8_lossy(&text), &"prod".into(), LedgerRules::default()) {
            let snapshot = run.snapshot();
            read.observe(&snapshot, &InventoryFacts::default(), &run.config, run.now);
            read.launching_nodes(&run.config, &snapshot, run.now);
            read.provisioning(&run.config, &[], &snapshot, run.now);
            read.blocks(run.now);
        }
    }
}
