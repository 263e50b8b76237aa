//! The contract `plimsoll:policy@0.1`, to and from the planner's own types. A later contract gets a module of
//! its own beside this one, and policies built for 0.1 go on.

mod csr;
mod drain;
mod scale_up;

use plimsoll_model::Lifecycle;

pub use csr::review;
pub use drain::{order_nodes, order_pods};
pub use scale_up::choose;

use crate::bindings::plimsoll::policy::types;
use crate::state::Moment;

fn context(moment: Moment, settings: &str) -> types::Context<'_> {
    types::Context { now_ms: moment.now.0, seed: moment.seed, settings }
}

fn lifecycle(lifecycle: Lifecycle) -> types::Lifecycle {
    match lifecycle {
        Lifecycle::OnDemand => types::Lifecycle::OnDemand,
        Lifecycle::Spot => types::Lifecycle::Spot,
    }
}
