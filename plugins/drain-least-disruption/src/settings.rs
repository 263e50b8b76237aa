//! What the configuration may set.

use plimsoll_sdk::drain::Candidate;
use serde::Deserialize;

/// The settings, all optional.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// What counts how much.
    pub weights: Weights,
    /// Underutilized nodes above this disruption are kept; no limit when absent.
    pub max_disruption: Option<u64>,
}

/// Points of disruption. A node starts with 1 point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Weights {
    /// For each pod that would be evicted.
    pub pod: u32,
    /// On top, for each pod that is the only replica of its owner.
    pub single_replica: u32,
    /// On top, for each pod of class `system-cluster-critical` or `system-node-critical`.
    pub critical_pod: u32,
    /// For each digit of the highest priority among the pods, if that is positive: 4 times for 1000.
    pub priority_digit: u32,
    /// For each minute, or part of one, of the longest warm-up that a pod asks for.
    pub warmup_minute: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { pod: 1, single_replica: 5, critical_pod: 20, priority_digit: 1, warmup_minute: 2 }
    }
}

impl Weights {
    /// The disruption that draining this node would cause, in points; at least 1.
    #[must_use]
    pub fn disruption(&self, node: &Candidate) -> u64 {
        let digits = node.highest_priority.and_then(i32::checked_ilog10).map_or(0, |log| u64::from(log) + 1);
        let minutes = node.longest_warmup_ms.unwrap_or(0).div_ceil(60_000);
        [
            (node.pods.into(), self.pod),
            (node.single_replicas.into(), self.single_replica),
            (node.critical_pods.into(), self.critical_pod),
            (digits, self.priority_digit),
            (minutes, self.warmup_minute),
        ]
        .into_iter()
        .fold(1, |points: u64, (count, weight)| points.saturating_add(count.saturating_mul(weight.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_sdk::settings::parse;

    #[test]
    fn reads_every_key() {
        let text = r#"{"maxDisruption": 40, "weights": {"pod": 2, "singleReplica": 3, "criticalPod": 4,
                       "priorityDigit": 0, "warmupMinute": 6}}"#;
        let weights = Weights { pod: 2, single_replica: 3, critical_pod: 4, priority_digit: 0, warmup_minute: 6 };
        assert_eq!(parse(text), Ok(Settings { weights, max_disruption: Some(40) }));
        let one = parse::<Settings>(r#"{"weights": {"pod": 9}}"#).unwrap();
        assert_eq!(one.weights, Weights { pod: 9, ..Weights::default() });
    }

    #[test]
    fn errors_name_the_key() {
        let error = parse::<Settings>(r#"{"weights": {"pod": -1}}"#).unwrap_err();
        assert!(error.contains("`weights.pod`"), "{error}");
        let error = parse::<Settings>(r#"{"maxDisrupt": 1}"#).unwrap_err();
        assert!(error.contains("unknown field `maxDisrupt`"), "{error}");
    }

    #[test]
    fn every_weight_counts() {
        let weights =
            Weights { pod: 1, single_replica: 10, critical_pod: 100, priority_digit: 1_000, warmup_minute: 10_000 };
        let points = |node: Candidate| weights.disruption(&node);
        assert_eq!(points(Candidate::default()), 1);
        assert_eq!(points(Candidate { pods: 6, single_replicas: 2, critical_pods: 1, ..Candidate::default() }), 127);
        for (priority, digits) in [(-5, 0), (0, 0), (1, 1), (9, 1), (10, 2), (i32::MAX, 10)] {
            let node = Candidate { highest_priority: Some(priority), ..Candidate::default() };
            assert_eq!(points(node), 1 + 1_000 * digits, "{priority}");
        }
        for (milliseconds, minutes) in [(0, 0), (1, 1), (60_000, 1), (60_001, 2)] {
            let node = Candidate { longest_warmup_ms: Some(milliseconds), ..Candidate::default() };
            assert_eq!(points(node), 1 + 10_000 * minutes, "{milliseconds}");
        }
        let most = Candidate { longest_warmup_ms: Some(u64::MAX), pods: u32::MAX, ..Candidate::default() };
        assert_eq!(Weights { warmup_minute: u32::MAX, ..weights }.disruption(&most), u64::MAX);
    }
}
