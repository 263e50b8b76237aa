//! One node on its way out.

use std::collections::{HashMap, HashSet};

use plimsoll_model::{Millis, Node, NodeId, Pod, Snapshot, Text, Timestamp, Uid, well_known};

use super::clock::{Call, plus};
use super::facts::{DrainFacts, MachineState};
use super::leaver::{Leaver, WarmStep};
use super::news::{DrainChange, DrainNews};
use super::{Drain, DrainRules, NodeRef, PodRef};
use crate::drain::rules::evictable;
use crate::drain::{Removal, warmup_of};

/// A drain that could not be written on its node for so long is given up.
pub(super) const MARK_PATIENCE: Millis = Millis(120_000);

/// One node on its way out.
#[derive(Debug)]
pub(super) struct Leaving {
    pub node: NodeRef,
    pub group: Option<Text>,
    pub provider_id: Option<Text>,
    pub drain: Drain,
    pub mark: Marking,
    /// It is taken back.
    pub release: Option<Release>,
    /// A pod's turn has come.
    pub begun: bool,
    pub leavers: Vec<Leaver>,
    /// When the last turn came, by the timetable where that was kept.
    pub last_turn: Option<Timestamp>,
    pub seen: NodeSeen,
    /// Since when no pod is left.
    pub emptied: Option<Timestamp>,
    pub timed_out: bool,
    pub removing: Removing,
    /// What was told once.
    pub told: HashSet<&'static str>,
    pub ended: bool,
}

/// What is written on the node.
#[derive(Debug, Default)]
pub(super) struct Marking {
    pub call: Call,
    /// What the call under way writes.
    pub writing: Option<Drain>,
    /// What calls wrote, or did not, that were given up.
    pub unanswered: Vec<Drain>,
    /// What is there.
    pub written: Option<Drain>,
    /// Something may be there.
    pub perhaps: bool,
}

/// A drain that is taken back.
#[derive(Debug)]
pub(super) struct Release {
    pub why: String,
    pub call: Call,
}

/// The node as it was seen last.
#[derive(Debug, Default)]
pub(super) struct NodeSeen {
    pub volumes: u32,
    pub ready: bool,
    pub deleting: bool,
    pub machine: MachineState,
}

/// How the machine goes.
#[derive(Debug, Default)]
pub(super) struct Removing {
    pub measure: Call,
    /// The size is measured again before the next try.
    pub again: bool,
    pub remove: Call,
    /// The provider has taken it, or the machine is on its way out without.
    pub accepted: Option<Timestamp>,
    /// Since when the machine is gone.
    pub gone: Option<Timestamp>,
    pub delete_node: Call,
}

// === impl Marking ===

impl Marking {
    /// The drain is there, whatever has changed of it since.
    pub fn begun(&self) -> bool {
        self.written.is_some()
    }

    /// Gives up an answer that does not come.
    pub fn forget_lost(&mut self, now: Timestamp) {
        if self.call.lost(now)
            && let Some(lost) = self.writing.take()
        {
            self.perhaps = true;
            self.unanswered.push(lost);
        }
    }

    /// What a late answer may be about: `None` if it is not the call under way, which still waits.
    pub fn answered(&mut self) -> Option<Drain> {
        let writing = self.writing.as_ref();
        if writing.is_some_and(|writing| self.unanswered.iter().any(|other| other != writing)) {
            self.unanswered.remove(0);
            return None;
        }
        match self.writing.take() {
            Some(writing) => {
                self.unanswered.clear();
                Some(writing)
            }
            None => (!self.unanswered.is_empty()).then(|| self.unanswered.remove(0)),
        }
    }
}

// === impl Leaving ===

impl Leaving {
    pub fn new(node: NodeRef, group: Option<Text>, provider_id: Option<Text>, drain: Drain) -> Self {
        let mut slots = drain.slots.clone();
        slots.sort_by_key(|slot| slot.after);
        let leavers = slots.into_iter().map(|slot| Leaver::new(slot.pod, slot.after, slot.warmup, false)).collect();
        Self {
            node,
            group,
            provider_id,
            drain,
            mark: Marking::default(),
            release: None,
            begun: false,
            leavers,
            last_turn: None,
            seen: NodeSeen { ready: true, ..NodeSeen::default() },
            emptied: None,
            timed_out: false,
            removing: Removing::default(),
            told: HashSet::new(),
            ended: false,
        }
    }

    /// The drain that is written on a node: what it says goes on.
    pub fn adopted(node: &Node, drain: Drain, snapshot: &Snapshot, id: NodeId, now: Timestamp) -> Self {
        let at = NodeRef { name: node.name.clone(), uid: node.uid.to_string() };
        let mut adopted = Self::new(at, node.group_label().cloned(), node.provider_id.clone(), drain);
        adopted.mark = Marking { written: Some(adopted.drain.clone()), perhaps: true, ..Marking::default() };
        let staying: HashMap<&Uid, &Pod> =
            snapshot.pods_on(id).iter().map(|&pod| snapshot.pod(pod)).map(|pod| (&pod.uid, pod)).collect();
        let stays = |uid: &Uid| staying.get(uid).is_some_and(|pod| pod.deletion.is_none());
        // Turns are overdue: when the last one was taken nobody knows, so that the next one keeps its distance from now.
        let drain = &adopted.drain;
        let overdue = |leaver: &Leaver| leaver.slot(drain) < now && stays(&leaver.uid);
        let taken = |leaver: &Leaver| leaver.slot(drain) <= now && !stays(&leaver.uid);
        if adopted.leavers.iter().any(overdue) && adopted.leavers.iter().any(taken) {
            adopted.last_turn = Some(now);
        }
        // Of a turn that has come nobody knows whether it was taken.
        adopted.begun = adopted.leavers.iter().any(|leaver| leaver.slot(drain) <= now);
        adopted
    }

