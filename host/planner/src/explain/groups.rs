//! The verdict of node groups: would any kind of node that they could launch take the pod?

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_model::{GroupIndex, Os, Snapshot, Text, Timestamp};
use plimsoll_scheduler::ClassId;

use super::{Failure, PodExplainer};
use crate::scale_up::{FreeIps, Kind, LaunchBlock, ScaleUpConfig, ScaleUpPlan};

/// Reasons of one filter that are told apart: four hundred instance types can be too small in as many ways.
const REASONS: usize = 5;
/// What keeps a pod off the nodes of another operating system. kube-scheduler has no such filter; the kubelet
/// rejects the pod.
const OPERATING_SYSTEM: &str = "OperatingSystem";

/// Whether nodes of a group would take a pod. A kind of node is an instance type in a zone, bought one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupVerdict {
    /// The group.
    pub group: Text,
    /// Kinds of nodes that it could launch.
    pub kinds: u32,
    /// Kinds that would take the pod.
    pub fitting: u32,
    /// What keeps the pod off the others, by filter, the most frequent reasons first.
    pub failed: Vec<KindFailure>,
    /// What keeps nodes of the group from being launched, whoever wants them, launches of the plan included.
    pub limits: Vec<String>,
    /// The kind that fails the fewest filters, by its place among all kinds, with what fails; where none fits.
    pub(super) nearest: Option<(usize, Vec<Failure>)>,
}

/// A filter that keeps a pod off some kinds of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindFailure {
    /// The filter, as kube-scheduler names it.
    pub filter: &'static str,
    /// Why, for a person.
    pub reason: String,
    /// How many kinds.
    pub kinds: u32,
    /// One of them.
    pub example: String,
}

// === impl GroupVerdict ===

impl GroupVerdict {
    /// A kind of node of it would take the pod.
    pub fn fits(&self) -> bool {
        self.fitting > 0
    }
}

// === impl PodExplainer ===

impl PodExplainer<'_> {
    pub(super) fn judge_groups(&mut self, class: ClassId) -> Arc<[GroupVerdict]> {
        let mut verdicts = Vec::with_capacity(self.config.groups.len());
        let mut rest = 0..self.kinds.len();
        for (group, limits) in self.config.groups.iter().zip(&self.limits) {
            let mut verdict = GroupVerdict {
                group: group.name.clone(),
                kinds: 0,
                fitting: 0,
                failed: Vec::new(),
                limits: limits.clone(),
                nearest: None,
            };
            let mut failed: BTreeMap<Failure, (u32, usize)> = BTreeMap::new();
            // Kinds are in the order of groups.
            while let Some(kind) = self.kinds.get(rest.start).filter(|kind| kind.group().name == group.name) {
                let at = rest.start;
                rest.start += 1;
                verdict.kinds += 1;
                let mut all: Vec<Failure> =
                    kind.why_not(self.simulation, class).into_iter().map(Failure::from).collect();
                if !kind.runs(&self.simulation.class(class).shape) {
                    all.push(Failure { filter: OPERATING_SYSTEM, reason: runs(group.os) });
                }
                if all.is_empty() {
                    verdict.fitting += 1;
                    continue;
                }
                for failure in &all {
                    failed.entry(failure.clone()).or_insert((0, at)).0 += 1;
                }
                if verdict.nearest.as_ref().is_none_or(|(_, fewest)| all.len() < fewest.len()) {
                    verdict.nearest = Some((at, all));
                }
            }
            if verdict.fits() {
                verdict.nearest = None;
            }
            verdict.failed = condensed(failed, &self.kinds);
            verdicts.push(verdict);
        }
        verdicts.into()
    }
}

fn runs(os: Os) -> String {
    format!("its nodes run {}", os.label())
}

fn describe(kind: &Kind<'_>) -> String {
    format!("{} in {}, {}", kind.instance_type(), kind.zone(), kind.lifecycle().name())
}

/// The most frequent reasons of each filter.
fn condensed(failed: BTreeMap<Failure, (u32, usize)>, kinds: &[Kind<'_>]) -> Vec<KindFailure> {
    let mut all: Vec<(Failure, u32, usize)> =
        failed.into_iter().map(|(failure, (count, first))| (failure, count, first)).collect();
    all.sort_by(|a, b| (a.0.filter, b.1, a.2).cmp(&(b.0.filter, a.1, b.2)));
    let mut shown: Vec<KindFailure> = Vec::new();
    for same in all.chunk_by(|a, b| a.0.filter == b.0.filter) {
        let example = |first: usize| kinds.get(first).map_or_else(String::new, describe);
        let told = same.iter().take(REASONS).map(|(failure, count, first)| KindFailure {
            filter: failure.filter,
            reason: failure.reason.clone(),
            kinds: *count,
            example: example(*first),
        });
        shown.extend(told);
        if let Some((failure, _, first)) = same.get(REASONS) {
            let others = &same[REASONS..];
            shown.push(KindFailure {
                filter: failure.filter,
                reason: format!("{} other reasons like these", others.len()),
                kinds: others.iter().map(|(_, count, _)| *count).sum(),
                example: example(*first),
            });
        }
    }
    shown
}

/// By group: what keeps nodes from being launched.
pub(super) fn limits(
    snapshot: &Snapshot,
    config: &ScaleUpConfig,
    plan: &ScaleUpPlan,
    now: Timestamp,
) -> Vec<Vec<String>> {
    let index = GroupIndex::of(&config.groups);
    let mut sizes = vec![0u32; config.groups.len()];
    for (_, node) in snapshot.nodes() {
        if let Some((group, _)) = index.group_of(node) {
            sizes[group] += 1;
        }
    }
    let mut free_ips = FreeIps::of(config);
    for launch in &plan.launches {
        if let Some(group) = config.groups.iter().find(|group| group.name == launch.group) {
            let pods = u32::try_from(launch.pods.len()).unwrap_or(u32::MAX).saturating_add(launch.headroom);
            free_ips.take(group, &launch.zone, launch.count, pods.div_ceil(launch.count.max(1)));
        }
    }
    let groups = config.groups.iter().zip(sizes).map(|(group, size)| {
        let mut all = Vec::new();
        let launched = plan.launches.iter().filter(|launch| launch.group == group.name).map(|launch| launch.count);
        let planned = launched.fold(0, u32::saturating_add);
        if size.saturating_add(planned) >= group.max {
            let planned = if planned > 0 { format!(", {planned} of them planned") } else { String::new() };
            all.push(format!("at its max of {}{planned}", group.max));
        }
        let blocks = config.blocked.iter().filter(|block| block.group == group.name && block.until > now);
        all.extend(blocks.map(|block| blocked(block, now)));
        let dry = group.zones.iter().filter(|zone| free_ips.room(group, zone, 0) == Some(0));
        all.extend(dry.map(|zone| format!("no free addresses in {zone}")));
        all
    });
    groups.collect()
}

fn blocked(block: &LaunchBlock, now: Timestamp) -> String {
    let lifecycle = block.lifecycle.map(|lifecycle| lifecycle.name());
    let parts = [block.instance_type.as_deref(), block.zone.as_deref(), lifecycle];
    let what: Vec<&str> = parts.into_iter().flatten().collect();
    let what = if what.is_empty() { "anything".to_owned() } else { what.join(" ") };
    format!("launching {what} failed: {}; next try in {}", block.why, block.until.since(now))
}
