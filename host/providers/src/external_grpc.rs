//! Providers that speak cluster-autoscaler's external gRPC interface.
//!
//! ```text
//!   inventory:  Refresh ─> NodeGroups ─> of each: TargetSize, Nodes, TemplateNodeInfo (once)
//!   launch:     TargetSize ─ enough? ──────────────────────────────> accepted
//!                   └─ too few ─ nothing under way? ─> IncreaseSize by what is missing
//!   removal:    Nodes ─ going? ─> accepted; not there? ─> gone
//!                 └─ there ─ nothing under way? above the smallest size? ─> DeleteNodes of the one machine
//! ```
//!
//! The interface has sizes and no identities: a size is raised *by* a number, so a call that is repeated while the
//! first one is still under way doubles it. Therefore a size is read before it is raised, and a call whose answer was
//! lost, here or by an earlier leader, gets a time to settle ([`ExternalGrpcSettings::settle`]) before the next one. The
//! same holds for a machine that is deleted: servers lower the size with each call, and may list the machine for a while.

mod call;
mod connect;
mod group;
mod removal;
mod settings;
pub mod simulation;
mod template;

/// What the interface's .proto file becomes.
#[allow(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
mod protocol {
    tonic::include_proto!("clusterautoscaler.cloudprovider.v1.externalgrpc");
}

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use plimsoll_kube::Permit;
use plimsoll_model::{Text, one_line};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::{LaunchFailure, LaunchIntent, LaunchOutcome};
use plimsoll_planner::scale_up::LaunchRequest;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use settings::ExternalGrpcSettings;

use crate::{Inventory, Listing, NodeGroupProvider, NodeTemplate, ProviderError, ProviderGroup, SettingError};
use call::{CallError, Calls, SHOWN};
use connect::Connector;
use group::{Group, Step};

/// Groups that are asked about at a time.
const AT_ONCE: usize = 8;
/// An inventory takes this many deadlines at most; groups that were not read by then are problems.
const DEADLINES: u32 = 4;
/// Shares of the deadline of a call that changes something: the read before, the change, the read after.
const LAUNCH_CALLS: u32 = 3;

/// A provider behind the external gRPC interface. It knows no names and addresses of machines: for certificates
/// another inventory is needed.
#[derive(Debug)]
pub struct ExternalGrpc {
    calls: Arc<Calls>,
    groups: Mutex<BTreeMap<Text, Arc<tokio::sync::Mutex<Group>>>>,
    templates: Mutex<BTreeMap<Text, NodeTemplate>>,
    settings: ExternalGrpcSettings,
}

impl ExternalGrpc {
    /// The provider; nothing is sent yet.
    pub fn new(settings: ExternalGrpcSettings) -> Result<Self, SettingError> {
        let connector = Connector::new(settings.clone())?;
        Ok(Self {
            calls: Arc::new(Calls::new(connector, settings.timeout)),
            groups: Mutex::default(),
            templates: Mutex::default(),
            settings,
        })
    }

