//! Many requests at once, and what a policy may do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use plimsoll_model::{CsrState, SigningRequest, Snapshot, Timestamp};
use plimsoll_planner::csr::{
    Check, CsrPlanner, CsrQuestion, CsrRules, CsrVerdict, KubeletSigner, Requester, plan_csrs,
};
use plimsoll_planner::{Asked, CsrPolicy};

use crate::der::ip;
use crate::draft::*;
use crate::fixture::{NOW, World, machine};

/// Answers the same each time, and counts.
struct Fixed(Option<CsrVerdict>, AtomicUsize);

impl Fixed {
    fn new(verdict: Option<CsrVerdict>) -> Self {
        Self(verdict, AtomicUsize::new(0))
    }
}

impl CsrPolicy for Fixed {
    fn review(&self, _: &Arc<Snapshot>, _: &CsrQuestion) -> Asked<CsrVerdict> {
        self.1.fetch_add(1, Relaxed);
        Asked { verdict: self.0.clone(), calls: vec![] }
    }
}

fn verdict_of(policy: &dyn CsrPolicy, draft: &Draft) -> CsrVerdict {
    let mut world = world();
    world.builder.add_signing_request(draft.request());
    plan_csrs(&world.build(), NOW, &CsrRules::default(), policy).decisions.remove(0).verdict
}

#[test]
fn one_poisoned_request_holds_up_no_other() {
    let mut world = world();
    let poison: [Vec<u8>; 5] = [
        vec![0xff; 10_000],
        vec![],
        pem(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).into_bytes(),
        pem(&[0x30; 3_000]).into_bytes(),
        vec![b'-'; 200_000],
    ];
    for (at, bytes) in poison.into_iter().enumerate() {
        world.builder.add_signing_request(SigningRequest {
            name: format!("csr-0-{at}").as_str().into(),
            ..serving().request_of(bytes)
        });
    }
    world.builder.add_signing_request(serving().request());
    let plan = plan_csrs(&world.build(), NOW, &CsrRules::default(), &Generous);
    let (last, rest) = plan.decisions.split_last().unwrap();
    assert!(rest.len() == 5 && rest.iter().all(|decision| matches!(decision.verdict, CsrVerdict::Leave(_))));
    assert!(matches!(last.verdict, CsrVerdict::Approve(_)), "{:?}", last.verdict);
}

#[test]
fn a_policy_narrows_and_never_widens() {
    let approve = || CsrVerdict::Approve("a".to_owned());
    let (deny, leave) = (CsrVerdict::Deny("d".to_owned()), CsrVerdict::Leave("l".to_owned()));
    let sound = serving();
    let wrong = serving_for(&[ip("10.0.0.77")]);
    let early = Draft { subject: subject("system:node:n5"), username: "system:node:n5".to_owned(), ..serving() };
    let with = |verdict: Option<CsrVerdict>, draft: &Draft| verdict_of(&Fixed::new(verdict), draft);
    assert_eq!(with(Some(approve()), &sound), approve());
    assert_eq!(with(Some(deny.clone()), &sound), deny);
    assert_eq!(with(Some(leave.clone()), &sound), leave);
    assert!(matches!(with(None, &sound), CsrVerdict::Leave(reason) if reason.contains("no policy answered")));
    assert_eq!(with(Some(deny.clone()), &wrong), deny);
    for answer in [None, Some(approve()), Some(leave.clone()), Some(CsrVerdict::Retry(String::new()))] {
        let CsrVerdict::Leave(reason) = with(answer.clone(), &wrong) else { panic!("{answer:?}") };
        assert!(reason.contains("10.0.0.77"), "{reason}");
    }
    let mut world = World::default().machines([machine("m5", Some("n5"), &[])]);
    world.builder.add_signing_request(early.request());
    let snapshot = world.build();
    for (answer, expected) in
        [(Some(approve()), "retry"), (None, "retry"), (Some(leave), "retry"), (Some(deny), "deny")]
    {
        let plan = plan_csrs(&snapshot, NOW, &CsrRules::default(), &Fixed::new(answer));
        let is = match &plan.decisions[0].verdict {
            CsrVerdict::Retry(_) => "retry",
            CsrVerdict::Deny(_) => "deny",
            other => panic!("{other:?}"),
        };
        assert_eq!(is, expected);
    }
    // What the host has changed is said.
    let plan = plan_csrs(&snapshot, NOW, &CsrRules::default(), &Generous);
    assert_eq!(plan.clipped.len(), 1);
    assert!(plan.clipped[0].starts_with("csr-1: approved by the policy, but "), "{:?}", plan.clipped);
}

