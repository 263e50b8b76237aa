//! Approval of kubelet certificates.

use plimsoll_planner::csr::{CsrQuestion, CsrVerdict, KubeletSigner, MachineFacts, Requester};
use wasmtime::AsContextMut;

use super::context;
use crate::bindings::exports::plimsoll::policy::csr_approval as wit;
use crate::state::Moment;

/// Asks about one request.
pub fn review(
    store: impl AsContextMut,
    guest: &wit::Guest,
    question: &CsrQuestion,
    settings: &str,
) -> wasmtime::Result<Option<CsrVerdict>> {
    let dns_names = slices(&question.dns_names);
    let ip_addresses = slices(&question.ip_addresses);
    let problems = slices(&question.problems);
    let request = wit::Request {
        context: context(Moment { now: question.now, seed: question.seed }, settings),
        name: &question.name,
        signer: match question.signer {
            KubeletSigner::Client => wit::Signer::KubeletClient,
            KubeletSigner::Serving => wit::Signer::KubeletServing,
        },
        node_name: &question.node_name,
        requester: match question.requester {
            Requester::Bootstrap => wit::Requester::Bootstrap,
            Requester::SameNode => wit::Requester::SameNode,
            Requester::Other => wit::Requester::Other,
        },
        username: &question.username,
        dns_names: &dns_names,
        ip_addresses: &ip_addresses,
        expiration_seconds: question.expiration_seconds,
        age_ms: question.age.map(|age| age.0),
        machine: question.machine.as_ref().map(machine),
        node: question.node.map(|node| node.0),
        problems: &problems,
    };
    guest.call_review(store, request).map(verdict)
}

fn slices(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn machine(facts: &MachineFacts) -> wit::Machine<'_> {
    wit::Machine {
        name: &facts.name,
        group: facts.group.as_deref(),
        launched_ms: facts.launched.map(|launched| launched.0),
        joined: facts.joined,
        terminating: facts.terminating,
    }
}

fn verdict(verdict: wit::Verdict) -> Option<CsrVerdict> {
    match verdict {
        wit::Verdict::Pass => None,
        wit::Verdict::Approve(reason) => Some(CsrVerdict::Approve(reason)),
        wit::Verdict::Deny(reason) => Some(CsrVerdict::Deny(reason)),
        wit::Verdict::Leave(reason) => Some(CsrVerdict::Leave(reason)),
    }
}
