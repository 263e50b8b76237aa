//! The order in which the pods of one node are evicted.

use core::cmp::Reverse;
use core::fmt;

use plimsoll_sdk::drain::{DrainPod, PodTurn};

/// Orders pods so that what matters most leaves last, and what takes longest to replace starts early.
#[must_use]
pub fn order(pods: &[DrainPod]) -> Vec<PodTurn> {
    let mut sorted: Vec<&DrainPod> = pods.iter().collect();
    sorted.sort_by(|a, b| key(a).cmp(&key(b)));
    sorted.into_iter().map(|pod| pod.turn(reason(pod))).collect()
}

fn key(pod: &DrainPod) -> impl Ord + use<'_> {
    let warmup = Reverse(pod.warmup_ms.unwrap_or(0));
    (pod.critical, pod.daemon_set, pod.priority, warmup, &pod.namespace, &pod.name)
}

fn reason(pod: &DrainPod) -> String {
    let kind = match (pod.critical, pod.daemon_set) {
        (false, false) => "workload",
        (false, true) => "DaemonSet pod, after the workloads",
        (true, false) => "critical pod, after all others",
        (true, true) => "critical DaemonSet pod, last",
    };
    let mut reason = format!("{kind}, priority {}", pod.priority);
    if let Some(warmup) = pod.warmup_ms.filter(|warmup| *warmup > 0) {
        reason.push_str(&format!(", warm-up {}", Span(warmup)));
    }
    if pod.single_replica {
        reason.push_str(", only replica");
    }
    reason
}

/// Milliseconds, shown as whole minutes or else as seconds: `5m`, `90s`.
pub(crate) struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_ceil(1000);
        if seconds.is_multiple_of(60) { write!(f, "{}m", seconds / 60) } else { write!(f, "{seconds}s") }
    }
}
