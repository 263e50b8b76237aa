//! Why pods that are left get no node: one primary reason for each.

use std::collections::BTreeMap;

use plimsoll_model::{Timestamp, well_known};
use plimsoll_scheduler::{Filter, Rejection, Simulation, VolumeProblem, why_not_here, why_not_statically};

use super::demand::Demand;
use super::offer::Market;
use super::template::runs_on;
use super::{FreeIps, PendingReason, ScaleUpConfig};

/// What a reason is found in.
pub(super) struct Inquest<'a> {
    pub simulation: &'a Simulation,
    pub market: &'a Market<'a>,
    pub config: &'a ScaleUpConfig,
    pub free_ips: &'a FreeIps,
    pub now: Timestamp,
    /// Nodes of each template that the group's maximum leaves.
    pub group_room: &'a [u32],
    /// Nodes of each template that all limits leave.
    pub room: &'a [u32],
    /// What the cluster has, planned nodes included, for a person.
    pub used: String,
    /// Why the policy launched nothing more, if it did not.
    pub held: Option<(PendingReason, String)>,
}

type Why = (PendingReason, String);

impl Inquest<'_> {
    /// The first stage at which every kind of node drops out.
    pub fn why(&self, demand: &Demand) -> Why {
        let templates = &self.market.templates;
        if templates.is_empty() {
            let detail = "no node groups are configured; pass --config with nodeGroups".to_owned();
            return (PendingReason::NoMatchingNodeGroup, detail);
        }
        let matching: Vec<usize> = (0..templates.len()).filter(|&at| self.market.suits(demand, at)).collect();
        if matching.is_empty() {
            return (PendingReason::NoMatchingNodeGroup, self.no_group(demand));
        }
        let roomy: Vec<usize> = matching
            .iter()
            .copied()
            .filter(|&at| why_not_here(&demand.shape, None, &templates[at].node).is_empty())
            .collect();
        if let Some(volumes) = &self.simulation.class(demand.class).volumes {
            let problems: Vec<_> = matching.iter().map(|&at| volumes.problems(&templates[at].node)).collect();
            if !problems.iter().any(Vec::is_empty)
                && let Some(why) = problems.first().and_then(|problems| volume_reason(problems))
            {
                return why;
            }
        }
        let rejections = |at: usize| self.simulation.why_not_new(demand.class, self.market.site(at));
        if roomy.is_empty() {
            return self.no_instance(demand, &matching);
        }
        let usable: Vec<usize> = roomy.iter().copied().filter(|&at| rejections(at).is_empty()).collect();
        if usable.is_empty() {
            return self.no_place(demand, &rejections(roomy[0]));
        }
        self.limited(&usable).unwrap_or_else(|| self.spread_or_held(demand))
    }

    /// Pods that could go somewhere if it were for their rules alone.
    fn limited(&self, usable: &[usize]) -> Option<Why> {
        if usable.iter().any(|&at| self.room[at] > 0) {
            return None;
        }
        let templates = &self.market.templates;
        let blocked = |at: usize| {
            let template = &templates[at];
            let (group, instance_type) = (&template.group.name, &template.instance_type.name);
            self.config.is_blocked(group, instance_type, template.zone, template.lifecycle, self.now)
        };
        if let Some(block) = usable.iter().find_map(|&at| blocked(at)) {
            let detail = format!("{}: {}; next try in {}", block.group, block.why, block.until.since(self.now));
            return Some((PendingReason::LaunchFailed, detail));
        }
        if usable.iter().all(|&at| self.group_room[at] == 0) {
            let mut full: Vec<String> = usable
                .iter()
                .map(|&at| format!("{} at its max of {}", templates[at].group.name, templates[at].group.max))
                .collect();
            full.dedup();
            return Some((PendingReason::NodeGroupMaxReached, full.join(", ")));
        }
        let dry = |at: &usize| self.free_ips.room(templates[*at].group, templates[*at].zone, 0) == Some(0);
        if usable.iter().filter(|&&at| self.group_room[at] > 0).all(dry) {
            let mut zones: Vec<String> =
                usable.iter().map(|&at| format!("{} in {}", templates[at].group.name, templates[at].zone)).collect();
            zones.dedup();
            let detail = format!("no free addresses in the subnets of {}; add subnets", zones.join(", "));
            return Some((PendingReason::NoFreeIps, detail));
        }
        Some((PendingReason::ClusterLimitReached, self.used.clone()))
    }

    /// Whoever could have a node by every rule and limit had to wait for the pods before it, or for the policy.
    fn spread_or_held(&self, demand: &Demand) -> Why {
        if let Some(held) = &self.held {
            return held.clone();
        }
        if self.simulation.must_share(demand.class) {
            let detail = "another pod in any domain that can have a node would break maxSkew".to_owned();
            return (PendingReason::TopologySpreadBlocked, detail);
        }
        (PendingReason::HeldByPolicy, "still unplaced after the last round".to_owned())
    }

    fn no_place(&self, demand: &Demand, rejections: &[Rejection]) -> Why {
        let affinity = rejections.iter().find(|rejection| rejection.filter == Filter::InterPodAffinity);
        if let Some(rejection) = affinity {
            return (PendingReason::UnsatisfiableAffinity, rejection.reason.clone());
        }
        let lifecycle = [well_known::LIFECYCLE, well_known::LIFECYCLE_KARPENTER, well_known::LIFECYCLE_EKS];
        let mut keys = demand.shape.inter_pod.spread.iter().map(|constraint| constraint.topology_key.as_str());
        let by_lifecycle = keys.any(|key| lifecycle.contains(&key));
        let reason = if by_lifecycle {
            PendingReason::TopologyCapacityUnavailable
        } else {
            PendingReason::TopologySpreadBlocked
        };
        (reason, rejections.first().map_or_else(String::new, |rejection| rejection.reason.clone()))
    }

    /// "0/5 groups: lacks label x=y (2), untolerated taint t (3)".
    fn no_group(&self, demand: &Demand) -> String {
        let mut by_group: BTreeMap<&str, String> = BTreeMap::new();
        for template in &self.market.templates {
            let first = why_not_statically(&demand.shape, None, &template.node).into_iter().next();
            let reason = match first {
                Some(rejection) => rejection.reason,
                None if !runs_on(&demand.shape, template.group.os) => format!("runs {}", template.group.os.label()),
                None => "is not the group it is for".to_owned(),
            };
            by_group.entry(&template.group.name).or_insert(reason);
        }
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for reason in by_group.values() {
            *counts.entry(reason).or_default() += 1;
        }
        let mut counts: Vec<(&str, u32)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let parts: Vec<String> = counts.iter().take(4).map(|(reason, count)| format!("{reason} ({count})")).collect();
        format!("0/{} groups: {}", by_group.len(), parts.join(", "))
    }

    /// Names the resource that no matching instance type has enough of.
    fn no_instance(&self, demand: &Demand, matching: &[usize]) -> Why {
        let requests = &demand.shape.requests;
        let templates = &self.market.templates;
        for (name, amount) in requests.extended() {
            if matching.iter().all(|&at| templates[at].node.free.get_extended(name) == 0) {
                let detail = format!("it requests {amount} {name}, which no matching instance type has");
                return (PendingReason::UndefinedExtendedResource, detail);
            }
        }
        let largest = matching.iter().max_by_key(|&&at| (templates[at].node.free.cpu, templates[at].node.free.memory));
        let detail = largest.map_or_else(String::new, |&at| {
            let reasons = why_not_here(&demand.shape, None, &templates[at].node);
            let reasons: Vec<String> = reasons.into_iter().map(|rejection| rejection.reason).collect();
            format!("even on an empty {}: {}", templates[at].instance_type.name, reasons.join(", "))
        });
        (PendingReason::NoInstanceFits, detail)
    }
}

/// What is wrong with the volumes of a demand at the first kind of node that suits it.
fn volume_reason(problems: &[VolumeProblem]) -> Option<Why> {
    let problem = problems.first()?;
    let reason = match problem {
        VolumeProblem::Unbound(_) => PendingReason::UnboundImmediatePvc,
        VolumeProblem::TooMany { .. } => PendingReason::VolumeLimit,
        VolumeProblem::InUse(_) => PendingReason::VolumeInUse,
        VolumeProblem::NoClaim(_) | VolumeProblem::Deleting(_) | VolumeProblem::Lost(..) => {
            PendingReason::VolumeMissing
        }
        VolumeProblem::OutOfReach(_) | VolumeProblem::OtherZone { .. } | VolumeProblem::NoVolume { .. } => {
            PendingReason::VolumeZoneConflict
        }
    };
    Some((reason, problem.to_string()))
}
