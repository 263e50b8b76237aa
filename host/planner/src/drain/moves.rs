//! Finding a place for the pods of nodes that leave.

use std::cmp::Reverse;
use std::collections::HashMap;

use fixedbitset::FixedBitSet;
use plimsoll_model::{GroupIndex, NodeId, PodId, Resources, Snapshot, Text};
use plimsoll_scheduler::{ClassId, Filter, Mark, Simulation, fits, why_not_statically};

use crate::scale_up::SettledHeadroom;

/// After so many looks at nodes, nobody counts any more what keeps pods off them.
const MOST_LOOKS: usize = 500_000;

/// The nodes that stay, with everything that was moved there so far.
///
/// A pod goes to the first node that takes it: in the order of names, and once it is known which nodes the policy would
/// drain, to those it would not before those that come last in its order. A leaving node takes no pods, but stays a
/// topology domain without any: kube-scheduler counts it as one as long as it is there, which is when the evicted pods
/// are given their places. Pods of a DaemonSet leave with it.
pub(super) struct Moves<'a> {
    snapshot: &'a Snapshot,
    simulation: &'a mut Simulation,
    /// Nodes that may take pods, in the order in which they are tried: ready by now, neither leaving nor cordoned.
    receivers: Vec<NodeId>,
    receives: FixedBitSet,
    /// Receivers before this take no pod of the class, and none later on: nodes that stay only get fuller.
    first: HashMap<ClassId, usize>,
    /// Receivers that belong to a group.
    of_group: HashMap<Text, Vec<NodeId>>,
    /// What has a place on each node and did not run there: headroom, and pods of leaving nodes.
    guests: Vec<Vec<Tenant>>,
    /// Moved pods that rules concern, in the order in which they came.
    bound: Vec<(Tenant, NodeId)>,
    /// Moments to which the simulation is taken back in the end.
    marks: Vec<Mark>,
    /// Nodes that are there, without those that have not joined.
    joined: usize,
    looks: usize,
}

/// What needs a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    class: ClassId,
    who: Who,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Pod(PodId),
    /// A unit of headroom, on nodes of this group only.
    Headroom(Option<Text>),
}

/// What it takes to take a move back.
pub(super) struct Undo {
    mark: Mark,
    /// Guests that had to leave with the node's own pods.
    guests: Vec<Tenant>,
    /// Where the pods went, in that order.
    went: Vec<NodeId>,
    bound: usize,
}

/// What cannot leave a node, and why, for a person.
#[derive(Debug)]
pub(super) enum Stuck {
    Pod(String),
    Headroom(String),
}

/// Why a pod has no place.
enum Nowhere {
    /// No node has room, and none will have.
    Full,
    /// Rules or volumes keep it off where there is room; pods that are still to be placed can change that.
    Barred,
}

impl<'a> Moves<'a> {
    /// Starts with the nodes as they are, pending pods and headroom included. The simulation may have nodes open that
    /// are not ready yet: pending pods wait for those, but no pod is evicted for one.
    pub fn new(
        snapshot: &'a Snapshot,
        simulation: &'a mut Simulation,
        groups: &GroupIndex<'_>,
        headroom: Vec<SettledHeadroom>,
        mark: Mark,
    ) -> Self {
        let mut receives = FixedBitSet::with_capacity(snapshot.node_slots());
        let mut receivers = Vec::new();
        for (id, node) in snapshot.nodes() {
            let started = simulation.node(id).is_some_and(|now| now.taints.len() == node.taints.len());
            if node.ready && started && !node.unschedulable && simulation.is_open(id) {
                receives.insert(id.0 as usize);
                receivers.push(id);
            }
        }
        let mut of_group: HashMap<Text, Vec<NodeId>> = HashMap::new();
        let mut guests = vec![Vec::new(); snapshot.node_slots()];
        for settled in headroom {
            if let Some(name) = &settled.group {
                let own =
                    |id: &NodeId| groups.group_of(snapshot.node(*id)).is_some_and(|(_, group)| group.name == *name);
                of_group.entry(name.clone()).or_insert_with(|| receivers.iter().copied().filter(own).collect());
            }
            let unit = Tenant { class: settled.class, who: Who::Headroom(settled.group) };
            guests[settled.node.0 as usize].extend(std::iter::repeat_n(unit, settled.units as usize));
        }
        Self {
            snapshot,
            simulation,
            receivers,
            receives,
            first: HashMap::new(),
            of_group,
            guests,
            bound: Vec::new(),
            marks: vec![mark],
            joined: snapshot.nodes().filter(|(_, node)| !node.launching).count(),
            looks: 0,
        }
    }

