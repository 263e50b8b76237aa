//! What must hold at every step, whatever the policies say and whatever goes wrong.

mod budgets;
mod caps;
mod deadlines;
mod leading;
mod minimum;
mod once;
mod protected;
mod removal;
mod serving;
mod stuck;
#[cfg(test)]
mod tests;
mod thrashing;
mod verdicts;

use std::collections::HashMap;

use plimsoll_model::{Node, Timestamp, well_known};
use plimsoll_planner::drain::{Drain, DrainAction, DrainAnswer, ScaleDownPlan, WriteAnswer};

pub use budgets::BudgetsKept;
pub use caps::CapsKept;
pub use deadlines::DeadlinesKept;
pub use leading::LeaderOnly;
pub use minimum::MinimumKept;
pub use once::EvictedOnce;
pub use protected::ProtectedStay;
pub use removal::{NoReturn, RemovedEmpty};
pub use serving::StaysServed;
pub use stuck::NothingStuck;
pub use thrashing::NoThrashing;
pub use verdicts::OneReason;

use crate::act::{Deed, Fault};
use crate::replica::Settings;
use crate::world::{Occurrence, World};

/// What has just happened.
#[derive(Debug)]
pub enum Step<'a> {
    /// A leader is about to have this done; the cluster is as it is before.
    Before(&'a Deed),
    /// A leader had this done.
    Did(&'a Deed),
    /// A leader has heard this of a node in this term.
    Heard(u64, &'a DrainAnswer),
    /// The cluster itself did this.
    Happened(&'a Occurrence),
    /// A leader has launches made, which it decided on then.
    Launched(u64, Timestamp),
    /// A leader has planned, for a cluster of so many nodes.
    Planned(&'a plimsoll_model::Snapshot, &'a ScaleDownPlan),
    /// Time has gone by.
    Tick,
}

/// Around a step.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Now.
    pub now: Timestamp,
    /// The cluster.
    pub world: &'a World,
    /// What was configured; it may change.
    pub settings: &'a Settings,
    /// Who leads: replica and term.
    pub leader: Option<(usize, u64)>,
    /// Until when the API could not be reached, and when a leader was lost, last.
    pub disturbed: Timestamp,
}

/// Something that must always hold.
pub trait Invariant: std::fmt::Debug {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// Looks at a step; an error is a sentence that says what was broken.
    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String>;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<BudgetsKept>::default(),
        Box::<CapsKept>::default(),
        Box::<ProtectedStay>::default(),
        Box::<NothingStuck>::default(),
        Box::<EvictedOnce>::default(),
        Box::<NoThrashing>::default(),
        Box::<LeaderOnly>::default(),
        Box::<DeadlinesKept>::default(),
        Box::<MinimumKept>::default(),
        Box::<RemovedEmpty>::default(),
        Box::<NoReturn>::default(),
        Box::<OneReason>::default(),
        Box::<StaysServed>::default(),
    ]
}

/// The drain that is written on a node.
fn drain_on(node: &Node) -> Option<Drain> {
    Drain::read(node.annotations.get(well_known::DRAIN)?).ok()
}

/// Nodes of the cluster by name that are being drained now.
fn draining(world: &World) -> HashMap<&str, Drain> {
    world.snapshot.nodes().filter_map(|(_, node)| Some((node.name.as_str(), drain_on(node)?))).collect()
}

/// A drain that is about to be written for the first time, and to save money.
fn begins<'a>(scene: &Scene<'_>, step: &Step<'a>) -> Option<(&'a str, &'a Drain)> {
    let Step::Before(Deed { action: DrainAction::Mark { node, drain }, fault, .. }) = step else { return None };
    let known = scene.world.snapshot.find_node(&node.name).map(|(_, node)| node)?;
    let new = known.annotations.get(well_known::DRAIN).is_none() && known.uid.to_string() == node.uid;
    let done = matches!(fault, Fault::None | Fault::AnswerLost);
    (new && done && drain.cause.optimizes()).then_some((node.name.as_str(), drain))
}

/// It was done.
fn done(answer: &WriteAnswer) -> bool {
    *answer == WriteAnswer::Done
}
