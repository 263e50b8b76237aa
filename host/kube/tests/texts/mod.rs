//! Dumps as text, for tests.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

use plimsoll_kube::{Dump, DumpError, read_stream};
use plimsoll_model::{Pod, Requirement};

/// Reads text, which must be a dump.
pub fn read_yaml(text: &str) -> Dump {
    try_read(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// Reads text, which must be a dump.
pub fn read_json(text: &str) -> Dump {
    read_yaml(text)
}

/// Reads text.
pub fn try_read(text: &str) -> Result<Dump, DumpError> {
    read_stream("cluster", text.as_bytes())
}

/// The one pod with this `metadata`, `spec` and `status`, all of it in YAML's flow form.
pub fn pod_of(metadata: &str, spec: &str, status: &str) -> Pod {
    let yaml = format!(
        "kind: Pod\napiVersion: v1\nmetadata: {{name: p, namespace: n, {metadata}}}\n\
         spec: {{containers: [], {spec}}}\nstatus: {{{status}}}\n"
    );
    let dump = read_yaml(&yaml);
    assert_eq!(dump.account.broken, [], "{yaml}");
    dump.snapshot.pods().next().expect("a pod").1.clone()
}

/// The one pod with this `spec`.
pub fn pod(spec: &str) -> Pod {
    pod_of("", spec, "")
}

/// Requirements as people read them.
pub fn shown(requirements: &[Requirement]) -> Vec<String> {
    requirements.iter().map(ToString::to_string).collect()
}
