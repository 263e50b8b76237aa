//! No group shrinks below its minimum to save money.

use plimsoll_model::GroupIndex;

use super::{Invariant, Scene, Step, begins, draining};

/// Nodes of a group that are there and do not leave are never fewer than its minimum because of us.
#[derive(Debug, Default)]
pub struct MinimumKept;

impl Invariant for MinimumKept {
    fn name(&self) -> &'static str {
        "minimum kept"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let Some((name, _)) = begins(scene, step) else { return Ok(()) };
        let snapshot = &scene.world.snapshot;
        let groups = GroupIndex::of(&scene.settings.scale_up.groups);
        let Some(group) = snapshot.find_node(name).and_then(|(_, node)| groups.group_of(node)).map(|(_, group)| group)
        else {
            return Ok(());
        };
        let draining = draining(scene.world);
        let stays = snapshot.nodes().filter(|(_, node)| {
            node.name != *name
                && !draining.contains_key(node.name.as_str())
                && scene.world.cloud.runs(&node.name)
                && groups.group_of(node).is_some_and(|(_, of)| of.name == group.name)
        });
        let stays = stays.count();
        if stays >= usize::try_from(group.min).unwrap_or(usize::MAX) {
            return Ok(());
        }
        // An interruption since the leader looked last is nobody's fault.
        let interrupted =
            snapshot.nodes().any(|(_, node)| node.annotations.get(plimsoll_model::well_known::INTERRUPTION).is_some());
        if interrupted {
            return Ok(());
        }
        Err(format!(
            "node {name} goes to save money and leaves {stays} of group {}, whose min is {}",
            group.name, group.min
        ))
    }
}
