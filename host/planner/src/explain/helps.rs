//! What would help a pod that gets no node: only where there is a clear answer.

use plimsoll_model::{NodeId, PodShape, Taint, Text, well_known};
use plimsoll_scheduler::{ClassId, Filter};

use super::node_sets::{amount, show};
use super::{GroupVerdict, NodeVerdict, PodExplainer};
use crate::scale_up::{Kind, PendingReason};

/// Nodes or groups of which one kind of help is spelled out.
const SPELLED_OUT: usize = 3;

// === impl PodExplainer ===

impl PodExplainer<'_> {
    /// Sentences, the surest first.
    pub(super) fn find_helps(
        &self,
        reason: PendingReason,
        class: ClassId,
        nodes: &[NodeVerdict],
        groups: &[GroupVerdict],
    ) -> Vec<String> {
        let shape = &self.simulation.class(class).shape;
        let mut helps = Vec::new();
        match reason {
            PendingReason::SchedulingGated => {
                helps
                    .push("wait until whoever set its scheduling gates (spec.schedulingGates) removes them".to_owned());
            }
            PendingReason::Preempting => helps.push("wait until the pods that it preempts have left".to_owned()),
            PendingReason::OtherScheduler => {
                helps.push("ask the scheduler that it names (spec.schedulerName)".to_owned());
            }
            PendingReason::FitsExistingNode if nodes.iter().any(NodeVerdict::fits) => {
                helps.push("wait for the scheduler: it has room as the cluster is now".to_owned());
            }
            PendingReason::FitsExistingNode => {
                helps.push("wait for a node that is starting, or for the pods that are placed before it".to_owned());
            }
            PendingReason::NodeLaunching => {
                helps
                    .push("wait for the launched node to join; if it does not, it is given up and reported".to_owned());
            }
            PendingReason::DevicesNotSimulated | PendingReason::HeldByPolicy => {}
            PendingReason::PolicyFailed => {
                helps.push("see how the policy failed, with `plimsoll simulate`".to_owned());
            }
            PendingReason::DaemonSetPodIgnored => helps.extend(self.room_on_nodes(shape, nodes)),
            PendingReason::LaunchFailed => {
                let blocked = self.fitting(groups);
                helps.push(format!(
                    "let {blocked} use another instance type, zone or lifecycle, or wait for the next try"
                ));
            }
            PendingReason::NoFreeIps => helps.push(format!("add subnets to {}", self.fitting(groups))),
            PendingReason::NodeGroupMaxReached => helps.push(format!("raise max of {}", self.fitting(groups))),
            PendingReason::ClusterLimitReached => {
                helps.push(
                    "raise limits.maxVcpu, limits.maxMemoryGib or limits.maxNodes, whichever is reached".to_owned(),
                );
            }
            PendingReason::UnboundImmediatePvc => {
                helps.push(
                    "see why its claim is not bound: a claim of binding mode Immediate needs a volume first".to_owned(),
                );
            }
            PendingReason::VolumeInUse => {
                helps.push("stop the pod that has its claim: access mode ReadWriteOncePod lets one in".to_owned());
            }
            PendingReason::TopologySpreadBlocked => {
                helps.push("raise maxSkew, or say whenUnsatisfiable: ScheduleAnyway".to_owned());
            }
            PendingReason::NoMatchingNodeGroup
            | PendingReason::NoInstanceFits
            | PendingReason::UndefinedExtendedResource
            | PendingReason::UnsatisfiableAffinity
            | PendingReason::TopologyCapacityUnavailable
            | PendingReason::VolumeZoneConflict
            | PendingReason::VolumeMissing
            | PendingReason::VolumeLimit => {}
        }
        if waits_for_room(reason) {
            helps.extend(contradiction(shape));
            if self.config.groups.is_empty() {
                helps.push("configure node groups (--config)".to_owned());
            }
            helps.extend(self.nearer_groups(shape, groups));
            helps.extend(self.room_on_nodes(shape, nodes));
            helps.extend(self.uncordon(nodes));
        }
        helps
    }

    /// The groups that would take the pod, for a sentence.
    fn fitting(&self, groups: &[GroupVerdict]) -> String {
        let names: Vec<&str> =
            groups.iter().filter(|group| group.fits() && !group.limits.is_empty()).map(|group| &*group.group).collect();
        match names.len() {
            0 => "a group".to_owned(),
            1..=SPELLED_OUT => names.join(" or "),
            _ => format!("{} or another of {} groups", names[..SPELLED_OUT].join(", "), names.len()),
        }
    }

    /// What would make groups take the pod that fail one filter only.
    fn nearer_groups(&self, shape: &PodShape, groups: &[GroupVerdict]) -> Vec<String> {
        let mut helps = Vec::new();
        for group in groups {
            let Some((kind, failed)) = &group.nearest else { continue };
            let (Some(kind), Some(first)) = (self.kinds.get(*kind), failed.first()) else { continue };
            if failed.iter().any(|failure| failure.filter != first.filter) {
                continue;
            }
            let help = match first.filter {
                filter if filter == Filter::TaintToleration.name() => Some(tolerate(shape, kind)),
                filter if filter == Filter::NodeAffinity.name() => label(shape, kind),
                filter if filter == Filter::NodeResourcesFit.name() => Some(self.enlarge(shape, group)),
                _ => None,
            };
            if let Some(help) = help.filter(|help| !helps.contains(help)) {
                helps.push(help);
            }
        }
        helps.truncate(SPELLED_OUT);
        helps
    }

    /// What no kind of node of a group has enough of.
    fn enlarge(&self, shape: &PodShape, group: &GroupVerdict) -> String {
        let kinds = || self.kinds.iter().filter(|kind| kind.group().name == group.group);
        let short = requested(shape)
            .into_iter()
            .filter(|(resource, need)| kinds().all(|kind| amount(kind.free(), resource) < *need));
        let short: Vec<String> = short.map(|(resource, need)| format!("{} {resource}", show(resource, need))).collect();
        let what = if short.is_empty() { "all that it requests at once".to_owned() } else { short.join(" and ") };
        format!("give group {} an instance type that leaves pods {what}, or let the pod request less", group.group)
    }

    /// Where least would have to leave for the pod to fit.
    fn room_on_nodes(&self, shape: &PodShape, nodes: &[NodeVerdict]) -> Option<String> {
        let filter = Filter::NodeResourcesFit.name();
        let requested = requested(shape);
        let missing = |node: NodeId| -> Option<Vec<(&str, u64)>> {
            let (free, size) = (&self.simulation.node(node)?.free, &self.snapshot.node(node).allocatable);
            let ever = requested.iter().all(|(resource, need)| amount(size, resource) >= *need);
            let short =
                requested.iter().map(|(resource, need)| (*resource, need.saturating_sub(amount(free, resource))));
            let short: Vec<_> = short.filter(|(_, missing)| *missing > 0).collect();
            (ever && !short.is_empty()).then_some(short)
        };
        // In millionths of what is requested, whatever the resource.
        let effort = |short: &[(&str, u64)]| -> u128 {
            let part = |(resource, missing): &(&str, u64)| {
                let need = requested.iter().find(|(known, _)| known == resource).map_or(1, |(_, need)| *need);
                u128::from(*missing) * 1_000_000 / u128::from(need.max(1))
            };
            short.iter().map(part).sum()
        };
        let candidates = nodes.iter().filter(|verdict| verdict.fails_only(filter));
        let (_, node, short) = candidates
            .filter_map(|verdict| missing(verdict.node).map(|short| (effort(&short), verdict.node, short)))
            .min_by_key(|(effort, node, _)| (*effort, *node))?;
        let short: Vec<String> =
            short.iter().map(|(resource, missing)| format!("{} {resource}", show(resource, *missing))).collect();
        Some(format!("free {} on node {}", short.join(" and "), self.snapshot.node(node).name))
    }

    fn uncordon(&self, nodes: &[NodeVerdict]) -> Option<String> {
        let filter = Filter::NodeUnschedulable.name();
        let cordoned = nodes.iter().filter(|verdict| verdict.fails_only(filter));
        let cordoned = cordoned.map(|verdict| self.snapshot.node(verdict.node)).filter(|node| node.unschedulable);
        let names: Vec<&str> = cordoned.take(SPELLED_OUT).map(|node| &*node.name).collect();
        (!names.is_empty()).then(|| format!("uncordon {}", names.join(" or ")))
    }
}

