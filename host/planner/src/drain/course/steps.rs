//! What is due for one node.

use std::collections::HashSet;

use plimsoll_model::{Millis, Snapshot, Text, Timestamp, Uid};

use super::clock::{minus, plus};
use super::facts::{DrainFacts, MachineState};
use super::leaver::{Ask, Leaver, WarmStep};
use super::leaving::{Leaving, MARK_PATIENCE, Release};
use super::news::{DrainChange, DrainNews};
use super::{DrainAction, DrainRules, PodRef};

/// A turn that comes so late still counts as kept: the next one is not put off.
const PUNCTUAL: Millis = Millis(1_000);
/// A machine that is still there so long after its removal was taken is asked for again, where that is safe.
const STILL_THERE: Millis = Millis(600_000);

/// What steps are decided by.
pub(super) struct Around<'a> {
    pub snapshot: &'a Snapshot,
    pub facts: &'a DrainFacts,
    pub rules: &'a DrainRules,
    pub now: Timestamp,
}

/// What steps leave behind.
pub(super) struct Outcome<'a> {
    pub actions: Vec<(Text, DrainAction)>,
    pub news: &'a mut Vec<DrainNews>,
    /// Groups in which a machine is being measured or removed by size.
    pub held: HashSet<Text>,
    /// Workloads that the hint was given for.
    pub hinted: &'a mut HashSet<Uid>,
}

// === impl Leaving ===

impl Leaving {
    /// Gives up answers that do not come: what they were to may have been done, and is done again.
    pub fn forget_lost(&mut self, now: Timestamp) {
        self.mark.forget_lost(now);
        self.removing.measure.lost(now);
        self.removing.remove.lost(now);
        self.removing.delete_node.lost(now);
        if let Some(release) = &mut self.release {
            release.call.lost(now);
        }
        self.leavers.iter_mut().for_each(|leaver| leaver.forget_lost(now));
    }

    /// Everything that is due now.
    pub fn step(&mut self, around: &Around<'_>, out: &mut Outcome<'_>) {
        let now = around.now;
        if self.removing.gone.is_some() {
            self.delete_node(around, out);
            return;
        }
        self.ask_for_machine_again(now);
        if self.removing.accepted.is_some() {
            return;
        }
        if self.release.is_none() && !self.mark.begun() && self.mark.writing.is_none() {
            let patience = plus(self.drain.started, MARK_PATIENCE).min(self.drain.deadline);
            if now >= patience {
                let why = "it could not be written on the node in time".to_owned();
                self.release = Some(Release { why, call: Default::default() });
            }
        }
        if self.release.is_some() {
            self.release(around, out);
            return;
        }
        if self.mark.written.as_ref() != Some(&self.drain) && self.mark.call.start(now) {
            self.mark.writing = Some(self.drain.clone());
            self.act(DrainAction::Mark { node: self.node.clone(), drain: self.drain.clone() }, out);
        }
        if self.mark.begun() {
            let machine_stays = !around.facts.removes_machines;
            // A pod that was bound just before the cordon may be seen after the removal was decided.
            let called = self.removing.remove.sent.is_some();
            let late = !called && self.left().next().is_some();
            if (!self.removal_decided() || late) && (now < self.drain.deadline || machine_stays) {
                self.pods(around, false, out);
            }
            if machine_stays {
                self.stay_drained(out);
            } else if self.removal_decided() || self.machine_may_go(around.rules, now) {
                self.remove(around, out);
            }
        }
    }

    fn act(&self, action: DrainAction, out: &mut Outcome<'_>) {
        out.actions.push((self.node.name.clone(), action));
    }

    fn stay_drained(&mut self, out: &mut Outcome<'_>) {
        if self.emptied.is_some() && self.told.insert("drained") {
            out.news.push(self.news(DrainChange::Drained));
        }
    }

    fn delete_node(&mut self, around: &Around<'_>, out: &mut Outcome<'_>) {
        let due = self.removing.gone.is_some_and(|gone| around.now >= plus(gone, around.rules.node_delete_after));
        if !due || self.seen.deleting {
            return;
        }
        if !around.facts.may_delete_nodes {
            let said = "the cloud has to delete the Node of a machine that is gone".to_owned();
            out.news.extend(self.forbidden("delete nodes", said));
        } else if self.removing.delete_node.start(around.now) {
            self.act(DrainAction::DeleteNode { node: self.node.clone() }, out);
        }
    }

    /// A removal that was taken and came to nothing. Where sizes are told it is not repeated: what was launched since
    /// would be removed instead.
    fn ask_for_machine_again(&mut self, now: Timestamp) {
        let by_machine = self.drain.removal.as_ref().is_some_and(|mark| mark.baseline.is_none());
        let overdue = self.removing.accepted.is_some_and(|accepted| now >= plus(accepted, STILL_THERE));
        if by_machine && overdue && self.seen.machine == MachineState::Present {
            self.removing.accepted = None;
        }
    }

