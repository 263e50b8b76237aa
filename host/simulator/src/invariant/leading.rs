//! Without a leader nothing changes.

use super::{Invariant, Scene, Step};
use crate::act::Fault;

/// Only the leader of the present term has anything done.
#[derive(Debug, Default)]
pub struct LeaderOnly;

impl Invariant for LeaderOnly {
    fn name(&self) -> &'static str {
        "leader only"
    }

    fn see(&mut self, scene: &Scene<'_>, step: &Step<'_>) -> Result<(), String> {
        let Step::Before(deed) = step else { return Ok(()) };
        if scene.leader == Some((deed.replica, deed.term)) || deed.fault == Fault::Cut {
            return Ok(());
        }
        Err(format!("replica {} of term {} acts, and the leader is {:?}", deed.replica, deed.term, scene.leader))
    }
}
