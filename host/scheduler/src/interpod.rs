//! Which pods are concerned by rules between pods.
//!
//! These rules are not simulated yet. A pod that they concern is neither promised a place nor moved.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use plimsoll_model::{Pod, PodAffinityTerm, PodShape, Snapshot, Text};

/// The required anti-affinity of every pod that has not finished, each distinct rule once.
#[derive(Debug, Default)]
pub struct InterPodIndex {
    /// Pods that repel others of their own namespace only, as nearly all do.
    own: HashMap<Text, Vec<Arc<PodShape>>>,
    /// Pods that name other namespaces, with their own.
    wide: Vec<(Text, Arc<PodShape>)>,
}

impl InterPodIndex {
    /// Collects the rules of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut seen = HashSet::new();
        let mut index = Self::default();
        for (_, pod) in snapshot.pods() {
            let rules = &pod.shape.inter_pod.anti_affinity;
            if rules.is_empty() || pod.finished() || !seen.insert((pod.namespace.clone(), pod.shape.clone())) {
                continue;
            }
            if rules.iter().all(|term| term.namespaces.is_empty() && term.namespace_selector.is_none()) {
                index.own.entry(pod.namespace.clone()).or_default().push(pod.shape.clone());
            } else {
                index.wide.push((pod.namespace.clone(), pod.shape.clone()));
            }
        }
        index
    }

    /// The rule that makes a prediction for this pod unsafe, for a person; `None` if there is none.
    pub fn concerns(&self, snapshot: &Snapshot, pod: &Pod) -> Option<&'static str> {
        let own = &pod.shape.inter_pod;
        if !own.affinity.is_empty() {
            return Some("it has required pod affinity");
        }
        if !own.anti_affinity.is_empty() {
            return Some("it has required pod anti-affinity");
        }
        if !own.spread.is_empty() {
            return Some("it has a required topology spread constraint");
        }
        let repels = |namespace: &Text, shape: &PodShape| {
            shape.inter_pod.anti_affinity.iter().any(|term| selects(term, namespace, snapshot, pod))
        };
        let mut near = self.own.get(&pod.namespace).into_iter().flatten();
        let repelled = near.any(|shape| repels(&pod.namespace, shape))
            || self.wide.iter().any(|(namespace, shape)| repels(namespace, shape));
        repelled.then_some("required pod anti-affinity of another pod names it")
    }
}

fn selects(term: &PodAffinityTerm, own_namespace: &Text, snapshot: &Snapshot, pod: &Pod) -> bool {
    let Some(selector) = &term.selector else { return false };
    let named = term.namespaces.contains(&pod.namespace);
    let by_label = term.namespace_selector.as_ref().is_some_and(|selector| {
        let everywhere = selector.match_labels.is_empty() && selector.match_expressions.is_empty();
        everywhere || snapshot.namespace_matches(&pod.namespace, selector)
    });
    let own = term.namespaces.is_empty() && term.namespace_selector.is_none() && *own_namespace == pod.namespace;
    (named || by_label || own) && selector.matches(&pod.labels)
}
