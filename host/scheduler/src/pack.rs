//! How many nodes of one kind it takes to place pods, and which pods go together.
//!
//! First-fit decreasing over runs of equal nodes: what happens to one node of a run happens to all of them
//! at once, so the cost follows the number of lots, not the number of pods or nodes.

use std::collections::HashMap;

use plimsoll_model::{Bytes, HostPort, MilliCpu, Resources};

use crate::batch::{Batch, HostRules, Lot};
use crate::node_state::{room, takes_one};
use crate::tracker::TrackerId;
use crate::volumes::Attached;
use crate::{ClassId, NodeState, Site};

/// Pods placed on new nodes.
#[derive(Clone, Debug, Default)]
pub struct Packing {
    /// Nodes used; each has at least one pod.
    pub nodes: u32,
    /// Pods placed, by their place in the list of what was wanted, in that order; none is zero.
    pub placed: Vec<(u32, u32)>,
    /// What stays free on the nodes used.
    pub free: Resources,
    /// The nodes, by what is on them.
    pub runs: Vec<Run>,
}

/// Equal new nodes with equal pods on them.
#[derive(Clone, Debug)]
pub struct Run {
    /// How many nodes.
    pub nodes: u32,
    /// What is free on one of them.
    pub free: Resources,
    ports: Vec<HostPort>,
    attached: Attached,
    /// Counters of single hosts.
    counts: Vec<(TrackerId, u32)>,
    /// Some pod was placed on each.
    used: bool,
    /// The pods on one of them that were placed here, by a class of their size, where that is remembered.
    pub pods: Vec<(ClassId, u32)>,
}

/// Runs next to each other, in the order in which nodes are tried, with what lets a search pass them by.
#[derive(Debug, Default)]
struct Block {
    runs: Vec<Run>,
    /// No run has more free than this.
    cpu: MilliCpu,
    memory: Bytes,
    /// Rules about hosts that every run is closed to, for good.
    closed: Vec<u32>,
}

/// Pods that look for nodes.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    lot: &'a Lot,
    rules: Option<&'a HostRules>,
    site: &'a Site,
    /// Which pods a node gets is remembered.
    noted: bool,
}

/// A packing in progress.
struct Packer<'a> {
    batch: &'a Batch,
    site: &'a Site,
    blocks: Vec<Block>,
    /// Nodes that were there before.
    known: u32,
    max_nodes: u32,
    unused: u32,
    /// By lot.
    placed: Vec<u32>,
    /// What came to the shared domains.
    added: HashMap<TrackerId, u32>,
    noted: bool,
}

/// Runs in one block, before it is split.
const BLOCK: usize = 32;

/// Places pods on new nodes like the site's, at most `max_nodes`; `allowed` tells by `Wanted::needs` which pods
/// the labels and taints of the nodes suit.
pub fn pack(batch: &Batch, site: &Site, allowed: &dyn Fn(u32) -> bool, max_nodes: u32) -> Packing {
    run(Packer::new(batch, site, max_nodes, false), allowed)
}

/// The same, with nodes of this kind that were chosen before: they take what they can first. Unlike with `pack`, the
/// runs know their pods.
pub fn resume(
    batch: &Batch,
    site: &Site,
    allowed: &dyn Fn(u32) -> bool,
    max_nodes: u32,
    mut runs: Vec<Run>,
) -> Packing {
    let mut packer = Packer::new(batch, site, max_nodes, true);
    packer.known = runs.iter().map(|run| run.nodes).sum();
    while !runs.is_empty() {
        let rest = runs.split_off(runs.len().min(BLOCK));
        packer.blocks.push(Block::of(std::mem::replace(&mut runs, rest)));
    }
    run(packer, allowed)
}

fn run(mut packer: Packer<'_>, allowed: &dyn Fn(u32) -> bool) -> Packing {
    let (batch, site) = (packer.batch, packer.site);
    let order = batch.order(&site.node.free);
    let mut waiting = Vec::new();
    for &at in order.iter() {
        let at = at as usize;
        // What fits on no empty node fits on no other.
        if !allowed(batch.lots[at].needs) || !takes_one(&site.node.free, &batch.lots[at].shape.requests) {
            continue;
        }
        if !batch.lots[at].near.is_empty() && !packer.is_near(&batch.lots[at]) {
            waiting.push(at);
        } else {
            packer.place(at);
        }
    }
    // Pods that had to wait for others that came now, and pods that had to wait for those.
    for _ in 0..waiting.len() {
        let before = waiting.len();
        waiting.retain(|&at| {
            let ready = packer.is_near(&batch.lots[at]);
            if ready {
                packer.place(at);
            }
            !ready
        });
        if waiting.len() == before {
            break;
        }
    }
    packer.finish()
}

