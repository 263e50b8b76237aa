//! Keys with a meaning of their own.

/// Zone of a node (Kubernetes, "Well-Known Labels").
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// Its name before Kubernetes 1.17.
pub const ZONE_BETA: &str = "failure-domain.beta.kubernetes.io/zone";
/// Region of a node.
pub const REGION: &str = "topology.kubernetes.io/region";
/// Its name before Kubernetes 1.17.
pub const REGION_BETA: &str = "failure-domain.beta.kubernetes.io/region";
/// Instance type of a node.
pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// Its name before Kubernetes 1.17.
pub const INSTANCE_TYPE_BETA: &str = "beta.kubernetes.io/instance-type";
/// CPU architecture of a node.
pub const ARCH: &str = "kubernetes.io/arch";
/// Its name before Kubernetes 1.14.
pub const ARCH_BETA: &str = "beta.kubernetes.io/arch";
/// Operating system of a node.
pub const OS: &str = "kubernetes.io/os";
/// Its name before Kubernetes 1.14.
pub const OS_BETA: &str = "beta.kubernetes.io/os";
/// Host name of a node.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// How a node was bought: `od` or `spot` (Spot Ocean, "Labels and taints").
pub const LIFECYCLE: &str = "spotinst.io/node-lifecycle";
/// The same as Karpenter writes it: `on-demand` or `spot`.
pub const LIFECYCLE_KARPENTER: &str = "karpenter.sh/capacity-type";
/// The same as EKS writes it: `ON_DEMAND` or `SPOT`.
pub const LIFECYCLE_EKS: &str = "eks.amazonaws.com/capacityType";
/// Labels that mark a node of the control plane.
pub const CONTROL_PLANE: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
/// Labels that name a node's group, ours first.
pub const NODE_GROUP: [&str; 6] = [
    "plimsoll.dev/node-group",
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "karpenter.sh/nodepool",
    "cluster.x-k8s.io/deployment-name",
];
/// Annotation of a pod that a kubelet made from a file.
pub const MIRROR_POD: &str = "kubernetes.io/config.mirror";
/// Label of a pod whose node stays: `"true"` (Spot Ocean, "Scaling").
pub const RESTRICT_SCALE_DOWN: &str = "spotinst.io/restrict-scale-down";
/// Annotation of a pod whose node stays: `"false"` (cluster-autoscaler FAQ).
pub const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
/// Annotation of a pod: names of volumes on the node, with commas between them, that it can lose (cluster-autoscaler
/// FAQ).
pub const SAFE_LOCAL_VOLUMES: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
/// Annotation of a pod that leaves with its node as those of a DaemonSet do: `"true"` (cluster-autoscaler FAQ).
pub const DAEMON_SET_POD: &str = "cluster-autoscaler.kubernetes.io/daemonset-pod";
/// Label of a pod that wants its replacement started first: a duration (Spot Ocean, "Scaling").
pub const PRE_EVICTION_WARMUP: &str = "spot.io/pre-eviction-warmup";
/// Annotation that repeats the whole object; nobody decides by it.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Priority classes of pods that the cluster cannot do without.
pub const CRITICAL_CLASSES: [&str; 2] = ["system-cluster-critical", "system-node-critical"];
/// The scheduler that pods get when they name none.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";
/// Annotation of a node that Plimsoll drains: the drain, as JSON.
pub const DRAIN: &str = "plimsoll.dev/drain";
/// Annotation of a node that was cordoned by somebody else before Plimsoll drained it: it stays cordoned afterwards.
pub const WAS_CORDONED: &str = "plimsoll.dev/was-cordoned";
/// Taint of a node that Plimsoll drains (`NoSchedule`).
pub const DRAINING: &str = "plimsoll.dev/draining";
/// Annotation by which a person asks for a node to be drained: why.
pub const DRAIN_REQUESTED: &str = "plimsoll.dev/drain-requested";
/// Annotation of a node whose machine is taken back: when, as RFC 3339.
pub const INTERRUPTION: &str = "plimsoll.dev/interruption";
/// Annotation of a pod whose replacement Plimsoll had started before evicting it: the warm-up, as JSON.
pub const WARMING_UP: &str = "plimsoll.dev/warming-up";
/// The label that a Deployment's ReplicaSet tells its own pods by (Kubernetes, "Deployments").
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";
