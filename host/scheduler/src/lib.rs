//! Would this pod fit there, and why not? How many nodes of which group?
//!
//! ```text
//!   PodShape + NodeState ──> filters ──> fits, or every Rejection
//!   PodShapes + template ──> pack    ──> nodes needed, pods placed, what is left free
//! ```
//!
//! The verdicts are those of kube-scheduler's filter plugins, under their names. Not simulated yet, and said
//! so rather than guessed: rules between pods ([`InterPodIndex`] finds who is concerned) and volumes.
#![forbid(unsafe_code)]

mod class;
mod domains;
mod filters;
mod interpod;
mod judge;
mod node_state;
mod pack;
mod rules;
mod selection;
mod simulation;
mod site;
mod topology;
mod tracker;
mod volumes;

pub use class::{ClassId, PodClass};
pub use domains::{DomainCounter, DomainId, DomainIndex};
pub use filters::{Filter, Rejection, fits, why_not_here, why_not_statically};
pub use interpod::InterPodIndex;
pub use node_state::NodeState;
pub use pack::{Demand, Packing, pack};
pub use site::Site;
pub use simulation::{Mark, Simulation};
pub use volumes::{Attached, VolumeNeeds};
