//! Which feature needs which permissions: the one list that the checks at start, the log and the Helm chart share.
//!
//! The blocks are those of Ocean's controller (`ocean-features.md` 2.2) without what it never needed: nothing here is
//! `escalate`, `bind` or a secret.

use std::fmt;

use super::rule::{Need, Rule};

/// What Plimsoll can do if it may. Each is one block of rules in the Helm chart, and can be left out there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// See the cluster. Without it there is nothing to decide about.
    Watch,
    /// Cordon nodes and evict pods.
    Drain,
    /// Start the replacement of a pod before it is evicted. Apart from draining, because whoever may patch pods may do
    /// a lot to them.
    WarmUp,
    /// Delete Node objects whose machine is gone.
    Cleanup,
    /// Approve and deny kubelet certificates.
    CsrApproval,
    /// Remember launches across restarts and leaders; without it nothing is launched.
    Launches,
    /// Launch through Cluster API.
    ClusterApi,
    /// Launch through Karpenter's NodeClaims.
    Karpenter,
    /// Create and delete Node objects: the simulated provider.
    Simulated,
    /// Say what happened, as Events.
    Events,
    /// Elect a leader.
    Lease,
    /// Say how things are, in a ConfigMap.
    Status,
    /// Read how busy nodes are.
    NodeMetrics,
    /// Read how busy pods are.
    PodMetrics,
    /// Find other autoscalers.
    Rivals,
}

/// In which namespace a rule is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In all of them, or the resource has none: a ClusterRole.
    Everywhere,
    /// In the controller's own: a Role.
    Own,
    /// In this one: a Role.
    In(&'static str),
}

/// For which objects a rule is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Only {
    /// All.
    All,
    /// The one of this name.
    Named(&'static str),
    /// The lease of the election.
    Lease,
    /// The ConfigMap of the status.
    Status,
    /// The ConfigMap of the launches.
    Launches,
}

/// One row of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureRule {
    /// Whose.
    pub feature: Feature,
    /// What the feature is without it.
    pub need: Need,
    /// The API group.
    pub group: &'static str,
    /// Resource, or resource and subresource: `pods/eviction`.
    pub resource: &'static str,
    /// The verbs; each is a rule of its own.
    pub verbs: &'static [&'static str],
    /// In which namespace.
    pub place: Place,
    /// For which objects.
    pub only: Only,
}

const READ: &[&str] = &["get", "list", "watch"];

/// All rules of all features.
pub const FEATURE_RULES: &[FeatureRule] = &[
    must(Feature::Watch, "", "pods", READ),
    must(Feature::Watch, "", "nodes", READ),
    better(Feature::Watch, "", "namespaces", READ),
    better(Feature::Watch, "", "replicationcontrollers", READ),
    better(Feature::Watch, "", "persistentvolumes", READ),
    better(Feature::Watch, "", "persistentvolumeclaims", READ),
    better(Feature::Watch, "apps", "daemonsets", READ),
    better(Feature::Watch, "apps", "replicasets", READ),
    better(Feature::Watch, "apps", "statefulsets", READ),
    better(Feature::Watch, "batch", "jobs", READ),
    better(Feature::Watch, "policy", "poddisruptionbudgets", READ),
    better(Feature::Watch, "scheduling.k8s.io", "priorityclasses", READ),
    better(Feature::Watch, "storage.k8s.io", "csinodes", READ),
    better(Feature::Watch, "storage.k8s.io", "storageclasses", READ),
    must(Feature::Drain, "", "nodes", &["patch", "update"]),
    must(Feature::Drain, "", "pods/eviction", &["create"]),
    // For pods that do not leave in time.
    better(Feature::Drain, "", "pods", &["delete"]),
    must(Feature::WarmUp, "", "pods", &["patch"]),
    must(Feature::Cleanup, "", "nodes", &["delete"]),
    must(Feature::CsrApproval, "certificates.k8s.io", "certificatesigningrequests", READ),
    must(Feature::CsrApproval, "certificates.k8s.io", "certificatesigningrequests/approval", &["update"]),
    signer("kubernetes.io/kube-apiserver-client-kubelet"),
    signer("kubernetes.io/kubelet-serving"),
    own(Feature::Launches, "", "configmaps", &["get", "patch"], Only::Launches),
    own(Feature::Launches, "", "configmaps", &["create"], Only::All),
    must(Feature::ClusterApi, "cluster.x-k8s.io", "machinedeployments", READ),
    must(Feature::ClusterApi, "cluster.x-k8s.io", "machinedeployments/scale", &["get", "update"]),
    must(Feature::ClusterApi, "cluster.x-k8s.io", "machines", READ),
    better(Feature::ClusterApi, "cluster.x-k8s.io", "machines", &["patch"]),
    better(Feature::ClusterApi, "cluster.x-k8s.io", "machinesets", READ),
    better(Feature::ClusterApi, "cluster.x-k8s.io", "machinesets/scale", &["get", "update"]),
    better(Feature::ClusterApi, "cluster.x-k8s.io", "machinepools", READ),
    better(Feature::ClusterApi, "cluster.x-k8s.io", "machinepools/scale", &["get", "update"]),
    must(Feature::Karpenter, "karpenter.sh", "nodepools", READ),
    must(Feature::Karpenter, "karpenter.sh", "nodeclaims", READ),
    must(Feature::Karpenter, "karpenter.sh", "nodeclaims", &["create", "delete"]),
    must(Feature::Simulated, "", "nodes", &["create", "delete"]),
    must(Feature::Events, "events.k8s.io", "events", &["create"]),
    // Without it every repetition within a few minutes goes unsaid.
    better(Feature::Events, "events.k8s.io", "events", &["patch"]),
    own(Feature::Lease, "coordination.k8s.io", "leases", &["get", "update"], Only::Lease),
    own(Feature::Lease, "coordination.k8s.io", "leases", &["create"], Only::All),
    own(Feature::Status, "", "configmaps", &["get", "patch"], Only::Status),
    own(Feature::Status, "", "configmaps", &["create"], Only::All),
    must(Feature::NodeMetrics, "metrics.k8s.io", "nodes", &["list"]),
    must(Feature::PodMetrics, "metrics.k8s.io", "pods", &["list"]),
    better(Feature::Rivals, "apps", "deployments", &["list"]),
    better(Feature::Rivals, "coordination.k8s.io", "leases", &["list"]),
    better(Feature::Rivals, "karpenter.sh", "nodepools", &["list"]),
    FeatureRule {
        feature: Feature::Rivals,
        need: Need::Better,
        group: "",
        resource: "configmaps",
        verbs: &["get"],
        place: Place::In("kube-system"),
        only: Only::Named("cluster-autoscaler-status"),
    },
];