impl<'a> Packer<'a> {
    fn new(batch: &'a Batch, site: &'a Site, max_nodes: u32, noted: bool) -> Self {
        let placed = vec![0; batch.lots.len()];
        let (blocks, added) = (Vec::new(), HashMap::new());
        Self { batch, site, blocks, known: 0, max_nodes, unused: max_nodes, placed, added, noted }
    }

    fn count(&self, id: TrackerId) -> u32 {
        self.batch.shared.get(&id).copied().unwrap_or(0) + self.added.get(&id).copied().unwrap_or(0)
    }

    fn is_near(&self, lot: &Lot) -> bool {
        lot.near.iter().all(|&id| self.count(id) > 0)
    }

    fn place(&mut self, at: usize) {
        let batch = self.batch;
        let lot = &batch.lots[at];
        if lot.away.iter().any(|&id| self.count(id) > 0) {
            return;
        }
        let rules = lot.host.and_then(|host| batch.host_rules.get(host as usize));
        let incoming = Incoming { lot, rules, site: self.site, noted: self.noted };
        let mut left = lot.pods;
        let mut next = 0;
        while left > 0 && next < self.blocks.len() {
            left -= self.blocks[next].take(incoming, left);
            next += self.split(next);
        }
        if left > 0 && self.unused > 0 {
            left -= self.open(incoming, left);
        }
        let taken = lot.pods - left;
        self.placed[at] = taken;
        if taken > 0 {
            for &id in &lot.shared_feeds {
                *self.added.entry(id).or_insert(0) += taken;
            }
        }
    }

    /// Splits a block that has grown too long. How many blocks further the next one is.
    fn split(&mut self, at: usize) -> usize {
        let block = &mut self.blocks[at];
        if block.runs.len() <= 2 * BLOCK {
            return 1;
        }
        let mut second = Block::of(block.runs.split_off(BLOCK));
        second.closed.clone_from(&block.closed);
        block.measure();
        self.blocks.insert(at + 1, second);
        // What was in one block has been looked at.
        2
    }

    /// Opens new nodes for up to `left` pods.
    fn open(&mut self, incoming: Incoming<'_>, left: u32) -> u32 {
        let fresh = Run::of(&self.site.node, 1);
        let most = incoming.most_on(&fresh);
        let per_node = fresh.room(incoming.lot, self.site, left.min(most));
        if per_node == 0 {
            return 0;
        }
        let nodes = left.div_ceil(per_node).min(self.unused);
        let mut parts = vec![Run { nodes, ..fresh }];
        let (taken, _) = incoming.fill(&mut parts, 0, most, left);
        // Nodes that stayed empty were not needed.
        parts.retain(|run| run.used);
        self.unused -= parts.iter().map(|run| run.nodes).sum::<u32>();
        match self.blocks.last_mut().filter(|block| block.runs.len() + parts.len() <= BLOCK) {
            Some(block) => {
                // New nodes are open to what the others are closed to.
                block.closed.clear();
                block.runs.extend(parts);
                block.measure();
            }
            None => self.blocks.push(Block::of(parts)),
        }
        taken
    }

    fn finish(self) -> Packing {
        let mut placed: Vec<(u32, u32)> = Vec::new();
        for (lot, &taken) in self.batch.lots.iter().zip(&self.placed) {
            let mut left = taken;
            for &(want, pods) in &lot.members {
                let given = pods.min(left);
                left -= given;
                if given > 0 {
                    placed.push((want, given));
                }
            }
        }
        placed.sort_unstable();
        let runs: Vec<Run> = self.blocks.into_iter().flat_map(|block| block.runs).collect();
        let mut free = Resources::default();
        for run in &runs {
            free.add(&run.free, run.nodes.into());
        }
        Packing { nodes: self.known + self.max_nodes - self.unused, placed, free, runs }
    }
}

impl Block {
    fn of(runs: Vec<Run>) -> Self {
        let mut block = Self { runs, ..Self::default() };
        block.measure();
        block
    }

    fn measure(&mut self) {
        self.cpu = self.runs.iter().map(|run| run.free.cpu).max().unwrap_or_default();
        self.memory = self.runs.iter().map(|run| run.free.memory).max().unwrap_or_default();
    }

    /// Puts up to `left` pods on its nodes, the first ones first. How many it took.
    fn take(&mut self, incoming: Incoming<'_>, left: u32) -> u32 {
        let Incoming { lot, rules, .. } = incoming;
        let need = &lot.shape.requests;
        if need.cpu > self.cpu || need.memory > self.memory {
            return 0;
        }
        if lot.host.is_some_and(|host| self.closed.contains(&host)) {
            return 0;
        }
        let mut taken = 0;
        let mut next = 0;
        // Every run that was looked at lets no such pod in whatever leaves, so that none ever will.
        let mut closed = rules.is_some_and(|rules| rules.near.is_empty());
        while taken < left && next < self.runs.len() {
            let run = &self.runs[next];
            let fits = takes_one(&run.free, need);
            if !fits && !closed {
                next += 1;
                continue;
            }
            let most = incoming.most_on(run);
            closed &= most == 0;
            if most == 0 || !fits {
                next += 1;
                continue;
            }
            let (more, grown) = incoming.fill(&mut self.runs, next, most, left - taken);
            taken += more;
            next += 1 + grown;
        }
        if let Some(host) = lot.host
            && closed
            && next == self.runs.len()
        {
            self.closed.push(host);
        }
        if taken > 0 {
            self.measure();
        }
        taken
    }
}

