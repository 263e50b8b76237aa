//! Which resource of the API.

use std::borrow::Cow;
use std::fmt;

/// A resource of the API server: what a URL names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// The version of the group.
    pub version: Cow<'static, str>,
    /// The name in URLs, for example `pods`.
    pub plural: Cow<'static, str>,
    /// The name in objects, for example `Pod`.
    pub kind: Cow<'static, str>,
    /// Objects live in namespaces.
    pub namespaced: bool,
}

/// One object, or what is asked of one: `namespace` is empty where the resource has none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// The namespace, or empty.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Resource {
    /// Pods.
    pub const PODS: Self = Self::fixed("", "v1", "pods", "Pod", true);
    /// Nodes.
    pub const NODES: Self = Self::fixed("", "v1", "nodes", "Node", false);
    /// Namespaces.
    pub const NAMESPACES: Self = Self::fixed("", "v1", "namespaces", "Namespace", false);
    /// ConfigMaps.
    pub const CONFIG_MAPS: Self = Self::fixed("", "v1", "configmaps", "ConfigMap", true);
    /// Persistent volumes.
    pub const VOLUMES: Self = Self::fixed("", "v1", "persistentvolumes", "PersistentVolume", false);
    /// Persistent volume claims.
    pub const VOLUME_CLAIMS: Self = Self::fixed("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true);
    /// Storage classes.
    pub const STORAGE_CLASSES: Self = Self::fixed("storage.k8s.io", "v1", "storageclasses", "StorageClass", false);
    /// CSI nodes.
    pub const CSI_NODES: Self = Self::fixed("storage.k8s.io", "v1", "csinodes", "CSINode", false);
    /// DaemonSets.
    pub const DAEMON_SETS: Self = Self::fixed("apps", "v1", "daemonsets", "DaemonSet", true);
    /// ReplicaSets.
    pub const REPLICA_SETS: Self = Self::fixed("apps", "v1", "replicasets", "ReplicaSet", true);
    /// StatefulSets.
    pub const STATEFUL_SETS: Self = Self::fixed("apps", "v1", "statefulsets", "StatefulSet", true);
    /// Deployments.
    pub const DEPLOYMENTS: Self = Self::fixed("apps", "v1", "deployments", "Deployment", true);
    /// Replication controllers.
    pub const REPLICATION_CONTROLLERS: Self =
        Self::fixed("", "v1", "replicationcontrollers", "ReplicationController", true);
    /// Jobs.
    pub const JOBS: Self = Self::fixed("batch", "v1", "jobs", "Job", true);
    /// Disruption budgets.
    pub const DISRUPTION_BUDGETS: Self =
        Self::fixed("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true);
    /// Priority classes.
    pub const PRIORITY_CLASSES: Self =
        Self::fixed("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false);
    /// Certificate signing requests.
    pub const SIGNING_REQUESTS: Self =
        Self::fixed("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", false);
    /// Leases.
    pub const LEASES: Self = Self::fixed("coordination.k8s.io", "v1", "leases", "Lease", true);
    /// Events.
    pub const EVENTS: Self = Self::fixed("events.k8s.io", "v1", "events", "Event", true);
    /// Usage of nodes, from the metrics server.
    pub const NODE_METRICS: Self = Self::fixed("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", false);
    /// Karpenter's NodePools.
    pub const NODE_POOLS: Self = Self::fixed("karpenter.sh", "v1", "nodepools", "NodePool", false);
    /// What the asking user may do.
    pub const ACCESS_REVIEWS: Self =
        Self::fixed("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false);

    const fn fixed(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        namespaced: bool,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            kind: Cow::Borrowed(kind),
            namespaced,
        }
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of its list: of one namespace, or of all of them where `namespace` is empty.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        if namespace.is_empty() {
            format!("{root}/{}/{}", self.version, self.plural)
        } else {
            format!("{root}/{}/namespaces/{namespace}/{}", self.version, self.plural)
        }
    }

    /// The path of one object, or of a part of it such as `status`.
    pub fn object_path(&self, object: &ObjectName, part: Option<&str>) -> String {
        let path = format!("{}/{}", self.path(&object.namespace), object.name);
        part.map_or(path.clone(), |part| format!("{path}/{part}"))
    }
}

impl fmt::Display for Resource {
    /// As permissions name it: `pods`, `leases.coordination.k8s.io`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

impl ObjectName {
    /// An object of a namespace.
    pub fn in_namespace(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// An object of a resource without namespaces.
    pub fn of_cluster(name: &str) -> Self {
        Self::in_namespace("", name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let pod = ObjectName::in_namespace("shop", "web-0");
        for (path, expected) in [
            (Resource::PODS.path(""), "/api/v1/pods"),
            (Resource::PODS.path("shop"), "/api/v1/namespaces/shop/pods"),
            (Resource::PODS.object_path(&pod, Some("eviction")), "/api/v1/namespaces/shop/pods/web-0/eviction"),
            (Resource::NODES.object_path(&ObjectName::of_cluster("n1"), None), "/api/v1/nodes/n1"),
            (Resource::LEASES.path("kube-system"), "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"),
        ] {
            assert_eq!(path, expected);
        }
        assert_eq!(Resource::LEASES.to_string(), "leases.coordination.k8s.io");
        assert_eq!(Resource::LEASES.api_version(), "coordination.k8s.io/v1");
        assert_eq!((Resource::PODS.to_string(), Resource::PODS.api_version()), ("pods".into(), "v1".into()));
    }
}
