//! Launches, with everything that can happen to a call.

use std::time::Duration;

use plimsoll_kube::Term;
use plimsoll_planner::launch::LaunchOutcome;
use plimsoll_providers::external_grpc::simulation::{Call, Trouble};
use plimsoll_providers::{ExternalGrpc, NodeGroupProvider as _};
use proptest::prelude::*;
use tonic::Code;

use super::{client, cloud, settings};
use crate::support::{intent, label, leader, permit, request};

fn lost(done: bool) -> Trouble {
    Trouble { done, answer: None, times: 1 }
}

fn says(code: Code, done: bool) -> Trouble {
    Trouble { done, answer: Some((code, "no m5.large".to_owned())), times: 1 }
}

#[tokio::test]
async fn a_size_goes_up_by_what_is_missing() {
    let (cloud, serving) = cloud();
    let client = client(&serving);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    for (id, count, size) in [("l1", 2, 2), ("l2", 3, 5)] {
        let baseline = client.baseline(&request("a", count)).await.expect("a size");
        let intent = intent(id, "a", count, baseline);
        for _ in 0..3 {
            assert_eq!(label(&client.launch(&permit, &intent).await), "Accepted");
            assert_eq!(cloud.size("a"), size);
        }
    }
    assert_eq!(cloud.count(Call::NodeGroupIncreaseSize), 2);
}

