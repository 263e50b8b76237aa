//! Why one pod is where it is: for every node and every group, fits or all that keeps it off.
//!
//! ```text
//!   Snapshot + Simulation ──> nodes, groups: verdicts ─┐
//!   ScaleUpPlan           ──> the one primary reason ──┴─> PodExplanation ─> helps
//! ```
//!
//! The primary reason is the plan's own: nothing is decided here a second time.

mod groups;
mod helps;
mod node;
mod node_sets;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use plimsoll_model::{NodeId, Phase, Pod, PodId, Scheduling, Snapshot, Text, Timestamp, one_line};
use plimsoll_scheduler::{Alike, ClassId, Mark, Rejection, Simulation};

pub use groups::{GroupVerdict, KindFailure};
pub use node::{NodeExplainer, NodeExplanation};
pub use node_sets::NodeSet;

use crate::scale_up::{Kind, PendingPod, PendingReason, PlannedLaunch, ScaleUpConfig, ScaleUpPlan, kinds};

/// Characters of one reason: a selector may have a thousand terms, and a cluster five thousand nodes.
const LONGEST: usize = 400;

/// What is to be known of one pod.
#[derive(Clone, Debug)]
pub struct PodExplanation {
    /// The pod.
    pub pod: PodId,
    /// How far it has come.
    pub state: PodState,
    /// The one primary reason why it is there, or nowhere yet.
    pub reason: PodReason,
    /// Figures and names, for a person.
    pub detail: String,
    /// The verdict of every node, in the order of names. Pods of one class share it.
    pub nodes: Arc<[NodeVerdict]>,
    /// The verdict of every node group, in the order of the configuration. Pods of one class share it.
    pub groups: Arc<[GroupVerdict]>,
    /// What would help, each a sentence; empty where there is no clear answer.
    pub helps: Vec<String>,
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PodState {
    /// It is on a node.
    Running,
    /// It has a node, and has not started there.
    Starting,
    /// It has no node.
    Pending,
    /// Its scheduling gates hold it back.
    Gated,
    /// It has no node, and room is being made for it.
    Nominated,
    /// It is being deleted.
    Terminating,
    /// All its containers have ended.
    Finished,
    /// It has no node, and does not say that it waits for one.
    Unknown,
}

/// Why a pod is there, or nowhere yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PodReason {
    /// The plan gives it no new node.
    Pending(PendingReason),
    /// The plan launches a node for it.
    NodePlanned,
    /// It does not wait for a node.
    NotPending,
}

/// Whether a pod fits on a node, as the cluster is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeVerdict {
    /// The node.
    pub node: NodeId,
    /// Everything that keeps the pod off it; empty if it fits.
    pub failed: Vec<Failure>,
}

/// A filter that keeps a pod off a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Failure {
    /// The filter, as kube-scheduler names it.
    pub filter: &'static str,
    /// Why, for a person.
    pub reason: String,
}

/// Explains pods of one snapshot, those of equal needs with one judgement.
///
/// The simulation is as it was whenever a call has returned.
pub struct PodExplainer<'a> {
    snapshot: &'a Snapshot,
    simulation: &'a mut Simulation,
    config: &'a ScaleUpConfig,
    outcomes: HashMap<PodId, Outcome<'a>>,
    kinds: Vec<Kind<'a>>,
    /// Classes whose topology keys the kinds know.
    known: HashSet<ClassId>,
    /// By group: what keeps nodes of it from being launched, whoever wants them.
    limits: Vec<Vec<String>>,
    by_class: HashMap<ClassId, Judgement>,
    by_needs: HashMap<(Text, usize, Alike), Judgement>,
    /// By judgement and reason.
    helps: HashMap<(usize, PendingReason), Vec<String>>,
}

