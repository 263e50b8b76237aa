//! One machine is deleted.

use plimsoll_kube::Permit;
use plimsoll_model::{Text, one_line};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::LaunchFailure;
use tokio::time::Instant;

use super::call::{CallError, SHOWN};
use super::group::{Group, instance, is_credible};
use super::protocol as wire;
use super::{ExternalGrpc, LAUNCH_CALLS, bounds};
use crate::{InstanceState, ProviderError};

/// A machine, as the server's list has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    There,
    Deleting,
    Gone,
}

impl ExternalGrpc {
    /// Notes that the machine of this removal has not been asked to go before.
    pub(super) async fn removal_begins(&self, removal: &Removal) -> Result<(), ProviderError> {
        let Some(machine) = &removal.provider_id else { return Err(ProviderError::Failed(without_id(removal))) };
        let Some(id) = self.group_of(removal, machine).await? else {
            return Err(ProviderError::Failed(of_no_group(removal)));
        };
        let group = self.group(&id);
        let mut group = group.lock().await;
        if let Some(left) = group.unsettled(Instant::now(), self.settings.settle) {
            return Err(ProviderError::Failed(launch_first(&id, left)));
        }
        group.removal_begins(machine);
        Ok(())
    }

    /// Has the machine deleted, unless it is going.
    pub(super) async fn delete(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        let invalid = |text: String| RemovalOutcome::Failed(LaunchFailure::Invalid(text));
        let Some(machine) = &removal.provider_id else { return invalid(without_id(removal)) };
        let id = match self.group_of(removal, machine).await {
            Ok(Some(id)) => id,
            Ok(None) => return invalid(of_no_group(removal)),
            Err(error) => return before_sending(&error),
        };
        // One at a time: a smallest size is kept by counting before each.
        let group = self.group(&id);
        let mut group = group.lock().await;
        let target = match self.calls.target_size(&id).await {
            Ok(target) => target,
            Err(error) => return before_sending(&error),
        };
        match self.seen(&id, machine, target).await {
            Ok(Some(Seen::There)) => {}
            Ok(Some(seen)) => {
                group.removal_ends(machine);
                return seen.outcome();
            }
            Ok(None) => {
                let text = format!(
                    "the provider does not list the machines of node group {id}, so that it cannot be told whether \
                     {} is one of them",
                    removal.node
                );
                return invalid(text);
            }
            Err(error) => return before_sending(&error),
        }
        let now = Instant::now();
        if let Some(left) = group.unsettled(now, self.settings.settle) {
            return RemovalOutcome::Unknown(format!("nothing was sent: {}", launch_first(&id, left)));
        }
        if let Some(left) = group.unsettled_removal(machine, now, self.settings.settle) {
            let text = format!(
                "an earlier call may still delete {}; it is not repeated for {} s",
                removal.node,
                left.as_secs_f32().ceil()
            );
            return RemovalOutcome::Unknown(text);
        }
        match self.smallest(&id, &mut group).await {
            Ok(min) if target <= min => {
                group.removal_ends(machine);
                return invalid(format!("{id} is to have {target} nodes, and the provider keeps {min} at least"));
            }
            Ok(_) => {}
            Err(error) => return before_sending(&error),
        }
        if let Err(refused) = permit.check() {
            return RemovalOutcome::Unknown(format!("nothing was sent: {refused}"));
        }
        // Whatever becomes of this future from here on, the call may be under way.
        group.removal_sent(machine, Instant::now());
        let call = async { Ok(self.calls.delete_node(&id, node(removal, machine)).await) };
        let answer = match permit.run(self.calls.deadline() * LAUNCH_CALLS, call).await {
            Ok(answer) => answer,
            Err(lost) => Err(CallError::NoAnswer(lost.to_string())),
        };
        let outcome = match &answer {
            Ok(()) => RemovalOutcome::Accepted,
            Err(CallError::NotSent(text) | CallError::NotSetUp(text)) => {
                group.removal_unsent(machine);
                return RemovalOutcome::Unknown(format!("nothing was sent: {text}"));
            }
            Err(error) => self.in_doubt_about(&id, machine, target, error).await,
        };
        if !matches!(outcome, RemovalOutcome::Unknown(_)) {
            group.removal_ends(machine);
        }
        outcome
    }

