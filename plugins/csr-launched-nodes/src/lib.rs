//! Approves kubelet certificates of machines that Plimsoll knows to be launched, and leaves the rest.
//!
//! A request is approved when the host's identity checks passed and the node is a launched machine that is
//! not being deleted, and either
//!
//! * a bootstrap identity asks for the kubelet's first client certificate, and the node has not joined yet, or
//! * the node itself asks, for a renewal or for its serving certificate.

use plimsoll_sdk::CsrApproval;
use plimsoll_sdk::csr_approval::{Request, Requester, Signer, Verdict};
use serde::Deserialize;

/// What the configuration may set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// Requests older than this many seconds are left; no limit when absent.
    pub max_age_seconds: Option<u64>,
    /// Denies requests that fail an identity check and come from neither a bootstrap identity nor the node.
    pub deny_forged: bool,
}

/// The policy.
#[derive(Debug)]
pub struct LaunchedNodes;

plimsoll_sdk::export_csr_approval!(LaunchedNodes);

impl CsrApproval for LaunchedNodes {
    type Settings = Settings;

    fn validate(settings: &Settings) -> Result<(), String> {
        match settings.max_age_seconds {
            Some(0) => Err("the setting `maxAgeSeconds` is 0, so that nothing would ever be approved: write the \
                            seconds that a request may be old, or leave the key out"
                .into()),
            _ => Ok(()),
        }
    }

    fn review(settings: &Settings, request: &Request) -> Verdict {
        if !request.problems.is_empty() {
            return refused(settings, request);
        }
        match grounds(settings, request) {
            Ok(reason) => Verdict::Approve(reason),
            Err(reason) => Verdict::Leave(reason),
        }
    }
}

fn refused(settings: &Settings, request: &Request) -> Verdict {
    let reason = format!("identity checks failed: {}", request.problems.join("; "));
    match request.requester {
        Requester::Other if settings.deny_forged => Verdict::Deny(reason),
        _ => Verdict::Leave(reason),
    }
}

