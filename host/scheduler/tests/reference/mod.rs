//! kube-scheduler's filters without any cleverness: every question looks at every pod and every node.
//!
//! Source of the rules: the plugins under `pkg/scheduler/framework/plugins` of kubernetes, 1.31 to 1.36. Where those
//! differ (two spread constraints on one key), the later versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plimsoll_model::{
    LabelSelector, LabelSet, Node, NodeInclusion, NodeSelector, Operator, Pod, PodAffinityTerm, Requirement, Snapshot,
    SpreadConstraint, Taint, TaintEffect, Text,
};

/// Nodes with the pods that have a place on one.
#[derive(Clone)]
pub struct Plain {
    nodes: Vec<Node>,
    /// Pods that have not finished, on a node that is there.
    pods: Vec<Pod>,
    namespaces: BTreeMap<Text, Arc<LabelSet>>,
}

impl Plain {
    /// What a snapshot has.
    pub fn of(snapshot: &Snapshot) -> Self {
        let nodes: Vec<Node> = snapshot.nodes().map(|(_, node)| node.clone()).collect();
        let mut pods = Vec::new();
        for (_, pod) in snapshot.pods() {
            let placed = nodes.iter().any(|node| pod.node.as_ref() == Some(&node.name));
            if placed && !pod.finished() {
                pods.push(pod.clone());
            }
        }
        let namespaces = snapshot.namespaces().map(|(name, labels)| (name.clone(), labels.clone())).collect();
        Self { nodes, pods, namespaces }
    }

    /// Puts a pod on a node.
    pub fn add(&mut self, pod: &Pod, node: &Text) {
        self.pods.push(Pod { node: Some(node.clone()), ..pod.clone() });
    }

