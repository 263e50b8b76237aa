//! Which nodes came of which launch, and what is late.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use plimsoll_model::{GroupIndex, Node, NodeGroup, Snapshot, Text, Timestamp};

use super::backoff::Scope;
use super::cause::KubeletRequests;
use super::entry::{Arrival, Call, Entry, Stage, grace};
use super::{InventoryFacts, LAUNCH_LABEL, LaunchFailure, Ledger, News, NotJoinedCause};
use crate::scale_up::ScaleUpConfig;

/// Failed instances of nobody that are remembered.
const MOST_STRAYS: usize = 1000;
/// Finished launches that are kept at most.
const MOST_CLOSED: usize = 2000;

/// How strictly a node must be what was launched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Instance type, zone and lifecycle are as asked for, as far as its labels say.
    Kind,
    /// It is of the group, which the provider only told a size.
    Sized,
    /// As [`Kind`](Self::Kind), of launches that were given up.
    Lost,
}

impl Ledger {
    /// Looks at the cluster: which launched nodes are there, which are late, and what no longer has to be kept. A
    /// second look at the same cluster tells nothing new. Rows that stand for launched nodes are not looked at.
    pub fn observe(
        &mut self,
        snapshot: &Snapshot,
        inventory: &InventoryFacts,
        config: &ScaleUpConfig,
        now: Timestamp,
    ) -> Vec<News> {
        let mut look =
            Look { snapshot, config, groups: GroupIndex::of(&config.groups), requests: None, now, news: Vec::new() };
        self.follow(&mut look);
        self.name_machines(inventory);
        self.match_nodes(&mut look);
        self.note_failed(inventory, &mut look);
        self.note_late(&mut look);
        self.close(now);
        self.backoffs.forget(&self.rules, now);
        let news = look.news;
        self.note_bystanders(snapshot);
        news
    }

    /// While no node is awaited, every node that is there is of no launch to come.
    fn note_bystanders(&mut self, snapshot: &Snapshot) {
        if self.entries.iter().any(|entry| entry.missing() > 0) {
            return;
        }
        let known = &self.bystanders.0;
        let there = || snapshot.nodes().filter(|(_, node)| !node.launching);
        if there().count() != known.len() || there().any(|(_, node)| !known.contains(&node.name)) {
            self.bystanders.0 = there().map(|(_, node)| node.name.clone()).collect();
        }
    }

    /// How the nodes fare that came before.
    fn follow(&mut self, look: &mut Look<'_>) {
        for at in 0..self.entries.len() {
            for place in 0..self.entries[at].nodes.len() {
                self.judge(at, place, look);
            }
        }
    }

    /// How one node fares.
    fn judge(&mut self, at: usize, place: usize, look: &mut Look<'_>) {
        let entry = &mut self.entries[at];
        let after = entry.after(look.now);
        let (launch, kind) = (entry.intent.id.clone(), entry.kind());
        let Some(arrival) = entry.nodes.get_mut(place) else { return };
        let name = arrival.name.clone();
        let Some(node) = look.real(&name) else {
            let unready = matches!(arrival.stage, Stage::Starting | Stage::Late);
            arrival.stage = Stage::Left;
            if unready {
                let cause = NotJoinedCause::Left(name);
                let why = format!("NodeNotJoined: {cause}");
                let block = self.backoffs.fail(&self.rules, &kind, Scope::Kind, &why, look.now);
                let given_up = Some(block.until);
                look.news.push(News::NotJoined { launch, kind, nodes: 1, cause, after, given_up });
            }
            return;
        };
        if arrival.stage == Stage::Ready {
            return;
        }
        if arrival.stage == Stage::Left {
            // Another node may have its name by now.
            if node.created != Some(arrival.created) {
                return;
            }
            arrival.stage = Stage::Stuck;
        }
        let group = look.group_of(&kind.group);
        let Some(cause) = NotJoinedCause::of_node(node, look.config.startup_of(group)) else {
            let late = arrival.stage != Stage::Starting;
            arrival.stage = Stage::Ready;
            self.backoffs.joined(&kind);
            let news = if late {
                News::Recovered { launch, kind, node: name, after }
            } else {
                News::Joined { launch, kind, node: name, after }
            };
            look.news.push(news);
            return;
        };
        let begun = match entry.call {
            Call::Accepted(begun) => begun,
            _ => entry.intent.decided,
        };
        let Some(arrival) = entry.nodes.get_mut(place) else { return };
        let patient = look.now.since(arrival.created) < grace(&self.rules, group);
        if patient || arrival.stage == Stage::Stuck {
            return;
        }
        if look.now.since(begun) >= self.rules.max_provision {
            arrival.stage = Stage::Stuck;
            let why = format!("NodeNotJoined: {cause}");
            let block = self.backoffs.fail(&self.rules, &kind, Scope::Kind, &why, look.now);
            let given_up = Some(block.until);
            look.news.push(News::NotJoined { launch, kind, nodes: 1, cause, after, given_up });
        } else if arrival.stage == Stage::Starting {
            arrival.stage = Stage::Late;
            look.news.push(News::NotJoined { launch, kind, nodes: 1, cause, after, given_up: None });
        }
    }

