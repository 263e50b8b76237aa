//! What one round offers: how many nodes of each kind, and which pods they would take.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;
use plimsoll_model::{Lifecycle, Resources, Snapshot, Text, Timestamp};
use plimsoll_scheduler::{Batch, Packing, Run, Sharing, Simulation, Site, Volume, Wanted, pack, resume};

use super::demand::{Demand, Demands};
use super::template::{Template, runs_on};
use super::{Placement, ShapeDemand};

/// Every kind of node that could be launched, and where.
pub(super) struct Market<'a> {
    pub templates: Vec<Template<'a>>,
    /// The place of each template among `sites`.
    pub site_of: Vec<usize>,
    /// One node of each place that rules between pods tell apart.
    pub sites: Vec<Site>,
    /// The place of each template, with its own node.
    own_sites: Vec<Site>,
    /// Templates with equal numbers take the same pods.
    pub kind_of: Vec<usize>,
    /// By place: its templates, the largest first.
    at_site: Vec<Vec<usize>>,
    /// Some kind of node has a taint `PreferNoSchedule`.
    pub soft_taints: bool,
    /// By needs: the templates whose labels, taints and system suit.
    suits: Vec<FixedBitSet>,
}

/// Pods as they look from every place, at one moment.
pub(super) struct View {
    /// By place.
    batches: Vec<Batch>,
}

/// Namespace, requests, priority, lifecycle, headroom or not, and static needs: what a policy is told of pods.
type Told<'a> = (&'a Text, &'a Resources, i32, Option<Lifecycle>, bool, u32);

/// What is told apart for a policy: pods that are the same in everything it is told.
#[derive(Default)]
pub(super) struct Shapes {
    pub facts: Vec<ShapeDemand>,
    /// The shape of each demand that has pods left.
    of_demand: Vec<Option<u32>>,
}

impl<'a> Market<'a> {
    /// The market for these demands, whose classes must be prepared.
    pub fn new(simulation: &mut Simulation, templates: Vec<Template<'a>>, demands: &Demands) -> Self {
        let mut sites: Vec<Site> = Vec::new();
        let mut known: HashMap<plimsoll_scheduler::PlaceKey, usize> = HashMap::new();
        let mut site_of = Vec::with_capacity(templates.len());
        let own_sites: Vec<Site> = templates.iter().map(|template| simulation.site(template.node.clone())).collect();
        for site in &own_sites {
            let at = *known.entry(site.place_key()).or_insert_with(|| {
                sites.push(site.clone());
                sites.len() - 1
            });
            site_of.push(at);
        }
        let suitability = plimsoll_scheduler::Suitability::of(templates.iter().map(|template| &template.node));
        let suits: Vec<FixedBitSet> = demands
            .needs
            .iter()
            .map(|&demand| {
                let demand = &demands.all[demand];
                let mut suits = suitability.suits(&demand.shape);
                for (at, template) in templates.iter().enumerate() {
                    let group = demand.group.as_ref().is_none_or(|group| *group == template.group.name);
                    if suits.contains(at) && !(group && runs_on(&demand.shape, template.group.os)) {
                        suits.set(at, false);
                    }
                }
                suits
            })
            .collect();
        let mut at_site = vec![Vec::new(); sites.len()];
        for (template, &site) in site_of.iter().enumerate() {
            at_site[site].push(template);
        }
        for templates_there in &mut at_site {
            templates_there.sort_by_key(|&at: &usize| {
                let free = &templates[at].node.free;
                (std::cmp::Reverse((free.cpu, free.memory)), at)
            });
        }
        let kind_of = kinds(&own_sites, &site_of, &suits);
        let mut taints = templates.iter().flat_map(|template| &template.node.taints);
        let soft_taints = taints.any(|taint| !taint.repels());
        Self { templates, site_of, sites, own_sites, kind_of, at_site, soft_taints, suits }
    }

    /// True if the labels, taints and system of a template suit a demand.
    pub fn suits(&self, demand: &Demand, template: usize) -> bool {
        self.suits_needs(demand.needs, template)
    }

    fn suits_needs(&self, needs: u32, template: usize) -> bool {
        self.suits.get(needs as usize).is_some_and(|suits| suits.contains(template))
    }

    /// The site of a template, with its own node.
    pub fn site(&self, template: usize) -> &Site {
        &self.own_sites[template]
    }

    /// The demands as they look now from every place, or from that of one template `only`. `room`: nodes of each
    /// template that may be launched.
    pub fn view(&self, simulation: &Simulation, demands: &[Demand], room: &[u32], only: Option<usize>) -> View {
        let shares = self.shares(simulation, demands, room);
        let mut batches = Vec::with_capacity(self.sites.len());
        let only = only.map(|template| self.site_of[template]);
        for (place, site) in self.sites.iter().enumerate() {
            if only.is_some_and(|only| only != place) {
                batches.push(Batch::default());
                continue;
            }
            let mut wanted = Vec::with_capacity(demands.len());
            for (at, demand) in demands.iter().enumerate() {
                let pods = shares.get(&at).map_or(demand.count(), |shares| shares[place]);
                wanted.push(Wanted { class: demand.class, pods, needs: demand.needs });
            }
            batches.push(Batch::new(simulation, site, &wanted));
        }
        View { batches }
    }