/// Why the request may be approved, or why not.
fn grounds(settings: &Settings, request: &Request) -> Result<String, String> {
    let node = &request.node_name;
    if let Some(limit) = settings.max_age_seconds {
        match request.age_ms {
            None => return Err(format!("its age is unknown, and `maxAgeSeconds` is {limit}")),
            Some(age) if age > limit.saturating_mul(1000) => {
                return Err(format!("it is {} s old, and `maxAgeSeconds` is {limit}", age.div_ceil(1000)));
            }
            Some(_) => {}
        }
    }
    if request.requester == Requester::Other {
        return Err(format!("{} is neither a bootstrap identity nor node {node}", request.username));
    }
    let Some(machine) = &request.machine else {
        return Err(format!("no launched machine is node {node}"));
    };
    let name = &machine.name;
    if machine.terminating {
        return Err(format!("machine {name} is being deleted"));
    }
    match (request.requester, request.signer) {
        (Requester::SameNode, Signer::KubeletClient) => Ok(format!("node {node} renews; it is machine {name}")),
        (Requester::SameNode, Signer::KubeletServing) => {
            Ok(format!("node {node} asks for its serving certificate; it is machine {name}"))
        }
        (_, Signer::KubeletServing) => Err("a bootstrap identity may not ask for a serving certificate".into()),
        // A second first certificate for a node that runs would be somebody else's.
        _ if machine.joined => Err(format!("node {node} has joined already, yet a bootstrap identity asks for it")),
        _ => Ok(match &machine.group {
            Some(group) => format!("machine {name} of group {group} was launched and has not joined yet"),
            None => format!("machine {name} was launched and has not joined yet"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_sdk::csr_approval::Machine;

    fn machine() -> Option<Machine> {
        Some(Machine { name: "m-1".into(), group: Some("shop".into()), ..Machine::default() })
    }

    fn first_certificate() -> Request {
        Request { node_name: "node-1".into(), machine: machine(), age_ms: Some(5_000), ..Request::default() }
    }

    fn from_the_node(signer: Signer) -> Request {
        let machine = Some(Machine { name: "m-1".into(), joined: true, ..Machine::default() });
        Request { requester: Requester::SameNode, signer, machine, ..first_certificate() }
    }

    fn review(request: &Request) -> Verdict {
        LaunchedNodes::review(&Settings::default(), request)
    }

    #[track_caller]
    fn assert_left(verdict: &Verdict, why: &str) {
        assert!(matches!(verdict, Verdict::Leave(reason) if reason.contains(why)), "{verdict:?}");
    }

    #[test]
    fn approves_what_was_launched() {
        let expected = "machine m-1 of group shop was launched and has not joined yet";
        assert_eq!(review(&first_certificate()), Verdict::Approve(expected.into()));
        let expected = "node node-1 renews; it is machine m-1";
        assert_eq!(review(&from_the_node(Signer::KubeletClient)), Verdict::Approve(expected.into()));
        let expected = "node node-1 asks for its serving certificate; it is machine m-1";
        assert_eq!(review(&from_the_node(Signer::KubeletServing)), Verdict::Approve(expected.into()));
    }

    #[test]
    fn leaves_everything_else() {
        let good = first_certificate();
        let gone = |joined| Some(Machine { terminating: true, joined, ..Machine::default() });
        let joined = Some(Machine { joined: true, ..Machine::default() });
        let other = Requester::Other;
        for (request, why) in [
            (Request { machine: None, ..good.clone() }, "no launched machine is node node-1"),
            (Request { machine: gone(false), ..good.clone() }, "is being deleted"),
            (Request { machine: gone(true), ..from_the_node(Signer::KubeletServing) }, "is being deleted"),
            (Request { machine: None, ..from_the_node(Signer::KubeletClient) }, "no launched machine"),
            (Request { machine: joined, ..good.clone() }, "has joined already"),
            (Request { signer: Signer::KubeletServing, ..good.clone() }, "may not ask for a serving certificate"),
            (Request { requester: other, username: "eve".into(), ..good }, "eve is neither"),
            (Request { requester: other, username: "eve".into(), ..from_the_node(Signer::KubeletClient) }, "eve is"),
        ] {
            assert_left(&review(&request), why);
        }
    }

    #[test]
    fn a_failed_check_is_never_approved() {
        let settings = Settings { deny_forged: true, ..Settings::default() };
        let problems = vec!["the organization is not system:nodes".to_owned(), "two common names".to_owned()];
        let expected = "identity checks failed: the organization is not system:nodes; two common names";
        for (requester, deny) in [(Requester::Bootstrap, false), (Requester::SameNode, false), (Requester::Other, true)]
        {
            let request = Request { requester, problems: problems.clone(), ..first_certificate() };
            assert_eq!(review(&request), Verdict::Leave(expected.into()));
            let denied = LaunchedNodes::review(&settings, &request);
            assert_eq!(denied, if deny { Verdict::Deny(expected.into()) } else { Verdict::Leave(expected.into()) });
        }
    }

    #[test]
    fn forgers_are_denied_only_when_a_check_failed() {
        let settings = Settings { deny_forged: true, ..Settings::default() };
        let request = Request { requester: Requester::Other, ..first_certificate() };
        assert_left(&LaunchedNodes::review(&settings, &request), "neither a bootstrap identity");
    }

    #[test]
    fn old_requests_are_left() {
        let settings = Settings { max_age_seconds: Some(5), ..Settings::default() };
        let aged = |age_ms| LaunchedNodes::review(&settings, &Request { age_ms, ..first_certificate() });
        assert!(matches!(aged(Some(5_000)), Verdict::Approve(_)));
        assert_left(&aged(Some(5_001)), "it is 6 s old");
        assert_left(&aged(None), "its age is unknown");
    }

    #[test]
    fn settings_are_checked_at_load() {
        let parse = plimsoll_sdk::settings::parse::<Settings>;
        let settings = parse(r#"{"maxAgeSeconds": 900, "denyForged": true}"#).unwrap();
        assert_eq!(settings, Settings { max_age_seconds: Some(900), deny_forged: true });
        assert_eq!(LaunchedNodes::validate(&settings), Ok(()));
        assert!(parse(r#"{"maxAge": 900}"#).unwrap_err().contains("`maxAge`"));
        let zero = Settings { max_age_seconds: Some(0), deny_forged: false };
        assert!(LaunchedNodes::validate(&zero).unwrap_err().contains("`maxAgeSeconds`"));
    }
}