    /// A machine's name that a provider gave becomes that of its node.
    fn name_machines(&mut self, inventory: &InventoryFacts) {
        if self.entries.iter().all(|entry| entry.names.is_empty()) {
            return;
        }
        let known = inventory.machines.iter().filter_map(|machine| Some((&machine.name, machine.node.as_ref()?)));
        let nodes: HashMap<&Text, &Text> = known.filter(|(machine, node)| machine != node).collect();
        for name in self.entries.iter_mut().flat_map(|entry| &mut entry.names) {
            if let Some(&node) = nodes.get(name) {
                *name = node.clone();
            }
        }
    }

    /// Finds the launches of nodes that are new: by name, by label, and else by group and kind, the oldest launch first.
    fn match_nodes(&mut self, look: &mut Look<'_>) {
        let open = |entry: &&Entry| entry.missing() > 0;
        let Some(first) = self.entries.iter().filter(open).map(|entry| entry.intent.decided).min() else { return };
        let taken = self.entries.iter().flat_map(|entry| &entry.nodes).filter(|node| node.stage != Stage::Left);
        let taken: HashSet<Text> = taken.map(|node| node.name.clone()).collect();
        let by_id: HashMap<Text, usize> =
            self.entries.iter().enumerate().map(|(at, entry)| (entry.intent.id.0.clone(), at)).collect();
        let by_name: HashMap<Text, usize> = self
            .entries
            .iter()
            .enumerate()
            .rev()
            .flat_map(|(at, entry)| entry.names.iter().map(move |name| (name.clone(), at)))
            .collect();
        let snapshot = look.snapshot;
        let mut strangers: Vec<(Timestamp, &Node)> = Vec::new();
        for (_, node) in snapshot.nodes() {
            if node.launching || taken.contains(&node.name) {
                continue;
            }
            let labelled = node.labels.get(LAUNCH_LABEL);
            if let Some(&at) = by_name.get(&node.name).or_else(|| by_id.get(labelled?)) {
                self.arrive(at, node, look);
            } else if let Some(created) = node.created.filter(|_| labelled.is_none())
                && created.0.saturating_add(self.rules.skew.0) >= first.0
                && created > self.settled
                && !self.bystanders.0.contains(&node.name)
            {
                strangers.push((created, node));
            }
        }
        strangers.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        for fit in [Fit::Kind, Fit::Sized, Fit::Lost] {
            strangers.retain(|&(created, node)| {
                let Some(group) = look.groups.group_of(node).map(|(_, group)| &group.name) else { return false };
                let found = self.entries.iter().position(|entry| self.could_be(entry, node, created, group, fit));
                if let Some(at) = found {
                    self.arrive(at, node, look);
                }
                found.is_none()
            });
        }
    }