    /// Deals pods that must be spread out over the places where they could be had.
    fn shares(&self, simulation: &Simulation, demands: &[Demand], room: &[u32]) -> HashMap<usize, Vec<u32>> {
        let mut asking = Vec::new();
        let mut sharing = Vec::new();
        for (at, demand) in demands.iter().enumerate() {
            if demand.count() == 0 || !simulation.must_share(demand.class) {
                continue;
            }
            let takes = |&template: &usize| {
                room[template] > 0
                    && self.suits(demand, template)
                    && self.templates[template].node.room_for(&demand.shape, 1) == 1
            };
            let places = (0..self.sites.len()).filter(|&place| self.at_site[place].iter().any(takes)).collect();
            asking.push(at);
            sharing.push(Sharing { class: demand.class, pods: demand.count(), places });
        }
        asking.into_iter().zip(simulation.share_out(&self.sites, &sharing)).collect()
    }

    /// What nodes of a template could take at best.
    pub fn volume(&self, view: &View, template: usize) -> Volume {
        let allowed = |needs| self.suits_needs(needs, template);
        view.batches[self.site_of[template]].volume(self.site(template), &allowed)
    }

    /// What up to `most` nodes of a template would take.
    pub fn pack(&self, view: &View, template: usize, most: u32) -> Packing {
        let allowed = |needs| self.suits_needs(needs, template);
        pack(&view.batches[self.site_of[template]], self.site(template), &allowed, most)
    }

    /// The pods that nodes chosen before may still take, and those of at most `most` more nodes, each run with its pods.
    pub fn resume(&self, view: &View, template: usize, most: u32, runs: Vec<Run>) -> Packing {
        let allowed = |needs| self.suits_needs(needs, template);
        resume(&view.batches[self.site_of[template]], self.site(template), &allowed, most, runs)
    }
}

/// Numbers templates so that equal numbers mean: the same place, the same room, the same demands suit.
fn kinds(own_sites: &[Site], site_of: &[usize], suits: &[FixedBitSet]) -> Vec<usize> {
    let mut known: HashMap<(usize, &Resources, Vec<u32>), Vec<usize>> = HashMap::new();
    let mut kind_of: Vec<usize> = Vec::with_capacity(own_sites.len());
    for (at, site) in own_sites.iter().enumerate() {
        let suiting = (0u32..).zip(suits).filter(|(_, suits)| suits.contains(at)).map(|(needs, _)| needs).collect();
        let alike = known.entry((site_of[at], &site.node.free, suiting)).or_default();
        let same = |&&other: &&usize| {
            let other = &own_sites[other].node;
            other.ports == site.node.ports && other.volume_limits == site.node.volume_limits
        };
        let kind = alike.iter().find(same).map_or(at, |&other| kind_of[other]);
        alike.push(at);
        kind_of.push(kind);
    }
    kind_of
}

impl Shapes {
    /// The shapes of what is left.
    pub fn of(snapshot: &Snapshot, demands: &[Demand], now: Timestamp) -> Self {
        let mut shapes = Self::default();
        let mut known: HashMap<Told<'_>, u32> = HashMap::new();
        for demand in demands {
            let Some(facts) = demand.facts(snapshot, now) else {
                shapes.of_demand.push(None);
                continue;
            };
            let key = (
                &demand.namespace,
                &demand.shape.requests,
                facts.priority,
                facts.lifecycle,
                facts.headroom,
                demand.needs,
            );
            let next = u32::try_from(shapes.facts.len()).unwrap_or(u32::MAX);
            let at = *known.entry(key).or_insert(next);
            match shapes.facts.get_mut(at as usize) {
                None => shapes.facts.push(facts),
                Some(known) => {
                    known.pods = known.pods.saturating_add(facts.pods);
                    known.waiting = known.waiting.max(facts.waiting);
                }
            }
            shapes.of_demand.push(Some(at));
        }
        shapes
    }

    /// Pods placed by demand, as pods placed by shape.
    pub fn places(&self, placed: &[(u32, u32)]) -> Vec<Placement> {
        let mut pods = vec![0u32; self.facts.len()];
        for &(demand, count) in placed {
            if let Some(shape) = self.of_demand.get(demand as usize).copied().flatten() {
                pods[shape as usize] = pods[shape as usize].saturating_add(count);
            }
        }
        let named = (0u32..).zip(pods).filter(|(_, pods)| *pods > 0);
        named.map(|(shape, pods)| Placement { shape, pods }).collect()
    }
}