    /// The simulation as it is by now.
    pub fn simulation(&self) -> &Simulation {
        self.simulation
    }

    /// Learns the rules of pods that may have to move.
    pub fn prepare(&mut self, pods: impl Iterator<Item = PodId>) {
        let mut classes: Vec<ClassId> = pods.filter_map(|pod| Some(self.simulation.placed(pod)?.0)).collect();
        classes.sort_unstable();
        classes.dedup();
        self.simulation.prepare(&classes);
    }

    /// Learns in which order nodes will be emptied, so that pods are seldom moved to one that is next.
    pub fn expect(&mut self, order: &[NodeId]) {
        let turns: HashMap<NodeId, usize> = order.iter().copied().zip(0..).collect();
        // Sorting keeps the others in the order of names, before those that have a turn.
        let turn = |id: &NodeId| turns.get(id).map(|turn| Reverse(*turn));
        self.receivers.sort_by_key(turn);
        self.of_group.values_mut().for_each(|nodes| nodes.sort_by_key(turn));
        self.first.clear();
    }

    /// Moves everything off a node, and with it what was to go there; or leaves all as it was and says what has no place.
    pub fn empty(&mut self, from: NodeId, pods: &[PodId]) -> Result<Undo, Stuck> {
        let mut undo = Undo {
            mark: self.simulation.mark(),
            guests: std::mem::take(&mut self.guests[from.0 as usize]),
            went: Vec::new(),
            bound: self.bound.len(),
        };
        let tenants = self.tenants(pods, &undo.guests);
        let gone = self.clear(from);
        let placed = self.place_all(from, tenants, &mut undo.went);
        match placed.and_then(|()| self.check_bound(gone.iter().map(|(class, _)| *class).collect())) {
            Ok(()) => Ok(undo),
            Err(stuck) => {
                self.undo(from, undo);
                Err(stuck)
            }
        }
    }

    /// Moves off a node what has a place elsewhere, for good: the node leaves in any case. Says what has none, of the
    /// first such pod.
    pub fn vacate(&mut self, from: NodeId, pods: &[PodId]) -> Option<String> {
        let mark = self.simulation.mark();
        self.marks.push(mark);
        let guests = std::mem::take(&mut self.guests[from.0 as usize]);
        let mut waiting = self.tenants(pods, &guests);
        self.clear(from);
        loop {
            let (before, mut left) = (waiting.len(), Vec::new());
            for tenant in waiting {
                match self.find(&tenant, from, &[]) {
                    Ok(to) => self.move_in(tenant, to, &mut Vec::new()),
                    Err(_) => left.push(tenant),
                }
            }
            // Pods that rules keep off everywhere may have to be near one that has a place by now.
            if left.is_empty() || left.len() == before {
                let tenant = left.first()?;
                return Some(format!("{}: {}", self.describe(tenant), self.obstacles(tenant, from)));
            }
            waiting = left;
        }
    }

    /// Pods of a node, and what was to go there, in the order in which they are given a place: pods before headroom, the
    /// largest first.
    fn tenants(&self, pods: &[PodId], guests: &[Tenant]) -> Vec<Tenant> {
        let own =
            pods.iter().filter_map(|&pod| Some(Tenant { class: self.simulation.placed(pod)?.0, who: Who::Pod(pod) }));
        let mut tenants: Vec<Tenant> = own.chain(guests.iter().cloned()).collect();
        tenants.sort_by_key(|tenant| {
            let requests = self.requests(tenant.class);
            (matches!(tenant.who, Who::Headroom(_)), Reverse((requests.cpu, requests.memory)))
        });
        tenants
    }

