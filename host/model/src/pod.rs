//! Pods: one small row each, and what many of them share.

use std::sync::Arc;

use crate::{
    InterPodRules, LabelSet, Millis, NodeSelector, Os, Preferences, Resources, Text, Timestamp, Toleration, well_known,
};

/// A pod, without what no decision needs.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The namespace it lives in.
    pub namespace: Text,
    /// Its name.
    pub name: Box<str>,
    /// Which object of that name this is.
    pub uid: Uid,
    /// Labels, shared by pods of equal labels.
    pub labels: Arc<LabelSet>,
    /// Annotations with values up to 1 KiB, shared by pods of equal ones.
    pub annotations: Arc<LabelSet>,
    /// The object that controls it.
    pub owner: Option<Arc<Owner>>,
    /// What the scheduler looks at, shared by pods of equal needs.
    pub shape: Arc<PodShape>,
    /// `spec.nodeName`.
    pub node: Option<Text>,
    /// `status.phase`.
    pub phase: Phase,
    /// How far scheduling has come.
    pub scheduling: Scheduling,
    /// `spec.priorityClassName`.
    pub priority_class: Option<Text>,
    /// The condition `Ready` is true.
    pub ready: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When its deletion is due; set once it is being deleted.
    pub deletion: Option<Timestamp>,
    /// How long it may take to stop.
    pub grace: Millis,
    /// What it keeps on the node.
    pub volumes: Volumes,
    /// Names of the persistent volume claims that it mounts, in its own namespace, sorted; those of generic
    /// ephemeral volumes (`POD-VOLUME`) included.
    pub claims: Arc<[Text]>,
}

/// Identity of an object: the UUID that the API server gave, or another text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uid {
    /// As API servers write it.
    Uuid(u128),
    /// Anything else; empty in objects that never were in a cluster.
    Other(Box<str>),
}

/// The controlling object of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// For example `ReplicaSet`.
    pub kind: Text,
    /// For example `apps/v1`.
    pub api_version: Text,
    /// Its namespace, which is the pod's.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Which object of that name.
    pub uid: Uid,
}

/// `status.phase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not all containers have started.
    Pending,
    /// At least one container runs.
    Running,
    /// All containers ended well.
    Succeeded,
    /// All containers ended, one badly.
    Failed,
    /// The node does not answer.
    Unknown,
}

/// What the scheduler has said of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// It has a node, or the scheduler has not looked at it yet.
    Quiet,
    /// `spec.schedulingGates` holds it back.
    Gated,
    /// Condition `PodScheduled` is `False` with reason `Unschedulable`.
    Unschedulable,
    /// It waits for the pods that it preempts on this node.
    Nominated(Text),
}

/// What on the node a pod would lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// A `hostPath`, or an `emptyDir` that is not in memory.
    pub local: bool,
    /// One of these that the pod's annotation does not list as safe to lose (see
    /// [`well_known::SAFE_LOCAL_VOLUMES`]).
    pub unlisted: bool,
    /// A claim on a persistent volume.
    pub claims: bool,
}

/// Everything about a pod that decides where it may run. Pods of equal shape are one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodShape {
    /// What it requests in all; `pods` is 1.
    pub requests: Resources,
    /// `spec.nodeSelector`.
    pub node_selector: LabelSet,
    /// Required node affinity.
    pub node_affinity: Option<NodeSelector>,
    /// Tolerations.
    pub tolerations: Vec<Toleration>,
    /// Ports taken on the node, sorted.
    pub host_ports: Vec<HostPort>,
    /// `spec.priority`.
    pub priority: i32,
    /// `spec.schedulerName`, if not the default one.
    pub scheduler: Option<Text>,
    /// Required rules about other pods.
    pub inter_pod: InterPodRules,
    /// What it would like, but does not insist on.
    pub preferences: Preferences,
    /// `spec.os.name`: nothing that kube-scheduler looks at, but the wrong machine starts no container of it.
    pub os: Option<Os>,
    /// It has `spec.resourceClaims` (dynamic resource allocation), which are not simulated.
    pub resource_claims: bool,
}

/// A port on the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// The number.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// The address it is bound to; `None` for all (`0.0.0.0`).
    pub ip: Option<Text>,
}

/// The protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

// === impl Uid ===

impl Uid {
    /// Reads a UID; what is no UUID is kept as text.
    pub fn parse(text: &str) -> Self {
        Self::uuid(text).map_or_else(|| Self::Other(text.into()), Self::Uuid)
    }

    fn uuid(text: &str) -> Option<u128> {
        let bytes = text.as_bytes();
        let dashes = [8, 13, 18, 23];
        if bytes.len() != 36 || dashes.iter().any(|&at| bytes[at] != b'-') {
            return None;
        }
        let mut value = 0u128;
        for (at, byte) in bytes.iter().enumerate() {
            if !dashes.contains(&at) {
                // Upper case would not print back as it was read.
                if byte.is_ascii_uppercase() {
                    return None;
                }
                value = value << 4 | u128::from(char::from(*byte).to_digit(16)?);
            }
        }
        Some(value)
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(value) => {
                let hex = format!("{value:032x}");
                write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

// === impl Phase ===

impl Phase {
    /// Reads the phase's name in the API; what is unknown is `Unknown`.
    pub fn parse(name: &str) -> Self {
        match name {
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            "Pending" | "" => Self::Pending,
            _ => Self::Unknown,
        }
    }
}

// === impl Pod ===

impl Pod {
    /// `namespace/name`, as people write it.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// It has ended and uses nothing.
    pub fn finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Made by a kubelet from a file: nobody can evict it.
    pub fn mirror(&self) -> bool {
        self.annotations.get(well_known::MIRROR_POD).is_some()
    }

    /// Controlled by an object of this kind.
    pub fn owned_by(&self, kind: &str) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.kind == *kind)
    }

    /// Controlled by a DaemonSet.
    pub fn daemon_set(&self) -> bool {
        self.owned_by("DaemonSet")
    }

    /// Of a class that the cluster cannot do without.
    pub fn critical(&self) -> bool {
        self.priority_class.as_ref().is_some_and(|class| well_known::CRITICAL_CLASSES.contains(&class.as_str()))
    }
}

// === impl HostPort ===

impl HostPort {
    /// True if both cannot be bound on one node: same protocol and port, and one address covers the other.
    pub fn conflicts(&self, other: &HostPort) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip.is_none() || other.ip.is_none() || self.ip == other.ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_print_as_they_were_read() {
        for text in ["0f8fad5b-d9cb-469f-a165-70867728950e", "0F8FAD5B-D9CB-469F-A165-70867728950E", "default/web", ""]
        {
            assert_eq!(Uid::parse(text).to_string(), text);
        }
        assert!(matches!(Uid::parse("0f8fad5b-d9cb-469f-a165-70867728950e"), Uid::Uuid(_)));
        assert!(matches!(Uid::parse("0f8fad5b-d9cb-469f-a165-7086772895é"), Uid::Other(_)));
    }

    #[test]
    fn ports_conflict_by_protocol_and_address() {
        let port = |ip: Option<&str>, protocol| HostPort { port: 80, protocol, ip: ip.map(Text::from) };
        let any = port(None, Protocol::Tcp);
        assert!(any.conflicts(&port(Some("10.0.0.1"), Protocol::Tcp)));
        assert!(!any.conflicts(&port(None, Protocol::Udp)));
        assert!(!port(Some("10.0.0.1"), Protocol::Tcp).conflicts(&port(Some("10.0.0.2"), Protocol::Tcp)));
    }
}
