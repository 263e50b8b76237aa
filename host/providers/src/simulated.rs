//! Machines that are Node objects and nothing else.
//!
//! ```text
//!   launch ─> record (ConfigMap: names, numbers, due times) ─> accepted
//!                 │
//!   run, on whichever replica leads: due? ─> certificate asked for and approved? ─> Node object
//!                                    leaving? ─> due? ─> Node object deleted
//! ```
//!
//! A launch is nothing but an entry in the record, so that it is there once, however often and by whomever it is
//! repeated; names and addresses are known before the node is there. A removal is a note in that entry.

mod kubelet;
mod record;
mod removal;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use plimsoll_kube::{Api, ApiError, Leadership, ObjectName, Permit, Purpose, Resource};
use plimsoll_model::{Machine, NodeGroup, Resources, Text, Timestamp, well_known};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::{LaunchFailure, LaunchIntent, LaunchOutcome};
use plimsoll_planner::scale_up::LaunchRequest;
use tokio::sync::Notify;

pub use kubelet::{BootstrapToken, KubeletRequests, Requester};
pub use settings::{Fault, FaultSettings, RemovalFault, RemovalSettings, SimulatedSettings};

use crate::node_object::{NodeSeed, node_addresses, node_object};
use crate::outcome::{outcome, provider_error, unread};
use crate::{
    Instance, InstanceState, Inventory, LAUNCH_LABEL, Listing, NodeGroupProvider, NodeTemplate, ProviderError,
    ProviderGroup,
};
use kubelet::Verdict;
use record::{Launch, NAME, Record, RecordError, machine_name};

/// The record is read and written again so often when others change it meanwhile.
const TRIES: usize = 5;
/// Certificates that are waited for are looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// After a failure it goes on this much later.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// A launch whose nodes are gone is remembered for so long, in case it is repeated.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The simulation.
pub struct Simulated {
    api: Api,
    settings: SimulatedSettings,
    namespace: String,
    groups: Vec<NodeGroup>,
    kubelets: Option<Arc<dyn KubeletRequests>>,
    /// How many launches each fault has befallen.
    befallen: Vec<AtomicU32>,
    /// How many removals have failed on purpose.
    failed_removals: AtomicU32,
    wake: Notify,
    /// Requests for serving certificates that were sent.
    asked: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Simulated {
    /// The simulation of these groups. Its record is kept in `namespace` unless the settings name another one;
    /// certificates are asked for through `kubelets`.
    pub fn new(
        api: Api,
        settings: SimulatedSettings,
        namespace: &str,
        groups: Vec<NodeGroup>,
        kubelets: Option<Arc<dyn KubeletRequests>>,
    ) -> Self {
        let namespace = settings.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        let befallen = settings.faults.iter().map(|_| AtomicU32::new(0)).collect();
        Self {
            api,
            settings,
            namespace,
            groups,
            kubelets,
            befallen,
            failed_removals: AtomicU32::new(0),
            wake: Notify::new(),
            asked: Mutex::default(),
        }
    }

    /// The fault that befalls this launch.
    fn fault(&self, request: &LaunchRequest) -> Option<&FaultSettings> {
        self.settings.faults.iter().zip(&self.befallen).find_map(|(fault, befallen)| {
            if !fault.fits(request) {
                return None;
            }
            let count =
                |so_far: u32| fault.first.is_none_or(|first| so_far < first).then_some(so_far.saturating_add(1));
            befallen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).ok().map(|_| fault)
        })
    }