    fn group(&self, id: &Text) -> Arc<tokio::sync::Mutex<Group>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.entry(id.clone()).or_default().clone()
    }

    fn template(&self, id: &Text) -> Option<NodeTemplate> {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Raises the size by what is missing, as far as it is safe.
    async fn raise(&self, permit: &Permit, intent: &LaunchIntent, baseline: u32) -> LaunchOutcome {
        let id = &intent.request.group;
        let Some(wanted) = baseline.checked_add(intent.request.count) else {
            return LaunchOutcome::Failed(LaunchFailure::Invalid(format!("a size above {baseline} is out of range")));
        };
        // One at a time: two that read the same size would both raise it.
        let group = self.group(id);
        let mut group = group.lock().await;
        let now = match self.calls.target_size(id).await {
            Ok(now) => now,
            Err(error) => return before_sending(&error),
        };
        let delta = match group.step(baseline, wanted, now, Instant::now(), self.settings.settle) {
            Step::Done => return LaunchOutcome::Accepted { nodes: Vec::new() },
            Step::Full { max } => {
                let text = format!("{id} is to have {wanted} nodes, but the provider allows {max}");
                return LaunchOutcome::Failed(LaunchFailure::GroupFull(text));
            }
            Step::Wait { left } => {
                let text = format!(
                    "an earlier call may still raise {id} from {now} to {wanted}; it is not repeated for {} s",
                    left.as_secs_f32().ceil()
                );
                return LaunchOutcome::Unknown(text);
            }
            Step::Raise { by } => by,
        };
        let Ok(by) = i32::try_from(delta) else {
            return LaunchOutcome::Failed(LaunchFailure::Invalid(format!("{delta} nodes are out of range")));
        };
        if let Err(refused) = permit.check() {
            return LaunchOutcome::Unknown(format!("nothing was sent: {refused}"));
        }
        // Whatever becomes of this future from here on, the call may be under way.
        group.sent(Instant::now());
        let call = async { Ok(self.calls.increase_size(id, by).await) };
        let answer = match permit.run(self.calls.deadline() * LAUNCH_CALLS, call).await {
            Ok(answer) => answer,
            Err(lost) => Err(CallError::NoAnswer(lost.to_string())),
        };
        let outcome = match &answer {
            Ok(()) => LaunchOutcome::Accepted { nodes: Vec::new() },
            Err(CallError::NotSent(text) | CallError::NotSetUp(text)) => {
                LaunchOutcome::Unknown(format!("nothing was sent: {text}"))
            }
            Err(error) => match error.refusal() {
                Some(failure) => LaunchOutcome::Failed(failure),
                None => self.in_doubt(id, now, wanted, error).await,
            },
        };
        let unsent = matches!(answer, Err(CallError::NotSent(_) | CallError::NotSetUp(_)));
        if unsent || !matches!(outcome, LaunchOutcome::Unknown(_)) {
            group.answered(unsent.then_some(baseline));
        }
        outcome
    }

    /// After an error that leaves open what was done: the size tells, if it has changed already.
    async fn in_doubt(&self, id: &str, before: u32, wanted: u32, error: &CallError) -> LaunchOutcome {
        match self.calls.target_size(id).await {
            Ok(now) if now >= wanted => LaunchOutcome::Accepted { nodes: Vec::new() },
            // The server gave its verdict, and nothing has changed.
            Ok(now) if now <= before && matches!(error, CallError::Said(..)) => LaunchOutcome::Failed(error.failure()),
            Ok(now) => LaunchOutcome::Unknown(format!("{error}; the size of {id} is {now} of {wanted}")),
            Err(_) => LaunchOutcome::Unknown(error.to_string()),
        }
    }
}

/// The size could not be read, so nothing was launched now; but an earlier try may have, so that only an answer about
/// the group itself is a failure.
fn before_sending(error: &CallError) -> LaunchOutcome {
    match error.refusal() {
        Some(failure @ LaunchFailure::Invalid(_)) => LaunchOutcome::Failed(failure),
        _ => LaunchOutcome::Unknown(format!("nothing was sent: {error}")),
    }
}

