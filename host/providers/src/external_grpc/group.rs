//! What is known of a group: calls under way, and machines.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_model::{Text, one_line};
use plimsoll_planner::launch::LaunchFailure;
use tokio::time::Instant;

use super::call::SHOWN;
use super::protocol as wire;
use super::protocol::instance_status::InstanceState as WireState;
use crate::{Instance, InstanceState};

/// `OutOfResourcesErrorClass` of cluster-autoscaler's `cloudprovider.InstanceErrorInfo`.
const OUT_OF_RESOURCES: i32 = 1;

/// A group, as far as launches and removals go.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Its smallest and largest size, as far as they are known.
    pub bounds: Option<(u32, u32)>,
    /// A size that this process read, with nothing sent since: what is launched from it has never been sent.
    counted: Option<u32>,
    /// When a call was sent, or may have been, whose answer never came.
    sent: Option<Instant>,
    /// Machines that are to go, by id: when a call was sent, or may have been, whose answer never came; `None` where
    /// this process knows of the removal from its beginning, and has sent nothing.
    removals: BTreeMap<Text, Option<Instant>>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The size is there.
    Done,
    /// The provider does not allow that size.
    Full { max: u32 },
    /// Something may be under way.
    Wait { left: Duration },
    /// Nothing is under way.
    Raise { by: u32 },
}

impl Group {
    /// What to do to get from the size now to the one that is wanted.
    pub fn step(&mut self, baseline: u32, wanted: u32, now: u32, at: Instant, settle: Duration) -> Step {
        if now >= wanted {
            self.sent = None;
            return Step::Done;
        }
        if let Some((_, max)) = self.bounds.filter(|(_, max)| wanted > *max) {
            return Step::Full { max };
        }
        // Whoever led before may have sent it.
        if self.sent.is_none() && self.counted != Some(baseline) {
            self.sent = Some(at);
        }
        match self.unsettled(at, settle) {
            Some(left) => Step::Wait { left },
            None => Step::Raise { by: wanted - now },
        }
    }

    /// How long a call without an answer may still take effect.
    pub fn unsettled(&self, at: Instant, settle: Duration) -> Option<Duration> {
        let left = settle.saturating_sub(at.duration_since(self.sent?));
        (!left.is_zero()).then_some(left)
    }

    /// The size was read, and nothing is under way.
    pub fn counted(&mut self, size: u32) {
        self.counted = Some(size);
        self.sent = None;
    }

    /// A call leaves.
    pub fn sent(&mut self, at: Instant) {
        self.counted = None;
        self.sent = Some(at);
    }

    /// It was answered; or it never left, so that it can be sent at once from this baseline.
    pub fn answered(&mut self, unsent_from: Option<u32>) {
        self.counted = unsent_from;
        self.sent = None;
    }

    /// A machine is about to be removed: no call can have been sent before.
    pub fn removal_begins(&mut self, machine: &Text) {
        self.removals.entry(machine.clone()).or_default();
    }

    /// How long a call for this machine may still take effect. Of a removal that this process does not know from its
    /// beginning whoever led before may have sent the call.
    pub fn unsettled_removal(&mut self, machine: &Text, at: Instant, settle: Duration) -> Option<Duration> {
        let sent = self.removals.entry(machine.clone()).or_insert(Some(at));
        let left = settle.saturating_sub(at.duration_since((*sent)?));
        (!left.is_zero()).then_some(left)
    }

    /// A call for this machine leaves.
    pub fn removal_sent(&mut self, machine: &Text, at: Instant) {
        self.removals.insert(machine.clone(), Some(at));
    }

    /// It never left.
    pub fn removal_unsent(&mut self, machine: &Text) {
        self.removals.insert(machine.clone(), None);
    }

    /// It was answered, or the machine is gone.
    pub fn removal_ends(&mut self, machine: &Text) {
        self.removals.remove(machine);
    }
}

/// True if a list of so many machines may be the whole of a group: a server that has no list of its own may answer
/// with an empty one.
pub(super) fn is_credible(listed: usize, target: u32) -> bool {
    listed > 0 || target == 0
}

/// A machine as the server tells of it.
pub(super) fn instance(instance: &wire::Instance) -> Instance {
    let status = instance.status.clone().unwrap_or_default();
    let error = status.error_info.filter(|error| !error.error_code.is_empty());
    let state = match (WireState::try_from(status.instance_state), error) {
        (Ok(WireState::InstanceDeleting), _) => InstanceState::Deleting,
        (Ok(WireState::InstanceRunning), _) => InstanceState::Running,
        (_, Some(error)) => InstanceState::Failed(failure(&error)),
        (Ok(WireState::InstanceCreating), None) => InstanceState::Creating,
        // Nothing is said of its state.
        (Ok(WireState::Unspecified) | Err(_), None) => InstanceState::Running,
    };
    Instance { id: one_line(&instance.id, SHOWN).into_owned().into(), state }
}