    /// After an error the list tells, if it has changed already.
    async fn in_doubt_about(&self, id: &str, machine: &Text, before: u32, error: &CallError) -> RemovalOutcome {
        match (self.seen(id, machine, before).await, error) {
            (Ok(Some(seen @ (Seen::Deleting | Seen::Gone))), _) => seen.outcome(),
            // The server gave its verdict, and nothing has changed.
            (Ok(_), CallError::Said(..)) => match self.calls.target_size(id).await {
                Ok(now) if now >= before => RemovalOutcome::Failed(error.removal_failure()),
                Ok(now) => RemovalOutcome::Unknown(format!("{error}; the size of {id} is {now} and was {before}")),
                Err(_) if error.refusal().is_some() => RemovalOutcome::Failed(error.removal_failure()),
                Err(_) => RemovalOutcome::Unknown(error.to_string()),
            },
            (Err(_), CallError::Said(..)) if error.refusal().is_some() => {
                RemovalOutcome::Failed(error.removal_failure())
            }
            _ => RemovalOutcome::Unknown(error.to_string()),
        }
    }

    /// The group that was written down, else the one that the server names.
    async fn group_of(&self, removal: &Removal, machine: &Text) -> Result<Option<Text>, CallError> {
        if let Some(group) = &removal.group {
            return Ok(Some(group.clone()));
        }
        let group = self.calls.group_of(node(removal, machine)).await?;
        Ok(group.map(Text::from))
    }

    /// What the list of the group says of the machine; nothing where there is no list that can be believed.
    async fn seen(&self, id: &str, machine: &Text, target: u32) -> Result<Option<Seen>, CallError> {
        let Some(nodes) = self.calls.nodes(id).await? else { return Ok(None) };
        if !is_credible(nodes.len(), target) {
            return Ok(None);
        }
        let found = nodes.iter().find(|node| *node.id == **machine);
        Ok(Some(match found.map(|node| instance(node).state) {
            None => Seen::Gone,
            Some(InstanceState::Deleting) => Seen::Deleting,
            Some(_) => Seen::There,
        }))
    }

    /// The smallest size of the group: what cluster-autoscaler keeps to itself before it asks.
    async fn smallest(&self, id: &str, group: &mut Group) -> Result<u32, CallError> {
        if let Some((min, _)) = group.bounds {
            return Ok(min);
        }
        let all = self.calls.groups().await?;
        let found = all.iter().find(|known| known.id == *id).and_then(|known| bounds(known).ok());
        group.bounds = found;
        let none = || CallError::NoAnswer(format!("the provider does not say what the smallest size of {id} is"));
        found.map(|(min, _)| min).ok_or_else(none)
    }
}

impl Seen {
    fn outcome(self) -> RemovalOutcome {
        match self {
            Self::There => RemovalOutcome::Unknown("it is there".to_owned()),
            Self::Deleting => RemovalOutcome::Accepted,
            Self::Gone => RemovalOutcome::Gone,
        }
    }
}

/// Nothing was removed now; but an earlier try may have, so that only an answer about the group itself is a failure.
fn before_sending(error: &CallError) -> RemovalOutcome {
    match error.refusal() {
        Some(failure @ LaunchFailure::Invalid(_)) => RemovalOutcome::Failed(failure),
        _ => RemovalOutcome::Unknown(format!("nothing was sent: {error}")),
    }
}

fn node(removal: &Removal, machine: &Text) -> wire::ExternalGrpcNode {
    wire::ExternalGrpcNode {
        provider_id: machine.to_string(),
        name: removal.node.to_string(),
        ..wire::ExternalGrpcNode::default()
    }
}

fn without_id(removal: &Removal) -> String {
    format!("node {} has no spec.providerID, by which the provider would know its machine", removal.node)
}

fn of_no_group(removal: &Removal) -> String {
    let id = removal.provider_id.as_deref().unwrap_or_default();
    format!("the provider says that node {} ({}) is in none of its groups", removal.node, one_line(id, SHOWN))
}

fn launch_first(group: &str, left: std::time::Duration) -> String {
    let seconds = left.as_secs_f32().ceil();
    format!("a call without an answer may still change the size of {group}; it is known in {seconds} s")
}
