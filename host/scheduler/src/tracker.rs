//! Counts of pods by topology domain, one for each distinct thing that a rule asks for.
//!
//! A count is updated when a pod comes or goes, never recounted.

use std::collections::BTreeMap;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use plimsoll_model::{
    LabelSelector, LabelSet, NodeInclusion, NodeSelector, PodShape, SpreadConstraint, Text, Toleration,
};
use rustc_hash::FxHashMap;

use crate::selection::{Namespaces, Selection};
use crate::topology::{DomainId, KeyId};
use crate::{NodeState, PodClass};

/// A counter of one simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TrackerId(pub(crate) u32);

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// Pods that every one of these terms selects.
    Selected(Vec<Selection>),
    /// Pods that have this term of required anti-affinity.
    Repelling(Selection),
    /// Pods that a topology spread constraint counts.
    Spread(SpreadCount),
}

/// Pods that a topology spread constraint counts, and the nodes on which it counts them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SpreadCount {
    namespace: Text,
    selector: Option<LabelSelector>,
    /// Where it counts them.
    pub scope: Arc<Scope>,
}

/// The nodes on which a topology spread constraint counts pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    /// A node counts only if it has every key of the pod's required constraints.
    keys: Vec<Text>,
    /// `nodeAffinityPolicy: Honor`: the node selector and affinity that a node must meet.
    affinity: Option<(LabelSet, Option<NodeSelector>)>,
    /// `nodeTaintsPolicy: Honor`: the tolerations that must cover a node's taints.
    tolerations: Option<Vec<Toleration>>,
}

/// Pods of one kind by domain of one key.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    /// The key whose values are the domains.
    pub key: KeyId,
    /// What is counted.
    pub counted: Counted,
    counts: FxHashMap<DomainId, u32>,
    total: u64,
    /// For spread: which nodes count, and how even the counts are.
    levels: Option<Levels>,
}

/// How evenly pods are spread over domains.
#[derive(Clone, Debug, Default)]
struct Levels {
    /// Nodes that count, by node id.
    eligible: FixedBitSet,
    /// How many nodes that count are in each domain; a domain without any is none.
    nodes: FxHashMap<DomainId, u32>,
    /// How many domains have this many pods.
    domains_by_count: BTreeMap<u32, u32>,
}

// === impl SpreadCount ===

impl SpreadCount {
    /// What one constraint of a shape counts; `all` are the constraints of its kind.
    pub(crate) fn of(
        constraint: &SpreadConstraint,
        all: &[SpreadConstraint],
        shape: &PodShape,
        namespace: &Text,
    ) -> Self {
        let mut keys: Vec<Text> = all.iter().map(|other| other.topology_key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let demanding = !shape.node_selector.is_empty() || shape.node_affinity.is_some();
        let honors_affinity = constraint.node_affinity_policy == NodeInclusion::Honor && demanding;
        let honors_taints = constraint.node_taints_policy == NodeInclusion::Honor;
        let scope = Scope {
            keys,
            affinity: honors_affinity.then(|| (shape.node_selector.clone(), shape.node_affinity.clone())),
            tolerations: honors_taints.then(|| shape.tolerations.clone()),
        };
        Self { namespace: namespace.clone(), selector: constraint.selector.clone(), scope: Arc::new(scope) }
    }

    /// True if a node counts.
    pub(crate) fn counts_on(&self, node: &NodeState) -> bool {
        self.scope.has(node)
    }
}

// === impl Scope ===

impl Scope {
    fn has(&self, node: &NodeState) -> bool {
        self.keys.iter().all(|key| node.labels.get(key).is_some())
            && self.affinity.as_ref().is_none_or(|(selector, affinity)| {
                node.labels.contains_all(selector)
                    && affinity.as_ref().is_none_or(|affinity| affinity.matches(&node.name, &node.labels))
            })
            && self.tolerations.as_ref().is_none_or(|tolerations| {
                let tolerated = |taint| tolerations.iter().any(|toleration| toleration.tolerates(taint));
                node.taints.iter().all(|taint| !taint.repels() || tolerated(taint))
            })
    }
}

// === impl Counted ===

impl Counted {
    /// True if pods of this class are counted because of what they are. What they demand of others is known to
    /// whoever makes the class.
    pub(crate) fn counts(&self, class: &PodClass, namespaces: &Namespaces) -> bool {
        match self {
            Self::Selected(terms) => terms.iter().all(|term| term.selects(class, namespaces)),
            Self::Repelling(_) => false,
            Self::Spread(spread) => {
                // An empty selector counts nothing (`countPodsMatchSelector` of kube-scheduler).
                let some = |selector: &&LabelSelector| {
                    !selector.match_labels.is_empty() || !selector.match_expressions.is_empty()
                };
                !class.terminating
                    && spread.namespace == class.namespace
                    && spread.selector.as_ref().filter(some).is_some_and(|selector| selector.matches(&class.labels))
            }
        }
    }

