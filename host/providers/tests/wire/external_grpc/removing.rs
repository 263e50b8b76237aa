//! Removals, with everything that can happen to a call.

use std::time::{Duration, Instant};

use plimsoll_planner::drain::RemovalOutcome;
use plimsoll_providers::external_grpc::simulation::{Call, Serving, SimulatedCloud, Trouble};
use plimsoll_providers::{ExternalGrpc, InstanceState, MachineState, NodeGroupProvider as _};
use proptest::prelude::*;
use tonic::Code;

use super::{client, cloud, group, settings};
use crate::support::{intent, leader, permit, removal, removed, request};

fn lost(done: bool) -> Trouble {
    Trouble { done, answer: None, times: 1 }
}

fn says(code: Code, done: bool) -> Trouble {
    Trouble { done, answer: Some((code, "not now".to_owned())), times: 1 }
}

/// A cloud whose group `a` has so many machines, of which one has to stay; they take their time to go.
async fn grown(count: u32) -> (SimulatedCloud, Serving) {
    let (cloud, serving) = cloud();
    cloud.set_deletion(Duration::from_secs(3600));
    let client = client(&serving);
    let (_setter, leadership) = leader();
    let baseline = client.baseline(&request("a", count)).await.expect("a size");
    client.launch(&permit(&leadership), &intent("l", "a", count, baseline)).await;
    let mut a = group("a", 10);
    a.min = 1;
    cloud.set_groups(vec![a, group("b", 3)]);
    let running = |id: &str| cloud.machines("a").contains(&id.to_owned());
    assert!(running("simulated-cloud://a/0"));
    (cloud, serving)
}

fn first() -> plimsoll_planner::drain::Removal {
    removal("a-0", Some("simulated-cloud://a/0"), Some("a"), None)
}

fn deletes(cloud: &SimulatedCloud) -> usize {
    cloud.count(Call::NodeGroupDeleteNodes)
}

#[tokio::test]
async fn the_one_machine_goes_and_the_size_with_it() {
    let (cloud, serving) = grown(3).await;
    let client = client(&serving);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    assert_eq!(client.removal_baseline(&first()).await, Ok(None));
    for _ in 0..3 {
        assert_eq!(client.remove(&permit, &first()).await, RemovalOutcome::Accepted);
        assert_eq!((cloud.size("a"), cloud.machines("a").len(), deletes(&cloud)), (2, 2, 1));
    }
    let calls = cloud.calls();
    let call = calls.iter().find(|recorded| recorded.call == Call::NodeGroupDeleteNodes).expect("a call");
    assert_eq!((call.group.as_str(), call.machines.as_slice()), ("a", &["simulated-cloud://a/0".to_owned()][..]));
    let inventory = client.inventory().await.expect("an inventory");
    assert_eq!(inventory.groups[0].instances[0].state, InstanceState::Deleting);
    assert_eq!(inventory.machine_state("a-0", Some("simulated-cloud://a/0")), MachineState::Deleting);
    assert_eq!(inventory.machine_state("a-1", Some("simulated-cloud://a/1")), MachineState::Present);
    assert_eq!(inventory.machine_state("a-0", None), MachineState::Unknown, "the interface has no names");
}