fn failure(error: &wire::InstanceErrorInfo) -> LaunchFailure {
    let said = match error.error_message.trim() {
        "" => one_line(&error.error_code, SHOWN).into_owned(),
        message => format!("{} ({})", one_line(message, SHOWN), one_line(&error.error_code, SHOWN)),
    };
    // Cloud providers put quotas into the class of missing resources; only the code tells them apart.
    match error.instance_error_class {
        OUT_OF_RESOURCES if error.error_code.to_ascii_lowercase().contains("quota") => LaunchFailure::Quota(said),
        OUT_OF_RESOURCES => LaunchFailure::NoCapacity(said),
        _ => LaunchFailure::Other(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(30);

    #[test]
    fn what_may_be_under_way_is_awaited() {
        let now = Instant::now();
        let later = now + SETTLE;
        let mut group = Group::default();
        // An intent of an earlier leader.
        assert_eq!(group.step(3, 5, 3, now, SETTLE), Step::Wait { left: SETTLE });
        assert_eq!(group.step(3, 5, 3, now + SETTLE / 2, SETTLE), Step::Wait { left: SETTLE / 2 });
        assert_eq!(group.unsettled(now, SETTLE), Some(SETTLE));
        assert_eq!(group.step(3, 5, 4, later, SETTLE), Step::Raise { by: 1 });
        // It took effect all the same.
        group.sent(later);
        assert_eq!(group.step(3, 5, 5, later, SETTLE), Step::Done);
        assert_eq!(group.unsettled(later, SETTLE), None);
        // One of its own.
        group.counted(5);
        assert_eq!(group.step(5, 7, 5, later, SETTLE), Step::Raise { by: 2 });
        group.answered(Some(5));
        assert_eq!(group.step(5, 7, 5, later, SETTLE), Step::Raise { by: 2 }, "it never left");
        group.sent(later);
        assert_eq!(group.step(5, 7, 5, later, SETTLE), Step::Wait { left: SETTLE });
        // Answered with a failure: the next one has a baseline of its own.
        group.answered(None);
        assert_eq!(group.step(5, 7, 5, later, SETTLE), Step::Wait { left: SETTLE });
        group.bounds = Some((0, 6));
        assert_eq!(group.step(5, 7, 5, later + SETTLE, SETTLE), Step::Full { max: 6 });
    }

    #[test]
    fn a_removal_that_may_be_under_way_is_awaited() {
        let now = Instant::now();
        let (ours, theirs) = (Text::from("i-1"), Text::from("i-2"));
        let mut group = Group::default();
        group.removal_begins(&ours);
        assert_eq!(group.unsettled_removal(&ours, now, SETTLE), None);
        assert_eq!(group.unsettled_removal(&theirs, now, SETTLE), Some(SETTLE), "an earlier leader may have sent it");
        assert_eq!(group.unsettled_removal(&theirs, now + SETTLE, SETTLE), None);
        group.removal_sent(&ours, now);
        group.removal_begins(&ours);
        assert_eq!(group.unsettled_removal(&ours, now + SETTLE / 2, SETTLE), Some(SETTLE / 2), "it was sent before");
        group.removal_unsent(&ours);
        assert_eq!(group.unsettled_removal(&ours, now, SETTLE), None);
        group.removal_ends(&ours);
        assert_eq!(group.unsettled_removal(&ours, now, SETTLE), Some(SETTLE));
    }

    #[test]
    fn errors_of_machines_are_failures_while_they_are_made() {
        let state = |state: WireState, code: &str, class: i32| {
            let error_info = Some(wire::InstanceErrorInfo {
                error_code: code.to_owned(),
                error_message: "none left".to_owned(),
                instance_error_class: class,
            });
            let status = wire::InstanceStatus { instance_state: state.into(), error_info };
            instance(&wire::Instance { id: "sim://1".to_owned(), status: Some(status) }).state
        };
        let failed = |failure| InstanceState::Failed(failure);
        use WireState::*;
        for (found, expected) in [
            (state(InstanceCreating, "STOCKOUT", 1), failed(LaunchFailure::NoCapacity("none left (STOCKOUT)".into()))),
            (
                state(InstanceCreating, "QUOTA_EXCEEDED", 1),
                failed(LaunchFailure::Quota("none left (QUOTA_EXCEEDED)".into())),
            ),
            (state(InstanceCreating, "IMAGE", 99), failed(LaunchFailure::Other("none left (IMAGE)".into()))),
            (state(InstanceCreating, "", 1), InstanceState::Creating),
            (state(Unspecified, "", 0), InstanceState::Running),
            (state(InstanceRunning, "STOCKOUT", 1), InstanceState::Running),
            (state(InstanceDeleting, "STOCKOUT", 1), InstanceState::Deleting),
        ] {
            assert_eq!(found, expected);
        }
        assert_eq!(instance(&wire::Instance::default()).state, InstanceState::Running);
    }
}