    /// The filters that keep a pod off a node.
    pub fn failing(&self, pod: &Pod, node: &Node) -> BTreeSet<&'static str> {
        let filters = [
            ("NodeUnschedulable", self.node_unschedulable(pod, node)),
            ("NodeName", pod.node.as_ref().is_none_or(|name| *name == node.name)),
            ("TaintToleration", tolerates_all(pod, node)),
            ("NodeAffinity", node_matches(pod, node)),
            ("NodePorts", self.node_ports(pod, node)),
            ("NodeResourcesFit", self.node_resources_fit(pod, node)),
            ("PodTopologySpread", self.pod_topology_spread(pod, node)),
            ("InterPodAffinity", self.inter_pod_affinity(pod, node)),
        ];
        filters.into_iter().filter(|(_, passes)| !passes).map(|(name, _)| name).collect()
    }

    /// How many pods like this one a node takes, one after the other.
    pub fn room(&self, pod: &Pod, node: &Node, want: u32) -> u32 {
        let mut then = self.clone();
        for placed in 0..want {
            if !then.failing(pod, node).is_empty() {
                return placed;
            }
            then.add(pod, &node.name);
        }
        want
    }

    fn on<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(|pod| pod.node.as_ref() == Some(&node.name))
    }

    fn node_unschedulable(&self, pod: &Pod, node: &Node) -> bool {
        // Our own rule: nothing is planned onto nodes that do not work or are on their way out.
        if !node.ready || node.deleting {
            return false;
        }
        let taint =
            Taint { key: "node.kubernetes.io/unschedulable".into(), value: "".into(), effect: TaintEffect::NoSchedule };
        !node.unschedulable || tolerates(pod, &taint)
    }

    fn node_ports(&self, pod: &Pod, node: &Node) -> bool {
        for wanted in &pod.shape.host_ports {
            for taken in self.on(node).flat_map(|other| &other.shape.host_ports) {
                let same_address = match (&wanted.ip, &taken.ip) {
                    (Some(one), Some(other)) => one == other,
                    _ => true,
                };
                if wanted.port == taken.port && wanted.protocol == taken.protocol && same_address {
                    return false;
                }
            }
        }
        true
    }

    fn node_resources_fit(&self, pod: &Pod, node: &Node) -> bool {
        let fits =
            |needed: u64, offered: u64, used: u128| needed == 0 || u128::from(needed) + used <= u128::from(offered);
        let used = |of: &dyn Fn(&Pod) -> u64| self.on(node).map(|other| u128::from(of(other))).sum::<u128>();
        let (need, offer) = (&pod.shape.requests, &node.allocatable);
        let names = need.extended().iter().map(|(name, _)| name);
        self.on(node).count() < usize::try_from(offer.pods).unwrap_or(usize::MAX)
            && fits(need.cpu.0, offer.cpu.0, used(&|other| other.shape.requests.cpu.0))
            && fits(need.memory.0, offer.memory.0, used(&|other| other.shape.requests.memory.0))
            && fits(
                need.ephemeral_storage.0,
                offer.ephemeral_storage.0,
                used(&|other| other.shape.requests.ephemeral_storage.0),
            )
            && names.into_iter().all(|name| {
                let of = |other: &Pod| other.shape.requests.get_extended(name);
                fits(need.get_extended(name), offer.get_extended(name), used(&of))
            })
    }

    fn pod_topology_spread(&self, pod: &Pod, node: &Node) -> bool {
        pod.shape.inter_pod.spread.iter().all(|constraint| self.spread_holds(constraint, pod, node))
    }

    fn spread_holds(&self, constraint: &SpreadConstraint, pod: &Pod, node: &Node) -> bool {
        let Some(here) = node.labels.get(&constraint.topology_key) else { return false };
        let mut domains: BTreeMap<&Text, u32> = BTreeMap::new();
        for other in &self.nodes {
            let all_keys = pod.shape.inter_pod.spread.iter().all(|any| other.labels.get(&any.topology_key).is_some());
            let affinity = constraint.node_affinity_policy == NodeInclusion::Ignore || node_matches(pod, other);
            let taints = constraint.node_taints_policy == NodeInclusion::Ignore || tolerates_all(pod, other);
            if let Some(domain) = other.labels.get(&constraint.topology_key)
                && all_keys
                && affinity
                && taints
            {
                let counted = self.on(other).filter(|one| {
                    one.deletion.is_none()
                        && one.namespace == pod.namespace
                        && constraint
                            .selector
                            .as_ref()
                            .is_some_and(|selector| !is_empty(selector) && selects(selector, &one.labels))
                });
                let count = u32::try_from(counted.count()).unwrap();
                *domains.entry(domain).or_insert(0) += count;
            }
        }
        let mut least = domains.values().min().copied().unwrap_or(0);
        if domains.len() < constraint.min_domains.unwrap_or(1) as usize {
            least = 0;
        }
        let itself = constraint.selector.as_ref().is_some_and(|selector| selects(selector, &pod.labels));
        let count = domains.get(here).copied().unwrap_or(0) + u32::from(itself);
        i64::from(count) - i64::from(least) <= i64::from(constraint.max_skew)
    }

    fn inter_pod_affinity(&self, pod: &Pod, node: &Node) -> bool {
        let rules = &pod.shape.inter_pod;
        self.affinity_holds(pod, node)
            && rules.anti_affinity.iter().all(|term| {
                !self
                    .pods
                    .iter()
                    .any(|other| self.term_selects(term, pod, other) && self.together(node, other, &term.topology_key))
            })
            && self.pods.iter().all(|other| {
                !other
                    .shape
                    .inter_pod
                    .anti_affinity
                    .iter()
                    .any(|term| self.term_repels(term, other, pod) && self.together(node, other, &term.topology_key))
            })
    }

    fn affinity_holds(&self, pod: &Pod, node: &Node) -> bool {
        let terms = &pod.shape.inter_pod.affinity;
        let meets_all = |other: &Pod| terms.iter().all(|term| self.term_selects(term, pod, other));
        if terms.iter().any(|term| node.labels.get(&term.topology_key).is_none()) {
            return false;
        }
        let near = |term: &PodAffinityTerm| {
            self.pods.iter().any(|other| meets_all(other) && self.together(node, other, &term.topology_key))
        };
        if terms.iter().all(near) {
            return true;
        }
        // The first of a group: nobody who meets the terms runs where any of the keys is.
        let somewhere = self.pods.iter().any(|other| {
            meets_all(other) && terms.iter().any(|term| self.label_of(other, &term.topology_key).is_some())
        });
        !somewhere && meets_all(pod)
    }

    /// True if the pod is in the node's domain of this key.
    fn together(&self, node: &Node, pod: &Pod, key: &Text) -> bool {
        node.labels.get(key).is_some_and(|here| self.label_of(pod, key) == Some(here))
    }

    fn label_of(&self, pod: &Pod, key: &Text) -> Option<&Text> {
        let node = self.nodes.iter().find(|node| pod.node.as_ref() == Some(&node.name))?;
        node.labels.get(key)
    }

    /// True if the term of `owner`, which looks for a place, selects a pod that is there.
    fn term_selects(&self, term: &PodAffinityTerm, owner: &Pod, other: &Pod) -> bool {
        self.term_covers(term, owner, other, |selector| match self.namespaces.get(&other.namespace) {
            Some(labels) => selects(selector, labels),
            None => is_empty(selector),
        })
    }

    /// True if the term of `owner`, which is there, selects a pod that looks for a place.
    fn term_repels(&self, term: &PodAffinityTerm, owner: &Pod, other: &Pod) -> bool {
        let none = Arc::default();
        let labels = self.namespaces.get(&other.namespace).unwrap_or(&none);
        self.term_covers(term, owner, other, |selector| selects(selector, labels))
    }

    fn term_covers(
        &self,
        term: &PodAffinityTerm,
        owner: &Pod,
        other: &Pod,
        by_labels: impl Fn(&LabelSelector) -> bool,
    ) -> bool {
        let in_namespace = match (&term.namespaces[..], &term.namespace_selector) {
            ([], None) => other.namespace == owner.namespace,
            (names, None) => names.contains(&other.namespace),
            (names, Some(selector)) => names.contains(&other.namespace) || by_labels(selector),
        };
        in_namespace && term.selector.as_ref().is_some_and(|selector| selects(selector, &other.labels))
    }
}

fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    pod.shape.tolerations.iter().any(|toleration| {
        let effect = toleration.effect.is_none() || toleration.effect == Some(taint.effect);
        let key = toleration.key.is_none() || toleration.key.as_ref() == Some(&taint.key);
        let value = toleration.value.is_none() || toleration.value.as_ref() == Some(&taint.value);
        effect && key && value
    })
}

fn tolerates_all(pod: &Pod, node: &Node) -> bool {
    node.taints.iter().all(|taint| taint.effect == TaintEffect::PreferNoSchedule || tolerates(pod, taint))
}

/// `nodeSelector` and required node affinity.
fn node_matches(pod: &Pod, node: &Node) -> bool {
    pod.shape.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
        && pod.shape.node_affinity.as_ref().is_none_or(|affinity| term_matches(affinity, node))
}

fn term_matches(affinity: &NodeSelector, node: &Node) -> bool {
    affinity.terms.iter().any(|term| {
        let conditions = term.match_expressions.len() + term.match_fields.len();
        let labels = term.match_expressions.iter().all(|one| holds(one, node.labels.get(&one.key)));
        let fields = term.match_fields.iter().all(|one| one.key == "metadata.name" && holds(one, Some(&node.name)));
        conditions > 0 && labels && fields
    })
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.is_empty() && selector.match_expressions.is_empty()
}

fn selects(selector: &LabelSelector, labels: &LabelSet) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|one| holds(one, labels.get(&one.key)))
}

fn holds(requirement: &Requirement, value: Option<&Text>) -> bool {
    let listed = value.is_some_and(|value| requirement.values.contains(value));
    let number = |text: Option<&Text>| text.and_then(|text| text.parse::<i64>().ok());
    let (left, right) = (number(value), number(requirement.values.first()));
    match requirement.operator {
        Operator::In => listed,
        Operator::NotIn => !listed,
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Gt => left.zip(right).is_some_and(|(left, right)| left > right),
        Operator::Lt => left.zip(right).is_some_and(|(left, right)| left < right),
    }
}
