//! Whether a kubelet gets the certificate it asks for.

use core::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bindings::csr_approval::exports::plimsoll::policy::csr_approval;
use crate::bindings::settings::exports::plimsoll::policy::settings as settings_export;
use crate::{Context, settings};

pub use csr_approval::{Machine, Request, Requester, Signer, Verdict};

/// A policy that decides about kubelet certificates. Export it with
/// [`export_csr_approval!`](crate::export_csr_approval).
pub trait CsrApproval {
    /// What the configuration may set; [`NoSettings`](crate::NoSettings) if nothing.
    type Settings: DeserializeOwned + Default;

    /// Checks beyond what serde checks, when the configuration is loaded.
    ///
    /// # Errors
    /// A sentence that names the key, what is wrong, and what to write.
    fn validate(_settings: &Self::Settings) -> Result<(), String> {
        Ok(())
    }

    /// Decides about one request. Approving one whose `problems` is not empty has no effect.
    fn review(settings: &Self::Settings, request: &Request) -> Verdict;
}

/// A new node that asks for its first certificate, and that nobody launched: a start for unit tests.
impl Default for Request {
    fn default() -> Self {
        Request {
            context: Context::default(),
            name: String::new(),
            signer: Signer::KubeletClient,
            node_name: String::new(),
            requester: Requester::Bootstrap,
            username: String::new(),
            groups: Vec::new(),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            expiration_seconds: None,
            age_ms: None,
            machine: None,
            node: None,
            problems: Vec::new(),
        }
    }
}

/// A machine that runs and has not joined: a start for unit tests.
impl Default for Machine {
    fn default() -> Self {
        Machine { name: String::new(), group: None, launched_ms: None, joined: false, terminating: false }
    }
}

/// What the export macro hands to the bindings.
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: CsrApproval> csr_approval::Guest for Exported<P> {
    fn review(request: Request) -> Verdict {
        // The host validates settings at load; one that did not must not be answered with defaults.
        match settings::parse(&request.context.settings) {
            Ok(settings) => P::review(&settings, &request),
            Err(error) => Verdict::Leave(error),
        }
    }
}

impl<P: CsrApproval> settings_export::Guest for Exported<P> {
    fn validate(text: String) -> Result<(), String> {
        P::validate(&settings::parse(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoSettings;
    use csr_approval::Guest as _;

    struct Everybody;
    impl CsrApproval for Everybody {
        type Settings = NoSettings;
        fn review(_: &NoSettings, request: &Request) -> Verdict {
            Verdict::Approve(request.node_name.clone())
        }
    }

    #[test]
    fn bad_settings_approve_nothing() {
        let request = Request { node_name: "node-1".into(), ..Request::default() };
        assert_eq!(Exported::<Everybody>::review(request.clone()), Verdict::Approve("node-1".into()));
        let context = Context { settings: r#"{"x": 1}"#.into(), ..Context::default() };
        let verdict = Exported::<Everybody>::review(Request { context, ..request });
        assert!(matches!(verdict, Verdict::Leave(reason) if reason.contains("`x`")));
    }
}
