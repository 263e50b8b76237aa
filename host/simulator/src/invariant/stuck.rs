//! No node stays cordoned by us.

use std::collections::HashMap;

use plimsoll_model::{Millis, Text, Timestamp, well_known};

use super::{Invariant, Scene, Step, drain_on};

/// A node that is drained is gone, or takes pods again, soon after its deadline.
#[derive(Debug, Default)]
pub struct NothingStuck {
    /// Since when nodes have our taint and no drain that can be read.
    astray: HashMap<Text, Timestamp>,
}

/// For the removal of the machine and of its Node, with retries.
const SLACK: Millis = Millis(600_000);

impl Invariant for NothingStuck {
    fn name(&self) -> &'static str {
        "nothing stuck"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        if !matches!(step, Step::Tick) {
            return Ok(());
        }
        let mut astray = HashMap::new();
        for (_, node) in scene.world.snapshot.nodes() {
            let tainted = node.taints.iter().any(|taint| taint.key == *well_known::DRAINING);
            match drain_on(node) {
                Some(drain) => {
                    let from = drain.deadline.max(scene.disturbed);
                    if scene.now.since(from) > SLACK && scene.now > from {
                        return Err(format!(
                            "node {} is still there {} after its deadline",
                            node.name,
                            scene.now.since(drain.deadline)
                        ));
                    }
                }
                None if tainted => {
                    let since = self.astray.get(&node.name).copied().unwrap_or(scene.now).max(scene.disturbed);
                    if scene.now.since(since) > SLACK {
                        return Err(format!("node {} has our taint and no drain", node.name));
                    }
                    astray.insert(node.name.clone(), since);
                }
                None => {}
            }
        }
        self.astray = astray;
        Ok(())
    }
}
