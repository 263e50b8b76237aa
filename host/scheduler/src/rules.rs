//! What a class asks of the places of other pods, in terms of counters.

use crate::topology::KeyId;
use crate::topology::{DomainId, Place};
use crate::tracker::{Tracker, TrackerId};

/// The rules between pods that concern one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rules {
    /// Required affinity: one counter for each key, of pods that meet all terms; each must be above zero where the
    /// pod goes.
    pub near: Vec<TrackerId>,
    /// The class meets its own affinity: its first pod may go anywhere.
    pub near_itself: bool,
    /// Required anti-affinity: each must be zero where the pod goes.
    pub away: Vec<TrackerId>,
    /// Required anti-affinity of others that names this class: each must be zero where the pod goes.
    pub repelled: Vec<TrackerId>,
    /// Topology spread.
    pub spread: Vec<SpreadRule>,
}

/// One topology spread constraint of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SpreadRule {
    /// The counter.
    pub tracker: TrackerId,
    /// How uneven it may become.
    pub max_skew: u32,
    /// With fewer domains, the smallest count is taken to be 0.
    pub min_domains: u32,
    /// Pods of the class are counted by their own constraint once they are there.
    pub counts_itself: bool,
    /// The constraint's selector matches the class, which is measured as one pod more than there are.
    pub selects_itself: bool,
}

/// Why rules between pods keep a pod out of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// No pod that it must be near is in the domain, or the node lacks the key.
    Near(TrackerId),
    /// A pod that it must be away from is in the domain.
    Away(TrackerId),
    /// A pod in the domain must be away from it.
    Repelled(TrackerId),
    /// The node lacks the key of a spread constraint.
    NoDomain(TrackerId),
    /// The domain would have too many pods: what it has, and the least that any domain has.
    Skew(TrackerId, u32, u32),
}

impl SpreadRule {
    /// The smallest count that skew is measured against.
    pub(crate) fn floor(&self, tracker: &Tracker) -> u32 {
        if tracker.domains() < self.min_domains as usize { 0 } else { tracker.least().unwrap_or(0) }
    }

    /// How many more pods of the class a domain may take at once, when only they come. `eligible`: pods on the
    /// node are counted.
    pub(crate) fn room(&self, tracker: &Tracker, domain: DomainId, eligible: bool) -> u32 {
        let count = tracker.count(domain);
        let floor = self.floor(tracker);
        if !(self.counts_itself && eligible) {
            let after = count.saturating_add(u32::from(self.selects_itself));
            return if after.saturating_sub(floor) > self.max_skew { 0 } else { u32::MAX };
        }
        // The domain's own count raises the floor only as far as the others allow.
        let floor = if tracker.domains() < self.min_domains as usize {
            0
        } else {
            match tracker.least_but(Some(domain)) {
                Some(others) => others,
                None if tracker.has_domain(domain) => return u32::MAX,
                None => 0,
            }
        };
        // While the domain is the lowest itself, each pod is measured against its own count.
        if count < floor {
            (floor - count).saturating_add(self.max_skew)
        } else {
            self.max_skew.saturating_sub(count - floor)
        }
    }
}

/// Reads counters while a pod's place is judged.
pub(crate) trait Counters {
    /// The counter of this id.
    fn tracker(&self, id: TrackerId) -> &Tracker;

    /// Every rule that keeps a pod out of a place; `eligible` tells whether pods there are counted for spread.
    fn breaches(&self, rules: &Rules, place: &Place, eligible: &dyn Fn(TrackerId) -> bool) -> Vec<Breach> {
        let mut all = Vec::new();
        let at = |id: TrackerId| place.domain(self.tracker(id).key);
        let present = |id: TrackerId| at(id).is_some_and(|domain| self.tracker(id).count(domain) > 0);
        if !rules.near.iter().all(|&id| present(id)) && !self.first_of_its_kind(rules, place) {
            let missing = rules.near.iter().find(|&&id| !present(id));
            all.extend(missing.map(|&id| Breach::Near(id)));
        }
        all.extend(rules.away.iter().filter(|&&id| present(id)).map(|&id| Breach::Away(id)));
        all.extend(rules.repelled.iter().filter(|&&id| present(id)).map(|&id| Breach::Repelled(id)));
        for rule in &rules.spread {
            let tracker = self.tracker(rule.tracker);
            match at(rule.tracker) {
                None => all.push(Breach::NoDomain(rule.tracker)),
                Some(domain) if rule.room(tracker, domain, eligible(rule.tracker)) == 0 => {
                    all.push(Breach::Skew(rule.tracker, tracker.count(domain), rule.floor(tracker)));
                }
                Some(_) => {}
            }
        }
        all
    }

    /// How many pods of a class the rules let into a place at once, when only they come.
    fn rule_room(&self, rules: &Rules, place: &Place, eligible: &dyn Fn(TrackerId) -> bool) -> u32 {
        let mut room = u32::MAX;
        let at = |id: TrackerId| place.domain(self.tracker(id).key);
        let present = |id: TrackerId| at(id).is_some_and(|domain| self.tracker(id).count(domain) > 0);
        if rules.away.iter().chain(&rules.repelled).any(|&id| present(id)) {
            return 0;
        }
        if !rules.near.iter().all(|&id| present(id)) && !self.first_of_its_kind(rules, place) {
            return 0;
        }
        for rule in &rules.spread {
            let Some(domain) = at(rule.tracker) else { return 0 };
            room = room.min(rule.room(self.tracker(rule.tracker), domain, eligible(rule.tracker)));
        }
        room
    }

    /// The rule for the first pod of a group: no pod anywhere meets the terms, the pod itself does, and the node
    /// has every key (`satisfyPodAffinity` of kube-scheduler).
    fn first_of_its_kind(&self, rules: &Rules, place: &Place) -> bool {
        rules.near_itself
            && rules.near.iter().all(|&id| {
                let tracker = self.tracker(id);
                tracker.total() == 0 && place.domain(tracker.key).is_some()
            })
    }

    /// The keys of the rules that look at single nodes or at larger domains.
    fn key(&self, id: TrackerId) -> KeyId {
        self.tracker(id).key
    }
}