/// True if a node that does not exist, or has no room, keeps the pod waiting.
fn waits_for_room(reason: PendingReason) -> bool {
    use PendingReason::{
        DaemonSetPodIgnored, DevicesNotSimulated, FitsExistingNode, NodeLaunching, OtherScheduler, Preempting,
        SchedulingGated, UnboundImmediatePvc, VolumeInUse,
    };
    !matches!(
        reason,
        DaemonSetPodIgnored
            | DevicesNotSimulated
            | FitsExistingNode
            | NodeLaunching
            | OtherScheduler
            | Preempting
            | SchedulingGated
            | UnboundImmediatePvc
            | VolumeInUse
    )
}

fn requested(shape: &PodShape) -> Vec<(&str, u64)> {
    let requests = &shape.requests;
    let native =
        [("cpu", requests.cpu.0), ("memory", requests.memory.0), ("ephemeral-storage", requests.ephemeral_storage.0)];
    let extended = requests.extended().iter().map(|(name, amount)| (name.as_str(), *amount));
    native.into_iter().chain(extended).filter(|(_, need)| *need > 0).collect()
}

/// The same term as affinity and as anti-affinity: no place is both near such pods and away from them.
fn contradiction(shape: &PodShape) -> Option<String> {
    let rules = &shape.inter_pod;
    let both = rules.affinity.iter().find(|term| rules.anti_affinity.contains(term))?;
    Some(format!(
        "take out one of two required terms that contradict each other: its affinity and its anti-affinity name the same pods in the same {}",
        both.topology_key
    ))
}

fn tolerate(shape: &PodShape, kind: &Kind<'_>) -> String {
    let tolerated = |taint: &&Taint| shape.tolerations.iter().any(|toleration| toleration.tolerates(taint));
    let group = kind.group();
    let taints: Vec<String> =
        group.taints.iter().filter(|taint| taint.repels() && !tolerated(taint)).map(ToString::to_string).collect();
    format!("let the pod tolerate {} to use group {}", taints.join(" and "), group.name)
}

/// Labels that the node selector asks for; `None` if it is the node affinity that fails.
fn label(shape: &PodShape, kind: &Kind<'_>) -> Option<String> {
    let missing: Vec<(&Text, &Text)> =
        shape.node_selector.iter().filter(|(key, value)| !kind.has_label(key, value)).collect();
    let group = &kind.group().name;
    let [(key, value)] = missing[..] else {
        let all: Vec<String> = missing.iter().map(|(key, value)| format!("{key}={value}")).collect();
        return (!all.is_empty()).then(|| format!("give nodes of group {group} the labels {}", all.join(" and ")));
    };
    Some(match key.as_str() {
        well_known::ZONE | well_known::ZONE_BETA => format!("let group {group} use zone {value}"),
        well_known::INSTANCE_TYPE | well_known::INSTANCE_TYPE_BETA => {
            format!("let group {group} use instance type {value}")
        }
        _ => format!("give nodes of group {group} the label {key}={value}, or ask for another"),
    })
}
