//! A set of choices that together place as many pods as can be placed, found greedily: the best offer first,
//! then the best offer for what is left.

use plimsoll_sdk::scale_up::{LaunchOption, Limits, PodShape, Request};

use crate::offer::{Measure, Offer, Requested};

/// The host asks again while pods are left, so a round need not choose more than this.
const MOST_CHOICES: usize = 32;

/// One choice.
#[derive(Debug, Clone, Copy)]
pub struct Pick<'a> {
    /// What was chosen.
    pub offer: Offer<'a>,
    /// How many offers there were to choose from.
    pub offers: u32,
    /// What made it the best.
    pub measure: Measure,
}

/// The choices of one round.
#[derive(Debug, Clone, Default)]
pub struct Cover<'a> {
    /// The choices, in the order in which they were made.
    pub picks: Vec<Pick<'a>>,
}

impl<'a> Cover<'a> {
    /// Chooses until no option places another pod, or no other node is allowed.
    #[must_use]
    pub fn new(request: &'a Request, priorities: &[Option<i32>], measure: Measure, prefer_spot: bool) -> Self {
        let mut cover = Cover::default();
        let mut left = Left::new(request);
        let known = request.options.iter().enumerate();
        let mut open: Vec<Open<'a>> =
            known.map(|(at, option)| Open::new(option, priorities.get(at).copied().flatten())).collect();
        while left.pods > 0 && cover.picks.len() < MOST_CHOICES {
            let mut offers = 0;
            let mut best: Option<(usize, Offer<'a>)> = None;
            for (at, option) in open.iter_mut().enumerate() {
                let Some(offer) = left.offer(option, &cover.picks) else { continue };
                offers += 1;
                if best.is_none_or(|(_, best)| offer.order(&best, measure, prefer_spot).is_lt()) {
                    best = Some((at, offer));
                }
            }
            let Some((at, offer)) = best else { break };
            // The host has counted what an option can do; asking for it twice would be a guess.
            left.take(&offer, &mut open.remove(at));
            open.retain(|option| !option.spent);
            cover.picks.push(Pick { offer, offers, measure });
        }
        cover
    }

    /// How many pods it places.
    #[must_use]
    pub fn pods(&self) -> u64 {
        self.picks.iter().map(|pick| u64::from(pick.offer.pods)).sum()
    }

    /// Nodes whose price is unknown, then what the others cost.
    #[must_use]
    pub fn cost(&self) -> (u32, u128) {
        self.picks.iter().fold((0, 0), |(unknown, cost), pick| match pick.offer.cost() {
            Some(price) => (unknown, cost + price),
            None => (unknown + pick.offer.nodes, cost),
        })
    }
}

/// An option that was not chosen yet.
struct Open<'a> {
    option: &'a LaunchOption,
    priority: Option<i32>,
    /// What it places of shapes that have pods left, by their place in the list of shapes: looked up when a choice has
    /// changed that for the first time.
    places: Option<Vec<(usize, u32)>>,
    /// What it places of all shapes.
    all_pods: u32,
    all_requested: Requested,
    /// Nothing that it places is left.
    spent: bool,
}

/// What the choices so far leave to do, and to spend.
struct Left<'a> {
    /// By id, with the pods still to be placed.
    shapes: Vec<(&'a PodShape, u32)>,
    /// Of all shapes.
    pods: u64,
    limits: Limits,
    /// Nothing chosen yet, so that what an option places is what it says.
    untouched: bool,
}

impl<'a> Open<'a> {
    fn new(option: &'a LaunchOption, priority: Option<i32>) -> Self {
        let all_requested = Requested::default();
        Open { option, priority, places: None, all_pods: 0, all_requested, spent: false }
    }
}

impl<'a> Left<'a> {
    fn new(request: &'a Request) -> Self {
        let mut shapes: Vec<_> = request.shapes.iter().map(|shape| (shape, shape.pods)).collect();
        shapes.sort_by_key(|(shape, _)| shape.id);
        let pods = shapes.iter().map(|&(_, pods)| u64::from(pods)).sum();
        Left { shapes, pods, limits: request.remaining, untouched: true }
    }

    fn find(&self, id: u32) -> Option<usize> {
        // The host numbers shapes from 0, so this is where a shape usually is.
        let usual = id as usize;
        if self.shapes.get(usual).is_some_and(|(shape, _)| shape.id == id) {
            return Some(usual);
        }
        self.shapes.binary_search_by_key(&id, |(shape, _)| shape.id).ok()
    }

