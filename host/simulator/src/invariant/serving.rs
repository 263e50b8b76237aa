//! What asks for a warm-up is served all the time.

use std::collections::HashMap;

use plimsoll_model::{Timestamp, Uid};
use plimsoll_planner::drain::{DrainAction, DrainAnswer};

use super::{Invariant, Scene, Step, done, draining};
use crate::act::Deed;

/// The only ready pod of a workload that asks for a warm-up is not evicted before another one is ready, as long as the
/// time that it asks for has not gone by and its machine is not taken away.
#[derive(Debug, Default)]
pub struct StaysServed {
    since: HashMap<Uid, Timestamp>,
}

impl Invariant for StaysServed {
    fn name(&self) -> &'static str {
        "stays served"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Did(Deed {
                action: DrainAction::StartReplacement { pod, .. },
                answer: DrainAnswer::ReplacementStarted(_, answer),
                ..
            }) if done(answer) => {
                self.since.entry(pod.uid.clone()).or_insert(scene.now);
                Ok(())
            }
            Step::Before(Deed { action: DrainAction::Evict { node, pod, .. }, .. }) => {
                let snapshot = &scene.world.snapshot;
                let Some((_, there)) = snapshot.find_pod(&pod.namespace, &pod.name) else { return Ok(()) };
                let label = there.labels.get(plimsoll_model::well_known::PRE_EVICTION_WARMUP);
                let warmup = label.and_then(|text| plimsoll_model::Millis::parse_duration(text));
                let (Some(warmup), true) = (warmup, there.uid == pod.uid && there.ready && there.deletion.is_none())
                else {
                    return Ok(());
                };
                let draining = draining(scene.world);
                let Some(drain) = draining.get(node.as_str()).filter(|drain| drain.cause.optimizes()) else {
                    return Ok(());
                };
                let others = snapshot.pods().filter(|(_, other)| {
                    other.namespace == there.namespace
                        && other.labels.get("app") == there.labels.get("app")
                        && other.uid != there.uid
                        && other.ready
                        && other.deletion.is_none()
                });
                if others.count() > 0 {
                    return Ok(());
                }
                // What its workload no longer wants gets no replacement.
                let app = there.labels.get("app").map_or("", plimsoll_model::Text::as_str);
                let wanted = scene
                    .world
                    .deployments()
                    .find(|((namespace, name), _)| *namespace == there.namespace && *name == *app);
                if wanted.is_none_or(|(_, deployment)| deployment.replicas == 0) {
                    return Ok(());
                }
                let guard = scene.settings.drain.warmup_guard;
                let near = scene.now.0 + guard.0 >= drain.deadline.0;
                match self.since.get(&pod.uid).map(|since| scene.now.since(*since)) {
                    _ if near => Ok(()),
                    Some(span) if span >= warmup => Ok(()),
                    Some(span) => Err(format!(
                        "pod {} is evicted {span} into its warm-up of {warmup}, and no other is ready",
                        there.full_name()
                    )),
                    None => Err(format!("pod {} is evicted without a replacement", there.full_name())),
                }
            }
            _ => Ok(()),
        }
    }
}