    /// Takes all pods off a node, and lets none come; tells which there were.
    fn clear(&mut self, from: NodeId) -> Vec<(ClassId, u32)> {
        self.simulation.close(from);
        let gone = self.simulation.pods_on(from).to_vec();
        for &(class, count) in &gone {
            self.simulation.remove(class, from, count);
        }
        gone
    }

    /// Takes a move back, which must be the last one.
    pub fn undo(&mut self, from: NodeId, undo: Undo) {
        for to in undo.went {
            self.guests[to.0 as usize].pop();
        }
        self.guests[from.0 as usize] = undo.guests;
        self.bound.truncate(undo.bound);
        self.simulation.rollback(undo.mark);
    }

    /// Lets a move stay until the plan is done.
    pub fn keep(&mut self, undo: Undo) {
        self.marks.push(undo.mark);
    }

    /// Leaves the simulation as it was before anything settled or moved, and tells where each evicted pod can go, in
    /// the order of namespaces and names.
    pub fn finish(self) -> Vec<(PodId, NodeId)> {
        for mark in self.marks.into_iter().rev() {
            self.simulation.rollback(mark);
        }
        let mut moves: Vec<(PodId, NodeId)> = Vec::new();
        for (guests, node) in self.guests.iter().zip(0u32..) {
            moves.extend(guests.iter().filter_map(|guest| match guest.who {
                Who::Pod(pod) => Some((pod, NodeId(node))),
                Who::Headroom(_) => None,
            }));
        }
        let name = |pod: PodId| {
            let pod = self.snapshot.pod(pod);
            (&pod.namespace, &pod.name)
        };
        moves.sort_by(|a, b| name(a.0).cmp(&name(b.0)));
        moves
    }

    fn requests(&self, class: ClassId) -> &Resources {
        &self.simulation.class(class).shape.requests
    }

    /// Pods that rules keep off everywhere are tried again after the others, which they may have to be near.
    fn place_all(&mut self, from: NodeId, mut waiting: Vec<Tenant>, went: &mut Vec<NodeId>) -> Result<(), Stuck> {
        loop {
            let (before, mut barred) = (waiting.len(), Vec::new());
            for tenant in waiting {
                match self.find(&tenant, from, went) {
                    Ok(to) => self.move_in(tenant, to, went),
                    Err(Nowhere::Barred) => barred.push(tenant),
                    Err(Nowhere::Full) => return Err(self.stuck(&tenant, from)),
                }
            }
            match barred.first() {
                None => return Ok(()),
                Some(tenant) if barred.len() == before => return Err(self.stuck(tenant, from)),
                Some(_) => waiting = barred,
            }
        }
    }

    fn move_in(&mut self, tenant: Tenant, to: NodeId, went: &mut Vec<NodeId>) {
        self.simulation.add(tenant.class, to, 1);
        went.push(to);
        if matches!(tenant.who, Who::Pod(_)) && self.simulation.is_topological(tenant.class) {
            self.bound.push((tenant.clone(), to));
        }
        self.guests[to.0 as usize].push(tenant);
    }

    /// The first node that takes one more. `touched` are nodes that may yet be as they were before.
    fn find(&mut self, tenant: &Tenant, from: NodeId, touched: &[NodeId]) -> Result<NodeId, Nowhere> {
        let class = tenant.class;
        let shape = self.simulation.class(class).shape.clone();
        let limited = match &tenant.who {
            Who::Headroom(Some(group)) => self.of_group.get(group),
            _ => None,
        };
        let nodes = limited.unwrap_or(&self.receivers);
        let start = if limited.is_some() { 0 } else { self.first.get(&class).copied().unwrap_or(0) };
        let (mut passed, mut useless, mut roomy) = (start, true, false);
        let mut found = None;
        for (at, &id) in nodes.iter().enumerate().skip(start) {
            let room = id != from
                && self.simulation.is_open(id)
                && self.simulation.node(id).is_some_and(|node| fits(&shape, node));
            useless = useless && !room && id != from && !touched.contains(&id);
            if useless {
                passed = at + 1;
            }
            roomy |= room;
            if room && self.simulation.fits(class, id) {
                found = Some(id);
                break;
            }
        }
        if limited.is_none() && passed > start {
            self.first.insert(class, passed);
        }
        found.ok_or(if roomy { Nowhere::Barred } else { Nowhere::Full })
    }