    /// The namespaces whose pods can be concerned; `None` if they cannot be listed.
    pub(crate) fn namespaces(&self) -> Option<&[Text]> {
        match self {
            Self::Selected(terms) => terms.first().and_then(Selection::named_namespaces),
            Self::Repelling(term) => term.named_namespaces(),
            Self::Spread(spread) => Some(std::slice::from_ref(&spread.namespace)),
        }
    }
}

// === impl Tracker ===

impl Tracker {
    /// Counts nothing yet, and for spread knows no nodes.
    pub(crate) fn new(key: KeyId, counted: Counted) -> Self {
        let levels = matches!(counted, Counted::Spread(_)).then(Levels::default);
        Self { key, counted, counts: FxHashMap::default(), total: 0, levels }
    }

    /// Pods in a domain.
    pub(crate) fn count(&self, domain: DomainId) -> u32 {
        self.counts.get(&domain).copied().unwrap_or(0)
    }

    /// Pods in all domains.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// True if pods on this node are counted.
    pub(crate) fn eligible(&self, node: usize) -> bool {
        self.levels.as_ref().is_none_or(|levels| levels.eligible.contains(node))
    }

    /// Counts pods that come to a domain.
    pub(crate) fn add(&mut self, domain: DomainId, pods: u32) {
        let before = self.count(domain);
        self.set(domain, before, before.saturating_add(pods));
    }

    /// Counts pods that leave a domain.
    pub(crate) fn remove(&mut self, domain: DomainId, pods: u32) {
        let before = self.count(domain);
        self.set(domain, before, before.saturating_sub(pods));
    }

    fn set(&mut self, domain: DomainId, before: u32, after: u32) {
        self.total = self.total + u64::from(after) - u64::from(before);
        if after == 0 {
            self.counts.remove(&domain);
        } else {
            self.counts.insert(domain, after);
        }
        if let Some(levels) = &mut self.levels
            && levels.nodes.contains_key(&domain)
        {
            levels.leave(before);
            levels.enter(after);
        }
    }

    /// Counts a node's domain from now on, if the rule counts the node.
    pub(crate) fn add_node(&mut self, id: usize, node: &NodeState, domain: Option<DomainId>) {
        let Counted::Spread(spread) = &self.counted else { return };
        if domain.is_some() && spread.counts_on(node) {
            self.add_counting_node(id, domain);
        }
    }

    /// The same for a node that the rule counts, unless it has no domain.
    pub(crate) fn add_counting_node(&mut self, id: usize, domain: Option<DomainId>) {
        if let (Some(domain), Some(levels)) = (domain, &mut self.levels) {
            levels.eligible.grow(id + 1);
            levels.eligible.insert(id);
            self.add_nodes(domain, 1);
        }
    }

    /// Forgets a node, whose pods must be gone.
    pub(crate) fn remove_node(&mut self, id: usize, domain: Option<DomainId>) {
        let Some(levels) = &mut self.levels else { return };
        if let Some(domain) = domain
            && levels.eligible.contains(id)
        {
            levels.eligible.set(id, false);
            self.remove_nodes(domain, 1);
        }
    }

    /// Counts more nodes in a domain, which makes it one if it was none.
    pub(crate) fn add_nodes(&mut self, domain: DomainId, nodes: u32) {
        let count = self.count(domain);
        let Some(levels) = &mut self.levels else { return };
        let known = levels.nodes.entry(domain).or_insert(0);
        if *known == 0 {
            *levels.domains_by_count.entry(count).or_insert(0) += 1;
        }
        *known += nodes;
    }

