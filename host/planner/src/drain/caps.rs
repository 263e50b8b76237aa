//! How many nodes may drain at once.

use std::collections::HashMap;

use plimsoll_model::NodeGroup;

use super::ScaleDownConfig;

/// How many nodes may drain at once: of each group with a percentage of its own, of all others together, and of all
/// where the percentage of the cluster was set on purpose (`ocean-features` C11, C16, 4.11, 4.28).
#[derive(Debug)]
pub(super) struct Caps<'a> {
    all: Option<Pool>,
    own: HashMap<&'a str, Pool>,
    others: Pool,
}

#[derive(Debug)]
struct Pool {
    percentage: u32,
    nodes: u32,
    draining: u32,
}

// === impl Pool ===

impl Pool {
    fn of(percentage: u32) -> Self {
        Self { percentage, nodes: 0, draining: 0 }
    }

    /// The percentage of the nodes, rounded down, but never none.
    fn most(&self) -> u32 {
        let share = u64::from(self.nodes) * u64::from(self.percentage.min(100)) / 100;
        u32::try_from(share.max(1)).unwrap_or(u32::MAX)
    }

    fn left(&self) -> u32 {
        self.most().saturating_sub(self.draining)
    }

    /// What it says when there is nothing left; `whose` begins with a blank or is empty.
    fn full(&self, whose: &str) -> Option<String> {
        let say = || format!("max {} of {} nodes{whose} ({} %)", self.most(), self.nodes, self.percentage);
        (self.left() == 0).then(say)
    }
}

// === impl Caps ===

impl<'a> Caps<'a> {
    /// Without any nodes yet.
    pub fn new(config: &ScaleDownConfig) -> Self {
        let pool = || Pool::of(config.max_percentage);
        Self { all: config.caps_total.then(pool), own: HashMap::new(), others: pool() }
    }

    fn pools(&mut self, group: Option<&'a NodeGroup>) -> impl Iterator<Item = &mut Pool> {
        let own = group.and_then(|group| Some((group.name.as_str(), group.scale_down.max_percentage?)));
        let one = match own {
            Some((name, percentage)) => self.own.entry(name).or_insert_with(|| Pool::of(percentage)),
            None => &mut self.others,
        };
        std::iter::once(one).chain(self.all.as_mut())
    }

    /// Counts a node of which the percentage is taken.
    pub fn count(&mut self, group: Option<&'a NodeGroup>) {
        self.pools(group).for_each(|pool| pool.nodes = pool.nodes.saturating_add(1));
    }

    /// Counts a node that drains.
    pub fn begin(&mut self, group: Option<&'a NodeGroup>) {
        self.pools(group).for_each(|pool| pool.draining = pool.draining.saturating_add(1));
    }

    /// Why no further node of a group may begin to drain, if that is so.
    pub fn full(&self, group: Option<&NodeGroup>) -> Option<String> {
        let own = group.and_then(|group| self.own.get(group.name.as_str()));
        let one = match (own, group) {
            (Some(pool), Some(group)) => pool.full(&format!(" of group {}", group.name)),
            _ => self.others.full(""),
        };
        one.or_else(|| self.all.as_ref()?.full(""))
    }

    /// How many more may begin.
    pub fn left(&self) -> u32 {
        let each = self.own.values().fold(self.others.left(), |sum, pool| sum.saturating_add(pool.left()));
        self.all.as_ref().map_or(each, |all| all.left().min(each))
    }
}