    /// True if this node may be one that a launch is waiting for, though nothing names it.
    fn could_be(&self, entry: &Entry, node: &Node, created: Timestamp, group: &Text, fit: Fit) -> bool {
        let request = &entry.intent.request;
        let alike = || {
            node.instance_type().is_none_or(|name| *name == request.instance_type)
                && node.zone().is_none_or(|zone| *zone == request.zone)
                && node.lifecycle().is_none_or(|lifecycle| lifecycle == request.lifecycle)
        };
        let fits = match fit {
            Fit::Kind => !entry.given_up && alike(),
            Fit::Sized => !entry.given_up && entry.intent.baseline.is_some(),
            Fit::Lost => entry.given_up && alike(),
        };
        fits && request.group == *group
            // What was never called has launched nothing.
            && matches!(entry.call, Call::Ready | Call::Accepted(_))
            && entry.unnamed() > 0
            && created.0.saturating_add(self.rules.skew.0) >= entry.intent.decided.0
    }

    /// A node is one of a launch, if that one misses any.
    fn arrive(&mut self, at: usize, node: &Node, look: &mut Look<'_>) {
        let entry = &mut self.entries[at];
        if entry.missing() == 0 {
            return;
        }
        let stage = match (entry.given_up, entry.reported) {
            (true, _) => Stage::Stuck,
            (false, true) => Stage::Late,
            (false, false) => Stage::Starting,
        };
        match entry.names.iter().position(|name| *name == node.name) {
            Some(place) => {
                entry.names.remove(place);
            }
            // It takes the place of one that has no name, or else of a name.
            None if entry.unnamed() == 0 => {
                entry.names.pop();
            }
            None => {}
        }
        entry.nodes.push(Arrival { name: node.name.clone(), created: node.created.unwrap_or(look.now), stage });
        let place = entry.nodes.len() - 1;
        self.judge(at, place, look);
    }

    /// Instances that the provider could not make are no longer coming.
    fn note_failed(&mut self, inventory: &InventoryFacts, look: &mut Look<'_>) {
        let current: HashSet<&Text> = inventory.failed.iter().map(|failed| &failed.id).collect();
        self.strays.retain(|id| current.contains(id));
        let known = self.entries.iter().flat_map(|entry| &entry.failed).chain(&self.strays);
        let mut known: HashSet<Text> = known.cloned().collect();
        let mut by_launch: Vec<(usize, &LaunchFailure, u32)> = Vec::new();
        for failed in &inventory.failed {
            if !known.insert(failed.id.clone()) {
                continue;
            }
            let named = self.entries.iter().position(|entry| entry.names.contains(&failed.id));
            let of_group = |entry: &Entry| {
                *entry.group() == failed.group
                    && !entry.given_up
                    && matches!(entry.call, Call::Ready | Call::Accepted(_))
                    && entry.unnamed() > 0
            };
            let Some(at) = named.or_else(|| self.entries.iter().position(of_group)) else {
                if self.strays.len() < MOST_STRAYS {
                    self.strays.push(failed.id.clone());
                }
                continue;
            };
            let entry = &mut self.entries[at];
            entry.names.retain(|name| *name != failed.id);
            entry.failed.push(failed.id.clone());
            match by_launch.iter_mut().find(|(known, failure, _)| *known == at && **failure == failed.failure) {
                Some((_, _, count)) => *count += 1,
                None => by_launch.push((at, &failed.failure, 1)),
            }
        }
        for (at, failure, nodes) in by_launch {
            let (launch, kind) = (self.entries[at].intent.id.clone(), self.entries[at].kind());
            let block = self.backoffs.fail(&self.rules, &kind, Scope::of(failure), &failure.to_string(), look.now);
            let fallback = self.fallback(look.config, &kind, look.now);
            let (failure, next_try) = (failure.clone(), block.until);
            look.news.push(News::Failed { launch, kind, nodes, failure, next_try, fallback });
        }
    }

