//! Which nodes leave, and how.
//!
//! ```text
//!   nodes ──> rules (protected? budget? a place for every pod?) ──> candidates ──> policy: which, in what order
//!                     │                                                                │
//!                     └──> kept, one reason each <── cap, checked again one by one ────┤
//!                                                                                      └──> timetable per node
//! ```

mod begin;
mod budgets;
mod candidate;
mod caps;
mod course;
mod evaluations;
mod forced;
mod gates;
mod leaving;
mod moves;
mod own_replicas;
mod plan;
mod planned;
mod protections;
mod question;
mod removal;
mod rules;
mod running;
mod timetable;
mod warmup;

pub use budgets::BudgetArithmetic;
pub use course::{
    Canceller, CannotCancel, Drain, DrainAction, DrainAnswer, DrainChange, DrainFacts, DrainId, DrainNews,
    DrainRecordError, DrainRules, Drains, EvictionAnswer, MachineState, NodeRef, PodRef, RemovalMark, Slot, Warmup,
    WriteAnswer,
};
pub use evaluations::Evaluations;
pub use forced::{Forced, ForcedRules, LEAST_UNHEALTHY, note_seen, why_forced};
pub(crate) use leaving::left_on;
pub use plan::plan_scale_down;
pub use planned::{PlannedDrain, ScaleDownPlan};
pub use protections::{Protection, Protections};
pub use question::{Candidate, Cause, DrainPod, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
pub use removal::{Removal, RemovalOutcome};
pub use rules::{DrainabilityRules, IgnoredPod, KeptNode, KeptReason, PodOutcome, RulesPreset, judge_pod, judge_pods};
pub use running::{History, RunningDrain};
pub use timetable::Eviction;
pub use warmup::warmup_of;

use plimsoll_model::{Millis, NodeGroup, Text, well_known};

use crate::windows::{Effects, OptimizationWindows, SuspensionHours};

/// What scale-down may do.
#[derive(Clone, Debug)]
pub struct ScaleDownConfig {
    /// Whose nodes may go; `None` for every node outside the control plane.
    pub groups: Option<Vec<NodeGroup>>,
    /// Off: nothing goes.
    pub enabled: bool,
    /// What is not known of the pods or budgets, a sentence: nothing goes on half the truth.
    pub unknown: Option<String>,
    /// How many of the managed nodes may drain at once, in percent; at least one node always may.
    pub max_percentage: u32,
    /// A node goes only if no disruption budget is in the way.
    pub respect_budgets: bool,
    /// Labels of pods that keep their node when `"true"`.
    pub restrict_labels: Vec<Text>,
    /// Pods without an owner, which nobody would start again, may be evicted.
    pub evict_bare_pods: bool,
    /// Further rules about pods.
    pub rules: DrainabilityRules,
    /// The percentage was set on purpose: it holds for all nodes together, also beside groups with one of their own.
    pub caps_total: bool,
    /// In how many evaluations in a row a node must be removable before it goes.
    pub evaluation_periods: u32,
    /// How often nodes are evaluated.
    pub interval: Millis,
    /// Nodes go without waiting, once they can: neither evaluations nor a cooldown count.
    pub accelerated: bool,
    /// How long after a launch or a removal nothing is removed to save; until when that is, the plan is told by
    /// [`History::cooling_until`].
    pub cooldown: Millis,
    /// How old a node must be; `None`, and never less than: the time in which it starts.
    pub min_node_age: Option<Millis>,
    /// How nodes are recognised that have to go.
    pub forced: ForcedRules,
    /// The time over which the evictions of one node are spread.
    pub spread: Millis,
    /// When a node is removed whatever is still on it.
    pub timeout: Millis,
    /// How long before that the last warm-up ends.
    pub warmup_guard: Millis,
    /// When nothing is removed to save.
    pub suspension: SuspensionHours,
    /// When protections yield to optimisation.
    pub optimization: OptimizationWindows,
}

impl ScaleDownConfig {
    /// The same while these protections yield to optimisation.
    pub(crate) fn eased(&self, effects: Effects) -> Self {
        let mut eased = self.clone();
        if effects.ignore_budgets {
            eased.respect_budgets = false;
        }
        if effects.ignore_restrict {
            eased.restrict_labels.clear();
            let groups = eased.groups.iter_mut().flatten();
            groups.for_each(|group| group.restrict_scale_down = false);
        }
        eased
    }
}

impl Default for ScaleDownConfig {
    /// The defaults of Spot Ocean's "Scaling".
    fn default() -> Self {
        Self {
            groups: None,
            enabled: true,
            unknown: None,
            max_percentage: 10,
            respect_budgets: true,
            restrict_labels: vec![well_known::RESTRICT_SCALE_DOWN.into()],
            evict_bare_pods: false,
            rules: DrainabilityRules::default(),
            caps_total: false,
            evaluation_periods: 5,
            interval: Millis::from_secs(60),
            accelerated: false,
            cooldown: Millis(0),
            min_node_age: None,
            forced: ForcedRules::default(),
            spread: Millis::from_secs(120),
            timeout: Millis::from_secs(300),
            warmup_guard: Millis::from_secs(5),
            suspension: SuspensionHours::default(),
            optimization: OptimizationWindows::default(),
        }
    }
}
