//! Where a node that does not exist yet would be, as rules between pods see it.

use crate::filters::why_not_here;
use crate::rules::Breach;
use crate::rules::{Counters, SpreadRule};
use crate::topology::{HOSTNAME, Place};
use crate::tracker::{Counted, Tracker, TrackerId};
use crate::{ClassId, NodeState, Rejection, Simulation};

/// New nodes of one kind: what each offers, and the topology domains that they share. Each is a host of its own.
#[derive(Clone, Debug)]
pub struct Site {
    /// One of the nodes, without pods other than those of DaemonSets.
    pub node: NodeState,
    pub(crate) place: Place,
}

/// What rules between pods see of a site: sites with equal keys are in the same domains.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlaceKey(Place);

impl Site {
    /// What rules between pods see of it.
    pub fn place_key(&self) -> PlaceKey {
        PlaceKey(self.place.clone())
    }
}

impl Simulation {
    /// The site of new nodes like this one.
    pub fn site(&mut self, mut node: NodeState) -> Site {
        node.barred = self.profile.bars(&node);
        let place = self.topology.place(&node.labels).on_a_new_host();
        Site { node, place }
    }

    /// Everything that keeps a pod of a prepared class off a new node there; empty if it fits.
    pub fn why_not_new(&self, class: ClassId, site: &Site) -> Vec<Rejection> {
        let known = self.class(class);
        let mut all = why_not_here(&known.shape, None, &site.node);
        if let Some(volumes) = &known.volumes {
            all.extend(volumes.why_not(&site.node));
        }
        let breaches = self.breaches_new(class, site);
        all.extend(self.rejections(class, breaches));
        all.sort_by_key(|rejection| rejection.filter);
        all
    }

    fn breaches_new(&self, class: ClassId, site: &Site) -> Vec<Breach> {
        let Some(rules) = self.rules(class) else { return Vec::new() };
        let mut all = Vec::new();
        let count = |id: TrackerId| self.count_new(id, site);
        let missing = rules.near.iter().find(|&&id| count(id).unwrap_or(0) == 0);
        if let Some(&missing) = missing
            && !self.first_new(class, site)
        {
            all.push(Breach::Near(missing));
        }
        all.extend(rules.away.iter().filter(|&&id| count(id).unwrap_or(0) > 0).map(|&id| Breach::Away(id)));
        all.extend(rules.repelled.iter().filter(|&&id| count(id).unwrap_or(0) > 0).map(|&id| Breach::Repelled(id)));
        for rule in &rules.spread {
            match count(rule.tracker) {
                None => all.push(Breach::NoDomain(rule.tracker)),
                Some(count) if self.spread_room_new(rule, site) == 0 => {
                    all.push(Breach::Skew(rule.tracker, count, rule.floor(self.tracker(rule.tracker))));
                }
                Some(_) => {}
            }
        }
        all
    }

    /// What a counter has where a new node would be; `None` if the node would lack the key.
    pub(crate) fn count_new(&self, id: TrackerId, site: &Site) -> Option<u32> {
        let tracker = self.tracker(id);
        let domain = site.place.domain(tracker.key)?;
        Some(if tracker.key == HOSTNAME { 0 } else { tracker.count(domain) })
    }

    /// True if a pod of the class may be the first of its kind on a new node.
    pub(crate) fn first_new(&self, class: ClassId, site: &Site) -> bool {
        self.rules(class).is_some_and(|rules| self.first_of_its_kind(rules, &site.place))
    }

    /// How many pods of a class a spread rule lets onto the site at once, when only they come: in the whole domain
    /// or, for hosts, on one node.
    pub(crate) fn spread_room_new(&self, rule: &SpreadRule, site: &Site) -> u32 {
        let tracker = self.tracker(rule.tracker);
        let Some(domain) = site.place.domain(tracker.key) else { return 0 };
        // A node that suits the pod is one that its own constraint counts.
        if tracker.key != HOSTNAME && tracker.has_domain(domain) {
            return rule.room(tracker, domain, true);
        }
        // A node that joins makes a domain without pods. Measured against the others it may go as far above the
        // least of them; as the first of all it is measured against a second one that could join.
        let domains = tracker.domains() + 1;
        let others = if domains < rule.min_domains as usize { 0 } else { tracker.least().unwrap_or(0) };
        if rule.counts_itself { others.saturating_add(rule.max_skew) } else { u32::MAX }
    }
}

/// True if pods on such a node are counted by the tracker.
pub(crate) fn counted_on(tracker: &Tracker, node: &NodeState) -> bool {
    match &tracker.counted {
        Counted::Spread(spread) => spread.counts_on(node),
        Counted::Selected(_) | Counted::Repelling(_) => true,
    }
}
