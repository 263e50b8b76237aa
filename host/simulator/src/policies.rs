//! Policies of the simulator itself, for seeds: sensible ones, and one that answers anything.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::sync::Arc;

use plimsoll_model::{Millis, Snapshot};
use plimsoll_planner::drain::{NodeChoice, NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use plimsoll_planner::scale_up::{Choice, LaunchOption, ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_planner::{Asked, DrainPolicy, ScaleUpPolicy};

use crate::chance::{Chance, Seed};

/// Launches what costs the least for each core that is requested; drains what disrupts the least.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sensible;

/// Answers anything: nodes that were not offered, duplicates, everything at once, waits of hours, or nothing.
#[derive(Debug)]
pub struct Hostile(RefCell<Chance>);

fn answered<V>(verdict: V) -> Asked<V> {
    Asked { verdict: Some(verdict), calls: Vec::new() }
}

// === impl Sensible ===

impl ScaleUpPolicy for Sensible {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        let worth = |option: &LaunchOption| {
            let pods: u64 = option.places.iter().map(|place| u64::from(place.pods)).sum();
            let price = option.price.map_or(1_000_000, |price| price.0).saturating_mul(u64::from(option.nodes));
            (Reverse(pods), price)
        };
        let best = question.options.iter().zip(0_u32..).min_by_key(|(option, at)| (worth(option), *at));
        answered(match best {
            None => ScaleUpVerdict::Hold("nothing is offered".to_owned()),
            Some((option, at)) => ScaleUpVerdict::Launch(vec![Choice {
                option: at,
                count: option.nodes,
                reason: "places the most pods for the least".to_owned(),
            }]),
        })
    }
}

impl DrainPolicy for Sensible {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let mut order: Vec<_> = question.candidates.iter().collect();
        order.sort_by_key(|node| {
            (node.critical_pods, node.single_replicas, node.pods, node.cpu_permille, node.name.clone())
        });
        let drain = order
            .into_iter()
            .map(|node| NodeChoice { node: node.node.0, reason: format!("{} pods move", node.pods) })
            .collect();
        answered(NodesVerdict::Order { drain, keep: Vec::new() })
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let mut pods: Vec<_> = question.pods.iter().collect();
        pods.sort_by_key(|pod| (Reverse(pod.warmup), pod.priority));
        answered(pods.into_iter().map(|pod| PodTurn { pod: pod.pod.0, wait: None, reason: String::new() }).collect())
    }
}

// === impl Hostile ===

impl Hostile {
    /// Answers that are the same for the same seed.
    pub fn new(seed: Seed) -> Self {
        Self(RefCell::new(Chance::of(seed, "hostile policy")))
    }
}

impl ScaleUpPolicy for Hostile {
    fn choose(&self, _: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        let mut chance = self.0.borrow_mut();
        let options = u64::try_from(question.options.len()).unwrap_or_default();
        let mut choices = Vec::new();
        for _ in 0..chance.between(0, 3) {
            let option = u32::try_from(chance.between(0, options)).unwrap_or(u32::MAX);
            let count = u32::try_from(chance.between(0, 5)).unwrap_or(u32::MAX);
            choices.push(Choice {
                option,
                count: if chance.permille(50) { u32::MAX } else { count },
                reason: String::new(),
            });
        }
        answered(if chance.permille(100) {
            ScaleUpVerdict::Hold("not today".to_owned())
        } else {
            ScaleUpVerdict::Launch(choices)
        })
    }
}

impl DrainPolicy for Hostile {
    fn order_nodes(&self, _: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        let mut chance = self.0.borrow_mut();
        if chance.permille(80) {
            return Asked { verdict: None, calls: Vec::new() };
        }
        let mut drain: Vec<u32> = question.candidates.iter().map(|node| node.node.0).collect();
        drain.extend(drain.clone());
        drain.extend((0..3).map(|_| u32::try_from(chance.between(0, 200)).unwrap_or_default()));
        chance.shuffle(&mut drain);
        let drain = drain.into_iter().map(|node| NodeChoice { node, reason: "all of them".to_owned() }).collect();
        answered(NodesVerdict::Order { drain, keep: Vec::new() })
    }

    fn order_pods(&self, _: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        let mut chance = self.0.borrow_mut();
        let mut turns: Vec<u32> = question.pods.iter().map(|pod| pod.pod.0).collect();
        turns.push(9_999);
        turns.extend(turns.clone());
        chance.shuffle(&mut turns);
        turns.truncate(usize::try_from(chance.between(0, 20)).unwrap_or_default());
        let turns = turns.into_iter().map(|pod| {
            let wait = match chance.between(0, 3) {
                0 => None,
                1 => Some(Millis(0)),
                2 => Some(chance.millis(0, 60_000)),
                _ => Some(Millis(u64::MAX)),
            };
            PodTurn { pod, wait, reason: String::new() }
        });
        answered(turns.collect())
    }
}
