//! Times as objects hold them.

use jiff::Timestamp;
use serde_json::Value;

/// `metav1.Time`: whole seconds.
pub fn seconds(now: Timestamp) -> Value {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// `metav1.MicroTime`, as in leases.
pub fn micros(now: Timestamp) -> Value {
    now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into()
}

/// The time that a field holds; nothing for what is none.
pub fn read(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_written_as_kubernetes_writes_them() {
        let time: Timestamp = "2026-11-22T05:05:01.25Z".parse().unwrap();
        assert_eq!(seconds(time), json!("2026-11-22T05:05:01Z"));
        assert_eq!(micros(time), json!("2026-11-22T05:05:01.250000Z"));
        assert_eq!(read(Some(&micros(time))), Some(time));
        assert_eq!(read(Some(&json!("yesterday"))), None);
        assert_eq!(read(Some(&json!(5))), None);
    }
}
