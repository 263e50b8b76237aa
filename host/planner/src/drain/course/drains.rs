//! All drains of one leader.

use std::collections::{BTreeMap, HashMap, HashSet};

use plimsoll_model::{Millis, NodeId, Snapshot, Text, Timestamp, Uid, well_known};

use super::breaker::Breaker;
use super::clock::{Call, plus};
use super::facts::DrainFacts;
use super::leaver::WarmStep;
use super::leaving::{Leaving, Release};
use super::news::{DrainChange, DrainNews};
use super::steps::{Around, Outcome};
use super::{Drain, DrainAction, DrainAnswer, DrainRecordError, DrainRules, NodeRef, WriteAnswer};
use crate::drain::{Cause, RunningDrain};

/// Times of objects are whole seconds, and clocks differ.
const ROUNDED: Millis = Millis(2_000);
/// Workloads that are remembered so that a hint is given once.
const MOST_HINTED: usize = 10_000;

/// All drains of one leader: which there are, how far each has come, what is due next. A value without effects: what
/// it wants done comes out of [`actions`](Self::actions), and what came of that goes into [`answer`](Self::answer).
#[derive(Debug)]
pub struct Drains {
    cluster: Text,
    rules: DrainRules,
    leaving: BTreeMap<Text, Leaving>,
    /// Nodes that were cordoned by us and have no drain that could go on.
    stray: BTreeMap<Text, Stray>,
    breaker: Breaker,
    hinted: HashSet<Uid>,
    /// What became known where nobody could be told.
    news: Vec<DrainNews>,
    may_delete: bool,
    removes_machines: bool,
}

/// A node that is to take pods again.
#[derive(Debug)]
struct Stray {
    node: NodeRef,
    found: String,
    call: Call,
    told: bool,
}

/// Who takes a drain back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canceller {
    /// A person, as long as the machine is not being removed.
    Person,
    /// A plan that has changed: only before the first eviction.
    Plan,
}

/// Why a drain cannot be taken back. The text is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotCancel {
    /// It is not drained by this leader.
    #[error("node {0} is not being drained")]
    NotDraining(Text),
    /// Its machine is being removed.
    #[error("the machine of node {0} is being removed already")]
    Removing(Text),
    /// Pods have been evicted.
    #[error("pods of node {0} have been evicted already; only a person takes its drain back")]
    Begun(Text),
}

// === impl Drains ===

impl Drains {
    /// No drains yet, of the cluster of this identifier.
    pub fn new(cluster: Text, rules: DrainRules) -> Self {
        Self {
            cluster,
            rules,
            leaving: BTreeMap::new(),
            stray: BTreeMap::new(),
            breaker: Breaker::default(),
            hinted: HashSet::new(),
            news: Vec::new(),
            may_delete: true,
            removes_machines: true,
        }
    }

    /// Other rules from now on, for drains under way as well; their deadlines and timetables stay.
    pub fn set_rules(&mut self, rules: DrainRules) {
        self.rules = rules;
    }

    /// Begins a drain that was planned. Nothing is evicted before it is written on its node. False, and nothing happens,
    /// if the node is drained already.
    pub fn begin(&mut self, node: NodeRef, group: Option<Text>, provider_id: Option<Text>, drain: Drain) -> bool {
        if self.leaving.contains_key(&node.name) || self.stray.contains_key(&node.name) {
            return false;
        }
        self.leaving.insert(node.name.clone(), Leaving::new(node, group, provider_id, drain));
        true
    }

    /// Takes over what other leaders began: reads what is written on every node. To be called once a leader knows the
    /// whole cluster; what this leader drains itself is left as it is.
    pub fn adopt(&mut self, snapshot: &Snapshot, now: Timestamp) -> Vec<DrainNews> {
        for (id, node) in snapshot.nodes().filter(|(_, node)| !node.launching) {
            let ours = self.leaving.contains_key(&node.name) || self.stray.contains_key(&node.name);
            let written = node.annotations.get(well_known::DRAIN);
            let tainted = node.taints.iter().any(|taint| taint.key == *well_known::DRAINING);
            if ours || (written.is_none() && !tainted) {
                continue;
            }
            self.adopt_node(snapshot, id, written.map(|text| Drain::read(text)), now);
        }
        std::mem::take(&mut self.news)
    }