#[tokio::test]
async fn what_is_gone_is_gone() {
    let (cloud, serving) = grown(3).await;
    cloud.set_deletion(Duration::ZERO);
    let client = client(&serving);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    assert_eq!(client.remove(&permit, &first()).await, RemovalOutcome::Accepted);
    let end = Instant::now() + Duration::from_secs(20);
    while client.remove(&permit, &first()).await != RemovalOutcome::Gone {
        assert!(Instant::now() < end, "it never goes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((cloud.size("a"), deletes(&cloud)), (2, 1));
    let inventory = client.inventory().await.expect("an inventory");
    assert_eq!(inventory.groups[0].instances.len(), 2);
    assert_eq!(inventory.machine_state("a-0", Some("simulated-cloud://a/0")), MachineState::Gone);
    // What could not be read tells nothing.
    cloud.trouble(Call::NodeGroupNodes, says(Code::Internal, false));
    let inventory = client.inventory().await.expect("an inventory");
    assert_eq!(inventory.machine_state("a-0", Some("simulated-cloud://a/0")), MachineState::Unknown);
}

#[tokio::test]
async fn without_a_list_nothing_is_gone_and_nothing_removed() {
    let (cloud, serving) = grown(3).await;
    cloud.set_unimplemented(Call::NodeGroupNodes);
    let client = client(&serving);
    let (_setter, leadership) = leader();
    let outcome = client.remove(&permit(&leadership), &first()).await;
    assert_eq!((removed(&outcome), deletes(&cloud)), ("Invalid", 0), "{outcome:?}");
    let inventory = client.inventory().await.expect("an inventory");
    assert_eq!(inventory.machine_state("a-0", Some("simulated-cloud://a/0")), MachineState::Unknown);
}

#[tokio::test]
async fn the_group_is_asked_for_where_it_is_not_known() {
    let (cloud, serving) = grown(3).await;
    let client = client(&serving);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    for (removal, expected) in [
        (removal("a-0", Some("simulated-cloud://a/0"), None, None), "Accepted"),
        (removal("x", Some("elsewhere://x"), None, None), "Invalid"),
        (removal("x", Some("elsewhere://x"), Some("a"), None), "Gone"),
        (removal("x", Some("elsewhere://x"), Some("nobody"), None), "Invalid"),
        (removal("a-1", None, Some("a"), None), "Invalid"),
    ] {
        let outcome = client.remove(&permit, &removal).await;
        assert_eq!(removed(&outcome), expected, "{removal:?}: {outcome:?}");
    }
    for (removal, known) in [
        (removal("a-1", Some("simulated-cloud://a/1"), None, None), true),
        (removal("x", Some("elsewhere://x"), None, None), false),
        (removal("a-1", None, Some("a"), None), false),
    ] {
        assert_eq!(client.removal_baseline(&removal).await.is_ok(), known, "{removal:?}");
    }
    assert_eq!((cloud.size("a"), deletes(&cloud)), (2, 1));
}

#[tokio::test]
async fn the_smallest_size_is_kept() {
    // By this side, which knows it, and by the server, whatever this side believes.
    let (cloud, serving) = grown(1).await;
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    let outcome = client(&serving).remove(&permit, &first()).await;
    assert_eq!((removed(&outcome), deletes(&cloud)), ("Invalid", 0), "{outcome:?}");
    let believes = client(&serving);
    let mut a = group("a", 10);
    cloud.set_groups(vec![a.clone()]);
    believes.inventory().await.expect("an inventory");
    a.min = 1;
    cloud.set_groups(vec![a]);
    let outcome = believes.remove(&permit, &first()).await;
    assert_eq!((removed(&outcome), deletes(&cloud), cloud.size("a")), ("Invalid", 1, 1), "{outcome:?}");
    assert!(matches!(&outcome, RemovalOutcome::Failed(failure) if failure.message() == "a keeps 1 nodes"));
}

#[tokio::test]
async fn what_the_server_says_decides() {
    for (trouble, expected, size) in [
        (says(Code::ResourceExhausted, false), "RateLimited", 3),
        (says(Code::Unauthenticated, false), "Unauthorized", 3),
        (says(Code::PermissionDenied, false), "Unauthorized", 3),
        (says(Code::InvalidArgument, false), "Invalid", 3),
        (says(Code::NotFound, false), "Invalid", 3),
        (says(Code::OutOfRange, false), "Invalid", 3),
        (says(Code::FailedPrecondition, false), "Invalid", 3),
        (says(Code::Unimplemented, false), "Invalid", 3),
        (says(Code::Internal, false), "Other", 3),
        // It failed, and did it all the same.
        (says(Code::Internal, true), "Accepted", 2),
        (says(Code::FailedPrecondition, true), "Accepted", 2),
        (says(Code::Unavailable, false), "Unknown", 3),
        (says(Code::Unavailable, true), "Accepted", 2),
        (lost(false), "Unknown", 3),
        (lost(true), "Accepted", 2),
    ] {
        let (cloud, serving) = grown(3).await;
        let client = client(&serving);
        let (_setter, leadership) = leader();
        let permit = permit(&leadership);
        cloud.trouble(Call::NodeGroupDeleteNodes, trouble.clone());
        let outcome = client.remove(&permit, &first()).await;
        assert_eq!((removed(&outcome), cloud.size("a")), (expected, size), "{trouble:?}: {outcome:?}");
        let again = client.remove(&permit, &first()).await;
        assert_eq!((removed(&again), cloud.size("a")), ("Accepted", 2), "{trouble:?}: {again:?}");
    }
    // Before anything is sent only what is said of the group itself is a failure.
    for call in [Call::NodeGroupTargetSize, Call::NodeGroupNodes, Call::NodeGroups] {
        for (code, expected) in
            [(Code::Internal, "Unknown"), (Code::PermissionDenied, "Unknown"), (Code::NotFound, "Invalid")]
        {
            let (cloud, serving) = grown(3).await;
            let (_setter, leadership) = leader();
            cloud.trouble(call, says(code, false));
            let outcome = client(&serving).remove(&permit(&leadership), &first()).await;
            assert_eq!((removed(&outcome), deletes(&cloud)), (expected, 0), "{call:?} {code:?}: {outcome:?}");
        }
    }
}

fn patient(serving: &Serving, settle: Duration) -> ExternalGrpc {
    let mut settings = settings(serving);
    settings.settle = settle;
    ExternalGrpc::new(settings).expect("settings")
}

#[tokio::test]
async fn a_call_of_an_earlier_leader_settles_first() {
    let (cloud, serving) = grown(3).await;
    let settle = Duration::from_millis(300);
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    let next = patient(&serving, settle);
    let begin = Instant::now();
    let outcome = next.remove(&permit, &first()).await;
    assert!(matches!(&outcome, RemovalOutcome::Unknown(text) if text.contains("an earlier call")), "{outcome:?}");
    assert_eq!(deletes(&cloud), 0);
    while removed(&next.remove(&permit, &first()).await) == "Unknown" {
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() >= settle, "it did not wait");
    // One that this process knows from its beginning need not wait.
    let second = removal("a-1", Some("simulated-cloud://a/1"), Some("a"), None);
    let at_once = patient(&serving, Duration::from_secs(3600));
    assert_eq!(at_once.removal_baseline(&second).await, Ok(None));
    assert_eq!(at_once.remove(&permit, &second).await, RemovalOutcome::Accepted);
    assert_eq!((cloud.size("a"), deletes(&cloud)), (1, 2));
}

#[tokio::test]
async fn a_slow_call_is_not_sent_twice() {
    let (cloud, serving) = grown(3).await;
    let client = patient(&serving, Duration::from_secs(600));
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    client.removal_baseline(&first()).await.expect("noted");
    // It takes effect long after its deadline.
    cloud.set_latency(Call::NodeGroupDeleteNodes, Duration::from_millis(900));
    assert_eq!(removed(&client.remove(&permit, &first()).await), "Unknown");
    let end = Instant::now() + Duration::from_secs(20);
    while removed(&client.remove(&permit, &first()).await) == "Unknown" {
        assert!(Instant::now() < end, "it never took effect");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((cloud.size("a"), deletes(&cloud)), (2, 1));
}

#[tokio::test]
async fn nothing_goes_while_a_launch_has_no_answer() {
    let (cloud, serving) = grown(3).await;
    let client = patient(&serving, Duration::from_secs(600));
    let (_setter, leadership) = leader();
    let permit = permit(&leadership);
    client.removal_baseline(&first()).await.expect("noted");
    let baseline = client.baseline(&request("a", 1)).await.expect("a size");
    cloud.trouble(Call::NodeGroupIncreaseSize, lost(false));
    client.launch(&permit, &intent("l2", "a", 1, baseline)).await;
    let outcome = client.remove(&permit, &first()).await;
    assert_eq!((removed(&outcome), deletes(&cloud)), ("Unknown", 0), "{outcome:?}");
    assert!(client.removal_baseline(&first()).await.is_err());
}

#[tokio::test]
async fn without_leadership_nothing_is_sent() {
    let (cloud, serving) = grown(3).await;
    let client = client(&serving);
    let (setter, leadership) = leader();
    let permit = permit(&leadership);
    setter.resign();
    assert_eq!(removed(&client.remove(&permit, &first()).await), "Unknown");
    assert_eq!(deletes(&cloud), 0);
    drop(serving);
    assert_eq!(removed(&client.remove(&permit, &first()).await), "Unknown");
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
        4 => (any::<bool>(), prop_oneof![Just(Code::Unavailable), Just(Code::Internal), Just(Code::FailedPrecondition)])
            .prop_map(|(done, code)| Mishap::Says(done, code)),
        3 => Just(Mishap::Crash),
        2 => Just(Mishap::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to calls and processes, the same removals end with exactly those machines gone.
    #[test]
    fn the_others_stay(mishaps in proptest::collection::vec(mishap(), 0..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (size, left) = runtime.block_on(async {
            let (cloud, serving) = grown(4).await;
            let (_setter, leadership) = leader();
            let permit = permit(&leadership);
            let mut mishaps = mishaps.into_iter();
            let mut client = client(&serving);
            for number in [1, 3] {
                let id = format!("simulated-cloud://a/{number}");
                let removal = removal(&format!("a-{number}"), Some(&id), Some("a"), None);
                for tries in 0.. {
                    assert!(tries < 12, "it never ends");
                    match mishaps.next() {
                        Some(Mishap::Lost(done)) => cloud.trouble(Call::NodeGroupDeleteNodes, lost(done)),
                        Some(Mishap::Says(done, code)) => cloud.trouble(Call::NodeGroupDeleteNodes, says(code, done)),
                        Some(Mishap::Crash) => client = super::client(&serving),
                        Some(Mishap::Nothing) | None => {}
                    }
                    if matches!(client.remove(&permit, &removal).await, RemovalOutcome::Accepted) {
                        break;
                    }
                }
            }
            (cloud.size("a"), cloud.machines("a"))
        });
        prop_assert_eq!(size, 2);
        prop_assert_eq!(left, ["simulated-cloud://a/0", "simulated-cloud://a/2"]);
    }
}