    /// Counts fewer nodes in a domain, which is none without any.
    pub(crate) fn remove_nodes(&mut self, domain: DomainId, nodes: u32) {
        let count = self.count(domain);
        let Some(levels) = &mut self.levels else { return };
        if let Some(known) = levels.nodes.get_mut(&domain) {
            *known = known.saturating_sub(nodes);
            if *known == 0 {
                levels.nodes.remove(&domain);
                levels.leave(count);
            }
        }
    }

    /// How many domains there are.
    pub(crate) fn domains(&self) -> usize {
        self.levels.as_ref().map_or(0, |levels| levels.nodes.len())
    }

    /// The domains, in the order in which they were met.
    pub(crate) fn domain_ids(&self) -> Vec<DomainId> {
        let mut all: Vec<DomainId> = self.levels.iter().flat_map(|levels| levels.nodes.keys().copied()).collect();
        all.sort_unstable();
        all
    }

    /// True if nodes that count are in this domain.
    pub(crate) fn has_domain(&self, domain: DomainId) -> bool {
        self.levels.as_ref().is_some_and(|levels| levels.nodes.contains_key(&domain))
    }

    /// The smallest count of any domain; `None` without domains.
    pub(crate) fn least(&self) -> Option<u32> {
        self.levels.as_ref()?.domains_by_count.keys().next().copied()
    }

    /// The smallest count of any domain but this; `None` without others.
    pub(crate) fn least_but(&self, domain: Option<DomainId>) -> Option<u32> {
        let own = domain.filter(|&domain| self.has_domain(domain)).map(|domain| self.count(domain));
        let mut counts = self.levels.as_ref()?.domains_by_count.iter();
        counts.find(|&(&count, &domains)| own != Some(count) || domains > 1).map(|(&count, _)| count)
    }

    /// Counts by domain, for comparison.
    #[cfg(test)]
    pub(crate) fn table(&self) -> (BTreeMap<DomainId, u32>, BTreeMap<DomainId, u32>, BTreeMap<u32, u32>) {
        let levels = self.levels.clone().unwrap_or_default();
        (self.counts.clone().into_iter().collect(), levels.nodes.into_iter().collect(), levels.domains_by_count)
    }
}

// === impl Levels ===

impl Levels {
    fn enter(&mut self, count: u32) {
        *self.domains_by_count.entry(count).or_insert(0) += 1;
    }

    fn leave(&mut self, count: u32) {
        if let Some(domains) = self.domains_by_count.get_mut(&count) {
            *domains -= 1;
            if *domains == 0 {
                self.domains_by_count.remove(&count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{NodeInclusion, PodShape, SpreadConstraint};

    use super::*;

    #[test]
    fn a_domain_is_one_while_it_has_nodes() {
        let constraint = SpreadConstraint {
            selector: None,
            topology_key: "zone".into(),
            max_skew: 1,
            min_domains: None,
            node_affinity_policy: NodeInclusion::Honor,
            node_taints_policy: NodeInclusion::Ignore,
        };
        let all = std::slice::from_ref(&constraint);
        let counted = Counted::Spread(SpreadCount::of(&constraint, all, &PodShape::default(), &"default".into()));
        let mut tracker = Tracker::new(KeyId(0), counted);
        let [one, two] = [DomainId(1), DomainId(2)];
        // Pods may come before the nodes do, and stay when they go.
        tracker.add(one, 3);
        assert_eq!((tracker.least(), tracker.domains(), tracker.total()), (None, 0, 3));
        tracker.add_nodes(one, 2);
        tracker.add_nodes(two, 1);
        assert_eq!((tracker.least(), tracker.least_but(Some(two)), tracker.domains()), (Some(0), Some(3), 2));
        tracker.add(two, 3);
        assert_eq!((tracker.least(), tracker.least_but(Some(two))), (Some(3), Some(3)));
        tracker.remove_nodes(one, 1);
        assert!(tracker.has_domain(one));
        tracker.remove_nodes(one, 1);
        assert_eq!((tracker.domains(), tracker.count(one), tracker.least_but(Some(two))), (1, 3, None));
        tracker.remove(one, 1);
        assert_eq!(tracker.least(), Some(3));
        let (counts, nodes, levels) = tracker.table();
        assert_eq!(counts, [(one, 2), (two, 3)].into());
        assert_eq!(nodes, [(two, 1)].into());
        assert_eq!(levels, [(3, 1)].into());
    }
}
