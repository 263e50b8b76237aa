//! The order of nodes, and why each goes or stays.

use core::cmp::{Ordering, Reverse};
use core::fmt::Write as _;

use plimsoll_sdk::Usd;
use plimsoll_sdk::drain::{Candidate, Cause, NodeOrder};

use crate::pods::Span;
use crate::settings::Settings;

/// Orders the candidates: those that must go, then the empty ones, then by what they save for their disruption.
#[must_use]
pub fn order(settings: &Settings, candidates: &[Candidate]) -> NodeOrder {
    let mut ranked: Vec<Ranked<'_>> = Vec::with_capacity(candidates.len());
    let mut keep = Vec::new();
    for node in candidates {
        let ranked_node = Ranked { node, disruption: settings.weights.disruption(node) };
        match settings.max_disruption {
            Some(most) if node.cause == Cause::Underutilized && ranked_node.disruption > most => {
                keep.push(node.because(ranked_node.reason_to_stay(most)));
            }
            _ => ranked.push(ranked_node),
        }
    }
    // Stable: equal nodes keep the order of their names.
    ranked.sort_by(Ranked::order);
    let drain = ranked.iter().map(|ranked| ranked.node.because(ranked.reason_to_go())).collect();
    NodeOrder { drain, keep }
}

struct Ranked<'a> {
    node: &'a Candidate,
    disruption: u64,
}

impl Ranked<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let turn = self.turn().cmp(&other.turn());
        turn.then_with(|| match self.node.cause {
            // These pods lose their node anyway: where most is at stake, time is needed most.
            Cause::Interruption | Cause::Unhealthy | Cause::Requested => other.disruption.cmp(&self.disruption),
            Cause::Empty | Cause::Underutilized => self.savings_for_disruption(other),
        })
        .then_with(|| self.utilization().cmp(&other.utilization()))
        .then_with(|| self.disruption.cmp(&other.disruption))
        .then_with(|| Reverse(self.node.age_ms).cmp(&Reverse(other.node.age_ms)))
    }

    fn turn(&self) -> u8 {
        match self.node.cause {
            Cause::Interruption => 0,
            Cause::Unhealthy => 1,
            Cause::Requested => 2,
            Cause::Empty => 3,
            Cause::Underutilized => 4,
        }
    }

    fn savings_for_disruption(&self, other: &Self) -> Ordering {
        match (self.node.savings, other.node.savings) {
            (Some(ours), Some(theirs)) => {
                let across = |savings: u64, disruption: u64| u128::from(savings) * u128::from(disruption);
                across(theirs, self.disruption).cmp(&across(ours, other.disruption))
            }
            // Known savings come before unknown ones.
            (ours, theirs) => ours.is_none().cmp(&theirs.is_none()),
        }
    }

    /// In thousandths: of CPU or of memory, whichever is used more.
    fn utilization(&self) -> u32 {
        self.node.cpu_permille.max(self.node.memory_permille)
    }

    fn reason_to_go(&self) -> String {
        let node = self.node;
        let mut reason = String::with_capacity(96);
        match node.cause {
            Cause::Interruption => reason.push_str("the cloud takes the machine back"),
            Cause::Unhealthy => reason.push_str("the node is unhealthy"),
            Cause::Requested => reason.push_str("somebody asked for it"),
            Cause::Empty => reason.push_str("empty"),
            Cause::Underutilized => self.write_savings(&mut reason),
        }
        if node.cause == Cause::Empty {
            reason.push_str(", ");
            self.write_savings(&mut reason);
        } else {
            self.write_disruption(&mut reason);
        }
        reason
    }

    fn reason_to_stay(&self, most: u64) -> String {
        let mut reason = format!("above `maxDisruption` {most}");
        self.write_disruption(&mut reason);
        reason
    }

    // Writing into a string cannot fail.
    fn write_savings(&self, reason: &mut String) {
        let _ = match self.node.savings {
            Some(savings) => write!(reason, "saves {}/h", Usd(savings)),
            None => write!(reason, "savings unknown, {}% used", self.utilization() / 10),
        };
    }

    fn write_disruption(&self, reason: &mut String) {
        let node = self.node;
        let _ = write!(reason, ", disruption {}: {} {}", self.disruption, node.pods, plural(node.pods, "pod", "pods"));
        if node.single_replicas > 0 {
            let replicas = plural(node.single_replicas, "only replica", "only replicas");
            let _ = write!(reason, ", {} {replicas}", node.single_replicas);
        }
        if node.critical_pods > 0 {
            let _ = write!(reason, ", {} critical", node.critical_pods);
        }
        if let Some(warmup) = node.longest_warmup_ms.filter(|warmup| *warmup > 0) {
            let _ = write!(reason, ", warm-up {}", Span(warmup));
        }
    }
}

fn plural(count: u32, one: &'static str, more: &'static str) -> &'static str {
    if count == 1 { one } else { more }
}