    /// Says which nodes should be there by now, and gives up those that are long due.
    fn note_late(&mut self, look: &mut Look<'_>) {
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            if entry.given_up || entry.missing() == 0 {
                continue;
            }
            let kind = entry.kind();
            let patience = grace(&self.rules, look.group_of(&kind.group));
            let given_up = entry.overdue(&self.rules, look.now);
            let late = look.now.since(entry.begun()) >= patience && !entry.reported;
            if !given_up && !late {
                continue;
            }
            let causes = look.causes(entry, self.rules.skew.0);
            let (launch, after) = (entry.intent.id.clone(), entry.after(look.now));
            let unanswered = entry.call == Call::Ready;
            let called = entry.call != Call::Decided;
            let mut until = None;
            if given_up && called {
                let why = causes.first().map_or_else(String::new, |(cause, _)| format!("NodeNotJoined: {cause}"));
                // Without an answer nobody knows what is on its way: nothing else of the group either.
                let scope = if unanswered { Scope::Calls { often: false } } else { Scope::Kind };
                until = Some(self.backoffs.fail(&self.rules, &kind, scope, &why, look.now).until);
            }
            let entry = &mut self.entries[at];
            entry.reported = true;
            entry.given_up = given_up;
            let given_up = given_up.then(|| until.unwrap_or(look.now));
            look.news.extend(causes.into_iter().map(|(cause, nodes)| News::NotJoined {
                launch: launch.clone(),
                kind: kind.clone(),
                nodes,
                cause,
                after,
                given_up,
            }));
        }
    }

    /// Ends launches of which nothing is expected, and drops those that ended long ago.
    fn close(&mut self, now: Timestamp) {
        for entry in &mut self.entries {
            if entry.closed.is_none() && entry.settled() && !entry.unanswered(&self.rules, now) {
                entry.closed = Some(now);
            }
        }
        let mut ended: Vec<Timestamp> = self.entries.iter().filter_map(|entry| entry.closed).collect();
        ended.sort_unstable_by_key(|&closed| Reverse(closed));
        let last = ended.get(MOST_CLOSED).copied();
        let Self { rules, strays, settled, entries, .. } = self;
        entries.retain(|entry| {
            let Some(closed) = entry.closed else { return true };
            let keep = if entry.complete() { rules.keep_joined } else { rules.keep_lost };
            let kept = now.since(closed) < keep && last.is_none_or(|last| closed > last);
            if !kept {
                // Its nodes are nobody else's, nor are its failed instances, which the provider may list for long.
                *settled = entry.nodes.iter().map(|node| node.created).fold(*settled, Timestamp::max);
                let room = MOST_STRAYS.saturating_sub(strays.len());
                strays.extend(entry.failed.iter().take(room).cloned());
            }
            kept
        });
    }
}

/// One look at the cluster.
struct Look<'a> {
    snapshot: &'a Snapshot,
    config: &'a ScaleUpConfig,
    groups: GroupIndex<'a>,
    requests: Option<KubeletRequests<'a>>,
    now: Timestamp,
    news: Vec<News>,
}

impl<'a> Look<'a> {
    /// The node of this name, if it is there.
    fn real(&self, name: &str) -> Option<&'a Node> {
        self.snapshot.find_node(name).map(|(_, node)| node).filter(|node| !node.launching)
    }

    fn group_of(&self, name: &str) -> Option<&'a NodeGroup> {
        self.config.groups.iter().find(|group| group.name == *name)
    }

    /// Why the missing nodes of a launch are not there: each sort of cause once, with how many nodes it is about.
    fn causes(&mut self, entry: &Entry, skew: u64) -> Vec<(NotJoinedCause, u32)> {
        match entry.call {
            Call::Decided => return vec![(NotJoinedCause::NotCalled, entry.missing())],
            Call::Ready => return vec![(NotJoinedCause::NoAnswer(entry.last_error.clone()), entry.missing())],
            Call::Accepted(_) | Call::Failed => {}
        }
        let snapshot = self.snapshot;
        let requests = self.requests.get_or_insert_with(|| KubeletRequests::of(snapshot));
        let mut all: Vec<(NotJoinedCause, u32)> = Vec::new();
        let mut note = |cause: NotJoinedCause, nodes: u32| match all
            .iter_mut()
            .find(|(known, _)| known.label() == cause.label())
        {
            Some((_, count)) => *count += nodes,
            None => all.push((cause, nodes)),
        };
        for name in &entry.names {
            note(requests.of_node(name), 1);
        }
        if entry.unnamed() > 0 {
            let since = Timestamp(entry.intent.decided.0.saturating_sub(skew));
            note(requests.of_somebody(snapshot, since), entry.unnamed());
        }
        all
    }
}