#[async_trait]
impl NodeGroupProvider for ExternalGrpc {
    fn name(&self) -> &'static str {
        "externalGrpc"
    }

    fn knows_all_groups(&self) -> bool {
        true
    }

    async fn inventory(&self) -> Result<Inventory, ProviderError> {
        let end = Instant::now() + self.calls.deadline() * DEADLINES;
        self.calls.refresh().await?;
        // An error is an error: without groups is something else.
        let all = self.calls.groups().await?;
        let mut inventory = Inventory { listing: Listing::ById, ..Inventory::default() };
        let mut seen = BTreeSet::new();
        let mut waiting = Vec::new();
        for group in all {
            let id = Text::from(one_line(&group.id, SHOWN).into_owned());
            match bounds(&group) {
                _ if *id != *group.id || id.is_empty() => {
                    inventory.listing = Listing::Partial;
                    inventory.problems.push(format!("a node group has an id that cannot be used: \"{id}\""));
                }
                Err(problem) => {
                    inventory.listing = Listing::Partial;
                    inventory.problems.push(problem);
                }
                Ok(_) if !seen.insert(id.clone()) => {
                    inventory.problems.push(format!("the provider has several node groups {id}; the first one counts"));
                }
                Ok((min, max)) => {
                    self.group(&id).lock().await.bounds = Some((min, max));
                    waiting.push(ProviderGroup { id, min, max, ..ProviderGroup::default() });
                }
            }
        }
        self.templates.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| seen.contains(id));
        self.groups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|id, group| seen.contains(id) || Arc::strong_count(group) > 1);
        let mut waiting = waiting.into_iter();
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < AT_ONCE
                && let Some(group) = waiting.next()
            {
                let known = self.template(&group.id);
                asked.spawn(read(self.calls.clone(), group, known));
            }
            match tokio::time::timeout_at(end, asked.join_next()).await {
                Ok(None) => break,
                Ok(Some(Ok(Read { group, listed, learnt, problems }))) => {
                    inventory.problems.extend(problems);
                    if !listed {
                        inventory.listing = Listing::Partial;
                    }
                    if let Some(group) = group {
                        if learnt && let Some(template) = &group.template {
                            let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
                            templates.insert(group.id.clone(), template.clone());
                        }
                        inventory.groups.push(group);
                    }
                }
                Ok(Some(Err(error))) => return Err(ProviderError::Failed(error.to_string())),
                Err(_) => {
                    let read: BTreeSet<&Text> = inventory.groups.iter().map(|group| &group.id).collect();
                    let left = seen.iter().filter(|id| !read.contains(id)).count();
                    let seconds = (self.calls.deadline() * DEADLINES).as_secs_f32();
                    inventory.problems.push(format!("{left} node groups were not read within {seconds} s"));
                    inventory.listing = Listing::Partial;
                    break;
                }
            }
        }
        inventory.groups.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(inventory)
    }

    async fn baseline(&self, request: &LaunchRequest) -> Result<Option<u32>, ProviderError> {
        let group = self.group(&request.group);
        let mut group = group.lock().await;
        let size = match self.calls.target_size(&request.group).await {
            Err(CallError::Said(tonic::Code::NotFound, _)) => {
                return Err(ProviderError::NoGroup(request.group.clone()));
            }
            size => size?,
        };
        match group.unsettled(Instant::now(), self.settings.settle) {
            Some(left) => Err(ProviderError::Failed(format!(
                "a call without an answer may still change the size of {}; it is known in {} s",
                request.group,
                left.as_secs_f32().ceil()
            ))),
            None => {
                group.counted(size);
                Ok(Some(size))
            }
        }
    }

    async fn launch(&self, permit: &Permit, intent: &LaunchIntent) -> LaunchOutcome {
        match intent.baseline {
            Some(baseline) => self.raise(permit, intent, baseline).await,
            None => {
                let text = format!("the size of {} before the launch was not written down", intent.request.group);
                LaunchOutcome::Failed(LaunchFailure::Invalid(text))
            }
        }
    }

    async fn removal_baseline(&self, removal: &Removal) -> Result<Option<u32>, ProviderError> {
        self.removal_begins(removal).await.map(|()| None)
    }

    async fn remove(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        self.delete(permit, removal).await
    }

    async fn finish(&self) {
        if let Err(error) = self.calls.cleanup().await {
            tracing::debug!(%error, "the provider was not told of the end");
        }
    }
}

/// What was read of a group.
struct Read {
    group: Option<ProviderGroup>,
    /// Its machines are known.
    listed: bool,
    /// The template is new.
    learnt: bool,
    problems: Vec<String>,
}

async fn read(calls: Arc<Calls>, mut group: ProviderGroup, known: Option<NodeTemplate>) -> Read {
    let id = group.id.clone();
    let mut problems = Vec::new();
    match calls.target_size(&id).await {
        Ok(size) => group.target = size,
        Err(error) => {
            problems.push(format!("the size of node group {id}: {error}"));
            return Read { group: None, listed: false, learnt: false, problems };
        }
    }
    let mut listed = false;
    match calls.nodes(&id).await {
        Ok(nodes) => {
            // An id that cannot be shown as it is would not be found again.
            let exact = |node: &protocol::Instance| *node.id == *group::instance(node).id;
            listed = nodes
                .as_ref()
                .is_some_and(|nodes| group::is_credible(nodes.len(), group.target) && nodes.iter().all(exact));
            group.instances = nodes.unwrap_or_default().iter().map(group::instance).collect();
        }
        Err(error) => problems.push(format!("the nodes of node group {id}: {error}")),
    }
    let learnt = known.is_none();
    group.template = known;
    if learnt {
        match calls.template(&id).await {
            Ok(None) => {}
            Ok(Some(bytes)) => match template::decode(&bytes) {
                Ok(template) => group.template = Some(template),
                Err(problem) => problems.push(format!("the template of node group {id}: {problem}")),
            },
            Err(error) => problems.push(format!("the template of node group {id}: {error}")),
        }
    }
    Read { group: Some(group), listed, learnt, problems }
}

fn bounds(group: &protocol::NodeGroup) -> Result<(u32, u32), String> {
    match (u32::try_from(group.min_size), u32::try_from(group.max_size)) {
        (Ok(min), Ok(max)) if min <= max => Ok((min, max)),
        _ => Err(format!(
            "node group {} has a smallest size of {} and a largest one of {}; it is left out",
            one_line(&group.id, SHOWN),
            group.min_size,
            group.max_size
        )),
    }
}
