//! No more nodes drain at once than may.

use std::collections::VecDeque;

use plimsoll_model::{GroupIndex, Millis, Timestamp};

use super::{Invariant, Scene, Step, begins, draining};

/// The caps of the cluster and of each group, drains that are forced included, hold whenever a drain begins to save.
#[derive(Debug, Default)]
pub struct CapsKept {
    /// How many nodes there were lately: a leader counts those that it has seen.
    sizes: VecDeque<(Timestamp, usize)>,
}

/// How old what a leader has seen may be.
const STALE: Millis = Millis(60_000);

impl Invariant for CapsKept {
    fn name(&self) -> &'static str {
        "caps kept"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let size = scene.world.snapshot.node_count();
        if self.sizes.back().is_none_or(|(_, last)| *last != size) {
            self.sizes.push_back((scene.now, size));
        }
        while self.sizes.len() > 1 && self.sizes.get(1).is_some_and(|(at, _)| scene.now.since(*at) > STALE) {
            self.sizes.pop_front();
        }
        let Some((node, _)) = begins(scene, step) else { return Ok(()) };
        let most = self.sizes.iter().map(|(_, size)| *size).max().unwrap_or_default();
        let share = |nodes: usize, percent: u32| (nodes * usize::try_from(percent).unwrap_or(100) / 100).max(1);
        let config = &scene.settings.scale_down;
        let groups = GroupIndex::of(config.groups.as_deref().unwrap_or_default());
        let draining = draining(scene.world);
        let snapshot = &scene.world.snapshot;
        let group_of =
            |name: &str| snapshot.find_node(name).and_then(|(_, node)| groups.group_of(node)).map(|(_, group)| group);
        let own = group_of(node).filter(|group| group.scale_down.max_percentage.is_some());
        let (at_once, cap) = match own {
            Some(group) => {
                let of = |name: &str| group_of(name).is_some_and(|other| other.name == group.name);
                let nodes = snapshot.nodes().filter(|(_, node)| of(&node.name)).count();
                let percent = group.scale_down.max_percentage.unwrap_or(config.max_percentage);
                (draining.keys().filter(|name| of(name)).count() + 1, share(nodes + 1, percent))
            }
            None => {
                let plain = |name: &str| group_of(name).is_none_or(|group| group.scale_down.max_percentage.is_none());
                (draining.keys().filter(|name| plain(name)).count() + 1, share(most, config.max_percentage))
            }
        };
        if at_once <= cap {
            return Ok(());
        }
        Err(format!("node {node} begins to drain as number {at_once}, at most {cap} of {most} may at once"))
    }
}