#[tokio::test]
async fn what_the_server_says_decides() {
    for (trouble, expected, size) in [
        (says(Code::ResourceExhausted, false), "NoCapacity", 0),
        (says(Code::Unauthenticated, false), "Unauthorized", 0),
        (says(Code::PermissionDenied, false), "Unauthorized", 0),
        (says(Code::InvalidArgument, false), "Invalid", 0),
        (says(Code::OutOfRange, false), "GroupFull", 0),
        (says(Code::FailedPrecondition, false), "GroupFull", 0),
        (says(Code::Internal, false), "Other", 0),
        // It failed, and did it all the same.
        (says(Code::Internal, true), "Accepted", 2),
        (says(Code::Unavailable, false), "Unknown", 0),
        (says(Code::Unavailable, true), "Accepted", 2),
        (says(Code::DeadlineExceeded, false), "Unknown", 0),
        (lost(false), "Unknown", 0),
        (lost(true), "Accepted", 2),
    ] {
        let (cloud, serving) = cloud();
        let client = client(&serving);
        let (_setter, leadership) = leader();
        cloud.trouble(Call::NodeGroupIncreaseSize, trouble.clone());
        let outcome = client.launch(&permit(&leadership), &intent("l", "a", 2, Some(0))).await;
        assert_eq!((label(&outcome), cloud.size("a")), (expected, size), "{trouble:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_not_sent() {
    let (cloud, serving) = cloud();
    let client = client(&serving);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    client.inventory().await.expect("an inventory");
    for (intent, expected) in [
        (intent("l", "a", 2, None), "Invalid"),
        (intent("l", "nobody", 2, Some(0)), "Invalid"),
        (intent("l", "b", 4, Some(0)), "GroupFull"),
        (intent("l", "a", u32::MAX, Some(1)), "Invalid"),
    ] {
        assert_eq!(label(&client.launch(&permit, &intent).await), expected, "{intent:?}");
    }
    assert_eq!(cloud.count(Call::NodeGroupIncreaseSize), 0);
}

#[tokio::test]
async fn a_slow_call_is_not_sent_twice() {
    let (cloud, serving) = cloud();
    let slow = ExternalGrpcSettingsOf { settle: Duration::from_secs(600) }.client(&serving);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    let baseline = slow.baseline(&request("a", 2)).await.expect("a size");
    let intent = intent("l", "a", 2, baseline);
    // It takes effect long after its deadline.
    cloud.set_latency(Call::NodeGroupIncreaseSize, Duration::from_millis(900));
    let first = slow.launch(&permit, &intent).await;
    assert_eq!((label(&first), cloud.size("a")), ("Unknown", 0), "{first:?}");
    let again = slow.launch(&permit, &intent).await;
    assert!(matches!(&again, LaunchOutcome::Unknown(text) if text.contains("an earlier call")), "{again:?}");
    // Nor does a new launch begin from a size that is about to change.
    let next = slow.baseline(&request("a", 1)).await;
    assert!(next.is_err() || cloud.size("a") == 2, "{next:?}");
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while label(&slow.launch(&permit, &intent).await) == "Unknown" {
        assert!(std::time::Instant::now() < end, "it never took effect");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((cloud.size("a"), cloud.count(Call::NodeGroupIncreaseSize)), (2, 1));
    assert_eq!(slow.baseline(&request("a", 1)).await, Ok(Some(2)));
}

struct ExternalGrpcSettingsOf {
    settle: Duration,
}

impl ExternalGrpcSettingsOf {
    fn client(&self, serving: &plimsoll_providers::external_grpc::simulation::Serving) -> ExternalGrpc {
        let mut settings = settings(serving);
        settings.settle = self.settle;
        ExternalGrpc::new(settings).expect("settings")
    }
}

#[tokio::test]
async fn the_launch_of_an_earlier_leader_settles_first() {
    let (cloud, serving) = cloud();
    let next = ExternalGrpcSettingsOf { settle: Duration::from_millis(300) }.client(&serving);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    let intent = intent("l", "a", 2, Some(0));
    let begin = std::time::Instant::now();
    let first = next.launch(&permit, &intent).await;
    assert!(matches!(&first, LaunchOutcome::Unknown(text) if text.contains("an earlier call")), "{first:?}");
    assert_eq!(cloud.count(Call::NodeGroupIncreaseSize), 0);
    while label(&next.launch(&permit, &intent).await) == "Unknown" {
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(300), "it did not wait");
    assert_eq!(cloud.size("a"), 2);
}

#[tokio::test]
async fn without_leadership_nothing_is_sent_and_nothing_awaited() {
    let (cloud, serving) = cloud();
    let client = client(&serving);
    let (setter, leadership) = leader();
    let permit = permit(&leadership);
    let intent = intent("l", "a", 2, Some(0));
    // It ends while the call is under way.
    cloud.trouble(Call::NodeGroupIncreaseSize, lost(true));
    let resign = async {
        while cloud.count(Call::NodeGroupIncreaseSize) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        setter.resign();
    };
    let (outcome, ()) = tokio::join!(client.launch(&permit, &intent), resign);
    // What had been sent has been done; the next leader sees it.
    assert!(matches!(label(&outcome), "Accepted" | "Unknown"), "{outcome:?}");
    assert_eq!(cloud.size("a"), 2);
    let before = cloud.count(Call::NodeGroupIncreaseSize);
    let other = super::client(&serving);
    assert_eq!(label(&other.launch(&permit, &super::super::support::intent("m", "b", 1, Some(0))).await), "Unknown");
    assert_eq!(cloud.count(Call::NodeGroupIncreaseSize), before);
    setter.lead(Term { number: 2, until: None });
    let again = crate::support::permit(&leadership);
    assert_eq!(label(&other.launch(&again, &intent).await), "Accepted");
    assert_eq!(cloud.size("a"), 2);
}

#[derive(Clone, Debug)]
enum Mishap {
    Lost(bool),
    Says(bool, Code),
    Crash,
    Nothing,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        1 => any::<bool>().prop_map(Mishap::Lost),
        4 => (any::<bool>(), prop_oneof![Just(Code::Unavailable), Just(Code::Cancelled), Just(Code::DeadlineExceeded)])
            .prop_map(|(done, code)| Mishap::Says(done, code)),
        3 => Just(Mishap::Crash),
        2 => Just(Mishap::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to calls and processes, the same intents end with exactly their nodes.
    #[test]
    fn nothing_is_lost_and_nothing_doubled(
        mishaps in proptest::collection::vec(mishap(), 0..6),
        counts in proptest::collection::vec(1u32..3, 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (size, wanted) = runtime.block_on(async {
            let (cloud, serving) = cloud();
            let (_setter, leadership) = leader();
            let permit = permit(&leadership);
            let mut mishaps = mishaps.into_iter();
            let mut client = client(&serving);
            for (at, count) in counts.iter().enumerate() {
                let baseline = client.baseline(&request("a", *count)).await.expect("a size");
                let intent = intent(&format!("l{at}"), "a", *count, baseline);
                for tries in 0.. {
                    assert!(tries < 10, "it never ends");
                    match mishaps.next() {
                        Some(Mishap::Lost(done)) => cloud.trouble(Call::NodeGroupIncreaseSize, lost(done)),
                        Some(Mishap::Says(done, code)) => {
                            cloud.trouble(Call::NodeGroupIncreaseSize, says(code, done));
                        }
                        Some(Mishap::Crash) => client = super::client(&serving),
                        Some(Mishap::Nothing) | None => {}
                    }
                    if label(&client.launch(&permit, &intent).await) == "Accepted" {
                        break;
                    }
                }
            }
            (cloud.size("a"), counts.iter().sum::<u32>())
        });
        prop_assert_eq!(u32::try_from(size), Ok(wanted));
    }
}
