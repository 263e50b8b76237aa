//! The contract `plimsoll:policy@0.1`, to and from the planner's own types. A later contract gets a module of
//! its own beside this one, and policies built for 0.1 go on.

mod csr;
mod drain;
mod scale_up;

use std::borrow::Cow;

use plimsoll_model::{Lifecycle, one_line};

pub use csr::review;
pub use drain::{order_nodes, order_pods};
pub use scale_up::choose;

use crate::bindings::plimsoll::policy::types;
use crate::state::Moment;

/// Characters of a reason that are kept.
const REASON: usize = 500;

/// A reason as people are shown it.
pub fn reason(text: String) -> String {
    match one_line(&text, REASON) {
        Cow::Borrowed(_) => text,
        Cow::Owned(line) => line,
    }
}

fn context(moment: Moment, settings: &str) -> types::Context<'_> {
    types::Context { now_ms: moment.now.0, seed: moment.seed, settings }
}

/// A lifecycle in the contract's terms.
pub fn lifecycle(lifecycle: Lifecycle) -> types::Lifecycle {
    match lifecycle {
        Lifecycle::OnDemand => types::Lifecycle::OnDemand,
        Lifecycle::Spot => types::Lifecycle::Spot,
    }
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(reason("cheapest".into()), "cheapest");
        assert_eq!(reason("red \u{1b}[31malert\n".into()), "red  [31malert ");
        assert_eq!(reason("x".repeat(1 << 20)).chars().count(), 501);
    }
}