const fn row(
    feature: Feature,
    need: Need,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> FeatureRule {
    FeatureRule { feature, need, group, resource, verbs, place: Place::Everywhere, only: Only::All }
}

const fn must(
    feature: Feature,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> FeatureRule {
    row(feature, Need::Must, group, resource, verbs)
}

const fn better(
    feature: Feature,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> FeatureRule {
    row(feature, Need::Better, group, resource, verbs)
}

const fn own(
    feature: Feature,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    only: Only,
) -> FeatureRule {
    FeatureRule { place: Place::Own, only, ..row(feature, Need::Must, group, resource, verbs) }
}

/// Whoever approves must be allowed to for the signer as well; without one of them the other still works.
const fn signer(name: &'static str) -> FeatureRule {
    FeatureRule {
        only: Only::Named(name),
        ..row(Feature::CsrApproval, Need::OneOf, "certificates.k8s.io", "signers", &["approve"])
    }
}

// === impl Feature ===

impl Feature {
    /// All of them, in the order that they are shown in.
    pub const ALL: [Self; 15] = [
        Self::Watch,
        Self::Drain,
        Self::WarmUp,
        Self::Cleanup,
        Self::CsrApproval,
        Self::Launches,
        Self::ClusterApi,
        Self::Karpenter,
        Self::Simulated,
        Self::Events,
        Self::Lease,
        Self::Status,
        Self::NodeMetrics,
        Self::PodMetrics,
        Self::Rivals,
    ];

    /// A stable label for metrics, the status and the Helm chart.
    pub fn label(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Drain => "drain",
            Self::WarmUp => "warm-up",
            Self::Cleanup => "cleanup",
            Self::CsrApproval => "csr-approval",
            Self::Launches => "launches",
            Self::ClusterApi => "cluster-api",
            Self::Karpenter => "karpenter",
            Self::Simulated => "simulated",
            Self::Events => "events",
            Self::Lease => "lease",
            Self::Status => "status",
            Self::NodeMetrics => "node-metrics",
            Self::PodMetrics => "pod-metrics",
            Self::Rivals => "rivals",
        }
    }

    /// The API that must be served for it, where that is not part of every cluster: its path, and whose it is.
    pub(super) fn api(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::CsrApproval => Some(("/apis/certificates.k8s.io/v1", "the API of certificates")),
            // Which versions are served is the provider's business.
            Self::ClusterApi => Some(("/apis/cluster.x-k8s.io", "Cluster API")),
            Self::Karpenter => Some(("/apis/karpenter.sh/v1", "Karpenter")),
            Self::Events => Some(("/apis/events.k8s.io/v1", "the API of Events")),
            Self::Lease => Some(("/apis/coordination.k8s.io/v1", "the API of leases")),
            Self::NodeMetrics | Self::PodMetrics => Some(("/apis/metrics.k8s.io/v1beta1", "the metrics server")),
            Self::Watch
            | Self::Drain
            | Self::WarmUp
            | Self::Cleanup
            | Self::Launches
            | Self::Simulated
            | Self::Status
            | Self::Rivals => None,
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

// === impl FeatureRule ===

impl FeatureRule {
    /// The permissions of this row, with the names that this installation uses.
    pub(super) fn rules(&self, names: impl Fn(Only) -> String, own: &str) -> Vec<Rule> {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        let namespace = match self.place {
            Place::Everywhere => String::new(),
            Place::Own => own.to_owned(),
            Place::In(namespace) => namespace.to_owned(),
        };
        let rule = |verb: &&'static str| Rule {
            verb: (*verb).into(),
            group: self.group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.clone(),
            name: names(self.only),
        };
        self.verbs.iter().map(rule).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_rules_and_none_grants_more_than_it_should() {
        for feature in Feature::ALL {
            assert!(FEATURE_RULES.iter().any(|rule| rule.feature == feature), "{feature}");
        }
        for rule in FEATURE_RULES {
            let named = rule.only != Only::All;
            assert!(!(named && rule.verbs.contains(&"create")), "a name cannot be given for create: {rule:?}");
            assert!(!(named && rule.verbs.contains(&"list")), "nor for list: {rule:?}");
            for verb in rule.verbs {
                assert!(!["escalate", "bind", "impersonate", "deletecollection", "*"].contains(verb), "{rule:?}");
            }
            assert!(rule.resource != "secrets" && !rule.resource.contains('*') && !rule.group.contains('*'));
        }
    }
}
