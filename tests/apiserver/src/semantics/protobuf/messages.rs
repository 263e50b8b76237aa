//! The messages that are read, with the field numbers of the `generated.proto` files in `k8s.io/api` 1.36.

/// How a field is written as JSON.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Bytes,
    Integer,
    Bool,
    Time,
    MicroTime,
    /// JSON inside of bytes, as in managed fields.
    RawJson,
    Message(&'static [Field]),
    /// A map from text to this.
    Map(&'static Shape),
    /// A number or a text.
    IntOrText,
    /// A message that is nothing but a list of texts.
    Texts,
}

pub(super) struct Field {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) repeated: bool,
}

const fn one(number: u64, name: &'static str, shape: Shape) -> Field {
    Field { number, name, shape, repeated: false }
}

const fn many(number: u64, name: &'static str, shape: Shape) -> Field {
    Field { number, name, shape, repeated: true }
}

const OWNER: &[Field] = &[
    one(1, "kind", Shape::Text),
    one(3, "name", Shape::Text),
    one(4, "uid", Shape::Text),
    one(5, "apiVersion", Shape::Text),
    one(6, "controller", Shape::Bool),
    one(7, "blockOwnerDeletion", Shape::Bool),
];
const MANAGED: &[Field] = &[
    one(1, "manager", Shape::Text),
    one(2, "operation", Shape::Text),
    one(3, "apiVersion", Shape::Text),
    one(4, "time", Shape::Time),
    one(6, "fieldsType", Shape::Text),
    one(7, "fieldsV1", Shape::RawJson),
    one(8, "subresource", Shape::Text),
];
const METADATA: &[Field] = &[
    one(1, "name", Shape::Text),
    one(2, "generateName", Shape::Text),
    one(3, "namespace", Shape::Text),
    one(5, "uid", Shape::Text),
    one(6, "resourceVersion", Shape::Text),
    one(7, "generation", Shape::Integer),
    one(8, "creationTimestamp", Shape::Time),
    one(9, "deletionTimestamp", Shape::Time),
    one(10, "deletionGracePeriodSeconds", Shape::Integer),
    one(11, "labels", Shape::Map(&Shape::Text)),
    one(12, "annotations", Shape::Map(&Shape::Text)),
    many(13, "ownerReferences", Shape::Message(OWNER)),
    many(14, "finalizers", Shape::Text),
    many(17, "managedFields", Shape::Message(MANAGED)),
];
const CSR_CONDITION: &[Field] = &[
    one(1, "type", Shape::Text),
    one(2, "reason", Shape::Text),
    one(3, "message", Shape::Text),
    one(4, "lastUpdateTime", Shape::Time),
    one(5, "lastTransitionTime", Shape::Time),
    one(6, "status", Shape::Text),
];
const CSR_SPEC: &[Field] = &[
    one(1, "request", Shape::Bytes),
    one(2, "username", Shape::Text),
    one(3, "uid", Shape::Text),
    many(4, "groups", Shape::Text),
    many(5, "usages", Shape::Text),
    one(6, "extra", Shape::Map(&Shape::Texts)),
    one(7, "signerName", Shape::Text),
    one(8, "expirationSeconds", Shape::Integer),
];
const CSR: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    one(2, "spec", Shape::Message(CSR_SPEC)),
    one(
        3,
        "status",
        Shape::Message(&[many(1, "conditions", Shape::Message(CSR_CONDITION)), one(2, "certificate", Shape::Bytes)]),
    ),
];
const LEASE: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    one(
        2,
        "spec",
        Shape::Message(&[
            one(1, "holderIdentity", Shape::Text),
            one(2, "leaseDurationSeconds", Shape::Integer),
            one(3, "acquireTime", Shape::MicroTime),
            one(4, "renewTime", Shape::MicroTime),
            one(5, "leaseTransitions", Shape::Integer),
            one(6, "strategy", Shape::Text),
            one(7, "preferredHolder", Shape::Text),
        ]),
    ),
];
const DELETE_OPTIONS: &[Field] = &[
    one(1, "gracePeriodSeconds", Shape::Integer),
    one(2, "preconditions", Shape::Message(&[one(1, "uid", Shape::Text), one(2, "resourceVersion", Shape::Text)])),
    one(3, "orphanDependents", Shape::Bool),
    one(4, "propagationPolicy", Shape::Text),
    many(5, "dryRun", Shape::Text),
];
const EVICTION: &[Field] =
    &[one(1, "metadata", Shape::Message(METADATA)), one(2, "deleteOptions", Shape::Message(DELETE_OPTIONS))];

