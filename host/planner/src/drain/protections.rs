//! What protects nodes and pods, and from which drains.

use super::Cause;

/// Something that can keep a node where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Labels that keep a pod's node, and groups of which only empty nodes go.
    Restrict,
    /// The annotation by which a pod keeps its node.
    SafeToEvict,
    /// Budgets have to allow the evictions before a drain begins. That the eviction API asks them again is not at issue.
    Budgets,
    /// Pods without an owner, which nobody would start again.
    BarePods,
    /// Every pod needs a place on a node that stays.
    Places,
    /// The least size of a group.
    Minimum,
    /// How many nodes may drain at once.
    Caps,
    /// How many broken nodes may be drained at once.
    OwnCap,
    /// The hours in which nothing is removed to save.
    Suspension,
    /// Being removable several times in a row.
    Evaluations,
    /// Quiet after a launch or a removal.
    Cooldown,
    /// Scale-down is off or halted, or nobody can remove a machine.
    Switches,
    /// Nothing goes while not all pods and budgets are known.
    Knowledge,
    /// The only ready replica of this process stays.
    OwnReplica,
    /// Nodes of the control plane, and of nobody's group.
    Ownership,
}

/// Which protections a drain has to respect.
///
/// | protection | to save | requested | unhealthy | interruption |
/// |---|---|---|---|---|
/// | `Ownership` | holds | holds | holds | holds |
/// | `Budgets`, `BarePods`, `Knowledge`, `OwnReplica` | holds | holds | yields | yields |
/// | `OwnCap` | - | - | holds | - |
/// | all others | holds | yields | yields | yields |
///
/// Whatever yields, pods leave in their order and by the eviction API first (`ocean-features` 4.25, B14, D11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protections(&'static [Protection]);

// === impl Protections ===

impl Protections {
    /// Those that a drain of this cause has to respect.
    pub const fn of(cause: Cause) -> Self {
        use Protection::*;
        Self(match cause {
            Cause::Empty | Cause::Underutilized => &[
                Ownership,
                Budgets,
                BarePods,
                Knowledge,
                OwnReplica,
                Restrict,
                SafeToEvict,
                Places,
                Minimum,
                Caps,
                Suspension,
                Evaluations,
                Cooldown,
                Switches,
            ],
            Cause::Requested => &[Ownership, Budgets, BarePods, Knowledge, OwnReplica],
            Cause::Unhealthy => &[Ownership, OwnCap],
            Cause::Interruption => &[Ownership],
        })
    }

    /// True if this one holds.
    pub fn hold(self, protection: Protection) -> bool {
        self.0.contains(&protection)
    }
}