    pub fn news(&self, change: DrainChange) -> DrainNews {
        DrainNews {
            node: self.node.name.clone(),
            drain: Some(self.drain.id.clone()),
            decision: Some(self.drain.decision.clone()),
            pod: None,
            change,
        }
    }

    pub fn pod_news(&self, pod: Option<PodRef>, change: DrainChange) -> DrainNews {
        DrainNews { pod, ..self.news(change) }
    }

    /// Missing permissions are told once for each drain.
    pub fn forbidden(&mut self, permission: &'static str, said: String) -> Option<DrainNews> {
        self.told.insert(permission).then(|| self.news(DrainChange::PermissionMissing { permission, said }))
    }

    /// It cannot be taken back any more.
    pub fn removal_decided(&self) -> bool {
        self.drain.removal.is_some() || self.removing.accepted.is_some() || self.removing.gone.is_some()
    }

    /// Pods that have not left.
    pub fn left(&self) -> impl Iterator<Item = &Leaver> {
        self.leavers.iter().filter(|leaver| leaver.here)
    }

    /// Its own machine's removal holds up others of its group.
    pub fn holds_group(&self) -> Option<&Text> {
        let removing = &self.removing;
        let measured = self.drain.removal.as_ref().is_some_and(|mark| mark.baseline.is_some());
        let open = removing.measure.sent.is_some() || measured && !removing.again;
        let ended = removing.accepted.is_some() || removing.gone.is_some();
        self.group.as_ref().filter(|_| open && !ended)
    }

    pub fn removal(&self) -> Removal {
        Removal {
            node: self.node.name.clone(),
            provider_id: self.provider_id.clone(),
            group: self.group.clone(),
            drain: self.drain.id.0.clone(),
            baseline: self.drain.removal.as_ref().and_then(|mark| mark.baseline),
        }
    }

    /// Nothing is left to wait for, or the time is over.
    pub fn machine_may_go(&self, rules: &DrainRules, now: Timestamp) -> bool {
        let detached = self.seen.volumes == 0;
        let emptied = self.emptied.is_some_and(|emptied| detached || now >= plus(emptied, rules.detach_wait));
        emptied || now >= self.drain.deadline
    }

    /// Notes the node and its pods as they are now.
    pub fn observe(&mut self, snapshot: &Snapshot, facts: &DrainFacts, now: Timestamp) -> Vec<DrainNews> {
        let mut news = Vec::new();
        let found = snapshot.find_node(&self.node.name).filter(|(_, node)| node.uid.to_string() == self.node.uid);
        let Some((id, node)) = found else {
            self.ended = true;
            let pods = self.leavers.iter().filter(|leaver| !leaver.here).count();
            let took = now.since(self.drain.started);
            news.push(self.news(DrainChange::Completed { pods, took }));
            return news;
        };
        if self.provider_id.is_none() {
            self.provider_id = node.provider_id.clone();
        }
        self.seen = NodeSeen {
            volumes: node.attached_volumes,
            ready: node.ready,
            deleting: node.deleting,
            machine: facts.machine(&self.node.name),
        };
        self.observe_pods(snapshot, id, now);
        self.observe_machine(now);
        let empty = self.left().next().is_none();
        // Pods may still be bound to a node whose cordon has not been seen.
        let closed = node.unschedulable && node.taints.iter().any(|taint| *taint.key == *well_known::DRAINING);
        if !empty || !closed {
            self.emptied = None;
        } else if self.mark.begun() {
            self.emptied.get_or_insert(now);
        }
        news
    }

    fn observe_pods(&mut self, snapshot: &Snapshot, id: NodeId, now: Timestamp) {
        let on_node = snapshot.pods_on(id).iter().map(|&pod| snapshot.pod(pod)).filter(|pod| evictable(pod));
        let mut pods: HashMap<&Uid, &Pod> = HashMap::new();
        let mut order = Vec::new();
        for pod in on_node {
            if pods.insert(&pod.uid, pod).is_none() {
                order.push(pod);
            }
        }
        for leaver in &mut self.leavers {
            match pods.remove(&leaver.uid) {
                Some(pod) => leaver.observe(snapshot, pod, &self.drain),
                None => leaver.here = false,
            }
        }
        // Late ones that are gone are no longer of interest; there may be many over time.
        if self.leavers.len() > 2 * self.drain.slots.len() + 200 {
            self.leavers.retain(|leaver| leaver.here || !leaver.late);
        }
        let mut last = self.leavers.iter().map(|leaver| leaver.after).max();
        for pod in order.into_iter().filter(|pod| pods.contains_key(&pod.uid)) {
            let next = last.map_or(Millis(0), |last| last + self.drain.spacing);
            let after = next.max(now.since(self.drain.started));
            last = Some(after);
            let mut late = Leaver::new(pod.uid.clone(), after, warmup_of(pod), true);
            late.observe(snapshot, pod, &self.drain);
            self.leavers.push(late);
        }
    }

