//! When the pods of a node are evicted.

use std::collections::{HashMap, HashSet};

use plimsoll_model::{Millis, PodId};

use super::{DrainPod, PodTurn, ScaleDownConfig};
use crate::clipped::note;

/// One eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// The pod.
    pub pod: PodId,
    /// Its turn, after the drain begins: when it is evicted, or its replacement is started.
    pub turn: Millis,
    /// The warm-up that it asks for, which begins at its turn.
    pub warmup: Option<Millis>,
    /// When it is evicted at the latest, after the drain begins.
    pub after: Millis,
    /// Why then; empty if the policy gave no reason.
    pub reason: String,
}

/// How much time the pods of a node have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// The time over which the evictions are spread.
    pub spread: Millis,
    /// When the node is removed whatever is still on it, after the drain begins.
    pub timeout: Millis,
    /// How long before that the last warm-up ends.
    pub guard: Millis,
}

// === impl Pace ===

impl Pace {
    /// That of a drain with so much time. Where less is left than the spread, the evictions are over before the guard
    /// (`ocean-features` 4.5).
    pub fn of(config: &ScaleDownConfig, timeout: Millis) -> Self {
        let guard = config.warmup_guard;
        let spread = if timeout < config.spread { timeout.saturating_sub(guard) } else { config.spread };
        Self { spread, timeout, guard }
    }

    /// The least time between two evictions: the spread divided by the number of pods.
    pub fn spacing(&self, pods: usize) -> Millis {
        Millis(self.spread.0 / (pods as u64).max(1))
    }
}

