//! What those who launch and those who drain tell each other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_model::{Text, Timestamp};
use plimsoll_planner::scale_up::{Displaced, ScaleUpConfig};
use tokio::sync::watch;

/// What the loops tell each other. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What is being launched.
    pub provisioning: watch::Sender<Option<Provisioning>>,
    /// Which nodes have to go.
    pub leaving: watch::Sender<Option<Leaving>>,
    /// Whose turn it is to change the size of a group.
    pub turns: GroupTurns,
}

/// What whoever launches knows, in this term.
#[derive(Clone, Debug)]
pub struct Provisioning {
    /// The term of the leadership that it holds in.
    pub term: u64,
    /// Groups, limits and headroom, as far as the provider allows them.
    pub config: Arc<ScaleUpConfig>,
    /// When something was launched last.
    pub launched: Option<Timestamp>,
}

/// What whoever drains knows, in this term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The term of the leadership that it holds in.
    pub term: u64,
    /// Nodes that have to go, and whose pods may need others.
    pub displaced: Vec<Displaced>,
}

/// Who changes the size of a group. Sizes have no owner: a launch and a removal from one size would be neither.
#[derive(Clone, Debug, Default)]
pub struct GroupTurns(Arc<Mutex<HashMap<Text, Turn>>>);

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A launch has no answer yet.
    Launch,
    /// A removal has no answer yet.
    Removal,
}

impl Default for Exchange {
    fn default() -> Self {
        let (provisioning, _) = watch::channel(None);
        let (leaving, _) = watch::channel(None);
        Self { provisioning, leaving, turns: GroupTurns::default() }
    }
}

impl GroupTurns {
    /// Gives these groups to one side, and takes all others from it. Groups that the other side has are not given.
    pub fn give(&self, to: Turn, groups: impl IntoIterator<Item = Text>) {
        let wanted: HashSet<Text> = groups.into_iter().collect();
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|group, turn| *turn != to || wanted.contains(group));
        for group in wanted {
            turns.entry(group).or_insert(to);
        }
    }

    /// Takes one more group, if nobody has it. True if it is this side's turn now.
    pub fn take(&self, by: Turn, group: &Text) -> bool {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *turns.entry(group.clone()).or_insert(by) == by
    }

    /// True if it is this side's turn.
    pub fn has(&self, side: Turn, group: &Text) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(group) == Some(&side)
    }

    /// The groups of one side.
    pub fn of(&self, side: Turn) -> HashSet<Text> {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.iter().filter(|(_, turn)| **turn == side).map(|(group, _)| group.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_changed_by_one_side_at_a_time() {
        let turns = GroupTurns::default();
        turns.give(Turn::Launch, ["a".into(), "b".into()]);
        assert!(!turns.take(Turn::Removal, &"a".into()) && turns.take(Turn::Removal, &"c".into()));
        turns.give(Turn::Launch, ["b".into(), "c".into()]);
        assert!(turns.has(Turn::Launch, &"b".into()) && !turns.has(Turn::Launch, &"c".into()));
        assert!(turns.take(Turn::Removal, &"a".into()), "given back");
        assert_eq!(turns.of(Turn::Removal), ["a".into(), "c".into()].into());
        turns.give(Turn::Removal, []);
        assert!(turns.of(Turn::Removal).is_empty() && turns.take(Turn::Launch, &"c".into()));
    }
}
