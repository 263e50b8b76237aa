//! What makes a cluster live: small controllers in place of scheduler, kubelets, workload controllers and signer.
//!
//! ```text
//!   objects ──> View ──┬─> node lifecycle ─┐
//!                      ├─> workloads ──────┤
//!                      ├─> scheduler ──────┼─> changes, and when to look again
//!                      ├─> kubelets ───────┤
//!                      ├─> budgets ────────┤
//!                      ├─> endpoints ──────┤
//!                      └─> signer ─────────┘
//! ```
//!
//! Each looks at objects and a time and says what it changes; nothing is remembered between two looks.

mod budgets;
mod drive;
mod endpoints;
mod fit;
mod garbage;
mod kubelet;
mod node_lifecycle;
mod object;
mod quantity;
mod scheduler;
mod signer;
#[cfg(test)]
mod tests;
mod workloads;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

pub use drive::live;
pub use signer::{Signer, SignerError};

/// A controller of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Taints of nodes that are not ready or cordoned; pods of nodes that are gone.
    NodeLifecycle,
    /// Deployments, replica sets, stateful sets and daemon sets.
    Workloads,
    /// What lost its owner goes.
    Garbage,
    /// Pods get nodes.
    Scheduler,
    /// Pods run and end; nodes report.
    Kubelets,
    /// The status of disruption budgets.
    Budgets,
    /// Services find their pods: EndpointSlices.
    Endpoints,
    /// Approved signing requests get certificates.
    Signer,
}

/// Which controllers there are, and how fast they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldConfig {
    /// The controllers.
    pub parts: BTreeSet<Part>,
    /// From bound to running.
    pub pod_start: Duration,
    /// From deleted to gone, if the grace is longer.
    pub pod_stop: Duration,
    /// Between two reports of a node.
    pub heartbeat: Duration,
}

/// What is changed. All objects are whole; their resourceVersion is the one they were read with.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new object.
    Create(Value),
    /// An object with another spec or status; dropped when somebody else wrote in between.
    Replace(Value),
    /// An object that goes at once.
    Delete {
        /// `pods`, `replicasets.apps`.
        resource: &'static str,
        /// Empty for objects of the cluster.
        namespace: String,
        /// Name.
        name: String,
    },
}

/// The objects as they are now.
#[derive(Clone, Debug, Default)]
pub struct View {
    objects: HashMap<&'static str, Vec<Value>>,
}

/// What a look at the objects came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// To be written, in this order.
    pub changes: Vec<Change>,
    /// When to look again even if nothing changes.
    pub again: Option<Timestamp>,
}

/// The controllers together.
#[derive(Debug)]
pub struct World {
    config: WorldConfig,
    signer: Option<Signer>,
}

/// A look at the objects by one controller after the other.
struct Turn<'a> {
    view: &'a View,
    config: &'a WorldConfig,
    now: Timestamp,
    step: Step,
}

// === impl WorldConfig ===

impl Default for WorldConfig {
    /// Every controller, with pods that start within a second or two.
    fn default() -> Self {
        let parts = [
            Part::NodeLifecycle,
            Part::Workloads,
            Part::Garbage,
            Part::Scheduler,
            Part::Kubelets,
            Part::Budgets,
            Part::Endpoints,
            Part::Signer,
        ];
        Self {
            parts: parts.into(),
            pod_start: Duration::from_secs(1),
            pod_stop: Duration::from_secs(2),
            heartbeat: Duration::from_secs(60),
        }
    }
}

// === impl View ===

impl View {
    /// The resources that are looked at, as a store calls them.
    pub const RESOURCES: [&'static str; 10] = [
        "pods",
        "nodes",
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "daemonsets.apps",
        "poddisruptionbudgets.policy",
        "services",
        "endpointslices.discovery.k8s.io",
        "certificatesigningrequests.certificates.k8s.io",
    ];

    /// The objects of each of the resources.
    pub fn of(mut list: impl FnMut(&'static str) -> Vec<Value>) -> Self {
        Self { objects: Self::RESOURCES.into_iter().map(|resource| (resource, list(resource))).collect() }
    }

    fn all(&self, resource: &str) -> &[Value] {
        self.objects.get(resource).map(Vec::as_slice).unwrap_or_default()
    }
}

// === impl World ===

impl World {
    /// A world with these controllers; a signer makes its own throw-away authority.
    pub fn new(config: WorldConfig) -> Result<Self, SignerError> {
        let signer = if config.parts.contains(&Part::Signer) { Some(Signer::new()?) } else { None };
        Ok(Self { config, signer })
    }

    /// The certificate of the authority that signs requests, in PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.signer.as_ref().map(Signer::ca_pem)
    }

    /// What the controllers do about the objects now.
    pub fn step(&self, view: &View, now: Timestamp) -> Step {
        let mut turn = Turn { view, config: &self.config, now, step: Step::default() };
        for part in &self.config.parts {
            match part {
                Part::NodeLifecycle => node_lifecycle::step(&mut turn),
                Part::Workloads => workloads::step(&mut turn),
                Part::Garbage => garbage::step(&mut turn),
                Part::Scheduler => scheduler::step(&mut turn),
                Part::Kubelets => kubelet::step(&mut turn),
                Part::Budgets => budgets::step(&mut turn),
                Part::Endpoints => endpoints::step(&mut turn),
                Part::Signer => {
                    if let Some(signer) = &self.signer {
                        signer.step(&mut turn);
                    }
                }
            }
        }
        turn.step
    }
}

// === impl Turn ===

impl Turn<'_> {
    fn create(&mut self, object: Value) {
        self.step.changes.push(Change::Create(object));
    }

    /// Writes an object if it differs from what it was.
    fn replace(&mut self, old: &Value, new: Value) {
        if *old != new {
            self.step.changes.push(Change::Replace(new));
        }
    }

    fn delete(&mut self, resource: &'static str, object: &Value) {
        let (namespace, name) = (object::namespace(object).to_owned(), object::name(object).to_owned());
        self.step.changes.push(Change::Delete { resource, namespace, name });
    }

    /// Asks to look again at this time.
    fn again_at(&mut self, time: Timestamp) {
        self.step.again = Some(self.step.again.map_or(time, |earlier| earlier.min(time)));
    }
}
