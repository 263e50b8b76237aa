//! A cloud that is not there, behind the external gRPC interface: for tests, and to try things out.

mod service;
mod serving;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tonic::{Code, Status};

use super::template;
use crate::NodeTemplate;

pub use serving::{ServerTls, Serving, SimulationError};

/// One of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "they are named as the calls are")]
pub enum Call {
    Refresh,
    Cleanup,
    NodeGroups,
    NodeGroupForNode,
    NodeGroupTargetSize,
    NodeGroupIncreaseSize,
    NodeGroupDecreaseTargetSize,
    NodeGroupDeleteNodes,
    NodeGroupNodes,
    GpuLabel,
    GetAvailableGpuTypes,
    NodeGroupTemplateNodeInfo,
    NodeGroupGetOptions,
    PricingNodePrice,
    PricingPodPrice,
}

/// A node group of the cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedGroup {
    /// Its id.
    pub id: String,
    /// Its smallest size.
    pub min: i32,
    /// Its largest size.
    pub max: i32,
    /// What its nodes are.
    pub template: NodeTemplate,
    /// The template comes in the envelope that Kubernetes puts around stored objects.
    pub envelope: bool,
}

/// A machine that the cloud has made.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedMachine {
    /// Its group.
    pub group: String,
    /// Its id in the cloud, as in `spec.providerID`.
    pub provider_id: String,
    /// A name for its node.
    pub name: String,
    /// Which machine of the cloud it is, from 0: for addresses.
    pub number: u32,
    /// What its node is.
    pub template: NodeTemplate,
}

/// Whoever makes nodes of machines.
#[async_trait]
pub trait MachineStarted: Send + Sync {
    /// The machine has been made, after the delay.
    async fn started(&self, machine: SimulatedMachine);

    /// The machine is gone, and its node with it.
    async fn stopped(&self, _machine: SimulatedMachine) {}
}

/// What goes wrong on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The call does its work all the same.
    pub done: bool,
    /// What the caller hears; `None` is no answer at all.
    pub answer: Option<(Code, String)>,
    /// How many calls it befalls.
    pub times: u32,
}

/// A call as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which one.
    pub call: Call,
    /// The group, where it names one.
    pub group: String,
    /// By how much a size was to change.
    pub delta: i32,
    /// The machines that it names, by provider id.
    pub machines: Vec<String>,
}

/// How long a machine that was deleted is still listed where nothing else is said.
const DELETION: Duration = Duration::from_millis(300);

/// The cloud. Clones are the same cloud.
#[derive(Clone)]
pub struct SimulatedCloud(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    hook: Option<Arc<dyn MachineStarted>>,
}

#[derive(Default)]
struct State {
    groups: Vec<SimulatedGroup>,
    sizes: BTreeMap<String, i32>,
    /// By provider id.
    machines: BTreeMap<String, Machine>,
    made: u32,
    delay: Duration,
    /// From the call that deletes a machine until it is gone.
    deletion: Duration,
    /// How long calls take before they do anything.
    latency: BTreeMap<Call, Duration>,
    absent: BTreeSet<Call>,
    troubles: Vec<(Call, Trouble)>,
    /// Groups whose machines fail: error code and class.
    failing: BTreeMap<String, (String, i32)>,
    calls: Vec<Recorded>,
}

struct Machine {
    group: String,
    running: bool,
    deleting: bool,
    failed: Option<(String, i32)>,
    made: SimulatedMachine,
}

impl std::fmt::Debug for SimulatedCloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimulatedCloud")
    }
}

impl SimulatedCloud {
    /// A cloud with these groups, all of them empty. Whoever is given hears of each machine.
    pub fn new(groups: Vec<SimulatedGroup>, hook: Option<Arc<dyn MachineStarted>>) -> Self {
        let sizes = groups.iter().map(|group| (group.id.clone(), 0)).collect();
        let state = State { groups, sizes, deletion: DELETION, ..State::default() };
        Self(Arc::new(Inner { state: Mutex::new(state), hook }))
    }

    /// How long a machine takes to be made.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// How long a machine that was deleted is still listed, as one that goes.
    pub fn set_deletion(&self, deletion: Duration) {
        self.state().deletion = deletion;
    }

    /// The machines of a group that are not being deleted, by provider id.
    pub fn machines(&self, group: &str) -> Vec<String> {
        let state = self.state();
        let of_group = state.machines.iter().filter(|(_, machine)| machine.group == group && !machine.deleting);
        of_group.map(|(id, _)| id.clone()).collect()
    }

    /// How long a call takes before it does anything. It goes on when the caller has left.
    pub fn set_latency(&self, call: Call, latency: Duration) {
        self.state().latency.insert(call, latency);
    }

    /// Answers a call with Unimplemented from now on.
    pub fn set_unimplemented(&self, call: Call) {
        self.state().absent.insert(call);
    }

    /// Lets calls fail.
    pub fn trouble(&self, call: Call, trouble: Trouble) {
        self.state().troubles.push((call, trouble));
    }

    /// Machines of a group cannot be made from now on, for this reason: error code and class.
    pub fn fail_machines(&self, group: &str, code: &str, class: i32) {
        self.state().failing.insert(group.to_owned(), (code.to_owned(), class));
    }