    /// Pods that were moved so far must still be let in where they are: what came or went since may be what their
    /// rules are about, and nobody knows in which order they will arrive.
    fn check_bound(&mut self, moved: Vec<ClassId>) -> Result<(), Stuck> {
        let concerned = self.simulation.concerned_by(&moved, self.bound.iter().map(|(tenant, _)| tenant.class));
        if concerned.is_empty() {
            return Ok(());
        }
        for (tenant, at) in &self.bound {
            let here = concerned.binary_search(&tenant.class).is_ok() && self.guests[at.0 as usize].contains(tenant);
            if here && !self.simulation.still_fits(tenant.class, *at) {
                let (what, node) = (self.describe(tenant), &self.snapshot.node(*at).name);
                return Err(Stuck::Pod(format!(
                    "{what} would go to {node}, where its rules about other pods would not hold"
                )));
            }
        }
        Ok(())
    }

    fn stuck(&mut self, tenant: &Tenant, from: NodeId) -> Stuck {
        let detail = format!("{}: {}", self.describe(tenant), self.obstacles(tenant, from));
        match tenant.who {
            Who::Pod(_) => Stuck::Pod(detail),
            Who::Headroom(_) => Stuck::Headroom(detail),
        }
    }

    fn describe(&self, tenant: &Tenant) -> String {
        let requests = self.requests(tenant.class);
        let size = format!("({} cpu, {} memory)", requests.cpu, requests.memory);
        match &tenant.who {
            Who::Pod(pod) => format!("pod {} {size}", self.snapshot.pod(*pod).full_name()),
            Who::Headroom(None) => format!("a unit of headroom {size}"),
            Who::Headroom(Some(group)) => format!("a unit of headroom {size} of group {group}"),
        }
    }

    /// How many other nodes there are, and which filter keeps the pod off how many of them, the most frequent first.
    fn obstacles(&mut self, tenant: &Tenant, from: NodeId) -> String {
        let others = self.joined.saturating_sub(1);
        self.looks = self.looks.saturating_add(others);
        if self.looks > MOST_LOOKS {
            return format!("0/{others} other nodes take it");
        }
        let mut counts: Vec<(Filter, u32)> = Vec::new();
        for (id, _) in self.snapshot.nodes().filter(|(id, node)| *id != from && !node.launching) {
            let filter = self.obstacle(tenant, id);
            match counts.iter_mut().find(|(known, _)| *known == filter) {
                Some((_, count)) => *count += 1,
                None => counts.push((filter, 1)),
            }
        }
        counts.sort_by_key(|(filter, count)| (Reverse(*count), *filter));
        let counts: Vec<String> = counts.iter().map(|(filter, count)| format!("{count} {}", filter.name())).collect();
        format!("0/{others} other nodes take it: {}", counts.join(", "))
    }

    /// The first filter that keeps it off a node. Nodes that may not take pods count as cordoned.
    fn obstacle(&self, tenant: &Tenant, id: NodeId) -> Filter {
        let (class, simulation) = (tenant.class, &*self.simulation);
        let Some(node) =
            simulation.node(id).filter(|_| self.receives.contains(id.0 as usize) && simulation.is_open(id))
        else {
            return Filter::NodeUnschedulable;
        };
        let shape = &simulation.class(class).shape;
        // What is true of most nodes needs no sentence for each.
        if shape.host_ports.is_empty()
            && node.room_for(shape, 1) == 0
            && why_not_statically(shape, None, node).is_empty()
        {
            return Filter::NodeResourcesFit;
        }
        let reasons = simulation.why_not(class, None, id);
        reasons.first().map_or(Filter::NodeAffinity, |rejection| rejection.filter)
    }
}