    fn adopt_node(
        &mut self,
        snapshot: &Snapshot,
        id: NodeId,
        written: Option<Result<Drain, DrainRecordError>>,
        now: Timestamp,
    ) {
        let node = snapshot.node(id);
        let news = |drain: Option<&Drain>, change| DrainNews {
            node: node.name.clone(),
            drain: drain.map(|drain| drain.id.clone()),
            decision: drain.map(|drain| drain.decision.clone()),
            pod: None,
            change,
        };
        let found = match written {
            Some(Ok(drain)) if drain.cluster == self.cluster => {
                let (deadline, left) = (drain.deadline, drain.deadline.since(now));
                self.news.push(news(Some(&drain), DrainChange::Adopted { deadline, left }));
                let mut adopted = Leaving::adopted(node, drain, snapshot, id, now);
                adopted.timed_out = adopted.drain.removal.is_some();
                self.leaving.insert(node.name.clone(), adopted);
                return;
            }
            Some(Ok(drain)) => {
                let found = format!("it is of cluster {}, not of {}", drain.cluster, self.cluster);
                self.news.push(news(Some(&drain), DrainChange::LeftAlone { found }));
                return;
            }
            Some(Err(error)) => {
                let (other, removing) = match &error {
                    DrainRecordError::Garbled { removing, .. } => (false, *removing),
                    DrainRecordError::TooNew { cluster, removing, .. } => {
                        (cluster.as_ref().is_some_and(|cluster| *cluster != self.cluster), *removing)
                    }
                    DrainRecordError::TooLong(_) => (false, false),
                };
                if other || removing {
                    let what = if other { "it is another cluster's" } else { "its machine was being removed" };
                    let found = format!("{what}, and {error}");
                    self.news.push(news(None, DrainChange::LeftAlone { found }));
                    return;
                }
                error.to_string()
            }
            None => "it was cordoned for a drain, and none is written on it".to_owned(),
        };
        let at = NodeRef { name: node.name.clone(), uid: node.uid.to_string() };
        self.stray.insert(node.name.clone(), Stray { node: at, found, call: Call::default(), told: false });
    }

    /// Notes the cluster as it is now.
    pub fn observe(&mut self, snapshot: &Snapshot, facts: &DrainFacts, now: Timestamp) -> Vec<DrainNews> {
        (self.may_delete, self.removes_machines) = (facts.may_force_delete, facts.removes_machines);
        for leaving in self.leaving.values_mut() {
            self.news.extend(leaving.observe(snapshot, facts, now));
        }
        self.leaving.retain(|_, leaving| !leaving.ended);
        let there = |stray: &Stray| {
            snapshot.find_node(&stray.node.name).is_some_and(|(_, node)| node.uid.to_string() == stray.node.uid)
        };
        self.stray.retain(|_, stray| there(stray));
        self.observe_replacements(snapshot, now);
        self.breaker.observe(snapshot, self.rules.breaker_after, now);
        std::mem::take(&mut self.news)
    }

