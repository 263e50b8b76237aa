//! The warm-up that a pod asks for before it is evicted.

use plimsoll_model::{Millis, Pod, well_known};

/// The warm-up on a pod's label: a duration such as `300s` or `5m`, or a number of seconds. `None` where
/// there is none, where it makes no sense, and for pods that no ReplicaSet would replace.
pub fn warmup_of(pod: &Pod) -> Option<Millis> {
    let text = pod.labels.get(well_known::PRE_EVICTION_WARMUP)?;
    Millis::parse_duration(text).filter(|duration| duration.0 > 0 && pod.owned_by("ReplicaSet"))
}