/// Every pod exactly once, in the policy's order, never closer than the spacing and never after the timeout.
///
/// Pods that the policy left out come last. A pod with a warm-up gets its replacement at its turn and is
/// evicted when the warm-up is over, at the latest the guard before the timeout. `clipped` gets a
/// sentence for everything that was changed.
pub(super) fn timetable(pace: Pace, pods: &[DrainPod], turns: &[PodTurn], clipped: &mut Vec<String>) -> Vec<Eviction> {
    let spacing = pace.spacing(pods.len());
    let by_id: HashMap<u32, &DrainPod> = pods.iter().map(|pod| (pod.pod.0, pod)).collect();
    let mut seen = HashSet::new();
    let mut order: Vec<(&DrainPod, Option<&PodTurn>)> = Vec::with_capacity(pods.len());
    for turn in turns {
        match by_id.get(&turn.pod) {
            Some(pod) if seen.insert(pod.pod) => order.push((pod, Some(turn))),
            Some(pod) => note(clipped, || format!("{}/{} was named twice", pod.namespace, pod.name)),
            None => note(clipped, || format!("pod {} is not on this node", turn.pod)),
        }
    }
    let missing: Vec<&DrainPod> = pods.iter().filter(|pod| !seen.contains(&pod.pod)).collect();
    if !missing.is_empty() {
        clipped.push(format!("{} pods were left out; they come last", missing.len()));
    }
    order.extend(missing.into_iter().map(|pod| (pod, None)));

    let wait = |turn: Option<&PodTurn>| turn.and_then(|turn| turn.wait).unwrap_or(spacing).max(spacing);
    let total: Millis = order.iter().skip(1).map(|(_, turn)| wait(*turn)).sum();
    let in_time = total == Millis(0) || total < pace.timeout;
    if !in_time {
        clipped.push(format!("the waits add up to {total}, the timeout is {}; the spacing is used", pace.timeout));
    }
    let last_warmup = pace.timeout.saturating_sub(pace.guard);
    let mut at = Millis(0);
    let mut evictions = Vec::with_capacity(order.len());
    for (index, (pod, turn)) in order.into_iter().enumerate() {
        if index > 0 {
            at += if in_time { wait(turn) } else { spacing };
        }
        let after = pod.warmup.map_or(at, |warmup| (at + warmup).min(last_warmup).max(at));
        let reason = turn.map_or_else(String::new, |turn| turn.reason.clone());
        evictions.push(Eviction { pod: pod.pod, turn: at, warmup: pod.warmup, after, reason });
    }
    evictions.sort_by_key(|eviction| eviction.after);
    evictions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pod(id: u32, warmup: Option<u64>) -> DrainPod {
        DrainPod {
            pod: PodId(id),
            namespace: "shop".into(),
            name: format!("web-{id}").into(),
            priority: 0,
            critical: false,
            daemon_set: false,
            single_replica: false,
            replicas: None,
            disruptions_allowed: None,
            volumes: plimsoll_model::Volumes::default(),
            grace: Millis(30_000),
            warmup: warmup.map(Millis::from_secs),
        }
    }

    fn usual() -> Pace {
        let config = ScaleDownConfig::default();
        Pace::of(&config, config.timeout)
    }

    fn turn(pod: u32, wait: Option<u64>) -> PodTurn {
        PodTurn { pod, wait: wait.map(Millis::from_secs), reason: "because".to_owned() }
    }

    fn seconds(pods: &[DrainPod], turns: &[PodTurn]) -> (Vec<(u32, u64)>, usize) {
        let mut clipped = Vec::new();
        let table = timetable(usual(), pods, turns, &mut clipped);
        (table.iter().map(|e| (e.pod.0, e.after.0 / 1000)).collect(), clipped.len())
    }

    #[test]
    fn ten_pods_leave_every_twelve_seconds() {
        // Acceptance scenario 1 of Spot Ocean's "Scaling": 10 pods at 0, 12, … 108 s.
        let pods: Vec<DrainPod> = (0..10).map(|id| pod(id, None)).collect();
        let turns: Vec<PodTurn> = (0..10).rev().map(|id| turn(id, None)).collect();
        let expected: Vec<(u32, u64)> = (0..10).map(|i| (9 - i, u64::from(i) * 12)).collect();
        assert_eq!(seconds(&pods, &turns), (expected, 0));
        assert_eq!(seconds(&[pod(1, None)], &[turn(1, None)]).0, [(1, 0)]);
        assert!(seconds(&[], &[]).0.is_empty());
    }

    #[test]
    fn warm_ups_end_before_the_deadline() {
        // Acceptance scenario 9: slot at 24 s, warm-up 300 s -> 295 s; warm-up 60 s -> 84 s.
        let mut pods: Vec<DrainPod> = (0..10).map(|id| pod(id, None)).collect();
        let turns: Vec<PodTurn> = (0..10).map(|id| turn(id, None)).collect();
        pods[2] = pod(2, Some(300));
        assert_eq!(seconds(&pods, &turns).0.last(), Some(&(2, 295)));
        pods[2] = pod(2, Some(60));
        assert!(seconds(&pods, &turns).0.contains(&(2, 84)));
    }

    #[test]
    fn turns_and_warm_ups_are_told_apart() {
        let mut pods: Vec<DrainPod> = (0..3).map(|id| pod(id, None)).collect();
        pods[1] = pod(1, Some(100));
        let turns: Vec<PodTurn> = (0..3).map(|id| turn(id, None)).collect();
        let table = timetable(usual(), &pods, &turns, &mut Vec::new());
        let seconds = |time: Millis| time.0 / 1000;
        let all: Vec<_> =
            table.iter().map(|e| (e.pod.0, seconds(e.turn), e.warmup.map(seconds), seconds(e.after))).collect();
        assert_eq!(all, [(0, 0, None, 0), (2, 80, None, 80), (1, 40, Some(100), 140)]);
    }

    #[test]
    fn little_time_is_used_up_to_the_guard() {
        // 4.5: a budget below the spread is spread over what is left of it without the guard.
        let pace = |seconds| Pace::of(&ScaleDownConfig::default(), Millis::from_secs(seconds));
        let spread = |seconds| pace(seconds).spread.0 / 1000;
        assert_eq!(
            (spread(300), spread(120), spread(119), spread(30), spread(5), spread(0)),
            (120, 120, 114, 25, 0, 0)
        );
        let pods: Vec<DrainPod> = (0..5).map(|id| pod(id, (id == 1).then_some(300))).collect();
        let turns: Vec<PodTurn> = (0..5).map(|id| turn(id, Some(3600))).collect();
        let table = timetable(pace(30), &pods, &turns, &mut Vec::new());
        let all: Vec<(u32, u64)> = table.iter().map(|e| (e.pod.0, e.after.0 / 1000)).collect();
        assert_eq!(all, [(0, 0), (2, 10), (3, 15), (4, 20), (1, 25)]);
        let none = timetable(pace(0), &pods, &turns, &mut Vec::new());
        assert!(none.iter().all(|eviction| eviction.after == Millis(0)) && none.len() == 5);
    }

    #[test]
    fn longer_waits_are_kept_and_shorter_ones_are_not() {
        let pods = [pod(0, None), pod(1, None)];
        assert_eq!(seconds(&pods, &[turn(0, None), turn(1, Some(100))]).0, [(0, 0), (1, 100)]);
        assert_eq!(seconds(&pods, &[turn(0, None), turn(1, Some(1))]).0, [(0, 0), (1, 60)]);
        let (table, clipped) = seconds(&pods, &[turn(1, None), turn(0, Some(3600))]);
        assert_eq!((table, clipped), (vec![(1, 0), (0, 60)], 1));
    }

    proptest! {
        #[test]
        fn whatever_the_policy_says_every_pod_has_one_turn_in_time(
            count in 0u32..20,
            turns in prop::collection::vec((0u32..30, prop::option::of(0u64..u64::MAX)), 0..40),
            timeout in prop_oneof![0u64..2_000, 0u64..400_000],
        ) {
            let pods: Vec<DrainPod> = (0..count).map(|id| pod(id, (id % 3 == 0).then_some(50))).collect();
            let turns: Vec<PodTurn> = turns
                .into_iter()
                .map(|(pod, wait)| PodTurn { pod, wait: wait.map(Millis), reason: String::new() })
                .collect();
            let pace = Pace::of(&ScaleDownConfig::default(), Millis(timeout));
            let table = timetable(pace, &pods, &turns, &mut Vec::new());
            let mut ids: Vec<u32> = table.iter().map(|eviction| eviction.pod.0).collect();
            ids.sort_unstable();
            prop_assert_eq!(ids, (0..count).collect::<Vec<_>>());
            prop_assert!(table.iter().all(|eviction| eviction.after < pace.timeout || eviction.after == Millis(0)));
            prop_assert!(table.iter().all(|eviction| eviction.turn <= eviction.after));
            let mut starts: Vec<u64> = table.iter().map(|eviction| eviction.turn.0).collect();
            starts.sort_unstable();
            let spacing = pace.spacing(pods.len());
            prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= spacing.0), "never closer");
        }
    }
}
