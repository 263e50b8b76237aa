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
}

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
    failed: Option<(String, i32)>,
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
        Self(Arc::new(Inner { state: Mutex::new(State { groups, sizes, ..State::default() }), hook }))
    }

    /// How long a machine takes to be made.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
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
    fn begin(&self, call: Call, group: &str, delta: i32) -> Result<(Option<Trouble>, Duration), Status> {
        let mut state = self.state();
        state.calls.push(Recorded { call, group: group.to_owned(), delta });
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
            let machine = Machine { group: id.to_owned(), running: false, failed: failed.clone() };
            state.machines.insert(provider_id.clone(), machine);
            if failed.is_none() {
                let template = group.template.clone();
                let machine = SimulatedMachine { group: id.to_owned(), provider_id, name, number, template };
                tokio::spawn(self.clone().start(machine, delay));
            }
        }
        Ok(())
    }

    async fn start(self, machine: SimulatedMachine, delay: Duration) {
        tokio::time::sleep(delay).await;
        match self.state().machines.get_mut(&machine.provider_id) {
            Some(known) => known.running = true,
            // Deleted before it was made.
            None => return,
        }
        if let Some(hook) = &self.0.hook {
            hook.started(machine).await;
        }
    }

    /// Takes machines away, and lowers the size by them.
    fn delete(&self, id: &str, provider_ids: &[String]) -> Result<(), Status> {
        let group = self.group(id)?;
        let mut state = self.state();
        for provider_id in provider_ids {
            if state.machines.get(provider_id).is_none_or(|machine| machine.group != id) {
                return Err(Status::not_found(format!("{provider_id} is no machine of {id}")));
            }
        }
        let gone = i32::try_from(provider_ids.len()).unwrap_or(i32::MAX);
        let size = state.sizes.get(id).copied().unwrap_or_default();
        if size.saturating_sub(gone) < group.min {
            return Err(Status::failed_precondition(format!("{id} keeps {} nodes", group.min)));
        }
        state.sizes.insert(id.to_owned(), size.saturating_sub(gone));
        for provider_id in provider_ids {
            state.machines.remove(provider_id);
        }
        Ok(())
    }

    fn node_bytes(&self, id: &str) -> Result<Vec<u8>, Status> {
        let group = self.group(id)?;
        Ok(template::encode(&format!("{id}-template"), &group.template, group.envelope))
    }
}
