//! Which pod somebody means.

use anyhow::{Result, bail};
use plimsoll_model::{Pod, PodId, Snapshot};

/// The namespace of a name that comes without one.
const DEFAULT_NAMESPACE: &str = "default";
/// Names that are suggested.
const SUGGESTED: usize = 3;
/// How much alike two names must be, of 1, for one to be suggested for the other.
const ALIKE: f64 = 0.85;

/// The pod of this name: `NAMESPACE/NAME`, or `NAME` in namespace `default`.
pub fn find(snapshot: &Snapshot, wanted: &str) -> Result<PodId> {
    let (namespace, name) = wanted.split_once('/').unwrap_or((DEFAULT_NAMESPACE, wanted));
    if let Some((id, _)) = snapshot.find_pod(namespace, name) {
        return Ok(id);
    }
    let close = suggestions(snapshot, namespace, name);
    let hint = if close.is_empty() { String::new() } else { format!("; did you mean {}?", close.join(" or ")) };
    bail!("there is no pod {namespace}/{name} in the cluster as it was read{hint}");
}

/// Pods of that name elsewhere, then the names most like it.
fn suggestions(snapshot: &Snapshot, namespace: &str, name: &str) -> Vec<String> {
    let elsewhere = snapshot.pods().filter(|(_, pod)| *pod.name == *name);
    let mut close: Vec<String> = elsewhere.map(|(_, pod)| pod.full_name()).take(SUGGESTED).collect();
    if close.is_empty() {
        let all = snapshot.pods().map(|(_, pod)| (strsim::jaro_winkler(name, &pod.name), pod));
        let mut alike: Vec<(f64, &Pod)> = all.filter(|(likeness, _)| *likeness >= ALIKE).collect();
        // Those of the namespace first; of equals, the first by name.
        alike.sort_by(|a, b| {
            let elsewhere = |pod: &Pod| *pod.namespace != *namespace;
            elsewhere(a.1).cmp(&elsewhere(b.1)).then(b.0.total_cmp(&a.0))
        });
        close.extend(alike.into_iter().take(SUGGESTED).map(|(_, pod)| pod.full_name()));
    }
    close
}
