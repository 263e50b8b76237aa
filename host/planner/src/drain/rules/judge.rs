//! What becomes of each pod of a node that would go.

use std::collections::HashMap;

use plimsoll_model::{Millis, Pod, PodId, Snapshot, Timestamp, well_known};

use super::super::{BudgetArithmetic, ScaleDownConfig};
use super::KeptReason;
use super::controller::{controller_rule, leaves_with_node, replicates};

/// The namespace of the pods that a cluster itself runs on.
const KUBE_SYSTEM: &str = "kube-system";
/// A pod that is this long over the time it has to stop counts as gone (cluster-autoscaler, `utils/drain`).
const LONG_TERMINATING: Millis = Millis(30_000);

/// What becomes of a pod whose node would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodOutcome {
    /// It is evicted.
    Evict,
    /// It leaves with the node.
    DaemonSet,
    /// Nobody has to care about it.
    Ignored(IgnoredPod),
    /// It keeps the node: why, and figures and names for a person.
    Blocked(KeptReason, String),
}

/// Why nobody has to care about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredPod {
    /// A kubelet made it from a file, and makes it again.
    Mirror,
    /// It should have stopped long ago.
    LongTerminating,
    /// It has ended.
    Finished,
}

/// How the value of `safe-to-evict` reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SafeToEvict {
    Yes,
    No,
    OnCompletion,
    Unsaid,
}

impl PodOutcome {
    /// A stable label for machines.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Evict => "evict",
            Self::DaemonSet => "daemonset",
            Self::Ignored(_) => "ignored",
            Self::Blocked(..) => "blocked",
        }
    }

    /// Why, as a stable label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Evict => "Movable",
            Self::DaemonSet => "DaemonSetPod",
            Self::Ignored(why) => why.label(),
            Self::Blocked(reason, _) => reason.label(),
        }
    }
}

impl IgnoredPod {
    /// A stable label for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::Mirror => "MirrorPod",
            Self::LongTerminating => "LongTerminating",
            Self::Finished => "Finished",
        }
    }
}

/// What the rules say of each pod of a node, in the order given. `used` is what nodes that go before it take from each
/// budget, by its place in [`Snapshot::budgets`].
pub fn judge_pods(
    config: &ScaleDownConfig,
    snapshot: &Snapshot,
    pods: &[PodId],
    now: Timestamp,
    used: &HashMap<usize, u32>,
) -> Vec<(PodId, PodOutcome)> {
    // What the node's own pods take beside that.
    let mut own: HashMap<usize, u32> = HashMap::new();
    let judge = |&id: &PodId| {
        let pod = snapshot.pod(id);
        let taken = |at: usize| count(used, at).saturating_add(count(&own, at));
        let outcome = judge_beside(config, snapshot, pod, now, &taken);
        if outcome == PodOutcome::Evict && config.rules.budgets == BudgetArithmetic::Batch && !pod.finished() {
            for (at, _) in snapshot.budgets_of(pod) {
                *own.entry(at).or_default() += 1;
            }
        }
        (id, outcome)
    };
    pods.iter().map(judge).collect()
}

/// What keeps a node because of its pods: the one primary reason. Our own rules name what only a person can change
/// before budgets, which change by themselves; cluster-autoscaler names the first pod.
pub(in super::super) fn blocked(
    config: &ScaleDownConfig,
    outcomes: &[(PodId, PodOutcome)],
) -> Option<(KeptReason, String)> {
    let all = || {
        outcomes.iter().filter_map(|(_, outcome)| match outcome {
            PodOutcome::Blocked(reason, detail) => Some((*reason, detail)),
            _ => None,
        })
    };
    let lasting = |(reason, _): &(KeptReason, _)| !matches!(reason, KeptReason::PdbBlocked | KeptReason::MultiplePdbs);
    let first = all().find(|found| config.rules.peer() || lasting(found)).or_else(|| all().next())?;
    Some((first.0, first.1.clone()))
}