const NAMESPACE: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    one(2, "spec", Shape::Message(&[many(1, "finalizers", Shape::Text)])),
];
const CONFIG_MAP: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    one(2, "data", Shape::Map(&Shape::Text)),
    one(3, "binaryData", Shape::Map(&Shape::Bytes)),
    one(4, "immutable", Shape::Bool),
];
const SERVICE_ACCOUNT: &[Field] =
    &[one(1, "metadata", Shape::Message(METADATA)), one(4, "automountServiceAccountToken", Shape::Bool)];
const PRIORITY_CLASS: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    one(2, "value", Shape::Integer),
    one(3, "globalDefault", Shape::Bool),
    one(4, "description", Shape::Text),
    one(5, "preemptionPolicy", Shape::Text),
];
const BUDGET: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    one(
        2,
        "spec",
        Shape::Message(&[
            one(1, "minAvailable", Shape::IntOrText),
            one(
                2,
                "selector",
                Shape::Message(&[
                    one(1, "matchLabels", Shape::Map(&Shape::Text)),
                    many(
                        2,
                        "matchExpressions",
                        Shape::Message(&[
                            one(1, "key", Shape::Text),
                            one(2, "operator", Shape::Text),
                            many(3, "values", Shape::Text),
                        ]),
                    ),
                ]),
            ),
            one(3, "maxUnavailable", Shape::IntOrText),
            one(4, "unhealthyPodEvictionPolicy", Shape::Text),
        ]),
    ),
];
const ROLE: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    many(
        2,
        "rules",
        Shape::Message(&[
            many(1, "verbs", Shape::Text),
            many(2, "apiGroups", Shape::Text),
            many(3, "resources", Shape::Text),
            many(4, "resourceNames", Shape::Text),
            many(5, "nonResourceURLs", Shape::Text),
        ]),
    ),
];
const BINDING: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    many(
        2,
        "subjects",
        Shape::Message(&[
            one(1, "kind", Shape::Text),
            one(2, "apiGroup", Shape::Text),
            one(3, "name", Shape::Text),
            one(4, "namespace", Shape::Text),
        ]),
    ),
    one(
        3,
        "roleRef",
        Shape::Message(&[one(1, "apiGroup", Shape::Text), one(2, "kind", Shape::Text), one(3, "name", Shape::Text)]),
    ),
];
const OWN_REVIEW: &[Field] = &[
    one(1, "metadata", Shape::Message(METADATA)),
    one(
        2,
        "spec",
        Shape::Message(&[
            one(
                1,
                "resourceAttributes",
                Shape::Message(&[
                    one(1, "namespace", Shape::Text),
                    one(2, "verb", Shape::Text),
                    one(3, "group", Shape::Text),
                    one(4, "version", Shape::Text),
                    one(5, "resource", Shape::Text),
                    one(6, "subresource", Shape::Text),
                    one(7, "name", Shape::Text),
                ]),
            ),
            one(
                2,
                "nonResourceAttributes",
                Shape::Message(&[one(1, "path", Shape::Text), one(2, "verb", Shape::Text)]),
            ),
        ]),
    ),
];

/// The message of a kind, if it is read. Kinds of which only a part could be read are not: what is lost would be missed later.
pub(super) fn of(kind: &str, api_version: &str) -> Option<&'static [Field]> {
    Some(match (kind, api_version) {
        ("CertificateSigningRequest", "certificates.k8s.io/v1") => CSR,
        ("Lease", "coordination.k8s.io/v1") => LEASE,
        ("Eviction", "policy/v1") => EVICTION,
        ("DeleteOptions", _) => DELETE_OPTIONS,
        ("Namespace", "v1") => NAMESPACE,
        ("ConfigMap", "v1") => CONFIG_MAP,
        ("ServiceAccount", "v1") => SERVICE_ACCOUNT,
        ("PriorityClass", "scheduling.k8s.io/v1") => PRIORITY_CLASS,
        ("PodDisruptionBudget", "policy/v1") => BUDGET,
        ("ClusterRole" | "Role", "rbac.authorization.k8s.io/v1") => ROLE,
        ("ClusterRoleBinding" | "RoleBinding", "rbac.authorization.k8s.io/v1") => BINDING,
        ("SelfSubjectAccessReview", "authorization.k8s.io/v1") => OWN_REVIEW,
        _ => return None,
    })
}