impl Incoming<'_> {
    /// How many of them a node of the run takes, by the pods that are there.
    fn most_on(&self, run: &Run) -> u32 {
        self.rules.map_or(u32::MAX, |rules| host_room(rules, run))
    }

    /// Puts up to `left` of them on the nodes of a run, at most `most` on each, and splits it where its nodes now
    /// differ. Gives how many it took, and how many runs it became more.
    fn fill(self, runs: &mut Vec<Run>, at: usize, most: u32, left: u32) -> (u32, usize) {
        let run = &mut runs[at];
        let per_node = run.room(self.lot, self.site, left.min(most));
        if per_node == 0 {
            return (0, 0);
        }
        let first = self.rules.is_some_and(|rules| !rules.near.is_empty() && !run.is_near(rules));
        let nodes = run.nodes;
        let mut full = (left / per_node).min(nodes);
        let mut rest = left % per_node;
        if first {
            // Where the first of them goes, the others must go too.
            (full, rest) = (full.min(1), if full == 0 { rest } else { 0 });
        }
        let partial = u32::from(full < nodes && rest > 0);
        let untouched = nodes - full - partial;
        let taken = full * per_node + partial * rest;
        if full == nodes || nodes == 1 {
            run.put(self, if full == nodes { per_node } else { rest });
            return (taken, 0);
        }
        let mut parts = Vec::with_capacity(3);
        if full > 0 {
            parts.push(run.with(self, per_node, full));
        }
        if partial > 0 {
            parts.push(run.with(self, rest, 1));
        }
        if untouched > 0 {
            parts.push(Run { nodes: untouched, ..run.clone() });
        }
        let grown = parts.len() - 1;
        runs.splice(at..=at, parts);
        (taken, grown)
    }
}

impl Run {
    fn of(node: &NodeState, nodes: u32) -> Self {
        Self {
            nodes,
            free: node.free.clone(),
            ports: node.ports.clone(),
            attached: node.attached.clone(),
            counts: Vec::new(),
            used: false,
            pods: Vec::new(),
        }
    }

    fn count(&self, id: TrackerId) -> u32 {
        self.counts.iter().find(|(known, _)| *known == id).map_or(0, |(_, count)| *count)
    }

    fn is_near(&self, rules: &HostRules) -> bool {
        rules.near.iter().all(|&id| self.count(id) > 0)
    }

    fn room(&self, lot: &Lot, site: &Site, want: u32) -> u32 {
        let room = room(&self.free, &self.ports, &lot.shape, want);
        match &lot.volumes {
            Some(volumes) if room > 0 => {
                let node = NodeState { attached: self.attached.clone(), ..site.node.clone() };
                volumes.room(&node, room)
            }
            _ => room,
        }
    }

    /// Nodes of this run with some pods more on each.
    fn with(&self, incoming: Incoming<'_>, pods: u32, nodes: u32) -> Self {
        let mut run = Self { nodes, ..self.clone() };
        run.put(incoming, pods);
        run
    }

    /// Puts pods on every node of the run.
    fn put(&mut self, incoming: Incoming<'_>, pods: u32) {
        let lot = incoming.lot;
        self.used = true;
        self.free.subtract(&lot.shape.requests, pods.into());
        self.ports.extend_from_slice(&lot.shape.host_ports);
        if let Some(volumes) = &lot.volumes {
            self.attached.add(volumes, pods);
        }
        if incoming.noted {
            // A lot is placed once, so that this is the first of it here.
            self.pods.push((lot.class, pods));
        }
        for &id in &lot.host_feeds {
            match self.counts.iter_mut().find(|(known, _)| *known == id) {
                Some((_, count)) => *count += pods,
                None => self.counts.push((id, pods)),
            }
        }
    }
}

/// How many pods with these rules a node of the run takes, by the pods that are there.
fn host_room(rules: &HostRules, run: &Run) -> u32 {
    if rules.away.iter().any(|&id| run.count(id) > 0) {
        return 0;
    }
    if !rules.near.is_empty() && !run.is_near(rules) && !rules.first {
        return 0;
    }
    let mut most = if rules.alone { 1 } else { u32::MAX };
    for &(id, cap, counted) in &rules.spread {
        let count = run.count(id);
        most = match counted {
            true => most.min(cap.saturating_sub(count)),
            false if count > cap => 0,
            false => most,
        };
    }
    most
}
