//! A machine goes when its pods have, or at the deadline, and then there is no way back.

use std::collections::HashSet;

use plimsoll_planner::drain::{DrainAction, DrainAnswer};

use super::{Invariant, Scene, Step, done, drain_on};
use crate::act::{Deed, Fault};

/// No machine is removed with pods that could be evicted before its deadline.
#[derive(Debug, Default)]
pub struct RemovedEmpty;

impl Invariant for RemovedEmpty {
    fn name(&self) -> &'static str {
        "removed empty"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let Step::Before(Deed { action: DrainAction::Remove { removal }, fault, .. }) = step else { return Ok(()) };
        if !matches!(fault, Fault::None | Fault::AnswerLost) {
            return Ok(());
        }
        let snapshot = &scene.world.snapshot;
        let Some((id, node)) = snapshot.find_node(&removal.node) else { return Ok(()) };
        if !scene.world.cloud.runs(&removal.node) {
            return Ok(());
        }
        let Some(drain) = drain_on(node) else {
            return Err(format!("the machine of node {} is removed, and no drain is written on it", removal.node));
        };
        if drain.removal.is_none() {
            return Err(format!("the machine of node {} is removed before that is written on it", removal.node));
        }
        let pods = snapshot.pods_on(id).iter().map(|pod| snapshot.pod(*pod));
        let left: Vec<String> = pods
            .filter(|pod| !pod.daemon_set() && !pod.mirror() && !pod.finished())
            .map(plimsoll_model::Pod::full_name)
            .collect();
        if left.is_empty() || scene.now >= drain.deadline {
            return Ok(());
        }
        let early = drain.deadline.since(scene.now);
        Err(format!(
            "the machine of node {} is removed {early} before its deadline with {}",
            removal.node,
            left.join(", ")
        ))
    }
}

/// A node whose removal has been decided is not given back.
#[derive(Debug, Default)]
pub struct NoReturn {
    decided: HashSet<String>,
}

impl Invariant for NoReturn {
    fn name(&self) -> &'static str {
        "no return"
    }

    fn see(&mut self, _: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let Step::Did(deed) = step else { return Ok(()) };
        match (&deed.action, &deed.answer) {
            (DrainAction::Mark { node, drain }, DrainAnswer::Marked(answer))
                if done(answer) && drain.removal.is_some() =>
            {
                self.decided.insert(node.uid.clone());
                Ok(())
            }
            (DrainAction::Release { node, .. }, DrainAnswer::Released(answer))
                if done(answer) && self.decided.contains(&node.uid) =>
            {
                Err(format!("node {} takes pods again after its removal was decided", node.name))
            }
            _ => Ok(()),
        }
    }
}
