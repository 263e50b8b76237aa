//! Would this pod fit there, and why not? How many nodes of which group?
//!
//! ```text
//!   Snapshot ──> Simulation ─┬─ why_not, room_for, settle: on nodes that are there
//!                (sync)      ├─ why_not_new:               on a node that could be
//!                            └─ share_out ──> Batch ──> pack: how many new nodes, what on them, what is left free
//! ```
//!
//! The verdicts are those of kube-scheduler's filter plugins, under their names. Dynamic resource allocation is not
//! simulated: a pod with resource claims fits nowhere, and the reason says so.
#![forbid(unsafe_code)]

mod alike;
mod asking;
mod batch;
mod class;
mod filters;
mod judge;
mod moving;
mod node_state;
mod pack;
mod profile;
mod rules;
mod score;
mod selection;
mod settle;
mod share_out;
mod simulation;
mod site;
mod suitability;
mod supply;
mod sync;
mod topology;
mod tracker;
mod trial;
mod volume_problem;
mod volumes;

pub use alike::Alike;
pub use batch::{Batch, Volume, Wanted};
pub use class::{ClassId, PodClass};
pub use filters::{Filter, Rejection, fits, why_not_here, why_not_statically};
pub use node_state::NodeState;
pub use pack::{Packing, Run, pack, resume};
pub use profile::SchedulerProfile;
pub use settle::NodeList;
pub use share_out::{Loose, Sharing};
pub use simulation::Simulation;
pub use site::{PlaceKey, Site};
pub use suitability::Suitability;
pub use trial::Mark;
pub use volume_problem::VolumeProblem;
pub use volumes::{Attached, VolumeNeeds};