/// What the rules say of one pod: in the order of cluster-autoscaler (peers, A5), where the first that is decisive
/// wins, with what our own configuration adds or leaves out. `used` is what is taken from each budget already.
///
/// This is about rules only: whether the pod finds a place elsewhere is for the simulation to say.
pub fn judge_pod(
    config: &ScaleDownConfig,
    snapshot: &Snapshot,
    pod: &Pod,
    now: Timestamp,
    used: &HashMap<usize, u32>,
) -> PodOutcome {
    judge_beside(config, snapshot, pod, now, &|at| count(used, at))
}

fn count(used: &HashMap<usize, u32>, at: usize) -> u32 {
    used.get(&at).copied().unwrap_or(0)
}

/// The same, with what is taken from each budget as a function.
fn judge_beside(
    config: &ScaleDownConfig,
    snapshot: &Snapshot,
    pod: &Pod,
    now: Timestamp,
    taken: &dyn Fn(usize) -> u32,
) -> PodOutcome {
    let rules = &config.rules;
    let block = |(reason, detail)| PodOutcome::Blocked(reason, detail);
    if pod.mirror() {
        return PodOutcome::Ignored(IgnoredPod::Mirror);
    }
    if long_terminating(pod, now) {
        return PodOutcome::Ignored(IgnoredPod::LongTerminating);
    }
    if !rules.peer() && pod.finished() {
        return PodOutcome::Ignored(IgnoredPod::Finished);
    }
    if rules.skip_nodes_with_custom_controller_pods
        && let Some(why) = controller_rule(snapshot, pod, rules.min_replica_count)
    {
        return block(why);
    }
    if leaves_with_node(pod, rules.peer()) {
        return PodOutcome::DaemonSet;
    }
    let safe = safe_to_evict(pod);
    let lifted = safe == SafeToEvict::Yes && rules.heeds_safe_to_evict();
    if !pod.finished()
        && let Some(why) = restrict_rule(config, pod)
    {
        return block(why);
    }
    if rules.peer() && (lifted || pod.finished()) {
        return PodOutcome::Evict;
    }
    if safe == SafeToEvict::OnCompletion && rules.heeds_safe_to_evict() {
        let detail = format!("pod {} is to run to its end ({})", pod.full_name(), well_known::SAFE_TO_EVICT);
        return PodOutcome::Blocked(KeptReason::BlockedByOnCompletionPod, detail);
    }
    let unsafe_to_move = || replicated_rule(config, pod).or_else(|| system_rule(config, snapshot, pod, now));
    if !lifted && let Some(why) = unsafe_to_move() {
        return block(why);
    }
    if safe == SafeToEvict::No {
        return block(not_safe_to_evict(config, pod));
    }
    if !lifted && let Some(why) = local_storage_rule(config, pod) {
        return block(why);
    }
    budget_rule(config, snapshot, pod, taken).map_or(PodOutcome::Evict, block)
}

fn safe_to_evict(pod: &Pod) -> SafeToEvict {
    match pod.annotations.get(well_known::SAFE_TO_EVICT).map(|value| value.as_str()) {
        Some("true") => SafeToEvict::Yes,
        Some("false") => SafeToEvict::No,
        Some("on-completion") => SafeToEvict::OnCompletion,
        _ => SafeToEvict::Unsaid,
    }
}

/// The time of deletion has the time to stop in it, and cluster-autoscaler adds that once more.
fn long_terminating(pod: &Pod, now: Timestamp) -> bool {
    pod.deletion.is_some_and(|deletion| now.since(deletion) > pod.grace + LONG_TERMINATING)
}

/// A label of Spot Ocean's, which holds whoever's the other rules are.
fn restrict_rule(config: &ScaleDownConfig, pod: &Pod) -> Option<(KeptReason, String)> {
    let restricting = |label: &&plimsoll_model::Text| pod.labels.get(label).is_some_and(|value| *value == "true");
    let label = config.restrict_labels.iter().find(restricting)?;
    Some((KeptReason::RestrictScaleDown, format!("pod {} has label {label}: \"true\"", pod.full_name())))
}

