//! Nodes that the plan launches, while the plan is made.

use plimsoll_model::{PodId, Resources};
use plimsoll_scheduler::{ClassId, Run, Simulation};

/// Equal nodes to launch, with what is on them.
#[derive(Debug)]
pub(super) struct Launched {
    /// The kind of node.
    pub template: usize,
    pub runs: Vec<Run>,
    /// Pods by demand.
    pub pods: Vec<(usize, Vec<PodId>)>,
    /// Headroom by demand.
    pub units: Vec<(usize, u32)>,
    pub reason: String,
}

impl Launched {
    /// How many nodes.
    pub fn nodes(&self) -> u32 {
        self.runs.iter().map(|run| run.nodes).sum()
    }

    /// Notes pods that came: `real` ones, and `units` of headroom.
    pub fn note(&mut self, demand: usize, real: Vec<PodId>, units: u32) {
        if !real.is_empty() {
            match self.pods.iter_mut().find(|(known, _)| *known == demand) {
                Some((_, pods)) => pods.extend(real),
                None => self.pods.push((demand, real)),
            }
        }
        if units > 0 {
            match self.units.iter_mut().find(|(known, _)| *known == demand) {
                Some((_, count)) => *count += units,
                None => self.units.push((demand, units)),
            }
        }
    }

    /// Takes up to `count` pods of a demand off the nodes again, the last ones first, and drops the nodes that
    /// have nothing left. Gives the pods.
    pub fn withdraw(&mut self, simulation: &Simulation, demand: usize, requests: &Resources, count: u32) -> Vec<PodId> {
        let Some((_, pods)) = self.pods.iter_mut().find(|(known, _)| *known == demand) else { return Vec::new() };
        let gone = pods.split_off(pods.len().saturating_sub(count as usize));
        let mut left = u32::try_from(gone.len()).unwrap_or(u32::MAX);
        // Pods of one size are the same to a node, whichever of them goes.
        let alike = |class: ClassId| simulation.class(class).shape.requests == *requests;
        for at in (0..self.runs.len()).rev() {
            while left > 0 && self.runs[at].nodes > 0 {
                let Some(place) = self.runs[at].pods.iter().position(|(class, pods)| alike(*class) && *pods > 0) else {
                    break;
                };
                let each = self.runs[at].pods[place].1;
                let taken = each.min(left);
                // As many whole nodes as are emptied of such pods, or one in part.
                let nodes = (left / each).clamp(1, self.runs[at].nodes);
                left -= taken * nodes;
                let mut changed = self.runs[at].clone();
                changed.nodes = nodes;
                changed.free.add(requests, taken.into());
                changed.pods[place].1 -= taken;
                self.runs[at].nodes -= nodes;
                if changed.pods.iter().any(|(_, pods)| *pods > 0) {
                    self.runs.push(changed);
                }
            }
        }
        self.runs.retain(|run| run.nodes > 0);
        gone
    }
}
