//! Protected pods are not touched to save money.

use plimsoll_model::{Millis, Pod, well_known};

use super::{Invariant, Scene, Step, begins};

/// A node does not begin to drain to save money while a pod on it forbids that, and had been there to be seen.
#[derive(Debug, Default)]
pub struct ProtectedStay;

/// A pod that has been there for so long has been seen.
const SEEN: Millis = Millis(20_000);

impl Invariant for ProtectedStay {
    fn name(&self) -> &'static str {
        "protected pods stay"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let Some((node, _)) = begins(scene, step) else { return Ok(()) };
        let snapshot = &scene.world.snapshot;
        let Some((id, _)) = snapshot.find_node(node) else { return Ok(()) };
        let config = &scene.settings.scale_down;
        let forbids = |pod: &Pod| -> Option<&'static str> {
            if pod.daemon_set() || pod.mirror() || pod.finished() || pod.deletion.is_some() || !pod.ready {
                return None;
            }
            if config.restrict_labels.iter().any(|label| pod.labels.get(label).is_some_and(|value| *value == "true")) {
                return Some("its label restricts scale-down");
            }
            if pod.annotations.get(well_known::SAFE_TO_EVICT).is_some_and(|value| *value == "false") {
                return Some("it is not safe to evict");
            }
            let warming = pod.annotations.get(well_known::WARMING_UP).is_some();
            (pod.owner.is_none() && !warming && !config.evict_bare_pods).then_some("nobody would start it again")
        };
        for &pod in snapshot.pods_on(id) {
            let pod = snapshot.pod(pod);
            let young = pod.created.is_none_or(|created| scene.now.since(created) < SEEN);
            if let Some(why) = forbids(pod).filter(|_| !young) {
                return Err(format!("node {node} begins to drain with pod {}: {why}", pod.full_name()));
            }
        }
        Ok(())
    }
}