/// What the plan has for a pod.
#[derive(Clone, Copy)]
enum Outcome<'a> {
    Launch(&'a PlannedLaunch),
    Pending(&'a PendingPod),
}

/// What all pods of a class share.
#[derive(Clone)]
struct Judgement {
    nodes: Arc<[NodeVerdict]>,
    groups: Arc<[GroupVerdict]>,
}

// === impl PodExplainer ===

impl<'a> PodExplainer<'a> {
    /// For the pods of a snapshot. The simulation and the plan must be of that snapshot, the plan made with this
    /// configuration at this time.
    pub fn new(
        snapshot: &'a Snapshot,
        simulation: &'a mut Simulation,
        config: &'a ScaleUpConfig,
        plan: &'a ScaleUpPlan,
        now: Timestamp,
    ) -> Self {
        let launched = plan.launches.iter().flat_map(|launch| launch.pods.iter().map(move |&pod| (pod, launch)));
        let mut outcomes: HashMap<PodId, Outcome<'_>> =
            launched.map(|(pod, launch)| (pod, Outcome::Launch(launch))).collect();
        outcomes.extend(plan.pending.iter().map(|pending| (pending.pod, Outcome::Pending(pending))));
        let waiting: Vec<ClassId> = snapshot.pending().map(|(_, pod)| simulation.class_of(snapshot, pod)).collect();
        simulation.prepare(&waiting);
        let kinds = kinds(snapshot, simulation, &config.groups);
        Self {
            snapshot,
            simulation,
            config,
            outcomes,
            kinds,
            known: waiting.into_iter().collect(),
            limits: groups::limits(snapshot, config, plan, now),
            by_class: HashMap::new(),
            by_needs: HashMap::new(),
            helps: HashMap::new(),
        }
    }

    /// Explains one pod of the snapshot. One that has a node is judged as if it were not there.
    pub fn explain(&mut self, id: PodId) -> PodExplanation {
        let pod = self.snapshot.pod(id);
        let (mark, class) = self.lift(id);
        let Judgement { nodes, groups } = self.judgement(pod, class);
        self.simulation.rollback(mark);
        let (reason, detail) = self.reason(id, pod);
        let helps = match reason {
            PodReason::Pending(reason) => {
                // A judgement of pods without a node is kept, so that its address stays its own.
                let key = (Arc::as_ptr(&nodes).addr(), reason);
                match self.helps.get(&key) {
                    Some(known) => known.clone(),
                    None => {
                        let helps = self.find_helps(reason, class, &nodes, &groups);
                        self.helps.insert(key, helps.clone());
                        helps
                    }
                }
            }
            PodReason::NodePlanned | PodReason::NotPending => Vec::new(),
        };
        PodExplanation { pod: id, state: PodState::of(pod), reason, detail, nodes, groups, helps }
    }

    /// The pods that wait for a node and are not being deleted, in the order of namespaces and names.
    pub fn pending(&self) -> Vec<PodId> {
        self.snapshot.pending().filter(|(_, pod)| pod.deletion.is_none()).map(|(id, _)| id).collect()
    }

    /// Takes a pod off its node for trial. The class is prepared.
    fn lift(&mut self, id: PodId) -> (Mark, ClassId) {
        let mark = self.simulation.mark();
        let placed = self.simulation.placed(id);
        let class = match placed {
            Some((class, _)) => class,
            None => self.simulation.class_of(self.snapshot, self.snapshot.pod(id)),
        };
        self.simulation.prepare(&[class]);
        if self.known.insert(class) {
            self.kinds.iter_mut().for_each(|kind| kind.refresh(self.simulation));
        }
        if let Some((class, node)) = placed {
            self.simulation.remove(class, node, 1);
        }
        (mark, class)
    }

    fn judgement(&mut self, pod: &Pod, class: ClassId) -> Judgement {
        if pod.node.is_some() {
            return self.judge(pod, class);
        }
        if let Some(known) = self.by_class.get(&class) {
            return known.clone();
        }
        let is = self.simulation.class(class);
        let needs = (is.namespace.clone(), Arc::as_ptr(&is.shape).addr(), self.simulation.alike(class));
        let judgement = match self.by_needs.get(&needs) {
            Some(known) => known.clone(),
            None => {
                let judgement = self.judge(pod, class);
                self.by_needs.insert(needs, judgement.clone());
                judgement
            }
        };
        self.by_class.insert(class, judgement.clone());
        judgement
    }

    fn judge(&mut self, pod: &Pod, class: ClassId) -> Judgement {
        // The name of a running pod's node is what the scheduler wrote, not what the pod asked for.
        let asked = pod.node.as_ref().filter(|_| pod.phase == Phase::Pending);
        // Rows that stand for launched nodes are none.
        let nodes = self.snapshot.nodes().filter(|(_, node)| !node.launching).map(|(node, _)| {
            let failed = self.simulation.why_not(class, asked, node);
            NodeVerdict { node, failed: failed.into_iter().map(Failure::from).collect() }
        });
        let nodes = nodes.collect();
        let groups = self.judge_groups(class);
        Judgement { nodes, groups }
    }

    /// The plan's reason, or why it has none.
    fn reason(&self, id: PodId, pod: &Pod) -> (PodReason, String) {
        match self.outcomes.get(&id) {
            Some(Outcome::Pending(pending)) => (PodReason::Pending(pending.reason), pending.detail.clone()),
            Some(Outcome::Launch(launch)) => (PodReason::NodePlanned, planned(launch)),
            None => (PodReason::NotPending, self.standing(pod)),
        }
    }

    fn standing(&self, pod: &Pod) -> String {
        let place = pod.node.as_ref().map(|node| match self.snapshot.find_node(node) {
            Some(_) => format!("on node {node}"),
            None => format!("on node {node}, which is not in the cluster as it was read"),
        });
        match (PodState::of(pod), place) {
            (PodState::Finished, _) => "all its containers have ended".to_owned(),
            (PodState::Terminating, None) => "it is being deleted".to_owned(),
            (PodState::Terminating, Some(place)) => format!("it is being deleted, {place}"),
            (PodState::Starting, Some(place)) => format!("it has not started yet, {place}"),
            (_, Some(place)) => place,
            (_, None) => "it has no node, and its phase is not Pending".to_owned(),
        }
    }
}

/// "general × m5.xlarge in a, 2 nodes, with 7 other pods".
fn planned(launch: &PlannedLaunch) -> String {
    let many = |count: usize, noun: &str| if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") };
    let nodes = many(launch.count as usize, "node");
    let others = match launch.pods.len().saturating_sub(1) {
        0 => String::new(),
        others => format!(", with {}", many(others, "other pod")),
    };
    format!("{} × {} in {}, {nodes}{others}", launch.group, launch.instance_type, launch.zone)
}

// === impl PodState ===

impl PodState {
    /// How far a pod has come.
    pub fn of(pod: &Pod) -> Self {
        match (&pod.node, &pod.scheduling, pod.phase) {
            _ if pod.finished() => Self::Finished,
            _ if pod.deletion.is_some() => Self::Terminating,
            (Some(_), _, Phase::Pending) => Self::Starting,
            (Some(_), _, _) => Self::Running,
            (None, Scheduling::Gated, Phase::Pending) => Self::Gated,
            (None, Scheduling::Nominated(_), Phase::Pending) => Self::Nominated,
            (None, _, Phase::Pending) => Self::Pending,
            (None, _, _) => Self::Unknown,
        }
    }

    /// A stable label for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Pending => "pending",
            Self::Gated => "gated",
            Self::Nominated => "nominated",
            Self::Terminating => "terminating",
            Self::Finished => "finished",
            Self::Unknown => "unknown",
        }
    }
}

// === impl PodReason ===

impl PodReason {
    /// A stable label for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending(reason) => reason.label(),
            Self::NodePlanned => "NodePlanned",
            Self::NotPending => "NotPending",
        }
    }
}

// === impl NodeVerdict ===

impl NodeVerdict {
    /// Nothing keeps the pod off the node.
    pub fn fits(&self) -> bool {
        self.failed.is_empty()
    }

    /// All that keeps the pod off it is this filter.
    fn fails_only(&self, filter: &str) -> bool {
        !self.fits() && self.failed.iter().all(|failure| failure.filter == filter)
    }
}

// === impl Failure ===

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let Rejection { filter, reason } = rejection;
        // Most are short and plain: nothing to copy.
        let plain = reason.len() <= LONGEST && reason.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let reason = if plain { reason } else { one_line(&reason, LONGEST).into_owned() };
        Self { filter: filter.name(), reason }
    }
}
