//! No disruption budget is broken before a forced deletion is due.

use std::collections::HashMap;

use plimsoll_model::{Millis, Timestamp, Uid};
use plimsoll_planner::drain::{DrainAction, DrainAnswer, EvictionAnswer};

use super::{Invariant, Scene, Step};
use crate::act::{Deed, Fault};

/// A pod under a budget is deleted against it only after its eviction was refused for as long as configured.
#[derive(Debug, Default)]
pub struct BudgetsKept {
    refused: HashMap<Uid, Timestamp>,
}

/// Clocks of answers and of questions are a moment apart.
const SLACK: Millis = Millis(1_000);

impl Invariant for BudgetsKept {
    fn name(&self) -> &'static str {
        "budgets kept"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Did(Deed {
                action: DrainAction::Evict { .. }, answer: DrainAnswer::Evicted(uid, answer), ..
            }) => {
                if !matches!(answer, EvictionAnswer::Accepted | EvictionAnswer::Gone) {
                    self.refused.entry(uid.clone()).or_insert(scene.now);
                }
                Ok(())
            }
            Step::Before(Deed {
                action: DrainAction::Delete { node, pod, .. },
                fault: Fault::None | Fault::AnswerLost,
                ..
            }) => {
                let snapshot = &scene.world.snapshot;
                let Some((_, there)) = snapshot.find_pod(&pod.namespace, &pod.name) else { return Ok(()) };
                let guarded = snapshot.budgets_of(there).any(|(_, budget)| budget.disruptions_allowed == 0);
                if there.uid != pod.uid || !guarded || there.deletion.is_some() {
                    return Ok(());
                }
                let deadline = super::draining(scene.world).get(node.as_str()).map(|drain| drain.deadline);
                if deadline.is_some_and(|deadline| scene.now >= deadline) {
                    return Ok(());
                }
                let name = there.full_name();
                let Some(after) = scene.settings.drain.force_delete_after else {
                    return Err(format!("pod {name} is deleted against its budget, which is never to happen"));
                };
                match self.refused.get(&pod.uid).map(|first| scene.now.since(*first)) {
                    Some(span) if span + SLACK >= after => Ok(()),
                    Some(span) => {
                        Err(format!("pod {name} is deleted against its budget {span} after its first refusal"))
                    }
                    None => {
                        Err(format!("pod {name} is deleted against its budget, and its eviction was never refused"))
                    }
                }
            }
            _ => Ok(()),
        }
    }
}
