//! Which part of the pods that must be spread goes to which new place.
//!
//! A place alone may take no more than the others allow, so that offering one after the other would add a node
//! for each pod. Instead the pods are dealt out in advance, one at a time to the emptiest place that kube-scheduler
//! would let it have, as if every place that can be had were had.

use std::collections::{BTreeMap, HashMap};

use crate::rules::{Counters, SpreadRule};
use crate::site::counted_on;
use crate::topology::{DomainId, HOSTNAME};
use crate::tracker::TrackerId;
use crate::{ClassId, Simulation, Site};

/// Pods of one class, with the places where they can be had.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// The class.
    pub class: ClassId,
    /// How many want a place.
    pub pods: u32,
    /// Places, as positions in the list of sites, that could take them.
    pub places: Vec<usize>,
}

/// Pods that the spread constraints of others count but none of their own holds, by counter and domain.
#[derive(Debug, Default)]
pub struct Loose(HashMap<(TrackerId, DomainId), u32>);

/// The counts of one spread constraint while pods are dealt out.
#[derive(Debug, Default)]
struct Ledger {
    counts: HashMap<DomainId, u32>,
    domains_by_count: BTreeMap<u32, u32>,
}

impl Simulation {
    /// True if pods of a prepared class must be spread over something larger than hosts.
    pub fn must_share(&self, class: ClassId) -> bool {
        self.rules(class).is_some_and(|rules| rules.spread.iter().any(|rule| self.key(rule.tracker) != HOSTNAME))
    }

    /// How many pods of each class may go to each site, in the order of the sites.
    pub fn share_out(&self, sites: &[Site], wanted: &[Sharing]) -> Vec<Vec<u32>> {
        let mut ledgers: HashMap<TrackerId, Ledger> = HashMap::new();
        for want in wanted {
            for rule in self.shared_rules(want.class) {
                let ledger = ledgers.entry(rule.tracker).or_insert_with(|| Ledger::of(self, rule.tracker));
                // A node that suits the pod is one that its own constraint counts.
                let key = self.key(rule.tracker);
                want.places
                    .iter()
                    .filter_map(|&place| sites[place].place.domain(key))
                    .for_each(|domain| ledger.know(domain));
            }
        }
        wanted.iter().map(|want| self.deal(sites, want, &mut ledgers)).collect()
    }

    fn shared_rules(&self, class: ClassId) -> Vec<SpreadRule> {
        let rules = self.rules(class);
        let all = rules.iter().flat_map(|rules| &rules.spread);
        all.filter(|rule| self.key(rule.tracker) != HOSTNAME).copied().collect()
    }

    fn deal(&self, sites: &[Site], want: &Sharing, ledgers: &mut HashMap<TrackerId, Ledger>) -> Vec<u32> {
        let rules = self.shared_rules(want.class);
        let fed: Vec<TrackerId> =
            self.feeds(want.class).iter().copied().filter(|feed| ledgers.contains_key(feed)).collect();
        let mut shares = vec![0; sites.len()];
        let at = |tracker: TrackerId, place: usize| sites[place].place.domain(self.key(tracker));
        for _ in 0..want.pods {
            let open = want.places.iter().copied().filter_map(|place| {
                let mut crowd = 0u64;
                for rule in &rules {
                    let (ledger, domain) = (ledgers.get(&rule.tracker)?, at(rule.tracker, place)?);
                    let count = ledger.count(domain);
                    let after = count.saturating_add(u32::from(rule.counts_itself));
                    if after.saturating_sub(ledger.floor(rule.min_domains)) > rule.max_skew {
                        return None;
                    }
                    crowd += u64::from(count);
                }
                Some((crowd, shares[place], place))
            });
            let Some((_, _, place)) = open.min() else { break };
            shares[place] += 1;
            for &tracker in &fed {
                if let Some(domain) = at(tracker, place)
                    && let Some(ledger) = ledgers.get_mut(&tracker)
                {
                    ledger.add(domain);
                }
            }
        }
        shares
    }

