//! Inventories.

use plimsoll_model::Text;
use plimsoll_planner::launch::LaunchFailure;
use plimsoll_providers::external_grpc::simulation::{Call, Trouble};
use plimsoll_providers::{InstanceState, NodeGroupProvider as _, ProviderError};
use tonic::Code;

use super::{client, cloud, group, template};
use crate::support::{intent, leader, permit, request};

#[tokio::test]
async fn groups_come_with_sizes_machines_and_templates() {
    let (cloud, serving) = cloud();
    let mut enveloped = group("b", 3);
    enveloped.envelope = true;
    cloud.set_groups(vec![enveloped, group("a", 10)]);
    let client = client(&serving);
    let (_setter, leadership) = leader();
    cloud.fail_machines("b", "QUOTA_EXCEEDED", 1);
    for (id, count) in [("a", 2), ("b", 1)] {
        let baseline = client.baseline(&request(id, count)).await.expect("a size");
        client.launch(&permit(&leadership), &intent(id, id, count, baseline)).await;
    }
    let inventory = client.inventory().await.expect("an inventory");
    assert_eq!(inventory.problems, [""; 0]);
    let ids: Vec<&str> = inventory.groups.iter().map(|group| group.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let (a, b) = (&inventory.groups[0], &inventory.groups[1]);
    assert_eq!((a.min, a.max, a.target, a.instances.len()), (0, 10, 2, 2));
    assert_eq!(a.template, Some(template()));
    assert_eq!(b.template, Some(template()));
    assert_eq!(
        b.instances[0].state,
        InstanceState::Failed(LaunchFailure::Quota("fails on purpose (QUOTA_EXCEEDED)".to_owned()))
    );
    assert_eq!(cloud.count(Call::Refresh), 1);
}

#[tokio::test]
async fn what_is_not_implemented_is_asked_for_once() {
    let (cloud, serving) = cloud();
    for call in [Call::Refresh, Call::NodeGroupTemplateNodeInfo, Call::NodeGroupNodes] {
        cloud.set_unimplemented(call);
    }
    cloud.set_groups(vec![group("a", 10)]);
    let client = client(&serving);
    for _ in 0..3 {
        let inventory = client.inventory().await.expect("an inventory");
        assert_eq!(inventory.problems, [""; 0]);
        assert_eq!((inventory.groups.len(), &inventory.groups[0].template), (1, &None));
    }
    for call in [Call::Refresh, Call::NodeGroupTemplateNodeInfo, Call::NodeGroupNodes] {
        assert_eq!(cloud.count(call), 1, "{call:?}");
    }
}

#[tokio::test]
async fn a_template_is_kept_as_long_as_its_group() {
    let (cloud, serving) = cloud();
    cloud.set_groups(vec![group("a", 10)]);
    let client = client(&serving);
    // A failure is not kept.
    let answer = Some((Code::Internal, "later".to_owned()));
    cloud.trouble(Call::NodeGroupTemplateNodeInfo, Trouble { done: false, answer, times: 1 });
    let inventory = client.inventory().await.expect("an inventory");
    assert_eq!(inventory.problems, ["the template of node group a: later"]);
    for _ in 0..3 {
        client.inventory().await.expect("an inventory");
    }
    assert_eq!(cloud.count(Call::NodeGroupTemplateNodeInfo), 2);
    cloud.set_groups(Vec::new());
    assert_eq!(client.inventory().await.map(|inventory| inventory.groups), Ok(Vec::new()));
    cloud.set_groups(vec![group("a", 10)]);
    client.inventory().await.expect("an inventory");
    assert_eq!(cloud.count(Call::NodeGroupTemplateNodeInfo), 3);
}

#[tokio::test]
async fn errors_are_not_empty_lists() {
    let (cloud, serving) = cloud();
    let client = client(&serving);
    let trouble = |answer: Option<(Code, &str)>| Trouble {
        done: false,
        answer: answer.map(|(code, text)| (code, text.to_owned())),
        times: 1,
    };
    for (answer, label) in [
        (Some((Code::Internal, "no")), "Failed"),
        (Some((Code::PermissionDenied, "no")), "Unauthorized"),
        (Some((Code::Unavailable, "no")), "Unreachable"),
        (None, "Unreachable"),
    ] {
        cloud.trouble(Call::NodeGroups, trouble(answer));
        assert_eq!(client.inventory().await.map_err(|error| error.label()), Err(label));
    }
    // One group that cannot be read is a problem of that group.
    cloud.trouble(Call::NodeGroupTargetSize, trouble(Some((Code::Internal, "broken"))));
    let inventory = client.inventory().await.expect("an inventory");
    assert_eq!((inventory.groups.len(), inventory.problems.len()), (1, 1));
    let nobody = client.baseline(&request("nobody", 1)).await;
    assert_eq!(nobody, Err(ProviderError::NoGroup(Text::from("nobody"))));
    drop(serving);
    let gone = client.inventory().await.map_err(|error| error.label());
    assert_eq!(gone, Err("Unreachable"));
}

#[tokio::test]
async fn groups_without_sense_are_left_out() {
    let (cloud, serving) = cloud();
    let mut backwards = group("backwards", 3);
    backwards.min = 4;
    let mut below = group("below", 3);
    below.min = -1;
    cloud.set_groups(vec![backwards, below, group("a", 5), group("a", 7), group("", 1), group("bell\u{7}", 1)]);
    let inventory = client(&serving).inventory().await.expect("an inventory");
    assert_eq!(inventory.groups.iter().map(|group| (group.id.as_str(), group.max)).collect::<Vec<_>>(), [("a", 5)]);
    assert_eq!(inventory.problems.len(), 5, "{:?}", inventory.problems);
    assert!(inventory.problems.iter().all(|problem| !problem.contains('\u{7}')));
}

/// What cluster-autoscaler asks of a server, the client asks too: all fifteen are there.
#[tokio::test]
async fn the_end_is_said() {
    let (cloud, serving) = cloud();
    client(&serving).finish().await;
    assert_eq!(cloud.count(Call::Cleanup), 1);
}
