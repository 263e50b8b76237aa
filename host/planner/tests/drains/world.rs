//! A cluster that does what it is told, at moments that are known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use plimsoll_model::{
    ClusterBuilder, LabelSet, Millis, Node, Phase, Pod, Scheduling, Snapshot, Taint, TaintEffect, Text, Timestamp, Uid,
    Workload, WorkloadKind, well_known,
};
use plimsoll_planner::drain::*;

use crate::fixture::*;

/// What the API server says to evictions of a pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    Yes,
    Budget(Option<u64>),
    Several,
    TooMany(Option<u64>),
    Terminating,
    Forbidden,
    Unknown,
    Conflict,
    /// It is accepted and nothing happens.
    Lost,
    Gone,
    /// No answer at all.
    Silence,
}

pub struct Cluster {
    pub now: Timestamp,
    pub nodes: BTreeMap<String, Node>,
    pub pods: BTreeMap<String, Pod>,
    pub workloads: BTreeMap<String, Workload>,
    pub budgets: Vec<plimsoll_model::DisruptionBudget>,
    pub drains: Drains,
    pub rules: DrainRules,
    pub facts: DrainFacts,
    /// Pods and the moments when they vanish.
    pub vanish: BTreeMap<String, Timestamp>,
    /// Pods and the moments when they become ready.
    pub ready: BTreeMap<String, Timestamp>,
    pub says: HashMap<String, Says>,
    pub deletes: HashMap<String, Says>,
    /// How long a pod takes to stop; `None`: it has a finalizer.
    pub stops: HashMap<String, Option<u64>>,
    pub replacement_takes: Option<u64>,
    /// What the provider says, the last one for ever.
    pub removals: Vec<RemovalOutcome>,
    pub baseline: Option<u32>,
    pub machine_takes: u64,
    pub machine_gone: BTreeMap<Text, Timestamp>,
    pub marks: Vec<WriteAnswer>,
    pub replacement: WriteAnswer,
    /// Seconds since `NOW` with a tenth, and what was done.
    pub log: Vec<(f64, String)>,
    pub actions: Vec<(Timestamp, usize, DrainAction)>,
    pub news: Vec<(f64, DrainNews)>,
    /// The fewest ready endpoints of `web` ever.
    pub fewest: usize,
    /// Evictions and deletions that were accepted.
    pub accepted: Vec<(Uid, Timestamp, usize)>,
    /// Milliseconds by which everybody is late.
    pub lag: u64,
    /// How many leaders there were before.
    pub leader: usize,
    /// Of each mark, whether it was done.
    pub marks_answered: Vec<bool>,
    made: usize,
}

