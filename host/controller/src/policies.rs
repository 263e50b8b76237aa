//! The policies, as the controller sees them.

use plimsoll_planner::{CsrPolicy, DrainPolicy, ScaleUpPolicy};

use crate::PolicyStatus;

/// Whoever answers at every point. Calls block for as long as a policy takes.
pub trait Policies: ScaleUpPolicy + DrainPolicy + CsrPolicy + Send + Sync + 'static {
    /// How each policy stands.
    fn status(&self) -> Vec<PolicyStatus>;

    /// Changes whenever other answers may be expected: another generation, another list.
    fn revision(&self) -> u64;
}
