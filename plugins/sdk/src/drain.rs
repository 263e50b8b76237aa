//! In what order nodes leave, and in what order the pods of one node are evicted.

use core::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bindings::drain::exports::plimsoll::policy::drain;
use crate::bindings::settings::exports::plimsoll::policy::settings as settings_export;
use crate::{Context, log, settings};

pub use drain::{
    Candidate, Cause, DrainPod, NodeChoice, NodeOrder, NodesRequest, NodesVerdict, PodTurn, PodsRequest, PodsVerdict,
};

/// A policy that orders nodes, pods or both. Export it with [`export_drain!`](crate::export_drain).
pub trait Drain {
    /// What the configuration may set; [`NoSettings`](crate::NoSettings) if nothing.
    type Settings: DeserializeOwned + Default;

    /// Checks beyond what serde checks, when the configuration is loaded.
    ///
    /// # Errors
    /// A sentence that names the key, what is wrong, and what to write.
    fn validate(_settings: &Self::Settings) -> Result<(), String> {
        Ok(())
    }

    /// Orders the nodes that may go. No opinion unless the policy has one.
    fn order_nodes(_settings: &Self::Settings, _request: &NodesRequest) -> NodesVerdict {
        NodesVerdict::Pass
    }

    /// Orders the pods of one node that goes. No opinion unless the policy has one.
    fn order_pods(_settings: &Self::Settings, _request: &PodsRequest) -> PodsVerdict {
        PodsVerdict::Pass
    }
}

impl Candidate {
    /// This node in a [`NodeOrder`], to drain or to keep.
    #[must_use]
    pub fn because(&self, reason: impl Into<String>) -> NodeChoice {
        NodeChoice { node: self.node, reason: reason.into() }
    }
}

impl DrainPod {
    /// This pod's turn, after the host's spacing.
    #[must_use]
    pub fn turn(&self, reason: impl Into<String>) -> PodTurn {
        PodTurn { pod: self.pod, wait_ms: None, reason: reason.into() }
    }
}

/// An empty node: a start for unit tests.
impl Default for Candidate {
    fn default() -> Self {
        Candidate {
            node: 0,
            name: String::new(),
            group: None,
            zone: None,
            lifecycle: None,
            cause: Cause::Empty,
            pods: 0,
            critical_pods: 0,
            single_replicas: 0,
            highest_priority: None,
            longest_warmup_ms: None,
            cpu_permille: 0,
            memory_permille: 0,
            savings: None,
            age_ms: None,
            deadline_ms: None,
        }
    }
}

/// An ordinary pod: a start for unit tests.
impl Default for DrainPod {
    fn default() -> Self {
        DrainPod {
            pod: 0,
            namespace: String::new(),
            name: String::new(),
            priority: 0,
            critical: false,
            daemon_set: false,
            single_replica: false,
            replicas: None,
            disruptions_allowed: None,
            volume_claims: false,
            local_storage: false,
            grace_ms: 30_000,
            warmup_ms: None,
        }
    }
}

/// No candidates, and any number may drain: a start for unit tests.
impl Default for NodesRequest {
    fn default() -> Self {
        NodesRequest { context: Context::default(), candidates: Vec::new(), max_drains: u32::MAX }
    }
}

/// An empty node and no time limit: a start for unit tests.
impl Default for PodsRequest {
    fn default() -> Self {
        PodsRequest {
            context: Context::default(),
            node: Candidate::default(),
            pods: Vec::new(),
            spacing_ms: 0,
            timeout_ms: u64::MAX,
        }
    }
}

/// What the export macro hands to the bindings.
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Drain> drain::Guest for Exported<P> {
    fn order_nodes(request: NodesRequest) -> NodesVerdict {
        // The host validates settings at load; one that did not must not be answered with defaults.
        match settings::parse(&request.context.settings) {
            Ok(settings) => P::order_nodes(&settings, &request),
            Err(error) => NodesVerdict::Hold(error),
        }
    }

    fn order_pods(request: PodsRequest) -> PodsVerdict {
        match settings::parse(&request.context.settings) {
            Ok(settings) => P::order_pods(&settings, &request),
            Err(error) => {
                log::error(error);
                PodsVerdict::Pass
            }
        }
    }
}

impl<P: Drain> settings_export::Guest for Exported<P> {
    fn validate(text: String) -> Result<(), String> {
        P::validate(&settings::parse(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoSettings;
    use drain::Guest as _;
    use settings_export::Guest as _;

    struct NoOpinion;
    impl Drain for NoOpinion {
        type Settings = NoSettings;
    }

    fn context(settings: &str) -> Context {
        Context { settings: settings.into(), ..Context::default() }
    }

    #[test]
    fn the_defaults_pass() {
        assert_eq!(Exported::<NoOpinion>::order_nodes(NodesRequest::default()), NodesVerdict::Pass);
        assert_eq!(Exported::<NoOpinion>::order_pods(PodsRequest::default()), PodsVerdict::Pass);
        assert_eq!(Exported::<NoOpinion>::validate("{}".into()), Ok(()));
    }

    #[test]
    fn bad_settings_drain_nothing() {
        let request = NodesRequest { context: context(r#"{"x": 1}"#), ..NodesRequest::default() };
        assert!(
            matches!(Exported::<NoOpinion>::order_nodes(request), NodesVerdict::Hold(reason) if reason.contains("`x`"))
        );
        let request = PodsRequest { context: context(r#"{"x": 1}"#), ..PodsRequest::default() };
        assert_eq!(Exported::<NoOpinion>::order_pods(request), PodsVerdict::Pass);
    }
}
