//! The rules that can keep one pod off one node, named as kube-scheduler names its filter plugins.
//!
//! Source of the rules: the plugins under `pkg/scheduler/framework/plugins` of kubernetes, 1.31 to 1.36.

use plimsoll_model::{PodShape, Taint, TaintEffect, Text, one_line};

use crate::NodeState;

/// The taint that stands for a cordoned node.
const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

/// What a pod asks for can be as long as it likes; what is said of it is cut, in characters.
const LONGEST_REASON: usize = 300;

/// A filter plugin of kube-scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// The node is cordoned.
    NodeUnschedulable,
    /// The pod names another node.
    NodeName,
    /// The node has a taint that the pod does not tolerate.
    TaintToleration,
    /// The node's labels are not what the pod asks for.
    NodeAffinity,
    /// A port is taken.
    NodePorts,
    /// Too little is free.
    NodeResourcesFit,
    /// A claim can be used by one pod at a time, and one uses it.
    VolumeRestrictions,
    /// The node cannot attach that many volumes.
    NodeVolumeLimits,
    /// A volume cannot be bound or made where the node is.
    VolumeBinding,
    /// A volume is in another zone.
    VolumeZone,
    /// Pods would be spread too unevenly.
    PodTopologySpread,
    /// Pods that must be near are not, or pods that must not be are.
    InterPodAffinity,
    /// The pod claims devices (dynamic resource allocation), which is not simulated.
    DynamicResources,
}

/// Why a filter keeps a pod off a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which filter.
    pub filter: Filter,
    /// Why, for a person.
    pub reason: String,
}

impl Filter {
    /// The plugin's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::NodeName => "NodeName",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::VolumeRestrictions => "VolumeRestrictions",
            Self::NodeVolumeLimits => "NodeVolumeLimits",
            Self::VolumeBinding => "VolumeBinding",
            Self::VolumeZone => "VolumeZone",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::DynamicResources => "DynamicResources",
        }
    }
}

/// True if the node by itself lets the pod in: everything but rules between pods and volumes.
pub fn fits(shape: &PodShape, node: &NodeState) -> bool {
    // Most nodes of a busy cluster are out by a comparison of two numbers.
    node.room_for(shape, 1) == 1 && static_fit(shape, node) && !shape.resource_claims
}

/// True if nothing keeps the pod off the node that is there before any pod runs.
pub(crate) fn static_fit(shape: &PodShape, node: &NodeState) -> bool {
    schedulable(shape, node) && untolerated(shape, node).is_none() && node_affinity_holds(shape, node)
}

/// Everything about the node by itself that keeps a pod of this shape off it: rules between pods and volumes are
/// not looked at. `node_name` is the pod's `spec.nodeName`.
pub fn why_not_here(shape: &PodShape, node_name: Option<&Text>, node: &NodeState) -> Vec<Rejection> {
    let mut rejections = why_not_statically(shape, node_name, node);
    let mut reject = |filter, reason| rejections.push(Rejection { filter, reason });
    for port in &shape.host_ports {
        if node.ports.iter().any(|taken| taken.conflicts(port)) {
            reject(Filter::NodePorts, format!("port {} is taken", port.port));
        }
    }
    for shortage in shortages(shape, node) {
        reject(Filter::NodeResourcesFit, shortage);
    }
    if shape.resource_claims {
        reject(Filter::DynamicResources, "it claims devices (spec.resourceClaims), which is not simulated".to_owned());
    }
    rejections
}

/// The same without what depends on the other pods of the node.
pub fn why_not_statically(shape: &PodShape, node_name: Option<&Text>, node: &NodeState) -> Vec<Rejection> {
    let mut rejections = Vec::new();
    let mut reject = |filter, reason| rejections.push(Rejection { filter, reason });
    if !schedulable(shape, node) {
        reject(Filter::NodeUnschedulable, "the node is cordoned".to_owned());
    }
    if let Some(name) = node_name.filter(|name| **name != node.name) {
        reject(Filter::NodeName, format!("the pod is for node {name}"));
    }
    if let Some(taint) = untolerated(shape, node) {
        reject(Filter::TaintToleration, format!("untolerated taint {taint}"));
    }
    if let Some(reason) = node_affinity(shape, node) {
        reject(Filter::NodeAffinity, reason);
    }
    rejections
}

pub(crate) fn schedulable(shape: &PodShape, node: &NodeState) -> bool {
    let taint = || Taint { key: UNSCHEDULABLE_TAINT.into(), value: "".into(), effect: TaintEffect::NoSchedule };
    !node.unschedulable || shape.tolerations.iter().any(|toleration| toleration.tolerates(&taint()))
}

fn untolerated<'a>(shape: &PodShape, node: &'a NodeState) -> Option<&'a Taint> {
    let tolerated = |taint: &Taint| shape.tolerations.iter().any(|toleration| toleration.tolerates(taint));
    node.taints.iter().find(|taint| taint.repels() && !tolerated(taint))
}

fn node_affinity_holds(shape: &PodShape, node: &NodeState) -> bool {
    !node.barred
        && node.labels.contains_all(&shape.node_selector)
        && shape.node_affinity.as_ref().is_none_or(|affinity| affinity.matches(&node.name, &node.labels))
}

