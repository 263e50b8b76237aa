//! A deadline is kept, whoever leads.

use std::collections::HashMap;

use plimsoll_model::Timestamp;
use plimsoll_planner::drain::{Cause, DrainAction, DrainId};

use super::{Invariant, Scene, Step};

/// A drain's beginning never changes, and its deadline only ever comes nearer, for what cannot wait.
#[derive(Debug, Default)]
pub struct DeadlinesKept {
    drains: HashMap<DrainId, (Timestamp, Timestamp)>,
}

impl Invariant for DeadlinesKept {
    fn name(&self) -> &'static str {
        "deadlines kept"
    }

    fn see(&mut self, _: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let Step::Before(deed) = step else { return Ok(()) };
        let DrainAction::Mark { node, drain } = &deed.action else { return Ok(()) };
        let known = self.drains.insert(drain.id.clone(), (drain.started, drain.deadline));
        let Some((started, deadline)) = known else { return Ok(()) };
        if drain.started != started || drain.deadline > deadline {
            return Err(format!(
                "the deadline of node {} moves from {} to {}",
                node.name, deadline.0, drain.deadline.0
            ));
        }
        let may = matches!(drain.cause, Cause::Interruption | Cause::Unhealthy | Cause::Requested);
        if drain.deadline < deadline && !may {
            return Err(format!("the deadline of node {} comes nearer, and nothing is urgent about it", node.name));
        }
        Ok(())
    }
}
