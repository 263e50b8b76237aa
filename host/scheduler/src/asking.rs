//! What pods that want a place ask of the places of others.

use std::collections::BTreeSet;
use std::sync::Arc;

use plimsoll_model::{PodAffinityTerm, Text};
use rustc_hash::FxHashMap;

use crate::rules::{Rules, SpreadRule};
use crate::score::Wishes;
use crate::selection::Selection;
use crate::tracker::{Counted, SpreadCount, TrackerId};
use crate::{ClassId, PodClass, Simulation};

// === impl Simulation ===

impl Simulation {
    /// Makes the rules of classes that want a place, and counts whatever they ask about.
    pub fn prepare(&mut self, classes: &[ClassId]) {
        let mut fresh: Vec<TrackerId> = Vec::new();
        for &id in classes {
            if self.classes[id.0 as usize].rules.is_some() {
                continue;
            }
            let class = self.classes[id.0 as usize].class.clone();
            let rules = self.rules_of(&class, &mut fresh);
            let wishes = Wishes::of(&class, |key, counted| self.tracker(key, counted, &mut fresh));
            self.classes[id.0 as usize].rules = Some(Arc::new(rules));
            self.classes[id.0 as usize].wishes = wishes;
        }
        self.count_existing(&fresh);
    }

    fn rules_of(&mut self, class: &PodClass, fresh: &mut Vec<TrackerId>) -> Rules {
        let rules = &class.shape.inter_pod;
        let terms: Vec<Selection> = rules.affinity.iter().map(|term| Selection::of(term, &class.namespace)).collect();
        let near_itself = !terms.is_empty() && terms.iter().all(|term| term.selects(class, &self.namespaces));
        let keys: BTreeSet<&Text> = rules.affinity.iter().map(|term| &term.topology_key).collect();
        let near = keys.into_iter().map(|key| self.tracker(key, Counted::Selected(terms.clone()), fresh)).collect();
        let away = rules.anti_affinity.iter().map(|term| self.selected(term, &class.namespace, fresh)).collect();
        let repelled = self
            .trackers_concerning(&class.namespace)
            .filter(|tracker| match &self.trackers[tracker.0 as usize].counted {
                Counted::Repelling(selection) => selection.repels(class, &self.namespaces),
                _ => false,
            })
            .collect();
        let spread = rules
            .spread
            .iter()
            .map(|constraint| {
                let counted =
                    Counted::Spread(SpreadCount::of(constraint, &rules.spread, &class.shape, &class.namespace));
                SpreadRule {
                    counts_itself: counted.counts(class, &self.namespaces),
                    // Unlike the count, this leaves out neither empty selectors nor pods that are being deleted
                    // (`Filter` of kube-scheduler).
                    selects_itself: constraint.selector.as_ref().is_some_and(|all| all.matches(&class.labels)),
                    tracker: self.tracker(&constraint.topology_key, counted, fresh),
                    max_skew: constraint.max_skew,
                    min_domains: constraint.min_domains.unwrap_or(1),
                }
            })
            .collect();
        Rules { near, near_itself, away, repelled, spread }
    }

    /// The counter of the pods that one term selects.
    fn selected(&mut self, term: &PodAffinityTerm, namespace: &Text, fresh: &mut Vec<TrackerId>) -> TrackerId {
        let selection = Selection::of(term, namespace);
        self.tracker(&term.topology_key, Counted::Selected(vec![selection]), fresh)
    }

    fn tracker(&mut self, key: &Text, counted: Counted, fresh: &mut Vec<TrackerId>) -> TrackerId {
        let key = self.key_id(key);
        let (id, new) = self.tracker_id(key, counted);
        if new {
            fresh.push(id);
        }
        id
    }

    /// Counts the pods that are there already, all new counters in one pass.
    fn count_existing(&mut self, fresh: &[TrackerId]) {
        if fresh.is_empty() {
            return;
        }
        let mut feeds: FxHashMap<ClassId, Vec<TrackerId>> = FxHashMap::default();
        for &id in fresh {
            let counted = &self.trackers[id.0 as usize].counted;
            for class in self.classes_concerned(counted) {
                if counted.counts(&self.classes[class.0 as usize].class, &self.namespaces) {
                    feeds.entry(class).or_default().push(id);
                }
            }
        }
        for (class, new) in &feeds {
            self.classes[class.0 as usize].feeds.extend(new);
        }
        for (at, node) in self.nodes.iter().enumerate() {
            for (class, pods) in node.iter().flat_map(|node| &node.pods) {
                for feed in feeds.get(class).into_iter().flatten() {
                    let tracker = &mut self.trackers[feed.0 as usize];
                    let domain = node.as_ref().and_then(|node| node.place.domain(tracker.key));
                    if let Some(domain) = domain
                        && tracker.eligible(at)
                    {
                        tracker.add(domain, *pods);
                    }
                }
            }
        }
    }

    /// The wishes of a class about other pods, which must be prepared.
    pub(crate) fn wishes(&self, class: ClassId) -> Option<&Wishes> {
        self.classes[class.0 as usize].wishes.as_ref()
    }

    /// The rules of a class, which must be prepared.
    pub(crate) fn rules(&self, class: ClassId) -> Option<&Arc<Rules>> {
        self.classes[class.0 as usize].rules.as_ref()
    }

    /// The counters that count pods of a class.
    pub(crate) fn feeds(&self, class: ClassId) -> &[TrackerId] {
        &self.classes[class.0 as usize].feeds
    }

    /// How many counters there are.
    pub(crate) fn tracker_count(&self) -> usize {
        self.trackers.len()
    }
}