    /// Replaces the groups; machines and sizes stay.
    pub fn set_groups(&self, groups: Vec<SimulatedGroup>) {
        let mut state = self.state();
        for group in &groups {
            state.sizes.entry(group.id.clone()).or_default();
        }
        state.groups = groups;
    }

    /// The size that a group is to have.
    pub fn size(&self, group: &str) -> i32 {
        self.state().sizes.get(group).copied().unwrap_or_default()
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Recorded> {
        self.state().calls.clone()
    }

    /// How often a call came.
    pub fn count(&self, call: Call) -> usize {
        self.state().calls.iter().filter(|recorded| recorded.call == call).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call, and finds out what is to become of it.
    fn begin(&self, recorded: Recorded) -> Result<(Option<Trouble>, Duration), Status> {
        let call = recorded.call;
        let mut state = self.state();
        state.calls.push(recorded);
        if state.absent.contains(&call) {
            return Err(Status::unimplemented(format!("{call:?} is not there")));
        }
        let trouble = state.troubles.iter_mut().find(|(on, trouble)| *on == call && trouble.times > 0);
        let trouble = trouble.map(|(_, trouble)| {
            trouble.times -= 1;
            trouble.clone()
        });
        Ok((trouble, state.latency.get(&call).copied().unwrap_or_default()))
    }

    fn group(&self, id: &str) -> Result<SimulatedGroup, Status> {
        let state = self.state();
        let found = state.groups.iter().find(|group| group.id == id).cloned();
        found.ok_or_else(|| Status::not_found(format!("there is no node group {id}")))
    }

    /// Raises a size and starts the machines.
    fn grow(&self, id: &str, delta: i32) -> Result<(), Status> {
        let group = self.group(id)?;
        let mut state = self.state();
        let size = state.sizes.get(id).copied().unwrap_or_default();
        if delta <= 0 {
            return Err(Status::invalid_argument(format!("{delta} is no increase")));
        }
        let wanted = size.checked_add(delta).filter(|wanted| *wanted <= group.max);
        let wanted = wanted.ok_or_else(|| {
            Status::out_of_range(format!("{size} and {delta} are more than {}, the largest size of {id}", group.max))
        })?;
        state.sizes.insert(id.to_owned(), wanted);
        let (delay, failed) = (state.delay, state.failing.get(id).cloned());
        for _ in 0..delta {
            let number = state.made;
            state.made += 1;
            let name = format!("{}-{number}", id.replace('/', "-"));
            let provider_id = format!("simulated-cloud://{id}/{number}");
            let template = group.template.clone();
            let made =
                SimulatedMachine { group: id.to_owned(), provider_id: provider_id.clone(), name, number, template };
            if failed.is_none() {
                tokio::spawn(self.clone().start(made.clone(), delay));
            }
            let (group, failed) = (id.to_owned(), failed.clone());
            state.machines.insert(provider_id, Machine { group, running: false, deleting: false, failed, made });
        }
        Ok(())
    }

    async fn start(self, machine: SimulatedMachine, delay: Duration) {
        tokio::time::sleep(delay).await;
        match self.state().machines.get_mut(&machine.provider_id) {
            Some(known) if !known.deleting => known.running = true,
            // Deleted before it was made.
            Some(_) | None => return,
        }
        if let Some(hook) = &self.0.hook {
            hook.started(machine).await;
        }
    }

    /// Lets machines go, and lowers the size by them; as cloud providers of cluster-autoscaler do it, by those only
    /// that are not going yet, and not below the smallest size.
    fn delete(&self, id: &str, provider_ids: &[String]) -> Result<(), Status> {
        let group = self.group(id)?;
        let mut state = self.state();
        let mut going = BTreeSet::new();
        for provider_id in provider_ids {
            match state.machines.get(provider_id) {
                Some(machine) if machine.group == id => _ = (!machine.deleting).then(|| going.insert(provider_id)),
                _ => return Err(Status::not_found(format!("{provider_id} is no machine of {id}"))),
            }
        }
        let size = state.sizes.get(id).copied().unwrap_or_default();
        let left = size.saturating_sub(i32::try_from(going.len()).unwrap_or(i32::MAX));
        if left < group.min && !going.is_empty() {
            return Err(Status::failed_precondition(format!("{id} keeps {} nodes", group.min)));
        }
        state.sizes.insert(id.to_owned(), left);
        let deletion = state.deletion;
        for provider_id in going {
            if let Some(machine) = state.machines.get_mut(provider_id) {
                machine.deleting = true;
                tokio::spawn(self.clone().stop(provider_id.clone(), deletion));
            }
        }
        Ok(())
    }

    async fn stop(self, provider_id: String, deletion: Duration) {
        tokio::time::sleep(deletion).await;
        let gone = self.state().machines.remove(&provider_id);
        if let (Some(hook), Some(machine)) = (&self.0.hook, gone.filter(|machine| machine.running)) {
            hook.stopped(machine.made).await;
        }
    }

    fn node_bytes(&self, id: &str) -> Result<Vec<u8>, Status> {
        let group = self.group(id)?;
        Ok(template::encode(&format!("{id}-template"), &group.template, group.envelope))
    }
}
