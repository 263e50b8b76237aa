//! What a Lease says.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::times::LONGEST;
use crate::api::{ObjectName, Resource};

/// What is read of a Lease. Whoever wrote it: nothing in it is trusted but its resource version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// Who leads; empty if nobody does.
    pub holder: String,
    /// `acquireTime` as it is written; with holder and transitions it names one leadership.
    pub acquired: String,
    /// `leaseTransitions`; 0 where it makes no sense.
    pub transitions: u64,
    /// How long the holder wants others to wait, where that makes sense.
    pub duration: Option<Duration>,
    /// The resource version: another one says that somebody wrote.
    pub version: String,
    /// The whole object, so that a write changes nothing else of it.
    object: Map<String, Value>,
}

/// What is written into a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub holder: &'a str,
    pub acquired: &'a str,
    pub renewed: &'a str,
    pub transitions: u64,
    pub duration: Duration,
}

// === impl Record ===

impl Record {
    /// The lease of an answer; `None` if it is none.
    pub fn read(object: Value) -> Option<Self> {
        let Value::Object(object) = object else { return None };
        let version = object.get("metadata")?.get("resourceVersion")?.as_str()?.to_owned();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
        let seconds = spec["leaseDurationSeconds"].as_u64().filter(|seconds| *seconds > 0);
        // The API server has an int32 there; what is at its end cannot grow.
        let transitions = spec["leaseTransitions"].as_u64().filter(|number| *number < i32::MAX.unsigned_abs().into());
        Some(Self {
            holder: text("holderIdentity"),
            acquired: text("acquireTime"),
            transitions: transitions.unwrap_or(0),
            duration: seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST)),
            version,
            object,
        })
    }

    /// The lease with another holder. It keeps the resource version that it was read with.
    pub fn with(&self, entry: &Entry<'_>) -> Value {
        let mut object = self.object.clone();
        let spec = object.entry("spec").or_insert_with(|| json!({}));
        if !spec.is_object() {
            *spec = json!({});
        }
        entry.put_into(spec);
        Value::Object(object)
    }
}

// === impl Entry ===

impl Entry<'_> {
    /// A new lease.
    pub fn object(&self, name: &ObjectName) -> Value {
        let mut object = json!({
            "apiVersion": Resource::LEASES.api_version(),
            "kind": Resource::LEASES.kind,
            "metadata": {
                "namespace": name.namespace,
                "name": name.name,
                "labels": {"app.kubernetes.io/managed-by": "plimsoll"},
            },
            "spec": {},
        });
        self.put_into(&mut object["spec"]);
        object
    }

    fn put_into(&self, spec: &mut Value) {
        spec["holderIdentity"] = self.holder.into();
        spec["acquireTime"] = self.acquired.into();
        spec["renewTime"] = self.renewed.into();
        spec["leaseTransitions"] = self.transitions.into();
        spec["leaseDurationSeconds"] = self.duration.as_secs().max(1).into();
    }
}

/// A moment as `metav1.MicroTime` wants it: six digits after the point, always.
pub(crate) fn micro_time(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_times_have_six_digits() {
        for (text, expected) in [
            ("2026-11-22T05:00:00Z", "2026-11-22T05:00:00.000000Z"),
            ("2026-11-22T05:00:00.123456789Z", "2026-11-22T05:00:00.123456Z"),
        ] {
            assert_eq!(micro_time(text.parse().expect("a moment")), expected);
        }
    }

    #[test]
    fn nonsense_in_a_lease_is_no_reason_to_stop() {
        let lease = |spec: Value| json!({"metadata": {"resourceVersion": "7", "labels": {"a": "b"}}, "spec": spec});
        for spec in [json!(null), json!([1]), json!("x"), json!({"holderIdentity": 7, "leaseDurationSeconds": "x"})] {
            let record = Record::read(lease(spec.clone())).expect("a lease");
            assert_eq!((record.holder.as_str(), record.transitions, record.duration), ("", 0, None), "{spec}");
            let entry =
                Entry { holder: "a", acquired: "t", renewed: "t", transitions: 1, duration: Duration::from_secs(15) };
            let written = record.with(&entry);
            assert_eq!(written["spec"]["holderIdentity"], "a", "{spec}");
            assert_eq!(written["metadata"]["labels"]["a"], "b");
            assert_eq!(written["metadata"]["resourceVersion"], "7");
        }
        for (seconds, expected) in [(json!(-3), None), (json!(0), None), (json!(4_000_000_000_u64), Some(LONGEST))] {
            let record = Record::read(lease(json!({"leaseDurationSeconds": seconds}))).expect("a lease");
            assert_eq!(record.duration, expected, "{seconds}");
        }
        let last = Record::read(lease(json!({"leaseTransitions": i32::MAX}))).expect("a lease");
        assert_eq!(last.transitions, 0, "it cannot grow, so it begins again");
        for none in [json!(null), json!({}), json!({"metadata": {"resourceVersion": 7}}), json!([])] {
            assert_eq!(Record::read(none), None);
        }
    }
}
