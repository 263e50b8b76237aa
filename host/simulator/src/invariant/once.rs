//! No pod is evicted twice.

use std::collections::HashMap;

use plimsoll_model::{Millis, Timestamp, Uid};
use plimsoll_planner::drain::{DrainAction, DrainAnswer, EvictionAnswer};

use super::{Invariant, Scene, Step};

/// Nobody asks again for a pod whose eviction was accepted, and who has heard so.
#[derive(Debug, Default)]
pub struct EvictedOnce {
    accepted: HashMap<Uid, (u64, Timestamp)>,
}

/// After so long an eviction that did not happen may be asked for again.
const LOST: Millis = Millis(25_000);

impl Invariant for EvictedOnce {
    fn name(&self) -> &'static str {
        "evicted once"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Heard(
                term,
                DrainAnswer::Evicted(uid, EvictionAnswer::Accepted)
                | DrainAnswer::Deleted(uid, EvictionAnswer::Accepted),
            ) => {
                self.accepted.insert(uid.clone(), (*term, scene.now));
                Ok(())
            }
            Step::Before(deed) => {
                let (DrainAction::Evict { pod, .. } | DrainAction::Delete { pod, .. }) = &deed.action else {
                    return Ok(());
                };
                match self.accepted.get(&pod.uid) {
                    Some((term, at)) if *term == deed.term && scene.now.since(*at) < LOST => {
                        let span = scene.now.since(*at);
                        Err(format!(
                            "pod {}/{} is evicted again {span} after that was accepted",
                            pod.namespace, pod.name
                        ))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
