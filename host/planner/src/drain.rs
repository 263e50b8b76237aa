//! Which nodes leave, and how.
//!
//! ```text
//!   nodes ──> rules (protected? budget? a place for every pod?) ──> candidates ──> policy: which, in what order
//!                     │                                                                │
//!                     └──> kept, one reason each <── cap, checked again one by one ────┤
//!                                                                                      └──> timetable per node
//! ```

mod candidate;
mod moves;
mod plan;
mod question;
mod rules;
mod timetable;
mod warmup;

pub use plan::{PlannedDrain, ScaleDownPlan, plan_scale_down};
pub use question::{Candidate, Cause, DrainPod, NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
pub use rules::{KeptNode, KeptReason};
pub use timetable::Eviction;
pub use warmup::warmup_of;

use plimsoll_model::{Millis, NodeGroup, Text, well_known};

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
    /// The time over which the evictions of one node are spread.
    pub spread: Millis,
    /// When a node is removed whatever is still on it.
    pub timeout: Millis,
    /// How long before that the last warm-up ends.
    pub warmup_guard: Millis,
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
            spread: Millis::from_secs(120),
            timeout: Millis::from_secs(300),
            warmup_guard: Millis::from_secs(5),
        }
    }
}