pub fn at(seconds: u64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

impl Cluster {
    /// A node with so many pods of one ReplicaSet, which belongs to a Deployment.
    pub fn of(pods: usize) -> Self {
        let mut cluster = Self {
            now: NOW,
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            workloads: BTreeMap::new(),
            budgets: Vec::new(),
            drains: Drains::new("prod".into(), DrainRules::default()),
            rules: DrainRules::default(),
            facts: DrainFacts::default(),
            vanish: BTreeMap::new(),
            ready: BTreeMap::new(),
            says: HashMap::new(),
            deletes: HashMap::new(),
            stops: HashMap::new(),
            replacement_takes: Some(20),
            removals: vec![RemovalOutcome::Accepted],
            baseline: None,
            machine_takes: 10,
            machine_gone: BTreeMap::new(),
            marks: Vec::new(),
            replacement: WriteAnswer::Done,
            log: Vec::new(),
            actions: Vec::new(),
            news: Vec::new(),
            fewest: usize::MAX,
            accepted: Vec::new(),
            lag: 0,
            leader: 0,
            marks_answered: Vec::new(),
            made: 0,
        };
        for name in ["n", "other"] {
            cluster.nodes.insert(name.to_owned(), node(name, "general", "a"));
        }
        for index in 0..pods {
            cluster.add(&format!("p{index}"), "n");
        }
        cluster.workload("web", WorkloadKind::ReplicaSet, u32::try_from(pods).unwrap().max(2));
        cluster
    }

    pub fn workload(&mut self, name: &str, kind: WorkloadKind, desired: u32) {
        let deployment = owner("Deployment", &format!("{name}-deployment"));
        let make = |name: &str, kind, owner| Workload {
            kind,
            namespace: "shop".into(),
            name: name.into(),
            uid: Uid::parse(name),
            desired: Some(desired),
            ready: desired,
            owner,
            deleting: false,
        };
        let above = format!("{name}-deployment");
        if kind == WorkloadKind::ReplicaSet {
            self.workloads.insert(above.clone(), make(&above, WorkloadKind::Deployment, None));
            self.workloads.insert(name.to_owned(), make(name, kind, deployment));
        } else {
            self.workloads.insert(name.to_owned(), make(name, kind, None));
        }
    }

    pub fn add(&mut self, name: &str, node: &str) -> &mut Pod {
        let mut pod = running(name, "web", node, shape(100, 1));
        pod.labels = labels(&[("app", "web"), (well_known::POD_TEMPLATE_HASH, "5d8f")]);
        pod.created = Some(Timestamp(NOW.0 - 3_600_000));
        self.pods.insert(name.to_owned(), pod);
        self.pods.get_mut(name).unwrap()
    }

    pub fn pod(&mut self, name: &str) -> &mut Pod {
        self.pods.get_mut(name).unwrap()
    }

    pub fn warm(&mut self, name: &str, warmup: &str) {
        let pod = self.pod(name);
        let mut all: Vec<(Text, Text)> = pod.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        all.push((well_known::PRE_EVICTION_WARMUP.into(), warmup.into()));
        pod.labels = Arc::new(all.into_iter().collect());
    }

    /// A drain of node `n` whose pods go every `spacing` seconds, in the order of names.
    pub fn drain(&self, spacing: u64, timeout: u64) -> Drain {
        let on = |pod: &&Pod| pod.node.as_deref() == Some("n") && !pod.daemon_set() && !pod.mirror() && !pod.finished();
        let slot = |(index, pod): (usize, &Pod)| Slot {
            pod: pod.uid.clone(),
            after: Millis::from_secs(index as u64 * spacing),
            warmup: warmup_of(pod),
        };
        Drain {
            id: DrainId::of("prod", "n", "c1"),
            cluster: "prod".into(),
            cause: Cause::Underutilized,
            reason: "hardly used".into(),
            started: self.now,
            deadline: Timestamp(self.now.0 + timeout * 1000),
            policy: None,
            decision: "c1".into(),
            slots: self.pods.values().filter(on).enumerate().map(slot).collect(),
            spacing: Millis::from_secs(spacing),
            removal: None,
        }
    }

    pub fn begin(&mut self, drain: Drain) -> bool {
        self.begin_on("n", drain)
    }

    pub fn begin_on(&mut self, node: &str, drain: Drain) -> bool {
        let at = NodeRef { name: node.into(), uid: self.nodes[node].uid.to_string() };
        self.drains.begin(at, Some("general".into()), None, drain)
    }

    /// Another leader takes over, who knows only what is written.
    pub fn next_leader(&mut self) {
        self.leader += 1;
        self.drains = Drains::new("prod".into(), self.rules.clone());
        let snapshot = self.snapshot();
        let news = self.drains.adopt(&snapshot, self.now);
        self.heard(news);
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut builder = ClusterBuilder::default();
        self.nodes.values().for_each(|node| builder.add_node(node.clone()).unwrap());
        self.pods.values().for_each(|pod| builder.add_pod(pod.clone()).unwrap());
        self.workloads.values().for_each(|workload| builder.add_workload(workload.clone()));
        self.budgets.iter().for_each(|budget| builder.add_budget(budget.clone()));
        builder.build()
    }

    fn seconds(&self) -> f64 {
        self.now.since(NOW).0 as f64 / 1000.0
    }

    pub fn heard(&mut self, news: Vec<DrainNews>) {
        let seconds = self.seconds();
        for item in &news {
            assert!(!item.to_string().is_empty() && !item.label().is_empty());
        }
        self.news.extend(news.into_iter().map(|news| (seconds, news)));
    }

    /// Runs until a moment, given in seconds.
    pub fn run(&mut self, seconds: u64) {
        let end = at(seconds);
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 5000, "it does not come to rest: {:?}", &self.log[self.log.len().saturating_sub(5)..]);
            self.happen();
            self.tick();
            let own = self.drains.next(self.now);
            let world = self.vanish.values().chain(self.ready.values()).chain(self.machine_gone.values()).copied();
            let next = world.chain(own).filter(|moment| *moment > self.now).min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.now = Timestamp(next.0 + self.lag),
                None => break,
            }
        }
        self.now = end;
        self.happen();
        self.tick();
    }

    /// What the world does by itself.
    pub fn happen(&mut self) {
        let now = self.now;
        for (pod, _) in self.vanish.extract_if(.., |_, when| *when <= now) {
            self.pods.remove(&pod);
        }
        for (pod, _) in self.ready.extract_if(.., |_, when| *when <= now) {
            if let Some(pod) = self.pods.get_mut(&pod) {
                pod.ready = true;
            }
        }
        for (node, _) in self.machine_gone.extract_if(.., |_, when| *when <= now) {
            self.facts.machines.insert(node.clone(), MachineState::Gone);
            self.pods.retain(|_, pod| pod.node.as_ref() != Some(&node));
            if let Some(node) = self.nodes.get_mut(&*node) {
                node.ready = false;
            }
        }
        let serves =
            |pod: &&Pod| pod.ready && pod.deletion.is_none() && pod.labels.get("app").is_some_and(|app| *app == "web");
        self.fewest = self.fewest.min(self.pods.values().filter(serves).count());
    }

    /// Lets the drains see, act and hear until nothing is due.
    pub fn tick(&mut self) {
        for turn in 0.. {
            assert!(turn < 100, "actions do not end at {}: {:?}", self.seconds(), self.log.last());
            let snapshot = self.snapshot();
            let news = self.drains.observe(&snapshot, &self.facts, self.now);
            self.heard(news);
            let actions = self.drains.actions(&snapshot, &self.facts, self.now);
            let news = self.drains.news();
            self.heard(news);
            if actions.is_empty() {
                break;
            }
            for (node, action) in actions {
                self.actions.push((self.now, self.leader, action.clone()));
                if let Some(answer) = self.act(action) {
                    let news = self.drains.answer(&node, answer, self.now);
                    self.heard(news);
                }
            }
        }
    }

    fn note(&mut self, what: String) {
        self.log.push((self.seconds(), what));
    }

    fn act(&mut self, action: DrainAction) -> Option<DrainAnswer> {
        match action {
            DrainAction::Mark { node, drain } => {
                self.note(format!("mark{}", if drain.removal.is_some() { " removal" } else { "" }));
                let answer = if self.marks.is_empty() { WriteAnswer::Done } else { self.marks.remove(0) };
                self.marks_answered.push(answer == WriteAnswer::Done);
                if answer == WriteAnswer::Done {
                    self.write(&node.name, Some(drain.write()));
                }
                Some(DrainAnswer::Marked(answer))
            }
            DrainAction::Release { node, .. } => {
                self.note("release".to_owned());
                self.write(&node.name, None);
                Some(DrainAnswer::Released(WriteAnswer::Done))
            }
            DrainAction::Evict { pod, grace, .. } => {
                let cut = grace.map(|grace| format!(" in {}", grace.0 / 1000)).unwrap_or_default();
                self.note(format!("evict {}{cut}", pod.name));
                let says = self.says.get(&*pod.name).copied().unwrap_or(Says::Yes);
                Some(DrainAnswer::Evicted(pod.uid.clone(), self.stop(&pod, says)?))
            }
            DrainAction::Delete { pod, grace, .. } => {
                self.note(format!("delete {} in {}", pod.name, grace.0 / 1000));
                let says = self.deletes.get(&*pod.name).copied().unwrap_or(Says::Yes);
                Some(DrainAnswer::Deleted(pod.uid.clone(), self.stop(&pod, says)?))
            }
            DrainAction::StartReplacement { pod, warmup, .. } => {
                self.note(format!("replace {}", pod.name));
                if self.replacement == WriteAnswer::Done {
                    let orphan = self.pods.get_mut(&*pod.name).unwrap();
                    let strip = |(key, value): (&Text, &Text)| {
                        (*key != *well_known::POD_TEMPLATE_HASH).then(|| (key.clone(), value.clone()))
                    };
                    let kept: Vec<(Text, Text)> = orphan.labels.iter().filter_map(strip).collect();
                    orphan.labels = Arc::new(kept.into_iter().collect());
                    let text = warmup.write();
                    orphan.annotations = labels(&[(well_known::WARMING_UP, &text)]);
                    orphan.owner = None;
                    self.replace();
                }
                Some(DrainAnswer::ReplacementStarted(pod.uid, self.replacement.clone()))
            }
            DrainAction::MeasureRemoval { removal } => {
                self.note(format!("measure {}", removal.node));
                Some(DrainAnswer::Measured(Ok(self.baseline)))
            }
            DrainAction::Remove { removal } => {
                self.note(format!("remove {}", removal.node));
                let says = if self.removals.len() > 1 { self.removals.remove(0) } else { self.removals[0].clone() };
                if says == RemovalOutcome::Accepted {
                    self.facts.machines.insert(removal.node.clone(), MachineState::Deleting);
                    self.machine_gone.insert(removal.node, Timestamp(self.now.0 + self.machine_takes * 1000));
                }
                Some(DrainAnswer::Removed(says))
            }
            DrainAction::DeleteNode { node } => {
                self.note(format!("delete node {}", node.name));
                self.nodes.remove(&*node.name);
                Some(DrainAnswer::NodeDeleted(WriteAnswer::Done))
            }
        }
    }

    /// Another pod of the ReplicaSet, on another node.
    pub fn replace(&mut self) {
        let name = format!("new{}", self.made);
        self.made += 1;
        let now = self.now;
        let pod = self.add(&name, "other");
        (pod.created, pod.ready) = (Some(Timestamp(now.0 / 1000 * 1000)), false);
        if let Some(takes) = self.replacement_takes {
            self.ready.insert(name, Timestamp(now.0 + takes * 1000));
        }
    }

    fn stop(&mut self, pod: &PodRef, says: Says) -> Option<EvictionAnswer> {
        if matches!(says, Says::Yes | Says::Lost) {
            self.accepted.push((pod.uid.clone(), self.now, self.leader));
        }
        let after = |seconds: Option<u64>| seconds.map(Millis::from_secs);
        Some(match says {
            Says::Budget(retry) => {
                EvictionAnswer::Budget { message: "needs 2 healthy pods".to_owned(), retry_after: after(retry) }
            }
            Says::Several => EvictionAnswer::SeveralBudgets("more than one budget".to_owned()),
            Says::TooMany(retry) => EvictionAnswer::TooMany { retry_after: after(retry) },
            Says::Terminating => EvictionAnswer::NamespaceTerminating,
            Says::Forbidden => EvictionAnswer::Forbidden("no".to_owned()),
            Says::Unknown => EvictionAnswer::Unknown("timeout".to_owned()),
            Says::Conflict => EvictionAnswer::Conflict,
            Says::Lost => EvictionAnswer::Accepted,
            Says::Gone => {
                self.pods.remove(&*pod.name);
                EvictionAnswer::Gone
            }
            Says::Silence => return None,
            Says::Yes => {
                let takes = self.stops.get(&*pod.name).copied().unwrap_or(Some(0));
                let going = self.pods.get_mut(&*pod.name)?;
                going.deletion = Some(self.now);
                let owned = going.owner.is_some();
                match takes {
                    None => {}
                    Some(0) => drop(self.pods.remove(&*pod.name)),
                    Some(takes) => drop(self.vanish.insert(pod.name.to_string(), Timestamp(self.now.0 + takes * 1000))),
                }
                if owned {
                    self.replace();
                }
                EvictionAnswer::Accepted
            }
        })
    }

    /// Writes or takes away what marks a node.
    pub fn write(&mut self, node: &str, drain: Option<String>) {
        let Some(node) = self.nodes.get_mut(node) else { return };
        node.unschedulable = drain.is_some();
        node.taints.clear();
        let mut written = LabelSet::default();
        if let Some(text) = drain {
            let (key, value) = (well_known::DRAINING.into(), Text::default());
            node.taints.push(Taint { key, value, effect: TaintEffect::NoSchedule });
            written = [(well_known::DRAIN, text.as_str())].into_iter().collect();
        }
        node.annotations = Arc::new(written);
    }

    /// When something was done whose description begins so.
    pub fn when(&self, what: &str) -> Vec<f64> {
        self.log.iter().filter(|(_, done)| done.starts_with(what)).map(|(when, _)| *when).collect()
    }

    /// When something of this label was told.
    pub fn told(&self, label: &str) -> Vec<f64> {
        self.news.iter().filter(|(_, news)| news.label() == label).map(|(when, _)| *when).collect()
    }

    pub fn sentence(&self, label: &str) -> String {
        let found = self.news.iter().find(|(_, news)| news.label() == label);
        found.unwrap_or_else(|| panic!("no {label} in {:?}", self.news)).1.to_string()
    }

    pub fn progress(&self) -> String {
        self.drains.running(self.now)[0].progress.clone()
    }
}

/// A pod that nobody has to evict.
pub fn unevictable(cluster: &mut Cluster) {
    let daemon = cluster.add("daemon", "n");
    daemon.owner = owner("DaemonSet", "logs");
    let mirror = cluster.add("mirror", "n");
    mirror.annotations = labels(&[(well_known::MIRROR_POD, "x")]);
    let done = cluster.add("done", "n");
    (done.phase, done.ready) = (Phase::Succeeded, false);
    done.scheduling = Scheduling::Quiet;
}
