//! What was launched is not removed again at once.

use std::collections::HashMap;

use plimsoll_model::{GroupIndex, Millis, Text, Timestamp};

use super::{Invariant, Scene, Step, begins};
use crate::world::Occurrence;

/// No node goes to save money while it is younger than its group's grace, nor within the cooldown after a launch of the
/// same leader, unless scale-down is accelerated.
#[derive(Debug, Default)]
pub struct NoThrashing {
    joined: HashMap<Text, Timestamp>,
    launched: Option<(u64, Timestamp)>,
}

/// Times of objects are whole seconds.
const ROUNDED: Millis = Millis(1_000);

impl Invariant for NoThrashing {
    fn name(&self) -> &'static str {
        "no thrashing"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Happened(Occurrence::Joined(node)) => {
                self.joined.insert(node.clone(), scene.now);
                return Ok(());
            }
            Step::Launched(term, decided) => {
                self.launched = self.launched.max(Some((*term, *decided)));
                return Ok(());
            }
            _ => {}
        }
        let Some((name, drain)) = begins(scene, step) else { return Ok(()) };
        let Step::Before(deed) = step else { return Ok(()) };
        let config = &scene.settings.scale_down;
        let groups = GroupIndex::of(config.groups.as_deref().unwrap_or_default());
        let node = scene.world.snapshot.find_node(name).map(|(_, node)| node);
        let group = node.and_then(|node| groups.group_of(node)).map(|(_, group)| group);
        let grace = group.map_or(Millis(0), |group| group.startup.grace);
        if let Some(joined) = self.joined.get(name)
            && drain.started.since(*joined) + ROUNDED < grace
        {
            let age = drain.started.since(*joined);
            return Err(format!("node {name} joined {age} ago and goes to save money; nodes start within {grace}"));
        }
        let accelerated = group.and_then(|group| group.scale_down.accelerated).unwrap_or(config.accelerated);
        match self.launched {
            Some((term, at)) if !accelerated && term == deed.term && drain.started > at => {
                let span = drain.started.since(at);
                if span + ROUNDED < scene.settings.cooldown {
                    return Err(format!("node {name} goes to save money {span} after a launch"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