/// Somebody has to start the pod again.
fn replicated_rule(config: &ScaleDownConfig, pod: &Pod) -> Option<(KeptReason, String)> {
    let rules = &config.rules;
    match pod.owner.as_deref() {
        None if config.evict_bare_pods => None,
        None => {
            let reason = if rules.peer() { KeptReason::NotReplicated } else { KeptReason::BarePod };
            let name = pod.full_name();
            let detail = format!("pod {name} has no owner that would start it again; see scaleDown.evictBarePods");
            Some((reason, detail))
        }
        Some(owner) if rules.skip_nodes_with_custom_controller_pods && !replicates(owner) => {
            let (name, kind) = (pod.full_name(), &owner.kind);
            let detail = format!(
                "pod {name} is owned by {kind} {}, of which it is not known that it would start it again; see \
                 scaleDown.rules.skipNodesWithCustomControllerPods",
                owner.name
            );
            Some((KeptReason::NotReplicated, detail))
        }
        Some(_) => None,
    }
}

fn system_rule(
    config: &ScaleDownConfig,
    snapshot: &Snapshot,
    pod: &Pod,
    now: Timestamp,
) -> Option<(KeptReason, String)> {
    let rules = &config.rules;
    if !rules.skip_nodes_with_system_pods || pod.namespace != *KUBE_SYSTEM || snapshot.budgets_of(pod).next().is_some()
    {
        return None;
    }
    let timeout = rules.blocking_system_pod_timeout;
    if let (Some(timeout), Some(created)) = (timeout, pod.created)
        && now.since(created) >= timeout
    {
        return None;
    }
    let until = timeout.map_or_else(String::new, |timeout| format!(" and is not known to be {timeout} old"));
    let detail = format!("pod {} of {KUBE_SYSTEM} is under no disruption budget{until}", pod.full_name());
    Some((KeptReason::UnmovableKubeSystemPod, detail))
}

fn not_safe_to_evict(config: &ScaleDownConfig, pod: &Pod) -> (KeptReason, String) {
    let reason = if config.rules.peer() { KeptReason::NotSafeToEvictAnnotation } else { KeptReason::NotSafeToEvict };
    (reason, format!("pod {} has {}: \"false\"", pod.full_name(), well_known::SAFE_TO_EVICT))
}

fn local_storage_rule(config: &ScaleDownConfig, pod: &Pod) -> Option<(KeptReason, String)> {
    (config.rules.skip_nodes_with_local_storage && pod.volumes.unlisted).then(|| {
        let detail = format!(
            "pod {} keeps data on the node that {} does not list",
            pod.full_name(),
            well_known::SAFE_LOCAL_VOLUMES
        );
        (KeptReason::LocalStorageRequested, detail)
    })
}

/// Every budget that covers the pod has to allow one more eviction. That the eviction API refuses pods under several
/// budgets is a reason of ours; cluster-autoscaler has none.
fn budget_rule(
    config: &ScaleDownConfig,
    snapshot: &Snapshot,
    pod: &Pod,
    taken: &dyn Fn(usize) -> u32,
) -> Option<(KeptReason, String)> {
    if !config.respect_budgets {
        return None;
    }
    let budgets: Vec<_> = snapshot.budgets_of(pod).collect();
    if let [(_, first), (_, second), ..] = budgets.as_slice()
        && !config.rules.peer()
    {
        let detail = format!("pod {} is under budgets {} and {}", pod.full_name(), first.name, second.name);
        return Some((KeptReason::MultiplePdbs, detail));
    }
    let needed = |at: usize| taken(at).saturating_add(1);
    let (at, budget) = budgets.into_iter().find(|(at, budget)| needed(*at) > budget.disruptions_allowed)?;
    let detail = format!(
        "budget {}/{} allows {} evictions now, {} are needed with pod {}",
        budget.namespace,
        budget.name,
        budget.disruptions_allowed,
        needed(at),
        pod.full_name()
    );
    Some((if config.rules.peer() { KeptReason::NotEnoughPdb } else { KeptReason::PdbBlocked }, detail))
}
