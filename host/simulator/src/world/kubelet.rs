//! Kubelets and the collector of pods: bound pods run, deleted ones stop, those of lost nodes are removed.

use plimsoll_model::{Pod, Text, Uid};

use crate::queue::later;

use super::object::{FINALIZED_AFTER, READY_AFTER, STOPS_AFTER, seconds, set_condition};
use super::{Event, Occurrence, PodKey, World};

// === impl World ===

impl World {
    /// What a kubelet does about a pod as it is now.
    pub(super) fn kubelet_sees(&mut self, key: &PodKey, pod: &Pod) {
        if let Some(deadline) = pod.deletion {
            let stops = seconds(&pod.annotations, STOPS_AFTER).unwrap_or_default();
            let alive = pod.node.as_ref().is_some_and(|node| self.cluster.node(node).is_some());
            let at = if alive { deadline.min(later(self.now, stops)) } else { self.now };
            // A deletion that runs may be cut short.
            if self.stopping.get(&pod.uid).is_none_or(|known| at < *known) {
                self.stopping.insert(pod.uid.clone(), at);
                self.due.push((at, Event::PodStopped(key.clone(), pod.uid.clone())));
            }
            return;
        }
        if pod.node.is_some() && !pod.ready && !pod.finished() && self.starting.insert(pod.uid.clone()) {
            let (least, most) = self.pace.pod_start;
            let drawn = self.chance.millis(least.0, most.0);
            let span = seconds(&pod.annotations, READY_AFTER).unwrap_or(drawn);
            self.after(span, Event::PodReady(key.clone(), pod.uid.clone()));
        }
    }

    pub(super) fn pod_ready(&mut self, key: &PodKey, uid: &Uid) {
        let Some(pod) = self.live.get(key).filter(|pod| pod.uid == *uid && pod.deletion.is_none()) else { return };
        // A machine that is gone starts nothing.
        if pod.node.as_ref().is_none_or(|node| !self.cloud.runs(node)) {
            return;
        }
        let now = self.stamp();
        self.update("pods", (&key.0, &key.1), |pod| {
            pod["status"]["phase"] = "Running".into();
            pod["status"]["startTime"] = now.clone().into();
            for kind in ["Ready", "ContainersReady"] {
                set_condition(pod, kind, true, "", &now);
            }
        });
        self.occurred.push(Occurrence::PodReady(key.clone(), uid.clone()));
    }

    pub(super) fn pod_stopped(&mut self, key: &PodKey, uid: &Uid) {
        let Some(pod) = self.live.get(key).filter(|pod| pod.uid == *uid) else { return };
        if self.stopping.get(uid).is_none_or(|at| *at > self.now) {
            return;
        }
        let held = seconds(&pod.annotations, FINALIZED_AFTER);
        match held {
            Some(span) => {
                let at = later(self.now, span);
                // Longer than any deletion takes: this comes once.
                self.stopping.insert(uid.clone(), self.now);
                self.due.push((at, Event::Finalized(key.clone(), uid.clone())));
            }
            None => drop(self.store.force_delete("pods", &key.0, &key.1)),
        }
    }

    pub(super) fn finalized(&mut self, key: &PodKey, uid: &Uid) {
        if self.live.get(key).is_some_and(|pod| pod.uid == *uid && pod.deletion.is_some()) {
            let _ = self.store.force_delete("pods", &key.0, &key.1);
        }
    }

    /// Pods of a node that is gone are removed, as the pod garbage collector does.
    pub(super) fn collect_pods(&mut self, node: &Text) {
        if self.cluster.node(node).is_some() {
            return;
        }
        let lost: Vec<PodKey> =
            self.live.iter().filter(|(_, pod)| pod.node.as_ref() == Some(node)).map(|(key, _)| key.clone()).collect();
        let mut lost = lost;
        lost.sort();
        for key in lost {
            let _ = self.store.force_delete("pods", &key.0, &key.1);
        }
    }

    /// Now, as objects are stamped.
    pub(super) fn stamp(&self) -> String {
        rfc3339(self.now)
    }
}

/// A moment as the API writes it.
pub fn rfc3339(at: plimsoll_model::Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or(i64::MAX)).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