#[test]
fn no_policy_is_asked_about_what_cannot_be_read_or_is_forged() {
    let asked = |draft: &Draft| {
        let policy = Fixed::new(None);
        verdict_of(&policy, draft);
        policy.1.into_inner()
    };
    assert_eq!(asked(&serving()), 1);
    assert_eq!(asked(&serving_for(&[ip("10.0.0.77")])), 1);
    assert_eq!(asked(&Draft { pem: |_| String::new(), ..serving() }), 0);
    assert_eq!(asked(&Draft { whole: |_| vec![], ..serving() }), 0);
    assert_eq!(asked(&Draft { username: "system:node:n2".to_owned(), ..serving() }), 0);
    assert_eq!(asked(&Draft { signer: "example.com/other", ..serving() }), 0);
    assert_eq!(asked(&Draft { state: CsrState::Approved, ..serving() }), 0);
}

#[test]
fn a_flood_stops_everything() {
    // Five machines and 100 more.
    let flooded = |count: usize, change: fn(&mut SigningRequest)| {
        let mut world = world();
        let text = serving().text();
        for at in 0..count {
            let mut request = serving().request_of(text.clone());
            request.name = format!("csr-{at:04}").as_str().into();
            if at > 0 {
                change(&mut request);
            }
            world.builder.add_signing_request(request);
        }
        let policy = Fixed::new(Some(CsrVerdict::Approve(String::new())));
        let plan = plan_csrs(&world.build(), NOW, &CsrRules::default(), &policy);
        match &plan.decisions[0].verdict {
            CsrVerdict::Approve(_) => false,
            CsrVerdict::Leave(reason) => {
                assert!(reason.contains("106 requests") && policy.1.into_inner() == 0, "{reason}");
                assert_eq!(plan.decisions[0].findings.last().unwrap().check, Check::Flood);
                true
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(!flooded(105, |_| {}) && flooded(106, |_| {}));
    assert!(!flooded(106, |request| request.state = CsrState::Denied));
    assert!(!flooded(106, |request| request.signer = "example.com/other".into()));
    assert!(!flooded(106, |request| request.created = Some(Timestamp(NOW.0 - 3_600_001))));
    assert!(flooded(106, |request| request.created = None));
    assert!(flooded(106, |request| request.created = Some(Timestamp(NOW.0 - 3_600_000))));
}

/// The same as planning from scratch each time, also for a name that has become another request.
#[test]
fn what_was_read_before_is_read_again_when_it_changes() {
    let mut planner = CsrPlanner::default();
    let mut decide = |draft: &Draft, text: &[u8]| {
        let mut world = world();
        world.builder.add_signing_request(draft.request_of(text.to_vec()));
        planner.plan(&world.build(), NOW, &CsrRules::default(), &Generous).decisions.remove(0).verdict
    };
    let (good, bad) = (serving().text(), serving_for(&[ip("10.0.0.2")]).text());
    for _ in 0..2 {
        assert!(matches!(decide(&serving(), &good), CsrVerdict::Approve(_)));
        assert!(matches!(decide(&serving(), &good), CsrVerdict::Approve(_)));
        assert!(matches!(decide(&serving(), &bad), CsrVerdict::Leave(_)));
        assert!(matches!(decide(&serving(), b""), CsrVerdict::Leave(_)));
        // The same bytes, asked for by another.
        let other = Draft { username: "system:node:n2".to_owned(), ..serving() };
        assert!(matches!(decide(&other, &good), CsrVerdict::Deny(_)));
    }
}

#[test]
fn policies_see_what_was_read() {
    struct Curious;
    impl CsrPolicy for Curious {
        fn review(&self, _: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict> {
            assert_eq!((question.signer, question.requester), (KubeletSigner::Serving, Requester::SameNode));
            assert_eq!(
                (question.node_name.as_str(), question.dns_names.as_slice()),
                ("n1", &["n1.internal".to_owned()][..])
            );
            assert_eq!(question.ip_addresses, ["10.0.0.1"]);
            let machine = question.machine.as_ref().unwrap();
            assert!(machine.name == "m1" && machine.joined && !machine.terminating && question.node.is_some());
            assert!(question.problems.is_empty());
            Asked { verdict: Some(CsrVerdict::Leave("seen".to_owned())), calls: vec![] }
        }
    }
    assert_eq!(verdict_of(&Curious, &serving()), CsrVerdict::Leave("seen".to_owned()));
}

#[test]
fn a_machine_that_became_another_node_is_not_this_one() {
    struct Curious;
    impl CsrPolicy for Curious {
        fn review(&self, _: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict> {
            assert_eq!(question.requester, Requester::Bootstrap);
            let machine = question.machine.as_ref().map_or("none", |machine| machine.name.as_str());
            Asked { verdict: Some(CsrVerdict::Deny(machine.to_owned())), calls: vec![] }
        }
    }
    for (became, expected) in [(None, "n9"), (Some("n1"), "none"), (Some("n9"), "n9")] {
        let mut world = World::default().machines([machine("n9", became, &[])]);
        world.builder.add_signing_request(client().request());
        let plan = plan_csrs(&world.build(), NOW, &CsrRules::default(), &Curious);
        assert_eq!(plan.decisions[0].verdict, CsrVerdict::Deny(expected.to_owned()));
    }
}