    /// Takes the drain back. Pods whose replacements were started have no owner that would ever end them: they go first.
    fn release(&mut self, around: &Around<'_>, out: &mut Outcome<'_>) {
        if self.mark.writing.is_some() {
            return;
        }
        let now = around.now;
        if now < self.drain.deadline {
            self.pods(around, true, out);
            let asked = |leaver: &Leaver| leaver.call.is_some_and(|(_, ask)| ask == Ask::Replace);
            if self.leavers.iter().any(|leaver| leaver.orphaned() || asked(leaver)) {
                return;
            }
        }
        let Some(release) = &mut self.release else { return };
        if !self.mark.perhaps {
            let why = release.why.clone();
            self.ended = true;
            out.news.push(self.news(DrainChange::Cancelled { why }));
            return;
        }
        if release.call.start(now) {
            let drain = Some(self.drain.id.clone());
            self.act(DrainAction::Release { node: self.node.clone(), drain }, out);
        }
    }

    fn remove(&mut self, around: &Around<'_>, out: &mut Outcome<'_>) {
        let now = around.now;
        let left: Vec<String> =
            self.left().filter_map(|leaver| leaver.seen.as_ref()).map(|seen| name(&seen.pod)).collect();
        if now >= self.drain.deadline && !self.timed_out {
            self.timed_out = true;
            if !left.is_empty() {
                out.news.push(self.news(DrainChange::TimedOut { pods: left }));
            }
        }
        if self.drain.removal.is_none() || self.removing.again {
            let busy = |group: &Text| out.held.contains(group) || around.facts.launching_groups.contains(group);
            if self.removing.measure.sent.is_some() || self.group.as_ref().is_some_and(busy) {
                return;
            }
            if self.removing.measure.start(now) {
                out.held.extend(self.group.clone());
                let removal = crate::drain::Removal { baseline: None, ..self.removal() };
                self.act(DrainAction::MeasureRemoval { removal }, out);
            }
            return;
        }
        let written = self.mark.written.as_ref().and_then(|written| written.removal.as_ref());
        if now < self.drain.deadline && self.left().next().is_some() {
            return;
        }
        if written == self.drain.removal.as_ref() && self.removing.remove.start(now) {
            if self.told.insert("terminating") {
                out.news.push(self.news(DrainChange::Terminating));
            }
            self.act(DrainAction::Remove { removal: self.removal() }, out);
        }
    }

    /// What is due for its pods; `orphans`: only for those that nobody else would end.
    fn pods(&mut self, around: &Around<'_>, orphans: bool, out: &mut Outcome<'_>) {
        let (now, rules) = (around.now, around.rules);
        let mut early = orphans;
        for at in 0..self.leavers.len() {
            let leaver = &self.leavers[at];
            if !leaver.stays() || leaver.call.is_some() || leaver.accepted.is_some() {
                continue;
            }
            if !leaver.begun {
                // Turns come in order.
                if early {
                    continue;
                }
                let turn = self.turn(leaver, now);
                if now < turn {
                    early = true;
                    continue;
                }
                self.last_turn = Some(if now.since(turn) <= PUNCTUAL { turn } else { now });
                self.begun = true;
                self.begin(at, around, out);
            }
            if orphans && !self.leavers[at].orphaned() {
                continue;
            }
            if !self.warmed(at, rules, orphans, now, out) {
                continue;
            }
            self.evict(at, around, out);
        }
    }

    /// A pod's turn has come.
    fn begin(&mut self, at: usize, around: &Around<'_>, out: &mut Outcome<'_>) {
        let (snapshot, now) = (around.snapshot, around.now);
        let leaver = &mut self.leavers[at];
        leaver.begun = true;
        let Some(seen) = &leaver.seen else { return };
        let pod = seen.pod.clone();
        let mut told = Vec::new();
        if let (Some(owner), Some(top), false) = (&seen.owner, &seen.top, seen.labelled)
            && owner.kind == *"ReplicaSet"
        {
            let desired = snapshot.workload(top).and_then(|workload| workload.desired);
            if desired.unwrap_or_else(|| snapshot.replicas_of(owner)) == 1 && out.hinted.insert(top.uid.clone()) {
                let workload = format!("{} {}/{}", top.kind, top.namespace, top.name);
                told.push(DrainChange::SingleReplicaHint { workload });
            }
        }
        let last = minus(self.drain.deadline, around.rules.warmup_guard);
        match leaver.warmup(snapshot, &self.drain, now) {
            Err(why) => told.push(DrainChange::WarmupUnsupported { why: why.to_owned() }),
            Ok(Some(_)) if now >= last => {
                told.push(DrainChange::WarmupCutShort { why: "the deadline of the node is too near".to_owned() });
            }
            Ok(Some(warmup)) => leaver.warm = WarmStep::Asked(warmup),
            Ok(None) => {}
        }
        out.news.extend(told.into_iter().map(|change| self.pod_news(Some(pod.clone()), change)));
    }