    /// Nodes of this option that may still be launched.
    fn room(&self, option: &LaunchOption, picks: &[Pick<'_>]) -> u32 {
        // `max-nodes` of one option does not know of the others of its group.
        let same_group = picks.iter().filter(|pick| pick.offer.option.group == option.group);
        let taken: u32 = same_group.map(|pick| pick.offer.nodes).sum();
        let by_cpu = self.limits.milli_cpu.checked_div(option.node_milli_cpu);
        let by_memory = self.limits.memory_bytes.checked_div(option.node_memory_bytes);
        let by_size = by_cpu.unwrap_or(u64::MAX).min(by_memory.unwrap_or(u64::MAX));
        let by_count = option.max_nodes.min(option.free_ips.unwrap_or(u32::MAX)).saturating_sub(taken);
        by_count.min(self.limits.nodes).min(u32::try_from(by_size).unwrap_or(u32::MAX))
    }

    fn offer(&self, open: &mut Open<'a>, picks: &[Pick<'_>]) -> Option<Offer<'a>> {
        let (option, priority) = (open.option, open.priority);
        let room = self.room(option, picks);
        if room == 0 {
            return None;
        }
        let (mut pods, mut needed, mut requested) = (option.pods(), option.nodes, None);
        if !self.untouched {
            let share = self.share(open);
            open.spent = share.pods == 0;
            (pods, needed) = (share.pods, share.nodes(option.nodes));
            requested = (share.pods < share.all_pods).then_some(share.requested);
        }
        let nodes = needed.min(room);
        if nodes < needed {
            pods = scale(pods, nodes, needed).max(1).min(pods);
        }
        if pods == 0 {
            return None;
        }
        let in_zone = picks
            .iter()
            .map(|pick| &pick.offer)
            .filter(|chosen| chosen.option.zone == option.zone && chosen.option.group == option.group);
        let zone_nodes = option.zone_nodes.saturating_add(in_zone.map(|chosen| chosen.nodes).sum());
        Some(Offer { option, nodes, pods, needed, requested, priority, zone_nodes })
    }

    /// What an option would place of what is left.
    fn share(&self, open: &mut Open<'_>) -> Share {
        let places = open.places.get_or_insert_with(|| {
            let mut known = Vec::with_capacity(open.option.places.len());
            for place in &open.option.places {
                open.all_pods = open.all_pods.saturating_add(place.pods);
                if let Some(at) = self.find(place.shape) {
                    open.all_requested.add(self.shapes[at].0, place.pods);
                    known.push((at, place.pods));
                }
            }
            known
        });
        // What nothing is left of stays so: the lists get shorter with every choice.
        places.retain(|&(at, _)| self.shapes[at].1 > 0);
        let mut share = Share { all_pods: open.all_pods, all_requested: open.all_requested, ..Share::default() };
        for &(at, pods) in places.iter() {
            let (shape, left) = self.shapes[at];
            let pods = pods.min(left);
            share.pods = share.pods.saturating_add(pods);
            share.requested.add(shape, pods);
        }
        share
    }

    fn take(&mut self, offer: &Offer<'_>, open: &mut Open<'_>) {
        let share = self.share(open);
        for &(at, pods) in open.places.iter().flatten() {
            let left = &mut self.shapes[at].1;
            let pods = pods.min(*left);
            // Which of the pods a part of the nodes would place is for the host to find out.
            let taken = if offer.is_limited() { scale(pods, offer.pods, share.pods.max(1)) } else { pods };
            *left -= taken;
            self.pods -= u64::from(taken);
        }
        let nodes = u64::from(offer.nodes);
        self.limits.nodes = self.limits.nodes.saturating_sub(offer.nodes);
        let spend = |left: u64, each: u64| left.saturating_sub(each.saturating_mul(nodes));
        self.limits.milli_cpu = spend(self.limits.milli_cpu, offer.option.node_milli_cpu);
        self.limits.memory_bytes = spend(self.limits.memory_bytes, offer.option.node_memory_bytes);
        self.untouched = false;
    }
}

/// The part of what an option places that is still to be placed.
#[derive(Default)]
struct Share {
    pods: u32,
    all_pods: u32,
    requested: Requested,
    all_requested: Requested,
}

impl Share {
    /// How many of the option's nodes that takes: in proportion to the resource that it takes most of.
    fn nodes(&self, nodes: u32) -> u32 {
        if self.pods == self.all_pods {
            return nodes;
        }
        let of = |part: u64, whole: u64| match whole {
            0 => 0,
            whole => (u128::from(part) * u128::from(nodes)).div_ceil(u128::from(whole)),
        };
        let (part, whole) = (&self.requested, &self.all_requested);
        let by_size = of(part.milli_cpu, whole.milli_cpu)
            .max(of(part.memory_bytes, whole.memory_bytes))
            .max(of(part.gpus, whole.gpus));
        let needed = if by_size == 0 { of(self.pods.into(), self.all_pods.into()) } else { by_size };
        u32::try_from(needed).unwrap_or(u32::MAX).clamp(1, nodes.max(1))
    }
}

/// `pods` times `part` over `whole`, rounded down; `part` is at most `whole`, and `whole` is not 0.
fn scale(pods: u32, part: u32, whole: u32) -> u32 {
    u32::try_from(u64::from(pods) * u64::from(part) / u64::from(whole)).unwrap_or(pods)
}