    /// Looks for the replacements of pods that warm up: each ready pod of their ReplicaSet that was created since stands
    /// for one of them, those that have left included.
    fn observe_replacements(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let mut warming: HashMap<Uid, Vec<(Timestamp, Text, usize)>> = HashMap::new();
        let mut awaited = false;
        for (node, leaving) in &self.leaving {
            for (at, leaver) in leaving.leavers.iter().enumerate() {
                if let WarmStep::Warming(warmup) = &leaver.warm {
                    let of = Uid::parse(&warmup.replica_set_uid);
                    warming.entry(of).or_default().push((warmup.since, node.clone(), at));
                    awaited |= leaver.stays();
                }
            }
        }
        if !awaited {
            return;
        }
        let mut ready: HashMap<&Uid, Vec<Timestamp>> = HashMap::new();
        for (_, pod) in snapshot.pods().filter(|(_, pod)| pod.ready && pod.deletion.is_none() && !pod.finished()) {
            if let (Some(owner), Some(created)) = (&pod.owner, pod.created)
                && warming.contains_key(&owner.uid)
            {
                ready.entry(&owner.uid).or_default().push(created);
            }
        }
        for (replica_set, mut pods) in warming {
            let mut replacements = ready.remove(&replica_set).unwrap_or_default();
            replacements.sort_unstable();
            let mut replacements = replacements.into_iter().peekable();
            pods.sort_unstable();
            for (since, node, at) in pods {
                while replacements.next_if(|created| plus(*created, ROUNDED) < since).is_some() {}
                let Some(leaving) = self.leaving.get_mut(&node) else { continue };
                let leaver = &mut leaving.leavers[at];
                leaver.replaced = replacements.next().is_some();
                if leaver.replaced && leaver.stays() && !std::mem::replace(&mut leaver.ready_told, true) {
                    let pod = leaver.seen.as_ref().map(|seen| seen.pod.clone());
                    self.news.push(leaving.pod_news(pod, DrainChange::WarmupReady { after: now.since(since) }));
                }
            }
        }
    }

    /// What is due now and not under way, by node. It counts as under way from now on; without an answer within a minute
    /// it counts as something that may have been done. Each comes after what was observed.
    pub fn actions(&mut self, snapshot: &Snapshot, facts: &DrainFacts, now: Timestamp) -> Vec<(Text, DrainAction)> {
        (self.may_delete, self.removes_machines) = (facts.may_force_delete, facts.removes_machines);
        if self.hinted.len() > MOST_HINTED {
            self.hinted.clear();
        }
        // What is given up holds up nobody.
        self.leaving.values_mut().for_each(|leaving| leaving.forget_lost(now));
        let held = self.held_groups();
        let mut out = Outcome { actions: Vec::new(), news: &mut self.news, held, hinted: &mut self.hinted };
        for leaving in self.leaving.values_mut() {
            let rules = self.rules.of_group(leaving.group.as_ref());
            leaving.step(&Around { snapshot, facts, rules: &rules, now }, &mut out);
        }
        let mut actions = out.actions;
        self.leaving.retain(|_, leaving| !leaving.ended);
        for (name, stray) in &mut self.stray {
            stray.call.lost(now);
            if stray.call.start(now) {
                actions.push((name.clone(), DrainAction::Release { node: stray.node.clone(), drain: None }));
            }
        }
        actions
    }

    /// What became known while [`actions`](Self::actions) decided. Whoever does not ask learns it from the next
    /// observation or answer.
    pub fn news(&mut self) -> Vec<DrainNews> {
        std::mem::take(&mut self.news)
    }

    /// Groups whose size a removal is being taken from: until it is through, no launch may measure theirs.
    pub fn held_groups(&self) -> HashSet<Text> {
        self.leaving.values().filter_map(Leaving::holds_group).cloned().collect()
    }

    /// Notes what came of an action.
    pub fn answer(&mut self, node: &str, answer: DrainAnswer, now: Timestamp) -> Vec<DrainNews> {
        if let Some(leaving) = self.leaving.get_mut(node) {
            let news = leaving.hear(answer, &self.rules.of_group(leaving.group.as_ref()), &mut self.breaker, now);
            self.news.extend(news);
            if leaving.ended {
                self.leaving.remove(node);
            }
        } else if let DrainAnswer::Released(answer) = answer {
            self.hear_stray(node, answer, now);
        }
        std::mem::take(&mut self.news)
    }