    /// Puts the launch into the record, unless it is there.
    async fn write_down(&self, permit: &Permit, intent: &LaunchIntent) -> Result<(), LaunchOutcome> {
        let mut fault = None;
        for _ in 0..TRIES {
            let mut record = Record::read(&self.api, &self.namespace).await.map_err(|error| match error {
                RecordError::Api(error) => unread(&error),
                error => refused(&error),
            })?;
            if record.launches.contains_key(&*intent.id.0) {
                return Ok(());
            }
            // Decided once, however often the record is in the way.
            let fault = *fault.get_or_insert_with(|| self.fault(&intent.request));
            let launch = self.behave(intent, record.next, fault).map_err(LaunchOutcome::Failed)?;
            record.next = record.next.wrapping_add(intent.request.count);
            record.launches.insert(intent.id.0.to_string(), launch);
            match record.write(&self.api, permit, &self.namespace).await {
                Ok(()) => return Ok(()),
                Err(RecordError::Api(ApiError::Conflict(_) | ApiError::AlreadyExists(_))) => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(LaunchOutcome::Unknown(format!("others changed ConfigMap {}/{NAME} {TRIES} times", self.namespace)))
    }

    fn behave(
        &self,
        intent: &LaunchIntent,
        first: u32,
        fault: Option<&FaultSettings>,
    ) -> Result<Launch, LaunchFailure> {
        let mut launch = Launch::of(intent, first, now());
        let mut delay = self.settings.delay;
        match fault.map(|fault| (fault.fault, fault.delay)) {
            None => {}
            Some((Fault::NoCapacity, _)) => {
                let text = format!("no {} in {}, on purpose", launch.instance_type, launch.zone);
                return Err(LaunchFailure::NoCapacity(text));
            }
            Some((Fault::Quota, _)) => return Err(LaunchFailure::Quota("used up, on purpose".to_owned())),
            Some((Fault::SlowJoin, longer)) => delay += longer.unwrap_or_default(),
            Some((Fault::WrongLabels, _)) => launch.wrong_labels = true,
            Some((Fault::NeverJoins, _)) => launch.never = true,
        }
        launch.due = launch.due.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        Ok(launch)
    }

    /// What the nodes of a launch are.
    fn template(&self, id: &str, launch: &Launch) -> Result<NodeTemplate, String> {
        let group = self.groups.iter().find(|group| *group.name == *launch.group);
        let group = group.ok_or_else(|| format!("there is no node group {} any more", launch.group))?;
        let instance_type = group.instance_type(&launch.instance_type);
        let instance_type =
            instance_type.ok_or_else(|| format!("{} has no type {} any more", launch.group, launch.instance_type))?;
        let mut capacity = Resources {
            cpu: instance_type.cpu,
            memory: instance_type.memory,
            pods: instance_type.max_pods,
            ..Resources::default()
        };
        for (name, amount) in &instance_type.extended {
            capacity.set_extended(name.clone(), *amount);
        }
        if instance_type.gpus > 0 {
            capacity.set_extended(instance_type.gpu_resource.clone(), instance_type.gpus);
        }
        let mut allocatable = capacity.clone();
        allocatable.subtract(&group.system_reserved, 1);
        let mut labels: BTreeMap<Text, Text> = match launch.wrong_labels {
            false => launch.labels().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            true => BTreeMap::from([(well_known::NODE_GROUP[0].into(), "another-group".into())]),
        };
        labels.insert(LAUNCH_LABEL.into(), id.into());
        Ok(NodeTemplate { labels: labels.into_iter().collect(), taints: launch.taints(), capacity, allocatable })
    }

    /// Lets every node appear that is due, and go that is. Gives the time until there is more to do.
    async fn pass(&self, permit: &Permit) -> Result<Option<Duration>, RecordError> {
        let record = Record::read(&self.api, &self.namespace).await?;
        let now = now();
        let mut next: Option<Duration> = None;
        let mut sooner = |wait: Duration| next = Some(next.map_or(wait, |next| next.min(wait)));
        let mut news = PassNews::default();
        for (id, launch) in record.launches.iter().filter(|(_, launch)| !launch.never && !launch.pending.is_empty()) {
            if launch.due > now.0 {
                sooner(Duration::from_millis(launch.due - now.0));
                continue;
            }
            let template = match self.template(id, launch) {
                Ok(template) => template,
                Err(problem) => {
                    tracing::warn!(launch = %id, %problem, "simulated nodes do not join");
                    continue;
                }
            };
            let mut done = BTreeSet::new();
            for index in &launch.pending {
                match self.join(permit, id, launch, *index, &template).await {
                    Ok(true) => _ = done.insert(*index),
                    Ok(false) => sooner(LOOK_AGAIN),
                    Err(error) => {
                        tracing::warn!(launch = %id, index, %error, "a simulated node does not join yet");
                        sooner(AFTER_FAILURE);
                    }
                }
            }
            if !done.is_empty() {
                news.appeared.push((id.clone(), done));
            }
        }
        for (id, launch) in record.launches.iter().filter(|(_, launch)| !launch.leaving.is_empty()) {
            let mut done = BTreeSet::new();
            for (index, due) in &launch.leaving {
                if *due > now.0 {
                    sooner(Duration::from_millis(*due - now.0));
                    continue;
                }
                match self.take_away(permit, id, launch, *index).await {
                    Ok(()) => _ = done.insert(*index),
                    Err(error) => {
                        tracing::warn!(launch = %id, index, %error, "a simulated node does not go yet");
                        sooner(AFTER_FAILURE);
                    }
                }
            }
            if !done.is_empty() {
                news.left.push((id.clone(), done));
            }
        }
        let old = |launch: &Launch| {
            let remembered = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
            launch.launched.saturating_add(remembered) < now.0
        };
        if record.launches.values().any(|launch| old(launch) && launch.at_rest()) {
            news.over = self.without_nodes(&record, old).await?;
        }
        if news != PassNews::default() {
            self.note(permit, &news).await?;
        }
        Ok(next)
    }

    /// Old launches of which no node is left.
    async fn without_nodes(
        &self,
        record: &Record,
        old: impl Fn(&Launch) -> bool,
    ) -> Result<BTreeSet<String>, RecordError> {
        let there = self.nodes().await?;
        let of = |id: &str, launch: &Launch| (0..launch.count).any(|at| there.contains(&machine_name(id, at)));
        let gone = record.launches.iter().filter(|(id, launch)| old(launch) && launch.at_rest() && !of(id, launch));
        Ok(gone.map(|(id, _)| id.clone()).collect())
    }

    /// Writes down what a pass has done.
    async fn note(&self, permit: &Permit, news: &PassNews) -> Result<(), RecordError> {
        for _ in 0..TRIES {
            let mut record = Record::read(&self.api, &self.namespace).await?;
            for (id, done) in &news.appeared {
                if let Some(launch) = record.launches.get_mut(id) {
                    launch.pending.retain(|index| !done.contains(index));
                }
            }
            for (id, done) in &news.left {
                if let Some(launch) = record.launches.get_mut(id) {
                    launch.leaving.retain(|index, _| !done.contains(index));
                    launch.gone.extend(done);
                }
            }
            record.launches.retain(|id, _| !news.over.contains(id));
            match record.write(&self.api, permit, &self.namespace).await {
                Err(RecordError::Api(ApiError::Conflict(_) | ApiError::AlreadyExists(_))) => {}
                done => return done,
            }
        }
        // What has been done already is found again at the next time.
        Ok(())
    }

    /// True if the node is there, or never will be; false if its certificate is being waited for.
    async fn join(
        &self,
        permit: &Permit,
        id: &str,
        launch: &Launch,
        index: u32,
        template: &NodeTemplate,
    ) -> Result<bool, ApiError> {
        let name = machine_name(id, index);
        let number = launch.first.wrapping_add(index);
        if self.settings.csr {
            match self.first_certificate(permit, &name).await? {
                Verdict::Waiting => return Ok(false),
                Verdict::Refused => {
                    tracing::warn!(node = %name, "a simulated node never joins: its certificate was refused");
                    return Ok(true);
                }
                Verdict::Approved => {}
            }
        }
        let provider_id = provider_id(&launch.zone, &name);
        let annotations = self.settings.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let seed = NodeSeed { name: &name, provider_id: &provider_id, number, template, annotations };
        let node = node_object(&seed, jiff::Timestamp::now());
        match self.api.create(permit, &Resource::NODES, &node).await {
            Ok(_) => {}
            // After a crash, or by a leader before.
            Err(ApiError::AlreadyExists(_)) => {
                let there = self.api.get(&Resource::NODES, &ObjectName::of_cluster(&name)).await?;
                if there["spec"]["providerID"] != *provider_id {
                    tracing::warn!(node = %name, "there is a node of that name already, which is no simulated one");
                }
            }
            Err(error) => return Err(error),
        }
        if self.settings.csr {
            self.serving_certificate(permit, &name, number).await;
        }
        Ok(true)
    }

    /// Asks for the first certificate of a node, once.
    async fn first_certificate(&self, permit: &Permit, node: &str) -> Result<Verdict, ApiError> {
        let name = ObjectName::of_cluster(&kubelet::client_request_name(node));
        match self.api.get(&Resource::SIGNING_REQUESTS, &name).await {
            Ok(request) => return Ok(kubelet::verdict(&request)),
            Err(ApiError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let Some(kubelets) = &self.kubelets else { return Ok(Verdict::Waiting) };
        let request = kubelet::client_request(node).map_err(ApiError::Garbled)?;
        match kubelets.create(permit, &Requester::Bootstrap, &request).await {
            Ok(()) | Err(ApiError::AlreadyExists(_)) => Ok(Verdict::Waiting),
            Err(error) => Err(error),
        }
    }

    /// Asks for a serving certificate. Nothing waits for it.
    async fn serving_certificate(&self, permit: &Permit, node: &str, number: u32) {
        let who = Requester::Node(node.to_owned());
        let Some(kubelets) = self.kubelets.as_ref().filter(|kubelets| kubelets.can_be(&who)) else { return };
        if !self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned()) {
            return;
        }
        let sent = match kubelet::serving_request(node, &node_addresses(node, number)) {
            Ok(request) => kubelets.create(permit, &who, &request).await,
            Err(problem) => Err(ApiError::Garbled(problem)),
        };
        match sent {
            Ok(()) | Err(ApiError::AlreadyExists(_)) => {}
            Err(error) => tracing::warn!(%node, %error, "a simulated node has no serving certificate"),
        }
    }

    /// Names of the nodes that the simulation made.
    async fn nodes(&self) -> Result<BTreeSet<String>, ApiError> {
        let nodes = self.api.list(&Resource::NODES, "", LAUNCH_LABEL).await?;
        Ok(nodes.iter().filter_map(|node| node["metadata"]["name"].as_str()).map(str::to_owned).collect())
    }
}

/// What a pass has done.
#[derive(Debug, Default, PartialEq)]
struct PassNews {
    /// Machines whose nodes are there, by launch.
    appeared: Vec<(String, BTreeSet<u32>)>,
    /// Machines that are gone, by launch.
    left: Vec<(String, BTreeSet<u32>)>,
    /// Launches that are over.
    over: BTreeSet<String>,
}

fn provider_id(zone: &str, name: &str) -> String {
    format!("plimsoll-sim://{zone}/{name}")
}

fn now() -> Timestamp {
    Timestamp(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default())
}

fn refused(error: &RecordError) -> LaunchOutcome {
    match error {
        RecordError::Api(error) => outcome(error),
        RecordError::Garbled(problem) => LaunchOutcome::Failed(LaunchFailure::Other(problem.clone())),
        RecordError::Full => {
            let text = format!("the record of simulated machines, ConfigMap {NAME}, is full");
            LaunchOutcome::Failed(LaunchFailure::Quota(text))
        }
    }
}

#[async_trait]
impl NodeGroupProvider for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn inventory(&self) -> Result<Inventory, ProviderError> {
        let record = Record::read(&self.api, &self.namespace).await.map_err(|error| match error {
            RecordError::Api(error) => provider_error(&error),
            RecordError::Garbled(problem) => ProviderError::Garbled(problem),
            RecordError::Full => ProviderError::Failed("the record is full".to_owned()),
        })?;
        let nodes = self.nodes().await.map_err(|error| provider_error(&error))?;
        let mut groups: BTreeMap<&str, ProviderGroup> = BTreeMap::new();
        for group in &self.groups {
            let row = ProviderGroup { id: group.name.clone(), min: group.min, max: group.max, ..Default::default() };
            groups.insert(&group.name, row);
        }
        let mut inventory = Inventory { listing: Listing::ByName, ..Inventory::default() };
        for (id, launch) in &record.launches {
            for index in 0..launch.count {
                let name = machine_name(id, index);
                let joined = nodes.contains(&name);
                let pending = launch.pending.contains(&index);
                let leaving = launch.leaving.contains_key(&index);
                if launch.gone.contains(&index) || (!joined && !pending && !leaving) {
                    // Its node was there, and has been deleted.
                    continue;
                }
                if let Some(group) = groups.get_mut(launch.group.as_str()) {
                    let state = match (leaving, joined) {
                        (true, _) => InstanceState::Deleting,
                        (false, true) => InstanceState::Running,
                        (false, false) => InstanceState::Creating,
                    };
                    group.target += u32::from(!leaving);
                    group.instances.push(Instance { id: provider_id(&launch.zone, &name).into(), state });
                }
                inventory.machines.push(Machine {
                    name: name.as_str().into(),
                    // A machine that has become a node is no longer one that may ask for a first certificate.
                    node: joined.then(|| name.as_str().into()),
                    group: Some(launch.group.as_str().into()),
                    addresses: node_addresses(&name, launch.first.wrapping_add(index)),
                    created: Some(Timestamp(launch.launched)),
                    deleting: leaving,
                });
            }
        }
        inventory.groups = groups.into_values().collect();
        Ok(inventory)
    }

    async fn baseline(&self, _request: &LaunchRequest) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    async fn launch(&self, permit: &Permit, intent: &LaunchIntent) -> LaunchOutcome {
        let request = &intent.request;
        let group = self.groups.iter().find(|group| group.name == request.group);
        if group.is_none_or(|group| group.instance_type(&request.instance_type).is_none()) {
            let text = format!("there is no {} with {}", request.group, request.instance_type);
            return LaunchOutcome::Failed(LaunchFailure::Invalid(text));
        }
        match self.write_down(permit, intent).await {
            Ok(()) => {
                self.wake.notify_one();
                let nodes = (0..request.count).map(|index| machine_name(&intent.id.0, index).into()).collect();
                LaunchOutcome::Accepted { nodes }
            }
            Err(outcome) => outcome,
        }
    }

    async fn removal_baseline(&self, _removal: &Removal) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    async fn remove(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        self.take_back(permit, removal).await
    }

    /// Lets nodes appear, and go, while this replica leads.
    async fn run(&self, mut leadership: Leadership) {
        loop {
            let Ok(permit) = leadership.permit(Purpose::Effect) else {
                leadership.changed().await;
                continue;
            };
            let wait = match self.pass(&permit).await {
                Ok(next) => next,
                Err(RecordError::Api(ApiError::Refused(_))) => Some(Duration::ZERO),
                Err(error) => {
                    tracing::warn!(?error, "simulated nodes do not appear; trying again");
                    Some(AFTER_FAILURE)
                }
            };
            let sleep = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.wake.notified() => {}
                () = leadership.changed() => {}
            }
        }
    }
}