    fn observe_machine(&mut self, now: Timestamp) {
        let removing = &mut self.removing;
        let marked = self.mark.written.as_ref().is_some_and(|written| written.removal.is_some());
        match self.seen.machine {
            // Of a node that works it takes more than a word to say that its machine is gone.
            MachineState::Gone if marked || removing.accepted.is_some() || !self.seen.ready => {
                removing.accepted.get_or_insert(now);
                removing.gone.get_or_insert(now);
            }
            MachineState::Deleting if marked => {
                removing.accepted.get_or_insert(now);
            }
            MachineState::Present => removing.gone = None,
            _ => {}
        }
    }

    /// The time between two turns: what is left is shared if it is too short for the spacing.
    pub fn gap(&self, now: Timestamp) -> Millis {
        let waiting = self.leavers.iter().filter(|leaver| leaver.stays() && !leaver.begun).count() as u64;
        self.drain.spacing.min(Millis(self.drain.deadline.since(now).0 / (waiting + 1)))
    }

    /// When the turn of a pod comes.
    pub fn turn(&self, leaver: &Leaver, now: Timestamp) -> Timestamp {
        let distant = self.last_turn.map_or(Timestamp(0), |last| plus(last, self.gap(now)));
        leaver.slot(&self.drain).max(distant)
    }

    /// The machine goes sooner, and every turn that has not come with it.
    pub fn hasten(&mut self, deadline: Timestamp, guard: Millis, now: Timestamp) {
        let elapsed = now.since(self.drain.started);
        let left = deadline.since(now).saturating_sub(guard);
        let drain = &mut self.drain;
        drain.deadline = deadline;
        let waits = |leaver: &&Leaver| leaver.here && !leaver.begun && leaver.after > elapsed;
        let span = self.leavers.iter().filter(waits).map(|leaver| leaver.after.saturating_sub(elapsed)).max();
        let span = span.unwrap_or_default().max(Millis(1));
        let squeeze = |length: Millis| {
            let squeezed = u128::from(length.0) * u128::from(left.0) / u128::from(span.0);
            length.min(Millis(u64::try_from(squeezed).unwrap_or(u64::MAX)))
        };
        // The last turn leaves its pod time as long as the distance between two.
        let spacing = squeeze(drain.spacing);
        for leaver in &mut self.leavers {
            if leaver.here && !leaver.begun && leaver.after > elapsed {
                leaver.after = elapsed + squeeze(leaver.after.saturating_sub(elapsed));
            }
            if let Some(slot) = drain.slots.iter_mut().find(|slot| slot.pod == leaver.uid) {
                slot.after = leaver.after;
            }
        }
        drain.spacing = spacing;
    }

    /// How far it has come, for a person.
    pub fn progress(&self, facts_removes: bool, now: Timestamp) -> String {
        if let Some(release) = &self.release {
            return format!("being taken back: {}", release.why);
        }
        if !self.mark.begun() {
            return "being cordoned".to_owned();
        }
        if self.removing.gone.is_some() {
            return "its machine is gone, its Node is deleted next".to_owned();
        }
        if self.removing.accepted.is_some() {
            return "its machine is being removed".to_owned();
        }
        if self.drain.removal.is_some() {
            return "its machine is to be removed".to_owned();
        }
        let total = self.leavers.len();
        let left = now.since(self.drain.deadline).0 == 0;
        let left = if left { self.drain.deadline.since(now) } else { Millis(0) };
        if self.emptied.is_some() {
            return match self.seen.volumes {
                _ if !facts_removes => "drained and cordoned; no provider here removes its machine".to_owned(),
                0 => format!("{total}/{total} evicted, its machine goes next"),
                volumes => format!("{total}/{total} evicted, {volumes} volumes attached, {} s left", left.0 / 1000),
            };
        }
        let gone = total - self.left().count();
        let count = |is: &dyn Fn(&Leaver) -> bool| self.left().filter(|leaver| is(leaver)).count();
        let mut parts = vec![format!("{gone}/{total} evicted")];
        let terminating = |leaver: &Leaver| !leaver.stays() || leaver.accepted.is_some();
        let retrying = |leaver: &Leaver| !terminating(leaver) && leaver.first_refusal.is_some();
        let warming = |leaver: &Leaver| !terminating(leaver) && leaver.warm != WarmStep::Without;
        for (many, what) in
            [(count(&retrying), "retrying"), (count(&warming), "warming up"), (count(&terminating), "terminating")]
        {
            if many > 0 {
                parts.push(format!("{many} {what}"));
            }
        }
        parts.push(format!("{} s left", left.0 / 1000));
        parts.join(", ")
    }
}
