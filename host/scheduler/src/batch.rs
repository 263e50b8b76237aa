//! Pods that want a new node, sorted by what tells them apart there.
//!
//! Seen from one place, most pods differ in nothing but their size: which zone they may be in is settled. Those
//! become one lot. Pods that look at the other pods of their own node keep a lot of their class.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use plimsoll_model::{Bytes, MilliCpu, PodShape, Resources};

use crate::node_state::takes_one;
use crate::rules::Counters;
use crate::topology::HOSTNAME;
use crate::tracker::TrackerId;
use crate::volumes::VolumeNeeds;
use crate::{ClassId, Simulation, Site};

/// Pods of one class that want a place.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Their class, which must be prepared.
    pub class: ClassId,
    /// How many may come to the place.
    pub pods: u32,
    /// The same for classes whose static needs (labels and taints of nodes) are the same.
    pub needs: u32,
}

/// Pods that want a place, as they look from one place.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) lots: Vec<Lot>,
    /// Rules about the pods of the same node; lots with equal rules share one entry.
    pub(crate) host_rules: Vec<HostRules>,
    /// Counts of the shared domains as they are, for the counters that lots look at.
    pub(crate) shared: HashMap<TrackerId, u32>,
    /// The order of packing for each proportion of CPU to memory that was asked for.
    orders: RefCell<HashMap<i32, Rc<[u32]>>>,
}

/// Pods that fit on nodes of a kind one by one, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many pods.
    pub pods: u64,
    /// What they request.
    pub cpu: MilliCpu,
    /// What they request.
    pub memory: Bytes,
    /// Fewer nodes than this cannot take them.
    pub nodes: u64,
}

/// Pods that are the same to every new node of the place.
#[derive(Debug)]
pub(crate) struct Lot {
    /// One of the classes.
    pub class: ClassId,
    pub shape: Arc<PodShape>,
    pub volumes: Option<Arc<VolumeNeeds>>,
    pub needs: u32,
    pub pods: u32,
    /// Place in the list of what is wanted, and how many pods of it.
    pub members: Vec<(u32, u32)>,
    /// The place of its rules about its own node; `None` without any.
    pub host: Option<u32>,
    /// Counters of single hosts that some lot looks at and that count these pods.
    pub host_feeds: Vec<TrackerId>,
    /// Counters of shared domains that must be zero.
    pub away: Vec<TrackerId>,
    /// Counters of shared domains that must be above zero; empty if they are, or need not be.
    pub near: Vec<TrackerId>,
    /// Counters of shared domains that some lot looks at and that count these pods.
    pub shared_feeds: Vec<TrackerId>,
}

/// What pods ask of the other pods of their own node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct HostRules {
    /// Counters that must be zero on the node.
    pub away: Vec<TrackerId>,
    /// Only one such pod on each node.
    pub alone: bool,
    /// Spread over hosts: the counter, the most it may be, and whether the pods themselves are counted.
    pub spread: Vec<(TrackerId, u32, bool)>,
    /// Counters that must be above zero on the node.
    pub near: Vec<TrackerId>,
    /// Nothing that they must be near is anywhere, and the first of them may go anywhere.
    pub first: bool,
}

impl Batch {
    /// Sorts what is wanted at a place. Pods that can never come there are left out.
    pub fn new(simulation: &Simulation, site: &Site, wanted: &[Wanted]) -> Self {
        let mut batch = Self::default();
        let mut rules_ids: HashMap<HostRules, u32> = HashMap::new();
        let mut plain: HashMap<(&Resources, u32), usize> = HashMap::new();
        let (mut watched_hosts, mut watched_shared) = (BTreeSet::new(), BTreeSet::new());
        let mut seen = Vec::with_capacity(wanted.len());
        for (want, at) in wanted.iter().zip(0u32..) {
            let view = (want.pods > 0).then(|| View::of(simulation, site, want.class)).flatten();
            if let Some(view) = view {
                watched_hosts.extend(view.host.away.iter().chain(&view.host.near).copied());
                watched_hosts.extend(view.host.spread.iter().map(|(tracker, ..)| *tracker));
                watched_shared.extend(view.away.iter().chain(&view.near).copied());
                seen.push((at, want, view));
            }
        }
        for (at, want, view) in seen {
            let class = simulation.class(want.class);
            let pods = want.pods.min(view.most);
            let feeds = simulation.feeds(want.class);
            let of = |watched: &BTreeSet<TrackerId>| -> Vec<TrackerId> {
                if watched.is_empty() {
                    Vec::new()
                } else {
                    feeds.iter().copied().filter(|id| watched.contains(id)).collect()
                }
            };
            let (host_feeds, shared_feeds) = (of(&watched_hosts), of(&watched_shared));
            let lonely = view.host == HostRules::default() && host_feeds.is_empty() && shared_feeds.is_empty();
            let simple = lonely && view.away.is_empty() && view.near.is_empty() && class.volumes.is_none();
            if simple && class.shape.host_ports.is_empty() {
                let lot = *plain.entry((&class.shape.requests, want.needs)).or_insert(batch.lots.len());
                if let Some(lot) = batch.lots.get_mut(lot) {
                    lot.pods = lot.pods.saturating_add(pods);
                    lot.members.push((at, pods));
                    continue;
                }
            }
            let host = (view.host != HostRules::default()).then(|| {
                let next = u32::try_from(batch.host_rules.len()).unwrap_or(u32::MAX);
                *rules_ids.entry(view.host.clone()).or_insert_with(|| {
                    batch.host_rules.push(view.host);
                    next
                })
            });
            batch.lots.push(Lot {
                class: want.class,
                shape: class.shape.clone(),
                volumes: class.volumes.clone(),
                needs: want.needs,
                pods,
                members: vec![(at, pods)],
                host,
                host_feeds,
                away: view.away,
                near: view.near,
                shared_feeds,
            });
        }
        for id in watched_shared {
            batch.shared.insert(id, simulation.count_new(id, site).unwrap_or(0));
        }
        batch
    }
}

