//! The kinds that every cluster has. Facts: the discovery documents and the registry strategies of Kubernetes 1.36.

use super::{ResourceKind, StatusRule};
use crate::semantics::scale;

/// What is special about a kind, as words; see [`parse`].
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// (group/version, kind, plural, short names and categories, habits)
///
/// Habits: `-` cluster-scoped, `s` has a status, `k` keeps its status on create, `g` counts generations,
/// `!` needs a resource version for PUT, `+` is created by PUT, `d` answers a DELETE with the object.
const KINDS: &[Row] = &[
    ("v1", "Namespace", "namespaces", "ns", "-s"),
    ("v1", "Node", "nodes", "no", "-sk"),
    ("v1", "Pod", "pods", "po @all", "sgd"),
    ("v1", "Service", "services", "svc @all", "s+d"),
    ("v1", "ServiceAccount", "serviceaccounts", "sa", "d"),
    ("v1", "ConfigMap", "configmaps", "cm", ""),
    ("v1", "Secret", "secrets", "", ""),
    ("v1", "Endpoints", "endpoints", "ep", "+"),
    ("v1", "Event", "events", "ev", "+"),
    ("v1", "PersistentVolume", "persistentvolumes", "pv", "-sd"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "sd"),
    ("v1", "ReplicationController", "replicationcontrollers", "rc @all", "sg"),
    ("v1", "LimitRange", "limitranges", "limits", "+"),
    ("v1", "ResourceQuota", "resourcequotas", "quota", "sd"),
    ("v1", "PodTemplate", "podtemplates", "", "gd"),
    ("apps/v1", "Deployment", "deployments", "deploy @all", "sg"),
    ("apps/v1", "ReplicaSet", "replicasets", "rs @all", "sg"),
    ("apps/v1", "StatefulSet", "statefulsets", "sts @all", "sg"),
    ("apps/v1", "DaemonSet", "daemonsets", "ds @all", "sg"),
    ("apps/v1", "ControllerRevision", "controllerrevisions", "", ""),
    ("batch/v1", "Job", "jobs", "@all", "sg"),
    ("batch/v1", "CronJob", "cronjobs", "cj @all", "sg"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "sg!"),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", "-d"),
    ("storage.k8s.io/v1", "CSINode", "csinodes", "", "-!d"),
    ("storage.k8s.io/v1", "CSIDriver", "csidrivers", "", "-!d"),
    ("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities", "", "!"),
    ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", "", "-s!d"),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", "-g"),
    ("coordination.k8s.io/v1", "Lease", "leases", "", "!+"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", "csr", "-s"),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", "", "+"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", "", "+"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", "", "-+"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", "", "-+"),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd crds @api-extensions",
        "-sg!",
    ),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "netpol", "g"),
    ("networking.k8s.io/v1", "Ingress", "ingresses", "ing", "sg"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa @all", "s"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", "", "g"),
    ("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", "", "-!+"),
    ("resource.k8s.io/v1", "DeviceClass", "deviceclasses", "", "-g"),
    ("resource.k8s.io/v1", "ResourceClaim", "resourceclaims", "", "s"),
    ("resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates", "", ""),
    ("resource.k8s.io/v1", "ResourceSlice", "resourceslices", "", "-g"),
];

/// The built-in kinds.
pub(crate) fn builtin() -> Vec<ResourceKind> {
    KINDS.iter().map(parse).collect()
}

fn parse(&(api_version, kind, plural, names, habits): &Row) -> ResourceKind {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let has = |habit: char| habits.contains(habit);
    let words = |category: bool| {
        let words = names.split(' ').filter(move |word| !word.is_empty() && word.starts_with('@') == category);
        words.map(|word| word.trim_start_matches('@').to_owned()).collect()
    };
    ResourceKind {
        short_names: words(false),
        categories: words(true),
        namespaced: !has('-'),
        status: match (has('s'), has('k')) {
            (false, _) => StatusRule::Plain,
            (true, false) => StatusRule::Separate,
            (true, true) => StatusRule::KeptOnCreate,
        },
        scale: scale::Paths::builtin(group, plural),
        generation: has('g'),
        unconditional_update: !has('!'),
        create_on_update: has('+'),
        returns_deleted: has('d'),
        ..ResourceKind::new(group, version, kind, plural)
    }
}