    fn hear_stray(&mut self, node: &str, answer: WriteAnswer, now: Timestamp) {
        let Some(stray) = self.stray.get_mut(node) else { return };
        let change = match answer {
            WriteAnswer::Done => DrainChange::Released { found: stray.found.clone() },
            WriteAnswer::Gone => {
                self.stray.remove(node);
                return;
            }
            WriteAnswer::Otherwise(found) => DrainChange::LeftAlone { found },
            WriteAnswer::Unknown(_) => {
                stray.call.again(now, Millis::from_secs(5), Millis::from_secs(60));
                return;
            }
            WriteAnswer::Forbidden(said) => {
                stray.call.again(now, Millis::from_secs(60), Millis::from_secs(60));
                if std::mem::replace(&mut stray.told, true) {
                    return;
                }
                DrainChange::PermissionMissing { permission: "patch nodes", said }
            }
        };
        let at = stray.node.name.clone();
        if !matches!(change, DrainChange::PermissionMissing { .. }) {
            self.stray.remove(node);
        }
        self.news.push(DrainNews { node: at, drain: None, decision: None, pod: None, change });
    }

    /// When something becomes due although nothing new becomes known; `None` if nothing does. What is due at `now` has
    /// come out of [`actions`](Self::actions).
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let leaving = self
            .leaving
            .values()
            .filter_map(|leaving| leaving.next(&self.rules.of_group(leaving.group.as_ref()), self.may_delete, now));
        let stray = self.stray.values().map(|stray| stray.call.next()).filter(|moment| *moment > now);
        leaving.chain(stray).min()
    }

    /// Takes a drain back. Its node takes pods again once pods whose replacements were started are gone.
    pub fn cancel(&mut self, node: &str, by: Canceller, why: &str) -> Result<(), CannotCancel> {
        let leaving = self.leaving.get_mut(node).ok_or_else(|| CannotCancel::NotDraining(node.into()))?;
        if leaving.removal_decided() {
            return Err(CannotCancel::Removing(node.into()));
        }
        if by == Canceller::Plan && leaving.begun {
            return Err(CannotCancel::Begun(node.into()));
        }
        if leaving.release.is_none() {
            leaving.release = Some(Release { why: why.to_owned(), call: Call::default() });
        }
        Ok(())
    }

    /// The machine of a node that is drained already goes sooner, or for a reason that cannot wait. A deadline only ever
    /// comes nearer. False if the node is not drained, or its drain is past changing.
    pub fn hasten(&mut self, node: &str, cause: Cause, deadline: Timestamp, now: Timestamp) -> bool {
        let Some(leaving) = self.leaving.get_mut(node).filter(|leaving| !leaving.removal_decided()) else {
            return false;
        };
        match &leaving.release {
            Some(release) if release.call.sent.is_some() || release.call.failures > 0 => return false,
            // Going back to what takes pods makes no sense for a machine that goes.
            _ => leaving.release = None,
        }
        leaving.drain.cause = cause;
        if deadline < leaving.drain.deadline {
            leaving.hasten(deadline, self.rules.warmup_guard, now);
        }
        true
    }

    /// The drain of this node, if this leader drains it.
    pub fn find(&self, node: &str) -> Option<&Drain> {
        self.leaving.get(node).map(|leaving| &leaving.drain)
    }

    /// Every drain under way, in the order of nodes.
    pub fn running(&self, now: Timestamp) -> Vec<RunningDrain> {
        let running = |leaving: &Leaving| RunningDrain {
            node: leaving.node.name.clone(),
            group: leaving.group.clone(),
            cause: leaving.drain.cause,
            deadline: leaving.drain.deadline,
            progress: leaving.progress(self.removes_machines, now),
        };
        self.leaving.values().map(running).collect()
    }

    /// Why no further drain may begin, a sentence: drained pods have not come back.
    pub fn breaker(&self, snapshot: &Snapshot, now: Timestamp) -> Option<String> {
        self.breaker.sentence(snapshot, self.rules.breaker_after, now)
    }
}