fn node_affinity(shape: &PodShape, node: &NodeState) -> Option<String> {
    if node.barred {
        return Some("does not meet the affinity that the scheduler adds to every pod".to_owned());
    }
    for (key, value) in shape.node_selector.iter() {
        if node.labels.get(key) != Some(value) {
            return Some(format!("lacks label {key}={value}"));
        }
    }
    let affinity = shape.node_affinity.as_ref()?;
    if affinity.matches(&node.name, &node.labels) {
        return None;
    }
    let terms: Vec<String> = affinity
        .terms
        .iter()
        .take(3)
        .map(|term| {
            let all = term.match_expressions.iter().chain(&term.match_fields);
            all.map(ToString::to_string).collect::<Vec<_>>().join(" and ")
        })
        .collect();
    Some(one_line(&format!("does not meet node affinity: {}", terms.join(", or ")), LONGEST_REASON).into_owned())
}

fn shortages(shape: &PodShape, node: &NodeState) -> Vec<String> {
    let (need, free) = (&shape.requests, &node.free);
    let mut all = Vec::new();
    if need.pods > free.pods {
        all.push("no place for another pod".to_owned());
    }
    if need.cpu > free.cpu {
        all.push(format!("cpu: needs {}, {} free", need.cpu, free.cpu));
    }
    if need.memory > free.memory {
        all.push(format!("memory: needs {}, {} free", need.memory, free.memory));
    }
    if need.ephemeral_storage > free.ephemeral_storage {
        all.push(format!("ephemeral-storage: needs {}, {} free", need.ephemeral_storage, free.ephemeral_storage));
    }
    for (name, amount) in need.extended() {
        let left = free.get_extended(name);
        if *amount > left {
            all.push(format!("{name}: needs {amount}, {left} free"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plimsoll_model::{
        Bytes, HostPort, MilliCpu, NodeSelector, NodeSelectorTerm, Operator, Protocol, Requirement, Resources,
        Toleration,
    };

    use super::*;

    fn node() -> NodeState {
        NodeState {
            name: "n1".into(),
            labels: Arc::new([("zone", "a"), ("size", "8")].into_iter().collect()),
            taints: vec![],
            unschedulable: false,
            free: Resources { cpu: MilliCpu(1000), memory: Bytes(1 << 30), pods: 10, ..Default::default() },
            ports: vec![],
            ..NodeState::default()
        }
    }

    fn shape(cpu: u64) -> PodShape {
        let requests = Resources { cpu: MilliCpu(cpu), pods: 1, ..Default::default() };
        PodShape { requests, ..Default::default() }
    }

    fn filters(shape: &PodShape, node: &NodeState) -> Vec<&'static str> {
        let all = why_not_here(shape, None, node);
        assert_eq!(all.is_empty(), fits(shape, node), "fits and why_not_here agree");
        all.iter().map(|rejection| rejection.filter.name()).collect()
    }

    #[test]
    fn every_filter_is_reported_not_only_the_first() {
        let mut node = node();
        node.unschedulable = true;
        node.taints = vec![Taint { key: "t".into(), value: "".into(), effect: TaintEffect::NoExecute }];
        let mut shape = shape(2000);
        shape.node_selector = [("zone", "b")].into_iter().collect();
        let port = HostPort { port: 80, protocol: Protocol::Tcp, ip: None };
        shape.host_ports = vec![port.clone()];
        node.ports = vec![port];
        assert_eq!(
            filters(&shape, &node),
            ["NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit"]
        );
        assert_eq!(why_not_here(&shape, Some(&"n2".into()), &node)[1].filter, Filter::NodeName);
    }

    #[test]
    fn tolerations_lift_taints_and_cordons() {
        let mut node = node();
        node.unschedulable = true;
        node.taints = vec![Taint { key: "t".into(), value: "v".into(), effect: TaintEffect::NoSchedule }];
        let mut shape = shape(1);
        shape.tolerations = vec![Toleration { key: None, value: None, effect: None }];
        assert!(filters(&shape, &node).is_empty());
        shape.tolerations = vec![Toleration { key: Some("t".into()), value: Some("other".into()), effect: None }];
        assert_eq!(filters(&shape, &node), ["NodeUnschedulable", "TaintToleration"]);
        node.unschedulable = false;
        node.taints[0].effect = TaintEffect::PreferNoSchedule;
        assert!(filters(&shape, &node).is_empty());
    }

    #[test]
    fn affinity_needs_one_term() {
        let term = |value: &str| NodeSelectorTerm {
            match_expressions: vec![Requirement {
                key: "size".into(),
                operator: Operator::Gt,
                values: vec![value.into()],
            }],
            match_fields: vec![],
        };
        let mut shape = shape(1);
        shape.node_affinity = Some(NodeSelector { terms: vec![term("9"), term("7")] });
        assert!(filters(&shape, &node()).is_empty());
        shape.node_affinity = Some(NodeSelector { terms: vec![term("9")] });
        assert_eq!(filters(&shape, &node()), ["NodeAffinity"]);
        shape.node_affinity = Some(NodeSelector::default());
        assert_eq!(filters(&shape, &node()), ["NodeAffinity"]);
    }

    #[test]
    fn every_resource_counts() {
        let mut shape = shape(1000);
        assert!(filters(&shape, &node()).is_empty());
        shape.requests.set_extended("nvidia.com/gpu".into(), 1);
        assert_eq!(filters(&shape, &node()), ["NodeResourcesFit"]);
        let mut crowded = node();
        crowded.free.pods = 0;
        assert_eq!(filters(&self::shape(0), &crowded), ["NodeResourcesFit"]);
        // What is already over its allocatable still takes pods that ask for nothing of it.
        let mut full = node();
        full.free.cpu = MilliCpu(0);
        assert!(filters(&self::shape(0), &full).is_empty());
    }
}