impl Batch {
    /// What nodes like the site's could take if they were one large node.
    pub fn volume(&self, site: &Site, allowed: &dyn Fn(u32) -> bool) -> Volume {
        let free = &site.node.free;
        let mut volume = Volume::default();
        for lot in &self.lots {
            let need = &lot.shape.requests;
            if allowed(lot.needs) && takes_one(free, need) {
                volume.pods = volume.pods.saturating_add(lot.pods.into());
                volume.cpu += need.cpu.times(lot.pods.into());
                volume.memory += need.memory.times(lot.pods.into());
            }
        }
        let nodes = |all: u64, each: u64| all.div_ceil(each.max(1));
        let by_size = nodes(volume.cpu.0, free.cpu.0).max(nodes(volume.memory.0, free.memory.0));
        volume.nodes = by_size.max(nodes(volume.pods, free.pods));
        volume
    }

    /// The lots from large to small, as cluster-autoscaler's estimator sorts pods: by the sum of their shares of a
    /// node's CPU and memory. Nodes of nearly the same proportions share an order.
    pub(crate) fn order(&self, free: &Resources) -> Rc<[u32]> {
        #[allow(clippy::cast_precision_loss, reason = "an order of sizes needs no last digit")]
        let number = |amount: u64| amount.max(1) as f64;
        // Steps of 9 %, so that two nodes of one family are the same whatever the system keeps for itself.
        let proportion = (number(free.memory.0) / number(free.cpu.0)).log2() * 8.0;
        #[allow(clippy::cast_possible_truncation, reason = "it is between -512 and 512")]
        let step = proportion.round() as i32;
        let make = || {
            let cpu_in_memory = (f64::from(step) / 8.0).exp2();
            let size = |lot: &Lot| {
                let requests = &lot.shape.requests;
                #[allow(clippy::cast_precision_loss, reason = "an order of sizes needs no last digit")]
                let (cpu, memory) = (requests.cpu.0 as f64, requests.memory.0 as f64);
                cpu * cpu_in_memory + memory
            };
            // The bits of a float that is not negative are in its order.
            let mut order: Vec<(Reverse<u64>, u32)> =
                self.lots.iter().zip(0u32..).map(|(lot, at)| (Reverse(size(lot).to_bits()), at)).collect();
            order.sort_unstable();
            order.into_iter().map(|(_, at)| at).collect()
        };
        self.orders.borrow_mut().entry(step).or_insert_with(make).clone()
    }
}

/// What a class asks of one place.
struct View {
    host: HostRules,
    away: Vec<TrackerId>,
    near: Vec<TrackerId>,
    most: u32,
}

impl View {
    /// `None` if no pod of the class can come there before something else changes.
    fn of(simulation: &Simulation, site: &Site, class: ClassId) -> Option<Self> {
        let mut view = Self { host: HostRules::default(), away: vec![], near: vec![], most: u32::MAX };
        let known = simulation.class(class);
        let attachable = known.volumes.as_ref().is_none_or(|volumes| volumes.room(&site.node, 1) == 1);
        if known.shape.resource_claims || !attachable {
            return None;
        }
        let Some(rules) = simulation.rules(class) else { return Some(view) };
        let feeds = simulation.feeds(class);
        let on_host = |id: &TrackerId| simulation.key(*id) == HOSTNAME;
        for &id in rules.away.iter().chain(&rules.repelled) {
            if on_host(&id) {
                view.host.away.push(id);
                view.host.alone |= feeds.contains(&id) && rules.away.contains(&id);
            } else if let Some(count) = simulation.count_new(id, site) {
                if count > 0 {
                    return None;
                }
                if feeds.contains(&id) && rules.away.contains(&id) {
                    view.most = 1;
                }
                view.away.push(id);
            }
        }
        let first = simulation.first_new(class, site);
        for &id in &rules.near {
            simulation.count_new(id, site)?;
            if on_host(&id) {
                view.host.near.push(id);
                view.host.first = first;
            } else if !first && simulation.count_new(id, site) == Some(0) {
                view.near.push(id);
            }
        }
        for rule in &rules.spread {
            let room = simulation.spread_room_new(rule, site);
            simulation.count_new(rule.tracker, site)?;
            if on_host(&rule.tracker) {
                let most = if rule.counts_itself {
                    room
                } else {
                    rule.max_skew.saturating_add(rule.floor(simulation.tracker(rule.tracker)))
                };
                view.host.spread.push((rule.tracker, most, rule.counts_itself));
            } else if !rule.counts_itself && room == 0 {
                return None;
            }
        }
        Some(view)
    }
}