    /// The pods of a plan, by site, that the spread constraints of others count but no constraint of their own holds.
    pub fn loose<'a>(&self, planned: impl IntoIterator<Item = (&'a Site, ClassId, u32)>) -> Loose {
        let mut loose = Loose::default();
        for (site, class, pods) in planned {
            let bound = self.shared_rules(class);
            let bound = |id: TrackerId| bound.iter().any(|rule| rule.tracker == id && rule.counts_itself);
            for &feed in self.feeds(class) {
                if self.counts_spread(feed)
                    && !bound(feed)
                    && let Some(domain) = site.place.domain(self.key(feed))
                {
                    *loose.0.entry((feed, domain)).or_insert(0) += pods;
                }
            }
        }
        loose
    }

    /// How many pods of a class that came to a site's domains are more than its constraints allow there. Loose pods
    /// could come after them, so that they are in nobody's way.
    pub fn overfull(&self, class: ClassId, site: &Site, loose: &Loose) -> u32 {
        let excess = self.shared_rules(class).into_iter().filter(|rule| rule.counts_itself).filter_map(|rule| {
            let tracker = self.tracker(rule.tracker);
            let domain = site.place.domain(tracker.key)?;
            let held = tracker.count(domain).saturating_sub(loose.0.get(&(rule.tracker, domain)).copied().unwrap_or(0));
            Some(held.saturating_sub(rule.floor(tracker).saturating_add(rule.max_skew)))
        });
        excess.max().unwrap_or(0)
    }

    /// Counts pods on new nodes of a site, and the nodes.
    pub fn commit(&mut self, site: &Site, placed: &[(ClassId, u32)], nodes: u32) {
        for &(class, pods) in placed {
            for feed in self.feeds(class).to_vec() {
                if let Some(domain) = site.place.domain(self.key(feed))
                    && counted_on(self.tracker(feed), &site.node)
                {
                    self.count_more(feed, domain, pods);
                }
            }
        }
        self.count_nodes(site, nodes);
    }

    /// Takes pods back that were committed.
    pub fn withdraw(&mut self, site: &Site, class: ClassId, pods: u32) {
        for feed in self.feeds(class).to_vec() {
            if let Some(domain) = site.place.domain(self.key(feed))
                && counted_on(self.tracker(feed), &site.node)
            {
                self.count_less(feed, domain, pods);
            }
        }
    }

    fn count_nodes(&mut self, site: &Site, nodes: u32) {
        if nodes == 0 {
            return;
        }
        for at in 0..self.tracker_count() {
            let id = TrackerId(u32::try_from(at).unwrap_or(u32::MAX));
            let tracker = self.tracker(id);
            if tracker.key != HOSTNAME
                && self.counts_spread(id)
                && let Some(domain) = site.place.domain(tracker.key)
                && counted_on(tracker, &site.node)
            {
                self.grow_domain(id, domain, nodes);
            }
        }
    }
}

impl Ledger {
    fn of(simulation: &Simulation, id: TrackerId) -> Self {
        let mut ledger = Self::default();
        let tracker = simulation.tracker(id);
        for domain in tracker.domain_ids() {
            ledger.counts.insert(domain, tracker.count(domain));
            *ledger.domains_by_count.entry(tracker.count(domain)).or_insert(0) += 1;
        }
        ledger
    }

    /// A domain that would be there with its first node.
    fn know(&mut self, domain: DomainId) {
        if let std::collections::hash_map::Entry::Vacant(new) = self.counts.entry(domain) {
            new.insert(0);
            *self.domains_by_count.entry(0).or_insert(0) += 1;
        }
    }

    fn count(&self, domain: DomainId) -> u32 {
        self.counts.get(&domain).copied().unwrap_or(0)
    }

    fn floor(&self, min_domains: u32) -> u32 {
        if self.counts.len() < min_domains as usize {
            return 0;
        }
        self.domains_by_count.keys().next().copied().unwrap_or(0)
    }

    fn add(&mut self, domain: DomainId) {
        let Some(count) = self.counts.get_mut(&domain) else { return };
        let before = *count;
        *count += 1;
        if let Some(domains) = self.domains_by_count.get_mut(&before) {
            *domains -= 1;
            if *domains == 0 {
                self.domains_by_count.remove(&before);
            }
        }
        *self.domains_by_count.entry(before + 1).or_insert(0) += 1;
    }
}