    /// True if no warm-up is in the way of the pod's eviction any more.
    fn warmed(&mut self, at: usize, rules: &DrainRules, at_once: bool, now: Timestamp, out: &mut Outcome<'_>) -> bool {
        let leaver = &mut self.leavers[at];
        let Some((until, by_deadline)) = leaver.warm_until(&self.drain, rules) else { return true };
        let pod = leaver.seen.as_ref().map(|seen| seen.pod.clone());
        let why = match &leaver.warm {
            WarmStep::Without => return true,
            WarmStep::Asked(warmup) if now < until => {
                if let (true, Some(pod)) = (now >= leaver.next_try, pod) {
                    leaver.call = Some((now, Ask::Replace));
                    let (node, warmup) = (self.node.name.clone(), warmup.clone());
                    self.act(DrainAction::StartReplacement { node, pod, warmup }, out);
                }
                return false;
            }
            WarmStep::Asked(_) => {
                leaver.warm = WarmStep::Without;
                leaver.next_try = now;
                Some("its replacement could not be started in time")
            }
            WarmStep::Warming(_) if now < until => return (rules.evict_when_ready || at_once) && leaver.replaced,
            WarmStep::Warming(_) if !leaver.replaced => Some("its replacement was not ready in time"),
            WarmStep::Warming(_) if by_deadline => Some("the deadline of the node came first"),
            WarmStep::Warming(_) => None,
        };
        if let (Some(why), false) = (why, leaver.cut_told) {
            leaver.cut_told = true;
            out.news.push(self.pod_news(pod, DrainChange::WarmupCutShort { why: why.to_owned() }));
        }
        true
    }

    fn evict(&mut self, at: usize, around: &Around<'_>, out: &mut Outcome<'_>) {
        let (now, rules, may_delete) = (around.now, around.rules, around.facts.may_force_delete);
        let leaver = &mut self.leavers[at];
        let Some(seen) = leaver.seen.as_ref().filter(|_| now >= leaver.ask_at(rules, may_delete)) else { return };
        let (pod, node) = (seen.pod.clone(), self.node.name.clone());
        let forced = leaver.force_at(rules).is_some_and(|at| now >= at);
        if forced && may_delete {
            let grace = leaver.deletion_grace(&self.drain, now);
            leaver.call = Some((now, Ask::Delete));
            self.act(DrainAction::Delete { node, pod, grace }, out);
            return;
        }
        leaver.budgets = budgets(around.snapshot, &pod);
        let grace = leaver.eviction_grace(&self.drain, now);
        leaver.call = Some((now, Ask::Evict));
        self.act(DrainAction::Evict { node, pod, grace }, out);
        if forced {
            let said = "its evictions are refused, and it may not be deleted".to_owned();
            out.news.extend(self.forbidden("delete pods", said));
        }
    }

    /// When something becomes due without anything new being known.
    pub fn next(&self, rules: &DrainRules, may_delete: bool, now: Timestamp) -> Option<Timestamp> {
        let (drain, removing) = (&self.drain, &self.removing);
        let mut moments = vec![drain.deadline, minus(drain.deadline, rules.warmup_guard)];
        if self.mark.written.as_ref() != Some(drain) {
            moments.extend([self.mark.call.next(), plus(drain.started, MARK_PATIENCE)]);
        }
        moments.extend(self.release.as_ref().map(|release| release.call.next()));
        let waiting = self.leavers.iter().filter(|leaver| leaver.stays() && !leaver.begun);
        // Only the first one's turn can come next.
        moments.extend(waiting.take(1).map(|leaver| self.turn(leaver, now)));
        let begun = self.leavers.iter().filter(|leaver| leaver.begun);
        moments.extend(begun.filter_map(|leaver| leaver.next(drain, rules, may_delete)));
        moments.extend(self.emptied.map(|emptied| plus(emptied, rules.detach_wait)));
        moments.extend([removing.measure.next(), removing.remove.next(), removing.delete_node.next()]);
        moments.extend(removing.accepted.map(|accepted| plus(accepted, STILL_THERE)));
        moments.extend(removing.gone.map(|gone| plus(gone, rules.node_delete_after)));
        moments.into_iter().filter(|moment| *moment > now).min()
    }
}

pub(super) fn name(pod: &PodRef) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

/// The names of the budgets that cover a pod.
fn budgets(snapshot: &Snapshot, pod: &PodRef) -> Vec<Text> {
    let found = snapshot.find_pod(&pod.namespace, &pod.name);
    found.map(|(_, pod)| snapshot.budgets_of(pod).map(|(_, budget)| budget.name.clone()).collect()).unwrap_or_default()
}
