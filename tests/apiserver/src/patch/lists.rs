//! Which lists are merged by key, and which maps are one value.
//!
//! Source: the tags `patchMergeKey`, `listType`, `listMapKey`, `mapType` and `structType` in `k8s.io/api` 1.36.

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// As a whole.
    Atomic,
    /// As a set of plain values.
    Set,
    /// By the keys of its items; a strategic patch knows only the first.
    Keyed(&'static [&'static str]),
}

const NAME: List = List::Keyed(&["name"]);
const TYPE: List = List::Keyed(&["type"]);
const IP: List = List::Keyed(&["ip"]);

/// How the list at this path of field names is merged by server-side apply.
pub(super) fn list_at(kind: &str, path: &[&str]) -> List {
    let Some((field, parents)) = path.split_last() else { return List::Atomic };
    let parent = parents.last().copied().unwrap_or_default();
    if parent == "metadata" {
        return match *field {
            "ownerReferences" => List::Keyed(&["uid"]),
            "finalizers" => List::Set,
            _ => List::Atomic,
        };
    }
    if matches!(parents, ["status"]) {
        match (kind, *field) {
            (_, "conditions") | ("Node", "addresses") => return TYPE,
            ("Pod", "podIPs" | "hostIPs") => return IP,
            ("Pod", "resourceClaimStatuses") => return NAME,
            _ => return List::Atomic,
        }
    }
    match (kind, path) {
        ("Node", ["spec", "podCIDRs"]) => return List::Set,
        ("Service", ["spec", "ports"]) => return List::Keyed(&["port", "protocol"]),
        ("ServiceAccount", ["secrets"]) | ("CSINode", ["spec", "drivers"]) => return NAME,
        _ => {}
    }
    let Some(inside) = in_pod_spec(kind, path) else { return List::Atomic };
    match inside {
        [
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "volumes"
            | "imagePullSecrets"
            | "schedulingGates"
            | "resourceClaims",
        ] => NAME,
        ["hostAliases"] => IP,
        ["topologySpreadConstraints"] => List::Keyed(&["topologyKey", "whenUnsatisfiable"]),
        ["containers" | "initContainers" | "ephemeralContainers", field] => match *field {
            "env" => NAME,
            "ports" => List::Keyed(&["containerPort", "protocol"]),
            "volumeMounts" => List::Keyed(&["mountPath"]),
            "volumeDevices" => List::Keyed(&["devicePath"]),
            _ => List::Atomic,
        },
        _ => List::Atomic,
    }
}

/// How the list at this path is merged by a strategic patch: conditions of signing requests have no merge key there.
pub(super) fn strategic_list_at(kind: &str, path: &[&str]) -> List {
    if kind == "CertificateSigningRequest" && path == ["status", "conditions"] {
        return List::Atomic;
    }
    list_at(kind, path)
}

/// Whether server-side apply takes the map at this path as one value.
pub(super) fn is_atomic_map(kind: &str, path: &[&str]) -> bool {
    let selector = match kind {
        "Deployment"
        | "ReplicaSet"
        | "StatefulSet"
        | "DaemonSet"
        | "Job"
        | "PodDisruptionBudget"
        | "Service"
        | "PersistentVolumeClaim" => path == ["spec", "selector"],
        _ => false,
    };
    let in_pod = in_pod_spec(kind, path).is_some_and(|inside| match inside {
        ["nodeSelector"] => true,
        [.., last] => matches!(
            *last,
            "labelSelector"
                | "namespaceSelector"
                | "secretKeyRef"
                | "configMapKeyRef"
                | "fieldRef"
                | "resourceFieldRef"
        ),
        [] => false,
    });
    selector || in_pod || path == ["metadata", "ownerReferences"]
}

/// The default of a key of a list item that need not be written.
pub(super) fn default_of_key(key: &str) -> Option<&'static str> {
    (key == "protocol").then_some("TCP")
}

/// What follows the pod spec in a path, if it leads there.
fn in_pod_spec<'a, 'b>(kind: &str, path: &'a [&'b str]) -> Option<&'a [&'b str]> {
    match (kind, path) {
        ("Pod", ["spec", rest @ ..]) => Some(rest),
        (
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController",
            ["spec", "template", "spec", rest @ ..],
        )
        | ("PodTemplate", ["template", "spec", rest @ ..])
        | ("CronJob", ["spec", "jobTemplate", "spec", "template", "spec", rest @ ..]) => Some(rest),
        _ => None,
    }
}
