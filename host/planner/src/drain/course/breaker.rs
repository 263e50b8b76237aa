//! Drained pods that do not come back stop further drains.

use std::collections::BTreeMap;

use plimsoll_model::{Millis, Owner, Scheduling, Snapshot, Text, Timestamp, Workload, WorkloadKind};

use super::clock::plus;

/// How long a pod may be unschedulable before it counts.
const PENDING: Millis = Millis(30_000);

/// Workloads whose pods were evicted, and how they are since.
#[derive(Debug, Default)]
pub(super) struct Breaker(BTreeMap<(Text, Text, String), Struck>);

/// A workload of which a pod was evicted.
#[derive(Debug)]
struct Struck {
    /// What controlled the pod.
    owner: Owner,
    /// What controls that, or the same.
    top: Owner,
    /// The last eviction.
    evicted: Timestamp,
    /// Since when it has been short of ready pods.
    short: Option<Timestamp>,
}

/// What controls a pod's owner, as far as it is known, or the owner itself.
pub(super) fn top_of(snapshot: &Snapshot, owner: &Owner) -> Owner {
    let above = snapshot.workload(owner).and_then(|workload| workload.owner.as_deref());
    above.filter(|above| WorkloadKind::of(above).is_some()).unwrap_or(owner).clone()
}

fn is_short(workload: &Workload) -> bool {
    !workload.deleting && workload.desired.is_some_and(|desired| workload.ready < desired)
}

// === impl Breaker ===

impl Breaker {
    /// A pod of this owner was evicted.
    pub fn evicted(&mut self, owner: Owner, top: Owner, now: Timestamp) {
        let key = (owner.namespace.clone(), owner.name.clone(), owner.uid.to_string());
        let struck = self.0.entry(key).or_insert(Struck { owner, top: top.clone(), evicted: now, short: None });
        (struck.top, struck.evicted) = (top, now);
    }

    /// Notes how the workloads are.
    pub fn observe(&mut self, snapshot: &Snapshot, after: Millis, now: Timestamp) {
        self.0.retain(|_, struck| {
            // Jobs end by themselves; only what keeps pods ready can be short of them.
            let short = struck.top.kind != "Job" && snapshot.workload(&struck.top).is_some_and(is_short);
            let recent = now < plus(struck.evicted, after);
            match (short, struck.short) {
                (false, _) => struck.short = None,
                // What begins much later has another cause.
                (true, None) if recent => struck.short = Some(now),
                (true, _) => {}
            }
            recent || struck.short.is_some()
        });
    }

    /// Why no further drain may begin, a sentence.
    pub fn sentence(&self, snapshot: &Snapshot, after: Millis, now: Timestamp) -> Option<String> {
        for struck in self.0.values() {
            let Some(since) = struck.short.filter(|since| now >= plus(*since, after)) else { continue };
            let Some(workload) = snapshot.workload(&struck.top).filter(|workload| is_short(workload)) else { continue };
            return Some(format!(
                "{} {}/{} has had only {} of {} pods ready for {} since a pod of it was drained",
                workload.kind.name(),
                workload.namespace,
                workload.name,
                workload.ready,
                workload.desired.unwrap_or_default(),
                now.since(since)
            ));
        }
        let recent: Vec<&Struck> = self.0.values().filter(|struck| now < plus(struck.evicted, after)).collect();
        if recent.is_empty() {
            return None;
        }
        let waiting = |since: Option<Timestamp>| since.is_none_or(|since| now.since(since) > PENDING);
        for (_, pod) in snapshot.pending() {
            let Some(owner) = &pod.owner else { continue };
            if pod.scheduling != Scheduling::Unschedulable || pod.deletion.is_some() || !waiting(pod.created) {
                continue;
            }
            let of = |struck: &&&Struck| struck.owner.uid == owner.uid || struck.top == top_of(snapshot, owner);
            if let Some(struck) = recent.iter().find(of) {
                return Some(format!(
                    "pod {} finds no node, and a pod of {} {} was drained {} ago",
                    pod.full_name(),
                    struck.top.kind,
                    struck.top.name,
                    now.since(struck.evicted)
                ));
            }
        }
        None
    }
}
