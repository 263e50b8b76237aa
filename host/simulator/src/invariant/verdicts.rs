//! Every node that stays has one reason.

use std::collections::HashSet;

use super::{Invariant, Scene, Step};

/// A plan says of each node either that it drains now or why it stays, and once.
#[derive(Debug, Default)]
pub struct OneReason;

impl Invariant for OneReason {
    fn name(&self) -> &'static str {
        "one reason"
    }

    fn see(&mut self, _: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let Step::Planned(snapshot, plan) = step else { return Ok(()) };
        let mut said = HashSet::new();
        for node in plan.kept.iter().map(|kept| kept.node).chain(plan.drains.iter().map(|drain| drain.node)) {
            if !said.insert(node) {
                return Err(format!("node {} is in the plan twice", snapshot.node(node).name));
            }
        }
        match snapshot.nodes().find(|(id, node)| !node.launching && !said.contains(id)) {
            Some((_, node)) => Err(format!("node {} stays without a reason", node.name)),
            None => Ok(()),
        }
    }
}
