//! Approval of kubelet certificates.

use plimsoll_model::Text;
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict, KubeletSigner, MachineFacts, Requester};
use wasmtime::AsContextMut;

use super::context;
use crate::bindings::exports::plimsoll::policy::csr_approval as wit;
use crate::state::Moment;

/// Lists of a request, as slices that the bindings can borrow.
struct Lists<'a> {
    groups: Vec<&'a str>,
    dns_names: Vec<&'a str>,
    ip_addresses: Vec<&'a str>,
    problems: Vec<&'a str>,
}

/// Asks about one request.
pub fn review(
    store: impl AsContextMut,
    guest: &wit::Guest,
    question: &CsrQuestion,
    settings: &str,
) -> wasmtime::Result<Option<CsrVerdict>> {
    let lists = Lists {
        groups: question.groups.iter().map(Text::as_str).collect(),
        dns_names: slices(&question.dns_names),
        ip_addresses: slices(&question.ip_addresses),
        problems: slices(&question.problems),
    };
    guest.call_review(store, request(question, &lists, settings)).map(verdict)
}

fn request<'a>(question: &'a CsrQuestion, lists: &'a Lists<'a>, settings: &'a str) -> wit::Request<'a> {
    wit::Request {
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
        groups: &lists.groups,
        dns_names: &lists.dns_names,
        ip_addresses: &lists.ip_addresses,
        expiration_seconds: question.expiration_seconds,
        age_ms: question.age.map(|age| age.0),
        machine: question.machine.as_ref().map(machine),
        node: question.node.map(|node| node.0),
        problems: &lists.problems,
    }
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
        wit::Verdict::Approve(reason) => Some(CsrVerdict::Approve(super::reason(reason))),
        wit::Verdict::Deny(reason) => Some(CsrVerdict::Deny(super::reason(reason))),
        wit::Verdict::Leave(reason) => Some(CsrVerdict::Leave(super::reason(reason))),
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Millis, NodeId, Timestamp};

    use super::*;
    use crate::bindings::plimsoll::policy::types;

    fn question() -> CsrQuestion {
        CsrQuestion {
            now: Timestamp(1),
            seed: 2,
            name: "a".into(),
            signer: KubeletSigner::Client,
            node_name: "b".into(),
            requester: Requester::Bootstrap,
            username: "c".into(),
            groups: vec!["i".into()],
            dns_names: vec!["d".into()],
            ip_addresses: vec!["e".into()],
            expiration_seconds: Some(3),
            age: Some(Millis(4)),
            machine: Some(MachineFacts {
                name: "f".into(),
                group: Some("g".into()),
                launched: Some(Timestamp(5)),
                joined: true,
                terminating: false,
            }),
            node: Some(NodeId(6)),
            problems: vec!["h".into()],
        }
    }

    #[test]
    fn every_field_has_its_place() {
        let question = question();
        let lists = Lists {
            groups: question.groups.iter().map(Text::as_str).collect(),
            dns_names: slices(&question.dns_names),
            ip_addresses: slices(&question.ip_addresses),
            problems: slices(&question.problems),
        };
        let expected = wit::Request {
            context: types::Context { now_ms: 1, seed: 2, settings: "{}" },
            name: "a",
            signer: wit::Signer::KubeletClient,
            node_name: "b",
            requester: wit::Requester::Bootstrap,
            username: "c",
            groups: &["i"],
            dns_names: &["d"],
            ip_addresses: &["e"],
            expiration_seconds: Some(3),
            age_ms: Some(4),
            machine: Some(wit::Machine {
                name: "f",
                group: Some("g"),
                launched_ms: Some(5),
                joined: true,
                terminating: false,
            }),
            node: Some(6),
            problems: &["h"],
        };
        assert_eq!(format!("{:?}", request(&question, &lists, "{}")), format!("{expected:?}"));
    }
}
