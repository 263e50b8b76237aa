//! What pods prefer but do not insist on, as a number that options can be compared by.

use plimsoll_model::{NodeId, TaintEffect, Text};

use crate::rules::{Counters, SpreadRule};
use crate::selection::{Namespaces, Selection};
use crate::site::counted_on;
use crate::tracker::{Counted, SpreadCount, TrackerId};
use crate::{ClassId, NodeState, PodClass, Simulation, Site};

/// What a class prefers about the places of other pods, with weights. What it prefers of nodes is in its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Preferred affinity: met where the counter is above zero.
    near: Vec<(u32, TrackerId)>,
    /// Preferred anti-affinity: met where it is zero, or where the node lacks the key.
    away: Vec<(u32, TrackerId)>,
    /// `ScheduleAnyway`: met where the constraint would hold if it were required. Each weighs 1.
    spread: Vec<SpreadRule>,
}

/// How a place looks to one counter.
struct Sight<'a> {
    /// What it has in the domain; `None` if the node lacks the key.
    count: &'a dyn Fn(TrackerId) -> Option<u32>,
    /// One more pod keeps the constraint.
    even: &'a dyn Fn(&SpreadRule) -> bool,
}

// === impl Wishes ===

impl Wishes {
    /// The wishes of a class, with a counter for each; `None` if it has none that need one.
    pub(crate) fn of(class: &PodClass, mut tracker: impl FnMut(&Text, Counted) -> TrackerId) -> Option<Self> {
        let wishes = &class.shape.preferences;
        if wishes.affinity.is_empty() && wishes.anti_affinity.is_empty() && wishes.spread.is_empty() {
            return None;
        }
        let selected = |term| Counted::Selected(vec![Selection::of(term, &class.namespace)]);
        let near = wishes.affinity.iter().map(|(weight, term)| (*weight, tracker(&term.topology_key, selected(term))));
        let near = near.collect();
        let away = wishes.anti_affinity.iter();
        let away = away.map(|(weight, term)| (*weight, tracker(&term.topology_key, selected(term)))).collect();
        let spread = wishes.spread.iter().map(|constraint| {
            let count = SpreadCount::of(constraint, &wishes.spread, &class.shape, &class.namespace);
            let counted = Counted::Spread(count);
            SpreadRule {
                // Spread looks at no other namespace.
                counts_itself: counted.counts(class, &Namespaces::default()),
                selects_itself: constraint.selector.as_ref().is_some_and(|all| all.matches(&class.labels)),
                tracker: tracker(&constraint.topology_key, counted),
                max_skew: constraint.max_skew,
                min_domains: constraint.min_domains.unwrap_or(1),
            }
        });
        Some(Self { near, away, spread: spread.collect() })
    }

    fn met(&self, sight: &Sight<'_>) -> u32 {
        let near = self.near.iter().filter(|(_, id)| (sight.count)(*id).is_some_and(|count| count > 0));
        let away = self.away.iter().filter(|(_, id)| (sight.count)(*id).is_none_or(|count| count == 0));
        let spread = self.spread.iter().filter(|rule| (sight.even)(rule)).map(|_| 1);
        near.chain(away).map(|(weight, _)| *weight).chain(spread).fold(0, u32::saturating_add)
    }
}

// === impl Simulation ===

/// The sum of the weights of what is met: preferred node affinity, preferred affinity to pods in the same domain,
/// preferred anti-affinity that no pod there offends, each with its weight, and 1 for each `ScheduleAnyway`
/// constraint that would hold. A class without preferences scores 0 everywhere, at no cost.
///
/// kube-scheduler scores finer (by how many pods match, over all nodes that fit); what a launch needs is one number
/// with a plain meaning.
impl Simulation {
    /// How well a new node at the site meets what one more pod of a prepared class prefers.
    pub fn preference_new(&self, class: ClassId, site: &Site) -> u32 {
        let Some(wishes) = self.wishes(class) else { return self.node_preference(class, &site.node) };
        let met = wishes.met(&Sight {
            count: &|id| self.count_new(id, site),
            even: &|rule| {
                let tracker = self.tracker(rule.tracker);
                let Some(domain) = site.place.domain(tracker.key) else { return false };
                match counted_on(tracker, &site.node) {
                    true => self.spread_room_new(rule, site) > 0,
                    false => rule.room(tracker, domain, false) > 0,
                }
            },
        });
        met.saturating_add(self.node_preference(class, &site.node))
    }

    /// How well a node meets what one more pod of a prepared class prefers; 0 for an id that is no node.
    pub fn preference(&self, class: ClassId, id: NodeId) -> u32 {
        let (Some(node), Some(place)) = (self.node(id), self.place(id)) else { return 0 };
        let Some(wishes) = self.wishes(class) else { return self.node_preference(class, node) };
        let domain = |tracker: TrackerId| place.domain(self.tracker(tracker).key);
        let met = wishes.met(&Sight {
            count: &|id| Some(self.tracker(id).count(domain(id)?)),
            even: &|rule| {
                let tracker = self.tracker(rule.tracker);
                let eligible = tracker.eligible(id.0 as usize);
                domain(rule.tracker).is_some_and(|domain| rule.room(tracker, domain, eligible) > 0)
            },
        });
        met.saturating_add(self.node_preference(class, node))
    }

    /// True if a node has a `PreferNoSchedule` taint that the class does not tolerate.
    ///
    /// This is a wish of the node's, not of the pod's, and says something only where some of the nodes compared have
    /// such taints: whoever compares them gives each pod 1 more on the others. Counted always, it would make a
    /// preference of every pod.
    pub fn unwelcome(&self, class: ClassId, node: &NodeState) -> bool {
        let tolerations = &self.class(class).shape.tolerations;
        let mut soft = node.taints.iter().filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
        soft.any(|taint| !tolerations.iter().any(|toleration| toleration.tolerates(taint)))
    }

    fn node_preference(&self, class: ClassId, node: &NodeState) -> u32 {
        let terms = self.class(class).shape.preferences.node_affinity.iter();
        let met = terms.filter(|(_, term)| term.matches(&node.name, &node.labels));
        met.map(|(weight, _)| *weight).fold(0, u32::saturating_add)
    }
}
