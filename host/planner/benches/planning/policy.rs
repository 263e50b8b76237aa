//! A policy in plain Rust, so that the bench measures the planner: what places the most pods, at the least cost.

use std::cmp::Reverse;
use std::sync::Arc;

use plimsoll_model::Snapshot;
use plimsoll_planner::scale_up::{Choice, LaunchOption, ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_planner::{Asked, ScaleUpPolicy};

/// Chooses the option that places the most pods for the least money, and others for what it leaves.
pub struct Thrifty {
    /// Leaves the last node of several out, so that what it would take is offered again to smaller types.
    pub trims: bool,
}

impl ScaleUpPolicy for Thrifty {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        let mut order: Vec<(Reverse<u64>, u64, u32)> =
            (0u32..).zip(&question.options).map(|(at, option)| (Reverse(pods(option)), cost(option), at)).collect();
        order.sort_unstable();
        let mut taken = vec![false; question.shapes.len()];
        let mut choices = Vec::new();
        for (.., at) in order {
            let option = &question.options[at as usize];
            if option.places.iter().any(|place| taken[place.shape as usize]) {
                continue;
            }
            option.places.iter().for_each(|place| taken[place.shape as usize] = true);
            let count =
                if self.trims && option.nodes > 1 { option.nodes - option.nodes.div_ceil(16) } else { option.nodes };
            choices.push(Choice { option: at, count, reason: "most pods, least cost".to_owned() });
        }
        Asked { verdict: Some(ScaleUpVerdict::Launch(choices)), calls: Vec::new() }
    }
}

fn pods(option: &LaunchOption) -> u64 {
    option.places.iter().map(|place| u64::from(place.pods)).sum()
}

fn cost(option: &LaunchOption) -> u64 {
    option.price.map_or(u64::MAX, |price| price.0.saturating_mul(option.nodes.into()))
}
