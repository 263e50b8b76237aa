//! The kinds of objects that decisions use.

use plimsoll_model::WorkloadKind;

/// A kind that decisions use, with its API group settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Node,
    Pod,
    DisruptionBudget { beta: bool },
    SigningRequest,
    Namespace,
    Machine,
    NodeClaim,
    VolumeClaim,
    Volume,
    StorageClass,
    CsiNode,
    DaemonSet,
    PriorityClass,
    Workload(WorkloadKind),
}

impl Kind {
    /// The kind of an object. Without an `apiVersion` (items of a typed list) the name alone decides.
    pub(crate) fn of(name: &str, api_version: Option<&str>) -> Option<Self> {
        let api_version = api_version.unwrap_or_default();
        let (kind, groups): (_, &[&str]) = match name {
            "Node" => (Self::Node, &[""]),
            "Pod" => (Self::Pod, &[""]),
            "Namespace" => (Self::Namespace, &[""]),
            "PodDisruptionBudget" => (Self::DisruptionBudget { beta: api_version == "policy/v1beta1" }, &["policy"]),
            "CertificateSigningRequest" => (Self::SigningRequest, &["certificates.k8s.io"]),
            "Machine" => (Self::Machine, &["cluster.x-k8s.io", "machine.openshift.io"]),
            "NodeClaim" => (Self::NodeClaim, &["karpenter.sh"]),
            "PersistentVolumeClaim" => (Self::VolumeClaim, &[""]),
            "PersistentVolume" => (Self::Volume, &[""]),
            "StorageClass" => (Self::StorageClass, &["storage.k8s.io"]),
            "CSINode" => (Self::CsiNode, &["storage.k8s.io"]),
            "DaemonSet" => (Self::DaemonSet, &["apps"]),
            "PriorityClass" => (Self::PriorityClass, &["scheduling.k8s.io"]),
            "Deployment" => (Self::Workload(WorkloadKind::Deployment), &["apps"]),
            "ReplicaSet" => (Self::Workload(WorkloadKind::ReplicaSet), &["apps"]),
            "StatefulSet" => (Self::Workload(WorkloadKind::StatefulSet), &["apps"]),
            "ReplicationController" => (Self::Workload(WorkloadKind::ReplicationController), &[""]),
            "Job" => (Self::Workload(WorkloadKind::Job), &["batch"]),
            _ => return None,
        };
        (api_version.is_empty() || groups.contains(&group(api_version))).then_some(kind)
    }

    /// The name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::DisruptionBudget { .. } => "PodDisruptionBudget",
            Self::SigningRequest => "CertificateSigningRequest",
            Self::Namespace => "Namespace",
            Self::Machine => "Machine",
            Self::NodeClaim => "NodeClaim",
            Self::VolumeClaim => "PersistentVolumeClaim",
            Self::Volume => "PersistentVolume",
            Self::StorageClass => "StorageClass",
            Self::CsiNode => "CSINode",
            Self::DaemonSet => "DaemonSet",
            Self::PriorityClass => "PriorityClass",
            Self::Workload(kind) => kind.name(),
        }
    }
}

/// How a kind that nothing uses is called: with its group where the name alone would mislead.
pub(crate) fn unknown_name(name: &str, api_version: Option<&str>) -> String {
    match api_version {
        Some(version) if Kind::of(name, None).is_some() => format!("{name}.{}", group(version)),
        _ => name.to_owned(),
    }
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_counts_where_it_is_given() {
        for (name, version, kind) in [
            ("Pod", Some("v1"), Some(Kind::Pod)),
            ("Pod", None, Some(Kind::Pod)),
            ("Pod", Some("example.com/v1"), None),
            ("Machine", Some("cluster.x-k8s.io/v1beta2"), Some(Kind::Machine)),
            ("Machine", Some("machine.openshift.io/v1beta1"), Some(Kind::Machine)),
            ("Machine", Some("machine.sapcloud.io/v1alpha1"), None),
            ("NodeClaim", Some("karpenter.sh/v1"), Some(Kind::NodeClaim)),
            ("PodDisruptionBudget", Some("policy/v1"), Some(Kind::DisruptionBudget { beta: false })),
            ("PodDisruptionBudget", Some("policy/v1beta1"), Some(Kind::DisruptionBudget { beta: true })),
            ("CertificateSigningRequest", Some("certificates.k8s.io/v1"), Some(Kind::SigningRequest)),
            ("PersistentVolumeClaim", Some("v1"), Some(Kind::VolumeClaim)),
            ("PersistentVolume", Some("v1"), Some(Kind::Volume)),
            ("StorageClass", Some("storage.k8s.io/v1"), Some(Kind::StorageClass)),
            ("StorageClass", Some("storage.k8s.io/v1beta1"), Some(Kind::StorageClass)),
            ("StorageClass", Some("v1"), None),
            ("CSINode", Some("storage.k8s.io/v1"), Some(Kind::CsiNode)),
            ("DaemonSet", Some("apps/v1"), Some(Kind::DaemonSet)),
            ("DaemonSet", Some("apps.kruise.io/v1alpha1"), None),
            ("PriorityClass", Some("scheduling.k8s.io/v1"), Some(Kind::PriorityClass)),
            ("ReplicaSet", Some("apps/v1"), Some(Kind::Workload(WorkloadKind::ReplicaSet))),
            ("StatefulSet", Some("apps.kruise.io/v1beta1"), None),
            ("ReplicationController", Some("v1"), Some(Kind::Workload(WorkloadKind::ReplicationController))),
            ("Job", Some("batch/v1"), Some(Kind::Workload(WorkloadKind::Job))),
            ("Job", Some("batch.volcano.sh/v1alpha1"), None),
            ("Secret", Some("v1"), None),
        ] {
            assert_eq!(Kind::of(name, version), kind, "{name} {version:?}");
            if let Some(kind) = kind {
                assert_eq!(kind.name(), name);
            }
        }
        assert_eq!(unknown_name("Machine", Some("machine.sapcloud.io/v1alpha1")), "Machine.machine.sapcloud.io");
        assert_eq!(unknown_name("DaemonSet", Some("apps.kruise.io/v1alpha1")), "DaemonSet.apps.kruise.io");
        assert_eq!(unknown_name("Secret", Some("v1")), "Secret");
    }
}
