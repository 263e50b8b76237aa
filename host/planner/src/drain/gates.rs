//! What besides a node itself keeps it: the times, and the state of everything.

use plimsoll_model::{Millis, NodeGroup, NodeId, Text, Timestamp};

use super::plan::{Given, Kept};
use super::{Forced, KeptReason};
use crate::windows::Suspended;

/// What keeps every node from going to save, at the moment.
pub(super) struct Gates<'a> {
    given: Given<'a>,
    closed: Option<Kept>,
}

// === impl Gates ===

impl<'a> Gates<'a> {
    /// Those of a plan; `homeless` says which pod of a node that leaves in any case has no place.
    pub fn new(given: Given<'a>, homeless: Option<String>) -> Self {
        let history = given.history;
        let provider = || {
            let detail = "no provider is configured, so that nobody can remove a machine";
            history.no_provider.then(|| (KeptReason::NoProvider, detail.to_owned()))
        };
        let halted = || Some((KeptReason::DrainsHalted, history.halted.clone()?));
        let suspended = || match given.config.suspension.at(given.now) {
            Suspended::No => None,
            Suspended::Until(end) => Some((KeptReason::Suspended, format!("suspended until {}", written(end)))),
            Suspended::Always => Some((KeptReason::Suspended, "suspended the whole week".to_owned())),
        };
        let crowded = homeless.map(|homeless| {
            (KeptReason::NeededByDrainingPods, format!("nothing else is drained before it has a place: {homeless}"))
        });
        Self { given, closed: provider().or_else(halted).or_else(suspended).or(crowded) }
    }

    /// Why no node goes to save.
    pub fn closed(&self) -> Option<Kept> {
        self.closed.clone()
    }

    /// Why a removable node does not go yet.
    pub fn too_soon(&self, name: &Text, group: Option<&NodeGroup>) -> Option<Kept> {
        let Given { config, history, now, .. } = self.given;
        if group.and_then(|group| group.scale_down.accelerated).unwrap_or(config.accelerated) {
            return None;
        }
        let periods = group.and_then(|group| group.scale_down.evaluation_periods).unwrap_or(config.evaluation_periods);
        if let Some(counts) = &history.evaluations {
            let count = counts.get(name).copied().unwrap_or(0).saturating_add(1);
            if count < periods {
                return Some((KeptReason::NotUnneededLongEnough, format!("{count} of {periods} evaluations")));
            }
        }
        let until = history.cooling_until.filter(|until| now < *until)?;
        let detail =
            format!("nothing goes for {} after a launch or a removal, until {}", config.cooldown, written(until));
        Some((KeptReason::CoolingDown, detail))
    }
}

/// RFC 3339, in UTC.
fn written(at: Timestamp) -> String {
    let moment = i64::try_from(at.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    moment.map_or_else(|| "the end of time".to_owned(), |moment| moment.to_string())
}

// === impl Given: times ===

impl Given<'_> {
    /// How long a drain takes at most, where the host sets the time.
    pub fn timeout(&self, group: Option<&NodeGroup>) -> Millis {
        group.and_then(|group| group.scale_down.timeout).unwrap_or(self.config.timeout)
    }

    /// When a node is removed that has to go.
    pub fn deadline(&self, forced: &Forced) -> Timestamp {
        let own = || Timestamp(self.now.0.saturating_add(self.timeout(self.group_of(forced.node)).0));
        forced.deadline.unwrap_or_else(own)
    }

    /// How long after its creation a node is still starting; `None` for a node that is not ours to touch.
    pub fn grace_if_ours(&self, id: NodeId) -> Option<Millis> {
        let group = self.group_of(id);
        (self.config.groups.is_none() || group.is_some()).then(|| self.scale_up.startup_of(group).grace)
    }

    pub fn too_young(&self, id: NodeId) -> Option<Kept> {
        let grace = self.scale_up.startup_of(self.group_of(id)).grace;
        let least = self.config.min_node_age.map_or(grace, |age| age.max(grace));
        let age = self.now.since(self.snapshot.node(id).created?);
        (age < least).then(|| (KeptReason::TooYoung, format!("it is {age} old; nodes stay for at least {least}")))
    }
}
